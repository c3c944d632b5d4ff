// Parts: what the state of an entity is made of.
//
// The state of any entity is a map part -> (stamp, value). Here are the parts that this build
// knows, with the encoding of their values; the join is in lib/merge, the bytes are in lib/log.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aimem/memory.h"
#include "aimem/types.h"

namespace aimem::model {

/// One part of a state. Borrows its bytes: whoever holds a Part keeps the buffer it points into.
struct Part {
  std::string_view name;
  Stamp stamp;
  std::string_view value;

  friend bool operator==(const Part&, const Part&) = default;
};

/// A state: parts ascending by name (as unsigned bytes), no name twice.
using Parts = std::vector<Part>;

/// The part `name`, or null. O(log n).
const Part* Find(std::span<const Part> parts, std::string_view name);

// -- Names ----------------------------------------------------------------------------------
// One byte for a part that is one thing, one byte and a rest for a family. Stored and sent:
// never renumber. docs/formats/state.md has the table.
namespace part {
using namespace std::string_view_literals;
inline constexpr std::string_view kPut = "\x01"sv;             // empty
inline constexpr std::string_view kDeleted = "\x02"sv;         // empty
inline constexpr std::string_view kForgotten = "\x03"sv;       // wall time, u64 ms
inline constexpr std::string_view kPurged = "\x04"sv;          // empty
inline constexpr std::string_view kName = "\x05"sv;            // namespace NUL title
inline constexpr std::string_view kContent = "\x06"sv;         // UTF-8
inline constexpr std::string_view kTags = "\x07"sv;            // tags, NUL between them
inline constexpr std::string_view kPriority = "\x08"sv;        // one byte
inline constexpr std::string_view kConfidence = "\x09"sv;      // IEEE bits, u64
inline constexpr std::string_view kSource = "\x0a"sv;          // UTF-8
inline constexpr std::string_view kAgentId = "\x0b"sv;         // ASCII
inline constexpr std::string_view kCreatedAt = "\x0c"sv;       // time
inline constexpr std::string_view kUpdatedAt = "\x0d"sv;       // time
inline constexpr std::string_view kTierMid = "\x0e"sv;         // empty
inline constexpr std::string_view kTierLong = "\x0f"sv;        // empty
inline constexpr std::string_view kExpiry = "\x10"sv;          // tier byte, then a time or nothing
inline constexpr std::string_view kUseCount = "\x11"sv;        // u64
inline constexpr std::string_view kUseLast = "\x12"sv;         // time, or empty: never
inline constexpr std::string_view kUseUntil = "\x13"sv;        // time
inline constexpr std::string_view kConsolidated = "\x14"sv;    // wall time, u64 ms
inline constexpr std::string_view kExpired = "\x15"sv;         // the time judged, time
inline constexpr std::string_view kLinked = "\x16"sv;          // created_at, time
inline constexpr std::string_view kStandardMemory = "\x17"sv;  // memory id
inline constexpr std::string_view kStandardParent = "\x18"sv;  // namespace, or empty
inline constexpr std::string_view kStandardPolicy = "\x19"sv;  // canonical JSON, or empty
inline constexpr std::string_view kRequested = "\x1a"sv;       // lib/model/pending.h, as the next
inline constexpr std::string_view kApproved = "\x1b"sv;
inline constexpr std::string_view kRejected = "\x1c"sv;
/// First byte of one part per vote; the rest is the agent.
inline constexpr char kVotePrefix = '\x1d';
/// First byte of one part per top-level metadata key; the rest is the key. Value: canonical JSON
/// of the member; empty: cleared.
inline constexpr char kMetaPrefix = '\x20';
}  // namespace part

/// Erased for ever: nothing else stays.
inline bool IsPurged(std::span<const Part> parts) { return Find(parts, part::kPurged) != nullptr; }

/// Parts of the family of metadata keys: a later put erases them.
inline bool IsMetadata(std::string_view name) {
  return !name.empty() && name.front() == part::kMetaPrefix;
}

/// Parts whose stamp is borrowed from another part: only these may hold different bytes at one
/// stamp. For all others that is a broken invariant.
bool IsBorrowed(std::string_view name);

// -- Values ---------------------------------------------------------------------------------
// Numbers are 8 bytes big-endian; times are nanoseconds since the Unix epoch as int64 with the
// sign bit flipped, so that greater bytes are later times. Decoders return nullopt for bytes of
// another length: outside input never reaches an assertion.
std::string EncodeU64(std::uint64_t value);
std::optional<std::uint64_t> DecodeU64(std::string_view bytes);
std::string EncodeTime(std::int64_t nanoseconds);
std::optional<std::int64_t> DecodeTime(std::string_view bytes);
std::string EncodeConfidence(double value);  // -0 becomes 0
std::optional<double> DecodeConfidence(std::string_view bytes);
std::string EncodeName(std::string_view namespace_, std::string_view title);
std::string EncodeTags(std::span<const std::string> tags);
std::vector<std::string> DecodeTags(std::string_view bytes);
std::string EncodeExpiry(Tier tier, std::optional<std::int64_t> nanoseconds);
std::string MetaPart(std::string_view key);

/// absl::Time <-> int64 nanoseconds. Times outside 1678…2261 saturate; validation refuses them
/// before they come here.
std::int64_t ToNanoseconds(absl::Time time);
absl::Time FromNanoseconds(std::int64_t nanoseconds);

/// Collects parts in any order and owns the bytes it is given, for as long as it lives.
class PartsBuilder {
 public:
  PartsBuilder() = default;
  PartsBuilder(PartsBuilder&&) = default;
  PartsBuilder& operator=(PartsBuilder&&) = default;

  /// Set a part; a later call for the same name replaces the earlier one.
  void Set(std::string_view name, Stamp stamp, std::string value);
  /// The same, borrowing both `name` and `value`.
  void SetBorrowed(std::string_view name, Stamp stamp, std::string_view value);
  /// Ascending, without duplicates. Valid while the builder lives and is not changed.
  [[nodiscard]] const Parts& Build();

 private:
  std::deque<std::string> owned_;
  Parts parts_;
  bool sorted_ = true;
};

}  // namespace aimem::model
