// LocalStore: the one writer over a backend. Queue, group, execute, append, effect, commit.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "aimem/local_store.h"
#include "aimem/store.h"
#include "lib/base/background.h"
#include "lib/base/callback.h"
#include "lib/base/mutex.h"
#include "lib/execute/execute.h"
#include "lib/execute/request.h"
#include "lib/execute/rows.h"
#include "lib/store/apply.h"
#include "lib/store/hooks.h"
#include "lib/store/meta.h"
#include "lib/store/retention.h"
#include "lib/store/streams.h"

namespace aimem::store {

class FilterRun;

/// Whoever has the turn (turn_) takes a group and writes it: the writer thread, work posted to
/// the executor, or a caller of Write that found the turn free and leads the group itself, which
/// saves handing its batch over and being woken again. Callbacks run on that thread; a write which
/// is refused before it is queued is answered on the caller's. What may take long before it can be
/// queued, the selection of a change by filter and the decoding of a large page, is done by
/// selections_ and pages_.
class LocalStore final : public MemberStore {
 public:
  /// `member`: whose data it is; zero: of whoever it is found to be.
  LocalStore(std::unique_ptr<Backend> backend, const StoreOptions& options,
             PreparedMember prepared);
  ~LocalStore() override;

  void WriteAsync(WriteBatch batch, const WriteOptions& options, WriteCallback done) override;
  using Store::Write;
  WriteResult Write(WriteBatch batch, const WriteOptions& options) override;
  using Store::Apply;
  void Apply(ChangePage page, ApplyCallback done) override;
  void ApplyEach(ChangePage page, ApplyCallback done) override;
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
  void Refresh(StreamCallback done) override;
  void ForsakeStream(std::uint64_t stream, const StreamHead& claimed, StreamCallback done) override;
  void YieldStream(std::uint64_t stream, const StreamHead& common, StreamCallback done) override;

 private:
  friend class FilterRun;

  /// Who waits for a write. `ids`: whose items of a coalesced write are answered; empty: all.
  struct Waiter {
    WriteCallback done;
    std::vector<std::string> ids;
  };
  /// How far a write has come.
  enum class JobState : std::uint8_t {
    kWaiting,   ///< Not executed yet.
    kRefused,   ///< Its answer stands, whatever becomes of the group.
    kReplayed,  ///< Executed long ago; its answer waits until what it was read from is durable.
    kExecuted   ///< Its answer stands or falls with the group.
  };
  struct WriteJob {
    WriteJob() = default;
    WriteJob(WriteJob&&) = default;
    WriteJob& operator=(WriteJob&&) = default;

    WriteBatch batch;
    WriteOptions options;
    OperationId operation;
    std::optional<Hash256> request_hash;
    std::optional<execute::Selection> selection;  // of a change by filter
    std::vector<Waiter> waiters;                  // several: lazy writes that were coalesced
    std::size_t bytes = 0;
    WriteResult result;  // filled while executing
    JobState state = JobState::kWaiting;
  };
  struct ApplyJob {
    ApplyJob() = default;
    ApplyJob(ApplyJob&&) = default;
    ApplyJob& operator=(ApplyJob&&) = default;

    CheckedPage page;
    ApplyCallback done;
    std::size_t bytes = 0;
    ApplyResult result;
    bool deferred = false;  // it has waited for a stream to be forsaken
    bool each = false;      // one commit of it may be refused alone
  };
  using Job = std::variant<WriteJob, ApplyJob>;
  /// What is done to a stream, in a transaction of its own and before all else that waits.
  struct StreamJob {
    std::uint64_t stream = 0;          // 0: none, only begin a transaction, and tell
    std::optional<StreamHead> common;  // yield what comes after it; none: forsake
    StreamCallback done;
    StreamHead claimed;  // forsake: unless that is held
    bool more = false;   // its last transaction left some of it to the next one
    absl::Status kept;   // why the end that was to be yielded stays; what it did is durable
  };
  /// How far the transaction of a group has come, for whoever has to end it half-way.
  enum class Stage : std::uint8_t {
    kOpen,        ///< Nothing of it is there.
    kCommitting,  ///< It may be there, or not.
    kDurable      ///< It is there, and the jobs have their results.
  };
  /// The jobs that share a transaction.
  struct Group {
    std::vector<Job> jobs;
    std::size_t bytes = 0;
    Stage stage = Stage::kOpen;
  };

