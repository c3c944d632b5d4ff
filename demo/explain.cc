#include "demo/explain.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"

namespace aimem::demo {
namespace {

constexpr double kWorthTelling = 0.01;

std::string_view InWords(std::string_view name) {
  static const std::map<std::string_view, std::string_view> kWords = {
      {"length", "length of text"},
      {"priority", "priority"},
      {"tier", "lasting tier"},
      {"confidence", "doubt"},
      {"recency", "recency"},
      {"use", "earlier use"},
      {"proximity", "further up in the namespaces"},
  };
  const auto found = kWords.find(name);
  return found == kWords.end() ? name : found->second;
}

// The words of the question come first, up to the last reason named "length": a word of the
// question may have that name too.
std::size_t CountTerms(std::span<const ScoreReason> reasons) {
  for (std::size_t i = reasons.size(); i > 0; --i) {
    if (reasons[i - 1].name == "length") return i - 1;
  }
  return reasons.size();
}

}  // namespace

std::string WhyRanked(std::span<const ScoreReason> reasons) {
  const std::size_t count = CountTerms(reasons);
  std::vector<ScoreReason> terms(reasons.begin(), reasons.begin() + count);
  std::stable_sort(terms.begin(), terms.end(),
                   [](const ScoreReason& a, const ScoreReason& b) { return a.value > b.value; });
  std::string text;
  for (const ScoreReason& term : terms) {
    if (term.value < kWorthTelling) continue;
    text += text.empty() ? "matched " : ", ";
    text += absl::StrFormat("\"%s\" %.2f", term.name, term.value);
  }
  std::string rest;
  for (const ScoreReason& reason : reasons.subspan(count)) {
    if (std::abs(reason.value) < kWorthTelling) continue;
    if (!rest.empty()) rest += ", ";
    rest += absl::StrFormat("%s %.2f", InWords(reason.name), reason.value);
  }
  if (!text.empty() && !rest.empty()) text += "; ";
  return text + rest;
}

}  // namespace aimem::demo
