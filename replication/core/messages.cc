#include "replication/core/messages.h"

#include "replication/core/transport.h"

namespace aimem::replication {

std::string RefusalName(Refusal refusal) {
  switch (refusal) {
    case Refusal::kNone:
      return "NONE";
    case Refusal::kUnauthenticated:
      return "UNAUTHENTICATED";
    case Refusal::kNotAMember:
      return "NOT_A_MEMBER";
    case Refusal::kStaleEpoch:
      return "STALE_EPOCH";
    case Refusal::kOutOfScope:
      return "OUT_OF_SCOPE";
    case Refusal::kMalformed:
      return "MALFORMED";
    case Refusal::kHashMismatch:
      return "HASH_MISMATCH";
    case Refusal::kForkedStream:
      return "FORKED_STREAM";
    case Refusal::kTooLarge:
      return "TOO_LARGE";
    case Refusal::kDiskFull:
      return "DISK_FULL";
    case Refusal::kFenced:
      return "FENCED";
    case Refusal::kOverloaded:
      return "OVERLOADED";
    case Refusal::kNeedsResync:
      return "NEEDS_RESYNC";
    case Refusal::kVersionTooOld:
      return "VERSION_TOO_OLD";
    case Refusal::kOwnId:
      return "OWN_ID";
  }
  return "REFUSAL_" + std::to_string(static_cast<int>(refusal));
}

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
