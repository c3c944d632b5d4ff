// OwnWindow: the last own commits, at hand for peers that keep up. The log has the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "replication/protocol/timing.h"

namespace aimem::replication {

/// Contiguous, of one stream. Not thread-safe.
class OwnWindow {
 public:
  using Bytes = std::shared_ptr<const std::string>;

  /// `bytes_max`: more than that is forgotten from the front.
  explicit OwnWindow(std::int64_t bytes_max) : bytes_max_(bytes_max) {}

  /// A commit became durable. One that does not follow begins anew.
  void Add(absl::Duration now, std::uint64_t stream, std::uint64_t seq, Bytes commit) {
    if (stream_ != stream || seq != first_ + commits_.size()) {
      Clear();
      stream_ = stream;
      first_ = seq;
    }
    bytes_ += static_cast<std::int64_t>(commit->size());
    commits_.push_back(std::move(commit));
    since_.push_back(now);
  }
  void Trim() {
    while (bytes_ > bytes_max_ && !commits_.empty()) {
      bytes_ -= static_cast<std::int64_t>(commits_.front()->size());
      commits_.pop_front();
      since_.pop_front();
      ++first_;
    }
  }
  void Clear() {
    commits_.clear();
    since_.clear();
    stream_ = first_ = 0;
    bytes_ = 0;
  }

  [[nodiscard]] bool Holds(std::uint64_t seq) const {
    return seq >= first_ && seq < first_ + commits_.size();
  }
  /// What one call takes from `seq` on, which is held: at least one.
  [[nodiscard]] std::vector<Bytes> CallFrom(std::uint64_t seq) const {
    std::vector<Bytes> call;
    std::size_t bytes = 0;
    for (std::size_t i = seq - first_; i < commits_.size(); ++i) {
      const std::size_t size = commits_[i]->size();
      const bool full = bytes + size > kCallBytes || call.size() >= kCallCommits;
      if (full && !call.empty()) break;
      bytes += size;
      call.push_back(commits_[i]);
    }
    return call;
  }
  /// When `seq`, which is held, became durable.
  [[nodiscard]] absl::Duration Since(std::uint64_t seq) const { return since_[seq - first_]; }

  [[nodiscard]] std::uint64_t stream() const { return stream_; }
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }
  [[nodiscard]] std::size_t size() const { return commits_.size(); }

 private:
  const std::int64_t bytes_max_;
  std::uint64_t stream_ = 0;
  std::uint64_t first_ = 0;  // seq of the front
  std::deque<Bytes> commits_;
  std::deque<absl::Duration> since_;
  std::int64_t bytes_ = 0;
};

}  // namespace aimem::replication
