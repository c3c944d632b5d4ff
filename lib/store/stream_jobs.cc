// What is done to a stream: in a transaction of its own, before all that waits.
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/log/commit.h"
#include "lib/store/local_store.h"
#include "lib/store/streams.h"

namespace aimem::store {
namespace {

constexpr std::size_t kReadTogether = 4u << 20;

}  // namespace

void LocalStore::ForsakeStream(std::uint64_t stream, StreamCallback done) {
  EnqueueStreamJob({stream, std::nullopt, std::move(done)});
}

void LocalStore::YieldStream(std::uint64_t stream, const StreamHead& common, StreamCallback done) {
  EnqueueStreamJob({stream, common, std::move(done)});
}

// -- The queue ------------------------------------------------------------------------------------

void LocalStore::EnqueueStreamJob(StreamJob job) {
  absl::Status refused = CheckProcess();
  if (refused.ok()) {
    MutexLock lock(mutex_);
    if (!closing_) {
      stream_jobs_.push_back(std::move(job));
      Wake();
      return;
    }
    refused = absl::UnavailableError("the store is closed");
  }
  Call(std::move(job.done), absl::StatusOr<StoreState>(std::move(refused)));
}

std::optional<LocalStore::StreamJob> LocalStore::TakeStreamJob() {
  MutexLock lock(mutex_);
  if (stream_jobs_.empty()) return std::nullopt;
  std::optional<StreamJob> job = std::move(stream_jobs_.front());
  stream_jobs_.pop_front();
  return job;
}

void LocalStore::FailStreamJobs(const absl::Status& status) {
  while (std::optional<StreamJob> job = TakeStreamJob()) {
    Call(std::move(job->done), absl::StatusOr<StoreState>(status));
  }
}

void LocalStore::PutBack(Group& group, std::size_t first) {
  MutexLock lock(mutex_);
  while (group.jobs.size() > first) {
    const std::size_t bytes =
        std::visit([](const auto& any) { return any.bytes; }, group.jobs.back());
    group.bytes -= bytes;
    queued_items_ += 1;
    queued_bytes_ += static_cast<std::int64_t>(bytes);
    queue_.push_front(std::move(group.jobs.back()));
    group.jobs.pop_back();
  }
}

bool LocalStore::Defer(ApplyJob& job, const Streams& streams) {
  const std::uint64_t stream = FindStreamToForsake(streams, job.page);
  if (stream == 0 || job.deferred) return false;
  job.deferred = true;
  MutexLock lock(mutex_);
  // Whoever has the turn takes it next, also while the store closes.
  stream_jobs_.push_front({stream, std::nullopt, [](const absl::StatusOr<StoreState>&) {}});
  return true;
}

// -- Whose data it is -----------------------------------------------------------------------------

absl::Status LocalStore::CheckWhose(const Streams& streams) {
  absl::Status status = CheckMember(streams, member_);
  if (status.ok()) {
    member_ = streams.member;
    return status;
  }
  Log(LogLevel::kError, ToStd(status.message()));
  Fence(status);
  return status;
}

// -- The transaction ------------------------------------------------------------------------------

void LocalStore::WriteStreamJob(StreamJob job, std::unique_ptr<Transaction> transaction) {
  absl::StatusOr<StoreState> state = absl::UnavailableError("not done");
  try {
    state = CommitStreamJob(job, std::move(transaction));
  } catch (...) {
    // Whether it was committed is not known.
    const absl::Status thrown = StatusOfException();
    LogThrown("what was done to a stream", thrown);
    Fence(thrown);
    state = absl::UnavailableError(absl::StrCat("outcome unknown (", thrown.message(), "): retry"));
  }
  Call(std::move(job.done), std::move(state));
}

absl::StatusOr<StoreState> LocalStore::CommitStreamJob(const StreamJob& job,
                                                       std::unique_ptr<Transaction> transaction) {
  GroupLog log;
  absl::Status status;
  {
    Rows rows(*transaction);
    status = ExecuteStreamJob(job, rows, log);
  }
  if (status.ok() && !log.Empty()) status = transaction->Put(log.set);
  CommitResult committed{CommitOutcome::kDurable, absl::OkStatus()};
  if (status.ok() && !log.Empty()) committed = transaction->Commit();
  transaction.reset();
  if (committed.outcome == CommitOutcome::kUnknown) {
    // What was done to a stream can be done again: it then finds it done, or does it.
    Log(LogLevel::kError, absl::StrCat("commit: ", committed.status.message()));
    Fence(committed.status);
    status = absl::UnavailableError(
        absl::StrCat("outcome unknown (", committed.status.message(), "): retry"));
  } else if (committed.outcome == CommitOutcome::kNotDone) {
    status = committed.status;
  }
  if (!status.ok()) return status;
  StoreState state = log.streams.State();
  TellGroup(log);
  return state;
}

absl::Status LocalStore::ExecuteStreamJob(const StreamJob& job, Rows& rows, GroupLog& log) {
  AIMEM_RETURN_IF_ERROR(Prepare({}, rows, log));
  const std::uint64_t before = log.streams.stream;
  if (store::ForsakeStream(job.stream, log.streams, random_, log.set)) {
    Log(LogLevel::kWarning,
        absl::StrFormat("others hold another history of our stream %016x: this store was put back "
                        "to an earlier state%s",
                        job.stream,
                        before == log.streams.stream
                            ? std::string()
                            : absl::StrFormat("; it continues as %016x", log.streams.stream)));
    log.must_commit = true;
  }
  if (job.common) {
    AIMEM_RETURN_IF_ERROR(ExecuteYield(job.stream, *job.common, rows, log));
  }
  // A store that has nothing yet draws its stream with its first commit.
  if (!log.must_commit) log.set.meta.clear();
  return absl::OkStatus();
}

absl::StatusOr<StreamHead> LocalStore::BeforeLog(std::uint64_t stream, const StreamHead& head,
                                                  Rows& rows) {
  AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> first,
                         rows.transaction().ReadLog(stream, 0, 1, 1));
  if (first.empty()) return head;
  AIMEM_ASSIGN_OR_RETURN(const log::CommitHeader header,
                         log::DecodeCommitHeader(first.front().bytes));
  return StreamHead{header.seq - 1, 0, header.prev_hash};
}

