#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/local_store.h"
#include "aimem/store_decorator.h"
#include "aimem/testing/manual_clock.h"
#include "tests/mcp/client.h"
#include "tests/support/eventually.h"

namespace aimem {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Json;
using testing::McpClient;

class McpTools : public ::testing::Test {
 protected:
  ~McpTools() override {
    EXPECT_TRUE(client_.End().ok());
    EXPECT_TRUE(store_->Close().ok());
  }

  std::string Store(const Json& arguments) {
    const Json result = client_.Call("memory_store", arguments);
    EXPECT_FALSE(result.contains("isError")) << result;
    return Json::parse(result["content"][0]["text"].get<std::string>())["id"];
  }
  std::string Text(const Json& result) { return result["content"][0]["text"]; }

  ManualClock clock_{absl::FromUnixSeconds(1'772'366'400)};
  std::unique_ptr<aimem::Store> store_ =
      *OpenLocalStore(OpenEphemeralBackend(), {.environment = {.clock = &clock_}});
  McpClient client_{*store_,
                    {.host_name = "dev1", .version = "9.9", .environment = {.clock = &clock_}}};
};

// -- The list -------------------------------------------------------------------------------------

TEST_F(McpTools, AreThe36OfUpstreamInItsOrder) {
  const Json tools = client_.Ask("tools/list")["result"]["tools"];
  std::vector<std::string> names;
  for (const Json& tool : tools) names.push_back(tool["name"]);
  EXPECT_THAT(
      names,
      ElementsAre("memory_store", "memory_recall", "memory_search", "memory_list", "memory_delete",
                  "memory_promote", "memory_forget", "memory_stats", "memory_update", "memory_get",
                  "memory_link", "memory_get_links", "memory_consolidate", "memory_capabilities",
                  "memory_expand_query", "memory_auto_tag", "memory_detect_contradiction",
                  "memory_archive_list", "memory_archive_restore", "memory_archive_purge",
                  "memory_archive_stats", "memory_gc", "memory_session_start",
                  "memory_namespace_set_standard", "memory_namespace_get_standard",
                  "memory_namespace_clear_standard", "memory_pending_list",
                  "memory_pending_approve", "memory_pending_reject", "memory_agent_register",
                  "memory_agent_list", "memory_notify", "memory_inbox", "memory_subscribe",
                  "memory_unsubscribe", "memory_list_subscriptions"));
  for (const Json& tool : tools) {
    std::set<std::string> keys;
    for (const auto& [key, value] : tool.items()) keys.insert(key);
    EXPECT_THAT(keys, ElementsAre("description", "inputSchema", "name"));
    EXPECT_EQ(tool["inputSchema"]["type"], "object");
  }
}

TEST_F(McpTools, AreTheSameBytesEachTime) {
  const std::string first = client_.Ask("tools/list")["result"].dump();
  EXPECT_EQ(client_.Ask("tools/list", {{"cursor", "x"}})["result"].dump(), first);
  McpClient another(*store_);
  EXPECT_EQ(another.Ask("tools/list")["result"].dump(), first);
}

TEST_F(McpTools, SchemasNameWhatIsRequiredAndHideWhatUpstreamHides) {
  const Json tools = client_.Ask("tools/list")["result"]["tools"];
  const auto schema = [&](const char* name) {
    for (const Json& tool : tools) {
      if (tool["name"] == name) return tool["inputSchema"];
    }
    return Json();
  };
  EXPECT_EQ(schema("memory_store")["required"], (Json{"title", "content"}));
  EXPECT_EQ(schema("memory_recall")["properties"]["budget_tokens"]["minimum"], 1);
  EXPECT_EQ(schema("memory_recall")["properties"]["format"]["default"], "toon_compact");
  EXPECT_FALSE(schema("memory_delete")["properties"].contains("agent_id"));
  EXPECT_FALSE(schema("memory_stats").contains("required"));
}

TEST_F(McpTools, CoreShowsSevenAndKnowsNoOther) {
  McpClient core(*store_, {.profile = McpProfile::kCore});
  EXPECT_EQ(core.Ask("tools/list")["result"]["tools"].size(), 7u);
  EXPECT_EQ(core.Error("memory_forget", {{"namespace", "x"}}), "unknown tool: memory_forget");
}

TEST_F(McpTools, LaterRevisionsDescribeMore) {
  McpClient march(*store_);
  march.Initialize("2025-03-26");
  const Json annotated = march.Ask("tools/list")["result"]["tools"][0];
  EXPECT_EQ(annotated["annotations"]["readOnlyHint"], false);
  EXPECT_FALSE(annotated.contains("outputSchema"));
  EXPECT_EQ(march.Ask("tools/list", {{"cursor", ""}})["error"]["code"], -32'602);
  McpClient june(*store_);
  june.Initialize("2025-06-18");
  const Json described = june.Ask("tools/list")["result"]["tools"][0];
  EXPECT_EQ(described["outputSchema"]["type"], "object");
  EXPECT_EQ(described["title"], "Store a memory");
}

// -- Errors ---------------------------------------------------------------------------------------

TEST_F(McpTools, AnUnknownToolAndABadCallAreSaid) {
  EXPECT_EQ(client_.Error("memory_fly"), "unknown tool: memory_fly");
  for (const Json& params : {Json::object(), Json{{"name", ""}}, Json{{"name", 7}}}) {
    const Json error = client_.Ask("tools/call", params)["error"];
    EXPECT_EQ(error["code"], -32'602);
    EXPECT_EQ(error["message"], "missing or empty tool name");
  }
  EXPECT_EQ(
      client_.Ask("tools/call", {{"name", "memory_stats"}, {"arguments", 7}})["result"].contains(
          "isError"),
      false);
  McpClient later(*store_);
  later.Initialize("2025-11-25");
  EXPECT_EQ(later.Ask("tools/call", {{"name", "memory_fly"}})["error"]["code"], -32'602);
  EXPECT_EQ(later.Ask("tools/call", {{"name", "memory_stats"}, {"arguments", 7}})["error"]["code"],
            -32'602);
}

TEST_F(McpTools, WhatIsMissingOrOfAnotherTypeIsRefusedAndNotGuessed) {
  EXPECT_EQ(client_.Error("memory_store", {{"content", "c"}}), "title is required");
  EXPECT_EQ(client_.Error("memory_store", {{"title", nullptr}, {"content", "c"}}),
            "title is required");
  const auto refused = [&](const char* key, const Json& value) {
    return client_.Error("memory_store", {{"title", "t"}, {"content", "c"}, {key, value}});
  };
  EXPECT_EQ(refused("priority", "7"), "priority must be an integer (got \"7\")");
  EXPECT_EQ(refused("priority", 7.5), "priority must be an integer (got 7.5)");
  EXPECT_EQ(refused("tags", "a,b"), "tags must be an array of strings (got \"a,b\")");
  EXPECT_EQ(refused("tags", Json{"a", 1}), "tags must be an array of strings (got [\"a\",1])");
  EXPECT_THAT(refused("tier", "forever"), HasSubstr("invalid tier: forever"));
  EXPECT_THAT(refused("priority", 99'999'999'999), HasSubstr("priority"));
  EXPECT_THAT(refused("source", "nowhere"), HasSubstr("source"));
  EXPECT_THAT(client_.Error("memory_forget", {{"tier", "lonng"}, {"namespace", "x"}}),
              HasSubstr("invalid tier"));
  EXPECT_THAT(client_.Error("memory_list", {{"limit", -1}}), HasSubstr("limit"));
  EXPECT_EQ(client_.Value("memory_stats")["total"], 0);
  // 7.0 is an integer, and what has no value is as good as missing.
  Store(
      {{"title", "t"}, {"content", "c"}, {"priority", 7.0}, {"tags", nullptr}, {"metadata", "x"}});
  EXPECT_EQ(client_.Value("memory_list", {{"format", "json"}})["memories"][0]["priority"], 7);
}

TEST_F(McpTools, LaterRevisionsNameTheKindOfAnError) {
  McpClient later(*store_);
  later.Initialize("2025-06-18");
  const Json result = later.Call("memory_get", {{"id", "absent"}});
  EXPECT_EQ(Text(result), "memory not found");
  EXPECT_EQ(result["_meta"]["aimem/code"], "not_found");
  EXPECT_FALSE(result.contains("structuredContent"));
}

TEST_F(McpTools, WithoutAModelTheToolsOfModelsSaySo) {
  EXPECT_EQ(client_.Error("memory_expand_query"),
            "query expansion requires smart or autonomous tier (Ollama LLM)");
  EXPECT_EQ(client_.Error("memory_auto_tag", {{"id", "x"}}),
            "auto-tagging requires smart or autonomous tier (Ollama LLM)");
  EXPECT_EQ(client_.Error("memory_detect_contradiction"),
            "contradiction detection requires smart or autonomous tier (Ollama LLM)");
  const Json can = client_.Value("memory_capabilities");
  EXPECT_EQ(can["tier"], "keyword");
  EXPECT_EQ(can["features"]["query_expansion"], false);
}

// -- Keeping and finding --------------------------------------------------------------------------

TEST_F(McpTools, WhatIsStoredIsRecalledByWhoStoredItAndAsToonUnlessAsked) {
  client_.Initialize("2024-11-05", "Claude Code");
  const Json stored = client_.Value("memory_store", {{"title", "Cache size"},
                                                     {"content", "sixteen: at most"},
                                                     {"tags", {"redis", "tuning"}},
                                                     {"namespace", "shop/api"},
                                                     {"tier", "long"},
                                                     {"priority", 8}});
  const std::string id = stored["id"];
  EXPECT_EQ(stored, (Json{{"agent_id", "ai:Claude-Code@dev1"},
                          {"id", id},
                          {"namespace", "shop/api"},
                          {"tier", "long"},
                          {"title", "Cache size"}}));
  const Json recalled =
      client_.Value("memory_recall", {{"context", "cache size"}, {"format", "json"}});
  EXPECT_EQ(recalled["count"], 1);
  EXPECT_EQ(recalled["mode"], "keyword");
  EXPECT_EQ(recalled["memories"][0]["content"], "sixteen: at most");
  const std::string toon = Text(client_.Call("memory_recall", {{"context", "cache"}}));
  EXPECT_TRUE(absl::StartsWith(toon,
                               "count:1|mode:keyword|tokens_used:6\n"
                               "memories[id|title|tier|namespace|priority|score|tags|"
                               "agent_id]:\n"))
      << toon;
  EXPECT_TRUE(absl::EndsWith(toon, "|redis,tuning|ai\\:Claude-Code@dev1\n")) << toon;
  EXPECT_EQ(client_.Value("memory_get", {{"id", id.substr(0, 8)}})["title"], "Cache size");
  EXPECT_TRUE(absl::StartsWith(
      Text(client_.Call("memory_search", {{"query", "cache"}, {"format", "toon"}})),
      "count:1\nmemories[id|title|tier|namespace|priority|confidence|score|"));
}

TEST_F(McpTools, ARecallCountsAsAUseAndASearchDoesNot) {
  const std::string id = Store({{"title", "oven"}, {"content", "hot"}});
  client_.Call("memory_search", {{"query", "oven"}});
  client_.Call("memory_list");
  client_.Call("memory_session_start");
  client_.Call("memory_recall", {{"context", "oven"}});
  // It is written lazily.
  EXPECT_TRUE(testing::Eventually([&] {
    return client_.Value("memory_get", {{"id", id}})["access_count"] == 1;
  }));
}

TEST_F(McpTools, TheSameNameUpdatesAndSaysSo) {
  const std::string id = Store({{"title", "t"}, {"content", "one"}});
  const Json again = client_.Value("memory_store", {{"title", "t"}, {"content", "two"}});
  EXPECT_EQ(again["id"], id);
  EXPECT_EQ(again["duplicate"], true);
  EXPECT_EQ(again["action"], "updated existing memory");
  EXPECT_EQ(client_.Value("memory_get", {{"id", id}})["content"], "two");
}

TEST_F(McpTools, AStoreNamesWhatMayContradictIt) {
  const std::string id = Store({{"title", "oven temperature"}, {"content", "200"}});
  const Json other =
      client_.Value("memory_store", {{"title", "temperature of the oven"}, {"content", "180"}});
  EXPECT_EQ(other["potential_contradictions"], Json::array({id}));
}

TEST_F(McpTools, UpdatePromoteLinkConsolidateForgetAndRestore) {
  const std::string a = Store({{"title", "a"}, {"content", "red"}, {"namespace", "x/y"}});
  const std::string b = Store({{"title", "b"}, {"content", "blue"}, {"namespace", "x/y"}});
  EXPECT_EQ(client_.Value("memory_update", {{"id", a}, {"content", "green"}})["memory"]["content"],
            "green");
  EXPECT_EQ(client_.Value("memory_promote", {{"id", a}}),
            (Json{{"promoted", true}, {"mode", "tier"}, {"id", a}, {"tier", "long"}}));
  const Json clone = client_.Value("memory_promote", {{"id", b}, {"to_namespace", "x"}});
  EXPECT_EQ(clone["source_id"], b);
  EXPECT_NE(clone["clone_id"], b);
  EXPECT_EQ(client_.Error("memory_promote", {{"id", b}, {"to_namespace", ""}}),
            "to_namespace cannot be empty");
  EXPECT_EQ(client_.Value("memory_link", {{"source_id", a}, {"target_id", b}})["relation"],
            "related_to");
  EXPECT_EQ(client_.Value("memory_get_links", {{"id", a}})["count"], 1);
  EXPECT_EQ(client_.Value("memory_get_links", {{"id", "unknown"}})["count"], 0);
  EXPECT_EQ(client_.Error("memory_consolidate", {{"ids", {a, b}}, {"title", "ab"}}),
            "summary is required (or use smart/autonomous tier for auto-summarization)");
  const Json merged = client_.Value(
      "memory_consolidate",
      {{"ids", {a, b}}, {"title", "ab"}, {"summary", "colours"}, {"namespace", "x/y"}});
  EXPECT_EQ(merged["consolidated"], 2);
  EXPECT_EQ(client_.Value("memory_archive_list")["count"], 2);
  EXPECT_EQ(client_.Value("memory_archive_stats")["archived_total"], 2);
  EXPECT_EQ(client_.Error("memory_archive_restore", {{"id", "unknown"}}), "not found in archive");
  EXPECT_EQ(client_.Value("memory_archive_restore", {{"id", a}}),
            (Json{{"restored", true}, {"id", a}}));
  EXPECT_EQ(client_.Error("memory_forget"),
            "at least one of namespace, pattern, or tier is required");
  EXPECT_EQ(client_.Value("memory_forget", {{"namespace", "x/y"}, {"dry_run", true}}),
            (Json{{"would_delete", 2}, {"dry_run", true}}));
  EXPECT_EQ(client_.Value("memory_stats")["total"], 3);
  EXPECT_EQ(client_.Value("memory_forget", {{"namespace", "x/y"}}),
            (Json{{"deleted", 2}, {"archived", true}}));
  EXPECT_EQ(client_.Value("memory_archive_purge", {{"older_than_days", 1}})["purged"], 0);
  EXPECT_EQ(client_.Value("memory_archive_purge")["purged"], 3);
  EXPECT_EQ(client_.Value("memory_delete", {{"id", clone["clone_id"]}}), (Json{{"deleted", true}}));
  EXPECT_EQ(client_.Value("memory_stats")["total"], 0);
}

TEST_F(McpTools, CollectingCountsFirst) {
  Store({{"title", "brief"}, {"content", "c"}, {"tier", "short"}});
  Store({{"title", "long"}, {"content", "c"}, {"tier", "long"}});
  clock_.Advance(absl::Hours(7));
  EXPECT_EQ(client_.Value("memory_gc", {{"dry_run", true}}),
            (Json{{"collected", 1}, {"dry_run", true}}));
  EXPECT_EQ(client_.Value("memory_stats")["total"], 2);
  EXPECT_EQ(client_.Value("memory_gc"), (Json{{"collected", 1}, {"dry_run", false}}));
  EXPECT_EQ(client_.Value("memory_stats")["total"], 1);
}

TEST_F(McpTools, StandardsComeFirstAndNotTwice) {
  const std::string rules =
      Store({{"title", "House rules"}, {"content", "Always run tests"}, {"namespace", "shop"}});
  const std::string all = Store({{"title", "Everywhere"}, {"content", "Be tests"}});
  Store({{"title", "tests"}, {"content", "are slow"}, {"namespace", "shop"}});
  EXPECT_EQ(client_.Value("memory_namespace_get_standard", {{"namespace", "shop"}}),
            (Json{{"namespace", "shop"}, {"standard_id", nullptr}}));
  EXPECT_EQ(
      client_.Value("memory_namespace_set_standard", {{"namespace", "shop"}, {"id", rules}})["set"],
      true);
  client_.Call("memory_namespace_set_standard", {{"namespace", "*"}, {"id", all}});
  EXPECT_EQ(client_.Value("memory_namespace_get_standard", {{"namespace", "shop"}})["title"],
            "House rules");
  const Json chain = client_.Value("memory_namespace_get_standard",
                                   {{"namespace", "shop/api"}, {"inherit", true}});
  EXPECT_EQ(chain["chain"], (Json{"*", "shop", "shop/api"}));
  EXPECT_EQ(chain["count"], 2);
  const Json recalled = client_.Value(
      "memory_recall", {{"context", "tests"}, {"namespace", "shop"}, {"format", "json"}});
  EXPECT_EQ(recalled["count"], 1);
  EXPECT_EQ(recalled["standards"][0]["title"], "Everywhere");
  EXPECT_EQ(recalled["standards"][1]["content"], "Always run tests");
  EXPECT_EQ(recalled["tokens_used"], 3);
  const std::string toon = Text(client_.Call("memory_session_start", {{"namespace", "shop"}}));
  EXPECT_THAT(toon, HasSubstr("count:1|mode:session_start\nstandards[id|title|content]:\n"));
  EXPECT_EQ(client_.Value("memory_namespace_clear_standard", {{"namespace", "shop"}})["cleared"],
            true);
  EXPECT_EQ(client_.Value("memory_namespace_clear_standard", {{"namespace", "shop"}})["cleared"],
            false);
}

TEST_F(McpTools, ARecallThatFindsNothingSaysWhyWhereTheRevisionAllows) {
  EXPECT_FALSE(
      client_.Value("memory_recall", {{"context", "zebra"}, {"format", "json"}}).contains("hint"));
  McpClient later(*store_);
  later.Initialize("2025-06-18");
  const Json result = later.Call("memory_recall", {{"context", "zebra"}});
  EXPECT_EQ(result["structuredContent"]["nothing_found"], "no_such_word");
  EXPECT_TRUE(result["structuredContent"].contains("hint"));
}

// -- Agents ---------------------------------------------------------------------------------------

TEST_F(McpTools, MessagesNeverMergeAndAreReadOnce) {
  client_.Initialize("2024-11-05", "alice");
  const Json sent = client_.Value(
      "memory_notify", {{"target_agent_id", "bob"}, {"title", "hello"}, {"payload", "one"}});
  EXPECT_EQ(sent["from"], "ai:alice@dev1");
  EXPECT_EQ(sent["namespace"], "_messages/bob");
  client_.Initialize("2024-11-05", "carol");
  clock_.Advance(absl::Seconds(1));
  client_.Value("memory_notify",
                {{"target_agent_id", "bob"}, {"title", "hello"}, {"payload", "two"}});
  const Json inbox = client_.Value("memory_inbox", {{"agent_id", "bob"}});
  ASSERT_EQ(inbox["count"], 2);
  EXPECT_EQ(inbox["messages"][0]["payload"], "two");
  EXPECT_EQ(inbox["messages"][0]["from"], "ai:carol@dev1");
  EXPECT_EQ(inbox["messages"][1]["title"], "hello");
  EXPECT_EQ(inbox["messages"][1]["read"], false);
  // Of the unread ones, not of all, so many.
  const Json one =
      client_.Value("memory_inbox", {{"agent_id", "bob"}, {"limit", 1}, {"mark_read", true}});
  EXPECT_EQ(one["count"], 1);
  const Json rest =
      client_.Value("memory_inbox", {{"agent_id", "bob"}, {"unread_only", true}, {"limit", 1}});
  ASSERT_EQ(rest["count"], 1);
  EXPECT_EQ(rest["messages"][0]["payload"], "one");
  EXPECT_THAT(client_.Error("memory_notify",
                            {{"target_agent_id", "b b"}, {"title", "t"}, {"payload", "p"}}),
              HasSubstr("agent_id contains invalid character"));
}

TEST_F(McpTools, AgentsRegister) {
  EXPECT_EQ(client_.Value("memory_agent_register",
                          {{"agent_id", "alice"}, {"agent_type", "human"}})["registered"],
            true);
  const Json agents = client_.Value("memory_agent_list");
  EXPECT_EQ(agents["count"], 1);
  EXPECT_EQ(agents["agents"][0]["agent_id"], "alice");
}

// -- Governance -----------------------------------------------------------------------------------

TEST_F(McpTools, WhatNeedsApprovalWaitsAndIsDecided) {
  const std::string rules = Store({{"title", "rules"}, {"content", "ask"}, {"namespace", "shop"}});
  const std::string kept = Store({{"title", "kept"}, {"content", "c"}, {"namespace", "shop"}});
  EXPECT_THAT(
      client_.Error("memory_namespace_set_standard",
                    {{"namespace", "shop"}, {"id", rules}, {"governance", {{"write", "x"}}}}),
      HasSubstr("invalid governance: "));
  client_.Value("memory_namespace_set_standard", {{"namespace", "shop"},
                                                  {"id", rules},
                                                  {"governance",
                                                   {{"write", "approve"},
                                                    {"promote", "registered"},
                                                    {"delete", "owner"},
                                                    {"approver", "human"}}}});
  const Json waiting = client_.Value(
      "memory_store",
      {{"title", "new"}, {"content", "c"}, {"namespace", "shop"}, {"agent_id", "alice"}});
  const std::string id = waiting["pending_id"];
  EXPECT_EQ(waiting, (Json{{"status", "pending"},
                           {"pending_id", id},
                           {"reason", "governance requires approval"},
                           {"action", "store"},
                           {"namespace", "shop"}}));
  EXPECT_EQ(client_.Value("memory_list", {{"namespace", "shop"}, {"format", "json"}})["count"], 2);
  const Json listed = client_.Value("memory_pending_list", {{"status", "pending"}});
  ASSERT_EQ(listed["count"], 1);
  EXPECT_EQ(listed["pending"][0]["requested_by"], "alice");
  EXPECT_EQ(listed["pending"][0]["payload"]["title"], "new");
  const Json approved = client_.Value("memory_pending_approve", {{"id", id}, {"agent_id", "bob"}});
  EXPECT_EQ(approved["approved"], true);
  EXPECT_EQ(approved["decided_by"], "bob");
  EXPECT_EQ(client_.Value("memory_get", {{"id", approved["memory_id"]}})["title"], "new");
  EXPECT_THAT(client_.Error("memory_pending_approve", {{"id", id}, {"agent_id", "bob"}}),
              HasSubstr("already decided: status=approved"));
  EXPECT_THAT(client_.Error("memory_pending_reject", {{"id", "none"}}),
              HasSubstr("pending action not found or already decided: none"));
  EXPECT_THAT(client_.Error("memory_pending_list", {{"status", "odd"}}),
              HasSubstr("invalid status"));
  EXPECT_THAT(client_.Error("memory_delete", {{"id", kept}, {"agent_id", "mallory"}}),
              HasSubstr("delete denied by governance: "));
  EXPECT_THAT(client_.Error("memory_promote", {{"id", kept}}),
              HasSubstr("is not a registered agent"));
  const Json second = client_.Value(
      "memory_store",
      {{"title", "newer"}, {"content", "c"}, {"namespace", "shop"}, {"agent_id", "alice"}});
  EXPECT_EQ(client_.Value("memory_pending_reject",
                          {{"id", second["pending_id"]}, {"agent_id", "alice"}})["rejected"],
            true);
  EXPECT_EQ(client_.Value("memory_pending_list", {{"status", "rejected"}})["count"], 1);
}

/// Lists nothing.
class Unlisted final : public StoreDecorator {
 public:
  explicit Unlisted(aimem::Store& below) : below_(below) {}
  absl::StatusOr<ListResult> List(const ListRequest&) override {
    return absl::UnavailableError("not just now");
  }

 private:
  aimem::Store& below() override { return below_; }
  aimem::Store& below_;
};

TEST_F(McpTools, VoteThatIsWrittenIsNoErrorWhereTheActionCannotBeRead) {
  const std::string rules = Store({{"title", "rules"}, {"content", "c"}, {"namespace", "shop"}});
  client_.Value("memory_namespace_set_standard", {{"namespace", "shop"},
                                                  {"id", rules},
                                                  {"governance",
                                                   {{"write", "approve"},
                                                    {"promote", "any"},
                                                    {"delete", "any"},
                                                    {"approver", {{"consensus", 2}}}}}});
  client_.Value("memory_agent_register", {{"agent_id", "bob"}, {"agent_type", "human"}});
  const Json waiting = client_.Value(
      "memory_store",
      {{"title", "new"}, {"content", "c"}, {"namespace", "shop"}, {"agent_id", "alice"}});
  const std::string id = waiting["pending_id"];
  Unlisted unlisted(*store_);
  McpClient client(unlisted, {.environment = {.clock = &clock_}});
  EXPECT_EQ(client.Value("memory_pending_approve", {{"id", id}, {"agent_id", "bob"}}),
            (Json{{"approved", false},
                  {"status", "pending"},
                  {"id", id},
                  {"reason", "consensus threshold not yet reached"}}));
  EXPECT_TRUE(client.End().ok());
  EXPECT_EQ(client_.Value("memory_pending_list")["pending"][0]["approvals"].size(), 1u);
}

// -- Receipts, and the same again -----------------------------------------------------------------

TEST_F(McpTools, LaterRevisionsGetAReceiptOfEachWrite) {
  McpClient later(*store_);
  later.Initialize("2025-03-26");
  const Json stored = later.Value("memory_store", {{"title", "t"}, {"content", "c"}});
  EXPECT_EQ(stored["receipt"]["outcome"], "COMMITTED");
  EXPECT_EQ(stored["receipt"]["durable"], "durable here");
  const auto operation = Id128::Parse(stored["receipt"]["operation_id"].get<std::string>());
  ASSERT_TRUE(operation.has_value());
  EXPECT_TRUE(store_->GetOperation(*operation, absl::ZeroDuration()).ok());
}

TEST_F(McpTools, ARetryWithTheSameRequestIdHasOneEffect) {
  client_.Initialize("2025-06-18");
  const Json meta = {{"aimem/requestId", "r-1"}};
  const Json arguments = {{"title", "t"}, {"content", "c"}};
  const Json first = client_.Call("memory_store", arguments, meta)["structuredContent"];
  client_.Call("memory_delete", {{"id", first["id"]}});
  const Json again = client_.Call("memory_store", arguments, meta)["structuredContent"];
  EXPECT_EQ(again["receipt"]["operation_id"], first["receipt"]["operation_id"]);
  EXPECT_EQ(again["receipt"]["replayed"], true);
  EXPECT_EQ(client_.Value("memory_stats")["total"], 0);
  const Json other = client_.Call("memory_store", {{"title", "u"}, {"content", "c"}}, meta);
  EXPECT_EQ(other["isError"], true);

  const Json message = {{"target_agent_id", "bob"}, {"title", "t"}, {"payload", "p"}};
  const Json notify = {{"aimem/requestId", "r-2"}};
  const Json sent = client_.Call("memory_notify", message, notify)["structuredContent"];
  clock_.Advance(absl::Minutes(1));
  const Json resent = client_.Call("memory_notify", message, notify)["structuredContent"];
  EXPECT_EQ(resent["id"], sent["id"]);
  EXPECT_EQ(resent["delivered_at"], sent["delivered_at"]);
  EXPECT_EQ(resent["receipt"]["replayed"], true);
  const Json to_another = {{"target_agent_id", "carol"}, {"title", "t"}, {"payload", "p"}};
  EXPECT_EQ(client_.Call("memory_notify", to_another, notify).value("isError", false), true);
  EXPECT_EQ(client_.Value("memory_inbox", {{"agent_id", "bob"}})["count"], 1);
}

// -- What is structured ---------------------------------------------------------------------------

std::string TypeName(const Json& value) {
  if (value.is_string()) return "string";
  if (value.is_boolean()) return "boolean";
  if (value.is_array()) return "array";
  if (value.is_object()) return "object";
  if (value.is_number_integer()) return "integer";
  return value.is_number() ? "number" : "null";
}

// As much of JSON Schema as the tools use.
void ExpectMatches(const Json& value, const Json& schema, const std::string& of) {
  for (const Json& key : schema.value("required", Json::array())) {
    EXPECT_TRUE(value.contains(key.get<std::string>())) << of << " lacks " << key;
  }
  for (const auto& [key, property] : schema["properties"].items()) {
    if (!value.contains(key)) continue;
    EXPECT_EQ(TypeName(value[key]), property["type"]) << of << "." << key;
    for (const Json& item : value[key].is_array() ? value[key] : Json::array()) {
      EXPECT_EQ(TypeName(item), property["items"]["type"]) << of << "." << key;
    }
  }
}

TEST_F(McpTools, WhatIsStructuredMatchesItsSchemaAndItsText) {
  McpClient later(*store_);
  later.Initialize("2025-11-25");
  const std::string a = Store({{"title", "red"}, {"content", "c"}, {"namespace", "x/y"}});
  const std::string b = Store({{"title", "red too"}, {"content", "c"}, {"namespace", "x/y"}});
  const std::string c = Store({{"title", "rules"}, {"content", "c"}, {"namespace", "x"}});
  const std::vector<std::pair<std::string, Json>> calls = {
      {"memory_store", {{"title", "red three"}, {"content", "c"}, {"namespace", "x/y"}}},
      {"memory_store", {{"title", "red three"}, {"content", "d"}, {"namespace", "x/y"}}},
      {"memory_namespace_set_standard", {{"namespace", "x"}, {"id", c}, {"parent", "z"}}},
      {"memory_namespace_get_standard", {{"namespace", "x"}}},
      {"memory_namespace_get_standard", {{"namespace", "x"}, {"inherit", true}}},
      {"memory_recall", {{"context", "red"}, {"namespace", "x/y"}, {"budget_tokens", 50}}},
      {"memory_recall", {{"context", "unheard"}}},
      {"memory_search", {{"query", "red"}}},
      {"memory_list", {{"format", "json"}}},
      {"memory_session_start", {{"namespace", "x/y"}}},
      {"memory_get", {{"id", a}}},
      {"memory_update", {{"id", a}, {"priority", 9}}},
      {"memory_promote", {{"id", a}}},
      {"memory_promote", {{"id", a}, {"to_namespace", "x"}}},
      {"memory_link", {{"source_id", a}, {"target_id", b}}},
      {"memory_get_links", {{"id", a}}},
      {"memory_stats", Json::object()},
      {"memory_capabilities", Json::object()},
      {"memory_consolidate", {{"ids", {a, b}}, {"title", "both"}, {"summary", "s"}}},
      {"memory_archive_list", Json::object()},
      {"memory_archive_stats", Json::object()},
      {"memory_archive_restore", {{"id", a}}},
      {"memory_forget", {{"namespace", "x/y"}, {"dry_run", true}}},
      {"memory_forget", {{"namespace", "x/y"}}},
      {"memory_archive_purge", Json::object()},
      {"memory_gc", {{"dry_run", true}}},
      {"memory_gc", Json::object()},
      {"memory_delete", {{"id", c}}},
      {"memory_namespace_clear_standard", {{"namespace", "x"}}},
      {"memory_pending_list", Json::object()},
      {"memory_agent_register", {{"agent_id", "alice"}, {"agent_type", "human"}}},
      {"memory_agent_list", Json::object()},
      {"memory_notify", {{"target_agent_id", "bob"}, {"title", "t"}, {"payload", "p"}}},
      {"memory_inbox", {{"agent_id", "bob"}, {"mark_read", true}}},
      {"memory_unsubscribe", {{"id", "x"}}},
      {"memory_list_subscriptions", Json::object()},
  };
  std::map<std::string, Json> schemas;
  const Json listed = later.Ask("tools/list")["result"]["tools"];
  for (const Json& tool : listed) {
    schemas[tool["name"]] = tool["outputSchema"];
  }
  for (const auto& [tool, arguments] : calls) {
    const Json result = later.Call(tool, arguments);
    ASSERT_FALSE(result.contains("isError")) << tool << " " << result;
    ASSERT_TRUE(result["structuredContent"].is_object()) << tool;
    ExpectMatches(result["structuredContent"], schemas[tool], tool);
    const std::string text = Text(result);
    if (absl::StartsWith(text, "{")) {
      EXPECT_EQ(Json::parse(text), result["structuredContent"]);
    }
  }
}

// -- Prompts --------------------------------------------------------------------------------------

TEST_F(McpTools, TwoPromptsSayHowToUseThem) {
  EXPECT_EQ(client_.Ask("prompts/list")["result"]["prompts"].size(), 2u);
  const std::string first = client_.Ask(
      "prompts/get",
      {{"name", "recall-first"},
       {"arguments", {{"namespace", "shop"}}}})["result"]["messages"][0]["content"]["text"];
  EXPECT_THAT(first, HasSubstr("RECALL FIRST"));
  EXPECT_THAT(first, HasSubstr("TOON"));
  EXPECT_THAT(first, HasSubstr("\"shop\""));
  const std::string workflow = client_.Ask(
      "prompts/get", {{"name", "memory-workflow"}})["result"]["messages"][0]["content"]["text"];
  for (const char* word : {"STORE:", "RECALL:", "SEARCH:", "CONSOLIDATE:"}) {
    EXPECT_THAT(workflow, HasSubstr(word));
  }
  EXPECT_EQ(client_.Ask("prompts/get", {{"name", "x"}})["error"]["message"], "unknown prompt: x");
  EXPECT_EQ(client_.Ask("prompts/get")["error"]["message"], "missing or empty prompt name");
}

}  // namespace
}  // namespace aimem
