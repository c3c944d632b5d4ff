#include <filesystem>
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "aimem/open.h"
#include "tests/support/temp_dir.h"

namespace aimem {
namespace {

using ::testing::HasSubstr;

absl::Status Open(const std::string& url, const OpenOptions& options = {}) {
  absl::StatusOr<std::unique_ptr<Store>> store = OpenStore(url, options);
  if (!store.ok()) return store.status();
  return (*store)->Close();
}

std::string Message(const absl::Status& status) {
  return std::string(status.message().data(), status.message().size());
}

class OpenStoreTest : public ::testing::Test {
 protected:
  const testing::TempDir dir_;
  const std::filesystem::path folder_ = dir_.path();
};

TEST_F(OpenStoreTest, NamesTheSchemeThatItDoesNotKnowWithoutThePassword) {
  const absl::Status status = Open("mysql://ann:s3cret@db/m");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Message(status),
            "unrecognised store URL: mysql://ann:***@db/m (expected sqlite:///path or "
            "postgres://...)");
}

TEST_F(OpenStoreTest, BackendIsThatOfTheUrl) {
  const std::string path = folder_ / "m.db";
  auto backend = OpenBackend("sqlite://" + path);
  ASSERT_TRUE(backend.ok()) << backend.status();
  EXPECT_EQ((*backend)->Url(), "sqlite://" + path);
  EXPECT_TRUE((*backend)->CheckDurable().ok());
  EXPECT_EQ((*OpenBackend(path, {.sync_writes = false}))->CheckDurable().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ((*OpenBackend("memory:"))->CheckDurable().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(OpenBackend("mysql://db/m").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(OpenStoreTest, SqliteUrlAndPathNameTheSameFile) {
  const std::string path = folder_ / "m.db";
  EXPECT_TRUE(Open("sqlite://" + path).ok());
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_TRUE(Open(path, {.create = false}).ok());
}

TEST_F(OpenStoreTest, RelativeUrlNamesAFileBelowTheWorkingFolder) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder_);
  EXPECT_TRUE(Open("sqlite://./relative.db").ok());
  std::filesystem::current_path(before);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "relative.db"));
}

TEST_F(OpenStoreTest, CreatesNothingWhenToldSo) {
  const std::string path = folder_ / "absent.db";
  EXPECT_EQ(Open(path, {.create = false}).code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_EQ(Open("memory:", {.create = false}).code(), absl::StatusCode::kNotFound);
}

TEST_F(OpenStoreTest, ReadOnlyStoreRefusesWrites) {
  const std::string path = folder_ / "m.db";
  ASSERT_TRUE(Open(path).ok());
  auto store = OpenStore(path, {.read_only = true});
  ASSERT_TRUE(store.ok()) << store.status();
  const WriteResult result = (*store)->Write(PutMemory{.title = "t", .content = "c"});
  EXPECT_EQ(result.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kFailedPrecondition) << result.status;
  EXPECT_TRUE((*store)->Close().ok());
}

TEST_F(OpenStoreTest, MemoryKeepsWhatItIsGivenUntilClosed) {
  auto store = OpenStore("memory:");
  ASSERT_TRUE(store.ok()) << store.status();
  const WriteResult result = (*store)->Write(PutMemory{.title = "t", .content = "c"});
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_TRUE((*store)->Get(result.items[0].id).ok());
  EXPECT_TRUE((*store)->Close().ok());
}

TEST_F(OpenStoreTest, UnreachableServerIsUnavailableAndShowsNoPassword) {
  // Port 1 of the loopback: nobody listens there.
  const absl::Status status = Open("postgres://ann:s3cret@127.0.0.1:1/m?aimem_schema=memories");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(Message(status), Not(HasSubstr("s3cret")));
  EXPECT_THAT(Message(status), HasSubstr("127.0.0.1"));
}

TEST_F(OpenStoreTest, SchemaInTheUrlIsChecked) {
  const absl::Status status = Open("postgres://ann@127.0.0.1:1/m?aimem_schema=no-such%20name");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
}

}  // namespace
}  // namespace aimem
