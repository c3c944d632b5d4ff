#include "lib/store/local_store.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "aimem/limits.h"
#include "lib/base/rendezvous.h"
#include "lib/base/status.h"
#include "lib/base/thread.h"
#include "lib/model/validate.h"
#include "lib/recall/find.h"
#include "lib/store/changes.h"
#include "lib/store/filter_run.h"
#include "lib/store/meta.h"

namespace aimem {
namespace {

/// Who writes for less long leaves the log to its Close().
constexpr absl::Duration kFirstPlan = absl::Minutes(1);
/// What takes longer to go from the log is left to whoever has it open next.
constexpr absl::Duration kCutAtEnd = absl::Seconds(1);
/// A page of so many bytes is decoded by whoever brings it: less than a millisecond.
constexpr std::size_t kSmallPageBytes = 64u << 10;

absl::Status OutOfRange(std::string_view field, std::string_view value, std::string_view range) {
  return MakeStatus(
      absl::StatusCode::kInvalidArgument,
      absl::StrCat(ToAbsl(field), " must be in ", ToAbsl(range), " (got ", ToAbsl(value), ")"));
}

}  // namespace

absl::Status Validate(const StoreOptions& options) {
  if (options.group_commit_max < 1 || options.group_commit_max > 4096) {
    return OutOfRange("group_commit_max", std::to_string(options.group_commit_max), "[1, 4096]");
  }
  if (options.queue_items_max < 1 || options.queue_items_max > 1'000'000) {
    return OutOfRange("queue_items_max", std::to_string(options.queue_items_max), "[1, 1000000]");
  }
  if (options.queue_bytes_max < (8 << 20) || options.queue_bytes_max > (std::int64_t{8} << 30)) {
    return OutOfRange("queue_bytes_max", std::to_string(options.queue_bytes_max), "[8 MiB, 8 GiB]");
  }
  if (options.lazy_delay < absl::ZeroDuration() || options.lazy_delay > absl::Hours(1)) {
    return OutOfRange("lazy_delay", absl::FormatDuration(options.lazy_delay), "[0, 1 h]");
  }
  if (options.log_retention < absl::Hours(24)) {
    return OutOfRange("log_retention", absl::FormatDuration(options.log_retention),
                      "[24 h, infinity]");
  }
  if (options.close_grace < absl::ZeroDuration()) {
    return OutOfRange("close_grace", absl::FormatDuration(options.close_grace), "[0, infinity]");
  }
  if (options.log_max_bytes != 0 && options.log_max_bytes < (1 << 20)) {
    return OutOfRange("log_max_bytes", std::to_string(options.log_max_bytes),
                      "[1 MiB, ...], or 0 for no bound");
  }
  if (options.quorum < 0) {
    return OutOfRange("quorum", std::to_string(options.quorum), "[0, the number of voters]");
  }
  for (const absl::Duration extension :
       {options.lifetimes.short_extension, options.lifetimes.mid_extension}) {
    if (extension < absl::ZeroDuration() || extension > absl::Hours(24 * 3650)) {
      return OutOfRange("extension", absl::FormatDuration(extension), "[0, 10 years]");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Store>> OpenLocalStore(std::unique_ptr<Backend> backend,
                                                      const StoreOptions& options) {
  return store::OpenMemberStore(std::move(backend), options);
}

namespace store {

absl::StatusOr<std::unique_ptr<MemberStore>> OpenMemberStore(std::unique_ptr<Backend> backend,
                                                             const StoreOptions& options) {
  AIMEM_RETURN_IF_ERROR(Validate(options));
  AIMEM_ASSIGN_OR_RETURN(PreparedMember prepared, PrepareMember(*backend, options));
  return std::make_unique<LocalStore>(std::move(backend), options, std::move(prepared));
}

LocalStore::LocalStore(std::unique_ptr<Backend> backend, const StoreOptions& options,
                       PreparedMember prepared)
    : options_(options),
      clock_(options.environment.clock ? *options.environment.clock : SystemClock()),
      random_(options.environment.random ? *options.environment.random : SystemRandom()),
      process_(getpid()),
      backend_(std::move(backend)),
      next_plan_(clock_.Monotonic() + kFirstPlan),
      unwritable_(std::move(prepared.unwritable)),
      member_(prepared.member),
      retention_(options),
      selections_(std::make_unique<Background>(options.environment.executor, "aimem-select")),
      pages_(std::make_unique<Background>(options.environment.executor, "aimem-pages")) {
  if (options_.environment.executor == nullptr)
    writer_ = StartThread("aimem-writer", [this] { WriterLoop(); });
}

LocalStore::~LocalStore() {
  if (!CheckProcess().ok()) {
    AbandonToParent();
    return;
  }
  // Whoever still reads uses this object: there is nothing better than to wait.
  if (absl::Status status = CloseWithin(absl::InfiniteDuration()); !status.ok()) {
    Log(LogLevel::kError, absl::StrCat("closing the store: ", status.message()));
  }
  *posted_for_ = nullptr;
}

void LocalStore::Log(LogLevel level, std::string_view message) const {
  LogSink* const log = options_.environment.log;
  // Nobody could be told that telling failed.
  if (log != nullptr) Contain([&] { log->Log(level, message); }).IgnoreError();
}

void LocalStore::LogThrown(std::string_view what, const absl::Status& thrown) const {
  Log(LogLevel::kError, absl::StrCat(ToAbsl(what), " threw an exception, which it must not (",
                                     thrown.message(), "): the store goes on"));
}

// -- Change ---------------------------------------------------------------------------------------

absl::Status LocalStore::CheckRequest(const WriteBatch& batch, const WriteOptions& options) {
  if (batch.items.empty()) return absl::InvalidArgumentError("the batch is empty");
  if (batch.items.size() > limits::kBatchChanges) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("batch of %d items exceeds the limits of a commit (%d changes, %d bytes): "
                        "use several",
                        batch.items.size(), limits::kBatchChanges, limits::kBatchBytes));
  }
  if (!options.agent_id.empty()) AIMEM_RETURN_IF_ERROR(model::CheckAgentId(options.agent_id));
  if (options.request_id.size() > limits::kRequestIdBytes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("request_id exceeds max length of %d bytes", limits::kRequestIdBytes));
  }
  if (options.principal.size() > limits::kRequestIdBytes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("principal exceeds max length of %d bytes", limits::kRequestIdBytes));
  }
  for (const WriteItem& item : batch.items) {
    if (execute::SelectsByFilter(item)) {
      if (batch.items.size() > 1) {
        return absl::InvalidArgumentError("a change by filter must be alone in its batch");
      }
      AIMEM_RETURN_IF_ERROR(execute::FilterOf(item).status());
    }
    if (options.lazy && !std::holds_alternative<TouchMemory>(item)) {
      return absl::InvalidArgumentError("only touches can be lazy");
    }
  }
  return absl::OkStatus();
}

void LocalStore::Reject(WriteJob& job, absl::Status status) {
  job.result = WriteResult{};
  job.result.operation = job.operation;
  job.result.outcome = WriteOutcome::kRejected;
  job.result.status = std::move(status);
  job.state = JobState::kRefused;
}

WriteResult LocalStore::Refused(absl::Status status) {
  WriteResult result;
  result.outcome = WriteOutcome::kRejected;
  result.status = std::move(status);
  return result;
}

void LocalStore::Deliver(Job& job) const {
  if (auto* apply = std::get_if<ApplyJob>(&job)) {
    Call(std::exchange(apply->done, nullptr), std::move(apply->result));
    return;
  }
  auto& write = std::get<WriteJob>(job);
  for (Waiter& waiter : write.waiters) {
    WriteResult result = write.result;
    if (!waiter.ids.empty()) {
      // The items of a coalesced write, as this caller named them.
      std::vector<ItemResult> items;
      for (const std::string& id : waiter.ids) {
        for (const ItemResult& item : result.items) {
          if (item.id != id) continue;
          items.push_back(item);
          break;
        }
      }
      result.items = std::move(items);
    }
    Call(std::exchange(waiter.done, nullptr), std::move(result));
  }
}

absl::Status LocalStore::CheckProcess() const {
  if (getpid() == process_) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "this store was opened before a fork: open it again in the child");
}

