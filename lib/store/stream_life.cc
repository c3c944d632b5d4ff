#include "lib/store/stream_life.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/execute/request.h"
#include "lib/log/commit.h"

namespace aimem::store {
namespace {

constexpr std::size_t kReadTogether = 4u << 20;
/// So much of a stream is given up in one transaction: one commit at least.
constexpr std::size_t kYieldCommits = 1'000;
constexpr std::size_t kYieldBytes = 8u << 20;

/// The store went on since `common` was found: whoever did may look again.
absl::Status NotHeld(std::uint64_t stream, const StreamHead& common, std::string_view what) {
  return absl::AbortedError(
      absl::StrFormat("stream %016x cannot be yielded after commit %d: %s: compare again", stream,
                      common.seq, absl::string_view(what.data(), what.size())));
}

absl::Status Cut(std::uint64_t stream, std::uint64_t seq) {
  return absl::FailedPreconditionError(
      absl::StrFormat("stream %016x cannot be yielded: the log no longer holds all that would be "
                      "given up, commit %d is missing",
                      stream, seq));
}

absl::Status DoesNotFollow(std::uint64_t stream, std::uint64_t seq) {
  return absl::DataLossError(absl::StrFormat(
      "commit %d of stream %016x does not follow the one before: run doctor", seq, stream));
}

/// A commit that is to be given up: whoever cannot read it cannot say it again.
absl::StatusOr<log::Commit> DecodeToGiveUp(const LogRow& row) {
  AIMEM_ASSIGN_OR_RETURN(log::Commit commit, log::DecodeCommit(row.bytes, false));
  if (!commit.opaque) return commit;
  return absl::FailedPreconditionError(
      absl::StrFormat("stream %016x cannot be yielded: commit %d is of another version of aimem, "
                      "and this one cannot append it again: update",
                      row.stream, row.seq));
}

/// OK if the log holds the commit after `common`, and that follows it.
absl::Status CheckFollowed(std::uint64_t stream, const StreamHead& common,
                           Transaction& transaction) {
  AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> next,
                         transaction.ReadLog(stream, common.seq, 1, 1));
  if (next.empty() || next.front().seq != common.seq + 1) return Cut(stream, common.seq + 1);
  AIMEM_ASSIGN_OR_RETURN(const log::Commit commit, DecodeToGiveUp(next.front()));
  if (commit.header.prev_hash == common.hash) return absl::OkStatus();
  return NotHeld(stream, common, "another commit stands there");
}

/// The commit `seq` of `stream` as a head, if the log holds it.
absl::StatusOr<std::optional<StreamHead>> FindHead(std::uint64_t stream, std::uint64_t seq,
                                                   Transaction& transaction) {
  if (seq == 0) return std::nullopt;
  AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> found,
                         transaction.ReadLog(stream, seq - 1, 1, 1));
  if (found.empty() || found.front().seq != seq) return std::nullopt;
  return log::PeekHead(found.front().bytes);
}

/// True: `claimed` is a commit that is held of `stream`, whose last one is `head`.
absl::StatusOr<bool> IsHeld(std::uint64_t stream, const StreamHead& claimed, const StreamHead& head,
                            Transaction& transaction) {
  if (claimed.hash == Hash256{} || claimed.seq > head.seq) return false;
  if (claimed.seq == head.seq) return claimed.hash == head.hash;
  AIMEM_ASSIGN_OR_RETURN(const std::optional<StreamHead> ours,
                         FindHead(stream, claimed.seq, transaction));
  return ours && ours->hash == claimed.hash;
}

/// The last commits of `stream` up to `head`, none before `after` + 1, as far as one transaction
/// gives them up.
absl::StatusOr<std::vector<log::Commit>> ReadTail(std::uint64_t stream, std::uint64_t after,
                                                  std::uint64_t head, Transaction& transaction) {
  std::deque<std::pair<log::Commit, std::size_t>> tail;
  std::size_t bytes = 0;
  std::uint64_t at = head - std::min<std::uint64_t>(head - after, kYieldCommits);
  while (at < head) {
    AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> found,
                           transaction.ReadLog(stream, at, head - at, kReadTogether));
    if (found.empty()) return Cut(stream, at + 1);
    for (const LogRow& row : found) {
      if (row.seq != ++at) return Cut(stream, at);
      AIMEM_ASSIGN_OR_RETURN(log::Commit commit, DecodeToGiveUp(row));
      if (!tail.empty() && commit.header.prev_hash != tail.back().first.header.content_hash) {
        return DoesNotFollow(stream, at);
      }
      tail.emplace_back(std::move(commit), row.bytes.size());
      for (bytes += row.bytes.size(); bytes > kYieldBytes && tail.size() > 1; tail.pop_front()) {
        bytes -= tail.front().second;
      }
    }
  }
  std::vector<log::Commit> commits;
  commits.reserve(tail.size());
  for (auto& [commit, size] : tail) commits.push_back(std::move(commit));
  return commits;
}

