// Node: drives a Member over a LocalStore and a transport, and is a Store.
//
// The Member runs under mutex_ on whatever thread brings an event; what it asks for is done after
// the lock is released. No call to the store or the transport is made under the lock.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "aimem/environment.h"
#include "aimem/replication/options.h"
#include "aimem/store_decorator.h"
#include "aimem/store_options.h"
#include "lib/base/mutex.h"
#include "lib/store/hooks.h"
#include "replication/node/answers.h"
#include "replication/node/driver.h"
#include "replication/node/filler.h"
#include "replication/node/intake.h"
#include "replication/node/news.h"
#include "replication/node/reconciler.h"
#include "replication/node/replies.h"
#include "replication/node/root_checker.h"
#include "replication/node/transport.h"
#include "replication/node/work_in_progress.h"
#include "replication/protocol/member.h"

namespace aimem::replication {

/// A member of a federation, whatever carries its messages. Thread-safe.
class Node final : public StoreDecorator,
                   public Service,
                   private Driver,
                   private store::CommitListener {
 public:
  /// Open the store over `backend`. Calls nobody before Start. Of `options` what the protocol needs
  /// counts, with peers that are distinct, "host:port". kInvalidArgument: the quorum.
  static absl::StatusOr<std::unique_ptr<Node>> Open(std::unique_ptr<Backend> backend,
                                                    const StoreOptions& store,
                                                    const ReplicationOptions& options,
                                                    const MemberTweaks& tweaks = {});
  ~Node() override;

  /// Begin: `transport`, borrowed until Close has returned, may call this service from now on.
  /// `address` is told to peers. Until what the data says is known to be durable, which is tried
  /// each second, this member refuses what peers ask, and writes wait.
  absl::Status Start(Transport* transport, const std::string& address);

  // -- Store: what is not the same as below -------------------------------------------------------
  void WriteAsync(WriteBatch batch, const WriteOptions& options, WriteCallback done) override;
  using Store::Search;
  absl::StatusOr<SearchResult> Search(const SearchRequest& request) override;
  absl::StatusOr<OperationInfo> GetOperation(OperationId operation, absl::Duration wait) override;
  absl::StatusOr<StoreInfo> Info(const InfoOptions& options) override;
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
  class StoreAnswer;
  /// What an event leaves to be done without the lock.
  struct Effects {
    Actions actions;
    std::vector<std::pair<Replies::Callback, AppendReply>> replies;
    std::vector<WorkInProgress::Token> work;  ///< One for each action that goes on elsewhere.
    std::vector<std::pair<PendingWrite, absl::Status>> refused;
    bool let_through = false;
    std::optional<absl::Duration> timer;

    WorkInProgress::Token TakeWork();
  };

  Node(const StoreOptions& store, const MemberConfig& config);

  Store& below() override { return *store_; }

  // -- What the store asks, and tells -------------------------------------------------------------
  void OnDurable(const log::StoreState& state, std::vector<log::DurableCommit> commits) override;
  VersionVector HeldByAll() ABSL_LOCKS_EXCLUDED(mutex_);
  /// It has executed all that went on: let what waits for company go on too.
  absl::Duration MoreUntil() ABSL_LOCKS_EXCLUDED(mutex_);
  /// What went on before this member knew that it has to learn is refused.
  absl::Status MayExecute() ABSL_LOCKS_EXCLUDED(mutex_);

  // -- Events -------------------------------------------------------------------------------------
  void HandleEvent(Event event) override ABSL_LOCKS_EXCLUDED(mutex_);
  Header MakeHeader() override ABSL_LOCKS_EXCLUDED(mutex_);
  /// Take what the actions in `effects` refer to.
  void CollectEffects(Effects& effects) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PerformEffects(Effects effects) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Of these, what may block, for the threads that may.
  void PostWork(Effects& effects) ABSL_LOCKS_EXCLUDED(mutex_);
  /// When the transport has to call, if that is earlier than it knows.
  std::optional<absl::Duration> NextTimer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetTimer() ABSL_LOCKS_EXCLUDED(mutex_);
  /// What the store did may be durable, and nobody has been told: ask it soon.
  void RefreshSoon() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Ask the store what is durable, and begin, if this member has not.
  void Refresh(WorkInProgress::Token work);
  absl::Status CheckCaller(const Caller& caller, const Header& header) ABSL_LOCKS_EXCLUDED(mutex_);

  // -- Writes -------------------------------------------------------------------------------------
  /// OK, and counted as being written; or why nothing may be written now.
  absl::Status Admit(bool lazy) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Whether a search may count the use of what it finds: a write as any other. Logs when not.
  bool MayTouch() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Take `write` if it has to wait, for company or until it may be executed. OK, and `write` is as
  /// it was: it need not. Not OK, and as it was: it is refused.
  absl::Status Hold(PendingWrite& write, bool& waits) ABSL_LOCKS_EXCLUDED(mutex_);
  void WriteLocally(PendingWrite write);
  /// Let those that wait for company go on, if the gate is open; or if they are `wanted`.
  void LetThrough(bool wanted = false) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnWritten(WriteResult result, absl::Duration deadline, bool counted, WriteCallback done);
  /// Call `answered` when `position`, durable here, has its quorum, or at `deadline`.
  void AwaitQuorum(VersionVector position, absl::Duration deadline, bool counted,
                   Answers::Callback answered) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Tell those whose answer is decided, unless another thread is at it: that one goes on with
  /// them.
  void AnswerCallers() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Wait until `end` for everybody to be answered.
  void AwaitCallers(absl::Duration end) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ReplicationOptions options_;
  const int needed_;           // W
  const bool awaits_nothing_;  // of MemberTweaks::Bugs
  Random& random_;
  Filler filler_;
  Reconciler reconciler_;
  RootChecker root_checker_;
  News not_begun_;       // why
  WorkInProgress work_;  // that refers to this

  Mutex mutex_;
  CondVar idle_;  // for Close: what it waits for has changed
  MemberConfig config_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Member> member_ ABSL_GUARDED_BY(mutex_);  // from Start on
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;  // nobody can be waited for any more
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool touches_refused_ ABSL_GUARDED_BY(mutex_) = false;  // and that has been said
  Intake intake_ ABSL_GUARDED_BY(mutex_);
  Answers answers_ ABSL_GUARDED_BY(mutex_);
  Replies replies_ ABSL_GUARDED_BY(mutex_);
  absl::Duration refresh_at_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteDuration();
  absl::Duration timer_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteDuration();
};

}  // namespace aimem::replication
