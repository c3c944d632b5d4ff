// The index that is kept in a PostgreSQL database, which several servers share.
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "aimem/backends/postgres.h"
#include "aimem/local_store.h"
#include "aimem/testing/manual_clock.h"
#include "gtest/gtest.h"
#include "lib/index/manifest.h"
#include "lib/recall/list.h"
#include "lib/recall/search.h"
#include "support/postgres/postgres_server.h"
#include "tests/store/hits.h"
#include "tests/support/all_lists.h"
#include "tests/support/batches.h"
#include "tests/support/eventually.h"
#include "tests/support/hooked_backend.h"

namespace aimem {
namespace {

using testing::Eventually;
using testing::OnePut;

constexpr char kWord[] = "xyzzyplugh";

class KeptIndexInPostgres : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = support::PostgresServer::Start();
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    ASSERT_EQ(server_->CreateDatabase("shared"), absl::OkStatus());
  }

  std::unique_ptr<Backend> OpenBackend() const {
    auto backend = OpenPostgresBackend(server_->Url("shared"));
    EXPECT_TRUE(backend.ok()) << backend.status();
    return *std::move(backend);
  }
  std::unique_ptr<Store> Open(testing::Hooks hooks = {}) {
    auto store =
        OpenLocalStore(std::make_unique<testing::HookedBackend>(OpenBackend(), std::move(hooks)),
                       {.environment = {.clock = &clock_}});
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  static void Write(Store& store, int first, int count) {
    WriteBatch batch;
    for (int i = first; i < first + count; ++i) {
      batch.items.push_back(
          OnePut(absl::StrCat("title ", i), absl::StrCat("apples ", i)).items.front());
      if (batch.items.size() < 500 && i + 1 < first + count) continue;
      const WriteResult result = store.Write(std::exchange(batch, {}));
      ASSERT_TRUE(result.status.ok()) << result.status;
    }
  }
  std::uint64_t CommitsKept() const {
    const auto backend = OpenBackend();
    const ReadResult read = *(*backend->BeginRead())->Read({.meta = true});
    const auto place = read.meta.find("index");
    if (place == read.meta.end()) return 0;
    const auto decoded = index::DecodeManifestPlace(place->second);
    return decoded.ok() ? decoded->commits : 0;
  }
  void ExpectRight(Store& store) {
    const auto backend = OpenBackend();
    for (const char* query : {"apples", "title 77", kWord}) {
      const SearchRequest request = {.query = query};
      const auto transaction = *backend->BeginRead();
      EXPECT_EQ(HitsOf(store.Search(request)),
                HitsOf(recall::Search(*transaction, request, clock_.Now(), nullptr)))
          << query;
    }
    const auto transaction = *backend->BeginRead();
    const std::vector<std::string> scanned = testing::AllLists([&](const ListRequest& request) {
      return recall::List(*transaction, request, clock_.Now(), nullptr);
    });
    EXPECT_EQ(testing::AllLists([&](const ListRequest& request) { return store.List(request); }),
              scanned);
  }
  int RowsWithWord() const {
    const auto counted = server_->Execute(
        "shared",
        "SELECT count(*) FROM aimem.block WHERE position('xyzzyplugh'::bytea in bytes) > 0");
    EXPECT_TRUE(counted.ok()) << counted.status();
    return counted.ok() && counted->size() == 1 ? std::stoi(counted->front()) : -1;
  }

  ManualClock clock_{absl::FromUnixSeconds(1'772'366'400)};
  std::unique_ptr<support::PostgresServer> server_;
};

TEST_F(KeptIndexInPostgres, IsSharedByServersAndHasNoWordOfWhatWasErased) {
  const auto one = Open();
  const auto other = Open();
  const WriteResult put = one->Write(OnePut("to be erased", kWord));
  ASSERT_TRUE(put.status.ok()) << put.status;
  int next = 0;
  for (Store* store : {one.get(), other.get(), one.get()}) {
    const std::uint64_t before = CommitsKept();
    Write(*store, next, 1'500);
    next += 1'500;
    EXPECT_TRUE(Eventually([&] { return CommitsKept() > before; }));
    ExpectRight(*one);
    ExpectRight(*other);
  }
  EXPECT_GT(RowsWithWord(), 0);
  const WriteResult erased = other->Write(EraseMemory{.id = put.items[0].id});
  ASSERT_TRUE(erased.status.ok()) << erased.status;
  EXPECT_FALSE(erased.erasing);
  EXPECT_EQ(RowsWithWord(), 0);
  EXPECT_TRUE(Eventually([&] {
    Write(*one, next, 1'500);  // an index that cannot be made now is with the next ones
    return CommitsKept() > 0;
  }));
  EXPECT_EQ(RowsWithWord(), 0);
  ExpectRight(*one);
  EXPECT_TRUE(one->Close().ok());
  EXPECT_TRUE(other->Close().ok());
  std::atomic<int> scans = 0;
  const auto fresh = Open({.scan = [&] { ++scans; }});
  ExpectRight(*fresh);
  EXPECT_EQ(scans, 0);
  EXPECT_TRUE(fresh->Close().ok());
}

}  // namespace
}  // namespace aimem
