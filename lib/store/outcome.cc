// How a group ended: who is told, who is answered, and what to do when the disk did not say.
#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/base/trouble.h"
#include "lib/store/changes.h"
#include "lib/store/local_store.h"
#include "lib/store/meta.h"

namespace aimem::store {
namespace {

constexpr absl::Duration kBlindLookInterval = absl::Milliseconds(200);
constexpr absl::Duration kHealInterval = absl::Seconds(1);
constexpr absl::Duration kDiskFullStands = absl::Seconds(30);
constexpr std::string_view kRoomAgain = "the disk has room again, writes are taken";

}  // namespace

// -- Answers --------------------------------------------------------------------------------------

void LocalStore::AnswerGroup(std::vector<Job>& group, const absl::Status& failure) {
  const bool settled = failure.ok() || SettleReplays(group);
  for (Job& job : group) {
    if (!failure.ok()) {
      if (auto* apply = std::get_if<ApplyJob>(&job)) {
        apply->result = ApplyResult{};
        apply->result.status = failure;
      } else if (auto& write = std::get<WriteJob>(job); write.state == JobState::kReplayed) {
        if (!settled) AnswerUnsettled(write, failure);
      } else if (write.state != JobState::kRefused) {
        Reject(write, failure);
      }
    }
    AnswerJob(job);
  }
}

bool LocalStore::SettleReplays(const std::vector<Job>& group) {
  ReadSet reads;
  for (const Job& job : group) {
    const auto* write = std::get_if<WriteJob>(&job);
    if (write != nullptr && write->state == JobState::kReplayed) {
      reads.operations.push_back(write->operation);
    }
  }
  if (reads.operations.empty()) return true;
  const absl::StatusOr<std::unique_ptr<Transaction>> begun = backend_->BeginWrite();
  if (!begun.ok()) return false;
  const absl::StatusOr<ReadResult> found = (*begun)->Read(reads);
  if (!found.ok()) return false;
  std::set<OperationId> here;
  for (const LogRow& row : found->operations) here.insert(row.operation);
  const bool all =
      std::all_of(reads.operations.begin(), reads.operations.end(),
                  [&](const OperationId& operation) { return here.contains(operation); });
  return all && CommitSettled(**begun).ok();
}

absl::Status LocalStore::CommitSettled(Transaction& transaction) {
  WriteSet settle;
  Settle(random_, settle);
  AIMEM_RETURN_IF_ERROR(transaction.Put(settle));
  const CommitResult committed = transaction.Commit();
  if (committed.outcome == CommitOutcome::kUnknown) Fence(committed.status);
  return committed.status;
}

void LocalStore::AnswerUnsettled(WriteJob& job, const absl::Status& failure) {
  // It was executed, so it is no refusal; whether that lasts was not to be learnt.
  job.result.items.clear();
  job.result.outcome = WriteOutcome::kUnknown;
  job.result.status = absl::DeadlineExceededError(
      absl::StrCat("this request was executed before, and whether that is durable could not be "
                   "made sure (",
                   failure.message(), "): ask for operation ", job.operation.ToString(),
                   ", or repeat the request"));
}

void LocalStore::AnswerJob(Job& job) {
  if (auto* write = std::get_if<WriteJob>(&job)) {
    WriteResult& result = write->result;
    if (result.outcome == WriteOutcome::kCommitted && result.stream != 0 && Undelivered(quorum_)) {
      result.outcome = WriteOutcome::kPending;
      result.status = UndeliveredStatus(quorum_);
    }
  }
  Deliver(job);
}

absl::Status LocalStore::UndeliveredStatus(std::uint64_t quorum) {
  return absl::DeadlineExceededError(
      absl::StrFormat("durable here, not yet on %d members; the process that serves this one "
                      "delivers it",
                      quorum));
}

// -- The listener ---------------------------------------------------------------------------------

void LocalStore::Tell(StoreState state, std::vector<DurableCommit> commits) {
  if (options_.listener == nullptr || (commits.empty() && state == told_)) return;
  told_ = std::move(state);
  const CallbackScope scope(static_cast<const Store*>(this));
  try {
    options_.listener->OnDurable(told_, std::move(commits));
  } catch (...) {
    LogThrown("the listener", StatusOfException());
  }
}

void LocalStore::TellGroup(GroupLog& log) {
  {
    // A good copy may have come in the place of a commit that could not be read.
    MutexLock lock(mutex_);
    for (const LogRow& row : log.set.log) {
      const auto found = unreadable_.find(row.stream);
      if (found != unreadable_.end() && found->second == row.seq) unreadable_.erase(found);
    }
  }
  if (options_.listener == nullptr) return;
  std::vector<DurableCommit> commits;
  if (!log.streams.installing) {
    commits.reserve(log.set.log.size());
    for (LogRow& row : log.set.log) {
      commits.push_back({row.stream == log.streams.stream, row.stream, row.seq, row.operation,
                         std::make_shared<const std::string>(std::move(row.bytes))});
    }
  }
  Tell(log.streams.State(), std::move(commits));
}

void LocalStore::Look() {
  const absl::StatusOr<std::optional<std::uint64_t>> foreign = backend_->ForeignCommits();
  absl::Status status = foreign.status();
  if (status.ok()) {
    const absl::Duration now = clock_.Monotonic();
    const bool due = foreign->has_value() ? foreign_ != *foreign : now >= next_blind_look_;
    if (looked_ && !due) return;
    next_blind_look_ = now + kBlindLookInterval;
    status = LookAtHeads();
    if (status.ok()) {
      looked_ = true;
      foreign_ = *foreign;
    }
  }
  if (!status.ok() && !look_failed_) {
    Log(LogLevel::kWarning,
        absl::StrCat("looking for commits of other processes: ", status.message()));
  }
  look_failed_ = !status.ok();
}

absl::Status LocalStore::LookAtHeads() {
  AIMEM_RETURN_IF_ERROR(RecoverIfFenced());
  Streams streams;
  {
    AIMEM_ASSIGN_OR_RETURN(const ReadGuard read, BeginRead());
    AIMEM_ASSIGN_OR_RETURN(const ReadResult found, read->Read({.heads = true, .meta = true}));
    AIMEM_ASSIGN_OR_RETURN(streams, StreamsOf(found, Unreadable(), *read));
  }
  AIMEM_RETURN_IF_ERROR(CheckWhose(streams));
  StoreState state = streams.State();
  // What others of the federation are told has to be durable, whoever wrote it.
  if (state != told_) {
    AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> write, backend_->BeginWrite());
    AIMEM_RETURN_IF_ERROR(CommitSettled(*write));
  }
  Tell(std::move(state), {});
  return absl::OkStatus();
}

