#include "lib/text/analysis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/text/unicode.h"

namespace aimem::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Strings = std::vector<std::string>;

Analyzer Make(std::string_view language = kDefaultLanguage) {
  auto analyzer = Analyzer::Create(language);
  EXPECT_TRUE(analyzer.ok()) << analyzer.status();
  return std::move(analyzer).value();
}

Strings Terms(std::string_view text, std::string_view language = kDefaultLanguage) {
  Analyzer analyzer = Make(language);
  Strings terms;
  analyzer.Analyze(text, terms);
  return terms;
}

Strings Recall(std::string_view question) {
  return Make().AnalyzeQuestion(question, QuestionKind::kRecall);
}

TEST(Analyzer, SplitsOnEverythingNotAlphanumeric) {
  EXPECT_THAT(Terms("well-known"), ElementsAre("well", "known").empty()
                                       ? IsEmpty()
                                       : ElementsAre("well", "know"));
}

}  // namespace
}  // namespace aimem::text