void LocalStore::WriteAsync(WriteBatch batch, const WriteOptions& options, WriteCallback done) {
  if (absl::Status status = CheckProcess(); !status.ok()) {
    Call(std::move(done), Refused(std::move(status)));
    return;
  }
  Submit(std::move(batch), options, std::move(done), Caller::kGoesOn);
}

WriteResult LocalStore::Write(WriteBatch batch, const WriteOptions& options) {
  if (absl::Status status = CheckProcess(); !status.ok()) return Refused(std::move(status));
  if (absl::Status status = CheckMayWait(static_cast<const Store*>(this)); !status.ok())
    return Refused(std::move(status));
  Rendezvous<WriteResult> answer;
  Submit(
      std::move(batch), options,
      [answer](WriteResult result) mutable { answer.Put(std::move(result)); }, Caller::kLeads);
  Lead();
  return answer.Take();
}

void LocalStore::Submit(WriteBatch batch, const WriteOptions& options, WriteCallback done,
                        Caller caller) {
  WriteJob job;
  job.options = options;
  if (!options.request_id.empty()) {
    job.operation = ChooseOperation(options, random_, Now());
    job.request_hash = execute::RequestHash(batch, options.allow_partial);
  } else {
    job.operation =
        options.operation ? *options.operation : ChooseOperation(options, random_, Now());
  }
  job.waiters.push_back({std::move(done), {}});
  if (absl::Status status = CheckRequest(batch, options); !status.ok()) {
    Reject(job, std::move(status));
    Job refused = std::move(job);
    Deliver(refused);
    return;
  }
  job.bytes = execute::ApproximateBytes(batch);
  const bool by_filter = execute::SelectsByFilter(batch.items.front());
  job.batch = std::move(batch);
  if (by_filter) {
    FilterRun::Start(*this, std::move(job));
  } else if (options.lazy) {
    EnqueueLazy(std::move(job));
  } else {
    Enqueue(std::move(job), caller);
  }
}

