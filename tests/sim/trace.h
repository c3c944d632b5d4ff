// What happened, for people and as one number.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace aimem::sim {

class Trace {
 public:
  /// `out` null: only the number.
  explicit Trace(std::ostream* out) : out_(out) {}

  [[nodiscard]] bool shown() const { return out_ != nullptr; }
  [[nodiscard]] std::uint64_t hash() const { return hash_; }

  void Mix(std::uint64_t value) { hash_ = (hash_ ^ value) * 0x100000001b3u; }
  void Mix(std::string_view text) {
    for (const char c : text) Mix(static_cast<std::uint8_t>(c));
  }
  /// Something that the hash knows already, or does not need.
  void Show(absl::Duration now, std::string_view who, std::string_view text) {
    if (out_ == nullptr) return;
    *out_ << absl::StrFormat("%10.4f  %-7s %s\n", absl::ToDoubleSeconds(now), who, text);
  }
  void Say(absl::Duration now, std::string_view who, std::string_view text) {
    Mix(static_cast<std::uint64_t>(absl::ToInt64Microseconds(now)));
    Mix(who);
    Mix(text);
    Show(now, who, text);
  }

 private:
  std::ostream* const out_;
  std::uint64_t hash_ = 0xcbf29ce484222325u;
};

}  // namespace aimem::sim
