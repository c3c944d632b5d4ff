#include "replication/protocol/messages.h"

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

}  // namespace aimem::replication
