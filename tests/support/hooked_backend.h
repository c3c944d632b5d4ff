// HookedBackend: another backend, with a test's code before each call.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "aimem/backends/backend.h"
#include "support/backend/forwarding_backend.h"

namespace aimem::testing {

/// What runs before a call of a backend; may block or throw. Null: nothing. Set before the store is
/// opened, called on whatever thread uses the backend.
struct Hooks {
  std::function<void()> begin_write;
  std::function<void()> read;
  std::function<void()> scan;
  std::function<void()> put;
  std::function<void(const WriteSet&)> see_put;
  std::function<void()> commit;     ///< Before the commit of a write transaction.
  std::function<void()> committed;  ///< After it.
  std::function<void()> verify;
  std::function<void()> close;
};

class HookedBackend final : public ForwardingBackend {
 public:
  HookedBackend(std::unique_ptr<Backend> backend, Hooks hooks)
      : ForwardingBackend(std::move(backend)),
        hooks_(std::make_shared<const Hooks>(std::move(hooks))) {}

  absl::StatusOr<std::unique_ptr<Transaction>> BeginRead() override {
    return Hooked(inner_->BeginRead(), false);
  }
  absl::StatusOr<std::unique_ptr<Transaction>> BeginWrite() override {
    Run(hooks_->begin_write);
    return Hooked(inner_->BeginWrite(), true);
  }
  absl::StatusOr<std::vector<std::string>> Verify() override {
    Run(hooks_->verify);
    return inner_->Verify();
  }
  absl::StatusOr<std::optional<std::uint64_t>> ForeignCommits() override {
    return inner_->ForeignCommits();
  }
  absl::Status Close() override {
    Run(hooks_->close);
    return inner_->Close();
  }

 private:
  static void Run(const std::function<void()>& hook) {
    if (hook) hook();
  }

  class HookedTransaction final : public ForwardingTransaction {
   public:
    HookedTransaction(std::unique_ptr<Transaction> transaction, std::shared_ptr<const Hooks> hooks,
                      bool writes)
        : ForwardingTransaction(std::move(transaction)),
          hooks_(std::move(hooks)),
          writes_(writes) {}
    absl::StatusOr<ReadResult> Read(const ReadSet& set) override {
      Run(hooks_->read);
      return inner_->Read(set);
    }
    absl::StatusOr<std::vector<EntityRow>> Scan(const ScanRequest& request) override {
      Run(hooks_->scan);
      return inner_->Scan(request);
    }
    absl::Status Put(const WriteSet& set) override {
      Run(hooks_->put);
      if (hooks_->see_put) hooks_->see_put(set);
      return inner_->Put(set);
    }
    CommitResult Commit() override {
      if (!writes_) return inner_->Commit();
      Run(hooks_->commit);
      CommitResult result = inner_->Commit();
      Run(hooks_->committed);
      return result;
    }

   private:
    const std::shared_ptr<const Hooks> hooks_;
    const bool writes_;
  };

  absl::StatusOr<std::unique_ptr<Transaction>> Hooked(
      absl::StatusOr<std::unique_ptr<Transaction>> begun, bool writes) {
    if (!begun.ok()) return begun;
    return std::make_unique<HookedTransaction>(*std::move(begun), hooks_, writes);
  }

  const std::shared_ptr<const Hooks> hooks_;
};

}  // namespace aimem::testing
