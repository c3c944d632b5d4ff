// Governance over HTTP: what waits, what is denied, and the decisions.
#include <string>

#include <gmock/gmock.h>

#include "tests/rest/support.h"

namespace aimem::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class HttpPending : public HttpTest {
 protected:
  void Govern(const std::string& policy) {
    PutMemory rules;
    rules.namespace_ = "rules";
    rules.title = "of ns";
    rules.content = "c";
    const WriteResult put = store.Write(rules, {.agent_id = "ai:owner"});
    ASSERT_TRUE(put.durable()) << put.status;
    SetStandard standard;
    standard.namespace_ = "ns";
    standard.memory_id = put.items[0].id;
    standard.policy = policy;
    const WriteResult set = store.Write(standard);
    ASSERT_TRUE(set.durable()) << set.status;
  }
  Answer Create(const std::string& title, const std::string& agent) {
    return Post("/api/v1/memories", {{"namespace", "ns"}, {"title", title}, {"content", "c"}},
                {{"X-Agent-Id", agent}});
  }
  Answer Decide(const std::string& id, const std::string& how, const std::string& agent) {
    return Post("/api/v1/pending/" + id + "/" + how, nullptr, {{"X-Agent-Id", agent}});
  }
};

constexpr char kApprove[] =
    R"({"write":"approve","promote":"approve","delete":"approve","approver":"human"})";

TEST_F(HttpPending, WhatNeedsApprovalIs202AndIsMadeWhenItIsApproved) {
  const Answer there = Create("there", "ai:x");
  ASSERT_EQ(there.status, 201) << there.text;
  const std::string path = "/api/v1/memories/" + there.Text("id");
  Govern(kApprove);
  const Answer queued = Create("new", "ai:x");
  ASSERT_EQ(queued.status, 202) << queued.text;
  EXPECT_EQ(queued.Text("status"), "pending");
  EXPECT_EQ(queued.Text("reason"), "governance requires approval");
  EXPECT_EQ(queued.Text("action"), "store");
  EXPECT_EQ(queued.Text("namespace"), "ns");
  const Answer promote = Post(path.substr(0, path.size() - 4) + "/promote");
  EXPECT_EQ(promote.status, 202) << promote.text;
  EXPECT_EQ(promote.Text("action"), "promote");
  EXPECT_EQ(promote.Text("memory_id"), there.Text("id"));
  const Answer remove = Send("DELETE", path);
  EXPECT_EQ(remove.status, 202) << remove.text;
  EXPECT_EQ(remove.Text("action"), "delete");
  EXPECT_EQ(Send("DELETE", path + "?erase=true").Text("action"), "erase");
  EXPECT_EQ(Get(path).status, 200);

  const std::string id = queued.Text("pending_id");
  EXPECT_EQ(Decide(id, "approve", "ai:x").status, 403);
  const Answer approved = Decide(id, "approve", "alice");
  EXPECT_EQ(approved.status, 200) << approved.text;
  EXPECT_EQ(approved.body["approved"], true);
  EXPECT_EQ(approved.Text("id"), id);
  EXPECT_EQ(approved.Text("decided_by"), "alice");
  EXPECT_EQ(approved.body["executed"], true);
  EXPECT_EQ(Get("/api/v1/memories/" + approved.Text("memory_id")).status, 200);
  const Answer again = Decide(id, "approve", "alice");
  EXPECT_EQ(again.status, 409) << again.text;
  EXPECT_EQ(again.Text("error"), "approve rejected: already decided: status=approved");
  const Answer unknown = Decide("nobody", "approve", "alice");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.Text("error"), "approve rejected: pending action not found: nobody");
  const Answer deleted = Decide(remove.Text("pending_id"), "approve", "alice");
  EXPECT_EQ(deleted.Text("memory_id"), there.Text("id"));
  EXPECT_EQ(Get(path).status, 404);
  const Answer late = Decide(promote.Text("pending_id"), "approve", "alice");
  EXPECT_EQ(late.status, 409) << late.text;
  EXPECT_THAT(late.Text("error"), HasSubstr("memory not found: " + there.Text("id")));
}

TEST_F(HttpPending, DeniedIs403WithTheReason) {
  Govern(R"({"write":"owner","promote":"any","delete":"registered","approver":"human"})");
  const Answer denied = Create("new", "ai:x");
  EXPECT_EQ(denied.status, 403);
  EXPECT_EQ(denied.body, json({{"error",
                                "store denied by governance: governance: caller 'ai:x' is not the "
                                "owner ('ai:owner')"}}));
  const Answer mine = Create("new", "ai:owner");
  EXPECT_EQ(mine.status, 201) << mine.text;
  EXPECT_EQ(Send("DELETE", "/api/v1/memories/" + mine.Text("id")).status, 403);
  const Answer bulk = Post("/api/v1/memories/bulk",
                           json::array({{{"namespace", "ns"}, {"title", "b"}, {"content", "c"}},
                                        {{"namespace", "z"}, {"title", "b"}, {"content", "c"}}}),
                           {{"X-Agent-Id", "ai:x"}});
  EXPECT_EQ(bulk.body["created"], 1) << bulk.text;
  EXPECT_THAT(bulk.body["errors"][0], HasSubstr("b: store denied by governance"));
}