/// What the first commit that the log holds of `stream` follows; `head` if it holds none.
absl::StatusOr<StreamHead> BeforeLog(std::uint64_t stream, const StreamHead& head,
                                     execute::Rows& rows) {
  AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> first,
                         rows.transaction().ReadLog(stream, 0, 1, 1));
  if (first.empty()) return head;
  AIMEM_ASSIGN_OR_RETURN(const log::Commit commit, log::DecodeCommit(first.front().bytes, false));
  return StreamHead{commit.header.seq - 1, 0, commit.header.prev_hash};
}

}  // namespace

// -- Every transaction ----------------------------------------------------------------------------

absl::Status StreamLife::Prepare(const ReadResult& found, execute::Rows& rows, GroupLog& log) {
  log.prepared = true;
  log.quorum = changes::QuorumOf(found.meta);
  if (const auto place = found.meta.find(changes::kMetaIndex); place != found.meta.end()) {
    log.index_place = place->second;
  }
  AIMEM_ASSIGN_OR_RETURN(log.streams, recovery_.ReadStreams(found, rows.transaction()));
  AIMEM_RETURN_IF_ERROR(Choose(found.meta, log));
  for (const auto& [stream, head] : log.streams.heads) rows.Saw({head.hlc, stream});
  return absl::OkStatus();
}

absl::Status StreamLife::Choose(const changes::Meta& meta, GroupLog& log) {
  AIMEM_ASSIGN_OR_RETURN(const std::string identity, base_.backend->PhysicalIdentity());
  AIMEM_ASSIGN_OR_RETURN(const std::string moved,
                         changes::ChooseStream(meta, identity, log.streams, base_.random, log.set));
  if (!moved.empty()) {
    log.moved = log.must_commit = true;
    base_.Log(LogLevel::kWarning, moved);
  }
  const auto own = log.streams.heads.find(log.streams.stream);
  if (own == log.streams.heads.end() || own->second.seq == 0 || own->second.hash != Hash256{}) {
    return absl::OkStatus();
  }
  base_.Log(
      LogLevel::kError,
      absl::StrFormat("commit %d of stream %016x, the last one, cannot be read: this store goes on "
                      "as a new stream; run doctor",
                      own->second.seq, own->first));
  changes::ForsakeStream(own->first, log.streams, base_.random, log.set);
  log.must_commit = true;
  return absl::OkStatus();
}

// -- A transaction of its own ---------------------------------------------------------------------

void StreamLife::FailAll(const absl::Status& status) {
  while (std::optional<StreamJob> job = queue_.TakeStreamJob()) {
    base_.Call(std::move(job->done), absl::StatusOr<log::StoreState>(status));
  }
}

void StreamLife::Write(StreamJob job, std::unique_ptr<Transaction> transaction) {
  absl::StatusOr<log::StoreState> state = absl::UnavailableError("not done");
  job.more = false;
  try {
    state = Commit(job, std::move(transaction));
  } catch (...) {
    // Whether it was committed is not known.
    const absl::Status thrown = StatusOfException();
    base_.LogThrown("what was done to a stream", thrown);
    health_.Fence(thrown);
    state = absl::UnavailableError(absl::StrCat("outcome unknown (", thrown.message(), "): retry"));
  }
  if (state.ok() && job.more) return queue_.PutFirst(std::move(job));
  base_.Call(std::move(job.done), std::move(state));
}

