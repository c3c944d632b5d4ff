// Bounds: how long one call may read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stop_token>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "aimem/environment.h"
#include "aimem/requests.h"

namespace aimem::store {

/// What a caller asked for, from the moment of the call on. Thread-safe.
class Bounds {
 public:
  /// Until the read has its answer.
  Bounds() = default;
  Bounds(const ReadBounds& asked, Clock& clock);

  /// kCancelled, kDeadlineExceeded: it ends without an answer.
  [[nodiscard]] absl::Status Check() const;

 private:
  std::stop_token stop_;
  absl::Duration timeout_ = absl::InfiniteDuration();
  absl::Duration until_ = absl::InfiniteDuration();
  Clock* clock_ = nullptr;  // of a timeout
};

/// A read transaction of a call with bounds: looks at them before it asks for rows. Every scan asks
/// for a page at a time, so that nothing else has to know of them.
class BoundedTransaction final : public Transaction {
 public:
  /// Both must outlive it.
  BoundedTransaction(Transaction& transaction, const Bounds& bounds)
      : transaction_(transaction), bounds_(bounds) {}

  absl::StatusOr<ReadResult> Read(const ReadSet& set) override;
  absl::StatusOr<std::vector<EntityRow>> Scan(const ScanRequest& request) override;
  absl::StatusOr<std::vector<LogRow>> ReadLog(std::uint64_t stream, std::uint64_t after,
                                              std::size_t max_rows, std::size_t max_bytes) override;
  absl::StatusOr<std::vector<BlockRow>> ReadBlocks(std::uint64_t segment, std::uint32_t first,
                                                   std::size_t max_bytes) override;
  absl::StatusOr<std::vector<BlockCount>> CountBlocks() override;
  /// A read writes nothing.
  absl::Status Put(const WriteSet& set) override { return transaction_.Put(set); }
  CommitResult Commit() override { return transaction_.Commit(); }

 private:
  Transaction& transaction_;
  const Bounds& bounds_;
};

}  // namespace aimem::store
