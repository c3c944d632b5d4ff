// Node: drives a Member over a LocalStore and a transport, and is a Store.
//
// The Member runs under mutex_ on whatever thread brings an event; what it asks for is done after
// the lock is released. No call to the store or the transport is made under the lock.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "aimem/environment.h"
#include "aimem/local_store.h"
#include "aimem/store.h"
#include "lib/base/mutex.h"
#include "lib/store/hooks.h"
#include "replication/node/transport.h"
#include "replication/node/write_gate.h"
#include "replication/protocol/member.h"

namespace aimem::replication {

struct NodeOptions {
  std::vector<std::string> peers;  ///< "host:port", distinct.
  int needed = 1;
  absl::Duration quorum_timeout = absl::Seconds(2);
  absl::Duration call_timeout = absl::Seconds(30);
  absl::Duration shutdown_grace = absl::Seconds(30);
  absl::Duration max_clock_ahead = absl::Seconds(60);
  std::int64_t waiting_max = 10'000;
  int calls_in_flight_max = 2;
  std::int64_t window_bytes_max = 16 << 20;
  std::size_t heads_told_min = kHeadsToldMin;  ///< See quiet.h.
  bool insecure = false;
  MemberConfig::Bugs bugs;
};

/// A member of a federation, whatever carries its messages. Thread-safe.
class Node final : public Store, public Service, private CommitListener {
 public:
  /// Open the store over `backend`. Calls nobody before Start.
  static absl::StatusOr<std::unique_ptr<Node>> Open(std::unique_ptr<Backend> backend,
                                                    StoreOptions store, const NodeOptions& options);
  ~Node() override;

  /// Begin: `transport`, borrowed until Close has returned, may call this service from now on.
  /// `address` is told to peers. Until what the data says is known to be durable, which is tried
  /// each second, this member refuses what peers ask, and writes wait.
  absl::Status Start(Transport* transport, const std::string& address);

  // -- Store --------------------------------------------------------------------------------------
  void WriteAsync(WriteBatch batch, const WriteOptions& options, WriteCallback done) override;
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

  // -- Service ------------------------------------------------------------------------------------
  void HandleAppend(const Caller& caller, AppendRequest request,
                    absl::AnyInvocable<void(AppendReply) &&> reply) override;
  absl::StatusOr<ChangePage> HandleFetch(const Caller& caller,
                                         const FetchRequest& request) override;
  absl::StatusOr<DigestReply> HandleDigest(const Caller& caller,
                                           const DigestRequest& request) override;
  void OnTimer() override;

 private:
  using Answered = absl::AnyInvocable<void(bool committed, QuorumReport report) &&>;
  using ReplyCallback = absl::AnyInvocable<void(AppendReply) &&>;
  class Work;
  /// A write that waits before the local store sees it.
  struct Held {
    WriteBatch batch;
    WriteOptions options;
    WriteCallback done;
    absl::Duration deadline;
  };
  struct Filling;
  struct Comparing;
  struct Errands;

  Node(const StoreOptions& store, const NodeOptions& options);

  void OnDurable(const StoreState& state, std::vector<DurableCommit> commits) override;
  VersionVector HeldByAll() ABSL_LOCKS_EXCLUDED(mutex_);

  /// OK, and counted as being written; or why nothing may be written now.
  absl::Status Admit(bool lazy) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Whether a search may count the use of what it finds: a write as any other. Logs when not.
  bool MayTouch() ABSL_LOCKS_EXCLUDED(mutex_);
  void WriteLocally(Held held);
  /// Let what is held go on, if the gate is open; or if it is `wanted`.
  void LetThrough(bool wanted = false) ABSL_LOCKS_EXCLUDED(mutex_);
  /// For the store, which has executed all that went on: let what is held go on too.
  absl::Duration MoreUntil() ABSL_LOCKS_EXCLUDED(mutex_);
  /// For the store: what went on before this member knew that it has to learn is refused.
  absl::Status MayExecute() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Of those that came before this member had learnt what the others hold: all go to the gate once
  /// it has; until then those whose deadline has passed are refused.
  void Reconsider(Errands& errands) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] std::int64_t Unanswered() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// When the transport has to call, if that is earlier than it knows.
  std::optional<absl::Duration> NextTimer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnWritten(WriteResult result, absl::Duration deadline, bool counted, WriteCallback done);
  /// Call `answered` when `position`, durable here, has its quorum, or at `deadline`.
  void AwaitQuorum(VersionVector position, absl::Duration deadline, bool counted, Answered answered)
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// Wait until `end` for everybody to be answered.
  void AwaitCallers(absl::Duration end) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  /// Run `event` on the member, then do what it asked for.
  void Happen(absl::FunctionRef<void(Member&, const Member::Now&, Actions&)> event)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Take what the actions in `errands` refer to.
  void Collect(Errands& errands) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Perform(Errands errands) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Tell those in answers_, unless another thread is at it: that one goes on with them.
  void AnswerCallers() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status CheckCaller(const Caller& caller, const Header& header) ABSL_LOCKS_EXCLUDED(mutex_);

