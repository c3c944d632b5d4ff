// JSON as text, written in the order in which it is to be read.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aimem/memory.h"

namespace aimem::transfer {

/// Builds one object. Values of Raw must be JSON.
class JsonObject {
 public:
  JsonObject& Text(std::string_view key, std::string_view value);
  JsonObject& Int(std::string_view key, std::int64_t value);
  JsonObject& Number(std::string_view key, double value);
  JsonObject& Bool(std::string_view key, bool value);
  JsonObject& Raw(std::string_view key, std::string_view json);
  [[nodiscard]] std::string Build() const { return "{" + members_ + "}"; }

 private:
  std::string members_;
};

/// The shortest text that reads back as this double, with a fraction or an exponent.
std::string JsonNumber(double value);
/// An array of values that are JSON already.
std::string JsonArray(std::span<const std::string> values);
/// An array of what `encode` makes of each of `values`: JSON.
template <typename Values, typename Encode>
std::string JsonArrayOf(const Values& values, Encode encode) {
  std::vector<std::string> texts;
  texts.reserve(values.size());
  for (const auto& value : values) texts.push_back(encode(value));
  return JsonArray(texts);
}
/// An array of strings.
std::string JsonStrings(std::span<const std::string> values);

/// The members of a memory, in the order of the data model, for a caller that adds more.
JsonObject MemoryObject(const Memory& memory);
std::string LinkJson(const Link& link);

/// `json` over several lines, two spaces a level; every line but the first starts `indent`
/// spaces in. `json` must be well formed.
std::string PrettyJson(std::string_view json, std::size_t indent = 0);

}  // namespace aimem::transfer
