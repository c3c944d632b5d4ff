// A connection of a server: reads a client's requests, one after the other, has each answered, and
// knows how long to wait for what.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "services/web/loop.h"

namespace aimem::web {

/// One client. All methods run on the network thread.
class Connection {
 public:
  virtual ~Connection() = default;

  /// Read requests until the end.
  virtual void Start() = 0;
  /// Answer with `status` whatever comes, and close.
  virtual void Refuse(int status) = 0;
  /// The server is ending: no further request.
  virtual void Drain() = 0;
  virtual void Close() = 0;

  // -- Now and then -------------------------------------------------------------------------------
  /// End what takes longer than it may.
  virtual void CheckDeadline(std::chrono::steady_clock::time_point now) = 0;
  /// Stop the request in work if its client has hung up.
  virtual void CheckClient() = 0;
  /// Nobody waits for the answer to the request in work.
  virtual void StopWork() = 0;
};

/// Told once that a connection has closed. What it holds is let go then.
using ConnectionClosed = absl::AnyInvocable<void(const std::shared_ptr<Connection>&) &&>;

/// A connection over `socket`, which does not block. It keeps the loop, and itself while something
/// of it is under way.
std::shared_ptr<Connection> MakeConnection(std::shared_ptr<Loop> loop,
                                           boost::asio::ip::tcp::socket socket,
                                           ConnectionClosed closed);

}  // namespace aimem::web
