// Governance: policies of namespaces, changes that wait for approval, and decisions on them.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "aimem/limits.h"
#include "gmock/gmock.h"
#include "testing/support.h"

namespace aimem {
namespace conformance {
void LinkGovernanceTests() {}
}  // namespace conformance

namespace {

using conformance::CatchUp;
using conformance::Dump;
using conformance::Note;
using conformance::Text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kHuman[] = R"("human")";

WriteOptions As(std::string agent) { return {.agent_id = std::move(agent)}; }

PutMemory In(std::string namespace_, std::string title) {
  PutMemory put = Note(std::move(title));
  put.namespace_ = std::move(namespace_);
  return put;
}

/// A policy with one level for everything.
std::string Policy(const std::string& level, const std::string& approver = kHuman) {
  return absl::StrCat(R"({"write":")", level, R"(","promote":")", level, R"(","delete":")", level,
                      R"(","approver":)", approver, "}");
}

std::vector<PendingAction> Pending(Store& store, std::optional<PendingStatus> status = {}) {
  const auto list = store.List({.kind = ListKind::kPending, .limit = 100, .status = status});
  EXPECT_TRUE(list.ok()) << list.status();
  return list.ok() ? list->pending : std::vector<PendingAction>{};
}

PendingAction Action(Store& store, const std::string& id) {
  const auto list = store.List({.kind = ListKind::kPending, .of_id = id});
  EXPECT_TRUE(list.ok()) << list.status();
  if (!list.ok() || list->pending.size() != 1) {
    ADD_FAILURE() << "no action " << id;
    return {};
  }
  return list->pending[0];
}

SetStandard Standard(std::string namespace_, std::string memory_id, std::string policy) {
  return {.namespace_ = std::move(namespace_),
          .memory_id = std::move(memory_id),
          .parent = "",
          .policy = std::move(policy)};
}

RegisterAgent Agent(std::string id) {
  return {.agent_id = std::move(id), .agent_type = "human", .capabilities = {}};
}

/// What `status` says, which must be a denial.
std::string Denied(const absl::Status& status) {
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
  return Text(status);
}

// -- Policies -------------------------------------------------------------------------------------

TEST_P(StoreConformance, PolicyThatIsNoneIsRefusedWhenItIsSet) {
  const std::string id = Id(In("rules", "r"));
  for (const auto& [policy, text] : std::vector<std::pair<std::string, std::string>>{
           {"{}", "missing field `write`"},
           {R"({"write":"any","promote":"any","delete":"any"})", "missing field `approver`"},
           {Policy("some"), "must be any, registered, owner or approve"},
           {Policy("any", "\"me\""), "governance.approver must be"},
           {Policy("any", R"({"agent":"a b"})"), "governance.approver.agent"},
           {Policy("any", R"({"consensus":0})"), "quorum must be >= 1"},
           {Policy("any", R"({"consensus":1.5})"), "quorum must be >= 1"},
           {"[]", "invalid governance"}}) {
    const absl::Status status = Refusal(Standard("a", id, policy));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << policy;
    EXPECT_THAT(Text(status), HasSubstr("invalid governance: ")) << policy;
    EXPECT_THAT(Text(status), HasSubstr(text)) << policy;
  }
}

TEST_P(StoreConformance, RegisteredLevelAsksForARegistrationThatHasNotExpired) {
  Do(Standard("a", Id(In("rules", "r")), Policy("registered")));
  EXPECT_EQ(Denied(Refusal(In("a", "t"), As("ai:x"))),
            "store denied by governance: governance: caller 'ai:x' is not a registered agent");
  const std::string agent = Id(Agent("ai:x"));
  const std::string id = Id(In("a", "t"), As("ai:x"));
  EXPECT_EQ(Do(PromoteMemory{.id = id}, As("ai:x")).effect, ItemEffect::kUpdated);
  Do(PatchMemory{.id = agent, .expires_at = Now() + absl::Hours(1)});
  clock().Advance(absl::Hours(2));
  EXPECT_EQ(Denied(Refusal(DeleteMemory{id}, As("ai:x"))),
            "delete denied by governance: governance: caller 'ai:x' is not a registered agent");
}

