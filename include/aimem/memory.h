// Memory and link: what a store keeps, as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace aimem {

/// How long a memory is meant to last. Ordered: within one life a tier never goes down.
/// These values are stored and sent: never renumber them.
enum class Tier : std::uint8_t { kShort = 0, kMid = 1, kLong = 2 };

/// "short", "mid" or "long".
std::string_view TierName(Tier tier);

/// The inverse of TierName, case-sensitive; nullopt for any other text.
std::optional<Tier> ParseTier(std::string_view name);

/// One thing remembered.
///
/// A value type without invariants of its own: a store validates what it is given and hands out
/// only valid ones. Times are UTC with nanosecond resolution, in the years 1678 to 2261.
struct Memory {
  /// Up to 128 bytes. Chosen by the store (a UUID that follows from namespace and title) unless
  /// an import supplies one.
  std::string id = {};
  Tier tier = Tier::kMid;
  /// A '/'-separated path of at most 8 segments and 512 characters.
  std::string namespace_ = "global";
  /// 1 to 512 characters. At most one live memory per (namespace, title) in one store.
  std::string title = {};
  /// Not blank, at most 65,536 bytes.
  std::string content = {};
  /// At most 50, each of 1 to 128 bytes.
  std::vector<std::string> tags = {};
  /// 1 to 10.
  std::int32_t priority = 5;
  /// 0.0 to 1.0.
  double confidence = 1.0;
  /// One of user, claude, hook, api, cli, import, consolidation, system, chaos.
  std::string source = "api";
  /// Times it was returned by recall, at most 1,000,000.
  std::int64_t access_count = 0;
  absl::Time created_at = absl::UnixEpoch();
  absl::Time updated_at = absl::UnixEpoch();
  std::optional<absl::Time> last_accessed_at = {};
  /// When it stops being shown by list, search and recall; nullopt: never.
  std::optional<absl::Time> expires_at = {};
  /// A JSON object in canonical form (keys ordered by bytes, no spaces), at most 65,536 bytes and
  /// 32 levels. `agent_id` in it names who stored the memory first, and never changes.
  std::string metadata = "{}";

  friend bool operator==(const Memory&, const Memory&) = default;
};

/// Why a memory is in the archive.
enum class ArchiveReason : std::uint8_t { kForget = 1, kTtlExpired = 2, kConsolidated = 3 };

/// "forget", "ttl_expired" or "consolidated".
std::string_view ArchiveReasonName(ArchiveReason reason);

/// A memory that was put aside, with its content, until it is restored or purged.
struct ArchivedMemory {
  Memory memory = {};
  absl::Time archived_at = {};
  ArchiveReason reason = ArchiveReason::kForget;

  friend bool operator==(const ArchivedMemory&, const ArchivedMemory&) = default;
};

/// A directed relation between two memories. Shown while both ends are live.
struct Link {
  std::string source_id = {};
  std::string target_id = {};
  /// One of related_to, supersedes, contradicts, derived_from.
  std::string relation = "related_to";
  absl::Time created_at = absl::UnixEpoch();

  friend bool operator==(const Link&, const Link&) = default;
};

/// The memory that describes how a namespace is to be used, and what it inherits from.
struct NamespaceStandard {
  std::string namespace_ = {};
  std::string memory_id = {};
  /// Explicit parent namespace; empty: none.
  std::string parent = {};
  /// Governance policy as canonical JSON; empty: none. SetStandard says what it means.
  std::string policy = {};

  friend bool operator==(const NamespaceStandard&, const NamespaceStandard&) = default;
};

/// Where a change that needed approval stands. Of two decisions that were made on two members at
/// once the approval counts, since it has been done.
enum class PendingStatus : std::uint8_t { kPending, kRejected, kApproved };

/// "pending", "rejected" or "approved".
std::string_view PendingStatusName(PendingStatus status);

/// The inverse of PendingStatusName, case-sensitive; nullopt for any other text.
std::optional<PendingStatus> ParsePendingStatus(std::string_view name);

/// An agent's vote for a change.
struct Approval {
  std::string agent_id = {};
  absl::Time approved_at = absl::UnixEpoch();

  friend bool operator==(const Approval&, const Approval&) = default;
};

/// A change that waits for approval, or waited for it.
struct PendingAction {
  /// A UUID that follows from the operation that asked for the change.
  std::string id = {};
  /// store, delete, erase or promote.
  std::string action_type = {};
  /// What is to be changed; of a store empty until it is approved, then what it wrote.
  std::string memory_id = {};
  std::string namespace_ = {};
  /// Of a store: what is to be stored. Its id is the one that follows from its name, its times are
  /// those of the request.
  std::optional<Memory> memory = {};
  std::string title = {};         ///< Of a delete: the memory's.
  std::string to_namespace = {};  ///< Of a promotion into another namespace.
  std::string requested_by = {};
  absl::Time requested_at = absl::UnixEpoch();
  PendingStatus status = PendingStatus::kPending;
  std::string decided_by = {};
  std::optional<absl::Time> decided_at = {};
  /// Votes of a consensus, by agent.
  std::vector<Approval> approvals = {};
  /// How many votes were asked for when the last one was given; 0: there is none.
  std::int64_t quorum = 0;

  friend bool operator==(const PendingAction&, const PendingAction&) = default;
};

}  // namespace aimem