  /// What a transaction knows of the log, and what it adds.
  struct GroupLog {
    Streams streams;
    WriteSet set;
    struct Known {
      log::CommitHeader header;
      VersionVector places;  // a commit that was given up stands in another stream as well
    };
    std::map<OperationId, Known> operations;  // those asked for and found
    std::set<OperationId> written;            // of those, by this group
    std::set<OperationId> unreadable;         // found, in commits that cannot be read
    bool installed = false;                   // the group has a page of an install
    bool prepared = false;                    // `streams` are what the store has
    bool moved = false;                       // this group found the data elsewhere than before
    bool must_commit = false;                 // what is in `set` counts also without commits

    [[nodiscard]] bool Empty() const {
      return set.rows.empty() && set.log.empty() && set.meta.empty() && set.log_cuts.empty() &&
             set.log_tails.empty();
    }
  };

  /// Use of the backend outside the turn: Close waits for its end.
  class ReadPermit {
   public:
    explicit ReadPermit(LocalStore* store) : store_(store) {}
    ReadPermit(ReadPermit&& other) noexcept : store_(std::exchange(other.store_, nullptr)) {}
    ReadPermit& operator=(ReadPermit&&) = delete;
    ~ReadPermit() {
      if (store_ != nullptr) store_->EndRead();
    }

   private:
    LocalStore* store_;
  };
  /// A read transaction, with the permit that it needs.
  class ReadGuard {
   public:
    ReadGuard(ReadPermit permit, std::unique_ptr<Transaction> transaction)
        : permit_(std::move(permit)), transaction_(std::move(transaction)) {}
    Transaction& operator*() const { return *transaction_; }
    Transaction* operator->() const { return transaction_.get(); }

   private:
    ReadPermit permit_;
    std::unique_ptr<Transaction> transaction_;
  };
  /// Callers are refused as soon as Close begins; the store itself finishes what it has taken.
  enum class Reader { kStore, kCaller };
  absl::StatusOr<ReadPermit> PermitRead(Reader reader) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<ReadGuard> BeginRead(Reader reader = Reader::kStore) ABSL_LOCKS_EXCLUDED(mutex_);
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
  static WriteResult Refused(absl::Status status);
  /// Answer whoever waits for `job` and has no answer yet.
  void Deliver(Job& job) const;
  /// The border to a host's callback: null is nobody, and what it throws is logged.
  template <typename Done, typename Result>
  void Call(Done done, Result result) const {
    if (!done) return;
    const CallbackScope scope(static_cast<const Store*>(this));
    const absl::Status thrown = Contain([&] { std::move(done)(std::move(result)); });
    if (!thrown.ok()) LogThrown("a callback", thrown);
  }
  void LogThrown(std::string_view what, const absl::Status& thrown) const;

  /// Room in the queue for what has to be worked on before it can be queued: that it will be, or
  /// be answered, Close waits for.
  enum class LongWork { kSelection, kPage };
  absl::Status BeginLongWork(LongWork kind, std::size_t bytes) ABSL_LOCKS_EXCLUDED(mutex_);
  /// It is begun: the room is free again.
  void LeaveQueue(std::size_t bytes) ABSL_LOCKS_EXCLUDED(mutex_);
  void EndLongWork(LongWork kind) ABSL_LOCKS_EXCLUDED(mutex_);
  void StartApply(ChangePage page, ApplyJob job) ABSL_LOCKS_EXCLUDED(mutex_);
  void RefusePage(ApplyJob job, absl::Status status) const;
  /// Decode the page and queue it.
  void QueuePage(ChangePage page, ApplyJob job, Caller caller) ABSL_LOCKS_EXCLUDED(mutex_);
  void QueuePageLater(ChangePage page, ApplyJob job) ABSL_LOCKS_EXCLUDED(mutex_);

