#include "gmock/gmock.h"
#include "tests/cli/run.h"

namespace aimem::testing {
namespace {

using nlohmann::json;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

TEST_F(Cli, ArchiveListsWhatWasForgotten) {
  const std::string id = Store("one", "c", {"--tags", "x"});
  EXPECT_EQ(Succeed({"archive", "list"}).err, "no archived memories\n");
  Succeed({"forget", "-n", "ns"});
  const json list = Json({"archive", "list"});
  EXPECT_EQ(list["count"], 1);
  const json& archived = list["archived"][0];
  EXPECT_EQ(archived["id"], id);
  EXPECT_EQ(archived["archive_reason"], "forget");
  EXPECT_EQ(archived["tags"], "[\"x\"]");
  EXPECT_TRUE(archived["last_accessed_at"].is_null());
  EXPECT_TRUE(archived["expires_at"].is_string());
  EXPECT_EQ(archived["metadata"]["agent_id"], "tester");
  EXPECT_THAT(Succeed({"archive", "list"}).out,
              ContainsRegex("^\\[" + id.substr(0, 8) +
                            "\\] one \\(archived: [^)]+\\)\n1 archived memories\n$"));
  EXPECT_EQ(Json({"archive", "list", "-n", "other"})["count"], 0);
  EXPECT_EQ(Json({"archive", "list", "--offset", "1"})["count"], 0);
}

TEST_F(Cli, ArchiveRestoresAndTellsWhatIsNotThere) {
  const std::string id = Store("one");
  Succeed({"forget", "-n", "ns"});
  EXPECT_EQ(Json({"archive", "restore", id}), json({{"restored", true}, {"id", id}}));
  EXPECT_EQ(Json({"list"})["count"], 1);
  EXPECT_EQ(Fail(1, {"archive", "restore", "absent"}), "not found in archive: absent\n");
  const Ran miss = Run({"archive", "restore", "absent", "--json"});
  EXPECT_EQ(miss.code, 1);
  EXPECT_EQ(json::parse(miss.out), json({{"restored", false}, {"id", "absent"}}));
  Succeed({"forget", "-n", "ns"});
  EXPECT_EQ(Succeed({"archive", "restore", id}).out, "restored: " + id.substr(0, 8) + "\n");
  Succeed({"forget", "-n", "ns"});
  Store("one");
  EXPECT_THAT(Fail(1, {"archive", "restore", id}), HasSubstr("already exists in namespace 'ns'"));
}

TEST_F(Cli, ArchiveIsCountedAndPurged) {
  Store("one");
  Store("two");
  Succeed({"store", "-n", "other", "-T", "three", "-c", "c"});
  Succeed({"forget", "-t", "mid"});
  EXPECT_EQ(Json({"archive", "stats"}), json::parse(R"({"archived_total": 3, "by_namespace":
      [{"namespace": "ns", "count": 2}, {"namespace": "other", "count": 1}]})"));
  EXPECT_EQ(Succeed({"archive", "stats"}).out, "archived: 3 total\n  ns: 2\n  other: 1\n");
  EXPECT_EQ(Json({"archive", "purge", "--older-than-days", "1"}), json({{"purged", 0}}));
  EXPECT_THAT(Fail(1, {"archive", "purge", "--older-than-days", "-1"}),
              HasSubstr("older_than_days must be non-negative (got -1)"));
  EXPECT_EQ(Succeed({"archive", "purge"}).out, "purged 3 archived memories\n");
}

}  // namespace
}  // namespace aimem::testing
