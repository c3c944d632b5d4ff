// The writer: takes what waits as a group, and makes it one transaction.
#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "aimem/limits.h"
#include "lib/base/callback.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/base/trouble.h"
#include "lib/log/commit.h"
#include "lib/store/local_store.h"
#include "lib/store/meta.h"

namespace aimem::store {
namespace {

constexpr std::size_t kGroupBytes = 16u << 20;
constexpr std::size_t kHeaderReserve = 4u << 10;  // of a commit, without its answer
constexpr absl::Duration kIdleBeforeMaintenance = absl::Milliseconds(500);
constexpr absl::Duration kPlanAgain = absl::Hours(1);  // after a look that found nothing to plan
constexpr absl::Duration kLookInterval = absl::Milliseconds(20);

}  // namespace

// -- Taking work ----------------------------------------------------------------------------------

bool LocalStore::HasWork() const {
  if (!queue_.empty() || !stream_jobs_.empty()) return true;
  if (lazy_.empty()) return false;
  return closing_ || clock_.Monotonic() >= lazy_deadline_;
}

bool LocalStore::LookIsDue() const {
  return options_.listener != nullptr && clock_.Monotonic() >= next_look_;
}

void LocalStore::WriterLoop() {
  for (Task task = AwaitTurn(); task != Task::kEnd; task = AwaitTurn()) {
    const TurnHolder turn(*this, task == Task::kWrite);
    try {
      if (task == Task::kWrite) {
        WriteGroup();
      } else if (task == Task::kMaintain) {
        Maintain(/*idle=*/true);
      } else if (task == Task::kRetain) {
        WriteRetention();
      } else if (task == Task::kHeal) {
        Heal();
      } else {
        Look();
      }
    } catch (...) {
      LogThrown("the writer", StatusOfException());
    }
  }
  MutexLock lock(mutex_);
  writer_ended_ = true;
  readers_.NotifyAll();
}

LocalStore::Task LocalStore::AwaitTurn() {
  MutexLock lock(mutex_);
  while (true) {
    if (!busy_ && retention_plan_ && !closing_ && !(retained_last_ && (HasWork() || LookIsDue()))) {
      busy_ = retained_last_ = true;
      return Task::kRetain;
    }
    if (!busy_ && HasWork()) {
      busy_ = true;
      retained_last_ = false;
      return Task::kWrite;
    }
    if (!busy_ && closing_ && long_work_ == 0) return Task::kEnd;
    const absl::Duration now = clock_.Monotonic();
    if (unmarked_ && !closing_ && now >= next_plan_) PostRetention();
    if (!busy_ && dirty_ && now - last_group_ >= kIdleBeforeMaintenance) {
      dirty_ = false;
      busy_ = true;
      return Task::kMaintain;
    }
    if (LookIsDue()) {
      next_look_ = now + kLookInterval;
      if (!busy_ && fenced_.empty() && foreign_data_.empty() && !damaged_) {
        busy_ = true;
        retained_last_ = false;
        return Task::kLook;
      }
    }
    if (!busy_ && Ails() && !closing_ && now >= next_heal_) {
      busy_ = true;
      return Task::kHeal;
    }
    absl::Duration wait = busy_ ? absl::InfiniteDuration() : lazy_deadline_ - now;
    if (!busy_ && Ails() && !closing_) wait = std::min(wait, next_heal_ - now);
    if (options_.listener != nullptr) wait = std::min(wait, next_look_ - now);
    if (dirty_) wait = std::min(wait, kIdleBeforeMaintenance);
    if (unmarked_ && !closing_) wait = std::min(wait, next_plan_ - now);
    if (wait == absl::InfiniteDuration()) {
      work_.Wait(mutex_);
    } else {
      work_.WaitFor(mutex_, wait);
    }
  }
}

void LocalStore::ReturnTurn(bool wrote) {
  MutexLock lock(mutex_);
  busy_ = false;
  if (wrote) {
    last_group_ = clock_.Monotonic();
    // A group has seen what others wrote.
    next_look_ = last_group_ + kLookInterval;
    // The first write after a rest: the writer thread has to look after it later.
    const bool plan = retention_plan_ || last_group_ >= next_plan_;
    if (!dirty_ || plan || Ails()) work_.NotifyOne();
    dirty_ = true;
    unmarked_ = unmarked_ || durable_;
  }
  if (closing_) readers_.NotifyAll();
  if (options_.environment.executor == nullptr) {
    if (HasWork() || closing_) work_.NotifyOne();
  } else if (!closing_ && HasWork()) {
    Wake();
  }
}

bool LocalStore::TakeTurn() {
  MutexLock lock(mutex_);
  if (busy_ || !HasWork()) return false;
  busy_ = true;
  return true;
}

void LocalStore::Lead() {
  if (options_.environment.executor != nullptr || !TakeTurn()) return;
  const TurnHolder turn(*this, true);
  WriteGroup();
}

void LocalStore::Maintain(bool idle) {
  std::string failed(ToStd(backend_->Maintain(idle).message()));
  if (failed == maintenance_failed_) return;  // said once
  maintenance_failed_ = std::move(failed);
  if (maintenance_failed_.empty()) return;
  Log(LogLevel::kWarning, absl::StrCat("maintenance: ", maintenance_failed_));
}

// -- What may go from the log ---------------------------------------------------------------------

void LocalStore::PostRetention() {
  unmarked_ = false;
  next_plan_ = absl::InfiniteDuration();
  ++long_work_;
  const absl::Status posted = selections_->Post([this] {
    const absl::Status thrown = Contain([this] { PlanRetention(); });
    if (!thrown.ok()) LogThrown("planning what may go from the log", thrown);
    EndLongWork(LongWork::kSelection);
  });
  if (posted.ok()) return;
  --long_work_;
  next_plan_ = clock_.Monotonic() + kPlanAgain;
}

void LocalStore::PlanRetention() {
  absl::StatusOr<RetentionPlan> plan = MakeRetentionPlan();
  if (!plan.ok()) {
    Log(LogLevel::kWarning, absl::StrCat("what may go from the log: ", plan.status().message()));
  }
  MutexLock lock(mutex_);
  next_plan_ = clock_.Monotonic() + (plan.ok() ? plan->look_again : kPlanAgain);
  if (!plan.ok() || plan->set.meta.empty()) return;
  retention_plan_ = *std::move(plan);
  work_.NotifyOne();
}

absl::StatusOr<RetentionPlan> LocalStore::MakeRetentionPlan() {
  AIMEM_ASSIGN_OR_RETURN(const ReadGuard read, BeginRead());
  AIMEM_ASSIGN_OR_RETURN(const ReadResult found, read->Read({.heads = true, .meta = true}));
  AIMEM_ASSIGN_OR_RETURN(const std::optional<ChangeCursor> installing, InstallingOf(found.meta));
  RetentionPlan nothing;
  nothing.look_again = kPlanAgain;
  // Whoever serves the federation knows who still needs what.
  if (installing || found.heads.empty() || Undelivered(QuorumOf(found.meta))) return nothing;
  std::optional<VersionVector> held;
  if (options_.held_by_all) held = options_.held_by_all();
  return retention_.MakePlan(*read, found, held, Now(), clock_.Monotonic());
}

void LocalStore::WriteRetention() {
  std::optional<RetentionPlan> plan;
  {
    MutexLock lock(mutex_);
    plan.swap(retention_plan_);
  }
  if (!plan) return;
  const absl::StatusOr<bool> last = WriteRetention(*plan);
  // Who may not write has no log to look after.
  if (!last.ok() && !absl::IsFailedPrecondition(last.status()) &&
      !absl::IsPermissionDenied(last.status())) {
    Log(LogLevel::kWarning, absl::StrCat("dropping old commits: ", last.status().message()));
  }
  if (!last.ok() || *last) return;
  MutexLock lock(mutex_);
  if (!retention_plan_) retention_plan_ = std::move(plan);
}

absl::StatusOr<bool> LocalStore::WriteRetention(const RetentionPlan& plan) {
  {
    MutexLock lock(mutex_);
    if (Ails() || as_found_ || damaged_) return true;  // later
  }
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction, backend_->BeginWrite());
  AIMEM_ASSIGN_OR_RETURN(const ReadResult found, transaction->Read({.heads = true, .meta = true}));
  AIMEM_ASSIGN_OR_RETURN(const Streams streams, StreamsOf(found, Unreadable(), *transaction));
  AIMEM_RETURN_IF_ERROR(CheckWhose(streams));
  const auto marks = found.meta.find(kMetaLogMarks);
  // Another process was quicker.
  if ((marks == found.meta.end() ? std::string() : marks->second) != plan.from) {
    return true;
  }
  AIMEM_ASSIGN_OR_RETURN(const RetentionPart part,
                         NextPart(plan, VectorOf(streams.heads), *transaction));
  AIMEM_RETURN_IF_ERROR(transaction->Put(part.set));
  const CommitResult committed = transaction->Commit();
  // Whether the old commits are gone matters to nobody; that the disk failed does.
  if (committed.outcome == CommitOutcome::kUnknown) Fence(committed.status);
  AIMEM_RETURN_IF_ERROR(committed.status);
  if (part.last && !plan.warning.empty()) Log(LogLevel::kWarning, plan.warning);
  return part.last;
}

