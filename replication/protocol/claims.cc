#include "replication/protocol/claims.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "replication/protocol/timing.h"
#include "replication/protocol/vectors.h"

namespace aimem::replication {

void Claims::Keep(absl::Duration now, const Id128& member, const VersionVector& said,
                  const VersionVector& more, const VersionVector& held, const Peers& peers) {
  if (const auto found = claims_.find(member); found != claims_.end()) {
    if (!found->second.over) JoinInto(found->second.vector, more);
    if (!found->second.over || now < found->second.again_at) return;
  }
  if (Covers(held, said)) return;
  std::erase_if(claims_, [&](const auto& entry) {
    return entry.second.over && now >= entry.second.again_at;
  });
  // There are no more strangers among those that are configured than have not been reached.
  const auto strangers = std::count_if(claims_.begin(), claims_.end(), [&](const auto& entry) {
    return peers.Find(entry.first) == nullptr;
  });
  const auto unknown =
      std::count_if(peers.begin(), peers.end(), [](const Peer& peer) { return !peer.member; });
  const bool stranger = peers.Find(member) == nullptr;
  if ((stranger && strangers >= unknown) || claims_.size() >= kUnprovedMax) return;
  claims_.emplace(member, Claim{said, now});
}

void Claims::Prove(const Id128& member) {
  const auto found = claims_.find(member);
  if (found == claims_.end()) return;
  Claim& claim = found->second;
  if (!claim.over) claim.again_at = claim.since + kTeacherPatience;
  claim.over = true;
  claim.vector.clear();
}

void Claims::Expire(absl::Duration now, const VersionVector& held, Actions& actions) {
  for (auto& [member, claim] : claims_) {
    if (claim.over || now - claim.since < kTeacherPatience) continue;
    claim.over = true;
    claim.again_at = now + kTeacherPatience;
    if (!Covers(held, claim.vector)) {
      actions.lines.push_back(
          {LogLevel::kWarning,
           absl::StrFormat("member %s said that it holds more than is here, and answers no call of "
                           "ours since %s: it is not waited for any longer",
                           member.ToString(), absl::FormatDuration(kTeacherPatience))});
    }
    claim.vector.clear();
  }
}

absl::Duration Claims::NextExpiry() const {
  absl::Duration next = absl::InfiniteDuration();
  for (const auto& [member, claim] : claims_) {
    if (!claim.over) next = std::min(next, claim.since + kTeacherPatience);
  }
  return next;
}

bool Claims::AnyBeyond(const VersionVector& held) const {
  return std::any_of(claims_.begin(), claims_.end(),
                     [&](const auto& entry) { return !Covers(held, entry.second.vector); });
}

}  // namespace aimem::replication
