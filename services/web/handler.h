// What a server and the handler of its requests want of each other.
#pragma once

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "services/web/message.h"

namespace aimem::web {

/// Answers the requests of a server.
class Handler {
 public:
  virtual ~Handler() = default;

  /// Answer `request`, now or later. Never blocks. Runs on the network thread.
  virtual void Handle(Request request, Respond respond) = 0;

  /// The answer to a request whose Respond went unused, as by an exception. Runs on any thread.
  [[nodiscard]] virtual Response Lost() const = 0;

  /// The server is ending: from now on nothing is waited for. Runs on any thread.
  virtual void Drain() = 0;
};

/// Where a handler runs what it must not do on the thread that calls it. Owns the handler: work
/// that goes on elsewhere keeps it by shared_from_this.
class Threads : public std::enable_shared_from_this<Threads> {
 public:
  using Work = absl::AnyInvocable<void() &&>;

  virtual ~Threads() = default;
  /// On the network thread, soon. Work that is posted together costs one wake-up.
  virtual void Post(Work work) = 0;
  /// The same, in a while. Not after the server's end.
  virtual void PostLater(absl::Duration delay, Work work) = 0;
  /// On one of the threads that may block, of which there are few: what reads, and is through soon.
  virtual void Read(Work work) = 0;
  /// On a thread of its own, if there are fewer than 64 of those: what may wait for long, as for
  /// other members, and must not keep others from reading.
  virtual void Wait(Work work) = 0;
  /// The same, in a while.
  virtual void ReadLater(absl::Duration delay, Work work) = 0;
};

}  // namespace aimem::web
