#include "aimem/memory.h"

namespace aimem {

std::string_view TierName(Tier tier) {
  switch (tier) {
    case Tier::kShort:
      return "short";
    case Tier::kMid:
      return "mid";
    case Tier::kLong:
      return "long";
  }
  return "unknown";
}

std::optional<Tier> ParseTier(std::string_view name) {
  for (const Tier tier : {Tier::kShort, Tier::kMid, Tier::kLong}) {
    if (name == TierName(tier)) return tier;
  }
  return std::nullopt;
}

std::string_view ArchiveReasonName(ArchiveReason reason) {
  switch (reason) {
    case ArchiveReason::kForget:
      return "forget";
    case ArchiveReason::kTtlExpired:
      return "ttl_expired";
    case ArchiveReason::kConsolidated:
      return "consolidated";
  }
  return "unknown";
}

std::string_view PendingStatusName(PendingStatus status) {
  switch (status) {
    case PendingStatus::kPending:
      return "pending";
    case PendingStatus::kRejected:
      return "rejected";
    case PendingStatus::kApproved:
      return "approved";
  }
  return "unknown";
}

std::optional<PendingStatus> ParsePendingStatus(std::string_view name) {
  for (const PendingStatus status :
       {PendingStatus::kPending, PendingStatus::kRejected, PendingStatus::kApproved}) {
    if (name == PendingStatusName(status)) return status;
  }
  return std::nullopt;
}

}  // namespace aimem
