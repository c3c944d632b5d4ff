// backup, restore.
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/backup.h"
#include "apps/aimem/cli.h"
#include "apps/aimem/config.h"
#include "apps/aimem/output.h"
#include "apps/aimem/signals.h"
#include "lib/base/status.h"

namespace aimem::cli {
namespace {

void Warn(Context& context, const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) context.err << "warning: " << warning << '\n';
}

/// A run that was stopped says so with the exit code of its signal.
absl::Status Ended(Context& context, const CancelOnSignals& signals, absl::Status status) {
  if (absl::IsCancelled(status)) context.exit_code = signals.ExitCode();
  return status;
}

}  // namespace

absl::Status RunBackup(Context& context, const BackupCommand& command) {
  BackupOptions options;
  options.folder = command.to;
  options.keep = command.keep;
  const CancelOnSignals signals;
  options.cancel = &signals.flag();
  absl::StatusOr<BackupResult> result = absl::UnknownError("");
  {
    ProgressLine progress("backing up", context.err);
    options.progress = progress.callback();
    result = Backup(DatabaseUrl(context.db), context.now, options);
  }
  AIMEM_RETURN_IF_ERROR(Ended(context, signals, result.status()));
  Warn(context, result->warnings);
  if (context.json) {
    context.out << result->manifest.ToJson(/*pretty=*/false) << '\n';
    return absl::OkStatus();
  }
  context.out << absl::StrFormat("Snapshot: %s\nManifest: %s\nSHA-256 : %s\nBytes   : %d\n",
                                 result->snapshot_path, result->manifest_path,
                                 result->manifest.sha256, result->manifest.bytes);
  return absl::OkStatus();
}

absl::Status RunBackupList(Context& context, const BackupCommand& command) {
  AIMEM_ASSIGN_OR_RETURN(const BackupList list, ListBackups(command.to));
  Warn(context, list.problems);
  if (context.json) {
    std::vector<std::string> manifests;
    for (const BackupList::Entry& entry : list.backups) {
      manifests.push_back(entry.manifest.ToJson(/*pretty=*/false));
    }
    context.out << JsonObject()
                       .Int("count", static_cast<std::int64_t>(manifests.size()))
                       .Raw("backups", JsonArray(manifests))
                       .Build()
                << '\n';
    return absl::OkStatus();
  }
  if (list.backups.empty()) context.err << "no backups in " << command.to << '\n';
  for (const BackupList::Entry& entry : list.backups) {
    context.out << absl::StrFormat("%s  %d bytes, %s, of %s\n", entry.path, entry.manifest.bytes,
                                   Age(entry.manifest.created_at, context.now),
                                   entry.manifest.source_db);
  }
  return absl::OkStatus();
}

absl::Status RunRestore(Context& context, const RestoreCommand& command) {
  RestoreOptions options;
  options.verify = !command.skip_verify;
  options.force = command.force;
  const CancelOnSignals signals;
  options.cancel = &signals.flag();
  absl::StatusOr<RestoreResult> result = absl::UnknownError("");
  {
    ProgressLine progress("restoring", context.err);
    options.progress = progress.callback();
    result = Restore(command.from, DatabaseUrl(context.db), context.now, options);
  }
  AIMEM_RETURN_IF_ERROR(Ended(context, signals, result.status()));
  if (context.json) {
    context.out << JsonObject()
                       .Text("status", "restored")
                       .Text("from", result->from)
                       .Text("to", result->to)
                       .Build()
                << '\n';
    return absl::OkStatus();
  }
  if (!result->previous.empty()) {
    context.out << "Previous DB moved to " << result->previous << '\n';
  }
  context.out << "Restored " << result->from << " → " << result->to << '\n';
  return absl::OkStatus();
}

}  // namespace aimem::cli