void LocalStore::RunPosted() {
  {
    MutexLock lock(mutex_);
    posted_ = false;
  }
  for (bool closing = true; closing;) {
    // A callback of the group being written may write again: whoever writes that group goes on.
    if (!TakeTurn()) return;
    {
      const TurnHolder turn(*this, true);
      WriteGroup();
    }
    MutexLock lock(mutex_);
    closing = closing_;
  }
}

bool LocalStore::HasRoom(const Group& group) const {
  const bool more_bytes = group.bytes < kGroupBytes || group.jobs.empty();
  return more_bytes && group.jobs.size() < static_cast<std::size_t>(options_.group_commit_max);
}

void LocalStore::TakeMore(Group& group) {
  MutexLock lock(mutex_);
  const bool first = group.jobs.empty();
  // What is done to a stream comes before all that has not begun.
  if (!stream_jobs_.empty()) return;
  while (!queue_.empty() && HasRoom(group)) {
    const std::size_t size = std::visit([](const auto& job) { return job.bytes; }, queue_.front());
    // First what may throw: no job is lost in between.
    group.jobs.push_back(std::move(queue_.front()));
    queue_.pop_front();
    group.bytes += size;
    queued_items_ -= 1;
    queued_bytes_ -= static_cast<std::int64_t>(size);
  }
  if (first) TakeLazy(group.jobs);
}

