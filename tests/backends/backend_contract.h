// The suite that every Backend passes. A backend's test instantiates it:
//
//   INSTANTIATE_TEST_SUITE_P(Sqlite, BackendContract,
//                            ::testing::Values(BackendUnderTest{.name = "Sqlite", .open = …}),
//                            BackendName);
//
// and links aimem_backend_contract, an object library that holds the bodies.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace aimem {

/// A backend and the ways in which it deviates.
struct BackendUnderTest {
  std::string name;
  /// Open the data that belongs to `dir`, an empty folder of the test's own at first. Opening the
  /// same `dir` again shows the same data, also while another backend has it open.
  std::function<absl::StatusOr<std::unique_ptr<Backend>>(const std::string& dir)> open;
  /// The same with a lock timeout of at most 100 ms. Null: the tests of time-outs are skipped.
  std::function<absl::StatusOr<std::unique_ptr<Backend>>(const std::string& dir)> open_impatient;
  /// Drop what belongs to `dir` outside of it (a schema); called at the end of a test.
  std::function<void(const std::string& dir)> drop;
};

inline std::ostream& operator<<(std::ostream& out, const BackendUnderTest& backend) {
  return out << backend.name;
}

/// The suffix of the tests' names.
inline std::string BackendName(const ::testing::TestParamInfo<BackendUnderTest>& info) {
  return info.param.name;
}

// Rows in short.
EntityRow MakeRow(Kind kind, std::string key, std::string state,
                  std::optional<Hash256> name = std::nullopt);
EntityRow MakeRow(std::string key, std::string state);  ///< A memory without a name.
LogRow MakeLogRow(std::uint64_t stream, std::uint64_t seq, std::uint64_t operation,
                  std::string bytes);
Hash256 MakeName(std::uint64_t number);
OperationId MakeOperation(std::uint64_t number);
ReadSet KeysOf(std::vector<std::string> keys);  ///< Memories.

/// Short, printable, and different for different bytes.
std::string ShowBytes(std::string_view bytes);
/// One line per row; for comparing and for messages.
std::string Describe(const EntityRow& row);
std::string Describe(const LogRow& row);
std::vector<std::string> Describe(const std::vector<EntityRow>& rows);
std::vector<std::string> Describe(const std::vector<LogRow>& rows);

/// BeginWrite, Put, Commit; the status of the first that failed.
absl::Status PutAndCommit(Backend& backend, const WriteSet& set);
/// BeginRead, Read.
absl::StatusOr<ReadResult> ReadOnce(Backend& backend, const ReadSet& set);
/// All entities, by pages of `max_rows`.
absl::StatusOr<std::vector<EntityRow>> ScanAll(Backend& backend, std::size_t max_rows = 1'000);
/// The states of `keys` (memories); "-" for what is absent, the error's text for an error.
std::vector<std::string> StatesOf(Backend& backend, std::vector<std::string> keys);

/// "part=bytes" of each block, "segment:blocks" of each segment; the error's text for an error.
std::vector<std::string> BlocksIn(const absl::StatusOr<std::vector<BlockRow>>& rows);
std::vector<std::string> CountsIn(const absl::StatusOr<std::vector<BlockCount>>& counts);
/// BeginRead, then all blocks of `segment`, or the counts.
std::vector<std::string> BlocksOfSegment(Backend& backend, std::uint64_t segment);
std::vector<std::string> CountsOf(Backend& backend);

class BackendContract : public ::testing::TestWithParam<BackendUnderTest> {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// Another backend over the data of this test.
  std::unique_ptr<Backend> Open();
  /// Close and open `backend_` again.
  void Reopen();
  [[nodiscard]] const std::string& dir() const { return folder_.path(); }

  testing::TempDir folder_;
  std::unique_ptr<Backend> backend_;
};

}  // namespace aimem