absl::Status LocalStore::ExecuteYield(std::uint64_t stream, const StreamHead& common, Rows& rows,
                                      GroupLog& log) {
  if (stream == log.streams.stream) {
    return absl::FailedPreconditionError("a store yields no stream that it writes");
  }
  const auto refuse = [&](std::string_view what) {
    return absl::FailedPreconditionError(
        absl::StrFormat("stream %016x cannot be yielded after commit %d: %s", stream, common.seq,
                        absl::string_view(what.data(), what.size())));
  };
  const StreamHead head = log.streams.heads[stream];
  StreamHead at = common;
  if (common.seq == 0) {
    AIMEM_ASSIGN_OR_RETURN(at, BeforeLog(stream, head, rows));
    SetHead(stream, StreamHead(), log.set);
  }
  if (head.seq < common.seq) return refuse("the log does not reach so far");
  if (head.seq == common.seq) {
    if (head.seq == 0) log.streams.heads.erase(stream);
    return head.hash == common.hash ? absl::OkStatus() : refuse("another commit stands there");
  }
  std::vector<log::Commit> again;
  while (at.seq < head.seq) {
    AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> found,
                           rows.transaction().ReadLog(stream, at.seq, 1'000, kReadTogether));
    if (found.empty()) return refuse("the log no longer holds all that would be given up");
    for (const LogRow& row : found) {
      AIMEM_ASSIGN_OR_RETURN(log::Commit commit, log::DecodeCommit(row.bytes, false));
      if (row.seq != at.seq + 1) {
        return refuse("the log no longer holds all that would be given up");
      }
      if (commit.header.prev_hash != at.hash) return refuse("another commit stands there");
      at = {row.seq, commit.header.hlc, commit.header.content_hash};
      again.push_back(std::move(commit));
    }
    AIMEM_RETURN_IF_ERROR(AppendAgain(std::exchange(again, {}), rows, log));
  }
  log.set.log_tails.emplace_back(stream, common.seq);
  log.must_commit = true;
  log.streams.heads.erase(stream);
  if (common.seq == 0) return absl::OkStatus();
  AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> kept,
                         rows.transaction().ReadLog(stream, common.seq - 1, 1, 1));
  log.streams.heads[stream] = common;
  if (!kept.empty() && kept.front().seq == common.seq) return absl::OkStatus();
  SetHead(stream, common, log.set);
  return absl::OkStatus();
}

absl::Status LocalStore::Adopt(const StreamHeads& heads, Rows& rows, GroupLog& log,
                               ApplyResult& result) {
  for (const auto& [stream, head] : heads) {
    const StreamHead ours = log.streams.heads[stream];
    if (head.seq <= ours.seq) {
      if (ours.seq == 0) log.streams.heads.erase(stream);
      if (head.seq < ours.seq || head.hash == ours.hash) continue;
      result.refusals.push_back(
          {stream,
           head.seq,
           {},
           absl::DataLossError(
               absl::StrFormat("forked stream %016x: two commits with seq %d", stream, head.seq))});
      continue;
    }
    if (log.streams.Ours(stream)) {
      AIMEM_RETURN_IF_ERROR(GiveUpHeld(stream, rows, log));
    } else if (ours.seq > 0) {
      log.set.log_cuts.emplace_back(stream, ours.seq + 1);
    }
    log.streams.heads[stream] = log.streams.adopted[stream] = head;
    rows.Saw({head.hlc, stream});
    SetHead(stream, head, log.set);
    log.must_commit = true;
  }
  return absl::OkStatus();
}

absl::Status LocalStore::GiveUpHeld(std::uint64_t stream, Rows& rows, GroupLog& log) {
  if (stream == log.streams.stream) {
    return absl::UnavailableError("this store has to go on as a new stream first: retry");
  }
  AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> first,
                         rows.transaction().ReadLog(stream, 0, 1, 1));
  if (first.empty()) return absl::OkStatus();
  AIMEM_ASSIGN_OR_RETURN(const log::CommitHeader header,
                         log::DecodeCommitHeader(first.front().bytes));
  return ExecuteYield(stream, {header.seq - 1, 0, header.prev_hash}, rows, log);
}

absl::Status LocalStore::AppendAgain(std::vector<log::Commit> commits, Rows& rows, GroupLog& log) {
  ReadSet reads;
  for (const log::Commit& commit : commits) reads.operations.push_back(commit.header.operation);
  AIMEM_ASSIGN_OR_RETURN(const ReadResult found, rows.transaction().Read(reads));
  std::set<OperationId> taken;
  for (const LogRow& row : found.operations) {
    if (row.stream == log.streams.stream) taken.insert(row.operation);
  }
  for (log::Commit& commit : commits) {
    log::CommitHeader header = std::move(commit.header);
    // A stream names an operation once; this one has its answer already.
    if (!taken.insert(header.operation).second) header.operation = FreshOperation(random_, Now());
    header.hlc = log::NextHlc(rows.seen(), absl::ToUnixMillis(Now()));
    rows.Saw({header.hlc, log.streams.stream});
    AppendCommit(std::move(header), std::move(commit.changes), log);
  }
  return absl::OkStatus();
}

}  // namespace aimem::store