absl::StatusOr<log::StoreState> StreamLife::Commit(StreamJob& job,
                                                   std::unique_ptr<Transaction> transaction) {
  GroupLog log;
  absl::Status status;
  {
    execute::Rows rows(*transaction);
    status = Execute(job, rows, log);
  }
  if (!status.ok()) AIMEM_RETURN_IF_ERROR(health_.CheckDamage());
  if (status.ok() && !log.Empty()) status = health_.Explain(transaction->Put(log.set));
  CommitResult committed{CommitOutcome::kDurable, absl::OkStatus()};
  if (status.ok()) committed = transaction->Commit();
  transaction.reset();
  if (committed.outcome == CommitOutcome::kUnknown) {
    // What was done to a stream can be done again: it then finds it done, or does it.
    base_.Log(LogLevel::kError, absl::StrCat("commit: ", committed.status.message()));
    health_.Fence(committed.status);
    status = absl::UnavailableError(
        absl::StrCat("outcome unknown (", committed.status.message(), "): retry"));
  } else if (committed.outcome == CommitOutcome::kNotDone) {
    status = health_.Explain(committed.status);
  }
  if (!status.ok()) return status;
  if (!log.Empty()) health_.NoteWritten(log.streams.member);
  log::StoreState state = log.streams.State();
  watcher_.NotifyOfGroup(log);
  AIMEM_RETURN_IF_ERROR(job.kept);
  return state;
}

absl::Status StreamLife::Forsake(const StreamJob& job, execute::Rows& rows, GroupLog& log) {
  const std::uint64_t before = log.streams.stream;
  if (const auto head = log.streams.heads.find(job.stream); head != log.streams.heads.end()) {
    AIMEM_ASSIGN_OR_RETURN(const bool held,
                           IsHeld(job.stream, job.claimed, head->second, rows.transaction()));
    if (held) return absl::OkStatus();
  }
  if (!changes::ForsakeStream(job.stream, log.streams, base_.random, log.set))
    return absl::OkStatus();
  log.must_commit = true;
  base_.Log(LogLevel::kWarning,
            absl::StrFormat(
                "others hold another history of our stream %016x: this store was put back to an "
                "earlier state%s",
                job.stream,
                before == log.streams.stream
                    ? std::string()
                    : absl::StrFormat("; it continues as %016x", log.streams.stream)));
  return absl::OkStatus();
}

absl::Status StreamLife::Execute(StreamJob& job, execute::Rows& rows, GroupLog& log) {
  AIMEM_ASSIGN_OR_RETURN(const ReadResult found, rows.Fetch({.heads = true, .meta = true}));
  AIMEM_RETURN_IF_ERROR(Prepare(found, rows, log));
  AIMEM_RETURN_IF_ERROR(Forsake(job, rows, log));
  if (job.common) {
    const absl::StatusOr<bool> all = Yield(job.stream, *job.common, rows, log);
    if (absl::IsFailedPrecondition(all.status()) && log.streams.Ours(job.stream)) {
      // Its end cannot be said again, and stays: whoever holds another one is to give way.
      log.must_commit |= changes::NoteYielded(job.stream, log.streams, log.set);
      job.kept = all.status();
    } else {
      AIMEM_RETURN_IF_ERROR(all.status());
      job.more = !*all;
    }
  }
  if (!log.must_commit && watcher_.HasNews(log.streams)) {
    changes::Settle(base_.random, log.set);
    log.must_commit = true;
  }
  // A store that has nothing yet draws its stream with its first commit.
  if (!log.must_commit) log.set.meta.clear();
  return absl::OkStatus();
}

absl::StatusOr<bool> StreamLife::Yield(std::uint64_t stream, const StreamHead& common,
                                       execute::Rows& rows, GroupLog& log) {
  if (stream == log.streams.stream) {
    return absl::FailedPreconditionError("a store yields no stream that it writes");
  }
  const StreamHead head = log.streams.heads[stream];
  if (head.seq < common.seq) return NotHeld(stream, common, "the log does not reach so far");
  if (head.seq == common.seq) {
    if (head.seq == 0) log.streams.heads.erase(stream);
    if (head.hash != common.hash) return NotHeld(stream, common, "another commit stands there");
    return true;
  }
  StreamHead bottom = common;
  if (common.seq == 0) {
    AIMEM_ASSIGN_OR_RETURN(bottom, BeforeLog(stream, head, rows));
    // What came as states stands in rows, and in no commit that could be appended again.
    if (bottom.seq > 0) return Cut(stream, 0);
  }
  std::vector<log::Commit> tail;
  if (bottom.seq < head.seq) {
    AIMEM_RETURN_IF_ERROR(CheckFollowed(stream, bottom, rows.transaction()));
    AIMEM_ASSIGN_OR_RETURN(tail, ReadTail(stream, bottom.seq, head.seq, rows.transaction()));
  }
  const bool all = tail.empty() || tail.front().header.seq == bottom.seq + 1;
  const std::uint64_t last = all ? common.seq : tail.front().header.seq - 1;
  AIMEM_ASSIGN_OR_RETURN(const std::optional<StreamHead> kept,
                         FindHead(stream, last, rows.transaction()));
  if (!all && !kept) return Cut(stream, last);
  AIMEM_RETURN_IF_ERROR(AppendAgain(std::move(tail), rows, log));
  log.set.log_tails.emplace_back(stream, last);
  log.must_commit = true;
  if (!kept) changes::SetHead(stream, common, log.set);
  log.streams.heads[stream] = kept.value_or(common);
  if (last == 0) log.streams.heads.erase(stream);
  if (all) changes::NoteYielded(stream, log.streams, log.set);
  return all;
}