TEST_P(StoreConformance, OwnerLevelAsksForTheAuthorOfTheMemoryOrOfTheStandard) {
  const std::string standard = Id(In("rules", "r"), As("ai:owner"));
  const std::string id = Id(In("a", "t"), As("ai:author"));
  const std::string nobodys = Id(In("a", "nobody's"));
  Do(Standard("a", standard, Policy("owner")));
  EXPECT_EQ(Denied(Refusal(In("a", "u"), As("ai:author"))),
            "store denied by governance: governance: caller 'ai:author' is not the owner "
            "('ai:owner')");
  EXPECT_EQ(Denied(Refusal(DeleteMemory{id}, As("ai:owner"))),
            "delete denied by governance: governance: caller 'ai:owner' is not the owner "
            "('ai:author')");
  EXPECT_EQ(Denied(Refusal(PromoteMemory{.id = nobodys}, As("ai:owner"))),
            "promote denied by governance: governance: owner-level action has no resolvable owner");
  EXPECT_EQ(Do(In("a", "u"), As("ai:owner")).effect, ItemEffect::kCreated);
  EXPECT_EQ(Do(DeleteMemory{id}, As("ai:author")).effect, ItemEffect::kDeleted);
  // The policy outlives its memory, and then nobody owns it.
  Do(DeleteMemory{standard});
  EXPECT_EQ(Denied(Refusal(In("a", "v"), As("ai:owner"))),
            "store denied by governance: governance: owner-level action has no resolvable owner");
  Do(ClearStandard{"a"});
  EXPECT_EQ(Do(In("a", "v"), As("ai:owner")).effect, ItemEffect::kCreated);
}

TEST_P(StoreConformance, EveryKindOfChangeIsGoverned) {
  PutMemory doomed = In("a", "to forget");
  doomed.tier = Tier::kShort;
  const std::string forgotten = Id(doomed);
  Do(ForgetMemories{.namespace_ = "a"});
  const std::string one = Id(In("a", "one"));
  const std::string two = Id(In("a", "two"));
  const std::string below = Id(In("a/b", "below"));
  const std::string elsewhere = Id(In("z", "elsewhere"));
  Do(Standard("a", Id(In("rules", "r")), Policy("registered")));
  const std::vector<WriteItem> changes = {
      In("a", "three"),
      In("a/b/c", "inherited"),
      PatchMemory{.id = one, .title = "uno"},
      PatchMemory{.id = elsewhere, .namespace_ = "a"},
      DeleteMemory{one},
      EraseMemory{one},
      EraseMemory{forgotten},
      PromoteMemory{.id = one},
      PromoteMemory{.id = below, .to_namespace = "a"},
      ForgetMemories{.namespace_ = "a"},
      RestoreMemory{forgotten},
      ConsolidateMemories{.ids = {one, two}, .title = "both", .summary = "s", .namespace_ = "z"},
      ConsolidateMemories{
          .ids = {elsewhere, below}, .title = "b", .summary = "s", .namespace_ = "a"}};
  for (const WriteItem& change : changes) {
    EXPECT_THAT(Denied(Refusal(change, As("ai:x"))), HasSubstr("'ai:x' is not a registered agent"));
  }
  EXPECT_THAT(Denied(Refusal(In("a", "t"))), HasSubstr("caller '' is not a registered agent"));
  // What others decided, what links and what expires is not.
  Memory imported = conformance::Row("imported", "imported", Now());
  imported.namespace_ = "a";
  imported.expires_at = Now() + absl::Hours(1);
  Do(ImportMemory{.memory = imported}, As("ai:x"));
  Do(AddLink{.source_id = one, .target_id = two}, As("ai:x"));
  Do(TouchMemory{one}, As("ai:x"));
  clock().Advance(absl::Hours(2));
  EXPECT_EQ(Do(ExpireMemories{}, As("ai:x")).count, 1);
}

TEST_P(StoreConformance, PolicyIsThatOfTheNearestPlaceThatHasOne) {
  const std::string id = Id(In("rules", "r"));
  Do(Standard("*", id, Policy("registered")));
  EXPECT_THAT(Denied(Refusal(In("anywhere", "t"), As("ai:x"))), HasSubstr("registered"));
  Do(Standard("a", id, Policy("any")));
  EXPECT_EQ(Do(In("a/b", "t"), As("ai:x")).effect, ItemEffect::kCreated);
  // A standard without a policy does not stand in the way of what it inherits.
  Do(Standard("a/b", id, ""));
  EXPECT_EQ(Do(In("a/b", "u"), As("ai:x")).effect, ItemEffect::kCreated);
  // Explicit parents come after what the namespace lies in, and before what holds everywhere.
  Do(SetStandard{.namespace_ = "child", .memory_id = id, .parent = "a", .policy = ""});
  EXPECT_EQ(Do(In("child/of", "t"), As("ai:x")).effect, ItemEffect::kCreated);
  // Parents that go round in a circle end.
  Do(SetStandard{.namespace_ = "x", .memory_id = id, .parent = "y", .policy = ""});
  Do(SetStandard{.namespace_ = "y", .memory_id = id, .parent = "x", .policy = ""});
  EXPECT_THAT(Denied(Refusal(In("x", "t"), As("ai:x"))), HasSubstr("registered"));
}