void LocalStore::Apply(ChangePage page, ApplyCallback done) {
  ApplyJob job;
  job.done = std::move(done);
  StartApply(std::move(page), std::move(job));
}

void LocalStore::ApplyEach(ChangePage page, ApplyCallback done) {
  ApplyJob job;
  job.done = std::move(done);
  job.each = true;
  StartApply(std::move(page), std::move(job));
}

void LocalStore::StartApply(ChangePage page, ApplyJob job) {
  if (absl::Status status = CheckProcess(); !status.ok()) {
    RefusePage(std::move(job), std::move(status));
    return;
  }
  for (const EntityState& state : page.states) job.bytes += state.state.size() + 64;
  for (const std::string& commit : page.commits) job.bytes += commit.size() + 64;
  bool later = job.bytes > kSmallPageBytes;
  if (!later) {
    MutexLock lock(mutex_);
    later = decoding_ > 0;  // after those that came before
  }
  if (later) {
    QueuePageLater(std::move(page), std::move(job));
  } else {
    QueuePage(std::move(page), std::move(job), Caller::kGoesOn);
  }
}

void LocalStore::RefusePage(ApplyJob job, absl::Status status) const {
  job.result.status = std::move(status);
  Job refused = std::move(job);
  Deliver(refused);
}

void LocalStore::QueuePage(ChangePage page, ApplyJob job, Caller caller) {
  absl::Status status;
  try {
    absl::StatusOr<CheckedPage> checked = CheckPage(std::move(page), job.each);
    status = checked.status();
    if (status.ok()) job.page = *std::move(checked);
  } catch (...) {
    status = StatusOfException();
  }
  if (!status.ok()) {
    RefusePage(std::move(job), std::move(status));
    return;
  }
  Enqueue(std::move(job), caller);
}

