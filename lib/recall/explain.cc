#include "lib/recall/explain.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/str_format.h"

namespace aimem::recall {
namespace {

std::string DayOf(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone());
}

std::string_view NameOf(Tier tier) { return TierName(tier); }

}  // namespace

std::string WordsOnTerm(const TermOrigin& origin) {
  if (origin.memories_with == 0) {
    return origin.count == 0 ? "no memory here has it" : "its speaker is called so";
  }
  const std::string with =
      absl::StrFormat("%d of %d memories have it", origin.memories_with, origin.memories);
  if (origin.lender != 0) {
    const int turns = std::abs(origin.lender);
    return absl::StrFormat("said %d turn%s %s; %s", turns, turns == 1 ? "" : "s",
                           origin.lender < 0 ? "before" : "after", with);
  }
  if (origin.count == 0) return "not in it; " + with;
  return absl::StrFormat("%d time%s in it; %s", origin.count, origin.count == 1 ? "" : "s", with);
}

void AddPartsInWords(const Explanation& explanation, const Features& features,
                     std::vector<ScoreReason>& reasons) {
  const auto add = [&](const char* name, double value, std::string why) {
    reasons.push_back({name, value, std::move(why)});
  };
  const auto add_if = [&](const char* name, double value, std::string why) {
    if (value != 0) add(name, value, std::move(why));
  };
  add_if("speaker", explanation.speaker, "the question names who said it");
  add_if("date", explanation.date,
         "made on " + DayOf(features.created_at) + ", a day that fits the date of the question");
  add_if("when", explanation.when, "the question asks when, and it says so");
  add("length", explanation.length, absl::StrFormat("%d words long", features.length));
  const Priors& priors = explanation.priors;
  add("priority", priors.priority,
      absl::StrFormat("priority %d; 5 adds nothing", features.priority));
  add("tier", priors.tier, absl::StrFormat("tier %s", NameOf(features.tier)));
  add("confidence", priors.confidence, absl::StrFormat("confidence %g", features.confidence));
  add("recency", priors.recency, "updated on " + DayOf(features.updated_at));
  add("use", priors.use, absl::StrFormat("recalled %d times", features.access_count));
  if (explanation.proximity == 1) return;
  double sum = 0;
  for (const ScoreReason& reason : reasons) sum += reason.value;
  add("proximity", explanation.score - sum,
      absl::StrFormat("of a namespace above: all times %.3f", explanation.proximity));
}

}  // namespace aimem::recall
