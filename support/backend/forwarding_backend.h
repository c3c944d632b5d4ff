// Another backend as it is: whoever derives from it overrides what is to differ.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "aimem/backends/backend.h"

namespace aimem::testing {

class ForwardingTransaction : public Transaction {
 public:
  explicit ForwardingTransaction(std::unique_ptr<Transaction> inner) : inner_(std::move(inner)) {}

  absl::StatusOr<ReadResult> Read(const ReadSet& set) override { return inner_->Read(set); }
  absl::StatusOr<std::vector<EntityRow>> Scan(const ScanRequest& request) override {
    return inner_->Scan(request);
  }
  absl::StatusOr<std::vector<LogRow>> ReadLog(std::uint64_t stream, std::uint64_t after,
                                              std::size_t max_rows,
                                              std::size_t max_bytes) override {
    return inner_->ReadLog(stream, after, max_rows, max_bytes);
  }
  absl::StatusOr<std::vector<BlockRow>> ReadBlocks(std::uint64_t segment, std::uint32_t first,
                                                   std::size_t max_bytes) override {
    return inner_->ReadBlocks(segment, first, max_bytes);
  }
  absl::StatusOr<std::vector<BlockCount>> CountBlocks() override { return inner_->CountBlocks(); }
  absl::Status Put(const WriteSet& set) override {
    writes_ = true;
    return inner_->Put(set);
  }
  CommitResult Commit() override { return inner_->Commit(); }

 protected:
  std::unique_ptr<Transaction> inner_;
  bool writes_ = false;  ///< Something was put: Commit() is more than the end of a read.
};

/// Does not forward ForeignCommits(): a backend that cannot tell.
class ForwardingBackend : public Backend {
 public:
  explicit ForwardingBackend(std::unique_ptr<Backend> inner) : inner_(std::move(inner)) {}

  absl::StatusOr<std::unique_ptr<Transaction>> BeginRead() override { return inner_->BeginRead(); }
  absl::StatusOr<std::unique_ptr<Transaction>> BeginWrite() override {
    return inner_->BeginWrite();
  }
  absl::Status Recover() override { return inner_->Recover(); }
  absl::Status Settle() override { return inner_->Settle(); }
  absl::StatusOr<std::vector<std::string>> Verify() override { return inner_->Verify(); }
  absl::Status Damaged() const override { return inner_->Damaged(); }
  absl::Status Maintain(bool idle) override { return inner_->Maintain(idle); }
  absl::Status Scrub() override { return inner_->Scrub(); }
  absl::Status CheckDurable() override { return inner_->CheckDurable(); }
  bool OutlivesProcess() const override { return inner_->OutlivesProcess(); }
  absl::StatusOr<std::string> PhysicalIdentity() override { return inner_->PhysicalIdentity(); }
  absl::StatusOr<std::int64_t> SizeBytes() override { return inner_->SizeBytes(); }
  std::string Url() const override { return inner_->Url(); }
  absl::Status Close() override { return inner_->Close(); }

 protected:
  const std::unique_ptr<Backend> inner_;
};

}  // namespace aimem::testing