void LocalStore::QueuePageLater(ChangePage page, ApplyJob job) {
  const std::size_t bytes = job.bytes;
  absl::Status status = BeginLongWork(LongWork::kPage, bytes);
  if (!status.ok()) {
    RefusePage(std::move(job), std::move(status));
    return;
  }
  // Shared, since it has to be answered when it cannot be posted.
  auto work = std::make_shared<std::pair<ChangePage, ApplyJob>>(std::move(page), std::move(job));
  status = pages_->Post([this, work, bytes] {
    LeaveQueue(bytes);
    QueuePage(std::move(work->first), std::move(work->second), Caller::kFollowsUp);
    EndLongWork(LongWork::kPage);
  });
  if (status.ok()) return;
  LeaveQueue(bytes);
  RefusePage(std::move(work->second), std::move(status));
  EndLongWork(LongWork::kPage);
}

absl::Status LocalStore::Admit(std::size_t bytes, bool follow_up) {
  if (follow_up) return absl::OkStatus();
  if (closing_) return absl::UnavailableError("the store is closed");
  // One request larger than the bound may pass when nothing else waits: it would never fit.
  const bool full_items = queued_items_ >= options_.queue_items_max;
  const bool full_bytes = queued_bytes_ > 0 && queued_bytes_ + static_cast<std::int64_t>(bytes) >
                                                   options_.queue_bytes_max;
  if (full_items || full_bytes) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "the queue is full (%d writes, %d bytes wait; limits %d and %d): retry later",
        queued_items_, queued_bytes_, options_.queue_items_max, options_.queue_bytes_max));
  }
  return absl::OkStatus();
}

void LocalStore::Wake() {
  if (options_.environment.executor == nullptr) {
    // Whoever has the turn looks at the queue when it returns it, and may wait for more before.
    (busy_ ? more_ : work_).NotifyOne();
  } else if (!posted_) {
    posted_ = true;
    options_.environment.executor->Post([store = posted_for_] {
      if (*store != nullptr) (*store)->RunPosted();
    });
  }
}

void LocalStore::Enqueue(Job job, Caller caller) {
  {
    MutexLock lock(mutex_);
    const std::size_t bytes = std::visit([](const auto& any) { return any.bytes; }, job);
    absl::Status admitted = Admit(bytes, caller == Caller::kFollowsUp);
    if (admitted.ok()) {
      queued_items_ += 1;
      queued_bytes_ += static_cast<std::int64_t>(bytes);
      queue_.push_back(std::move(job));
      const bool leads = caller == Caller::kLeads && !busy_;
      if (!leads || options_.environment.executor != nullptr) Wake();
      return;
    }
    if (auto* write = std::get_if<WriteJob>(&job)) {
      Reject(*write, std::move(admitted));
    } else {
      std::get<ApplyJob>(job).result.status = std::move(admitted);
    }
  }
  Deliver(job);
}

void LocalStore::EnqueueLazy(WriteJob job) {
  {
    MutexLock lock(mutex_);
    absl::Status admitted = Admit(job.bytes, false);
    const auto items = static_cast<std::int64_t>(job.batch.items.size());
    if (admitted.ok() && lazy_items_ + items > options_.queue_items_max) {
      admitted = absl::ResourceExhaustedError(absl::StrFormat(
          "too many lazy writes wait (%d; limit %d)", lazy_items_, options_.queue_items_max));
    }
    if (admitted.ok()) {
      for (const WriteItem& item : job.batch.items) {
        job.waiters.front().ids.push_back(std::get<TouchMemory>(item).id);
      }
      lazy_items_ += items;
      if (lazy_.empty()) lazy_deadline_ = clock_.Monotonic() + options_.lazy_delay;
      lazy_.push_back(std::move(job));
      // The writer thread has to wake when they are due.
      if (options_.environment.executor == nullptr) work_.NotifyOne();
      return;
    }
    Reject(job, std::move(admitted));
  }
  Job refused = std::move(job);
  Deliver(refused);
}

