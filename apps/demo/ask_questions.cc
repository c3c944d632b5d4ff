#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "apps/demo/phases.h"
#include "lib/base/status.h"

namespace aimem::demo {
namespace {

using campaign::Federation;
using campaign::Report;

constexpr int kHitsShown = 3;

struct Question {
  std::string_view text;
  std::string_view namespace_;  ///< Empty: everywhere.
  /// Must be among the hits that are shown.
  std::string_view answer;
};

constexpr Question kQuestions[] = {
    {"Why may we not deploy on a Friday?", "", "No deploys after Friday noon"},
    {"What went wrong with the payment webhooks?", "skerry/incidents",
     "Payment webhooks lost on 3 May"},
    {"How does Priya like her coffee?", "", "Priya Raman"},
    {"a quick vegan soup with lentils", "home/recipes", "Quick lentil soup"},
};

class Questions : public Phase {
 public:
  std::string_view name() const override { return "Ask four questions, each to another member"; }
  std::string_view proves() const override {
    return "every member finds what was written through the others.";
  }

  absl::Status Run(demo::Run& run, Report& report) override {
    std::size_t member = 0;
    for (const Question& question : kQuestions) {
      AIMEM_RETURN_IF_ERROR(Ask(run.trial->federation(), member, question, report));
      member = (member + 1) % Federation::kMembers;
    }
    return absl::OkStatus();
  }

 private:
  static absl::Status Ask(Federation& federation, std::size_t member, const Question& question,
                          Report& report) {
    const campaign::Stopwatch watch;
    AIMEM_ASSIGN_OR_RETURN(
        const std::vector<campaign::Recalled> hits,
        federation.api(member).Recall(question.text, question.namespace_, kHitsShown));
    report.figures().Set("/recall_ms/-", watch.Seconds() * 1000);
    report.Line("");
    report.Line(absl::StrFormat(
        "To %s: %s%s", Federation::Name(member), question.text,
        question.namespace_.empty() ? "" : absl::StrFormat("  (in %s)", question.namespace_)));
    bool found = false;
    int place = 0;
    for (const campaign::Recalled& hit : hits) {
      found = found || hit.title == question.answer;
      report.Line(absl::StrFormat("  %d. %s  [%s]  score %.2f", ++place, hit.title, hit.namespace_,
                                  hit.score));
      report.Line("     " + campaign::OneLine(hit.content, 88));
    }
    report.Check(found, absl::StrFormat("'%s' is among the first three", question.answer));
    return absl::OkStatus();
  }
};

}  // namespace

std::unique_ptr<Phase> AskQuestions() { return std::make_unique<Questions>(); }

}  // namespace aimem::demo
