#include "lib/store/bounds.h"

#include "absl/strings/str_format.h"
#include "lib/base/status.h"

namespace aimem::store {

Bounds::Bounds(const ReadBounds& asked, Clock& clock) : stop_(asked.stop), timeout_(asked.timeout) {
  if (timeout_ == absl::InfiniteDuration()) return;
  clock_ = &clock;
  until_ = clock.Monotonic() + timeout_;
}

absl::Status Bounds::Check() const {
  if (stop_.stop_requested()) return absl::CancelledError("the read was stopped by its caller");
  if (clock_ == nullptr || clock_->Monotonic() < until_) return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrFormat("the read did not end within its timeout, %s",
                                                     absl::FormatDuration(timeout_)));
}

absl::StatusOr<ReadResult> BoundedTransaction::Read(const ReadSet& set) {
  AIMEM_RETURN_IF_ERROR(bounds_.Check());
  return transaction_.Read(set);
}

absl::StatusOr<std::vector<EntityRow>> BoundedTransaction::Scan(const ScanRequest& request) {
  AIMEM_RETURN_IF_ERROR(bounds_.Check());
  return transaction_.Scan(request);
}

absl::StatusOr<std::vector<LogRow>> BoundedTransaction::ReadLog(std::uint64_t stream,
                                                                std::uint64_t after,
                                                                std::size_t max_rows,
                                                                std::size_t max_bytes) {
  AIMEM_RETURN_IF_ERROR(bounds_.Check());
  return transaction_.ReadLog(stream, after, max_rows, max_bytes);
}

absl::StatusOr<std::vector<BlockRow>> BoundedTransaction::ReadBlocks(std::uint64_t segment,
                                                                     std::uint32_t first,
                                                                     std::size_t max_bytes) {
  AIMEM_RETURN_IF_ERROR(bounds_.Check());
  return transaction_.ReadBlocks(segment, first, max_bytes);
}

absl::StatusOr<std::vector<BlockCount>> BoundedTransaction::CountBlocks() {
  AIMEM_RETURN_IF_ERROR(bounds_.Check());
  return transaction_.CountBlocks();
}

}  // namespace aimem::store
