// Changes that wait for approval: what store, delete and promote say then, and the decisions.
#include "aimem/backends/sqlite.h"
#include "gmock/gmock.h"
#include "tests/cli/run.h"

namespace aimem::testing {
namespace {

using nlohmann::json;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

class PendingCli : public Cli {
 protected:
  /// Everything in "ns" from now on as `level` says, decided on by `approver`.
  void Govern(const std::string& level, const std::string& approver = R"("human")") {
    auto store = OpenSqliteStore(folder() / "ai-memory.db");
    ASSERT_TRUE(store.ok()) << store.status();
    PutMemory rules;
    rules.namespace_ = "rules";
    rules.title = "of ns";
    rules.content = "c";
    const WriteResult put = (*store)->Write(rules, {.agent_id = "ai:owner"});
    ASSERT_TRUE(put.durable()) << put.status;
    std::string policy = R"({"write":"L","promote":"L","delete":"L","approver":)" + approver + "}";
    for (auto at = policy.find('L'); at != std::string::npos; at = policy.find('L')) {
      policy.replace(at, 1, level);
    }
    SetStandard standard;
    standard.namespace_ = "ns";
    standard.memory_id = put.items[0].id;
    standard.policy = policy;
    ASSERT_TRUE((*store)->Write(standard).durable());
    ASSERT_TRUE((*store)->Close().ok());
  }
};

const std::vector<std::string> kStore = {"store", "-n", "ns", "-T", "t", "-c", "c"};

TEST_F(PendingCli, StoreDeleteAndPromoteSayThatTheyWait) {
  const std::string id = Store("one");
  Govern("approve");
  const json stored = Json(kStore);
  const std::string pending = stored["pending_id"];
  EXPECT_EQ(stored, json({{"status", "pending"},
                          {"pending_id", pending},
                          {"reason", "governance requires approval"},
                          {"action", "store"},
                          {"namespace", "ns"}}));
  EXPECT_THAT(Succeed(kStore).out,
              ContainsRegex("^store queued for approval: pending_id=[0-9a-f-]+ ns=ns\n$"));
  const json deleted = Json({"delete", id.substr(0, 12)});
  EXPECT_EQ(deleted["action"], "delete");
  EXPECT_EQ(deleted["memory_id"], id);
  EXPECT_THAT(Succeed({"promote", id}).out,
              ContainsRegex("^promote queued for approval: pending_id=[0-9a-f-]+ id=" + id));
  EXPECT_THAT(Succeed({"delete", id, "--erase", "--yes"}).out,
              ContainsRegex("^erase queued for approval: pending_id=[0-9a-f-]+ id=" + id));
  EXPECT_EQ(Json({"list", "-n", "ns"})["count"], 1);
  EXPECT_EQ(Json({"pending", "list"})["count"], 4) << "the second store is the first";
}

TEST_F(PendingCli, WhatIsDeniedFailsWithTheReason) {
  const std::string id = Store("one");
  Govern("owner");
  EXPECT_EQ(Fail(1, kStore),
            "store denied by governance: governance: caller 'tester' is not the owner "
            "('ai:owner')\n");
  Succeed({"delete", id});
}

TEST_F(PendingCli, PendingListShowsWhatWaitsAndApproveMakesIt) {
  Govern("approve");
  EXPECT_EQ(Succeed({"pending", "list"}).err, "no pending actions\n");
  const std::string pending = Json(kStore)["pending_id"];
  const json list = Json({"pending", "list", "--status", "pending"});
  EXPECT_EQ(list["count"], 1);
  const json& action = list["pending"][0];
  EXPECT_EQ(action["id"], pending);
  EXPECT_EQ(action["action_type"], "store");
  EXPECT_TRUE(action["memory_id"].is_null());
  EXPECT_EQ(action["payload"]["title"], "t");
  EXPECT_EQ(action["requested_by"], "tester");
  EXPECT_EQ(action["approvals"], json::array());
  EXPECT_FALSE(action.contains("decided_by"));
  EXPECT_THAT(Succeed({"pending", "list"}).out,
              ContainsRegex("^\\[" + pending.substr(0, 8) +
                            "\\] pending ns=ns action=store by=tester \\([^)]+\\)\n1 pending "
                            "action\\(s\\)\n$"));
  EXPECT_THAT(Fail(1, {"pending", "approve", pending}), HasSubstr("approve rejected: 'tester'"));
  const Start nobody = {.environment = {{"AI_MEMORY_AGENT_ID", ""}}};
  for (const char* decision : {"approve", "reject"}) {
    EXPECT_THAT(Fail(1, {"pending", decision, pending}, nobody),
                HasSubstr("give --agent-id, or set AI_MEMORY_AGENT_ID"));
  }
  EXPECT_EQ(Succeed({"--agent-id", "alice", "pending", "approve", pending}).out,
            "approved + executed: " + pending + " (by alice)\n");
  EXPECT_EQ(Json({"list", "-n", "ns"})["count"], 1);
  EXPECT_EQ(Fail(1, {"--agent-id", "alice", "pending", "approve", pending}),
            "approve rejected: already decided: status=approved\n");
  EXPECT_EQ(Fail(1, {"pending", "approve", "absent"}),
            "approve rejected: pending action not found: absent\n");
  EXPECT_EQ(Fail(1, {"pending", "reject", pending}),
            "pending action not found or already decided: " + pending + "\n");
  EXPECT_EQ(Json({"pending", "list", "--status", "approved"})["pending"][0]["decided_by"], "alice");
  EXPECT_THAT(Fail(1, {"pending", "list", "--status", "open"}), HasSubstr("invalid status: open"));
}

TEST_F(PendingCli, VotesAreCountedAndRejectionsTold) {
  Govern("approve", R"({"consensus":2})");
  for (const char* agent : {"alice", "bob"}) {
    Succeed({"agents", "register", "--agent-id", agent, "--agent-type", "human"});
  }
  const std::string pending = Json(kStore)["pending_id"];
  EXPECT_EQ(Succeed({"--agent-id", "alice", "pending", "approve", pending}).out,
            "approval recorded: " + pending + " (1/2 consensus, not yet met)\n");
  EXPECT_EQ(Json({"--agent-id", "alice", "pending", "approve", pending}),
            json({{"approved", false},
                  {"status", "pending"},
                  {"id", pending},
                  {"votes", 1},
                  {"quorum", 2},
                  {"reason", "consensus threshold not yet reached"}}));
  const json made = Json({"--agent-id", "bob", "pending", "approve", pending});
  EXPECT_EQ(made["approved"], true);
  EXPECT_EQ(made["decided_by"], "bob");
  EXPECT_EQ(made["executed"], true);
  EXPECT_TRUE(made["memory_id"].is_string());
  const std::string other = Json({"store", "-n", "ns", "-T", "u", "-c", "c"})["pending_id"];
  EXPECT_EQ(Succeed({"pending", "reject", other}).out, "rejected: " + other + " (by tester)\n");
}

}  // namespace
}  // namespace aimem::testing