bool LocalStore::AwaitMore(const Group& group) {
  while (HasRoom(group)) {
    {
      MutexLock lock(mutex_);
      if (!stream_jobs_.empty()) return false;
      if (!queue_.empty()) return true;
    }
    if (options_.more_until == nullptr) return false;
    absl::Duration until;
    if (const absl::Status thrown = Contain([&] { until = options_.more_until(); }); !thrown.ok()) {
      LogThrown("more_until", thrown);
      return false;
    }
    MutexLock lock(mutex_);
    if (!stream_jobs_.empty()) return false;
    if (!queue_.empty()) return true;
    const absl::Duration left = until - clock_.Monotonic();
    // An executor has no thread that could wait.
    if (left <= absl::ZeroDuration() || closing_ || options_.environment.executor != nullptr) break;
    more_.WaitFor(mutex_, left);
  }
  return false;
}

void LocalStore::TakeLazy(std::vector<Job>& group) {
  if (lazy_.empty()) return;
  WriteJob merged;
  merged.operation = lazy_.front().operation;
  merged.options.lazy = true;
  std::set<std::string> ids;
  std::size_t taken = 0;
  for (WriteJob& job : lazy_) {
    std::set<std::string> more = ids;
    more.insert(job.waiters.front().ids.begin(), job.waiters.front().ids.end());
    if (more.size() > limits::kBatchChanges) break;
    ids = std::move(more);
    lazy_items_ -= static_cast<std::int64_t>(job.batch.items.size());
    merged.waiters.push_back(std::move(job.waiters.front()));
    ++taken;
  }
  lazy_.erase(lazy_.begin(), lazy_.begin() + static_cast<std::ptrdiff_t>(taken));
  if (lazy_.empty()) lazy_deadline_ = absl::InfiniteDuration();
  for (const std::string& id : ids) merged.batch.items.emplace_back(TouchMemory{id});
  merged.options.allow_partial = true;
  group.push_back(std::move(merged));
}

