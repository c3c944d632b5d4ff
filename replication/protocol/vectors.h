// Arithmetic on version vectors.
#pragma once

#include <algorithm>
#include <cstdint>

#include "aimem/types.h"

namespace aimem::replication {

inline std::uint64_t SeqOf(const VersionVector& vector, std::uint64_t stream) {
  const auto found = vector.find(stream);
  return found == vector.end() ? 0 : found->second;
}

/// Make `into` cover what `other` covers. True if that changed it.
inline bool JoinInto(VersionVector& into, const VersionVector& other) {
  bool changed = false;
  for (const auto& [stream, seq] : other) {
    std::uint64_t& mine = into[stream];
    if (seq > mine) {
      mine = seq;
      changed = true;
    }
  }
  return changed;
}

/// Nothing after `seq` of `stream` is in `vector` any more.
inline void CutTo(VersionVector& vector, std::uint64_t stream, std::uint64_t seq) {
  const auto found = vector.find(stream);
  if (found == vector.end()) return;
  found->second = std::min(found->second, seq);
  if (found->second == 0) vector.erase(found);
}

/// How many commits of `whole` are missing in `part`.
inline std::int64_t Missing(const VersionVector& part, const VersionVector& whole) {
  std::int64_t missing = 0;
  for (const auto& [stream, seq] : whole) {
    const std::uint64_t have = SeqOf(part, stream);
    if (seq > have) missing += static_cast<std::int64_t>(seq - have);
  }
  return missing;
}

}  // namespace aimem::replication