// -- When the disk did not say --------------------------------------------------------------------

void LocalStore::ResolveUnknown(std::vector<Job>& group, GroupLog& log,
                                const absl::Status& failure) {
  Log(LogLevel::kError, absl::StrCat("commit: ", failure.message(), "; recovering"));
  Fence(failure);
  absl::Status status = Recover();
  if (status.ok()) status = LookUp(group, log);
  if (status.ok()) {
    NoteWritten();
    TellGroup(log);
    return AnswerGroup(group, absl::OkStatus());
  }
  Fence(status);
  for (Job& job : group) AnswerUnknown(job, failure);
}

void LocalStore::AnswerUnknown(Job& job, const absl::Status& failure) {
  if (auto* apply = std::get_if<ApplyJob>(&job)) {
    apply->result = ApplyResult{};
    apply->result.status = Annotate(absl::UnavailableError(failure.message()),
                                    "outcome unknown, apply the page again");
  } else if (auto& write = std::get<WriteJob>(job); write.state != JobState::kRefused) {
    write.result.outcome = WriteOutcome::kUnknown;
    write.result.items.clear();
    write.result.status = absl::DeadlineExceededError(
        absl::StrCat("outcome unknown (", failure.message(), "): ask for operation ",
                     write.operation.ToString(), " once the store is back"));
  }
  AnswerJob(job);
}

void LocalStore::Fence(const absl::Status& reason) {
  MutexLock lock(mutex_);
  fenced_ = std::string(ToStd(reason.message()));
}

absl::Status LocalStore::LookUp(std::vector<Job>& group, GroupLog& log) {
  // Under the write lock: an old COMMIT that was still on its way has ended one way or the other.
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction, backend_->BeginWrite());
  ReadSet reads;
  reads.heads = true;
  reads.meta = true;
  for (const LogRow& row : log.set.log) reads.operations.push_back(row.operation);
  for (const Job& job : group) {
    const auto* write = std::get_if<WriteJob>(&job);
    if (write != nullptr && write->state == JobState::kReplayed) {
      reads.operations.push_back(write->operation);
    }
  }
  AIMEM_ASSIGN_OR_RETURN(const ReadResult found, transaction->Read(reads));
  AIMEM_ASSIGN_OR_RETURN(log.streams, StreamsOf(found, Unreadable(), *transaction));
  AIMEM_RETURN_IF_ERROR(CheckWhose(log.streams));
  // Of the group's commits, those that are there; and what is there now.
  std::map<std::pair<std::uint64_t, std::uint64_t>, const std::string*> places;
  for (const LogRow& row : found.operations) places[{row.stream, row.seq}] = &row.bytes;
  // What the same transaction cut again is not looked for.
  const auto cut = [&](const LogRow& row) {
    return std::any_of(log.set.log_cuts.begin(), log.set.log_cuts.end(), [&](const auto& one) {
      return one.first == row.stream && row.seq < one.second;
    });
  };
  std::erase_if(log.set.log, cut);
  const std::size_t written = log.set.log.size();
  // Another commit may have that place: a damaged one that this was to mend, or somebody else's.
  std::erase_if(log.set.log, [&](const LogRow& row) {
    const auto place = places.find({row.stream, row.seq});
    return place == places.end() || *place->second != row.bytes;
  });
  // One transaction: all of it is there, or nothing.
  const bool durable = log.set.log.size() == written;
  const VersionVector vector = VectorOf(log.streams.heads);
  const absl::Status lost =
      absl::UnavailableError("the commit failed and nothing was written: retry");
  for (Job& job : group) {
    if (auto* apply = std::get_if<ApplyJob>(&job)) {
      // The log does not say whether a page of states without commits is there.
      if (!log.installed && durable && Covers(vector, apply->result.durable)) continue;
      apply->result = ApplyResult{};
      apply->result.status = log.installed ? absl::UnavailableError(
                                                 "a commit failed while filling the store: go on "
                                                 "from StoreInfo::installing")
                                           : lost;
    } else if (auto& write = std::get<WriteJob>(job); write.state == JobState::kReplayed) {
      const bool here =
          std::any_of(found.operations.begin(), found.operations.end(),
                      [&](const LogRow& row) { return row.operation == write.operation; });
      if (!here) Reject(write, lost);
    } else if (write.state == JobState::kExecuted) {
      if (!durable || !Covers(vector, write.result.rests_on)) Reject(write, lost);
    }
  }
  // What is seen need not be durable, on a server that waits for its standbys: a commit is, and
  // what it came after.
  return CommitSettled(*transaction);
}

