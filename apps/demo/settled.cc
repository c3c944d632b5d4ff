#include "apps/demo/settled.h"

#include <cstdint>

#include "absl/strings/str_format.h"

namespace aimem::demo {
namespace {

using campaign::Federation;
using campaign::Findings;
using campaign::Grouped;
using campaign::Journal;
using campaign::MemberFindings;
using campaign::Report;
using campaign::Settled;

// "a 500, b 500, c 489"
std::string Held(const MemberFindings& found) {
  std::string text;
  for (std::size_t member = 0; member < found.size(); ++member) {
    text += absl::StrFormat("%s%s %s", text.empty() ? "" : ", ", Federation::Name(member),
                            Grouped(found[member].live - found[member].missing));
  }
  return text;
}

}  // namespace

void CheckAllAnswered(std::span<const Journal> journals, Report& report) {
  std::int64_t sent = 0;
  std::int64_t unacknowledged = 0;
  for (const Journal& journal : journals) {
    sent += static_cast<std::int64_t>(journal.intents.size());
    unacknowledged += static_cast<std::int64_t>(Unacknowledged(journal).size());
  }
  report.Check(unacknowledged == 0,
               absl::StrFormat("%s writes sent by now, %s of them without an acknowledgement",
                               Grouped(sent), Grouped(unacknowledged)));
}

void ShowSettled(const Settled& settled, std::string_view since, Report& report) {
  report.Line(absl::StrFormat(
      "Right after the last answer the members hold, of %s acknowledged memories: %s.",
      Grouped(settled.at_once[0].live), Held(settled.at_once)));
  report.Check(settled.ok(),
               absl::StrFormat("without further writes all members hold all, %.2f s after %s",
                               settled.seconds, since));
  for (std::size_t member = 0; member < settled.in_the_end.size(); ++member) {
    for (const std::string& problem : settled.in_the_end[member].problems) {
      report.Line(absl::StrFormat("    member %s: %s", Federation::Name(member), problem));
    }
  }
}

std::string Behind(const MemberFindings& found) {
  std::string text;
  for (std::size_t member = 0; member < found.size(); ++member) {
    const Findings& one = found[member];
    text += absl::StrFormat("%s%s %d", text.empty() ? "" : ", ", Federation::Name(member),
                            one.missing + one.wrong + one.unexpected);
  }
  return text;
}

void SetFigures(const Settled& settled, const std::string& at, campaign::Figures& figures) {
  figures.Set(at + "/seconds", settled.seconds);
  for (std::size_t member = 0; member < settled.in_the_end.size(); ++member) {
    const Findings& found = settled.in_the_end[member];
    const std::string of = absl::StrFormat("%s/members/%s", at, Federation::Name(member));
    figures.Set(of + "/live", found.live);
    figures.Set(of + "/missing_at_once", settled.at_once[member].missing);
    figures.Set(of + "/missing", found.missing);
    figures.Set(of + "/wrong", found.wrong);
    figures.Set(of + "/unexpected", found.unexpected);
    figures.Set(of + "/doubled", found.doubled);
    figures.Set(of + "/unacknowledged", found.unacknowledged);
  }
}

}  // namespace aimem::demo
