// A backend whose scans wait until they may go on.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "aimem/backends/backend.h"
#include "lib/base/mutex.h"

namespace aimem::testing {

/// Opened and shut by a test. Thread-safe.
class Gate {
 public:
  void Shut() {
    MutexLock lock(mutex_);
    shut_ = true;
  }
  void Open() {
    MutexLock lock(mutex_);
    shut_ = false;
    changed_.NotifyAll();
  }
  /// Whoever has to wait at it.
  [[nodiscard]] int waiting() {
    MutexLock lock(mutex_);
    return waiting_;
  }
  void Pass() {
    MutexLock lock(mutex_);
    ++waiting_;
    while (shut_) changed_.Wait(mutex_);
    --waiting_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool shut_ ABSL_GUARDED_BY(mutex_) = false;
  int waiting_ ABSL_GUARDED_BY(mutex_) = 0;
};

class GatedTransaction final : public Transaction {
 public:
  GatedTransaction(std::unique_ptr<Transaction> inner, Gate* gate)
      : inner_(std::move(inner)), gate_(*gate) {}

  absl::StatusOr<ReadResult> Read(const ReadSet& set) override { return inner_->Read(set); }
  absl::StatusOr<std::vector<EntityRow>> Scan(const ScanRequest& request) override {
    gate_.Pass();
    return inner_->Scan(request);
  }
  absl::StatusOr<std::vector<LogRow>> ReadLog(std::uint64_t stream, std::uint64_t after,
                                              std::size_t max_rows,
                                              std::size_t max_bytes) override {
    return inner_->ReadLog(stream, after, max_rows, max_bytes);
  }
  absl::Status Put(const WriteSet& set) override { return inner_->Put(set); }
  CommitResult Commit() override { return inner_->Commit(); }

 private:
  const std::unique_ptr<Transaction> inner_;
  Gate& gate_;
};

class GatedBackend final : public Backend {
 public:
  GatedBackend(std::unique_ptr<Backend> inner, Gate* gate)
      : inner_(std::move(inner)), gate_(*gate) {}

  absl::StatusOr<std::unique_ptr<Transaction>> BeginRead() override {
    return Wrap(inner_->BeginRead());
  }
  absl::StatusOr<std::unique_ptr<Transaction>> BeginWrite() override {
    return Wrap(inner_->BeginWrite());
  }
  absl::Status Recover() override { return inner_->Recover(); }
  absl::StatusOr<std::vector<std::string>> Verify() override { return inner_->Verify(); }
  absl::Status Maintain(bool idle) override { return inner_->Maintain(idle); }
  absl::StatusOr<std::optional<std::uint64_t>> ForeignCommits() override {
    return inner_->ForeignCommits();
  }
  absl::Status CheckDurable() override { return inner_->CheckDurable(); }
  absl::StatusOr<std::string> PhysicalIdentity() override { return inner_->PhysicalIdentity(); }
  absl::StatusOr<std::int64_t> SizeBytes() override { return inner_->SizeBytes(); }
  std::string Url() const override { return inner_->Url(); }
  absl::Status Close() override { return inner_->Close(); }

 private:
  absl::StatusOr<std::unique_ptr<Transaction>> Wrap(
      absl::StatusOr<std::unique_ptr<Transaction>> inner) {
    if (!inner.ok()) return inner.status();
    return std::make_unique<GatedTransaction>(*std::move(inner), &gate_);
  }

  const std::unique_ptr<Backend> inner_;
  Gate& gate_;
};

}  // namespace aimem::testing