  // On threads that may block.
  void ComputeRoot();
  /// Once, until it is another failure.
  void LogRootFailure(const absl::Status& failure) ABSL_LOCKS_EXCLUDED(mutex_);
  void CompareWith(std::size_t peer, Work work);
  static std::string DescribeDivergence(const std::string& peer, const DigestResult& ours,
                                        const DigestResult& theirs);
  /// Fetch from a peer what its log does not hold any more, a page at a time.
  void Fill(std::size_t peer, Work work);
  void FillOn(std::shared_ptr<Filling> filling, Work work);
  void EndFilling(const absl::Status& status);
  /// What the store did may be durable, and nobody has been told: ask it soon.
  void RefreshSoon() ABSL_LOCKS_EXCLUDED(mutex_);
  /// And begin, if this member has not.
  void Refresh(Work work);
  /// Once, until it is another failure.
  void LogNotBegun(const absl::Status& failure) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Draw a new stream; see Actions::forsake.
  void Forsake(const Actions::Forsake& job, Work work);
  /// Find the last commit that this member and a peer both hold of a stream, and yield ours after
  /// it. See reconcile.cc.
  void Reconcile(Actions::Reconcile errand, Work work);
  void CompareNext(std::shared_ptr<Comparing> comparing, Work work);
  void Compare(std::shared_ptr<Comparing> comparing, const ChangePage& page, Work work);
  void YieldAfterCommon(const std::shared_ptr<Comparing>& comparing, Work work);
  absl::StatusOr<StreamHead> OurHeadAt(const Comparing& comparing);
  void EndReconciling(const Actions::Reconcile& errand, const absl::Status& status);

  [[nodiscard]] Member::Now Now() const;
  void Log(LogLevel level, std::string_view text) const;
  void LogThrown(const absl::Status& thrown) const;

  const NodeOptions options_;
  LogSink* const log_;
  Clock& clock_;
  Random& random_;
  std::unique_ptr<store::MemberStore> local_;
  Transport* transport_ = nullptr;  // set by Start, before anything runs

  Mutex mutex_;
  CondVar idle_;  // for Close: what it waits for has changed
  MemberConfig config_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Member> member_ ABSL_GUARDED_BY(mutex_);  // from Start on
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;  // nobody can be waited for any more
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  int work_ ABSL_GUARDED_BY(mutex_) = 0;                  // that is out, and refers to this
  std::int64_t writing_ ABSL_GUARDED_BY(mutex_) = 0;      // in the local store, not yet waiting
  bool touches_refused_ ABSL_GUARDED_BY(mutex_) = false;  // and that has been said
  WriteGate gate_ ABSL_GUARDED_BY(mutex_);
  std::deque<Held> held_ ABSL_GUARDED_BY(mutex_);   // at the gate
  std::deque<Held> early_ ABSL_GUARDED_BY(mutex_);  // this member is a learner
  std::int64_t early_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool letting_through_ ABSL_GUARDED_BY(mutex_) = false;  // by some thread
  std::uint64_t next_ticket_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<std::uint64_t, Answered> tickets_ ABSL_GUARDED_BY(mutex_);
  /// Decided, in the order of the writes, and not yet told; and by some thread being told.
  std::deque<std::pair<Answered, Actions::Answer>> answers_ ABSL_GUARDED_BY(mutex_);
  bool answering_ ABSL_GUARDED_BY(mutex_) = false;
  std::uint64_t next_inbound_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<std::uint64_t, ReplyCallback> inbound_ ABSL_GUARDED_BY(mutex_);
  std::optional<ChangeCursor> fill_from_ ABSL_GUARDED_BY(mutex_);
  bool fill_anew_ ABSL_GUARDED_BY(mutex_) = false;  // whatever the store remembers
  absl::Duration refresh_at_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteDuration();
  std::string root_failure_ ABSL_GUARDED_BY(mutex_);  // that was logged
  std::string not_begun_ ABSL_GUARDED_BY(mutex_);     // why, as it was logged
  absl::Duration timer_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteDuration();
};

}  // namespace aimem::replication
