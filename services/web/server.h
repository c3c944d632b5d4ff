// An HTTP/1.1 server over a Handler: connections, limits, timeouts, threads. What is asked and what
// is answered is the handler's.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/environment.h"
#include "services/web/handler.h"

namespace aimem::web {

/// What a server does, and how much of it. There are no defaults here: those who offer a server to
/// hosts have them, and HttpOptions says what each means.
struct ServerOptions {
  std::string host;
  int port = 0;  ///< 0: any free one.
  std::size_t body_bytes_max = 0;
  std::size_t header_bytes_max = 0;
  int connections_max = 0;
  absl::Duration header_timeout;
  absl::Duration body_timeout;
  absl::Duration idle_timeout;
  int reader_threads = 0;  ///< 0: one a processor.
  Headers headers;         ///< Of every answer, also of those that the server gives itself.
  LogSink* log = nullptr;  ///< Borrowed; null: silence.
};

/// Check without opening anything. kInvalidArgument names field, value and range.
absl::Status Validate(const ServerOptions& options);
/// The same of one timeout, for the options of handlers.
absl::Status CheckTimeout(std::string_view field, absl::Duration timeout);

/// A running server. Thread-safe. Its end is a Shutdown without grace.
class Server {
 public:
  virtual ~Server() = default;

  [[nodiscard]] virtual int port() const = 0;

  /// Accept no more, let requests end within `grace`, close all connections, return when no thread
  /// of the server uses the handler any more. Idempotent.
  virtual void Shutdown(absl::Duration grace) = 0;
};

/// Makes the handler of a server. It may use the threads as long as it lives.
using MakeHandler = absl::FunctionRef<std::unique_ptr<Handler>(Threads&)>;

/// kInvalidArgument (options); kUnavailable: the port is taken or the address is not ours.
absl::StatusOr<std::unique_ptr<Server>> StartServer(const ServerOptions& options, MakeHandler make);

}  // namespace aimem::web
