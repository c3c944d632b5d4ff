#include "lib/store/outcomes.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/status.h"
#include "lib/changes/read.h"
#include "lib/log/commit.h"

namespace aimem::store {
namespace {

void AnswerUnsettled(WriteJob& job, const absl::Status& failure) {
  // It was executed, so it is no refusal; whether that lasts was not to be learnt.
  job.result.items.clear();
  job.result.outcome = WriteOutcome::kUnknown;
  job.result.status = absl::UnknownError(
      absl::StrCat("this request was executed before, and whether that is durable could not be "
                   "made sure (",
                   failure.message(), "): ask for operation ", job.operation.ToString(),
                   ", or repeat the request"));
}

void SetUnknown(Job& job, const absl::Status& failure) {
  if (auto* apply = std::get_if<ApplyJob>(&job)) {
    apply->result = ApplyResult{};
    apply->result.status = Annotate(absl::UnavailableError(failure.message()),
                                    "outcome unknown, apply the page again");
  } else if (auto& write = std::get<WriteJob>(job); write.state != JobState::kRefused) {
    write.result.outcome = WriteOutcome::kUnknown;
    write.result.items.clear();
    write.result.status = absl::UnknownError(
        absl::StrCat("outcome unknown (", failure.message(), "): ask for operation ",
                     write.operation.ToString(), " once the store is back"));
  }
}

bool Erases(const WriteBatch& batch) {
  return std::any_of(batch.items.begin(), batch.items.end(), [](const WriteItem& item) {
    return std::holds_alternative<EraseMemory>(item);
  });
}

/// The operations of those that were executed before.
std::vector<OperationId> ReplayedOf(const Group& group) {
  std::vector<OperationId> operations;
  for (const Job& job : group.jobs) {
    const auto* write = std::get_if<WriteJob>(&job);
    if (write != nullptr && write->state == JobState::kReplayed) {
      operations.push_back(write->operation);
    }
  }
  return operations;
}

/// True: `found` is the commit `written`, of which another process may have erased bodies since.
bool IsThere(const std::string& found, const std::string& written) {
  if (found == written) return true;
  return log::PeekHead(found) == log::PeekHead(written) && log::DecodeCommit(found).ok();
}

/// Leave of what the group was to append what stands in its place. True: all of it does.
bool KeepWhatIsThere(const std::vector<LogRow>& found, WriteSet& set) {
  std::map<std::pair<std::uint64_t, std::uint64_t>, const std::string*> places;
  for (const LogRow& row : found) places[{row.stream, row.seq}] = &row.bytes;
  // What the same transaction cut again is not looked for.
  std::erase_if(set.log, [&](const LogRow& row) {
    return std::any_of(set.log_cuts.begin(), set.log_cuts.end(), [&](const auto& one) {
      return one.first == row.stream && row.seq < one.second;
    });
  });
  const std::size_t written = set.log.size();
  // Another commit may have that place: a damaged one that this was to mend, or somebody else's.
  std::erase_if(set.log, [&](const LogRow& row) {
    const auto place = places.find({row.stream, row.seq});
    return place == places.end() || !IsThere(*place->second, row.bytes);
  });
  return set.log.size() == written;
}

}  // namespace

// -- Answers --------------------------------------------------------------------------------------

void Outcomes::Answer(Group& group, const absl::Status& failure) {
  const bool settled = failure.ok() || SettleReplays(group);
  for (Job& job : group.jobs) {
    if (!failure.ok()) {
      if (auto* apply = std::get_if<ApplyJob>(&job)) {
        apply->result = ApplyResult{};
        apply->result.status = failure;
      } else if (auto& write = std::get<WriteJob>(job); write.state == JobState::kReplayed) {
        DropMemories(write);
        if (!settled) AnswerUnsettled(write, failure);
      } else if (write.state != JobState::kRefused) {
        Reject(write, failure);
      }
    }
    AnswerJob(job, group.log);
  }
}

void Outcomes::Fail(Group& group, absl::Status failure) {
  failure = health_.Explain(std::move(failure));
  // What was read may be of files that have moved away: then no refusal holds either.
  const bool unread = !absl::IsResourceExhausted(failure);
  for (Job& job : group.jobs) {
    auto* write = std::get_if<WriteJob>(&job);
    if (unread && write != nullptr && write->state == JobState::kRefused) Reject(*write, failure);
  }
  Answer(group, failure);
}

bool Outcomes::SettleReplays(const Group& group) {
  ReadSet reads;
  reads.operations = ReplayedOf(group);
  if (reads.operations.empty()) return true;
  const absl::StatusOr<std::unique_ptr<Transaction>> begun = base_.backend->BeginWrite();
  if (!begun.ok()) return false;
  const absl::StatusOr<ReadResult> found = (*begun)->Read(reads);
  if (!found.ok()) return false;
  std::set<OperationId> here;
  for (const LogRow& row : found->operations) here.insert(row.operation);
  const bool all =
      std::all_of(reads.operations.begin(), reads.operations.end(),
                  [&](const OperationId& operation) { return here.contains(operation); });
  return all && recovery_.CommitSettled(**begun).ok();
}

void Outcomes::AnswerJob(Job& job, const GroupLog& log) {
  if (auto* write = std::get_if<WriteJob>(&job)) {
    WriteResult& result = write->result;
    if (result.outcome == WriteOutcome::kCommitted && result.stream != 0) {
      if (absl::Status not_yet = base_.CheckDelivered(log.quorum); !not_yet.ok()) {
        result.outcome = WriteOutcome::kPending;
        result.status = std::move(not_yet);
      }
    }
    if (result.outcome != WriteOutcome::kRejected && Erases(write->batch)) {
      return eraser_.Answer(std::move(job), log.streams.erasing);
    }
  }
  Deliver(base_, job);
}

// -- When the disk did not say --------------------------------------------------------------------

void Outcomes::ResolveUnknown(Group& group, const absl::Status& failure) {
  base_.Log(LogLevel::kError, absl::StrCat("commit: ", failure.message(), "; recovering"));
  health_.Fence(failure);
  absl::Status status = recovery_.Recover();
  if (status.ok()) status = LookUp(group);
  if (status.ok()) {
    health_.NoteWritten(group.log.streams.member);
    watcher_.NotifyOfGroup(group.log);
    return Answer(group, absl::OkStatus());
  }
  health_.Fence(status);
  AnswerUnknown(group, failure);
}

void Outcomes::AnswerUnknown(Group& group, const absl::Status& failure) {
  for (Job& job : group.jobs) {
    SetUnknown(job, failure);
    AnswerJob(job, group.log);
  }
}

absl::Status Outcomes::LookUp(Group& group) {
  GroupLog& log = group.log;
  // Under the write lock: an old COMMIT that was still on its way has ended one way or the other.
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction,
                         base_.backend->BeginWrite());
  ReadSet reads;
  reads.heads = true;
  reads.meta = true;
  reads.operations = ReplayedOf(group);
  for (const LogRow& row : log.set.log) reads.operations.push_back(row.operation);
  AIMEM_ASSIGN_OR_RETURN(const ReadResult found, transaction->Read(reads));
  AIMEM_ASSIGN_OR_RETURN(log.streams, recovery_.ReadStreams(found, *transaction));
  // One transaction: all of it is there, or nothing.
  const bool durable = KeepWhatIsThere(found.operations, log.set);
  const VersionVector vector = VectorOf(log.streams.heads);
  const absl::Status lost =
      absl::UnavailableError("the commit failed and nothing was written: retry");
  for (Job& job : group.jobs) {
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
      if (!durable) DropMemories(write);
      if (!here) Reject(write, lost);
    } else if (write.state == JobState::kExecuted) {
      if (!durable || !Covers(vector, write.result.rests_on)) Reject(write, lost);
    }
  }
  // What is seen need not be durable, on a server that waits for its standbys: a commit is, and
  // what it came after.
  return recovery_.CommitSettled(*transaction);
}

}  // namespace aimem::store
