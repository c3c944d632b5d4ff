// boot: what a session begins with.
#include <fstream>

#include "aimem/backends/sqlite.h"
#include "aimem/store.h"
#include "gmock/gmock.h"
#include "tests/cli/run.h"

namespace aimem::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class Boot : public Cli {
 protected:
  void SetStandard(const std::string& namespace_, const std::string& memory_id) {
    auto store = OpenSqliteStore((folder() / "ai-memory.db").string());
    ASSERT_TRUE(store.ok()) << store.status();
    const WriteResult set =
        (*store)->Write(aimem::SetStandard{.namespace_ = namespace_, .memory_id = memory_id});
    ASSERT_TRUE(set.status.ok()) << set.status;
    ASSERT_TRUE((*store)->Close().ok());
  }

  std::string StoreIn(const std::string& namespace_, const std::string& title,
                      const std::string& content, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"store", "-n", namespace_, "-T", title, "-c", content});
    return Json(more).value("id", "");
  }
};

TEST_F(Boot, IsSilentWhereNothingIsRemembered) {
  for (const std::string format : {"text", "json", "toon", "toon_compact"}) {
    const Ran none = Run({"boot", "-n", "web", "--format", format});
    EXPECT_EQ(none.code, 0);
    EXPECT_EQ(none.out + none.err, "") << "there is no database";
  }
  EXPECT_FALSE(exists(folder() / "ai-memory.db"));
  Store("a title");
  const Ran empty = Run({"boot", "-n", "web"});
  EXPECT_EQ(empty.code, 0);
  EXPECT_EQ(empty.out + empty.err, "") << "nothing of this namespace";
}

TEST_F(Boot, ABrokenDatabaseDoesNotBreakTheSession) {
  std::ofstream(folder() / "ai-memory.db") << std::string(8'192, 'x');
  const Ran ran = Run({"boot", "-n", "web"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out, "");
  EXPECT_THAT(ran.err, StartsWith("aimem: a session without memories: "));
}

TEST_F(Boot, WrongOptionsAreErrors) {
  EXPECT_EQ(Fail(1, {"boot", "--format", "xml"}),
            "Error: invalid format: xml (use text, json, toon, toon_compact)\n");
  EXPECT_EQ(Fail(1, {"boot", "--limit", "51"}), "Error: limit must be 0 to 50 (got 51)\n");
  EXPECT_EQ(Fail(1, {"boot", "--budget-tokens", "99"}),
            "Error: budget-tokens must be 100 to 100000 (got 99)\n");
}

TEST_F(Boot, ShowsStandardsThenMemoriesByPriority) {
  const std::string house = StoreIn("x", "House rules", "Run both suites.\nNo force push.");
  const std::string own = StoreIn("org/web", "Web rules", "Two reviewers.", {"-p", "10"});
  SetStandard("*", house);
  SetStandard("org/web", own);
  StoreIn("org/web", "Cache", "64 MB.", {"-p", "3"});
  StoreIn("org/web", "Deploys", "Tuesdays.\nAfter 14:00.", {"-p", "8", "-t", "long"});
  StoreIn("org", "Not here", "of the namespace above");
  EXPECT_EQ(Succeed({"boot", "-n", "org/web"}).out,
            "What is remembered of org/web:\n"
            "\n"
            "Standards, from general to specific:\n"
            "\n"
            "## House rules\n"
            "Run both suites.\n"
            "No force push.\n"
            "\n"
            "## Web rules\n"
            "Two reviewers.\n"
            "\n"
            "Memories, the most important ones first:\n"
            "\n"
            "- Deploys (long, priority 8): Tuesdays.\n"
            "  After 14:00.\n"
            "- Cache (mid, priority 3): 64 MB.\n");
}

TEST_F(Boot, AnswersAsSessionStartInJsonAndToon) {
  const std::string house = StoreIn("x", "House rules", "Run both: always.");
  SetStandard("*", house);
  const std::string id = StoreIn("web", "Cache", "64 MB.", {"--tags", "a,b"});
  const json answer = Json({"boot", "-n", "web"});
  EXPECT_EQ(answer["mode"], "session_start");
  EXPECT_EQ(answer["count"], 1);
  EXPECT_EQ(answer["memories"][0]["id"], id);
  EXPECT_EQ(answer["memories"][0]["content"], "64 MB.");
  EXPECT_EQ(answer["memories"][0]["score"], 0.0);
  EXPECT_EQ(answer["standard"],
            json({{"id", house}, {"title", "House rules"}, {"content", "Run both: always."}}));
  EXPECT_EQ(Succeed({"boot", "-n", "web", "--format", "toon_compact"}).out,
            "count:1|mode:session_start|budget_tokens:2000\n"
            "standards[id|title|content]:\n" +
                house +
                "|House rules|Run both\\: always.\n"
                "memories[id|title|tier|namespace|priority|score|tags|agent_id]:\n" +
                id + "|Cache|mid|web|5|0.0|a,b|tester\n");
  EXPECT_THAT(Succeed({"boot", "-n", "web", "--format", "toon"}).out,
              HasSubstr("|confidence|score|access_count|"));
}

TEST_F(Boot, WithoutANamespaceShowsTheFoldersThenTheCommonOne) {
  StoreIn("global", "Tea", "Green.", {"-p", "9"});
  StoreIn(folder().filename().string(), "Here", "Of this folder.");
  const std::string shown = Succeed({"boot"}).out;
  EXPECT_THAT(shown, HasSubstr("- Here (mid, priority 5): Of this folder.\n"
                               "- Tea (mid, priority 9, of global): Green.\n"));
  EXPECT_THAT(Succeed({"boot", "--limit", "1"}).out,
              AllOf(HasSubstr("Here"), Not(HasSubstr("Tea"))));
}

TEST_F(Boot, LongContentIsCutAndSaysWhereTheRestIs) {
  const std::string id = StoreIn("web", "Long", std::string(1'000, 'y'));
  EXPECT_THAT(Succeed({"boot", "-n", "web"}).out,
              HasSubstr(": " + std::string(400, 'y') + "… (whole: " + id + ")\n"));
}

TEST_F(Boot, KeepsToItsBudgetAndSkipsWhatDoesNotFit) {
  StoreIn("web", "Large", std::string(380, 'y'), {"-p", "9"});
  StoreIn("web", "Small", "fits", {"-p", "2"});
  const std::string text = Succeed({"boot", "-n", "web", "--budget-tokens", "100"}).out;
  EXPECT_LE(text.size(), 400u);
  EXPECT_THAT(text, AllOf(HasSubstr("- Small (mid, priority 2): fits\n"), Not(HasSubstr("Large")),
                          HasSubstr("Left out for want of tokens: 1.\n")));
  EXPECT_EQ(Json({"boot", "-n", "web", "--budget-tokens", "150"})["left_out"], 1);
  for (const std::string format : {"text", "json", "toon", "toon_compact"}) {
    for (const int budget : {100, 120, 150, 200, 300}) {
      const std::string shown = Succeed({"boot", "-n", "web", "--budget-tokens",
                                         std::to_string(budget), "--format", format})
                                    .out;
      EXPECT_LE(shown.size(), 4u * static_cast<unsigned>(budget)) << format;
      EXPECT_THAT(shown, Not(IsEmpty())) << format;
    }
  }
}

TEST_F(Boot, LooksWithoutCountingAUse) {
  const std::string id = StoreIn("web", "Cache", "64 MB.");
  Succeed({"boot", "-n", "web"});
  EXPECT_EQ(Json({"get", id})["memory"]["access_count"], 0);
}

}  // namespace
}  // namespace aimem::testing
