// What a member knows of itself and its federation, as JSON. answers.h reads it back.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "aimem/federation.h"
#include "aimem/requests.h"

namespace aimem::wire {

/// "learner", "ready" or "below_quorum": a learner neither counts nor serves yet; without its
/// quorum a member still serves reads.
std::string_view StateOf(const FederationInfo& federation);
inline constexpr std::string_view kPlaintext = "plaintext";
/// That, or "tls".
std::string_view TransportOf(const FederationInfo& federation);
/// 16 hexadecimal digits.
std::string StreamText(std::uint64_t stream);

/// {member, stream, vector, fenced, federation}: null what is not there. `data` not OK: that could
/// not be asked, so stream and vector are not known, and the error is told.
std::string FederationJson(const StoreInfo& info, const absl::Status& data);

}  // namespace aimem::wire
