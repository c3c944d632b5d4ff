// What a migration counts, kind by kind.
//
// A new Kind does not compile until it has a row here, and then not until tests/transfer knows
// how to make one: no kind can be forgotten by the copy.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>

#include "aimem/types.h"
#include "lib/model/parts.h"

namespace aimem::transfer {

/// As what an entity is reported.
enum class Counted : std::uint8_t { kLive, kArchived, kGone, kLink, kStandard, kOther };
inline constexpr std::size_t kCounted = 6;
using Tally = std::array<std::int64_t, kCounted>;

Counted CountMemory(const EntityKey& key, std::span<const model::Part> parts);
Counted CountLink(const EntityKey& key, std::span<const model::Part> parts);
Counted CountStandard(const EntityKey& key, std::span<const model::Part> parts);
Counted CountOther(const EntityKey& key, std::span<const model::Part> parts);

struct KindRule {
  Kind kind;
  Counted (*count)(const EntityKey& key, std::span<const model::Part> parts);
};

inline constexpr KindRule kKinds[] = {
    {Kind::kMemory, CountMemory},
    {Kind::kLink, CountLink},
    {Kind::kNamespaceStandard, CountStandard},
    {Kind::kPendingAction, CountOther},
    {Kind::kSubscription, CountOther},
    {Kind::kMember, CountOther},
};

/// The row of `kind`; past the end for a kind of a newer version. No default: the compiler names
/// the kind that is missing.
constexpr std::size_t KindIndex(Kind kind) {
  switch (kind) {
    case Kind::kMemory:
      return 0;
    case Kind::kLink:
      return 1;
    case Kind::kNamespaceStandard:
      return 2;
    case Kind::kPendingAction:
      return 3;
    case Kind::kSubscription:
      return 4;
    case Kind::kMember:
      return 5;
  }
  return std::size(kKinds);
}

constexpr bool EveryKindHasItsRule() {
  for (std::size_t i = 0; i < std::size(kKinds); ++i) {
    if (KindIndex(kKinds[i].kind) != i) return false;
  }
  return KindIndex(static_cast<Kind>(0)) == std::size(kKinds);
}
static_assert(EveryKindHasItsRule());

/// As what an entity of any kind, known or not, is reported.
inline Counted Count(const EntityKey& key, std::span<const model::Part> parts) {
  const std::size_t index = KindIndex(key.kind);
  return index < std::size(kKinds) ? kKinds[index].count(key, parts) : Counted::kOther;
}

}  // namespace aimem::transfer