absl::Status LocalStore::BeginLongWork(LongWork kind, std::size_t bytes) {
  MutexLock lock(mutex_);
  AIMEM_RETURN_IF_ERROR(Admit(bytes, false));
  queued_items_ += 1;
  queued_bytes_ += static_cast<std::int64_t>(bytes);
  ++long_work_;
  if (kind == LongWork::kPage) ++decoding_;
  return absl::OkStatus();
}

void LocalStore::LeaveQueue(std::size_t bytes) {
  MutexLock lock(mutex_);
  queued_items_ -= 1;
  queued_bytes_ -= static_cast<std::int64_t>(bytes);
}

void LocalStore::EndLongWork(LongWork kind) {
  MutexLock lock(mutex_);
  --long_work_;
  if (kind == LongWork::kPage) --decoding_;
  if (!closing_) return;
  work_.NotifyAll();
  readers_.NotifyAll();
}

// -- Find -----------------------------------------------------------------------------------------

absl::StatusOr<LocalStore::ReadPermit> LocalStore::PermitRead(Reader reader) {
  AIMEM_RETURN_IF_ERROR(CheckProcess());
  MutexLock lock(mutex_);
  if (closed_ || (closing_ && reader == Reader::kCaller)) {
    return absl::UnavailableError("the store is closed");
  }
  ++active_reads_;
  return ReadPermit(this);
}

absl::StatusOr<LocalStore::ReadGuard> LocalStore::BeginRead(Reader reader) {
  AIMEM_ASSIGN_OR_RETURN(ReadPermit permit, PermitRead(reader));
  AIMEM_ASSIGN_OR_RETURN(std::unique_ptr<Transaction> transaction, backend_->BeginRead());
  return ReadGuard(std::move(permit), std::move(transaction));
}

void LocalStore::EndRead() {
  MutexLock lock(mutex_);
  --active_reads_;
  readers_.NotifyAll();
}

template <typename Read>
auto LocalStore::WithRead(Read read) -> decltype(read(std::declval<Transaction&>())) {
  // A file that nobody had open is read without locks, and a server may be restarted: what fails
  // for such a reason is read again, from the start of a new snapshot.
  constexpr int kAttempts = 3;
  for (int attempt = 1;; ++attempt) {
    absl::StatusOr<ReadGuard> guard = BeginRead(Reader::kCaller);
    if (!guard.ok()) return guard.status();
    auto result = read(**guard);
    // A reader may be the first whom the engine tells.
    if (absl::IsDataLoss(result.status())) CheckDamage().IgnoreError();
    if (attempt == kAttempts || !absl::IsUnavailable(result.status())) return result;
  }
}

std::vector<absl::StatusOr<Memory>> LocalStore::Get(std::span<const std::string> ids,
                                                    const ReadOptions& options) {
  using Results = std::vector<absl::StatusOr<Memory>>;
  absl::StatusOr<Results> results =
      WithRead([&](Transaction& transaction) -> absl::StatusOr<Results> {
        Results all = recall::Get(transaction, ids, options);
        for (const absl::StatusOr<Memory>& one : all) {
          if (absl::IsUnavailable(one.status())) return one.status();
        }
        return all;
      });
  return results.ok() ? *std::move(results) : Results(ids.size(), results.status());
}

