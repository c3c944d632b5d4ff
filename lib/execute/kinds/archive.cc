#include "lib/execute/kinds/archive.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "aimem/errors.h"
#include "lib/base/status.h"
#include "lib/execute/governance.h"
#include "lib/execute/memory_row.h"
#include "lib/model/validate.h"
#include "lib/recall/find.h"

namespace aimem::execute {
namespace {

namespace part = model::part;

}  // namespace

// What a change by filter reads is what was selected for it.
void KindOf<ForgetMemories>::Reads(const ForgetMemories&, ReadList&) {}

absl::StatusOr<FilterRule> KindOf<ForgetMemories>::Filter(const ForgetMemories& item) {
  if (!item.namespace_ && !item.pattern && !item.tier) {
    return InvalidField("namespace", "", "at least one of namespace, pattern, or tier is required");
  }
  return FilterRule{
      .effect = ItemEffect::kArchived,
      .governed = "forget",
      .takes =
          [matcher = recall::ForgetMatcher(item)](const model::MemoryView& memory, absl::Time) {
            return memory.phase == model::Phase::kLive && matcher.Matches(memory);
          },
      .candidates = recall::CandidatesOf(item),
      .end =
          [](const model::MemoryView&, absl::Time now) {
            return Rows::PartWrite{part::kForgotten, kOwnStamp,
                                   model::EncodeU64(WallMilliseconds(now))};
          }};
}

void KindOf<ExpireMemories>::Reads(const ExpireMemories&, ReadList&) {}

absl::StatusOr<FilterRule> KindOf<ExpireMemories>::Filter(const ExpireMemories& item) {
  return FilterRule{.effect = item.archive ? ItemEffect::kArchived : ItemEffect::kDeleted,
                    .takes =
                        [](const model::MemoryView& memory, absl::Time now) {
                          return memory.phase == model::Phase::kLive && memory.expires_at &&
                                 *memory.expires_at < model::ToNanoseconds(now);
                        },
                    .candidates = recall::Candidates{.ended = true},
                    .end =
                        [archive = item.archive](const model::MemoryView& memory, absl::Time now) {
                          if (!archive) return Rows::PartWrite{part::kDeleted, kOwnStamp, ""};
                          // It names the expiry that it judged: an edit made meanwhile elsewhere
                          // wins.
                          return Rows::PartWrite{part::kExpired, memory.expiry_stamp,
                                                 model::EncodeTime(model::ToNanoseconds(now))};
                        }};
}

void KindOf<RestoreMemory>::Reads(const RestoreMemory& item, ReadList& reads) {
  reads.Memory(item.id);
}

absl::StatusOr<ItemResult> KindOf<RestoreMemory>::Execute(const RestoreMemory& item, Batch& batch) {
  AIMEM_RETURN_IF_ERROR(model::CheckId(item.id));
  AIMEM_ASSIGN_OR_RETURN(const Entity* entity, batch.rows().Memory(item.id));
  if (entity->live()) {
    return WithDetail(MakeStatus(absl::StatusCode::kAlreadyExists,
                                 absl::StrCat("cannot restore: memory ", item.id,
                                              " already exists in active table (would overwrite)")),
                      {.field = "id", .value = item.id, .ids = {item.id}});
  }
  if (entity->view.phase != model::Phase::kArchived) {
    return NotFound("not found in archive", item.id);
  }
  AIMEM_RETURN_IF_ERROR(MayChange(
      {"restore", &model::Policy::write, entity->view.namespace_, entity->view.agent_id}, batch));
  MemoryRow row = RowOf(*entity);
  AIMEM_ASSIGN_OR_RETURN(const std::vector<std::string> owners,
                         batch.rows().Owners(row.namespace_, row.title));
  if (!owners.empty()) return NameTaken(row.namespace_, row.title, owners.front());
  row.expires_at.reset();
  row.updated_at = batch.now_ns();
  AIMEM_RETURN_IF_ERROR(WriteRow(item.id, row, batch));
  return Done(ItemEffect::kRestored, item.id);
}

void KindOf<PurgeArchive>::Reads(const PurgeArchive&, ReadList&) {}

absl::StatusOr<FilterRule> KindOf<PurgeArchive>::Filter(const PurgeArchive& item) {
  if (item.older_than_days && *item.older_than_days < 0) {
    return InvalidField(
        "older_than_days", std::to_string(*item.older_than_days),
        absl::StrFormat("older_than_days must be non-negative (got %d)", *item.older_than_days));
  }
  return FilterRule{
      .effect = ItemEffect::kDeleted,
      .takes =
          [days = item.older_than_days](const model::MemoryView& memory, absl::Time now) {
            if (memory.phase != model::Phase::kArchived) return false;
            if (!days) return true;
            return model::FromNanoseconds(memory.archived_at) < now - absl::Hours(24) * *days;
          },
      .candidates = std::nullopt,
      .end =
          [](const model::MemoryView&, absl::Time) {
            return Rows::PartWrite{part::kDeleted, kOwnStamp, ""};
          }};
}

}  // namespace aimem::execute
