// Driver: who runs a member over a store and a transport, as the parts of it see it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "aimem/environment.h"
#include "lib/store/hooks.h"
#include "replication/node/transport.h"
#include "replication/protocol/member.h"

namespace aimem::replication {

/// Thread-safe; nothing here may be called under a lock.
class Driver {
 public:
  using Event = absl::FunctionRef<void(Member& member, const Member::Now& now, Actions& actions)>;

  /// Run `event` on the member, then do what it asked for. After the end: nothing.
  virtual void HandleEvent(Event event) = 0;
  /// How the member introduces itself now.
  virtual Header MakeHeader() = 0;

  store::MemberStore& store() { return *store_; }
  Transport& transport() { return *transport_; }
  Clock& clock() { return clock_; }
  /// Of a peer, in the order of MemberConfig::peers.
  [[nodiscard]] const std::string& AddressOf(std::size_t peer) const { return peers_[peer]; }
  void Log(LogLevel level, std::string_view text) const {
    if (log_ != nullptr) log_->Log(level, text);
  }

 protected:
  Driver(const Environment& environment, std::vector<std::string> peers)
      : log_(environment.log),
        clock_(environment.clock ? *environment.clock : SystemClock()),
        peers_(std::move(peers)) {}
  ~Driver() = default;

  [[nodiscard]] Member::Now Now() const {
    return {clock_.Monotonic(), absl::ToUnixMillis(clock_.Now())};
  }
  /// What a callback threw, if it is not OK.
  void LogThrown(const absl::Status& thrown) const;

  LogSink* const log_;
  Clock& clock_;
  const std::vector<std::string> peers_;
  std::unique_ptr<store::MemberStore> store_;  // set before anything runs,
  Transport* transport_ = nullptr;             // and so is this
};

}  // namespace aimem::replication
