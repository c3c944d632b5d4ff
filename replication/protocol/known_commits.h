// KnownCommits: the hashes of recent commits, which positions that others name are compared with.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "aimem/types.h"

namespace aimem::replication {

/// Per stream the last commits that became durable here, without gaps. Not thread-safe.
class KnownCommits {
 public:
  /// More than a peer has in flight.
  static constexpr std::size_t kPerStream = 16'384;
  /// Of more streams those are forgotten that have rested longest.
  static constexpr std::size_t kStreams = 64;

  void Add(std::uint64_t stream, std::uint64_t seq, const Hash256& hash) {
    const auto [found, added] = windows_.try_emplace(stream);
    Window& window = found->second;
    if (seq != window.first + window.hashes.size()) window = {.first = seq, .hashes = {}};
    window.hashes.push_back(hash);
    window.used = ++uses_;
    if (window.hashes.size() > kPerStream) {
      window.hashes.pop_front();
      ++window.first;
    }
    if (added && windows_.size() > kStreams) {
      windows_.erase(std::min_element(
          windows_.begin(), windows_.end(),
          [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
    }
  }

  /// Nothing after `seq` is held of `stream` any more.
  void DropAfter(std::uint64_t stream, std::uint64_t seq) {
    const auto found = windows_.find(stream);
    if (found == windows_.end()) return;
    Window& window = found->second;
    if (seq < window.first) {
      windows_.erase(found);
    } else if (seq - window.first + 1 < window.hashes.size()) {
      window.hashes.resize(seq - window.first + 1);
    }
  }
  void Drop(std::uint64_t stream) { windows_.erase(stream); }

  [[nodiscard]] std::optional<Hash256> Find(std::uint64_t stream, std::uint64_t seq) const {
    const auto found = windows_.find(stream);
    if (found == windows_.end()) return std::nullopt;
    const Window& window = found->second;
    if (seq < window.first || seq - window.first >= window.hashes.size()) return std::nullopt;
    return window.hashes[seq - window.first];
  }

 private:
  struct Window {
    std::uint64_t first = 0;  // seq of the front
    std::deque<Hash256> hashes;
    std::uint64_t used = 0;  // uses_, when the last one was added
  };
  std::map<std::uint64_t, Window> windows_;
  std::uint64_t uses_ = 0;
};

}  // namespace aimem::replication