absl::StatusOr<ListResult> LocalStore::List(const ListRequest& request) {
  return WithRead(
      [&](Transaction& transaction) { return recall::List(transaction, request, Now()); });
}

absl::StatusOr<SearchResult> LocalStore::Search(const SearchRequest& request) {
  absl::StatusOr<SearchResult> result = WithRead(
      [&](Transaction& transaction) { return recall::Search(transaction, request, Now()); });
  if (result.ok() && request.touch) TouchLater(*result);
  return result;
}

void LocalStore::TouchLater(const SearchResult& result) {
  constexpr std::size_t kPerBatch = limits::kBatchChanges;
  for (std::size_t begin = 0; begin < result.hits.size(); begin += kPerBatch) {
    WriteBatch batch;
    const std::size_t end = std::min(begin + kPerBatch, result.hits.size());
    for (std::size_t i = begin; i < end; ++i) {
      batch.items.emplace_back(TouchMemory{result.hits[i].memory.id});
    }
    WriteOptions options;
    options.lazy = true;
    // A search does not fail because its use could not be counted; Close tells if it was lost.
    WriteAsync(std::move(batch), options, [this](const WriteResult& touched) {
      if (touched.outcome == WriteOutcome::kCommitted ||
          touched.outcome == WriteOutcome::kPending) {
        return;
      }
      // A store that is only read has nowhere to count uses.
      if (absl::IsFailedPrecondition(touched.status) || absl::IsPermissionDenied(touched.status)) {
        return;
      }
      Log(LogLevel::kWarning, absl::StrCat("touch lost: ", touched.status.message()));
      MutexLock lock(mutex_);
      lost_.Update(Annotate(touched.status, "touch lost"));
    });
  }
}

absl::StatusOr<OperationInfo> LocalStore::GetOperation(OperationId operation, absl::Duration) {
  AIMEM_ASSIGN_OR_RETURN(OperationInfo info, WithRead([&](Transaction& transaction) {
                           return FindOperation(transaction, operation);
                         }));
  // A member asks its peers, who are told of what is settled, and of nothing else.
  if (info.outcome != WriteOutcome::kCommitted || options_.quorum > 1) return info;
  AIMEM_ASSIGN_OR_RETURN(const ReadPermit permit, PermitRead(Reader::kCaller));
  const absl::Status settled = backend_->Settle();
  if (!settled.ok()) {
    Log(LogLevel::kWarning,
        absl::StrCat("operation ", operation.ToString(),
                     " is here, and whether it is durable is not known: ", settled.message()));
    info.outcome = WriteOutcome::kUnknown;
  }
  return info;
}

absl::StatusOr<OperationInfo> LocalStore::FindOperation(Transaction& transaction,
                                                        OperationId operation) {
  OperationInfo info;
  info.operation = operation;
  info.incomplete = true;
  for (std::uint64_t k = 0; info.incomplete; ++k) {
    AIMEM_ASSIGN_OR_RETURN(
        const ReadResult found,
        transaction.Read({.operations = {execute::DerivedOperation(operation, k)}, .meta = true}));
    if (found.operations.empty()) break;
    AIMEM_ASSIGN_OR_RETURN(const log::CommitHeader header,
                           log::DecodeCommitHeader(found.operations.front().bytes));
    AIMEM_ASSIGN_OR_RETURN(execute::Answer answer, execute::DecodeAnswer(header.results));
    for (const LogRow& row : found.operations) {
      JoinInto(info.rests_on, {{row.stream, row.seq}});
    }
    info.outcome =
        Undelivered(QuorumOf(found.meta)) ? WriteOutcome::kPending : WriteOutcome::kCommitted;
    info.stream = header.stream;
    info.seq = header.seq;
    info.hlc = header.hlc;
    info.agent_id = header.agent_id;
    info.principal = header.principal;
    info.incomplete = !answer.last;
    if (k == 0) {
      info.items = std::move(answer.items);
      continue;
    }
    for (std::size_t i = 0; i < std::min(info.items.size(), answer.items.size()); ++i) {
      info.items[i].count += answer.items[i].count;
      if (info.items[i].effect == ItemEffect::kUnchanged) {
        info.items[i].effect = answer.items[i].effect;
      }
    }
  }
  if (info.seq == 0) {
    return MakeStatus(absl::StatusCode::kNotFound,
                      absl::StrCat("operation not found: ", operation.ToString()));
  }
  if (info.incomplete) info.outcome = WriteOutcome::kPending;
  return info;
}

