// Calls between members, whatever carries them: who calls, where, and how a call ends.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "replication/protocol/messages.h"

namespace aimem::replication {

/// Why a call brought no reply.
enum class CallError : std::uint8_t {
  kNone,
  kRefused,          ///< Nobody listens there.
  kNotConnected,     ///< No connection came about in time.
  kTimeout,          ///< Connected, and no reply before the call's deadline.
  kUnauthenticated,  ///< A certificate was refused, ours or theirs.
  kUnavailable,      ///< The connection broke, or the peer is shutting down.
  kMalformed,        ///< What came is not a reply.
  kCancelled,        ///< Cut by the end of the shutdown grace.
};

/// "refused", "not_connected", "timeout", "unauthenticated", "unavailable", "malformed" or
/// "cancelled"; "none".
std::string_view CallErrorName(CallError error);

/// How a call ended.
struct AppendOutcome {
  CallError error = CallError::kNone;
  std::string message;  ///< For people, if `error`.
  /// The verified name of who replied, e.g. "aimem://static/b"; empty without TLS.
  std::string identity;
  AppendReply reply;  ///< If not `error`.
};

/// Each peer has two connections, so that bulk does not delay what a caller waits for.
enum class Lane : std::uint8_t { kQuorum, kCatchUp };

/// Who called, as the connection proves it.
struct Caller {
  std::string identity;  ///< Verified name; empty without TLS.
  std::string address;   ///< Its end of the connection, for messages.
};

}  // namespace aimem::replication
