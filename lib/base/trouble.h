// What a store's refusal means beyond its code: set where the store finds it, asked where it is
// told to others. The text of a status is for people.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/cord.h"

namespace aimem {

enum class Trouble : std::uint8_t {
  kNone,
  kDiskFull,       ///< kResourceExhausted: there is no room for the data; nothing waits in a queue.
  kDamaged,        ///< kDataLoss: the engine's own structures (Backend::Damaged), not one row.
  kKeyUnreadable,  ///< kDataLoss: what a request id was used for; a new one helps.
  kRowUnreadable,  ///< kDataLoss: one row, which the text names; all others are well.
  kNotListening,   ///< kUnavailable: of an address to serve at; the data has nothing to do with it.
  kOvertaken,      ///< kFailedPrecondition: it was decided, or cannot be done any more.
};

inline constexpr char kTroublePayload[] = "aimem/trouble";

inline absl::Status WithTrouble(absl::Status status, Trouble trouble) {
  if (trouble == Trouble::kNone) return status;
  status.SetPayload(kTroublePayload, absl::Cord(std::string(1, static_cast<char>(trouble))));
  return status;
}

inline Trouble TroubleOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kTroublePayload);
  if (!payload.has_value()) return Trouble::kNone;
  const std::string bytes(*payload);
  return bytes.size() == 1 ? static_cast<Trouble>(bytes[0]) : Trouble::kNone;
}

}  // namespace aimem