  // -- The end (local_store.cc) -------------------------------------------------------------------
  /// kFailedPrecondition in the child of a fork: threads, locks and connections are the parent's.
  absl::Status CheckProcess() const;
  absl::Status CloseWithin(absl::Duration grace) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Whether all that Close waits for has ended.
  [[nodiscard]] bool Idle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status StillInUse(absl::Duration grace) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Close what is used by nobody any more.
  absl::Status Release() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Do what is planned for the log, for a while.
  void CutLogAtEnd() ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_) ABSL_LOCKS_EXCLUDED(mutex_);
  void AbandonToParent() ABSL_NO_THREAD_SAFETY_ANALYSIS;

  // -- The writer (group.cc) ----------------------------------------------------------------------
  /// The turn that somebody has just taken (busy_): this gives it back however its scope is left.
  class ABSL_SCOPED_LOCKABLE TurnHolder {
   public:
    TurnHolder(LocalStore& store, bool writes)
        ABSL_EXCLUSIVE_LOCK_FUNCTION(store.turn_) ABSL_NO_THREAD_SAFETY_ANALYSIS : store_(store),
                                                                                   writes_(writes) {
    }
    ~TurnHolder() ABSL_UNLOCK_FUNCTION() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      store_.ReturnTurn(writes_);
    }
    TurnHolder(const TurnHolder&) = delete;
    TurnHolder& operator=(const TurnHolder&) = delete;