// -- One group ------------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<Transaction>> LocalStore::BeginGroup() {
  AIMEM_RETURN_IF_ERROR(CheckDamage());
  AIMEM_RETURN_IF_ERROR(RecoverIfFenced());
  absl::StatusOr<std::unique_ptr<Transaction>> begun = backend_->BeginWrite();
  if (!begun.ok()) return Explain(begun.status());
  return begun;
}

void LocalStore::WriteGroup() {
  Group taken;
  try {
    WriteTaken(taken);
  } catch (...) {
    EndThrownGroup(taken, StatusOfException());
  }
  durable_ = taken.stage == Stage::kDurable;
}

void LocalStore::EndThrownGroup(Group& group, const absl::Status& thrown) {
  LogThrown("a group of writes", thrown);
  try {
    // What waits would otherwise be tried again for ever.
    if (group.stage == Stage::kOpen && group.jobs.empty()) TakeMore(group);
    if (group.stage == Stage::kOpen) {
      AnswerGroup(group.jobs,
                  Annotate(thrown, "the group of this write failed, nothing was written"));
    } else if (group.stage == Stage::kDurable) {
      AnswerGroup(group.jobs, absl::OkStatus());
    } else {
      Fence(thrown);
      for (Job& job : group.jobs) AnswerUnknown(job, thrown);
    }
  } catch (...) {
    LogThrown("answering a group of writes", StatusOfException());
  }
}

void LocalStore::WriteTaken(Group& taken) {
  // The lock first: whoever comes while it is waited for is part of the group.
  absl::StatusOr<std::unique_ptr<Transaction>> begun = BeginGroup();
  std::vector<Job>& group = taken.jobs;
  if (!begun.ok()) {
    FailStreamJobs(begun.status());
    TakeMore(taken);
    return AnswerGroup(group, begun.status());
  }
  if (std::optional<StreamJob> job = TakeStreamJob()) {
    return WriteStreamJob(*std::move(job), *std::move(begun));
  }
  std::unique_ptr<Transaction> transaction = *std::move(begun);
  GroupLog log;
  Rows rows(*transaction);
  absl::Status status = ExecuteGroup(taken, rows, log);
  if (!status.ok()) {
    transaction.reset();
    const absl::Status damaged = CheckDamage();
    return AnswerGroup(group, damaged.ok() ? status : damaged);
  }
  if (log.Empty()) {
    status = transaction->Commit().status;
    if (!status.ok()) return FailGroup(group, std::move(status));
    // The answer may stand for what another process wrote.
    TellGroup(log);
    return AnswerGroup(group, absl::OkStatus());
  }
  status = transaction->Put(log.set);
  if (!status.ok()) {
    transaction.reset();
    return FailGroup(group, std::move(status));
  }
  taken.stage = Stage::kCommitting;
  const CommitResult committed = transaction->Commit();
  transaction.reset();
  switch (committed.outcome) {
    case CommitOutcome::kDurable:
      taken.stage = Stage::kDurable;
      member_ = log.streams.member;
      NoteWritten();
      TellGroup(log);
      AnswerGroup(group, absl::OkStatus());
      return Maintain(/*idle=*/false);
    case CommitOutcome::kNotDone:
      return FailGroup(group, committed.status);
    case CommitOutcome::kUnknown:
      return ResolveUnknown(group, log, committed.status);
  }
}

