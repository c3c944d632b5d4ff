// A TCP proxy on loopback, one per directed link: what is wrong with a network, on demand.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/mutex.h"
#include "support/process/reserved_port.h"

namespace aimem::testing {

/// Forwards connections to a port of 127.0.0.1. All methods take effect before they return, on
/// connections that exist as well. Thread-safe; one thread of its own.
class TcpProxy {
 public:
  explicit TcpProxy(int target_port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  /// Where it listens: the same port at all times.
  [[nodiscard]] int port() const { return port_.number(); }
  /// "127.0.0.1:port"
  [[nodiscard]] std::string address() const;

  /// Whom new connections lead to.
  void SetTarget(int port);

  /// Each byte arrives so much later, in each direction.
  void SetDelay(absl::Duration delay);
  /// Nothing moves in either direction. Connections stay, new ones are taken; all goes on when
  /// healed.
  void Stall();
  /// Stall() as soon as so many more bytes have gone to clients, over all connections together.
  void StallAfter(std::int64_t bytes_to_client);
  /// What is sent is taken and thrown away, to the server, to the client, or both. Connections
  /// that lost something are reset when healed.
  enum class Direction { kToServer, kToClient, kBoth };
  void BlackHole(Direction direction = Direction::kBoth);
  /// Reset all connections, once. New ones are forwarded.
  void Reset();
  /// Reset a connection as soon as it has passed so many bytes to its client, once.
  void ResetAfter(std::int64_t bytes_to_client);
  /// Nobody listens; all connections are reset.
  void Refuse();
  /// Everything works again.
  void Heal();

  struct Counts {
    std::int64_t connections = 0;  ///< Taken so far.
    std::int64_t resets = 0;
    std::int64_t bytes_to_server = 0;  ///< Delivered.
    std::int64_t bytes_to_client = 0;
  };
  [[nodiscard]] Counts counts();

 private:
  enum class Mode { kForward, kStall, kRefuse };
  struct Piece {
    absl::Duration due;
    std::string bytes;
  };
  struct Pipe {
    int from = -1;
    int to = -1;
    std::deque<Piece> pieces;
    std::size_t size = 0;
    bool ended = false;   // nothing more to read
    bool closed = false;  // the end was passed on
    std::int64_t passed = 0;
  };
  struct Connection {
    Pipe up;  // client to server
    Pipe down;
    bool lossy = false;
    bool broken = false;
  };

  void Run();
  void Wake();
  /// Have the thread run `change`, and wait for it: a socket that somebody polls is not closed by
  /// closing it.
  void Do(std::function<void()> change) ABSL_LOCKS_EXCLUDED(mutex_);
  void Listen() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Accept() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Read(Connection& connection, Pipe& pipe) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Write(Connection& connection, Pipe& pipe, std::int64_t& total)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ResetAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Sweep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ResetOne(Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] bool Drops(const Connection& connection, const Pipe& pipe) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const support::ReservedPort port_;
  int wake_ = -1;
  Mutex mutex_;
  int listener_ ABSL_GUARDED_BY(mutex_) = -1;
  int target_ ABSL_GUARDED_BY(mutex_);
  Mode mode_ ABSL_GUARDED_BY(mutex_) = Mode::kForward;
  bool drop_up_ ABSL_GUARDED_BY(mutex_) = false;
  bool drop_down_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Duration delay_ ABSL_GUARDED_BY(mutex_);
  std::int64_t reset_after_ ABSL_GUARDED_BY(mutex_) = 0;             // 0: never
  std::optional<std::int64_t> stall_after_ ABSL_GUARDED_BY(mutex_);  // what may still pass
  std::list<Connection> links_ ABSL_GUARDED_BY(mutex_);
  Counts counts_ ABSL_GUARDED_BY(mutex_);
  CondVar done_;
  std::vector<std::function<void()>> changes_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t asked_ ABSL_GUARDED_BY(mutex_) = 0;  // changes, and how many were made
  std::uint64_t made_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

}  // namespace aimem::testing
