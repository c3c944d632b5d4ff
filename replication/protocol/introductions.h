// Introductions: whether whoever introduces itself is one that this member speaks with.
#pragma once

#include <string>

#include "replication/protocol/calls.h"
#include "replication/protocol/config.h"
#include "replication/protocol/messages.h"
#include "replication/protocol/peers.h"

namespace aimem::replication {

/// Of a request. kNone, or why it is not answered; fills `message`.
Refusal CheckRequestHeader(const MemberConfig& config, const Peers& peers, const Caller& caller,
                           const Header& header, std::string* message);

/// Of a reply that `identity` gave at the address of `peer`. Empty, or why it is not spoken to;
/// fills `reason`.
std::string WhyDenied(const MemberConfig& config, const Peers& peers, const Peer& peer,
                      const Header& header, const std::string& identity, std::string& reason);

}  // namespace aimem::replication
