// A storm: four writers and two readers on one store, the writers killed and started again at
// random, and a comparison of every answer that they had with what is there in the end.
//
// Write n of a writer, by n % 8:
//   0-2  puts a memory of its own, in kOwn; later updates it
//   3, 4 puts, patches "version n" into its one memory in kVersions
//   5    puts a memory in kShared that all writers put
//   6    touches the one memory in kCounter
//   7    links a memory of its own to that; later unlinks it
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace aimem::process {

inline constexpr int kStormWriters = 4;
inline constexpr int kStormReaders = 2;
inline constexpr int kSharedTitles = 3;
/// Titles that a writer has of its own; a multiple of 3.
inline constexpr std::int64_t kOwnTitles = 3'000;

inline constexpr char kOwn[] = "storm/own";
inline constexpr char kVersions[] = "storm/versions";
inline constexpr char kShared[] = "storm/shared";
inline constexpr char kCounter[] = "storm/counter";

/// Numbers that the processes of a storm share: the last version of each writer that was
/// acknowledged. A reader must never see less than what it found here before it read.
class Board {
 public:
  /// Map the file at `path`, made if absent.
  static absl::StatusOr<Board> Open(const std::string& path);
  ~Board();
  Board(Board&& other) noexcept;
  Board& operator=(Board&&) = delete;

  std::atomic<std::int64_t>& Version(int writer) { return versions_[writer]; }

 private:
  explicit Board(std::atomic<std::int64_t>* versions) : versions_(versions) {}

  std::atomic<std::int64_t>* versions_;
};

struct StormOptions {
  std::string url;
  std::string folder;  ///< Empty, for journals.
  absl::Duration duration;
  std::uint64_t seed = 0;
};

/// 10 s, or 10 min if AIMEM_SOAK is set to 1.
absl::Duration StormDuration();

/// AIMEM_SEED, or a fresh one.
std::uint64_t StormSeed();

/// Let the storm pass over a new store, and fail the running test for all that is wrong then.
void RunStorm(const StormOptions& options);

}  // namespace aimem::process