void LocalStore::FailGroup(std::vector<Job>& group, absl::Status failure) {
  failure = Explain(std::move(failure));
  // What was read may be of files that have moved away: then no refusal holds either.
  const bool unread = !absl::IsResourceExhausted(failure);
  for (Job& job : group) {
    auto* write = std::get_if<WriteJob>(&job);
    if (unread && write != nullptr && write->state == JobState::kRefused) Reject(*write, failure);
  }
  AnswerGroup(group, failure);
}

bool LocalStore::RestsOnWhatItSaw(const Job& job) {
  if (const auto* apply = std::get_if<ApplyJob>(&job)) return !apply->result.durable.empty();
  const auto& write = std::get<WriteJob>(job);
  return write.state == JobState::kReplayed || write.state == JobState::kExecuted;
}

bool LocalStore::Tells(const GroupLog& log) const {
  return options_.listener != nullptr && log.streams.State() != told_;
}

absl::Status LocalStore::MayExecute(const GroupLog& log) const {
  if (options_.may_execute == nullptr) return absl::OkStatus();
  // Whoever would know learns of it when this group is durable.
  if (log.moved && quorum_ > 1) {
    return absl::UnavailableError(
        "the data lies elsewhere than before, and others may hold more of it: retry");
  }
  absl::Status may;
  absl::Status thrown = Contain([&] { may = options_.may_execute(); });
  if (thrown.ok()) return may;
  LogThrown("may_execute", thrown);
  return thrown;
}

absl::Status LocalStore::ExecuteGroup(Group& group, Rows& rows, GroupLog& log) {
  do {
    const std::size_t first = group.jobs.size();
    TakeMore(group);
    const std::span<Job> jobs = std::span(group.jobs).subspan(first);
    AIMEM_RETURN_IF_ERROR(Prepare(jobs, rows, log));
    // Asked under the write lock: a stream that was forsaken meanwhile is known to be.
    const absl::Status may = MayExecute(log);
    for (std::size_t i = first; i < group.jobs.size(); ++i) {
      if (auto* write = std::get_if<WriteJob>(&group.jobs[i])) {
        if (!may.ok()) {
          Reject(*write, may);
          continue;
        }
        AIMEM_RETURN_IF_ERROR(ExecuteWrite(*write, rows, log));
      } else if (auto& apply = std::get<ApplyJob>(group.jobs[i]); Defer(apply, log.streams)) {
        PutBack(group, i);
      } else {
        AIMEM_RETURN_IF_ERROR(ExecuteApply(apply, rows, log));
      }
    }
  } while (AwaitMore(group));
  log.set.rows = rows.TakeChanged();
  const bool writes = log.must_commit || !log.set.log.empty();
  if (!writes &&
      (Tells(log) || std::any_of(group.jobs.begin(), group.jobs.end(), RestsOnWhatItSaw))) {
    Settle(random_, log.set);
    log.must_commit = true;
  }
  // A store whose history starts or forks says so in the transaction of its first commit.
  if (log.set.log.empty() && !log.must_commit) log.set.meta.clear();
  return absl::OkStatus();
}

absl::Status LocalStore::Prepare(std::span<const Job> jobs, Rows& rows, GroupLog& log) {
  ReadSet reads;
  reads.heads = reads.meta = !log.prepared;
  for (const Job& job : jobs) {
    const auto* write = std::get_if<WriteJob>(&job);
    if (write == nullptr) continue;
    execute::CollectReads(write->batch, reads);
    if (write->request_hash || write->options.operation) {
      reads.operations.push_back(write->operation);
    }
  }
  AIMEM_ASSIGN_OR_RETURN(ReadResult result, rows.Fetch(reads));
  for (const LogRow& row : result.operations) {
    absl::StatusOr<log::CommitHeader> header = log::DecodeCommitHeader(row.bytes);
    // Known, but what was answered is not: a retry of it is refused, and nothing else.
    if (!header.ok()) {
      log.unreadable.insert(row.operation);
      continue;
    }
    GroupLog::Known& known = log.operations[row.operation];
    if (known.places.empty()) known.header = *std::move(header);
    known.places[row.stream] = row.seq;
  }
  if (log.prepared) return absl::OkStatus();
  log.prepared = true;
  AIMEM_RETURN_IF_ERROR(PrepareStream(result, rows.transaction(), log));
  for (const auto& [stream, head] : log.streams.heads) rows.Saw({head.hlc, stream});
  return absl::OkStatus();
}