TEST_P(StoreConformance, StandardOfAGovernedNamespaceIsChangedByWhoDecidesThere) {
  const std::string id = Id(In("rules", "r"));
  Do(Standard("a", id, Policy("approve", R"({"agent":"ai:boss"})")), As("ai:x"));
  const std::string text =
      "denied by governance: governance: designated approver is 'ai:boss'; "
      "got 'ai:x'";
  EXPECT_EQ(Denied(Refusal(Standard("a", id, Policy("any")), As("ai:x"))), "set_standard " + text);
  EXPECT_EQ(Denied(Refusal(Standard("a/b", id, Policy("any")), As("ai:x"))),
            "set_standard " + text);
  EXPECT_EQ(Denied(Refusal(ClearStandard{"a"}, As("ai:x"))), "clear_standard " + text);
  Do(Standard("a/b", id, Policy("any", R"({"consensus":2})")), As("ai:boss"));
  EXPECT_THAT(Denied(Refusal(ClearStandard{"a/b"}, As("ai:boss"))), HasSubstr("registered"));
  EXPECT_EQ(Do(ClearStandard{"a"}, As("ai:boss")).effect, ItemEffect::kDeleted);
}

TEST_P(StoreConformance, RegistrationsAreGovernedByThePolicyOfTheirNamespaceAlone) {
  const std::string id = Id(In("rules", "r"), As("ai:owner"));
  Do(Standard("*", id, Policy("registered")));
  Do(Agent("ai:x"), As("ai:x"));
  Do(Standard("_agents", id, Policy("owner")));
  EXPECT_THAT(
      Denied(Refusal(Agent("ai:y"), As("ai:y"))),
      HasSubstr("register denied by governance: governance: caller 'ai:y' is not the owner"));
  EXPECT_EQ(Do(Agent("ai:y"), As("ai:owner")).effect, ItemEffect::kCreated);
}

// -- What waits -----------------------------------------------------------------------------------

TEST_P(StoreConformance, StoreThatWaitsIsMadeWhenItIsApproved) {
  Do(Standard("a", Id(In("rules", "r")), Policy("approve")));
  PutMemory put = In("a", "t");
  put.tags = {"x", "y"};
  put.priority = 8;
  put.confidence = 0.5;
  put.metadata = R"({"k":[1,{"l":null}]})";
  put.scope = "team";
  const ItemResult queued = Do(put, As("ai:x"));
  ASSERT_EQ(queued.effect, ItemEffect::kQueued);
  EXPECT_THAT(Pending(store()), SizeIs(1));
  const PendingAction waits = Action(store(), queued.id);
  EXPECT_EQ(waits.action_type, "store");
  EXPECT_EQ(waits.namespace_, "a");
  EXPECT_EQ(waits.memory_id, "");
  EXPECT_EQ(waits.requested_by, "ai:x");
  EXPECT_EQ(waits.requested_at, Now());
  EXPECT_EQ(waits.status, PendingStatus::kPending);
  ASSERT_TRUE(waits.memory);
  EXPECT_EQ(waits.memory->content, "some content");
  EXPECT_FALSE(Live(waits.memory->id));
  const absl::Time requested = Now();
  clock().Advance(absl::Hours(1));
  const ItemResult made = Do(DecidePending{queued.id, true}, As("person"));
  EXPECT_EQ(made.effect, ItemEffect::kCreated);
  Memory expected = *waits.memory;
  expected.created_at = expected.updated_at = Now();
  EXPECT_EQ(Stored(made.id), expected);
  EXPECT_EQ(expected.expires_at, requested + absl::Hours(7 * 24));
  EXPECT_EQ(expected.tags, put.tags);
  EXPECT_EQ(expected.metadata, R"({"agent_id":"ai:x","k":[1,{"l":null}],"scope":"team"})");
  const PendingAction done = Action(store(), queued.id);
  EXPECT_EQ(done.status, PendingStatus::kApproved);
  EXPECT_EQ(done.decided_by, "person");
  EXPECT_EQ(done.decided_at, Now());
  EXPECT_EQ(done.memory_id, made.id);
}

TEST_P(StoreConformance, StoreThatWaitedUpdatesWhatIsThereThen) {
  const std::string id = Id(In("a", "t"), As("ai:first"));
  Do(Standard("a", Id(In("rules", "r")), Policy("approve")));
  PutMemory put = In("a", "t");
  put.content = "other content";
  const std::string action = Id(put, As("ai:x"));
  EXPECT_EQ(Stored(id).content, "some content");
  EXPECT_EQ(Do(DecidePending{action, true}, As("person")).effect, ItemEffect::kUpdated);
  EXPECT_EQ(Stored(id).content, "other content");
  EXPECT_EQ(Stored(id).metadata, R"({"agent_id":"ai:first"})");
}

