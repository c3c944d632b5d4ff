#include "campaign/figures.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"

namespace aimem::campaign {
namespace {

using nlohmann::ordered_json;

ordered_json& At(ordered_json& tree, std::string_view at) {
  return tree[ordered_json::json_pointer(std::string(at))];
}

}  // namespace

std::int64_t Stopwatch::Rate(std::int64_t count) const {
  return static_cast<std::int64_t>(static_cast<double>(count) / std::max(Seconds(), 1e-6));
}

Percentiles PercentilesOf(std::vector<std::int64_t> latencies) {
  if (latencies.empty()) return {};
  std::sort(latencies.begin(), latencies.end());
  const auto at = [&](std::size_t percent) {
    return static_cast<double>(latencies[(latencies.size() - 1) * percent / 100]) / 1000;
  };
  return {.p50_ms = at(50), .p99_ms = at(99), .max_ms = at(100)};
}

std::string OneLine(std::string_view text, std::size_t width) {
  if (text.size() <= width) return std::string(text);
  const std::size_t end = text.rfind(' ', width);
  return std::string(text.substr(0, end == std::string_view::npos ? width : end)) + " ...";
}

std::string Grouped(std::int64_t number) {
  const std::string digits = std::to_string(number < 0 ? -number : number);
  std::string text(number < 0 ? "-" : "");
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text.push_back(',');
    text.push_back(digits[i]);
  }
  return text;
}

Figures::Figures() : tree_(std::make_unique<ordered_json>(ordered_json::object())) {}
Figures::~Figures() = default;
Figures::Figures(Figures&&) noexcept = default;
Figures& Figures::operator=(Figures&&) noexcept = default;

void Figures::Set(std::string_view at, double value) { At(*tree_, at) = value; }
void Figures::Set(std::string_view at, std::string_view value) { At(*tree_, at) = value; }
void Figures::SetInteger(std::string_view at, std::int64_t value) { At(*tree_, at) = value; }

void Figures::Add(const Figures& other) { tree_->update(*other.tree_); }

std::string Figures::Json() const { return tree_->dump(2); }

absl::Status Figures::Save(const std::string& path) const {
  std::ofstream out(path);
  out << Json() << '\n';
  out.close();
  if (out) return absl::OkStatus();
  return absl::UnavailableError(absl::StrFormat("cannot write figures to %s", path));
}

}  // namespace aimem::campaign
