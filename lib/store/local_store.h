// LocalStore: the one writer over a backend. Queue, group, execute, append, effect, commit.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "aimem/local_store.h"
#include "aimem/store.h"
#include "lib/base/mutex.h"
#include "lib/store/apply.h"
#include "lib/store/execute.h"
#include "lib/store/hooks.h"
#include "lib/store/request.h"
#include "lib/store/rows.h"
#include "lib/store/streams.h"

namespace aimem::store {

class FilterRun;

/// Whoever holds the turn (busy_) takes a group and writes it: the writer thread, work posted to
/// the executor, or a caller of Write that found the turn free and leads the group itself, which
/// saves handing its batch over and being woken again. Callbacks run on that thread; a write which
/// is refused before it is queued is answered on the caller's.
class LocalStore final : public MemberStore {
 public:
  /// `member`: whose data it is; zero: of whoever it is found to be.
  LocalStore(std::unique_ptr<Backend> backend, const StoreOptions& options, const Id128& member);
  ~LocalStore() override;

  void WriteAsync(WriteBatch batch, const WriteOptions& options, WriteCallback done) override;
  using Store::Write;
  WriteResult Write(WriteBatch batch, const WriteOptions& options) override;
  using Store::Apply;
  void Apply(ChangePage page, ApplyCallback done) override;
  using Store::Get;
  std::vector<absl::StatusOr<Memory>> Get(std::span<const std::string> ids,
                                          const ReadOptions& options) override;
  absl::StatusOr<ListResult> List(const ListRequest& request) override;
  absl::StatusOr<SearchResult> Search(const SearchRequest& request) override;
  absl::StatusOr<OperationInfo> GetOperation(OperationId operation, absl::Duration wait) override;
  absl::StatusOr<ChangePage> ReadChanges(const ChangeCursor& cursor,
                                         const ReadChangesLimit& limit) override;
  absl::StatusOr<DigestResult> Digest(std::span<const DigestRange> ranges) override;
  absl::StatusOr<StoreInfo> Info(const InfoOptions& options) override;
  absl::StatusOr<CheckReport> Check(const CheckOptions& options) override;
  absl::Status Close() override;
  absl::StatusOr<StoreState> ReadState() override;
  void ForsakeStream(std::uint64_t stream, StreamCallback done) override;
  void YieldStream(std::uint64_t stream, const StreamHead& common, StreamCallback done) override;

 private:
  friend class FilterRun;

  /// Who waits for a write. `ids`: whose items of a coalesced write are answered; empty: all.
  struct Waiter {
    WriteCallback done;
    std::vector<std::string> ids;
  };
  struct WriteJob {
    WriteJob() = default;
    WriteJob(WriteJob&&) = default;
    WriteJob& operator=(WriteJob&&) = default;

    WriteBatch batch;
    WriteOptions options;
    OperationId operation;
    std::optional<Hash256> request_hash;
    std::optional<Selection> selection;  // of a change by filter
    std::vector<Waiter> waiters;         // several: lazy writes that were coalesced
    std::size_t bytes = 0;
    WriteResult result;  // filled while executing
    bool wrote = false;  // its answer stands or falls with the transaction
  };
  struct ApplyJob {
    ApplyJob() = default;
    ApplyJob(ApplyJob&&) = default;
    ApplyJob& operator=(ApplyJob&&) = default;

    CheckedPage page;
    ApplyCallback done;
    std::size_t bytes = 0;
    ApplyResult result;
  };
  using Job = std::variant<WriteJob, ApplyJob>;
  /// What is done to a stream, in a transaction of its own and before all else that waits.
  struct StreamJob {
    std::uint64_t stream = 0;
    std::optional<StreamHead> common;  // yield what comes after it; none: forsake
    StreamCallback done;
  };
  /// The jobs that share a transaction.
  struct Group {
    std::vector<Job> jobs;
    std::size_t bytes = 0;
  };

  /// What a transaction knows of the log, and what it adds.
  struct GroupLog {
    Streams streams;
    WriteSet set;
    std::map<OperationId, log::CommitHeader> operations;  // those asked for and found
    std::set<OperationId> written;                        // of those, by this group
    bool installed = false;                               // the group has a page of an install
    bool prepared = false;                                // `streams` are what the store has
    bool must_commit = false;  // what is in `set` counts also without commits

    [[nodiscard]] bool Empty() const {
      return set.rows.empty() && set.log.empty() && set.meta.empty();
    }
  };