absl::Status LocalStore::PrepareStream(const ReadResult& found, Transaction& transaction,
                                       GroupLog& log) {
  AIMEM_ASSIGN_OR_RETURN(log.streams, StreamsOf(found, Unreadable(), transaction));
  AIMEM_RETURN_IF_ERROR(CheckWhose(log.streams));
  quorum_ = QuorumOf(found.meta);
  AIMEM_ASSIGN_OR_RETURN(const std::string identity, backend_->PhysicalIdentity());
  AIMEM_ASSIGN_OR_RETURN(const std::string moved,
                         ChooseStream(found.meta, identity, log.streams, random_, log.set));
  if (!moved.empty()) {
    log.moved = log.must_commit = true;
    Log(LogLevel::kWarning, moved);
  }
  const auto own = log.streams.heads.find(log.streams.stream);
  if (own == log.streams.heads.end() || own->second.seq == 0 || own->second.hash != Hash256{}) {
    return absl::OkStatus();
  }
  Log(LogLevel::kError,
      absl::StrFormat("commit %d of stream %016x, the last one, cannot be read: this store goes on "
                      "as a new stream; run doctor",
                      own->second.seq, own->first));
  store::ForsakeStream(own->first, log.streams, random_, log.set);
  log.must_commit = true;
  return absl::OkStatus();
}

absl::Status LocalStore::KeyUnreadable() {
  return WithTrouble(absl::DataLossError("this request id was used before, by a commit that cannot "
                                         "be read: run doctor, and use a new one"),
                     Trouble::kKeyUnreadable);
}

bool LocalStore::ReplayIfKnown(WriteJob& job, const GroupLog& log) {
  if (log.unreadable.contains(job.operation)) {
    Reject(job, KeyUnreadable());
    return true;
  }
  const auto found = log.operations.find(job.operation);
  if (found == log.operations.end()) return false;
  if (!job.request_hash) {
    Reject(job, absl::AlreadyExistsError(absl::StrCat("operation ", job.operation.ToString(),
                                                      " names another write: choose a new one")));
    return true;
  }
  const log::CommitHeader& header = found->second.header;
  if (header.request_hash != job.request_hash) {
    const RequestConflict conflict = {
        .stored_hash = header.request_hash ? ToHex(AsBytes(*header.request_hash)) : "none",
        .request_hash = ToHex(AsBytes(*job.request_hash))};
    Reject(job,
           WithConflict(MakeStatus(absl::StatusCode::kAborted,
                                   absl::StrCat("request_id_conflict: this request id was used for "
                                                "another request (stored_hash ",
                                                conflict.stored_hash, ", request_hash ",
                                                conflict.request_hash, "): use a new one")),
                        conflict));
    return true;
  }
  absl::StatusOr<execute::Answer> answer = execute::DecodeAnswer(header.results);
  if (!answer.ok()) {
    Reject(job, answer.status());
    return true;
  }
  job.result.operation = job.operation;
  job.result.outcome = WriteOutcome::kCommitted;
  job.result.items = std::move(answer->items);
  job.result.stream = header.stream;
  job.result.seq = header.seq;
  job.result.replayed = true;
  job.result.rests_on = found->second.places;
  // Said by an earlier write of this group: nothing is durable of it yet.
  job.state = log.written.contains(job.operation) ? JobState::kExecuted : JobState::kReplayed;
  return true;
}

namespace {

/// What `rows` are to become, with an answer of `answer_bytes`, is a commit and no more.
absl::Status CheckFits(const Rows& rows, std::size_t answer_bytes) {
  const std::size_t bytes = rows.draft_bytes() + answer_bytes + kHeaderReserve;
  if (rows.drafts() <= log::kMaxChanges && bytes <= log::kMaxCommitBytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrFormat("batch of %d changes and about %d bytes exceeds the limits of a commit "
                      "(%d changes, %d bytes): use several",
                      rows.drafts(), rows.draft_bytes(), log::kMaxChanges, log::kMaxCommitBytes));
}

}  // namespace