// -- Follow, compare, look after ------------------------------------------------------------------

absl::StatusOr<ChangePage> LocalStore::ReadChanges(const ChangeCursor& cursor,
                                                   const ReadChangesLimit& limit) {
  VersionVector unreadable;
  absl::StatusOr<ChangePage> page = WithRead([&](Transaction& transaction) {
    unreadable = Unreadable();
    return store::ReadChanges(transaction, cursor, limit, &unreadable);
  });
  if (NoteUnreadable(unreadable) && options_.listener != nullptr)
    Refresh([](const absl::StatusOr<StoreState>&) {});
  return page;
}

absl::StatusOr<DigestResult> LocalStore::Digest(std::span<const DigestRange> ranges) {
  return WithRead(
      [&](Transaction& transaction) { return store::Digest(transaction, ranges, Unreadable()); });
}

absl::StatusOr<StoreInfo> LocalStore::Info(const InfoOptions& options) {
  StoreInfo info;
  if (options.data) {
    AIMEM_ASSIGN_OR_RETURN(const ReadPermit permit, PermitRead(Reader::kCaller));
    absl::StatusOr<StoreInfo> read =
        WithRead([&](Transaction& transaction) { return ReadInfo(transaction, options); });
    if (absl::IsDataLoss(read.status())) AIMEM_RETURN_IF_ERROR(CheckDamage());
    AIMEM_ASSIGN_OR_RETURN(info, std::move(read));
    AIMEM_ASSIGN_OR_RETURN(info.size_bytes, backend_->SizeBytes());
  }
  info.url = backend_->Url();
  const absl::Status damaged = CheckDamage();
  MutexLock lock(mutex_);
  info.queued_items = queued_items_;
  info.queued_bytes = queued_bytes_;
  info.unwritable = unwritable_;
  for (const std::string* why : {&foreign_data_, &fenced_, &disk_full_}) {
    if (info.fenced.empty()) info.fenced = *why;
  }
  if (!damaged.ok()) info.fenced = std::string(ToStd(damaged.message()));
  return info;
}

absl::StatusOr<StoreInfo> LocalStore::ReadInfo(Transaction& transaction,
                                               const InfoOptions& options) {
  AIMEM_ASSIGN_OR_RETURN(const ReadResult result, transaction.Read({.heads = true, .meta = true}));
  AIMEM_ASSIGN_OR_RETURN(const Streams streams, StreamsOf(result, Unreadable(), transaction));
  StoreInfo info;
  info.member = streams.member;
  info.stream = streams.stream;
  info.vector = streams.Vector();
  info.installing = streams.installing;
  if (options.counts) {
    AIMEM_ASSIGN_OR_RETURN(info.counts, recall::Count(transaction, Now()));
  }
  return info;
}

absl::StatusOr<CheckReport> LocalStore::Check(const CheckOptions& options) {
  AIMEM_ASSIGN_OR_RETURN(const ReadPermit permit, PermitRead(Reader::kCaller));
  AIMEM_ASSIGN_OR_RETURN(CheckReport report, WithRead([&](Transaction& transaction) {
                           return store::Check(transaction, options);
                         }));
  AIMEM_ASSIGN_OR_RETURN(std::vector<std::string> damage, backend_->Verify());
  report.problems.insert(report.problems.begin(), std::make_move_iterator(damage.begin()),
                         std::make_move_iterator(damage.end()));
  return report;
}