  /// A read transaction for as long as this lives; recovery and Close wait for it.
  class ReadGuard {
   public:
    ReadGuard(LocalStore* store, std::unique_ptr<Transaction> transaction)
        : store_(store), transaction_(std::move(transaction)) {}
    ReadGuard(ReadGuard&&) = default;
    ReadGuard& operator=(ReadGuard&&) = delete;
    ~ReadGuard() {
      if (transaction_ == nullptr) return;  // moved from
      transaction_.reset();
      store_->EndRead();
    }
    Transaction& operator*() const { return *transaction_; }
    Transaction* operator->() const { return transaction_.get(); }

   private:
    LocalStore* store_;
    std::unique_ptr<Transaction> transaction_;
  };
  absl::StatusOr<ReadGuard> BeginRead() ABSL_LOCKS_EXCLUDED(mutex_);
  void EndRead() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Answer from one snapshot.
  template <typename Read>
  auto WithRead(Read read) -> decltype(read(std::declval<Transaction&>()));
  absl::StatusOr<OperationInfo> FindOperation(Transaction& transaction, OperationId operation);
  absl::StatusOr<StoreInfo> ReadInfo(Transaction& transaction, const InfoOptions& options);

  /// Who comes with a job.
  enum class Caller {
    kGoesOn,    ///< Somebody has to be woken for it.
    kLeads,     ///< It takes the turn itself if that is free.
    kFollowsUp  ///< It continues a request that was accepted, and is taken in any case.
  };
  void Submit(WriteBatch batch, const WriteOptions& options, WriteCallback done, Caller caller);
  /// Queue `job`, or refuse it: closing, or the queue is full.
  void Enqueue(Job job, Caller caller) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Take the turn if it is free, and write one group.
  void Lead() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Admit(std::size_t bytes, bool follow_up) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Wake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EnqueueLazy(WriteJob job) ABSL_LOCKS_EXCLUDED(mutex_);
  void TouchLater(const SearchResult& result);
  static absl::Status CheckRequest(const WriteBatch& batch, const WriteOptions& options);
  static void Reject(WriteJob& job, absl::Status status);
  static void Deliver(Job& job);
  bool BeginFilterRun() ABSL_LOCKS_EXCLUDED(mutex_);
  void EndFilterRun() ABSL_LOCKS_EXCLUDED(mutex_);

  // -- The writer (group.cc) ----------------------------------------------------------------------
  void WriterLoop();
  enum class Turn { kWrite, kMaintain, kLook, kEnd };
  /// Wait for something to do, and take the turn for it. kEnd: nothing will come.
  Turn AwaitTurn() ABSL_LOCKS_EXCLUDED(mutex_);
  void ReturnTurn(bool wrote) ABSL_LOCKS_EXCLUDED(mutex_);
  void RunPosted();
  [[nodiscard]] bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Move what waits into the group, as much as may share a transaction.
  void TakeMore(Group& group) ABSL_LOCKS_EXCLUDED(mutex_);
  [[nodiscard]] bool HasRoom(const Group& group) const;
  /// True: there is more that may share the transaction. Waits for it if it is known to come.
  bool AwaitMore(const Group& group) ABSL_LOCKS_EXCLUDED(mutex_);
  void TakeLazy(std::vector<Job>& group) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Make what waits one transaction. The caller has the turn.
  void WriteGroup() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<std::unique_ptr<Transaction>> BeginGroup() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Take, read, execute and append; what is to be written is in `log.set`.
  absl::Status ExecuteGroup(Group& group, Rows& rows, GroupLog& log);
  absl::Status Prepare(std::span<const Job> jobs, Rows& rows, GroupLog& log);
  /// Know whose data this is and which stream to write, drawing one if need be.
  absl::Status PrepareStream(const ReadResult& found, GroupLog& log);
  absl::Status ExecuteWrite(WriteJob& job, Rows& rows, GroupLog& log);
  bool ReplayIfKnown(WriteJob& job, const GroupLog& log);
  absl::Status ExecuteApply(ApplyJob& job, Rows& rows, GroupLog& log);
  /// A page of states and commits into a store without a history.
  absl::Status ExecuteInstall(ApplyJob& job, Rows& rows, GroupLog& log);
  void AppendCommit(log::CommitHeader header, std::vector<log::Change> changes, GroupLog& log);

