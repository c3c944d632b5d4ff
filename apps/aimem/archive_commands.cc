// archive list, restore, purge, stats.
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/intents.h"
#include "apps/aimem/cli.h"
#include "apps/aimem/output.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"

namespace aimem::cli {

absl::Status RunArchiveList(Context& context, const ArchiveListCommand& command) {
  ListRequest request;
  request.kind = ListKind::kArchived;
  request.filter.namespace_ = command.namespace_;
  request.limit = command.limit;
  request.offset = command.offset;
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kRead));
  AIMEM_ASSIGN_OR_RETURN(const ListResult result, store->List(request));
  const auto count = static_cast<std::int64_t>(result.archived.size());
  if (context.json) {
    context.out << JsonObject()
                       .Raw("archived", JsonArrayOf(result.archived, ArchivedJson))
                       .Int("count", count)
                       .Build()
                << '\n';
  } else if (count == 0) {
    context.err << (request.limit == 0 ? "none listed: the limit is 0\n"
                                       : "no archived memories\n");
  } else {
    for (const ArchivedMemory& archived : result.archived) {
      context.out << absl::StrFormat("[%s] %s (archived: %s)\n", Id8(archived.memory.id),
                                     archived.memory.title,
                                     model::FormatTime(archived.archived_at));
    }
    context.out << absl::StrFormat("%d archived memories\n", count);
  }
  return absl::OkStatus();
}

absl::Status RunArchiveRestore(Context& context, const IdCommand& command) {
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kChange));
  const auto result = ExecuteOne(context, *store, RestoreMemory{command.id}, command.request_id);
  const bool missing = absl::IsNotFound(result.status());
  if (!missing) AIMEM_RETURN_IF_ERROR(result.status());
  if (context.json) {
    context.out << JsonObject().Bool("restored", !missing).Text("id", command.id).Build() << '\n';
  } else if (missing) {
    context.err << "not found in archive: " << command.id << '\n';
  } else {
    context.out << "restored: " << Id8(command.id) << '\n';
  }
  if (missing) context.exit_code = 1;
  return absl::OkStatus();
}

absl::Status RunArchivePurge(Context& context, const PurgeCommand& command) {
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kChange));
  AIMEM_ASSIGN_OR_RETURN(
      const ItemResult result,
      ExecuteOne(context, *store, PurgeArchive{command.older_than_days}, command.request_id));
  if (context.json) {
    context.out << JsonObject().Int("purged", result.count).Build() << '\n';
  } else {
    context.out << absl::StrFormat("purged %d archived memories\n", result.count);
  }
  return absl::OkStatus();
}

absl::Status RunArchiveStats(Context& context) {
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kRead));
  AIMEM_ASSIGN_OR_RETURN(const auto by_namespace, CountArchive(*store));
  std::int64_t total = 0;
  for (const NamespaceCount& one : by_namespace) total += one.count;
  if (context.json) {
    context.out << JsonObject()
                       .Int("archived_total", total)
                       .Raw("by_namespace", NamespaceCountArray(by_namespace))
                       .Build()
                << '\n';
    return absl::OkStatus();
  }
  context.out << absl::StrFormat("archived: %d total\n", total);
  for (const NamespaceCount& count : by_namespace) {
    context.out << absl::StrFormat("  %s: %d\n", count.namespace_, count.count);
  }
  return absl::OkStatus();
}

}  // namespace aimem::cli
