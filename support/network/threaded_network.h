// A network of threads inside one process: Nodes that talk without gRPC, under any sanitizer.
//
// One thread delivers messages and rings timers, one for each kind does what is posted. Links can
// be slow, stall, lose or refuse, as a test says. Time is the system's.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "lib/base/mutex.h"
#include "replication/node/transport.h"

namespace aimem::testing {

/// How messages fare from one address to another. Each way has its own.
struct ThreadedLink {
  absl::Duration delay;
  bool stalled = false;  ///< They wait until it is not.
  bool drops = false;    ///< They are lost.
  /// Not kNone: calls end with it instead of arriving.
  replication::CallError error = replication::CallError::kNone;
};

class ThreadedNetwork {
 public:
  ThreadedNetwork();
  /// All transports must have been shut down and destroyed.
  ~ThreadedNetwork();

  /// The transport of whoever is at `address`; nobody listens there before Serve.
  std::unique_ptr<replication::Transport> Connect(const std::string& address);
  /// What arrives at `address` goes to `service`, until its transport is shut down.
  void Serve(const std::string& address, replication::Service* service) ABSL_LOCKS_EXCLUDED(mutex_);
  void SetLink(const std::string& from, const std::string& to, const ThreadedLink& link)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Both ways between `address` and everybody else.
  void Isolate(const std::string& address, bool cut) ABSL_LOCKS_EXCLUDED(mutex_);

  /// A reply that reaches `from` is changed by `edit` first.
  void EditReplies(const std::string& from, std::function<void(replication::AppendReply&)> edit)
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// How often commit (stream, seq) was sent to `to`.
  std::int64_t Sent(std::uint64_t stream, std::uint64_t seq, const std::string& to)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Fetched pages that arrived at `address`.
  std::int64_t Pages(const std::string& address) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Calls cut by a shutdown, of all.
  std::int64_t Cancelled() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  friend class ThreadedTransport;
  friend class ThreadedPages;
  using Work = absl::AnyInvocable<void() &&>;

  struct Call {
    std::string from, to;
    replication::AppendDone done;  // empty once it has ended
    std::uint64_t id = 0;
  };
  struct Place {
    replication::Service* service = nullptr;
    absl::Duration timer = absl::InfiniteDuration();
    std::map<std::uint64_t, std::shared_ptr<Call>> calls;  // made here
    std::map<std::uint64_t, Work> questions;               // cancels of Fetch and Digest, made here
    int running = 0;                                       // calls into what is here
    int posted = 0;
    bool shut_down = false;
    std::int64_t cancelled = 0;
    std::int64_t pages = 0;
    std::function<void(replication::AppendReply&)> edit;
  };
  using Key = std::pair<std::string, std::string>;

  void At(absl::Duration when, Work work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// `arrived` at the other end of the link, or `lost` there and then.
  void Carry(const Key& way, Work arrived) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Append(const std::string& from, const std::string& to, replication::AppendRequest request,
              absl::Duration deadline, replication::AppendDone done) ABSL_LOCKS_EXCLUDED(mutex_);
  void Arrive(const std::shared_ptr<Call>& call, replication::AppendRequest request)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void End(const std::shared_ptr<Call>& call, replication::AppendOutcome outcome)
      ABSL_LOCKS_EXCLUDED(mutex_);
  using Kind = replication::Transport::Kind;
  void PostAt(const std::string& address, Kind kind, Work work) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Run `ask` on the service at `to` on the thread that may block, and hand what it returns to
  /// `done` at `from`. `done` runs once: also if nothing comes.
  template <typename Answer>
  void Ask(const std::string& from, const std::string& to, Kind kind,
           absl::AnyInvocable<absl::StatusOr<Answer>(replication::Service&) &&> ask,
           absl::AnyInvocable<void(absl::StatusOr<Answer>) &&> done) ABSL_LOCKS_EXCLUDED(mutex_);
  void SetTimer(const std::string& address, absl::Duration at) ABSL_LOCKS_EXCLUDED(mutex_);
  void Ring(const std::string& address, absl::Duration at) ABSL_LOCKS_EXCLUDED(mutex_);
  void Shutdown(const std::string& address, absl::Duration grace) ABSL_LOCKS_EXCLUDED(mutex_);
  void Leave(const std::string& address) ABSL_LOCKS_EXCLUDED(mutex_);
  void DeliverLoop() ABSL_LOCKS_EXCLUDED(mutex_);
  void PostLoop(Kind kind) ABSL_LOCKS_EXCLUDED(mutex_);

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::uint64_t next_ ABSL_GUARDED_BY(mutex_) = 1;
  std::multimap<absl::Duration, Work> events_ ABSL_GUARDED_BY(mutex_);
  std::map<Kind, std::deque<std::pair<std::string, Work>>> posted_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Place> places_ ABSL_GUARDED_BY(mutex_);
  std::map<Key, ThreadedLink> links_ ABSL_GUARDED_BY(mutex_);
  std::map<Key, std::vector<Work>> stalled_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<std::pair<std::uint64_t, std::uint64_t>, std::string>, std::int64_t> sent_
      ABSL_GUARDED_BY(mutex_);
  std::thread deliverer_;
  std::thread reader_, scanner_;
};

}  // namespace aimem::testing
