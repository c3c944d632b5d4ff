#include "tests/oracle/compare.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "aimem/testing/manual_clock.h"
#include "gtest/gtest.h"
#include "tests/oracle/generator.h"
#include "tests/oracle/oracle.h"

namespace aimem::oracle {
namespace {

std::string Show(std::optional<absl::Time> time) {
  return time ? absl::FormatTime("%m-%dT%H:%M:%E*S", *time, absl::UTCTimeZone()) : "never";
}

std::string Show(const Memory& m) {
  return absl::StrFormat(
      "%s %s/%s [%s] tier=%s tags=%s priority=%d confidence=%g source=%s used=%d created=%s "
      "updated=%s last=%s expires=%s %s",
      m.id, m.namespace_, m.title, m.content, TierName(m.tier), absl::StrJoin(m.tags, "+"),
      m.priority, m.confidence, m.source, m.access_count, Show(m.created_at), Show(m.updated_at),
      Show(m.last_accessed_at), Show(m.expires_at), m.metadata);
}

std::string Show(const ItemResult& item) {
  // Of links and filters, which have no id, the count.
  return absl::StrFormat("%s effect=%d id=%s%s", absl::StatusCodeToString(item.status.code()),
                         static_cast<int>(item.effect), item.id,
                         item.id.empty() ? absl::StrFormat(" count=%d", item.count) : "");
}

std::string Show(const ArchivedMemory& row) {
  return absl::StrFormat("%s at %s: %s", ArchiveReasonName(row.reason), Show(row.archived_at),
                         Show(row.memory));
}

std::string Show(const Link& link) {
  return absl::StrFormat("%s %s %s %s", link.source_id, link.relation, link.target_id,
                         Show(link.created_at));
}

std::string Show(const NamespaceStandard& standard) {
  return absl::StrFormat("%s %s %s %s", standard.namespace_, standard.memory_id, standard.parent,
                         standard.policy);
}

std::string Show(const PendingAction& action) {
  std::string votes;
  for (const Approval& vote : action.approvals) {
    absl::StrAppendFormat(&votes, "%s at %s;", vote.agent_id, Show(vote.approved_at));
  }
  return absl::StrFormat(
      "%s %s %s in %s to '%s' title='%s' by %s at %s: %s by %s at %s votes=%s memory: %s",
      action.id, action.action_type, action.memory_id, action.namespace_, action.to_namespace,
      action.title, action.requested_by, Show(action.requested_at),
      PendingStatusName(action.status), action.decided_by, Show(action.decided_at), votes,
      action.memory ? Show(*action.memory) : "none");
}

template <typename Values>
std::vector<std::string> Lines(const Values& values) {
  std::vector<std::string> lines;
  for (const auto& value : values) lines.push_back(Show(value));
  return lines;
}

/// For failures: kinds of items, with the ids and names that they are about.
struct ItemPrinter {
  std::string operator()(const PutMemory& i) const {
    return absl::StrFormat("Put %s/%s tier=%s expires=%s ttl=%d", i.namespace_, i.title,
                           TierName(i.tier), Show(i.expires_at), i.ttl_seconds.value_or(0));
  }
  std::string operator()(const ImportMemory& i) const {
    return "Import archived=" + Show(i.archived_at) + " " + Show(i.memory);
  }
  std::string operator()(const PatchMemory& i) const {
    return absl::StrFormat("Patch %s title=%s ns=%s tier=%s expires=%s", i.id,
                           i.title.value_or("-"), i.namespace_.value_or("-"),
                           i.tier ? std::string(TierName(*i.tier)) : "-",
                           i.expires_at ? Show(i.expires_at) : "-");
  }
  std::string operator()(const DeleteMemory& i) const { return "Delete " + i.id; }
  std::string operator()(const EraseMemory& i) const { return "Erase " + i.id; }
  std::string operator()(const PromoteMemory& i) const {
    return "Promote " + i.id + " to '" + i.to_namespace + "'";
  }
  std::string operator()(const AddLink& i) const {
    return "AddLink " + i.source_id + " " + i.relation + " " + i.target_id;
  }
  std::string operator()(const RemoveLink& i) const {
    return "RemoveLink " + i.source_id + " " + i.relation + " " + i.target_id;
  }
  std::string operator()(const TouchMemory& i) const { return "Touch " + i.id; }
  std::string operator()(const ForgetMemories& i) const {
    return "Forget " + i.namespace_.value_or("-") + " '" + i.pattern.value_or("-") + "'";
  }
  std::string operator()(const ExpireMemories& i) const {
    return i.archive ? "Expire" : "Expire without archive";
  }
  std::string operator()(const RestoreMemory& i) const { return "Restore " + i.id; }
  std::string operator()(const PurgeArchive& i) const {
    return absl::StrFormat("Purge %d", i.older_than_days.value_or(-1));
  }
  std::string operator()(const ConsolidateMemories& i) const {
    return "Consolidate " + absl::StrJoin(i.ids, "+") + " into " + i.namespace_ + "/" + i.title;
  }
  std::string operator()(const SetStandard& i) const {
    return "SetStandard " + i.namespace_ + " " + i.memory_id + " " + i.parent + " " + i.policy;
  }
  std::string operator()(const ClearStandard& i) const { return "ClearStandard " + i.namespace_; }
  std::string operator()(const RegisterAgent& i) const { return "Register " + i.agent_id; }
  std::string operator()(const DecidePending& i) const {
    return (i.approve ? "Approve " : "Reject ") + i.action_id;
  }
};

std::string Show(const Request& request) {
  std::string text = absl::StrFormat(
      "as '%s'%s%s:", request.options.agent_id, request.options.allow_partial ? ", partial" : "",
      request.options.request_id.empty() ? "" : ", key " + request.options.request_id);
  for (const WriteItem& item : request.batch.items) {
    text += "\n    " + std::visit(ItemPrinter(), item);
  }
  return text;
}

/// All rows of one kind, ordered as the oracle's.
ListResult ListAll(Store& store, ListKind kind) {
  ListRequest request;
  request.kind = kind;
  request.filter.expired = true;
  request.limit = 1'000'000;
  absl::StatusOr<ListResult> list = store.List(request);
  EXPECT_TRUE(list.ok()) << list.status();
  if (!list.ok()) return {};
  std::sort(list->memories.begin(), list->memories.end(),
            [](const Memory& a, const Memory& b) { return a.id < b.id; });
  std::sort(list->archived.begin(), list->archived.end(),
            [](const auto& a, const auto& b) { return a.memory.id < b.memory.id; });
  std::sort(list->pending.begin(), list->pending.end(),
            [](const PendingAction& a, const PendingAction& b) { return a.id < b.id; });
  return *std::move(list);
}

void CompareState(Store& store, const World& world) {
  EXPECT_EQ(Lines(ListAll(store, ListKind::kMemories).memories), Lines(world.Live()));
  EXPECT_EQ(Lines(ListAll(store, ListKind::kArchived).archived), Lines(world.Archived()));
  EXPECT_EQ(Lines(ListAll(store, ListKind::kLinks).links), Lines(world.Links()));
  EXPECT_EQ(Lines(ListAll(store, ListKind::kStandards).standards), Lines(world.Standards()));
  EXPECT_EQ(Lines(ListAll(store, ListKind::kPending).pending), Lines(world.Pending()));
}

void CompareSearch(Store& store, const World& world, const std::string& query, absl::Time now) {
  for (const Match match : {Match::kAll, Match::kAny}) {
    SearchRequest request;
    request.query = query;
    request.match = match;
    request.limit = 1'000'000;
    const absl::StatusOr<SearchResult> result = store.Search(request);
    ASSERT_TRUE(result.ok()) << result.status();
    std::vector<std::string> ids;
    for (const SearchHit& hit : result->hits) ids.push_back(hit.memory.id);
    std::sort(ids.begin(), ids.end());
    EXPECT_EQ(ids, world.Search(query, match, now))
        << "'" << query << "', " << (match == Match::kAll ? "all" : "any") << " of its words";
  }
}

void CompareAnswer(const WriteResult& answer, const ExpectedAnswer& expected) {
  EXPECT_EQ(answer.outcome,
            expected.status.ok() ? WriteOutcome::kCommitted : WriteOutcome::kRejected);
  EXPECT_EQ(answer.status.code(), expected.status.code())
      << answer.status << ", expected " << expected.status;
  EXPECT_EQ(answer.replayed, expected.replayed);
  if (!expected.status.ok()) return;
  EXPECT_EQ(Lines(answer.items), Lines(expected.items));
}

}  // namespace

void CompareWithOracle(const OpenNewStore& open, std::uint64_t seed, int requests) {
  ManualClock clock(absl::FromUnixSeconds(1'772'366'400));
  StoreOptions options;
  options.environment.clock = &clock;
  absl::StatusOr<std::unique_ptr<Store>> opened = open(options);
  ASSERT_TRUE(opened.ok()) << opened.status();
  Store& store = **opened;
  Generator generator(seed);
  Oracle oracle;
  for (int i = 0; i < requests && !::testing::Test::HasFailure(); ++i) {
    clock.Advance(generator.Pause());
    const Request request = generator.Next(oracle.Fold(), clock.Now());
    SCOPED_TRACE(absl::StrFormat("seed %d, request %d, %s", seed, i, Show(request)));
    const WriteResult answer = store.Write(request.batch, request.options);
    CompareAnswer(answer, oracle.Apply(request, clock.Now(), answer.items));
    const World world = oracle.Fold();
    CompareState(store, world);
    if (i % 5 == 0) CompareSearch(store, world, generator.Query(), clock.Now());
  }
  const absl::StatusOr<CheckReport> report = store.Check();
  EXPECT_TRUE(report.ok()) << report.status();
  if (report.ok() && !report->problems.empty()) {
    ADD_FAILURE() << "seed " << seed << ": " << absl::StrJoin(report->problems, "; ");
  }
  EXPECT_TRUE(store.Close().ok());
}

}  // namespace aimem::oracle