  // -- Jobs of streams (stream_jobs.cc) -----------------------------------------------------------
  void EnqueueStreamJob(StreamJob job) ABSL_LOCKS_EXCLUDED(mutex_);
  std::optional<StreamJob> TakeStreamJob() ABSL_LOCKS_EXCLUDED(mutex_);
  void FailStreamJobs(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  void WriteStreamJob(StreamJob job, std::unique_ptr<Transaction> transaction)
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status ExecuteStreamJob(const StreamJob& job, Rows& rows, GroupLog& log);
  absl::Status ExecuteYield(std::uint64_t stream, const StreamHead& common, Rows& rows,
                            GroupLog& log);
  /// Append commits of another stream to the own one, with all that they say.
  absl::Status AppendAgain(std::vector<log::Commit> commits, Rows& rows, GroupLog& log);
  /// Take the jobs from `first` on out of the group again: they wait for what is done to a stream.
  void PutBack(Group& group, std::size_t first) ABSL_LOCKS_EXCLUDED(mutex_);
  void Fence(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Whose data it is, once that is known; an error if it is another's now.
  absl::Status CheckWhose(const Streams& streams) ABSL_LOCKS_EXCLUDED(mutex_);

  /// What an idle writer does: checkpoint, and drop what is too old from the log.
  void Maintain();
  absl::Status DropOldCommits();
  /// The first seq of each stream to keep in the log; empty if all of it.
  absl::StatusOr<WriteSet> FindOldCommits();

  // -- How a group ended (outcome.cc) -------------------------------------------------------------
  void AnswerGroup(std::vector<Job>& group, const absl::Status& failure);
  void AnswerJob(Job& job);
  /// Durable is not delivered: a result of data whose federation this process does not serve.
  [[nodiscard]] bool Undelivered(std::uint64_t quorum) const {
    return options_.quorum == 0 && quorum > 1;
  }
  static absl::Status UndeliveredStatus(std::uint64_t quorum);
  /// Tell the listener what is durable now. The caller has the turn.
  void Tell(StoreState state, std::vector<DurableCommit> commits) ABSL_LOCKS_EXCLUDED(mutex_);
  void TellGroup(GroupLog& log) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Tell the listener what others have written.
  void Look() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status LookAtHeads() ABSL_LOCKS_EXCLUDED(mutex_);
  /// After an unknown commit: recover, look every operation up, answer.
  void ResolveUnknown(std::vector<Job>& group, GroupLog& log, const absl::Status& failure);
  absl::Status LookUp(std::vector<Job>& group, GroupLog& log);
  absl::Status Recover() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status RecoverIfFenced() ABSL_LOCKS_EXCLUDED(mutex_);
  void Log(LogLevel level, std::string_view message) const;
  absl::Time Now() const { return clock_.Now(); }

  const StoreOptions options_;
  Clock& clock_;
  Random& random_;
  const std::unique_ptr<Backend> backend_;

  mutable Mutex mutex_;
  CondVar work_;     // for the writer thread: there is something to do, and the turn is free
  CondVar more_;     // for whoever has the turn: something was queued
  CondVar readers_;  // active_reads_ or recovering_ changed

  std::deque<Job> queue_ ABSL_GUARDED_BY(mutex_);
  std::deque<StreamJob> stream_jobs_ ABSL_GUARDED_BY(mutex_);
  std::int64_t queued_items_ ABSL_GUARDED_BY(mutex_) = 0;
  std::int64_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<WriteJob> lazy_ ABSL_GUARDED_BY(mutex_);
  std::int64_t lazy_items_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Duration lazy_deadline_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteDuration();
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;          // somebody has the turn
  bool dirty_ ABSL_GUARDED_BY(mutex_) = false;         // written to since it was last maintained
  absl::Duration last_group_ ABSL_GUARDED_BY(mutex_);  // when
  absl::Duration next_look_ ABSL_GUARDED_BY(mutex_);   // for commits of others
  bool posted_ ABSL_GUARDED_BY(mutex_) = false;        // executor mode: RunPosted is on its way
  int active_reads_ ABSL_GUARDED_BY(mutex_) = 0;
  int filter_runs_ ABSL_GUARDED_BY(mutex_) = 0;  // changes by filter that are under way
  bool recovering_ ABSL_GUARDED_BY(mutex_) = false;
  std::string fenced_ ABSL_GUARDED_BY(mutex_);
  absl::Status lost_ ABSL_GUARDED_BY(mutex_);  // what nobody has been told

  // Touched by whoever has the turn.
  Id128 member_;  // whose data this is; zero: not known yet
  absl::Time retention_checked_ = absl::InfinitePast();
  std::uint64_t quorum_ = 0;              // W, as the data says
  StoreState told_;                       // what the listener knows
  bool looked_ = false;                   // `foreign_` and `told_` are what was found
  std::optional<std::uint64_t> foreign_;  // Backend::ForeignCommits at the last look
  absl::Duration next_blind_look_;        // where the backend cannot tell
  bool look_failed_ = false;              // said once

  std::thread writer_;  // not in executor mode
};

}  // namespace aimem::store
