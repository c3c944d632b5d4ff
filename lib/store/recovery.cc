#include "lib/store/recovery.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/base/callback.h"
#include "lib/base/status.h"
#include "lib/log/commit.h"

namespace aimem::store {

absl::StatusOr<std::unique_ptr<Transaction>> Recovery::BeginWrite() {
  AIMEM_RETURN_IF_ERROR(health_.CheckDamage());
  AIMEM_RETURN_IF_ERROR(RecoverIfInDoubt());
  absl::StatusOr<std::unique_ptr<Transaction>> begun = base_.backend->BeginWrite();
  if (!begun.ok()) return health_.Explain(begun.status());
  return begun;
}

absl::StatusOr<changes::Streams> Recovery::ReadStreams(const ReadResult& found,
                                                       Transaction& transaction) {
  AIMEM_ASSIGN_OR_RETURN(changes::Streams streams,
                         changes::StreamsOf(found, unreadable_.Get(), transaction));
  AIMEM_RETURN_IF_ERROR(health_.CheckWhose(streams));
  return streams;
}

absl::Status Recovery::CommitSettled(Transaction& transaction) {
  WriteSet settle;
  changes::Settle(base_.random, settle);
  AIMEM_RETURN_IF_ERROR(transaction.Put(settle));
  const CommitResult committed = transaction.Commit();
  if (committed.outcome == CommitOutcome::kUnknown) health_.Fence(committed.status);
  return committed.status;
}

absl::Status Recovery::RecoverIfInDoubt() {
  const std::optional<Health::Doubt> doubt = health_.doubt();
  if (!doubt) return absl::OkStatus();
  absl::Status status = Recover();
  if (status.ok() && doubt->as_found) status = CheckLastCommits();
  health_.EndDoubt(*doubt, status);
  if (status.ok()) return status;
  return absl::UnavailableError(
      absl::StrCat("the store takes no writes since ", doubt->reason, ": ", status.message()));
}

absl::Status Recovery::Recover() {
  AIMEM_RETURN_IF_ERROR(base_.backend->Recover());
  health_.NoteRecovered();
  return absl::OkStatus();
}

void Recovery::Heal() {
  // Why it is fenced has been said; whoever writes meanwhile is told why it still is.
  bool written = false;
  const absl::Status thrown =
      Contain([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {  // called here, in the turn
        written = TryToWrite().ok();
      });
  health_.NoteTried(written);
  if (!thrown.ok()) base_.LogThrown("trying to write again", thrown);
}

absl::Status Recovery::TryToWrite() {
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction, BeginWrite());
  AIMEM_ASSIGN_OR_RETURN(const ReadResult found, transaction->Read({.heads = true, .meta = true}));
  AIMEM_RETURN_IF_ERROR(ReadStreams(found, *transaction).status());
  return CommitSettled(*transaction);
}

absl::Status Recovery::CheckLastCommits() {
  VersionVector unreadable;
  {
    AIMEM_ASSIGN_OR_RETURN(const Readers::Snapshot read, readers_.Begin());
    AIMEM_ASSIGN_OR_RETURN(const ReadResult found, read->Read({.heads = true}));
    for (const LogRow& head : found.heads) {
      AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> rows,
                             read->ReadLog(head.stream, head.seq - 1, 1, 1));
      if (rows.empty() || rows.front().seq != head.seq) continue;  // another process went on
      if (!log::DecodeCommit(rows.front().bytes).ok()) unreadable[head.stream] = head.seq;
    }
  }
  unreadable_.Note(unreadable);
  return absl::OkStatus();
}

}  // namespace aimem::store
