// HookedBackend: another backend, with a test's code before each call.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "aimem/backends/backend.h"

namespace aimem::testing {

/// What runs before a call of a backend; may block or throw. Null: nothing. Set before the store is
/// opened, called on whatever thread uses the backend.
struct Hooks {
  std::function<void()> begin_write;
  std::function<void()> read;
  std::function<void()> scan;
  std::function<void()> put;
  std::function<void()> commit;     ///< Before the commit of a write transaction.
  std::function<void()> committed;  ///< After it.
  std::function<void()> verify;
  std::function<void()> close;
};

class HookedBackend final : public Backend {
 public:
  HookedBackend(std::unique_ptr<Backend> backend, Hooks hooks)
      : backend_(std::move(backend)), hooks_(std::make_shared<const Hooks>(std::move(hooks))) {}

  absl::StatusOr<std::unique_ptr<Transaction>> BeginRead() override {
    return Hooked(backend_->BeginRead(), false);
  }
  absl::StatusOr<std::unique_ptr<Transaction>> BeginWrite() override {
    Run(hooks_->begin_write);
    return Hooked(backend_->BeginWrite(), true);
  }
  absl::Status Recover() override { return backend_->Recover(); }
  absl::StatusOr<std::vector<std::string>> Verify() override {
    Run(hooks_->verify);
    return backend_->Verify();
  }
  absl::Status Maintain(bool idle) override { return backend_->Maintain(idle); }
  absl::StatusOr<std::optional<std::uint64_t>> ForeignCommits() override {
    return backend_->ForeignCommits();
  }
  absl::Status CheckDurable() override { return backend_->CheckDurable(); }
  absl::StatusOr<std::string> PhysicalIdentity() override { return backend_->PhysicalIdentity(); }
  absl::StatusOr<std::int64_t> SizeBytes() override { return backend_->SizeBytes(); }
  std::string Url() const override { return backend_->Url(); }
  absl::Status Close() override {
    Run(hooks_->close);
    return backend_->Close();
  }

 private:
  static void Run(const std::function<void()>& hook) {
    if (hook) hook();
  }

  class HookedTransaction final : public Transaction {
   public:
    HookedTransaction(std::unique_ptr<Transaction> transaction, std::shared_ptr<const Hooks> hooks,
                      bool writes)
        : transaction_(std::move(transaction)), hooks_(std::move(hooks)), writes_(writes) {}
    absl::StatusOr<ReadResult> Read(const ReadSet& set) override {
      Run(hooks_->read);
      return transaction_->Read(set);
    }
    absl::StatusOr<std::vector<EntityRow>> Scan(const ScanRequest& request) override {
      Run(hooks_->scan);
      return transaction_->Scan(request);
    }
    absl::StatusOr<std::vector<LogRow>> ReadLog(std::uint64_t stream, std::uint64_t after,
                                                std::size_t max_rows,
                                                std::size_t max_bytes) override {
      return transaction_->ReadLog(stream, after, max_rows, max_bytes);
    }
    absl::Status Put(const WriteSet& set) override {
      Run(hooks_->put);
      return transaction_->Put(set);
    }
    CommitResult Commit() override {
      if (!writes_) return transaction_->Commit();
      Run(hooks_->commit);
      CommitResult result = transaction_->Commit();
      Run(hooks_->committed);
      return result;
    }

   private:
    const std::unique_ptr<Transaction> transaction_;
    const std::shared_ptr<const Hooks> hooks_;
    const bool writes_;
  };

  absl::StatusOr<std::unique_ptr<Transaction>> Hooked(
      absl::StatusOr<std::unique_ptr<Transaction>> begun, bool writes) {
    if (!begun.ok()) return begun;
    return std::make_unique<HookedTransaction>(*std::move(begun), hooks_, writes);
  }

  const std::unique_ptr<Backend> backend_;
  const std::shared_ptr<const Hooks> hooks_;
};

}  // namespace aimem::testing