TEST_P(StoreConformance, DeleteEraseAndPromotionWaitAndAreMade) {
  const std::string one = Id(In("a", "one"));
  const std::string two = Id(In("a", "two"));
  const std::string three = Id(In("a/b", "three"));
  Do(Standard("a", Id(In("rules", "r")), Policy("approve")));
  const std::string promotes = Id(PromoteMemory{.id = one}, As("ai:x"));
  const std::string raises = Id(PromoteMemory{.id = three, .to_namespace = "a"}, As("ai:x"));
  const std::string deletes = Id(DeleteMemory{one.substr(0, 20)}, As("ai:x"));
  const std::string erases = Id(EraseMemory{two}, As("ai:x"));
  EXPECT_TRUE(Live(one));
  EXPECT_EQ(Action(store(), deletes).memory_id, one);
  EXPECT_EQ(Action(store(), deletes).title, "one");
  EXPECT_EQ(Action(store(), raises).to_namespace, "a");
  EXPECT_EQ(Action(store(), erases).action_type, "erase");
  EXPECT_EQ(Do(DecidePending{promotes, true}, As("person")).id, one);
  EXPECT_EQ(Stored(one).tier, Tier::kLong);
  const std::string copy = Id(DecidePending{raises, true}, As("person"));
  EXPECT_EQ(Stored(copy).namespace_, "a");
  EXPECT_THAT(Links(), ElementsAre(Link{copy, three, "derived_from", Now()}));
  EXPECT_EQ(Do(DecidePending{deletes, true}, As("person")).effect, ItemEffect::kDeleted);
  EXPECT_FALSE(Live(one));
  EXPECT_EQ(Do(DecidePending{erases, true}, As("person")).effect, ItemEffect::kDeleted);
  EXPECT_FALSE(Live(two));
  EXPECT_THAT(Pending(store(), PendingStatus::kApproved), SizeIs(4));
}

TEST_P(StoreConformance, WhatCannotWaitIsRefusedWhereItWouldHaveTo) {
  const std::string id = Id(In("a", "one"));
  Do(Standard("a", Id(In("rules", "r")), Policy("approve")));
  for (const WriteItem& change : {WriteItem(PatchMemory{.id = id, .title = "uno"}),
                                  WriteItem(ForgetMemories{.namespace_ = "a"})}) {
    EXPECT_THAT(Denied(Refusal(change, As("ai:x"))), HasSubstr("it has to be approved"));
  }
  EXPECT_THAT(Pending(store()), IsEmpty());
}

