// What goes on beside a commit whose outcome is not known, and after it.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "aimem/backends/ephemeral.h"
#include "aimem/local_store.h"
#include "aimem/store.h"
#include "lib/base/mutex.h"
#include "support/backend/forwarding_backend.h"
#include "tests/support/eventually.h"
#include "tests/support/gate.h"

namespace aimem {
namespace {

using testing::Eventually;
using testing::Gate;

/// What a disk does.
struct Disk {
  std::atomic<bool> silent{false};  ///< The next commit is done, and nobody is told.
  std::function<absl::Status()> scan;
  std::function<absl::Status()> recover;
  std::function<absl::Status()> settle;
};

class MoodyTransaction final : public testing::ForwardingTransaction {
 public:
  MoodyTransaction(std::unique_ptr<Transaction> inner, Disk& disk)
      : ForwardingTransaction(std::move(inner)), disk_(disk) {}
  absl::StatusOr<std::vector<EntityRow>> Scan(const ScanRequest& request) override {
    if (disk_.scan) {
      if (absl::Status status = disk_.scan(); !status.ok()) return status;
    }
    return inner_->Scan(request);
  }
  CommitResult Commit() override {
    CommitResult result = inner_->Commit();
    if (!disk_.silent.exchange(false)) return result;
    return {CommitOutcome::kUnknown, absl::UnavailableError("the disk says nothing")};
  }

 private:
  Disk& disk_;
};

class MoodyBackend final : public testing::ForwardingBackend {
 public:
  explicit MoodyBackend(Disk& disk)
      : ForwardingBackend(OpenEphemeralBackend(nullptr)), disk_(disk) {}
  absl::StatusOr<std::unique_ptr<Transaction>> BeginRead() override {
    return Moody(inner_->BeginRead());
  }
  absl::StatusOr<std::unique_ptr<Transaction>> BeginWrite() override {
    return Moody(inner_->BeginWrite());
  }
  absl::Status Recover() override {
    if (disk_.recover) {
      if (absl::Status status = disk_.recover(); !status.ok()) return status;
    }
    return inner_->Recover();
  }
  absl::Status Settle() override { return disk_.settle ? disk_.settle() : inner_->Settle(); }

 private:
  absl::StatusOr<std::unique_ptr<Transaction>> Moody(
      absl::StatusOr<std::unique_ptr<Transaction>> begun) {
    if (!begun.ok()) return begun;
    return std::make_unique<MoodyTransaction>(*std::move(begun), disk_);
  }

  Disk& disk_;
};

class Recovery : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store = OpenLocalStore(std::make_unique<MoodyBackend>(disk_), {});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  void TearDown() override { EXPECT_TRUE(store_->Close().ok()); }
  WriteResult Write(const std::string& title) {
    return store_->Write(PutMemory{.title = title, .content = "content"});
  }

  Disk disk_;
  std::unique_ptr<Store> store_;
};

TEST_F(Recovery, IsNotWaitedForByReadersNorWaitsForThem) {
  ASSERT_TRUE(Write("before").status.ok());
  Gate scanning;
  Gate recovering;
  scanning.Shut();
  recovering.Shut();
  std::atomic<int> scans = 0;
  disk_.scan = [&] {
    if (scans++ > 0) return absl::OkStatus();
    // A server that went down took this reader along as well, and it tries again.
    scanning.Pass();
    return absl::UnavailableError("the connection was lost");
  };
  disk_.recover = [&] {
    recovering.Pass();
    return absl::OkStatus();
  };
  std::thread reader([&] {
    const auto info = store_->Info({.counts = true});
    EXPECT_TRUE(info.ok() && info->counts && info->counts->live == 2) << info.status();
  });
  scanning.AwaitHeld();
  disk_.silent = true;
  WriteResult result;
  std::thread writer([&] { result = Write("in doubt"); });
  recovering.AwaitHeld();
  // The reader of before is still there, and new ones come and go.
  EXPECT_EQ(store_->List({})->memories.size(), 2u);
  scanning.Open();
  reader.join();
  recovering.Open();
  writer.join();
  EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
}

TEST_F(Recovery, ComesByItselfOnceTheCauseIsGone) {
  std::atomic<int> failures = 2;
  disk_.recover = [&] {
    return failures-- > 0 ? absl::UnavailableError("the server is away") : absl::OkStatus();
  };
  disk_.silent = true;
  EXPECT_EQ(Write("in doubt").outcome, WriteOutcome::kUnknown);
  EXPECT_FALSE(store_->Info()->fenced.empty());
  // Nobody writes: whoever looks at its health sends nothing any more.
  EXPECT_TRUE(Eventually([&] { return store_->Info()->fenced.empty(); }));
}

TEST_F(Recovery, AnOperationIsCommittedOnlyIfItIsKnownToBeDurable) {
  const WriteResult written = Write("a");
  const auto outcome = [&] {
    return store_->GetOperation(written.operation, absl::ZeroDuration())->outcome;
  };
  EXPECT_EQ(outcome(), WriteOutcome::kCommitted);
  disk_.settle = [] { return absl::UnavailableError("the standby is away"); };
  EXPECT_EQ(outcome(), WriteOutcome::kUnknown);
}

}  // namespace
}  // namespace aimem
