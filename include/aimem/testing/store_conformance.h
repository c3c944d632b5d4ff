// The suite that every Store passes, whatever holds its data. A host that brings a backend of its
// own runs it with one file:
//
//   INSTANTIATE_TEST_SUITE_P(
//       Mine, StoreConformance,
//       ::testing::Values(StoreUnderTest{
//           .name = "Mine",
//           .open = [](const std::string& dir, const StoreOptions& options) {
//             return OpenLocalStore(OpenMyBackend(dir), options);
//           }}),
//       StoreUnderTestName);
//
// and links aimem::testing and GTest::gtest_main.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "aimem/local_store.h"
#include "aimem/store.h"
#include "aimem/testing/manual_clock.h"
#include "gtest/gtest.h"

namespace aimem {

namespace conformance {
/// Asks for every test of the suite. Of a static library a linker takes the object files that are
/// asked for, and INSTANTIATE_TEST_SUITE_P asks for none: what includes this header does.
struct AllTests {
  AllTests();
};
inline const AllTests kAllTests;
}  // namespace conformance

/// A store, and the ways in which it deviates.
struct StoreUnderTest {
  /// Suffix of the tests' names: letters and digits.
  std::string name = {};
  /// Open the store whose data belongs to `dir`, at first an empty folder of the test's own.
  /// `options` must be passed on: they hold the test's clock.
  std::function<absl::StatusOr<std::unique_ptr<Store>>(const std::string& dir,
                                                       const StoreOptions& options)>
      open = {};
  /// Drop what belongs to `dir` outside of it (a schema, a disk). May be null.
  std::function<void(const std::string& dir)> drop = {};
  /// False: what was written is gone when the store is closed. Tests that reopen are skipped.
  bool persistent = true;
  /// Close and open again after every write of a test: whatever a store keeps in memory only,
  /// and should have written, is missed.
  bool reopen_after_writes = false;
};

inline std::ostream& operator<<(std::ostream& out, const StoreUnderTest& store) {
  return out << store.name;
}

inline std::string StoreUnderTestName(const ::testing::TestParamInfo<StoreUnderTest>& info) {
  return info.param.name;
}

/// The fixture. At the end of each test every store that it opened is checked (Store::Check must
/// find no problem) and closed.
class StoreConformance : public ::testing::TestWithParam<StoreUnderTest> {
 public:
  StoreConformance();
  ~StoreConformance() override;

 protected:
  void SetUp() override;
  void TearDown() override;

  /// The store under test; after Reopen, another object.
  [[nodiscard]] Store& store() { return *stores_[0].store; }
  [[nodiscard]] ManualClock& clock() { return clock_; }
  [[nodiscard]] absl::Time Now() { return clock_.Now(); }

  /// A second, third … store, of a folder of its own. Lives until the end of the test.
  Store& OpenOther();
  /// The data of store() a second time, beside it; the caller closes it.
  std::unique_ptr<Store> OpenAgain();
  /// Close store() and open it again.
  void Reopen();

  // -- Writing ----------------------------------------------------------------------------------
  /// Write to store(), then reopen it if the parameter says so.
  WriteResult Write(WriteBatch batch, const WriteOptions& options = {});
  /// One item; the batch must be committed.
  ItemResult Do(WriteItem item, const WriteOptions& options = {});
  /// The same, returning the id.
  std::string Id(WriteItem item, const WriteOptions& options = {});
  /// One item that must be refused, with nothing written. Returns its status.
  absl::Status Refusal(WriteItem item, const WriteOptions& options = {});

  // -- Reading ----------------------------------------------------------------------------------
  /// The memory `id`; a failure of the test and an empty one if there is none.
  Memory Stored(const std::string& id);
  [[nodiscard]] bool Live(const std::string& id);
  std::vector<ArchivedMemory> Archive();
  std::vector<Link> Links();

 private:
  struct OpenStore {
    std::string dir = {};
    std::unique_ptr<Store> store = {};
  };

  [[nodiscard]] StoreOptions Options();
  void Open(OpenStore& entry);

  ManualClock clock_;
  std::string folder_;
  std::vector<OpenStore> stores_;
};

}  // namespace aimem
