// The Model Context Protocol over a Store: the tools of ai-memory v0.6.0, for agents.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/environment.h"
#include "aimem/store.h"

namespace aimem {

namespace web {
class Mount;
}  // namespace web

/// Which tools a client is shown.
enum class McpProfile : std::uint8_t {
  kStandard,  ///< The 36 of v0.6.0.
  kCore,      ///< The seven that remember: for models with little room for descriptions.
};

/// How a store is served to agents. Every default is the safe choice.
struct McpOptions {
  McpProfile profile = McpProfile::kStandard;
  /// Who writes where a tool is not told. Empty: "ai:CLIENT@HOST", where CLIENT is what the client
  /// calls itself in `initialize`; of one that does not say, `fallback_agent_id`.
  std::string agent_id = {};
  std::string host_name = {};  ///< HOST; empty: "unknown".
  std::string fallback_agent_id = "anonymous";
  /// Of the server, in what it says of itself. A client of revision 2024-11-05 is told that of
  /// ai-memory, 0.6.0.
  std::string version = {};
  /// Of one message. Above: an error, and the message is skipped. In [64 KiB, 64 MiB].
  std::size_t message_bytes_max = 4u << 20;
  Environment environment = {};
};

/// Check without starting anything. kInvalidArgument names field, value and range.
absl::Status Validate(const McpOptions& options);

/// Serve one client, which writes to descriptor `in` and reads from `out`, one message a line:
/// until it has closed `in` and all that it asked is answered; until it no longer reads; or until
/// `stop`, another descriptor, can be read from (-1: none). Both ends are the caller's, and nobody
/// else may write to `out` meanwhile. SIGPIPE must be ignored.
///
/// Revisions 2024-11-05, 2025-03-26, 2025-06-18 and 2025-11-25 are negotiated by `initialize`;
/// 2026-07-28 is spoken with whoever sends it, request by request (docs/mcp.md).
///
/// Blocks, with one thread beside the caller's. `store` must outlive the call. kInvalidArgument
/// (options); kUnavailable: a descriptor failed.
absl::Status ServeMcp(Store& store, const McpOptions& options, int in, int out, int stop = -1);

/// The same over HTTP, at /mcp, to any number of clients: for HttpOptions::mounts of one server,
/// whose Shutdown `store` must outlive. Who writes is then whom the header X-Agent-Id names, if it
/// is sent; a session belongs to the one who has opened it. kInvalidArgument (options).
absl::StatusOr<std::shared_ptr<web::Mount>> MakeMcpMount(Store& store, const McpOptions& options);

}  // namespace aimem
