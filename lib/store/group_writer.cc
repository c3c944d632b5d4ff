#include "lib/store/group_writer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/callback.h"
#include "lib/base/status.h"

namespace aimem::store {
namespace {

/// True: its answer says what the transaction saw, and says it only if that is durable.
bool RestsOnWhatItSaw(const Job& job) {
  if (const auto* apply = std::get_if<ApplyJob>(&job)) return !apply->result.durable.empty();
  const auto& write = std::get<WriteJob>(job);
  return write.state == JobState::kReplayed || write.state == JobState::kExecuted;
}

}  // namespace

void GroupWriter::Write() {
  Group group;
  try {
    WriteTaken(group);
  } catch (...) {
    EndThrown(group, StatusOfException());
  }
}

void GroupWriter::EndThrown(Group& group, const absl::Status& thrown) {
  base_.LogThrown("a group of writes", thrown);
  try {
    // What waits would otherwise be tried again for ever.
    if (group.stage == Stage::kOpen && group.jobs.empty()) queue_.TakeMore(group);
    if (group.stage == Stage::kOpen) {
      outcomes_.Answer(group,
                       Annotate(thrown, "the group of this write failed, nothing was written"));
    } else if (group.stage == Stage::kDurable) {
      outcomes_.Answer(group, absl::OkStatus());
    } else {
      health_.Fence(thrown);
      outcomes_.AnswerUnknown(group, thrown);
    }
  } catch (...) {
    base_.LogThrown("answering a group of writes", StatusOfException());
  }
}

void GroupWriter::WriteTaken(Group& group) {
  // The lock first: whoever comes while it is waited for is part of the group.
  absl::StatusOr<std::unique_ptr<Transaction>> begun = recovery_.BeginWrite();
  if (!begun.ok()) {
    streams_.FailAll(begun.status());
    queue_.TakeMore(group);
    return outcomes_.Answer(group, begun.status());
  }
  if (std::optional<StreamJob> job = queue_.TakeStreamJob()) {
    if (job->run) return job->run(*std::move(begun));
    return streams_.Write(*std::move(job), *std::move(begun));
  }
  std::unique_ptr<Transaction> transaction = *std::move(begun);
  absl::Status status;
  {
    GroupExecution execution(base_, streams_, *transaction, group.log);
    status = Execute(group, execution);
  }
  if (!status.ok()) {
    transaction.reset();
    const absl::Status damaged = health_.CheckDamage();
    if (absl::IsInternal(status)) {
      base_.Log(LogLevel::kError, absl::StrCat("a group of writes failed: ", status.message()));
    }
    return outcomes_.Answer(group, damaged.ok() ? status : damaged);
  }
  Commit(group, std::move(transaction));
}

void GroupWriter::Commit(Group& group, std::unique_ptr<Transaction> transaction) {
  if (group.log.Empty()) {
    absl::Status status = transaction->Commit().status;
    if (!status.ok()) return outcomes_.Fail(group, std::move(status));
    // The answer may stand for what another process wrote.
    watcher_.NotifyOfGroup(group.log);
    return outcomes_.Answer(group, absl::OkStatus());
  }
  if (absl::Status status = transaction->Put(group.log.set); !status.ok()) {
    transaction.reset();
    return outcomes_.Fail(group, std::move(status));
  }
  group.stage = Stage::kCommitting;
  const CommitResult committed = transaction->Commit();
  transaction.reset();
  switch (committed.outcome) {
    case CommitOutcome::kDurable:
      group.stage = Stage::kDurable;
      keeper_.NoteDurable();
      indexer_.NoteDurable(group.log);
      health_.NoteWritten(group.log.streams.member);
      watcher_.NotifyOfGroup(group.log);
      outcomes_.Answer(group, absl::OkStatus());
      return Maintain(/*idle=*/false);
    case CommitOutcome::kNotDone:
      return outcomes_.Fail(group, committed.status);
    case CommitOutcome::kUnknown:
      return outcomes_.ResolveUnknown(group, committed.status);
  }
}

void GroupWriter::Maintain(bool idle) {
  std::string failed(ToStd(base_.backend->Maintain(idle).message()));
  if (failed == maintenance_failed_) return;  // said once
  maintenance_failed_ = std::move(failed);
  if (maintenance_failed_.empty()) return;
  base_.Log(LogLevel::kWarning, absl::StrCat("maintenance: ", maintenance_failed_));
}

// -- One group ------------------------------------------------------------------------------------

absl::Status GroupWriter::MayExecute(const GroupLog& log) const {
  if (base_.hooks.may_execute == nullptr) return absl::OkStatus();
  // Whoever would know learns of it when this group is durable.
  if (log.moved && log.quorum > 1) {
    return absl::UnavailableError(
        "the data lies elsewhere than before, and others may hold more of it: retry");
  }
  absl::Status may;
  absl::Status thrown = Contain([&] { may = base_.hooks.may_execute(); });
  if (thrown.ok()) return may;
  base_.LogThrown("may_execute", thrown);
  return thrown;
}

bool GroupWriter::Defer(ApplyJob& job, const changes::Streams& streams) {
  const std::uint64_t stream = changes::FindStreamToForsake(streams, job.page);
  if (stream == 0 || job.state == JobState::kDeferred) return false;
  job.state = JobState::kDeferred;
  queue_.PutFirst({stream, std::nullopt, [](const absl::StatusOr<log::StoreState>&) {}});
  return true;
}

absl::Status GroupWriter::Execute(Group& group, GroupExecution& execution) {
  do {
    const std::size_t first = group.jobs.size();
    queue_.TakeMore(group);
    AIMEM_RETURN_IF_ERROR(execution.Prepare(std::span(group.jobs).subspan(first)));
    AIMEM_RETURN_IF_ERROR(ExecuteFrom(first, group, execution));
  } while (queue_.AwaitMore(group));
  execution.Finish();
  SettleWhatIsSaid(group);
  return absl::OkStatus();
}

absl::Status GroupWriter::ExecuteFrom(std::size_t first, Group& group, GroupExecution& execution) {
  // Asked under the write lock: a stream that was forsaken meanwhile is known to be.
  const absl::Status may = MayExecute(group.log);
  for (std::size_t i = first; i < group.jobs.size(); ++i) {
    if (auto* write = std::get_if<WriteJob>(&group.jobs[i])) {
      if (!may.ok()) {
        Reject(*write, may);
        continue;
      }
      AIMEM_RETURN_IF_ERROR(execution.Write(*write));
    } else if (auto& apply = std::get<ApplyJob>(group.jobs[i]); Defer(apply, group.log.streams)) {
      queue_.PutBack(group, i);
    } else {
      AIMEM_RETURN_IF_ERROR(execution.Apply(apply));
    }
  }
  return absl::OkStatus();
}

void GroupWriter::SettleWhatIsSaid(Group& group) {
  GroupLog& log = group.log;
  if (log.must_commit || !log.set.log.empty()) return;
  if (watcher_.HasNews(log.streams) ||
      std::any_of(group.jobs.begin(), group.jobs.end(), RestsOnWhatItSaw)) {
    changes::Settle(base_.random, log.set);
    log.must_commit = true;
    return;
  }
  // A store whose history starts or forks says so in the transaction of its first commit.
  log.set.meta.clear();
}

}  // namespace aimem::store