absl::Status LocalStore::ExecuteWrite(WriteJob& job, Rows& rows, GroupLog& log) {
  if (log.streams.installing) {
    Reject(job, absl::UnavailableError(
                    "the store is being filled from another member and takes no writes yet: "
                    "retry"));
    return absl::OkStatus();
  }
  if (ReplayIfKnown(job, log)) return absl::OkStatus();
  const execute::ExecuteContext context{rows, options_.lifetimes, job.options, Now(),
                                        job.selection ? &*job.selection : nullptr};
  std::vector<ItemResult> items;
  absl::Status status = execute::Execute(job.batch, context, items);
  const std::string answer =
      status.ok() ? execute::EncodeAnswer({items, !job.selection || job.selection->last})
                  : std::string();
  if (status.ok()) {
    status = CheckFits(rows, answer.size());
  } else if (status.code() == absl::StatusCode::kUnavailable ||
             status.code() == absl::StatusCode::kInternal) {
    rows.Discard();
    return status;
  }
  if (!status.ok()) {
    rows.Discard();
    Reject(job, std::move(status));
    return absl::OkStatus();
  }
  const std::uint64_t hlc = log::NextHlc(rows.seen(), absl::ToUnixMillis(Now()));
  if (hlc <= rows.seen()) {
    rows.Discard();
    return absl::InternalError("the hybrid logical clock has reached its end: run doctor");
  }
  absl::StatusOr<std::vector<log::Change>> sealed = rows.Seal({hlc, log.streams.stream});
  if (!sealed.ok()) {
    rows.Discard();
    Reject(job, sealed.status());
    return absl::OkStatus();
  }
  std::vector<log::Change> changes = *std::move(sealed);
  job.result.operation = job.operation;
  job.result.outcome = WriteOutcome::kCommitted;
  job.result.items = std::move(items);
  // Nothing to change may be due to an earlier write of this group.
  job.state = JobState::kExecuted;
  // Nothing to change: no commit, unless a key has to remember the answer, or it is one of several
  // that are found by each other. The answer rests on all that was seen.
  const bool one_of_several = job.selection && !(job.selection->first && job.selection->last);
  if (changes.empty() && !job.request_hash && !one_of_several) {
    job.result.rests_on = log.streams.Vector();
    return absl::OkStatus();
  }
  log::CommitHeader header;
  header.hlc = hlc;
  header.operation = job.operation;
  header.request_hash = job.request_hash;
  header.results = answer;
  header.agent_id = job.options.agent_id;
  header.principal = job.options.principal;
  AppendCommit(header, std::move(changes), log);
  job.result.stream = log.streams.stream;
  job.result.seq = log.streams.heads[log.streams.stream].seq;
  job.result.rests_on = {{job.result.stream, job.result.seq}};
  if (job.request_hash || job.options.operation) {
    header.stream = job.result.stream;
    header.seq = job.result.seq;
    log.operations[job.operation] = {std::move(header), job.result.rests_on};
    log.written.insert(job.operation);
  }
  return absl::OkStatus();
}

void LocalStore::AppendCommit(log::CommitHeader header, std::vector<log::Change> changes,
                              GroupLog& log) {
  StreamHead& head = log.streams.heads[log.streams.stream];
  std::vector<std::uint8_t> nonces(16 * changes.size());
  random_.Fill(nonces);
  for (std::size_t i = 0; i < changes.size(); ++i) {
    std::copy_n(nonces.begin() + static_cast<std::ptrdiff_t>(16 * i), 16,
                changes[i].nonce.bytes.begin());
  }
  log::Commit commit;
  commit.header = std::move(header);
  commit.header.stream = log.streams.stream;
  commit.header.seq = head.seq + 1;
  commit.header.prev_hash = head.hash;
  commit.changes = std::move(changes);
  std::string bytes = log::EncodeCommit(commit);
  head = {commit.header.seq, commit.header.hlc, commit.header.content_hash};
  log.set.log.push_back(
      {log.streams.stream, commit.header.seq, commit.header.operation, std::move(bytes)});
}

