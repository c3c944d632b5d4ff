#include "testing/support.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"

namespace aimem::conformance {
namespace {

std::string Show(std::optional<absl::Time> time) {
  return time ? absl::FormatTime(absl::RFC3339_full, *time, absl::UTCTimeZone()) : "never";
}

std::string Show(const Memory& m) {
  return absl::StrFormat(
      "%s tier=%s ns=%s title=%s content=%s tags=%s priority=%d confidence=%g source=%s used=%d "
      "created=%s updated=%s last=%s expires=%s metadata=%s",
      m.id, TierName(m.tier), m.namespace_, m.title, m.content, absl::StrJoin(m.tags, ","),
      m.priority, m.confidence, m.source, m.access_count, Show(m.created_at), Show(m.updated_at),
      Show(m.last_accessed_at), Show(m.expires_at), m.metadata);
}

ListResult ListAll(Store& store, ListKind kind) {
  ListRequest request;
  request.kind = kind;
  request.order = ListOrder::kCreated;
  request.filter.expired = true;
  request.limit = 1'000'000;
  absl::StatusOr<ListResult> result = store.List(request);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *std::move(result) : ListResult{};
}

}  // namespace

PutMemory Note(std::string title, std::string content) {
  PutMemory put;
  put.namespace_ = "notes";
  put.title = std::move(title);
  put.content = std::move(content);
  return put;
}

Memory Row(std::string id, std::string title, absl::Time time) {
  Memory memory;
  memory.id = std::move(id);
  memory.namespace_ = "notes";
  memory.title = std::move(title);
  memory.content = "imported content";
  memory.created_at = time;
  memory.updated_at = time;
  return memory;
}

std::string Text(const absl::Status& status) { return std::string(ToStd(status.message())); }

std::vector<std::string> Titles(const std::vector<Memory>& memories) {
  std::vector<std::string> titles;
  for (const Memory& memory : memories) titles.push_back(memory.title);
  return titles;
}

std::vector<std::string> Titles(const SearchResult& result) {
  std::vector<std::string> titles;
  for (const SearchHit& hit : result.hits) titles.push_back(hit.memory.title);
  return titles;
}

std::vector<std::string> Dump(Store& store) {
  std::vector<std::string> lines;
  for (const Memory& memory : ListAll(store, ListKind::kMemories).memories) {
    lines.push_back("live " + Show(memory));
  }
  for (const ArchivedMemory& row : ListAll(store, ListKind::kArchived).archived) {
    lines.push_back(absl::StrFormat("archived %s at %s: %s", ArchiveReasonName(row.reason),
                                    Show(row.archived_at), Show(row.memory)));
  }
  for (const Link& link : ListAll(store, ListKind::kLinks).links) {
    lines.push_back(absl::StrFormat("link %s %s %s %s", link.source_id, link.relation,
                                    link.target_id, Show(link.created_at)));
  }
  for (const NamespaceStandard& standard : ListAll(store, ListKind::kStandards).standards) {
    lines.push_back(absl::StrFormat("standard %s %s %s %s", standard.namespace_, standard.memory_id,
                                    standard.parent, standard.policy));
  }
  for (const PendingAction& action : ListAll(store, ListKind::kPending).pending) {
    std::string votes;
    for (const Approval& vote : action.approvals) {
      absl::StrAppendFormat(&votes, " %s at %s", vote.agent_id, Show(vote.approved_at));
    }
    lines.push_back(absl::StrFormat(
        "pending %s %s %s %s to=%s title=%s by %s at %s: %s by %s at %s; votes%s of %d; %s",
        action.id, action.action_type, action.memory_id, action.namespace_, action.to_namespace,
        action.title, action.requested_by, Show(action.requested_at),
        PendingStatusName(action.status), action.decided_by, Show(action.decided_at), votes,
        action.quorum, action.memory ? Show(*action.memory) : ""));
  }
  return lines;
}

std::int64_t Copy(Store& from, Store& to, ChangeCursor cursor, const ReadChangesLimit& limit) {
  std::int64_t changed = 0;
  while (true) {
    absl::StatusOr<ChangePage> page = from.ReadChanges(cursor, limit);
    EXPECT_TRUE(page.ok()) << page.status();
    if (!page.ok()) return changed;
    cursor = page->next;
    const bool end = page->end;
    const ApplyResult result = to.Apply(*std::move(page));
    EXPECT_TRUE(result.status.ok()) << result.status;
    EXPECT_TRUE(result.refusals.empty()) << result.refusals[0].status;
    if (!result.status.ok()) return changed;
    changed += result.rows_changed;
    if (end) return changed;
  }
}

std::int64_t CatchUp(Store& from, Store& to, const ReadChangesLimit& limit) {
  return Copy(from, to, ChangeCursor::After(Vector(to)), limit);
}

Id128 Root(Store& store) {
  const absl::StatusOr<DigestResult> digest = store.Digest();
  EXPECT_TRUE(digest.ok()) << digest.status();
  return digest.ok() && digest->sums.size() == 1 ? digest->sums[0].sum : Id128{};
}

VersionVector Vector(Store& store) {
  const absl::StatusOr<StoreInfo> info = store.Info();
  EXPECT_TRUE(info.ok()) << info.status();
  return info.ok() ? info->vector : VersionVector{};
}

}  // namespace aimem::conformance