// -- The end --------------------------------------------------------------------------------------

absl::Status LocalStore::Close() { return CloseWithin(options_.close_grace); }

absl::Status LocalStore::CloseWithin(absl::Duration grace) {
  AIMEM_RETURN_IF_ERROR(CheckProcess());
  AIMEM_RETURN_IF_ERROR(CheckMayWait(static_cast<const Store*>(this)));
  const absl::Duration until = clock_.Monotonic() + grace;
  {
    MutexLock lock(mutex_);
    closing_ = true;
    work_.NotifyAll();
    more_.NotifyAll();
    readers_.NotifyAll();
  }
  if (options_.environment.executor != nullptr) {
    selections_->Finish();
    pages_->Finish();
    RunPosted();
  }
  {
    MutexLock lock(mutex_);
    while (!closed_ && (releasing_ || !Idle())) {
      const absl::Duration left = until - clock_.Monotonic();
      if (left <= absl::ZeroDuration()) return StillInUse(grace);
      if (left == absl::InfiniteDuration()) {
        readers_.Wait(mutex_);
      } else {
        readers_.WaitFor(mutex_, left);
      }
    }
    if (closed_) return absl::OkStatus();
    releasing_ = true;
  }
  return Release();
}

bool LocalStore::Idle() const {
  const bool by_executor = options_.environment.executor != nullptr;
  const bool written =
      by_executor ? queue_.empty() && lazy_.empty() && stream_jobs_.empty() : writer_ended_;
  return written && !busy_ && long_work_ == 0 && active_reads_ == 0;
}

absl::Status LocalStore::StillInUse(absl::Duration grace) const {
  return absl::DeadlineExceededError(absl::StrFormat(
      "the store takes no more work, but after %s it still has %d reads in progress, %d writes "
      "that wait and %d changes by filter or large pages: call Close() again when they have ended",
      absl::FormatDuration(grace), active_reads_, queued_items_, long_work_));
}

absl::Status LocalStore::Release() {
  selections_->Finish();
  pages_->Finish();
  if (writer_.joinable()) writer_.join();
  bool unmarked = false;
  {
    MutexLock lock(mutex_);
    busy_ = true;  // nobody asks for the turn any more
    std::swap(unmarked, unmarked_);
  }
  {
    const TurnHolder turn(*this, false);
    const absl::Status thrown = unmarked ? Contain([this] { PlanRetention(); }) : absl::OkStatus();
    if (thrown.ok()) CutLogAtEnd();
  }
  absl::Status status;
  const absl::Status thrown = Contain([&] { status = backend_->Close(); });
  MutexLock lock(mutex_);
  closed_ = true;
  readers_.NotifyAll();
  if (!lost_.ok()) return lost_;
  return thrown.ok() ? status : thrown;
}

void LocalStore::CutLogAtEnd() {
  const absl::Duration until = clock_.Monotonic() + kCutAtEnd;
  bool more = true;
  while (more && clock_.Monotonic() < until) {
    WriteRetention();
    MutexLock lock(mutex_);
    more = retention_plan_.has_value();
  }
}

// Threads of the parent were in the middle of whatever this is made of, and are not here: nothing
// of it may be waited for, destroyed or closed.
void LocalStore::AbandonToParent() {
  const auto leave = [](auto& what) {
    static_cast<void>(new std::decay_t<decltype(what)>(std::move(what)));
  };
  leave(writer_);
  leave(backend_);
  leave(conditions_);
  leave(selections_);
  leave(pages_);
  leave(queue_);
  leave(stream_jobs_);
  leave(lazy_);
  leave(fenced_);
  leave(foreign_data_);
  leave(disk_full_);
  leave(unwritable_);
  leave(lost_);
  leave(told_);
  leave(retention_);
  leave(retention_plan_);
}

}  // namespace store
}  // namespace aimem
