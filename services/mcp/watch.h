// ResourceWatch: tells a client that what it has subscribed to has changed.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "aimem/change_feed.h"
#include "aimem/store.h"
#include "lib/base/mutex.h"
#include "services/mcp/rpc.h"

namespace aimem::mcp {

/// What one client follows. What it is told comes from the log of the store, whoever wrote it; it
/// is looked at once a second, from the first subscription on, by a thread of its own, which also
/// does all the telling. What subscribes is called by one thread at a time, what ends it by any.
class ResourceWatch {
 public:
  /// Takes one message; called on the watch's thread, or by Listen.
  using Send = std::function<void(std::string message)>;

  ResourceWatch(Store& store, Send send) : store_(store), send_(std::move(send)) {}
  ~ResourceWatch();
  ResourceWatch(const ResourceWatch&) = delete;
  ResourceWatch& operator=(const ResourceWatch&) = delete;

  // -- Of the stateful revisions ------------------------------------------------------------------
  /// kInvalidArgument: no resource has such a URI; kResourceExhausted: there are too many.
  absl::Status Subscribe(const std::string& uri) ABSL_LOCKS_EXCLUDED(mutex_);
  void Unsubscribe(const std::string& uri) ABSL_LOCKS_EXCLUDED(mutex_);
  /// From now on it is told when there are other namespaces than before.
  absl::Status WatchList() ABSL_LOCKS_EXCLUDED(mutex_);

  // -- subscriptions/listen -----------------------------------------------------------------------
  /// Acknowledge the part of `params` that is honoured, and tell of it under `id` until Cancel(id).
  /// kInvalidArgument: `params` is not well formed; kResourceExhausted: there are too many.
  absl::Status Listen(const Json& id, const Json& params) ABSL_LOCKS_EXCLUDED(mutex_);
  void Cancel(const Json& id) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Subscription {
    bool list = false;
    std::set<std::string> uris;
    std::string acknowledgement = {};  // to be sent before anything else
  };
  /// What has changed since the last look.
  struct Changes {
    bool list = false;
    std::set<std::string> uris;
  };

  /// Begin to look, from how things stand now on.
  absl::Status Start() ABSL_LOCKS_EXCLUDED(mutex_);
  /// False: it ends.
  bool AwaitLook() ABSL_LOCKS_EXCLUDED(mutex_);
  void Acknowledge() ABSL_LOCKS_EXCLUDED(mutex_);
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<Changes> Look();
  void Tell(const Changes& changes) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<std::set<std::string>> Namespaces();

  Store& store_;
  const Send send_;

  Mutex mutex_;
  CondVar woken_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool wake_ ABSL_GUARDED_BY(mutex_) = false;  // something is to be acknowledged
  // By the id of its request as JSON text; that of the stateful revisions is empty.
  std::map<std::string, Subscription> subscriptions_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // of who subscribes

  // Of the thread, once there is one.
  VersionVector seen_;
  ChangeCursor cursor_;
  std::set<std::string> namespaces_;
};

}  // namespace aimem::mcp
