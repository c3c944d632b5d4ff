// Uses that a search counts: where they cannot be counted, and beside Close.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "aimem/backends/ephemeral.h"
#include "aimem/backends/sqlite.h"
#include "aimem/local_store.h"
#include "aimem/store.h"
#include "support/backend/forwarding_backend.h"
#include "tests/support/eventually.h"
#include "tests/support/gate.h"
#include "tests/support/hooked_backend.h"
#include "tests/support/temp_dir.h"

namespace aimem {
namespace {

using testing::Eventually;
using testing::ForwardingBackend;
using testing::Gate;
using testing::HookedBackend;
using testing::TempDir;

WriteBatch OnePut(const std::string& title) {
  return {{PutMemory{.title = title, .content = "elephant"}}};
}

std::string Put(Store& store, const std::string& title) {
  const WriteResult written = store.Write(OnePut(title));
  EXPECT_TRUE(written.status.ok()) << written.status;
  return written.items.at(0).id;
}

/// What is found is counted as used.
void Use(Store& store) {
  const auto found = store.Search({.query = "elephant", .touch = true});
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->hits.size(), 1u);
}

/// Refuses to write.
class RefusingBackend final : public ForwardingBackend {
 public:
  RefusingBackend(std::unique_ptr<Backend> backend, absl::Status refusal)
      : ForwardingBackend(std::move(backend)), refusal_(std::move(refusal)) {}
  absl::StatusOr<std::unique_ptr<Transaction>> BeginWrite() override { return refusal_; }

 private:
  const absl::Status refusal_;
};

TEST(Touches, AreNotMissedByAStoreThatIsOnlyRead) {
  const TempDir dir;
  {
    auto store = OpenSqliteStore(dir.File("m.db"));
    ASSERT_TRUE(store.ok()) << store.status();
    Put(**store, "t");
    ASSERT_TRUE((*store)->Close().ok());
  }
  auto store = OpenSqliteStore(dir.File("m.db"), {.read_only = true});
  ASSERT_TRUE(store.ok()) << store.status();
  Use(**store);
  const absl::Status closed = (*store)->Close();
  EXPECT_TRUE(closed.ok()) << closed;
}

TEST(Touches, AreLostWhereTheyCouldHaveBeenCountedAndNotElse) {
  auto disk = std::make_shared<EphemeralDisk>();
  {
    auto store = OpenEphemeralStore(disk);
    Put(**store, "t");
    ASSERT_TRUE((*store)->Close().ok());
  }
  for (const auto& [refusal, lost] : {std::pair{absl::FailedPreconditionError("read only"), false},
                                      std::pair{absl::PermissionDeniedError("not ours"), false},
                                      std::pair{absl::ResourceExhaustedError("full"), true},
                                      std::pair{absl::UnavailableError("away"), true}}) {
    auto store =
        OpenLocalStore(std::make_unique<RefusingBackend>(OpenEphemeralBackend(disk), refusal), {});
    ASSERT_TRUE(store.ok()) << store.status();
    Use(**store);
    const absl::Status closed = (*store)->Close();
    EXPECT_EQ(closed.code(), lost ? refusal.code() : absl::StatusCode::kOk) << closed;
  }
}

TEST(Touches, OfASearchThatCloseMeetsAreWrittenByIt) {
  auto disk = std::make_shared<EphemeralDisk>();
  Gate gate;
  auto opened =
      OpenLocalStore(std::make_unique<HookedBackend>(OpenEphemeralBackend(disk),
                                                     testing::Hooks{.scan = [&] { gate.Pass(); }}),
                     {.close_grace = absl::InfiniteDuration()});
  ASSERT_TRUE(opened.ok()) << opened.status();
  Store& store = **opened;
  const std::string id = Put(store, "t");
  gate.Shut();
  std::thread reader([&] { Use(store); });
  gate.AwaitHeld();
  absl::Status closed = absl::UnknownError("not yet");
  std::thread closer([&] { closed = store.Close(); });
  // It takes no more writes: Close waits for the search.
  EXPECT_TRUE(Eventually([&] { return absl::IsUnavailable(store.Write(OnePut("u")).status); }));
  gate.Open();
  reader.join();
  closer.join();
  EXPECT_TRUE(closed.ok()) << closed;
  auto again = OpenEphemeralStore(disk);
  EXPECT_EQ((*again)->Get(id)->access_count, 1);
  EXPECT_TRUE((*again)->Close().ok());
}

}  // namespace
}  // namespace aimem