TEST_F(HttpPending, BulkNamesWhatWaits) {
  Govern(kApprove);
  const Answer bulk = Post("/api/v1/memories/bulk",
                           json::array({{{"namespace", "ns"}, {"title", "b"}, {"content", "c"}},
                                        {{"namespace", "z"}, {"title", "b"}, {"content", "c"}}}));
  EXPECT_EQ(bulk.body["created"], 1) << bulk.text;
  ASSERT_EQ(bulk.body["pending_ids"].size(), 1u);
  EXPECT_EQ(Get("/api/v1/pending").body["pending"][0]["id"], bulk.body["pending_ids"][0]);
}

TEST_F(HttpPending, WhatWaitsAndIsNotOnEnoughMembersHasNoMemoryYet) {
  WriteResult result;
  result.outcome = WriteOutcome::kPending;
  result.status = absl::DeadlineExceededError("1 of 2");
  result.items.push_back({.effect = ItemEffect::kQueued, .id = "an-action"});
  store.AnswerWrites(result);
  const Answer answer = Create("new", "ai:x");
  EXPECT_EQ(answer.status, 503) << answer.text;
  EXPECT_TRUE(answer.body["id"].is_null()) << answer.text;
  EXPECT_EQ(answer.Text("pending_id"), "an-action");
}

TEST_F(HttpPending, ListIsNewestFirstByStatus) {
  Govern(kApprove);
  const std::string first = Create("one", "ai:x").Text("pending_id");
  const std::string second = Create("two", "ai:x").Text("pending_id");
  const Answer rejected = Decide(first, "reject", "alice");
  EXPECT_EQ(rejected.status, 200) << rejected.text;
  EXPECT_EQ(rejected.body["rejected"], true);
  EXPECT_EQ(rejected.Text("decided_by"), "alice");
  const Answer again = Decide(first, "reject", "alice");
  EXPECT_EQ(again.status, 404);
  EXPECT_EQ(again.Text("error"), "pending action not found or already decided");
  const Answer all = Get("/api/v1/pending");
  EXPECT_EQ(all.body["count"], 2) << all.text;
  EXPECT_EQ(all.body["pending"][0]["id"], second);
  EXPECT_EQ(all.body["pending"][0]["payload"]["title"], "two");
  EXPECT_TRUE(all.body["pending"][0]["memory_id"].is_null());
  EXPECT_FALSE(all.body["pending"][0].contains("decided_at"));
  EXPECT_EQ(all.body["pending"][1]["status"], "rejected");
  EXPECT_EQ(all.body["pending"][1]["decided_by"], "alice");
  EXPECT_EQ(Get("/api/v1/pending?limit=1").body["count"], 1);
  EXPECT_EQ(Get("/api/v1/pending?status=pending").body["pending"][0]["id"], second);
  EXPECT_EQ(Get("/api/v1/pending?status=unheard-of").body["count"], 0);
  EXPECT_EQ(Get("/api/v1/pending?limit=x").status, 400);
}

TEST_F(HttpPending, DecisionOfNobodyIs400AndNamesTheHeader) {
  Govern(kApprove);
  const std::string id = Create("new", "ai:x").Text("pending_id");
  for (const char* how : {"approve", "reject"}) {
    const Answer nobody = Post("/api/v1/pending/" + id + "/" + how);
    EXPECT_EQ(nobody.status, 400) << nobody.text;
    EXPECT_THAT(nobody.Text("error"), HasSubstr("X-Agent-Id"));
    EXPECT_EQ(Decide(id, how, "not valid").status, 400);
  }
  EXPECT_EQ(Get("/api/v1/pending?status=pending").body["count"], 1);
}

TEST_F(HttpPending, VoteThatLeavesOthersIs202) {
  Govern(R"({"write":"approve","promote":"any","delete":"any","approver":{"consensus":2}})");
  for (const char* agent : {"alice", "bob"}) {
    Post("/api/v1/agents", {{"agent_id", agent}, {"agent_type", "human"}});
  }
  const std::string id = Create("new", "ai:x").Text("pending_id");
  const Answer vote = Decide(id, "approve", "alice");
  EXPECT_EQ(vote.status, 202) << vote.text;
  EXPECT_EQ(vote.body["approved"], false);
  EXPECT_EQ(vote.Text("id"), id);
  EXPECT_EQ(vote.body["votes"], 1);
  EXPECT_EQ(vote.body["quorum"], 2);
  EXPECT_EQ(vote.Text("reason"), "consensus threshold not yet reached");
  const Answer stranger = Decide(id, "approve", "mallory");
  EXPECT_EQ(stranger.status, 403);
  EXPECT_EQ(stranger.Text("error"),
            "approve rejected: consensus voter 'mallory' is not a registered agent");
  EXPECT_EQ(Decide(id, "approve", "bob").status, 200);
}

}  // namespace
}  // namespace aimem::testing
