#include "aimem/testing/store_conformance.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>

#include "testing/support.h"

namespace aimem {
namespace {

// With a fraction, so that a store that cuts nanoseconds is found out.
absl::Time FirstTime() {
  return absl::FromUnixNanos(1'772'366'400'123'456'789);  // 2026-03-01T12:00:00.123456789Z
}

std::string FolderOf(const ::testing::TestInfo& info) {
  std::string name = std::string("aimem-") + info.name() + "-" + std::to_string(getpid());
  std::replace(name.begin(), name.end(), '/', '-');
  return std::filesystem::path(::testing::TempDir()) / name;
}

}  // namespace

conformance::AllTests::AllTests() {
  LinkPutTests();
  LinkImportTests();
  LinkGovernanceTests();
  LinkPatchTests();
  LinkArchiveTests();
  LinkEraseTests();
  LinkLinkTests();
  LinkBatchTests();
  LinkFindTests();
  LinkFollowTests();
  LinkFeedTests();
  LinkLifeTests();
}

StoreConformance::StoreConformance() : clock_(FirstTime()) {}

StoreConformance::~StoreConformance() = default;

StoreOptions StoreConformance::Options() {
  StoreOptions options;
  options.environment.clock = &clock_;
  return options;
}

void StoreConformance::Open(OpenStore& entry) {
  absl::StatusOr<std::unique_ptr<Store>> opened = GetParam().open(entry.dir, Options());
  ASSERT_TRUE(opened.ok()) << opened.status();
  entry.store = *std::move(opened);
}

void StoreConformance::SetUp() {
  folder_ = FolderOf(*::testing::UnitTest::GetInstance()->current_test_info());
  std::filesystem::remove_all(folder_);
  OpenOther();
}

void StoreConformance::TearDown() {
  for (OpenStore& entry : stores_) {
    if (!entry.store) continue;
    // A test that closed its store has nothing to be checked any more.
    const absl::StatusOr<CheckReport> report = entry.store->Check();
    if (report.status().code() != absl::StatusCode::kUnavailable) {
      EXPECT_TRUE(report.ok()) << report.status();
      for (const std::string& problem :
           report.ok() ? report->problems : std::vector<std::string>{}) {
        ADD_FAILURE() << "Check: " << problem;
      }
    }
    const absl::Status closed = entry.store->Close();
    EXPECT_TRUE(closed.ok()) << closed;
    entry.store.reset();
    if (GetParam().drop) GetParam().drop(entry.dir);
  }
  std::filesystem::remove_all(folder_);
}

Store& StoreConformance::OpenOther() {
  OpenStore& entry = stores_.emplace_back();
  entry.dir = folder_ + "/" + std::to_string(stores_.size());
  std::filesystem::create_directories(entry.dir);
  Open(entry);
  if (!entry.store) throw std::runtime_error("the store under test does not open");
  return *entry.store;
}

std::unique_ptr<Store> StoreConformance::OpenAgain() {
  absl::StatusOr<std::unique_ptr<Store>> opened = GetParam().open(stores_[0].dir, Options());
  EXPECT_TRUE(opened.ok()) << opened.status();
  return opened.ok() ? *std::move(opened) : nullptr;
}

void StoreConformance::Reopen() {
  OpenStore& entry = stores_[0];
  const absl::Status closed = entry.store->Close();
  EXPECT_TRUE(closed.ok()) << closed;
  entry.store.reset();
  Open(entry);
  if (!entry.store) throw std::runtime_error("the store under test does not open again");
}

WriteResult StoreConformance::Write(WriteBatch batch, const WriteOptions& options) {
  WriteResult result = store().Write(std::move(batch), options);
  if (GetParam().reopen_after_writes && GetParam().persistent) Reopen();
  return result;
}

ItemResult StoreConformance::Do(WriteItem item, const WriteOptions& options) {
  const WriteResult result = Write(std::move(item), options);
  EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.items.size(), 1u);
  if (result.items.size() != 1) return {.status = result.status, .id = {}};
  EXPECT_TRUE(result.items[0].status.ok()) << result.items[0].status;
  return result.items[0];
}

std::string StoreConformance::Id(WriteItem item, const WriteOptions& options) {
  return Do(std::move(item), options).id;
}

absl::Status StoreConformance::Refusal(WriteItem item, const WriteOptions& options) {
  const VersionVector before = conformance::Vector(store());
  const WriteResult result = Write(std::move(item), options);
  EXPECT_EQ(result.outcome, WriteOutcome::kRejected);
  EXPECT_FALSE(result.status.ok());
  EXPECT_EQ(conformance::Vector(store()), before) << "a refused batch was written";
  if (result.items.size() != 1) return result.status;
  EXPECT_EQ(result.items[0].status.code(), result.status.code()) << result.status;
  return result.items[0].status;
}

Memory StoreConformance::Stored(const std::string& id) {
  absl::StatusOr<Memory> memory = store().Get(id);
  EXPECT_TRUE(memory.ok()) << id << ": " << memory.status();
  return memory.ok() ? *std::move(memory) : Memory{};
}

bool StoreConformance::Live(const std::string& id) { return store().Get(id).ok(); }

std::vector<ArchivedMemory> StoreConformance::Archive() {
  ListRequest request;
  request.kind = ListKind::kArchived;
  request.limit = 1'000'000;
  absl::StatusOr<ListResult> result = store().List(request);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? std::move(result->archived) : std::vector<ArchivedMemory>{};
}

std::vector<Link> StoreConformance::Links() {
  ListRequest request;
  request.kind = ListKind::kLinks;
  request.limit = 1'000'000;
  absl::StatusOr<ListResult> result = store().List(request);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? std::move(result->links) : std::vector<Link>{};
}

}  // namespace aimem
