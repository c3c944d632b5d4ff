#include "replication/protocol/introductions.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace aimem::replication {

Refusal CheckRequestHeader(const MemberConfig& config, const Peers& peers, const Caller& caller,
                           const Header& header, std::string* message) {
  if (header.protocol_max < kProtocolMin || header.protocol_min > kProtocolMax) {
    *message =
        absl::StrFormat("protocol %d to %d is spoken there, %d to %d here", header.protocol_min,
                        header.protocol_max, kProtocolMin, kProtocolMax);
    return Refusal::kVersionTooOld;
  }
  if (!header.cluster.empty() || header.epoch != 0) {
    *message = absl::StrFormat("cluster '%s', epoch %d: this member stands in a static federation",
                               header.cluster, header.epoch);
    return Refusal::kStaleEpoch;
  }
  if (header.member == config.member) {
    *message = "the speaker's member id is our own: is its data a copy of ours?";
    return Refusal::kOwnId;
  }
  if (header.member == Id128()) {
    *message = "the header names no member";
    return Refusal::kMalformed;
  }
  // An id belongs to the name under which an address of ours presents it.
  const Peer* const peer = peers.Find(header.member);
  if (peer != nullptr && !peer->identity.empty() && peer->identity != caller.identity) {
    *message = absl::StrCat("member ", header.member.ToString(), " is '", peer->identity,
                            "', not '", caller.identity, "'");
    return Refusal::kUnauthenticated;
  }
  return Refusal::kNone;
}

std::string WhyDenied(const MemberConfig& config, const Peers& peers, const Peer& peer,
                      const Header& header, const std::string& identity, std::string& reason) {
  if (header.protocol_max < kProtocolMin || header.protocol_min > kProtocolMax) {
    reason = "version_too_old";
    return absl::StrFormat("it speaks protocol %d to %d, this member %d to %d", header.protocol_min,
                           header.protocol_max, kProtocolMin, kProtocolMax);
  }
  if (!header.cluster.empty() || header.epoch != 0) {
    reason = "rejected:STALE_EPOCH";
    return "it stands in another federation";
  }
  if (header.member == Id128()) {
    reason = "unavailable";
    return "its reply names no member";
  }
  if (header.member == config.member) {
    reason = "rejected:OWN_ID";
    return header.address == config.address
               ? "the address leads back to this member"
               : absl::StrCat("another process, at '", header.address,
                              "', has this member's id: is its data a copy of ours? A member "
                              "begins with no data");
  }
  // An id belongs to the name under which it was presented first, here or at another address.
  for (const Peer& known : peers) {
    if (known.member != header.member || known.identity.empty() || known.identity == identity) {
      continue;
    }
    reason = "unauthenticated";
    return absl::StrCat("it is '", identity, "' and says that it is member ",
                        header.member.ToString(), ", which is '", known.identity, "' at ",
                        &known == &peer ? "this address" : known.address);
  }
  return "";
}

}  // namespace aimem::replication
