#include <string>

#include "aimem/backends/sqlite.h"
#include "aimem/testing/store_conformance.h"

namespace aimem {
namespace {

// Nothing is gained by waiting for the disk here: other tests cut the power.
constexpr bool kSyncWrites = false;

absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& dir, const StoreOptions& options) {
  return OpenSqliteStore(dir + "/m.db", {.sync_writes = kSyncWrites}, options);
}

absl::StatusOr<std::unique_ptr<Store>> OpenGroupsOfOne(const std::string& dir,
                                                       const StoreOptions& options) {
  StoreOptions small = options;
  small.group_commit_max = 1;
  return Open(dir, small);
}

INSTANTIATE_TEST_SUITE_P(Backend, StoreConformance,
                         ::testing::Values(StoreUnderTest{.name = "Sqlite", .open = Open},
                                           StoreUnderTest{.name = "SqliteGroupsOfOne",
                                                          .open = OpenGroupsOfOne},
                                           StoreUnderTest{.name = "SqliteReopenAfterEveryStep",
                                                          .open = Open,
                                                          .reopen_after_writes = true}),
                         StoreUnderTestName);

}  // namespace
}  // namespace aimem
