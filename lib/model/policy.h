// Policies: who may change what lies in a namespace.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace aimem::model {

/// Who may make a change without asking.
enum class Level : std::uint8_t { kAny, kRegistered, kOwner, kApprove };

/// Who lets changes be made that have to be approved: an agent, a quorum of registered ones, or
/// whoever it is (`human`).
struct Approver {
  std::string agent;        ///< Empty: no certain one.
  std::int64_t quorum = 0;  ///< 0: no votes.

  [[nodiscard]] bool human() const { return agent.empty() && quorum == 0; }
};

struct Policy {
  Level write = Level::kAny;
  Level promote = Level::kAny;
  Level remove = Level::kOwner;
  Approver approver;
};

/// Read the JSON of a policy: write, promote, delete and approver, all of them; others are ignored.
/// kInvalidArgument says what is wrong with it, after "invalid governance: ".
absl::StatusOr<Policy> ParsePolicy(std::string_view json);

}  // namespace aimem::model
