// The vocabulary of the log: stamps, entity keys, operation ids, positions.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace aimem {

/// A SHA-256 value.
using Hash256 = std::array<std::uint8_t, 32>;

/// A 128-bit value: an operation id, a member id or a version hash.
struct Id128 {
  std::array<std::uint8_t, 16> bytes{};

  friend auto operator<=>(const Id128&, const Id128&) = default;

  /// Lower-case UUID text, e.g. "01890a5d-ac96-774b-bcce-b302099a8057".
  [[nodiscard]] std::string ToString() const;

  /// Parse UUID text (case-insensitive, hyphens required); nullopt for anything else.
  static std::optional<Id128> Parse(std::string_view text);
};

/// Names one request for a change: chosen before its transaction, found again in the log.
using OperationId = Id128;

/// Orders everything that was ever written: (hybrid logical clock, stream) as one 128-bit integer.
struct Stamp {
  /// 48 bits of milliseconds since the Unix epoch, 16 bits of counter.
  std::uint64_t hlc = 0;
  /// The history that the commit belongs to.
  std::uint64_t stream = 0;

  friend auto operator<=>(const Stamp&, const Stamp&) = default;
};

/// What an entity is. These values are stored and sent: never renumber them. A store keeps and
/// forwards entities of kinds that it does not know.
enum class Kind : std::uint8_t {
  kMemory = 1,
  kLink = 2,
  kNamespaceStandard = 3,
  kPendingAction = 4,
  kSubscription = 5,
  kMember = 6,
};

/// Names one entity. Ordered by kind, then by the bytes of the key.
struct EntityKey {
  Kind kind = Kind::kMemory;
  /// A memory: its id. A link: source NUL target NUL relation. A standard: its namespace.
  std::string key = {};

  friend auto operator<=>(const EntityKey&, const EntityKey&) = default;
};

/// A position: stream -> highest contiguous durable sequence number. Streams at 0 are left out.
using VersionVector = std::map<std::uint64_t, std::uint64_t>;

/// The last commit that is held of a stream. A number alone can speak of another commit, made
/// before somebody's disk was put back; with the hash it cannot.
struct StreamHead {
  std::uint64_t seq = 0;
  std::uint64_t hlc = 0;  ///< Of that commit.
  Hash256 hash{};         ///< Its content hash; zero if unknown.

  friend bool operator==(const StreamHead&, const StreamHead&) = default;
};
using StreamHeads = std::map<std::uint64_t, StreamHead>;  ///< By stream.

/// The position that `heads` name.
VersionVector VectorOf(const StreamHeads& heads);

/// True if `a` covers all that `b` covers.
bool Covers(const VersionVector& a, const VersionVector& b);

/// "stream:seq, …" with streams as 16 hexadecimal digits; for people and logs.
std::string ToString(const VersionVector& vector);

}  // namespace aimem