absl::Status StreamLife::Adopt(const StreamHeads& heads, execute::Rows& rows, GroupLog& log,
                               ApplyResult& result) {
  for (const auto& [stream, head] : heads) {
    const StreamHead ours = log.streams.heads[stream];
    if (head.seq <= ours.seq) {
      if (ours.seq == 0) log.streams.heads.erase(stream);
      if (head.seq < ours.seq || head.hash == ours.hash) continue;
      ApplyRefusal& refusal = result.refusals.emplace_back();
      refusal.stream = stream;
      refusal.seq = head.seq;
      refusal.status = absl::DataLossError(
          absl::StrFormat("forked stream %016x: two commits with seq %d", stream, head.seq));
      continue;
    }
    if (log.streams.Ours(stream)) {
      const absl::StatusOr<bool> all = GiveUpHeld(stream, rows, log);
      // What cannot be given up is no fault of the others in the group.
      if (absl::IsUnavailable(all.status()) || absl::IsInternal(all.status())) return all.status();
      if (!all.ok() || !*all) {
        result = ApplyResult{};
        result.status = all.ok() ? absl::UnavailableError(absl::StrFormat(
                                       "giving up what is held of stream %016x: again", stream))
                                 : all.status();
        return absl::OkStatus();
      }
    } else if (ours.seq > 0) {
      log.set.log_cuts.emplace_back(stream, ours.seq + 1);
    }
    log.streams.heads[stream] = log.streams.adopted[stream] = head;
    rows.Saw({head.hlc, stream});
    changes::SetHead(stream, head, log.set);
    log.must_commit = true;
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> StreamLife::GiveUpHeld(std::uint64_t stream, execute::Rows& rows,
                                            GroupLog& log) {
  if (stream == log.streams.stream) {
    return absl::UnavailableError("this store has to go on as a new stream first: retry");
  }
  AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> first,
                         rows.transaction().ReadLog(stream, 0, 1, 1));
  if (first.empty()) return true;
  AIMEM_ASSIGN_OR_RETURN(const log::Commit commit, log::DecodeCommit(first.front().bytes, false));
  return Yield(stream, {commit.header.seq - 1, 0, commit.header.prev_hash}, rows, log);
}

absl::Status StreamLife::AppendAgain(std::vector<log::Commit> commits, execute::Rows& rows,
                                     GroupLog& log) {
  ReadSet reads;
  for (const log::Commit& commit : commits) reads.operations.push_back(commit.header.operation);
  AIMEM_ASSIGN_OR_RETURN(const ReadResult found, rows.transaction().Read(reads));
  std::set<OperationId> taken;
  for (const std::vector<LogRow>* known : {&found.operations, &std::as_const(log.set.log)}) {
    for (const LogRow& row : *known) {
      if (row.stream == log.streams.stream) taken.insert(row.operation);
    }
  }
  // Whoever looks for bodies that are to go may have passed the end of our stream.
  if (!log.streams.erasing.empty()) changes::NoteErasing(base_.random, log.streams, log.set);
  for (log::Commit& commit : commits) {
    log::CommitHeader header = std::move(commit.header);
    // A stream names an operation once; this one has its answer already.
    if (!taken.insert(header.operation).second)
      header.operation = execute::FreshOperation(base_.random, base_.Now());
    header.hlc = log::NextHlc(rows.seen(), absl::ToUnixMillis(base_.Now()));
    if (header.hlc <= rows.seen()) {
      return absl::InternalError("the hybrid logical clock has reached its end: run doctor");
    }
    rows.Saw({header.hlc, log.streams.stream});
    log.Append(std::move(header), std::move(commit.changes), base_.random);
  }
  return absl::OkStatus();
}

}  // namespace aimem::store
