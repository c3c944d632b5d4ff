#include "lib/execute/fields.h"

#include <bit>

#include "lib/model/parts.h"

namespace aimem::execute {

void AppendValue(const std::string& value, std::string& out) { out += value; }

void AppendValue(std::int64_t value, std::string& out) {
  log::AppendU64(static_cast<std::uint64_t>(value), out);
}

void AppendValue(std::int32_t value, std::string& out) {
  AppendValue(static_cast<std::int64_t>(value), out);
}

void AppendValue(double value, std::string& out) {
  log::AppendU64(std::bit_cast<std::uint64_t>(value), out);
}

void AppendValue(bool value, std::string& out) { out.push_back(value ? '\x01' : '\x00'); }

void AppendValue(Tier value, std::string& out) { out.push_back(static_cast<char>(value)); }

void AppendValue(absl::Time value, std::string& out) {
  out += model::EncodeTime(model::ToNanoseconds(value));
}

void AppendValue(const std::vector<std::string>& values, std::string& out) {
  for (const std::string& value : values) log::AppendBytes(value, out);
}

void AppendValue(const Memory& value, std::string& out) { AppendFields(value, kMemoryFields, out); }

std::size_t HeldBytes(const std::string& value) { return value.size(); }

std::size_t HeldBytes(const std::vector<std::string>& values) {
  std::size_t bytes = values.size() * sizeof(std::string);
  for (const std::string& value : values) bytes += value.size();
  return bytes;
}

std::size_t HeldBytes(const Memory& value) { return SumHeldBytes(value, kMemoryFields); }

}  // namespace aimem::execute
