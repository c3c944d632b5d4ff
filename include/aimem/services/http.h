// The HTTP API over a Store, wire-compatible with ai-memory v0.6.0.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/environment.h"
#include "aimem/store.h"

namespace aimem {

namespace web {
class Mount;
}  // namespace web

/// How the API is served. Every default is the safe choice.
struct HttpOptions {
  // -- Where --------------------------------------------------------------------------------------
  std::string host = "127.0.0.1";  ///< An IP address or a name.
  int port = 9077;                 ///< 0: any free one.

  // -- Who ----------------------------------------------------------------------------------------
  /// Every route except health needs it in X-API-Key. Empty: none does.
  std::string api_key = {};
  /// Names by which the server is asked, without ports, besides localhost, 127.0.0.1, [::1] and
  /// `host`. Without an API key a request whose Host is none of these is answered 403, so that a
  /// page in a browser cannot reach the server by a name of its own; and with or without one, so is
  /// a request of a page whose Origin is none of these.
  std::vector<std::string> allowed_hosts = {};
  /// Shown in health as aimem_version.
  std::string version = {};

  // -- How much, how long -------------------------------------------------------------------------
  std::size_t body_bytes_max = 2'097'152;             ///< Above: 413.
  std::size_t header_bytes_max = 16 << 10;            ///< Above: 431.
  int connections_max = 1'024;                        ///< Above: accepted and closed with 503.
  absl::Duration header_timeout = absl::Seconds(10);  ///< From the first byte of a request.
  absl::Duration body_timeout = absl::Seconds(30);
  absl::Duration idle_timeout = absl::Seconds(75);  ///< Between requests of one connection.
  /// Bounds the answer to a write, never the write: what the store has not answered by then is
  /// answered 503 "outcome_unknown" with the operation to ask for. In [10 ms, 24 h]. A member's
  /// should be longer than its quorum_timeout, whose answer says more.
  absl::Duration write_timeout = absl::Seconds(10);
  /// A create that was committed is answered with the ids of what may contradict it (FindSimilar):
  /// so long its answer waits for them at most, and goes without if they are not found by then. In
  /// [10 ms, 24 h]; 0: nothing is looked for.
  absl::Duration similar_timeout = absl::Milliseconds(100);
  /// Bounds /health (then an error) and /federation (then without the data). In [10 ms, 24 h].
  absl::Duration health_timeout = absl::Seconds(2);
  int reader_threads = 0;  ///< For requests that read; 0: one a processor.

  // -- What else ----------------------------------------------------------------------------------
  /// Served at paths of their own beside the API (MakeMcpMount), under the same rules of who may
  /// ask, but the API key must stand in its header. Each belongs to one server.
  std::vector<std::shared_ptr<web::Mount>> mounts = {};

  // -- What it stands in --------------------------------------------------------------------------
  Environment environment = {};
};

/// Check without opening anything. kInvalidArgument names field, value and range.
absl::Status Validate(const HttpOptions& options);

/// A running server. Thread-safe.
///
/// A request that only reads ends when its client hangs up, which is looked at every half second at
/// least. One that closes its sending side may be waiting for its answer all the same: that ends
/// five seconds later. Writes go on.
class HttpServer {
 public:
  virtual ~HttpServer() = default;

  [[nodiscard]] virtual int port() const = 0;

  /// Until told otherwise /health answers 503 "starting".
  virtual void SetReady(bool ready) = 0;

  /// Accept no more, let requests end within `grace`, stop what still reads then, close all
  /// connections, return when no thread of the server uses the store any more. Idempotent.
  virtual void Shutdown(absl::Duration grace) = 0;
};

/// Serve `store`, which must outlive the server's Shutdown. kInvalidArgument (options);
/// kUnavailable: the port is taken or the address is not ours.
absl::StatusOr<std::unique_ptr<HttpServer>> StartHttpServer(Store& store,
                                                            const HttpOptions& options);

}  // namespace aimem
