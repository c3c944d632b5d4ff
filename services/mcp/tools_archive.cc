// Tools for what was put aside, and for what has expired.
#include <utility>

#include "absl/strings/str_cat.h"
#include "aimem/intents.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "services/mcp/call.h"
#include "services/mcp/tool.h"
#include "services/wire/shapes.h"

namespace aimem::mcp {
namespace {

constexpr std::int64_t kArchiveMax = 1'000;

absl::StatusOr<Answer> RunArchiveList(Call& call) {
  ListRequest request;
  request.kind = ListKind::kArchived;
  request.filter.namespace_ = call.MaybeText("namespace");
  AIMEM_ASSIGN_OR_RETURN(request.limit, call.Limit(kArchiveMax));
  request.offset = call.Integer("offset");
  AIMEM_ASSIGN_OR_RETURN(const ListResult result, call.List(std::move(request)));
  Json archived = Json::array();
  for (const ArchivedMemory& one : result.archived) {
    archived.push_back(Parsed(wire::ArchivedJson(one)));
  }
  return Answer{{{"count", archived.size()}, {"archived", std::move(archived)}}};
}

absl::StatusOr<Answer> RunArchiveRestore(Call& call) {
  const std::string id = call.Text("id");
  AIMEM_ASSIGN_OR_RETURN(std::string agent_id, call.Caller());
  absl::StatusOr<WriteResult> result = call.Write(RestoreMemory{id}, agent_id);
  // What is missing here is missing in the archive.
  if (absl::IsNotFound(result.status())) return absl::NotFoundError("not found in archive");
  if (!result.ok()) return result.status();
  return call.Written({{"restored", true}, {"id", id}}, *result);
}

absl::StatusOr<Answer> RunArchivePurge(Call& call) {
  AIMEM_ASSIGN_OR_RETURN(std::string agent_id, call.Caller());
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result,
                         call.Write(PurgeArchive{call.MaybeInteger("older_than_days")}, agent_id));
  return call.Written({{"purged", result.items[0].count}}, result);
}

absl::StatusOr<Answer> RunArchiveStats(Call& call) {
  AIMEM_ASSIGN_OR_RETURN(const std::vector<NamespaceCount> counts,
                         CountArchive(call.store(), call.Bounds()));
  std::int64_t total = 0;
  for (const NamespaceCount& one : counts) total += one.count;
  return Answer{
      {{"archived_total", total}, {"by_namespace", Parsed(wire::NamespaceCountArray(counts))}}};
}

absl::StatusOr<Answer> RunGc(Call& call) {
  const bool dry_run = call.Flag("dry_run");
  AIMEM_ASSIGN_OR_RETURN(std::string agent_id, call.Caller());
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result, call.Write(ExpireMemories{}, agent_id, dry_run));
  Json answer = {{"collected", result.items[0].count}, {"dry_run", dry_run}};
  if (dry_run) return Answer{std::move(answer)};
  return call.Written(std::move(answer), result);
}

}  // namespace

std::vector<Tool> ArchiveTools() {
  return {
      {"memory_archive_list",
       "List the archive",
       "Memories that were forgotten, consolidated or collected, the latest first.",
       {.read_only = true, .idempotent = true},
       {Text("namespace", "Only this namespace"),
        Integer("limit", "At most so many, 1000 at most").Or("50").From(0),
        Integer("offset", "Leave out so many at the beginning").Or("0").From(0)},
       {Integer("count").Required(), Objects("archived").Required()},
       RunArchiveList},
      {"memory_archive_restore",
       "Restore a memory",
       "Take a memory out of the archive; it does not expire any more.",
       {.idempotent = false},
       {Text("id", "The full id").Required()},
       {Bool("restored").Required(), Text("id").Required(), Receipt()},
       RunArchiveRestore},
      {"memory_archive_purge",
       "Purge the archive",
       "Delete what lies in the archive for good: all of it, or what has been there for more than "
       "so "
       "many days.",
       {.destructive = true, .idempotent = true},
       {Integer("older_than_days", "Only what was archived longer ago; without it, everything")
            .From(0)},
       {Integer("purged").Required(), Receipt()},
       RunArchivePurge},
      {"memory_archive_stats",
       "Count the archive",
       "How many memories lie in the archive, by namespace.",
       {.read_only = true, .idempotent = true},
       {},
       {Integer("archived_total").Required(), Objects("by_namespace").Required()},
       RunArchiveStats},
      {"memory_gc",
       "Collect expired memories",
       "Move memories whose time has passed to the archive now. It is done by itself, too.",
       {.destructive = true, .idempotent = true},
       {Bool("dry_run", "Count, and change nothing").Or("false")},
       {Integer("collected").Required(), Bool("dry_run").Required(), Receipt()},
       RunGc},
  };
}

}  // namespace aimem::mcp
