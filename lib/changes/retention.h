// How long the log keeps commits: by when they arrived here, and by how much there is.
//
// The clocks of commits say nothing about that: one far ahead would keep them for decades. So a
// store marks, 32 times in the time that its log is to be kept, where each stream ends; what lies
// before a mark is at least as old as the mark. Marks are kept in `meta`, and how old one is
// follows from how many came after it. A process that goes on counts by the clock that cannot jump;
// between processes the wall clock is believed for one step at a time, so that a jump ahead ages
// the log by one step, and a jump back by none.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "aimem/store_options.h"
#include "aimem/types.h"
#include "lib/changes/meta.h"

namespace aimem::changes {

/// So many steps make up the retention.
inline constexpr std::uint32_t kRetentionSteps = 32;

/// Where the streams of a log ended at a time.
struct LogMark {
  absl::Time at;            ///< By the wall clock here.
  std::uint32_t steps = 1;  ///< That had passed since the mark before, at least.
  VersionVector moved;      ///< The ends of the streams that had grown since then.

  friend bool operator==(const LogMark&, const LogMark&) = default;
};

/// The marks of a log, oldest first.
struct LogMarks {
  absl::Time counted_from;  ///< What the wall clock says is counted from here.
  std::vector<LogMark> marks;

  friend bool operator==(const LogMarks&, const LogMarks&) = default;
};

std::string EncodeLogMarks(const LogMarks& marks);
/// Those in `meta`; nullopt: none yet, or what is there does not decode (they only say how old the
/// log is: it is counted anew).
std::optional<LogMarks> LogMarksOf(const Meta& meta);

/// What is to be done about the log.
struct RetentionPlan {
  /// The marks that it was made from, as they were in `meta`: others there now, and it is void.
  std::string from;
  WriteSet set;               ///< Empty: nothing.
  absl::Duration look_again;  ///< From now.
  std::string warning;        ///< For a person; empty: none.
};

/// As much of a plan as one transaction may do, so that no write waits long for it.
struct RetentionPart {
  WriteSet set;
  bool last = false;  ///< Nothing of the plan is left after it: it writes the marks.
};
inline constexpr std::uint64_t kCutAtOnce = 1'000;  ///< Commits.
/// What is next, given what is left of the log, with these ends, in `transaction`.
absl::StatusOr<RetentionPart> NextPart(const RetentionPlan& plan, const VersionVector& heads,
                                       Transaction& transaction);

/// Decides what may go from the log. One thread at a time.
class Retention {
 public:
  explicit Retention(const StoreOptions& options);

  /// `found`: heads and meta in `transaction`. `held`: what all voters hold; nullopt: nobody else
  /// needs anything. `monotonic` is now on the clock that does not jump.
  absl::StatusOr<RetentionPlan> MakePlan(Transaction& transaction, const ReadResult& found,
                                         const std::optional<VersionVector>& held, absl::Time now,
                                         absl::Duration monotonic);

 private:
  struct Due {
    std::uint32_t steps = 0;  ///< To be marked; 0: none yet.
    absl::Duration left;      ///< Until the next is.
    bool count_anew = false;  ///< The wall clock went back.
  };
  Due FindDue(const std::optional<LogMarks>& marks, absl::Time now, absl::Duration monotonic);
  /// Bytes of the log up to each mark, since the one before.
  absl::StatusOr<std::vector<std::int64_t>> Measure(Transaction& transaction,
                                                    const LogMarks& marks);
  /// How many marks have to go for their bytes.
  absl::StatusOr<std::size_t> CutByBytes(Transaction& transaction, const LogMarks& marks,
                                         RetentionPlan& plan);

  const absl::Duration retention_;
  const absl::Duration step_;
  const std::int64_t max_bytes_;
  // Since when the present marks are counted, on the clock that does not jump.
  std::optional<absl::Time> counted_from_;
  absl::Duration counted_at_;
  // What was measured, by the bytes of the mark: nobody reads the log twice for it.
  std::map<std::string, std::int64_t> measured_;
};

/// For each stream of the log where it ended at the last mark that was made before `from`, or as
/// far back as the log reaches.
absl::StatusOr<VersionVector> FindLogFrom(Transaction& transaction, absl::Time from);

}  // namespace aimem::changes
