#include "replication/protocol/calls.h"

namespace aimem::replication {

std::string_view CallErrorName(CallError error) {
  switch (error) {
    case CallError::kNone:
      return "none";
    case CallError::kRefused:
      return "refused";
    case CallError::kNotConnected:
      return "not_connected";
    case CallError::kTimeout:
      return "timeout";
    case CallError::kUnauthenticated:
      return "unauthenticated";
    case CallError::kUnavailable:
      return "unavailable";
    case CallError::kMalformed:
      return "malformed";
    case CallError::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

}  // namespace aimem::replication