absl::Status LocalStore::ExecuteApply(ApplyJob& job, Rows& rows, GroupLog& log) {
  const auto append = [&](std::vector<log::Change> changes) {
    log::CommitHeader header;
    header.hlc = log::NextHlc(rows.seen(), absl::ToUnixMillis(Now()));
    header.operation = execute::FreshOperation(random_, Now());
    header.results = execute::EncodeAnswer({});
    header.principal = "apply";
    rows.Saw({header.hlc, log.streams.stream});
    AppendCommit(std::move(header), std::move(changes), log);
    return absl::OkStatus();
  };
  if (FindStreamToForsake(log.streams, job.page) != 0) {
    job.result.status = absl::UnavailableError(
        "others hold another history of the stream that this store writes, and it could not go on "
        "as a new one: retry");
    return absl::OkStatus();
  }
  if (absl::Status refused = CheckRoom(job.page, log.streams.heads); !refused.ok()) {
    job.result.status = std::move(refused);
    return absl::OkStatus();
  }
  if (log.streams.installing || (job.page.install && log.streams.Vector().empty())) {
    return ExecuteInstall(job, rows, log);
  }
  job.result.refusals = job.page.unreadable;
  AIMEM_RETURN_IF_ERROR(ApplyStates(job.page, rows, append, job.result));
  AIMEM_RETURN_IF_ERROR(ApplyCommits(job.page, rows, log.streams.heads, log.set, job.result));
  if (job.page.adopt) AIMEM_RETURN_IF_ERROR(Adopt(*job.page.adopt, rows, log, job.result));
  if (!job.result.status.ok()) return absl::OkStatus();
  for (const ApplyRefusal& held : job.result.unapplied) {
    Log(LogLevel::kWarning,
        absl::StrFormat(
            "commit %d of stream %016x is kept and passed on, not applied: key '%s': %s", held.seq,
            held.stream, absl::CHexEscape(ToAbsl(held.key.key)), ToStd(held.status.message())));
  }
  job.result.durable = log.streams.Vector();
  return absl::OkStatus();
}

absl::Status LocalStore::ExecuteInstall(ApplyJob& job, Rows& rows, GroupLog& log) {
  if (!job.page.install) {
    job.result.status = absl::UnavailableError(
        "the store is being filled from another member and takes nothing else yet: retry");
    return absl::OkStatus();
  }
  // A page that is taken moves the cursor; so it is taken as a whole, or not at all.
  if (absl::Status refused = CheckFollows(job.page, log.streams.heads); !refused.ok()) {
    job.result.status =
        Annotate(absl::FailedPreconditionError(refused.message()),
                 "the page does not continue what this store was filled with, start again");
    return absl::OkStatus();
  }
  AIMEM_RETURN_IF_ERROR(InstallStates(job.page, rows, job.result));
  AIMEM_RETURN_IF_ERROR(ApplyCommits(job.page, rows, log.streams.heads, log.set, job.result));
  if (job.page.adopt) AIMEM_RETURN_IF_ERROR(Adopt(*job.page.adopt, rows, log, job.result));
  if (!job.result.status.ok()) return absl::OkStatus();
  log.installed = log.must_commit = true;
  // What came of a source that was lost is in the rows as well.
  ChangeCursor next = std::move(job.page.next);
  if (log.streams.installing) JoinInto(next.seen, log.streams.installing->seen);
  const VersionVector held = VectorOf(log.streams.heads);
  log.streams.installing.reset();
  if (!job.page.end) {
    log.streams.installing = std::move(next);
  } else if (!Covers(held, next.seen)) {
    log.streams.installing = ChangeCursor::After(held);
    log.streams.installing->seen = std::move(next.seen);
  }
  SetMeta(log.set, kMetaInstall,
          log.streams.installing ? EncodeCursor(*log.streams.installing) : std::string());
  job.result.durable = log.streams.Vector();
  return absl::OkStatus();
}

}  // namespace aimem::store