absl::Status LocalStore::Recover() {
  AIMEM_RETURN_IF_ERROR(backend_->Recover());
  MutexLock lock(mutex_);
  fenced_.clear();
  return absl::OkStatus();
}

void LocalStore::Heal() {
  // Why it is fenced has been said; whoever writes meanwhile is told why it still is.
  const bool written = TryToWrite().ok();
  bool room = false;
  {
    MutexLock lock(mutex_);
    next_heal_ = clock_.Monotonic() + kHealInterval;
    // A full disk may have had room for this: it stands until a write of somebody's succeeds, or
    // none has been tried for a while.
    room = written && !disk_full_.empty() && clock_.Monotonic() >= disk_full_until_;
    if (room) disk_full_.clear();
  }
  if (room) Log(LogLevel::kWarning, std::string(kRoomAgain));
}

absl::Status LocalStore::TryToWrite() {
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction, BeginGroup());
  AIMEM_ASSIGN_OR_RETURN(const ReadResult found, transaction->Read({.heads = true, .meta = true}));
  AIMEM_ASSIGN_OR_RETURN(const Streams streams, StreamsOf(found, Unreadable(), *transaction));
  AIMEM_RETURN_IF_ERROR(CheckWhose(streams));
  return CommitSettled(*transaction);
}

absl::Status LocalStore::CheckDamage() {
  absl::Status damaged = backend_->Damaged();
  if (damaged.ok()) return damaged;
  bool told = true;
  {
    MutexLock lock(mutex_);
    std::swap(told, damaged_);
  }
  if (!told) Log(LogLevel::kError, absl::StrCat("the store is damaged: ", damaged.message()));
  return WithTrouble(std::move(damaged), Trouble::kDamaged);
}

absl::Status LocalStore::Explain(absl::Status failure) {
  if (failure.ok()) return failure;
  AIMEM_RETURN_IF_ERROR(CheckDamage());
  if (!absl::IsResourceExhausted(failure)) return failure;
  bool first = false;
  {
    MutexLock lock(mutex_);
    first = disk_full_.empty();
    disk_full_ = std::string(ToStd(failure.message()));
    disk_full_until_ = clock_.Monotonic() + kDiskFullStands;
  }
  if (first) {
    Log(LogLevel::kError,
        absl::StrCat("the disk is full, writes are refused: ", failure.message()));
  }
  return WithTrouble(std::move(failure), Trouble::kDiskFull);
}

void LocalStore::NoteWritten() {
  bool was_full = false;
  {
    MutexLock lock(mutex_);
    was_full = !disk_full_.empty();
    disk_full_.clear();
    unwritable_.clear();
  }
  if (was_full) Log(LogLevel::kWarning, std::string(kRoomAgain));
}

absl::Status LocalStore::RecoverIfFenced() {
  std::string reason;
  bool as_found = false;
  {
    MutexLock lock(mutex_);
    if (fenced_.empty() && !as_found_) return absl::OkStatus();
    as_found = as_found_;
    reason = fenced_.empty() ? std::string(
                                   "this member has just been opened, and what is visible "
                                   "need not be durable")
                             : absl::StrCat("the outcome of a commit is unknown (", fenced_, ")");
  }
  absl::Status status = Recover();
  if (status.ok() && as_found) status = CheckLastCommits();
  MutexLock lock(mutex_);
  if (status.ok()) {
    as_found_ = false;
    return status;
  }
  if (fenced_.empty()) fenced_ = reason;
  return absl::UnavailableError(
      absl::StrCat("the store takes no writes since ", reason, ": ", status.message()));
}

}  // namespace aimem::store
