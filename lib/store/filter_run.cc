#include "lib/store/filter_run.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/limits.h"
#include "lib/base/callback.h"
#include "lib/base/status.h"
#include "lib/changes/meta.h"
#include "lib/changes/streams.h"
#include "lib/execute/execute.h"
#include "lib/execute/request.h"
#include "lib/log/commit.h"
#include "lib/recall/find.h"
#include "lib/store/operations.h"

namespace aimem::store {

void FilterRun::Start(const Place& place, WriteJob job) {
  const std::size_t bytes = job.bytes;
  auto run = std::make_shared<FilterRun>(place, std::move(job));
  absl::StatusOr<WriteQueue::LongWork> room = place.queue.AdmitLongWork(bytes);
  if (!room.ok()) {
    run->Refuse(room.status());
    return;
  }
  run->work_.emplace(*std::move(room));
  absl::Status status = place.background.Post([run] {
    run->work_->Begin();
    run->Guard([&] { run->Begin(); });
  });
  if (status.ok()) return;
  run->work_->Begin();
  run->Refuse(std::move(status));
  run->work_.reset();
}

void FilterRun::Refuse(absl::Status status) {
  Reject(job_, std::move(status));
  Job refused = std::move(job_);
  Deliver(place_.base, refused);
}

template <typename Step>
void FilterRun::Guard(Step step) {
  // What throws has queued nothing that would come back here.
  if (const absl::Status thrown = Contain(step); !thrown.ok()) Fail(thrown);
}

void FilterRun::Fail(absl::Status status) {
  WriteResult failed;
  failed.operation = job_.operation;
  failed.status = std::move(status);
  Finish(Unfinished(std::move(failed)));
}

void FilterRun::Begin() {
  const absl::StatusOr<execute::FilterRule> rule = execute::FilterOf(job_.batch.items.front());
  if (!rule.ok()) {
    Fail(rule.status());
    return;
  }
  effect_ = rule->effect;
  absl::StatusOr<bool> finished = false;
  {
    absl::StatusOr<Readers::Snapshot> read = place_.readers.Begin();
    if (!read.ok()) {
      finished = read.status();
    } else if (!job_.options.dry_run) {
      finished = FindEarlier(**read);
    }
    if (finished.ok() && !*finished) {
      if (absl::Status status = Select(**read, *rule); !status.ok()) finished = status;
    }
  }
  if (!finished.ok()) {
    Fail(finished.status());
  } else if (job_.options.dry_run) {
    AnswerDryRun();
  } else {
    // Of a request that is here as a whole nothing is selected: its last commit is asked for once
    // more, in a transaction, which makes sure that it is durable.
    WriteNext();
  }
}

absl::StatusOr<bool> FilterRun::FindEarlier(Transaction& transaction) {
  while (job_.request_hash) {
    const OperationId operation = execute::DerivedOperation(job_.operation, commit_);
    AIMEM_ASSIGN_OR_RETURN(const ReadResult found,
                           transaction.Read({.operations = {operation}, .meta = true}));
    if (found.operations.empty()) return false;
    const absl::StatusOr<log::CommitHeader> decoded =
        log::DecodeCommitHeader(found.operations.front().bytes);
    if (!decoded.ok()) return KeyUnreadable();
    const log::CommitHeader& header = *decoded;
    // Another request under this key: executing the next commit finds it and says so.
    if (header.request_hash != job_.request_hash) return false;
    AIMEM_ASSIGN_OR_RETURN(const execute::Answer answer, execute::DecodeAnswer(header.results));
    if (answer.last) return true;
    for (const ItemResult& item : answer.items) count_ += item.count;
    for (const LogRow& row : found.operations)
      changes::JoinInto(rests_on_, {{row.stream, row.seq}});
    const absl::Status delivered = place_.base.CheckDelivered(changes::QuorumOf(found.meta));
    if (!delivered.ok()) undelivered_ = delivered;
    ++commit_;
  }
  return false;
}

absl::Status FilterRun::Select(Transaction& transaction, const execute::FilterRule& rule) {
  const absl::Time now = place_.base.Now();
  std::set<std::pair<std::string, std::string>> taken;  // namespaces and owners
  const auto takes = [&](const model::MemoryView& memory) {
    if (!rule.takes(memory, now)) return false;
    if (!rule.governed.empty()) taken.emplace(memory.namespace_, memory.agent_id);
    return true;
  };
  index::Follower::Covered covered;
  if (rule.candidates) {
    AIMEM_ASSIGN_OR_RETURN(covered, place_.indexer.Cover(transaction, Indexer::Question::kList));
  }
  AIMEM_ASSIGN_OR_RETURN(ids_, covered.view ? recall::SelectIds(transaction, takes, *covered.view,
                                                                *rule.candidates, now)
                                            : recall::SelectIds(transaction, takes));
  // What one of many commits would be denied is denied before the first.
  execute::Rows rows(transaction);
  const execute::ExecuteContext context{rows, place_.base.options.lifetimes, job_.options, now};
  execute::Batch batch(context);
  return execute::MayEnd(rule, taken, batch);
}

void FilterRun::AnswerDryRun() {
  WriteResult counted;
  counted.operation = job_.operation;
  counted.outcome = WriteOutcome::kCommitted;
  counted.items.push_back({.count = static_cast<std::int64_t>(ids_.size())});
  Finish(std::move(counted));
}

void FilterRun::WriteNext() {
  WriteJob part;
  part.batch = job_.batch;
  part.options = job_.options;
  part.operation = execute::DerivedOperation(job_.operation, commit_);
  part.request_hash = job_.request_hash;
  const std::size_t end = std::min(next_ + limits::kBatchChanges, ids_.size());
  execute::Selection selection;
  selection.ids.assign(ids_.begin() + static_cast<std::ptrdiff_t>(next_),
                       ids_.begin() + static_cast<std::ptrdiff_t>(end));
  selection.first = commit_ == 0;
  selection.last = end == ids_.size();
  part.selection = std::move(selection);
  part.bytes = (end - next_) * 64;
  next_ = end;
  ++commit_;
  part.waiters.push_back({[run = shared_from_this()](WriteResult result) {
    run->Guard([&] { run->Committed(std::move(result)); });
  }});
  place_.queue.Enqueue(std::move(part), WriteQueue::Caller::kFollowsUp);
}

void FilterRun::Committed(WriteResult result) {
  if (result.outcome == WriteOutcome::kPending) {
    undelivered_ = result.status;
  } else if (result.outcome != WriteOutcome::kCommitted) {
    Finish(Unfinished(std::move(result)));
    return;
  }
  for (const ItemResult& item : result.items) count_ += item.count;
  changes::JoinInto(rests_on_, result.rests_on);
  if (next_ < ids_.size()) {
    WriteNext();
    return;
  }
  result.operation = job_.operation;
  replayed_ = result.replayed;
  Finish(Total(Delivered(std::move(result))));
}

WriteResult FilterRun::Delivered(WriteResult last) const {
  if (undelivered_.ok()) return last;
  last.outcome = WriteOutcome::kPending;
  last.status = undelivered_;
  return last;
}

WriteResult FilterRun::Unfinished(WriteResult failed) const {
  failed.operation = job_.operation;
  failed.items.clear();
  if (rests_on_.empty()) return failed;
  // Nothing is durable of the commit that failed; of the request there is.
  failed.rests_on = rests_on_;
  if (absl::IsPermissionDenied(failed.status)) {
    // It ends so, however often it is repeated.
    failed.outcome = WriteOutcome::kRejected;
    failed.status = WithPayloadsOf(
        failed.status,
        absl::PermissionDeniedError(absl::StrFormat(
            "%s; %d memories that it took before are changed and stay so (operation %s)",
            failed.status.message(), count_, job_.operation.ToString())));
    return failed;
  }
  failed.outcome = WriteOutcome::kUnknown;
  failed.status = absl::UnknownError(absl::StrFormat(
      "incomplete: %d memories are changed and stay so, then a commit failed (%s): repeat the "
      "request%s, or ask for operation %s",
      count_, failed.status.message(), job_.request_hash ? " with the same key" : "",
      job_.operation.ToString()));
  return failed;
}

WriteResult FilterRun::Total(WriteResult last) const {
  ItemResult total;
  total.count = count_;
  if (count_ > 0) total.effect = effect_;
  last.items = {std::move(total)};
  last.replayed = replayed_;
  last.rests_on = rests_on_;
  return last;
}

void FilterRun::Finish(WriteResult result) {
  job_.result = std::move(result);
  Job answered = std::move(job_);
  const absl::Status thrown = Contain([&] { Deliver(place_.base, answered); });
  if (!thrown.ok()) place_.base.LogThrown("answering a change by filter", thrown);
  // The store may be gone after this.
  work_.reset();
}

}  // namespace aimem::store
