#include "backends/open/copy_backend.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "lib/base/status.h"

namespace aimem::open {
namespace {

constexpr std::size_t kPageRows = 1'000;
constexpr std::size_t kPageBytes = 4u << 20;

class Copy {
 public:
  Copy(Transaction& from, Backend& to, const Waiting& waiting)
      : from_(from), to_(to), waiting_(waiting) {}

  absl::Status Run() {
    AIMEM_ASSIGN_OR_RETURN(ReadResult found, from_.Read({.heads = true, .meta = true}));
    AIMEM_RETURN_IF_ERROR(CopyRows());
    for (const LogRow& head : found.heads) AIMEM_RETURN_IF_ERROR(CopyLog(head.stream));
    AIMEM_RETURN_IF_ERROR(CopyBlocks());
    WriteSet set;
    for (auto& [key, value] : found.meta) set.meta.emplace_back(key, std::move(value));
    return Put(set, 0);
  }

 private:
  absl::Status CopyRows() {
    ScanRequest request{.max_rows = kPageRows, .max_bytes = kPageBytes};
    for (;;) {
      AIMEM_ASSIGN_OR_RETURN(std::vector<EntityRow> rows, from_.Scan(request));
      if (rows.empty()) return absl::OkStatus();
      request.after = rows.back().key;
      const std::size_t count = rows.size();
      AIMEM_RETURN_IF_ERROR(Put({.rows = std::move(rows)}, count));
    }
  }

  absl::Status CopyLog(std::uint64_t stream) {
    for (std::uint64_t after = 0;;) {
      AIMEM_ASSIGN_OR_RETURN(std::vector<LogRow> log,
                             from_.ReadLog(stream, after, kPageRows, kPageBytes));
      if (log.empty()) return absl::OkStatus();
      after = log.back().seq;
      const std::size_t count = log.size();
      AIMEM_RETURN_IF_ERROR(Put({.log = std::move(log)}, count));
    }
  }

  absl::Status CopyBlocks() {
    AIMEM_ASSIGN_OR_RETURN(const std::vector<BlockCount> segments, from_.CountBlocks());
    for (const BlockCount& segment : segments) {
      for (std::uint32_t first = 0;;) {
        AIMEM_ASSIGN_OR_RETURN(std::vector<BlockRow> blocks,
                               from_.ReadBlocks(segment.segment, first, kPageBytes));
        if (blocks.empty()) break;
        first = blocks.back().part + 1;
        const std::size_t count = blocks.size();
        AIMEM_RETURN_IF_ERROR(Put({.blocks = std::move(blocks)}, count));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Put(const WriteSet& set, std::size_t rows) {
    if (waiting_.stopped()) return absl::CancelledError("stopped: nothing was kept");
    AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction, to_.BeginWrite());
    AIMEM_RETURN_IF_ERROR(transaction->Put(set));
    AIMEM_RETURN_IF_ERROR(transaction->Commit().status);
    progress_.done += static_cast<std::int64_t>(rows);
    if (waiting_.progress) waiting_.progress(progress_);
    return absl::OkStatus();
  }

  Transaction& from_;
  Backend& to_;
  const Waiting& waiting_;
  TransferProgress progress_;
};

}  // namespace

absl::Status CopyBackend(Backend& from, Backend& to, const Waiting& waiting) {
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> snapshot, from.BeginRead());
  return Copy(*snapshot, to, waiting).Run();
}

}  // namespace aimem::open