   private:
    LocalStore& store_;
    const bool writes_;
  };
  void WriterLoop();
  /// What the turn is taken for.
  enum class Task { kWrite, kMaintain, kRetain, kLook, kHeal, kEnd };
  /// Wait for something to do, and take the turn for it. kEnd: nothing will come.
  Task AwaitTurn() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Take the turn if it is free and there is something to write.
  bool TakeTurn() ABSL_LOCKS_EXCLUDED(mutex_);
  void ReturnTurn(bool wrote) ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_) ABSL_LOCKS_EXCLUDED(mutex_);
  void RunPosted();
  [[nodiscard]] bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] bool LookIsDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Move what waits into the group, as much as may share a transaction.
  void TakeMore(Group& group) ABSL_LOCKS_EXCLUDED(mutex_);
  [[nodiscard]] bool HasRoom(const Group& group) const;
  /// True: there is more that may share the transaction. Waits for it if it is known to come.
  bool AwaitMore(const Group& group) ABSL_LOCKS_EXCLUDED(mutex_);
  void TakeLazy(std::vector<Job>& group) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Make what waits one transaction. Never throws.
  void WriteGroup() ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_) ABSL_LOCKS_EXCLUDED(mutex_);
  void WriteTaken(Group& taken) ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Answer what a group left unanswered when `thrown` ended it.
  void EndThrownGroup(Group& group, const absl::Status& thrown) ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// End a group whose transaction, which was executed, wrote nothing.
  void FailGroup(std::vector<Job>& group, absl::Status failure)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_);
  absl::StatusOr<std::unique_ptr<Transaction>> BeginGroup() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Take, read, execute and append; what is to be written is in `log.set`.
  /// True: its answer says what the transaction saw, and says it only if that is durable.
  static bool RestsOnWhatItSaw(const Job& job);
  /// True: a member's listener is to be told what others wrote, which has to be durable first.
  [[nodiscard]] bool Tells(const GroupLog& log) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_);
  /// OK, or why what was queued is refused.
  [[nodiscard]] absl::Status MayExecute(const GroupLog& log) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status ExecuteGroup(Group& group, Rows& rows, GroupLog& log)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_);
  absl::Status Prepare(std::span<const Job> jobs, Rows& rows, GroupLog& log)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_);
  /// Know whose data this is and which stream to write, drawing one if need be.
  absl::Status PrepareStream(const ReadResult& found, Transaction& transaction, GroupLog& log)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_);
  absl::Status ExecuteWrite(WriteJob& job, Rows& rows, GroupLog& log);
  bool ReplayIfKnown(WriteJob& job, const GroupLog& log);
  static absl::Status KeyUnreadable();
  absl::Status ExecuteApply(ApplyJob& job, Rows& rows, GroupLog& log);
  /// A page of states and commits into a store without a history.
  absl::Status ExecuteInstall(ApplyJob& job, Rows& rows, GroupLog& log);
  void AppendCommit(log::CommitHeader header, std::vector<log::Change> changes, GroupLog& log);

  // -- Jobs of streams (stream_jobs.cc) -----------------------------------------------------------
  void EnqueueStreamJob(StreamJob job) ABSL_LOCKS_EXCLUDED(mutex_);
  std::optional<StreamJob> TakeStreamJob() ABSL_LOCKS_EXCLUDED(mutex_);
  void FailStreamJobs(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  void WriteStreamJob(StreamJob job, std::unique_ptr<Transaction> transaction)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<StoreState> CommitStreamJob(StreamJob& job,
                                             std::unique_ptr<Transaction> transaction)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status ExecuteStreamJob(StreamJob& job, Rows& rows, GroupLog& log)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_);
  /// What the first commit that the log holds of `stream` follows; `head` if it holds none.
  static absl::StatusOr<StreamHead> BeforeLog(std::uint64_t stream, const StreamHead& head,
                                              Rows& rows);
  /// Give up what comes after `common`, from its end on, as much as one transaction may. True: all.
  absl::StatusOr<bool> ExecuteYield(std::uint64_t stream, const StreamHead& common, Rows& rows,
                                    GroupLog& log);
  /// Take heads over whose effect has come as states. What is held of them may have to be given up
  /// first, and be too much for one transaction: `result.status` then says so.
  absl::Status Adopt(const StreamHeads& heads, Rows& rows, GroupLog& log, ApplyResult& result);
  /// Let what the log holds of a stream of our own go, for heads that are adopted, as
  /// much as one transaction may. True: all.
  absl::StatusOr<bool> GiveUpHeld(std::uint64_t stream, Rows& rows, GroupLog& log);
  /// True: `page` waits until a stream has been forsaken, in a transaction of its own.
  bool Defer(ApplyJob& job, const Streams& streams) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Append commits of another stream to the own one, with all that they say.
  absl::Status AppendAgain(std::vector<log::Commit> commits, Rows& rows, GroupLog& log);
  /// Last commits that are known not to be readable, though they begin as commits do.
  [[nodiscard]] VersionVector Unreadable() const ABSL_LOCKS_EXCLUDED(mutex_);
  /// Log and remember them. True: some were not known.
  bool NoteUnreadable(const VersionVector& met) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Read the last commit of each stream as a whole: what cannot be given to others is not told.
  absl::Status CheckLastCommits() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Take the jobs from `first` on out of the group again: they wait for what is done to a stream.
  void PutBack(Group& group, std::size_t first) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Whose data it is, once that is known; an error if it is another's now.
  absl::Status CheckWhose(const Streams& streams) ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_)
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// What an idle writer does: checkpoint.
  void Maintain(bool idle) ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_);
  /// What may go from the log is looked for in the background, and goes in a turn; a store that is
  /// closed before that was due does it then.
  void PostRetention() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PlanRetention() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<RetentionPlan> MakeRetentionPlan() ABSL_LOCKS_EXCLUDED(mutex_);
  /// A part of the plan, as much as one turn may take.
  void WriteRetention() ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_) ABSL_LOCKS_EXCLUDED(mutex_);
  /// True: that was the last of it.
  absl::StatusOr<bool> WriteRetention(const RetentionPlan& plan)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_) ABSL_LOCKS_EXCLUDED(mutex_);

  // -- How a group ended (outcome.cc) -------------------------------------------------------------
  void AnswerGroup(std::vector<Job>& group, const absl::Status& failure)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_);
  /// Replays whose group failed stand for themselves: true if they are durable.
  bool SettleReplays(const std::vector<Job>& group) ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_);
  /// Commit something, so that what `transaction` saw is durable.
  absl::Status CommitSettled(Transaction& transaction) ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_);
  static void AnswerUnsettled(WriteJob& job, const absl::Status& failure);
  void AnswerJob(Job& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_);
  /// The disk did not say whether the job's transaction is there, and cannot be asked now.
  void AnswerUnknown(Job& job, const absl::Status& failure) ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_);
  void Fence(const absl::Status& reason) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Durable is not delivered: a result of data whose federation this process does not serve.
  [[nodiscard]] bool Undelivered(std::uint64_t quorum) const {
    return options_.quorum == 0 && quorum > 1;
  }
  static absl::Status UndeliveredStatus(std::uint64_t quorum);
  /// Tell the listener what is durable now.
  void Tell(StoreState state, std::vector<DurableCommit> commits)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_) ABSL_LOCKS_EXCLUDED(mutex_);
  void TellGroup(GroupLog& log) ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Tell the listener what others have written.
  void Look() ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status LookAtHeads() ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_) ABSL_LOCKS_EXCLUDED(mutex_);
  /// After an unknown commit: recover, look every operation up, answer.
  void ResolveUnknown(std::vector<Job>& group, GroupLog& log, const absl::Status& failure)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_);
  absl::Status LookUp(std::vector<Job>& group, GroupLog& log) ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_);
  absl::Status Recover() ABSL_LOCKS_EXCLUDED(mutex_);
  /// What an idle writer does for a store that takes no writes: recover, and commit something.
  void Heal() ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status TryToWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_) ABSL_LOCKS_EXCLUDED(mutex_);
  [[nodiscard]] bool Ails() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !damaged_ && (!fenced_.empty() || !foreign_data_.empty() || !disk_full_.empty());
  }
  /// Make what is visible durable, if that is in doubt: an outcome was unknown, to this process or
  /// to one before that ended without finding it out.
  absl::Status RecoverIfFenced() ABSL_LOCKS_EXCLUDED(mutex_);
  /// What the backend says of its structures. Logged once; nothing lifts it.
  absl::Status CheckDamage() ABSL_LOCKS_EXCLUDED(mutex_);
  /// What a transaction for writing failed with, as callers are told it (Trouble), and noted.
  absl::Status Explain(absl::Status failure) ABSL_LOCKS_EXCLUDED(mutex_);
  /// A transaction was committed: what stood in the way of that does not any more.
  void NoteWritten() ABSL_LOCKS_EXCLUDED(mutex_);
  void Log(LogLevel level, std::string_view message) const;
  absl::Time Now() const { return clock_.Now(); }

  const StoreOptions options_;
  Clock& clock_;
  Random& random_;
  const pid_t process_;
  std::unique_ptr<Backend> backend_;

  /// The turn to write: one thread at a time, as busy_ says, which TurnHolder gives back.
  Capability turn_;

  // Apart, since the child of a fork must not destroy what threads of its parent wait on.
  struct Conditions {
    CondVar work;
    CondVar more;
    CondVar readers;
  };
  std::unique_ptr<Conditions> conditions_ = std::make_unique<Conditions>();

  mutable Mutex mutex_;
  CondVar& work_ = conditions_->work;        // for the writer thread: work, and the turn is free
  CondVar& more_ = conditions_->more;        // for whoever has the turn: something was queued
  CondVar& readers_ = conditions_->readers;  // something that Close waits for

  std::deque<Job> queue_ ABSL_GUARDED_BY(mutex_);
  std::deque<StreamJob> stream_jobs_ ABSL_GUARDED_BY(mutex_);
  std::int64_t queued_items_ ABSL_GUARDED_BY(mutex_) = 0;
  std::int64_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<WriteJob> lazy_ ABSL_GUARDED_BY(mutex_);
  std::int64_t lazy_items_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Duration lazy_deadline_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteDuration();
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool writer_ended_ ABSL_GUARDED_BY(mutex_) = false;  // the writer thread has
  bool releasing_ ABSL_GUARDED_BY(mutex_) = false;     // somebody closes the backend
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;          // somebody has the turn
  bool dirty_ ABSL_GUARDED_BY(mutex_) = false;         // written to since it was last maintained
  absl::Duration last_group_ ABSL_GUARDED_BY(mutex_);  // when
  absl::Duration next_look_ ABSL_GUARDED_BY(mutex_);   // for commits of others
  bool posted_ ABSL_GUARDED_BY(mutex_) = false;        // executor mode: RunPosted is on its way
  int active_reads_ ABSL_GUARDED_BY(mutex_) = 0;
  int long_work_ ABSL_GUARDED_BY(mutex_) = 0;      // changes by filter, and pages that are decoded
  int decoding_ ABSL_GUARDED_BY(mutex_) = 0;       // of those, pages
  bool unmarked_ ABSL_GUARDED_BY(mutex_) = false;  // written to since the log was looked at
  absl::Duration next_plan_ ABSL_GUARDED_BY(mutex_);  // when to look at it again
  std::optional<RetentionPlan> retention_plan_ ABSL_GUARDED_BY(mutex_);
  bool retained_last_ ABSL_GUARDED_BY(mutex_) = false;  // writes that wait come first now
  std::string fenced_ ABSL_GUARDED_BY(mutex_);
  /// Why what lies there now is not this store's data: nothing is written until it is again.
  std::string foreign_data_ ABSL_GUARDED_BY(mutex_);
  /// What a member is opened with is visible, and need not be durable: see RecoverIfFenced.
  bool as_found_ ABSL_GUARDED_BY(mutex_) = options_.listener != nullptr;
  absl::Duration next_heal_ ABSL_GUARDED_BY(mutex_);
  std::string disk_full_ ABSL_GUARDED_BY(mutex_);           // what the last write was refused with
  absl::Duration disk_full_until_ ABSL_GUARDED_BY(mutex_);  // if no other one is
  std::string unwritable_ ABSL_GUARDED_BY(mutex_);          // as StoreInfo says
  bool damaged_ ABSL_GUARDED_BY(mutex_) = false;            // said once
  absl::Status lost_ ABSL_GUARDED_BY(mutex_);               // what nobody has been told
  VersionVector unreadable_ ABSL_GUARDED_BY(mutex_);        // commits that were met: stream and seq

  Id128 member_ ABSL_GUARDED_BY(turn_);              // whose data this is; zero: not known yet
  bool durable_ ABSL_GUARDED_BY(turn_) = false;      // the last group is
  std::uint64_t quorum_ ABSL_GUARDED_BY(turn_) = 0;  // W, as the data says
  StoreState told_ ABSL_GUARDED_BY(turn_);           // what the listener knows
  bool looked_ ABSL_GUARDED_BY(turn_) = false;       // `foreign_` and `told_` are what was found
  std::optional<std::uint64_t> foreign_ ABSL_GUARDED_BY(turn_);  // ForeignCommits, at the last look
  absl::Duration next_blind_look_ ABSL_GUARDED_BY(turn_);        // where the backend cannot tell
  bool look_failed_ ABSL_GUARDED_BY(turn_) = false;              // said once
  std::string maintenance_failed_ ABSL_GUARDED_BY(turn_);        // why, at the last time

  /// For work that was posted to the executor and comes when this is gone: then null. An executor
  /// runs nothing beside the destruction of the store.
  std::shared_ptr<LocalStore*> posted_for_ = std::make_shared<LocalStore*>(this);

  Retention retention_;  // by whoever plans: selections_ and, when that has ended, Close
  // Two, so that what peers send does not wait for somebody's scan.
  std::unique_ptr<Background> selections_;
  std::unique_ptr<Background> pages_;
  std::thread writer_;  // not in executor mode
};

}  // namespace aimem::store
