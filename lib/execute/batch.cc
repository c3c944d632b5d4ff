#include "lib/execute/batch.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "aimem/errors.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "lib/recall/find.h"

namespace aimem::execute {

ItemResult Done(ItemEffect effect, std::string id, std::int64_t count) {
  return {.effect = effect, .id = std::move(id), .count = count};
}

absl::Status NotFound(std::string_view what, std::string_view id) {
  return WithDetail(
      MakeStatus(absl::StatusCode::kNotFound, absl::StrCat(ToAbsl(what), ": ", ToAbsl(id))),
      {.field = "id", .value = std::string(id)});
}

absl::Status NameTaken(std::string_view namespace_, std::string_view title, std::string_view id) {
  return WithDetail(
      MakeStatus(absl::StatusCode::kAlreadyExists,
                 absl::StrCat("title '", ToAbsl(title), "' already exists in namespace '",
                              ToAbsl(namespace_), "' (memory ", ToAbsl(id), ")")),
      {.field = "title", .value = std::string(title), .ids = {std::string(id)}});
}

std::uint64_t WallMilliseconds(absl::Time time) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, absl::ToUnixMillis(time)));
}

Batch::Batch(const ExecuteContext& context)
    : context_(context), now_ns_(model::ToNanoseconds(context.now)) {}

absl::StatusOr<std::string> Batch::ResolveLive(const std::string& text) {
  AIMEM_RETURN_IF_ERROR(model::CheckId(text));
  AIMEM_ASSIGN_OR_RETURN(const Entity* entity, rows().Memory(text));
  if (entity->live()) return text;
  // A prefix is looked up among what is committed; memories that this group just made are
  // named in full by those who made them.
  const std::vector<std::string> ids = {text};
  auto resolved = recall::ResolveIds(rows().transaction(), ids, [](const model::MemoryView& view) {
    return view.phase == model::Phase::kLive;
  });
  if (!resolved[0].ok()) return resolved[0].status();
  AIMEM_ASSIGN_OR_RETURN(entity, rows().Memory(*resolved[0]));
  if (!entity->live()) return NotFound("not found", text);
  return *std::move(resolved[0]);
}

absl::Status Batch::CheckName(std::string_view namespace_, std::string_view title,
                              std::string_view id) {
  AIMEM_ASSIGN_OR_RETURN(const std::vector<std::string> owners, rows().Owners(namespace_, title));
  for (const std::string& owner : owners) {
    if (owner != id) return NameTaken(namespace_, title, owner);
  }
  return absl::OkStatus();
}

absl::Status Batch::Rename(std::string namespace_, std::string title, std::string id) {
  if (write().allow_partial) return CheckName(namespace_, title, id);
  renamed_.push_back({std::move(namespace_), std::move(title), std::move(id)});
  return absl::OkStatus();
}

absl::Status Batch::CheckRenames() {
  for (const Renamed& renamed : renamed_) {
    AIMEM_RETURN_IF_ERROR(CheckName(renamed.namespace_, renamed.title, renamed.id));
  }
  return absl::OkStatus();
}

std::string Batch::NextPendingId() { return model::PendingId(context_.operation, queued_++); }

absl::Status Batch::End(const EntityKey& key, Rows::PartWrite end) {
  std::vector<Rows::PartWrite> parts;
  parts.push_back(std::move(end));
  AIMEM_RETURN_IF_ERROR(rows().Draft(key, std::move(parts)));
  rows().CloseDraft(key);
  return absl::OkStatus();
}

}  // namespace aimem::execute