/// `count` memories of the namespace "many"; their ids, ascending.
std::vector<std::string> Many(Store& store, int count) {
  std::vector<std::string> ids;
  for (int done = 0; done < count;) {
    WriteBatch batch;
    for (; done < count && batch.items.size() < limits::kBatchChanges; ++done) {
      batch.items.emplace_back(In("many", absl::StrCat("one of many ", done)));
    }
    const WriteResult result = store.Write(std::move(batch));
    EXPECT_TRUE(result.durable()) << result.status;
    for (const ItemResult& item : result.items) ids.push_back(item.id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

TEST_P(StoreConformance, ForgettingThatIsDeniedForOneOfManyTakesNone) {
  const std::vector<std::string> ids = Many(store(), 1'001);
  Do(PatchMemory{.id = ids.back(), .namespace_ = "a"});
  Do(Standard("a", Id(In("rules", "r")), Policy("registered")));
  const ForgetMemories forget{.pattern = "many"};
  EXPECT_THAT(Denied(Refusal(forget, As("ai:x"))), HasSubstr("not a registered agent"));
  EXPECT_THAT(Archive(), IsEmpty());
  WriteOptions dry = As("ai:x");
  dry.dry_run = true;
  EXPECT_THAT(Denied(Refusal(forget, dry)), HasSubstr("not a registered agent"));
  Do(Agent("ai:x"));
  EXPECT_EQ(Do(forget, As("ai:x")).count, 1'001);
}

TEST_P(StoreConformance, ForgettingMayTakeWhatLetsItsAuthorTakeTheOthers) {
  const std::string agent = Id(Agent("ai:x"));
  // The registration is taken before the last of them.
  const std::vector<std::string> ids = Many(store(), 100);
  Do(Standard("many", Id(In("rules", "r")), Policy("registered")));
  ASSERT_GT(ids.back(), agent);
  Do(PatchMemory{.id = agent, .content = "many"});
  EXPECT_EQ(Do(ForgetMemories{.pattern = "many"}, As("ai:x")).count, 101);
  EXPECT_FALSE(Live(agent));
}

TEST_P(StoreConformance, DryRunIsNoWriteThatItsKeyNames) {
  Do(In("a", "t"));
  WriteOptions options;
  options.request_id = "key";
  const WriteResult written = Write(ForgetMemories{.namespace_ = "a"}, options);
  ASSERT_TRUE(written.durable()) << written.status;
  Do(In("a", "u"));
  options.dry_run = true;
  const WriteResult dry = Write(ForgetMemories{.namespace_ = "a"}, options);
  ASSERT_THAT(dry.items, SizeIs(1)) << dry.status;
  EXPECT_EQ(dry.items[0].count, 1);
  EXPECT_FALSE(dry.replayed);
  EXPECT_NE(dry.operation, written.operation);
}

TEST_P(StoreConformance, ApprovalsOfTwoAgentsUnderOneKeyAreTwoRequests) {
  Do(Standard("a", Id(In("rules", "r")), Policy("approve", R"({"consensus":2})")));
  for (const char* agent : {"ai:one", "ai:two"}) Do(Agent(agent));
  const std::string action = Id(In("a", "t"), As("ai:x"));
  WriteOptions one = As("ai:one");
  WriteOptions two = As("ai:two");
  one.request_id = two.request_id = "key";
  EXPECT_EQ(Do(DecidePending{action, true}, one).effect, ItemEffect::kQueued);
  const absl::Status status = Refusal(DecidePending{action, true}, two);
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted) << status;
  EXPECT_TRUE(Write(DecidePending{action, true}, one).replayed);
  two.request_id = "another key";
  EXPECT_EQ(Do(DecidePending{action, true}, two).effect, ItemEffect::kCreated);
}

TEST_P(StoreConformance, DecisionIsMadeOnceAndByWhomThePolicyNames) {
  const std::string id = Id(In("rules", "r"));
  Do(Standard("a", id, Policy("approve", R"({"agent":"ai:boss"})")));
  const std::string action = Id(In("a", "t"), As("ai:x"));
  EXPECT_EQ(Denied(Refusal(DecidePending{action, true}, As("ai:x"))),
            "approve rejected: designated approver is 'ai:boss'; got 'ai:x'");
  EXPECT_EQ(Denied(Refusal(DecidePending{action, false}, As("ai:y"))),
            "rejection refused: designated approver is 'ai:boss'; got 'ai:y'");
  EXPECT_EQ(Do(DecidePending{action, true}, As("ai:boss")).effect, ItemEffect::kCreated);
  const absl::Status again = Refusal(DecidePending{action, true}, As("ai:boss"));
  EXPECT_EQ(again.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Text(again), "approve rejected: already decided: status=approved");
  const absl::Status late = Refusal(DecidePending{action, false}, As("ai:boss"));
  EXPECT_EQ(late.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Text(late), "pending action not found or already decided: " + action);
  const absl::Status unknown = Refusal(DecidePending{"nobody", true}, As("ai:boss"));
  EXPECT_EQ(unknown.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Text(unknown), "approve rejected: pending action not found: nobody");
  // The agent whose right it is may grant what it asked for itself.
  const std::string own = Id(In("a", "u"), As("ai:boss"));
  EXPECT_EQ(Do(DecidePending{own, true}, As("ai:boss")).effect, ItemEffect::kCreated);
}

TEST_P(StoreConformance, NobodyApprovesWhatTheyAskedForButMayWithdrawIt) {
  Do(Standard("a", Id(In("rules", "r")), Policy("approve")));
  const std::string action = Id(In("a", "t"), As("ai:x"));
  EXPECT_THAT(Denied(Refusal(DecidePending{action, true}, As("ai:x"))), HasSubstr("asked for it"));
  const ItemResult rejected = Do(DecidePending{action, false}, As("ai:x"));
  EXPECT_EQ(rejected.id, action);
  EXPECT_EQ(Action(store(), action).status, PendingStatus::kRejected);
  EXPECT_EQ(Action(store(), action).decided_by, "ai:x");
  EXPECT_EQ(Text(Refusal(DecidePending{action, true}, As("person"))),
            "approve rejected: already decided: status=rejected");
}

TEST_P(StoreConformance, ConsensusCountsDistinctVotesOfRegisteredAgents) {
  Do(Standard("a", Id(In("rules", "r")), Policy("approve", R"({"consensus":2})")));
  for (const char* agent : {"ai:x", "ai:one", "ai:two"}) Do(Agent(agent));
  const std::string action = Id(In("a", "t"), As("ai:x"));
  EXPECT_EQ(Denied(Refusal(DecidePending{action, true}, As("ai:stranger"))),
            "approve rejected: consensus voter 'ai:stranger' is not a registered agent");
  EXPECT_THAT(Denied(Refusal(DecidePending{action, true}, As("ai:x"))), HasSubstr("asked for it"));
  for (int i = 0; i < 2; ++i) {
    const ItemResult vote = Do(DecidePending{action, true}, As("ai:one"));
    EXPECT_EQ(vote.effect, ItemEffect::kQueued);
    EXPECT_EQ(vote.id, action);
  }
  const PendingAction waits = Action(store(), action);
  EXPECT_THAT(waits.approvals, ElementsAre(Approval{"ai:one", Now()}));
  EXPECT_EQ(waits.quorum, 2);
  EXPECT_EQ(waits.status, PendingStatus::kPending);
  EXPECT_EQ(Do(DecidePending{action, true}, As("ai:two")).effect, ItemEffect::kCreated);
  EXPECT_THAT(Action(store(), action).approvals, SizeIs(2));
  EXPECT_EQ(Action(store(), action).status, PendingStatus::kApproved);
}

TEST_P(StoreConformance, ApprovalOfWhatCannotBeDoneLeavesItWaiting) {
  const std::string id = Id(In("a", "one"));
  Do(Standard("a", Id(In("rules", "r")), Policy("approve")));
  const std::string first = Id(DeleteMemory{id}, As("ai:x"));
  const std::string second = Id(DeleteMemory{id}, As("ai:y"));
  Do(DecidePending{first, true}, As("person"));
  const absl::Status status = Refusal(DecidePending{second, true}, As("person"));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Text(status), HasSubstr("memory not found: " + id));
  EXPECT_EQ(Action(store(), second).status, PendingStatus::kPending);
  EXPECT_EQ(Do(DecidePending{second, false}, As("person")).effect, ItemEffect::kUpdated);
}

TEST_P(StoreConformance, PendingActionsAreListedNewestFirstByStatusAndNamespace) {
  const std::string id = Id(In("rules", "r"));
  Do(Standard("a", id, Policy("approve")));
  Do(Standard("b", id, Policy("approve")));
  std::vector<std::string> ids;
  for (const char* namespace_ : {"a", "b", "a"}) {
    clock().Advance(absl::Seconds(1));
    ids.push_back(Id(In(namespace_, absl::StrCat("t", ids.size())), As("ai:x")));
  }
  Do(DecidePending{ids[1], false}, As("person"));
  const auto listed = [&](ListRequest request) {
    request.kind = ListKind::kPending;
    const auto list = store().List(request);
    std::vector<std::string> found;
    if (!list.ok()) ADD_FAILURE() << list.status();
    if (list.ok()) {
      for (const PendingAction& action : list->pending) found.push_back(action.id);
    }
    return found;
  };
  EXPECT_THAT(listed({}), ElementsAre(ids[2], ids[1], ids[0]));
  EXPECT_THAT(listed({.limit = 1, .offset = 1}), ElementsAre(ids[1]));
  EXPECT_THAT(listed({.status = PendingStatus::kPending}), ElementsAre(ids[2], ids[0]));
  EXPECT_THAT(listed({.status = PendingStatus::kRejected}), ElementsAre(ids[1]));
  EXPECT_THAT(listed({.filter = {.namespace_ = "a"}}), ElementsAre(ids[2], ids[0]));
  EXPECT_THAT(listed({.of_id = ids[0]}), ElementsAre(ids[0]));
  EXPECT_THAT(listed({.of_id = "nobody"}), IsEmpty());
}

TEST_P(StoreConformance, RequestThatIsSentAgainWaitsOnce) {
  Do(Standard("a", Id(In("rules", "r")), Policy("approve")));
  WriteOptions options = As("ai:x");
  options.request_id = "key";
  const WriteResult first = Write(In("a", "t"), options);
  const WriteResult again = Write(In("a", "t"), options);
  ASSERT_THAT(first.items, SizeIs(1));
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.items, first.items);
  EXPECT_THAT(Pending(store()), SizeIs(1));
}

TEST_P(StoreConformance, ErasingAMemoryErasesWhatWaitsToSaySomethingOfIt) {
  const std::string one = Id(In("a", "one"));
  const std::string two = Id(In("a", "two"));
  const std::string standard = Id(In("rules", "r"));
  Do(Standard("a", standard, Policy("approve")));
  Id(In("a", "one"), As("ai:x"));
  Id(DeleteMemory{one}, As("ai:x"));
  const std::string promotes = Id(PromoteMemory{.id = one}, As("ai:x"));
  const std::string other = Id(DeleteMemory{two}, As("ai:x"));
  clock().Advance(absl::Seconds(1));
  Do(Standard("a", standard, Policy("any")));
  Do(EraseMemory{one});
  std::vector<std::string> left;
  for (const PendingAction& action : Pending(store())) left.push_back(action.id);
  EXPECT_THAT(left, ::testing::UnorderedElementsAre(promotes, other));
}

TEST_P(StoreConformance, WhoAsksForTheSameAgainIsAnsweredWithWhatWaits) {
  const std::string id = Id(In("a", "there"));
  Do(Standard("a", Id(In("rules", "r")), Policy("approve")));
  const std::string stores = Id(In("a", "t"), As("ai:x"));
  const std::string deletes = Id(DeleteMemory{id}, As("ai:x"));
  clock().Advance(absl::Hours(1));
  EXPECT_EQ(Id(In("a", "t"), As("ai:x")), stores);
  EXPECT_EQ(Id(DeleteMemory{id}, As("ai:x")), deletes);
  EXPECT_THAT(Pending(store()), SizeIs(2));
  // Whatever differs is something else.
  PutMemory other = In("a", "t");
  other.content = "other content";
  const std::string says_more = Id(other, As("ai:x"));
  EXPECT_NE(says_more, stores);
  EXPECT_NE(Id(In("a", "t"), As("ai:y")), stores);
  EXPECT_NE(Id(EraseMemory{id}, As("ai:x")), deletes);
  Do(DecidePending{stores, false}, As("ai:x"));
  EXPECT_NE(Id(In("a", "t"), As("ai:x")), stores);
  EXPECT_EQ(Id(other, As("ai:x")), says_more);
}

/// `count` different requests to store "one" in "a", which all wait.
WriteBatch Requests(int count) {
  WriteBatch batch;
  for (int i = 0; i < count; ++i) {
    PutMemory put = In("a", "one");
    put.content = absl::StrCat("content ", i);
    batch.items.emplace_back(std::move(put));
  }
  return batch;
}

WriteBatch Rejections(const std::vector<ItemResult>& queued) {
  WriteBatch batch;
  for (const ItemResult& item : queued) {
    batch.items.emplace_back(DecidePending{item.id, false});
  }
  return batch;
}

TEST_P(StoreConformance, WhatWaitsIsBoundedAndStopsNoErasure) {
  const std::string one = Id(In("a", "one"));
  const std::string rules = Id(In("rules", "r"));
  Do(Standard("a", rules,
              R"({"write":"approve","promote":"any","delete":"any","approver":"human"})"));
  Do(Standard("b", rules, Policy("approve")));
  std::vector<ItemResult> queued;
  for (int agent = 0; agent < 10; ++agent) {
    const WriteResult result = store().Write(Requests(100), As(absl::StrCat("ai:", agent)));
    ASSERT_TRUE(result.durable()) << result.status;
    queued.insert(queued.end(), result.items.begin(), result.items.end());
    if (agent > 0) continue;
    const absl::Status own = Write(In("a", "more"), As("ai:0")).status;
    EXPECT_EQ(own.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(Text(own),
              "store cannot wait for approval: 100 changes of 'ai:0' in 'a' wait already, which is "
              "the limit: have some of them approved or rejected first");
    const ItemResult elsewhere = Do(In("b", "more"), As("ai:0"));
    Do(DecidePending{elsewhere.id, false}, As("ai:0"));
  }
  const absl::Status all = Write(In("b", "more"), As("ai:other")).status;
  EXPECT_EQ(all.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(Text(all), HasSubstr("1000 changes wait already, which is the limit"));
  const WriteResult rejected = store().Write(Rejections(queued), As("person"));
  ASSERT_TRUE(rejected.durable()) << rejected.status;
  ASSERT_TRUE(store().Write(Requests(50), As("ai:other")).durable());
  // One commit holds 1,000 changes: what is left goes when it is asked for again.
  EXPECT_EQ(Do(EraseMemory{one}).effect, ItemEffect::kDeleted);
  EXPECT_FALSE(Live(one));
  EXPECT_EQ(Do(EraseMemory{one}).effect, ItemEffect::kDeleted);
  EXPECT_EQ(Do(EraseMemory{one}).effect, ItemEffect::kUnchanged);
  const std::vector<PendingAction> left = Pending(store());
  ASSERT_THAT(left, SizeIs(1));
  EXPECT_EQ(left[0].namespace_, "b");
}

TEST_P(StoreConformance, WhatWasToBeStoredIsErasedThoughItNeverWas) {
  const std::string rules = Id(In("rules", "r"));
  Do(Standard("a", rules,
              R"({"write":"approve","promote":"any","delete":"owner","approver":"human"})"));
  const std::string open = Id(In("a", "open"), As("ai:x"));
  const std::string rejected = Id(In("a", "rejected"), As("ai:x"));
  const std::string memory = Action(store(), rejected).memory->id;
  Do(DecidePending{rejected, false}, As("person"));
  for (const std::string& id : {open, memory}) {
    EXPECT_THAT(Denied(Refusal(EraseMemory{id}, As("ai:y"))), HasSubstr("is not the owner"));
    EXPECT_EQ(Do(EraseMemory{id}, As("ai:x")).effect, ItemEffect::kDeleted);
    EXPECT_EQ(Refusal(EraseMemory{id}, As("ai:x")).code(), absl::StatusCode::kNotFound);
  }
  EXPECT_THAT(Pending(store()), IsEmpty());
  // Where erasing has to be approved, that waits too.
  Do(Standard("a", rules, Policy("approve")));
  const std::string other = Id(In("a", "other"), As("ai:x"));
  const std::string erases = Id(EraseMemory{other}, As("ai:x"));
  EXPECT_EQ(Action(store(), erases).action_type, "erase");
  EXPECT_EQ(Do(DecidePending{erases, true}, As("person")).effect, ItemEffect::kDeleted);
  const std::vector<PendingAction> left = Pending(store());
  ASSERT_THAT(left, SizeIs(1));
  EXPECT_EQ(left[0].id, erases);
}

// -- Several stores -------------------------------------------------------------------------------

TEST_P(StoreConformance, ActionThatArrivesAfterTheErasureIsErasedWhenThatIsAskedForAgain) {
  Store& other = OpenOther();
  const std::string id = Id(In("a", "t"));
  Do(Standard("a", Id(In("rules", "r")),
              R"({"write":"approve","promote":"any","delete":"any","approver":"human"})"));
  CatchUp(store(), other);
  ASSERT_TRUE(other.Write(In("a", "t"), As("ai:x")).durable());
  Do(EraseMemory{id});
  CatchUp(other, store());
  EXPECT_THAT(Pending(store()), SizeIs(1));
  EXPECT_EQ(Do(EraseMemory{id}).effect, ItemEffect::kDeleted);
  EXPECT_EQ(Do(EraseMemory{id}).effect, ItemEffect::kUnchanged);
  CatchUp(store(), other);
  EXPECT_THAT(Pending(store()), IsEmpty());
  EXPECT_THAT(Pending(other), IsEmpty());
}

TEST_P(StoreConformance, DecisionsOnTwoStoresAtOnceHaveOneEffect) {
  Store& other = OpenOther();
  Do(Standard("a", Id(In("rules", "r")), Policy("approve")));
  const std::string both = Id(In("a", "approved on both"), As("ai:x"));
  const std::string split = Id(In("a", "approved and rejected"), As("ai:x"));
  CatchUp(store(), other);
  const std::string id = Id(DecidePending{both, true}, As("here"));
  Do(DecidePending{split, true}, As("here"));
  clock().Advance(absl::Seconds(1));
  const WriteResult there = other.Write(DecidePending{both, true}, As("there"));
  ASSERT_THAT(there.items, SizeIs(1)) << there.status;
  EXPECT_EQ(there.items[0].id, id);
  EXPECT_TRUE(other.Write(DecidePending{split, false}, As("there")).durable());
  CatchUp(store(), other);
  CatchUp(other, store());
  EXPECT_EQ(Dump(store()), Dump(other));
  EXPECT_EQ(conformance::Root(store()), conformance::Root(other));
  const auto list = store().List({.filter = {.namespace_ = "a"}, .limit = 100});
  ASSERT_TRUE(list.ok());
  EXPECT_THAT(list->memories, SizeIs(2));
  EXPECT_EQ(Action(store(), both).decided_by, "there");
  // What was done is not said to be rejected.
  EXPECT_EQ(Action(store(), split).status, PendingStatus::kApproved);
  EXPECT_EQ(Action(store(), split).decided_by, "here");
}

TEST_P(StoreConformance, VotesOnTwoStoresAreCompleteWhenTheyHaveMet) {
  Store& other = OpenOther();
  Do(Standard("a", Id(In("rules", "r")), Policy("approve", R"({"consensus":2})")));
  for (const char* agent : {"ai:one", "ai:two"}) Do(Agent(agent));
  const std::string action = Id(In("a", "t"), As("ai:x"));
  CatchUp(store(), other);
  EXPECT_EQ(Do(DecidePending{action, true}, As("ai:one")).effect, ItemEffect::kQueued);
  const WriteResult there = other.Write(DecidePending{action, true}, As("ai:two"));
  ASSERT_TRUE(there.durable()) << there.status;
  EXPECT_EQ(there.items[0].effect, ItemEffect::kQueued);
  CatchUp(other, store());
  EXPECT_THAT(Action(store(), action).approvals, SizeIs(2));
  EXPECT_EQ(Do(DecidePending{action, true}, As("ai:one")).effect, ItemEffect::kCreated);
  CatchUp(store(), other);
  EXPECT_EQ(Dump(store()), Dump(other));
}

}  // namespace
}  // namespace aimem
