// KnownCommits: the hashes of recent commits, which positions that others name are compared with.
#pragma once

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
  static constexpr std::size_t kStreams = 64;

  void Add(std::uint64_t stream, std::uint64_t seq, const Hash256& hash) {
    const auto [found, added] = windows_.try_emplace(stream);
    Window& window = found->second;
    if (seq != window.first + window.hashes.size()) window = {.first = seq, .hashes = {}};
    window.hashes.push_back(hash);
    if (window.hashes.size() > kPerStream) {
      window.hashes.pop_front();
      ++window.first;
    }
    if (added && windows_.size() > kStreams) {
      windows_.erase(found == windows_.begin() ? std::next(found) : windows_.begin());
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
  };
  std::map<std::uint64_t, Window> windows_;
};

}  // namespace aimem::replication
