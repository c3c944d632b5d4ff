// Follower: keeps an index over a store's rows, behind the log.
//
// **Truth.** The index is derived: at any position it can be made again of the rows, and a view is
// used for a snapshot of the store only if its position is that snapshot's. Whoever asks brings it
// there: what the log has beyond a view names the keys that changed, their rows are read from the
// same snapshot, and a small segment with them goes on top of the others, where what they replace
// is marked deleted. Where the log does not reach back to a view (cut, given up, states that came
// without commits) the index is built anew, beside the questions, which scan the rows meanwhile.
//
// **Shape.** Segments are merged as in any log-structured index, so that there are few of them and
// what was deleted does not stay: small ones by who brings the view up to date; large ones in the
// background.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "lib/base/mutex.h"
#include "lib/index/changed.h"
#include "lib/index/view.h"

namespace aimem::index {

struct FollowerOptions {
  /// For one question so much is read from the log, and no more changes than an eighth of the
  /// documents that there are: then it is less than a scan. Beyond that the background does it.
  LogReach reach = {.changes = 20'000, .bytes = 8u << 20};
  /// So many changes are read whatever there is.
  std::size_t reach_min = 64;
  /// Segments of more documents in all are merged in the background alone.
  std::size_t merged_in_place = 4'096;
  /// How many segments of about the same size are merged into one. At least 2.
  std::size_t fan_in = 4;
};

/// Keeps the newest view and a few before it, for who began a little earlier. Thread-safe; its
/// mutex is a leaf, held to take and to publish views and over no I/O. Nobody waits for others: two
/// who ask at once may do the same work.
class Follower {
 public:
  explicit Follower(const FollowerOptions& options = {});

  /// What came of Cover.
  struct Covered {
    /// Of exactly what the transaction shows; null: the rows are to be scanned.
    std::shared_ptr<const View> view;
    /// The snapshot is older than all views that are kept: one that begins now may be answered.
    bool outrun = false;
  };
  /// A view of `transaction`, whose snapshot is at `position`, for a question. No view, and not
  /// outrun: there is none yet, or none from which the log leads there, or too far. Errors of the
  /// transaction.
  absl::StatusOr<Covered> Cover(Transaction& transaction, const Position& position)
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// Use `view`, which was made of an earlier state of the same store, unless there is one.
  void AdoptFirst(std::shared_ptr<const View> view) ABSL_LOCKS_EXCLUDED(mutex_);

  // -- In the background, by one thread at a time -------------------------------------------------
  /// As Cover, while that is less than to read all rows.
  absl::StatusOr<Covered> CatchUp(Transaction& transaction, const Position& position)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Use `view`, of such a state, in the place of all views that there are.
  void Adopt(std::shared_ptr<const View> view) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Make the index anew, of all rows of `transaction`, whose snapshot is at `position`. The views
  /// that there were are used until it is done. Errors of the transaction: they then stay.
  /// `next_page`: as of ScanDocuments.
  absl::Status Build(
      Transaction& transaction, const Position& position,
      absl::FunctionRef<void(std::int64_t)> next_page = [](std::int64_t) {})
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Large segments are to be merged.
  [[nodiscard]] bool WantsMerge() const ABSL_LOCKS_EXCLUDED(mutex_);
  /// Do one of these merges. False: there was none.
  bool Merge() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Make segments anew that have documents that are no more, so that nothing is left of these: of
  /// all that are no more when this begins.
  void Compact() ABSL_LOCKS_EXCLUDED(mutex_);

  /// The last view; null: none.
  [[nodiscard]] std::shared_ptr<const View> newest() const ABSL_LOCKS_EXCLUDED(mutex_);
  [[nodiscard]] const FollowerOptions& options() const { return options_; }

 private:
  using Views = std::deque<std::shared_ptr<const View>>;

  /// What a view is made from, and what was true when it was taken.
  struct Base {
    std::shared_ptr<const View> view;  // null: none from which the log could lead there
    bool outrun = false;
    std::uint64_t shape = 0;
    std::set<const Segment*> merging;
  };
  absl::StatusOr<Covered> Lead(const Base& base, Transaction& transaction, const Position& position,
                               const LogReach& reach) ABSL_LOCKS_EXCLUDED(mutex_);
  Base FindBase(const Position& position) const ABSL_LOCKS_EXCLUDED(mutex_);
  /// The view at `position`, made of `base`'s by what the keys of `changed` are now.
  absl::StatusOr<std::shared_ptr<const View>> Advance(
      const Base& base, Transaction& transaction, const Position& position,
      const std::vector<std::string>& changed) const;
  /// Unless there is a later one, or the segments were replaced meanwhile.
  void Publish(const Base& base, std::shared_ptr<const View> view,
               const std::vector<std::string>& changed) ABSL_LOCKS_EXCLUDED(mutex_);
  /// `view`, with other segments than those before it, as the only one. Returns these: what they
  /// hold is to end when the mutex is free.
  [[nodiscard]] Views Replace(std::shared_ptr<const View> view)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Merge what `pick` picks of layers, by place. False: nothing.
  bool MergePicked(absl::FunctionRef<std::vector<std::size_t>(std::span<const Layer>)> pick)
      ABSL_LOCKS_EXCLUDED(mutex_);
  [[nodiscard]] std::vector<std::size_t> PickLargeMerge(std::span<const Layer> layers) const;
  /// Put `merged` in the place of the segments that it was made of.
  void PublishMerged(Layer merged) ABSL_LOCKS_EXCLUDED(mutex_);
  void EndMerge() ABSL_LOCKS_EXCLUDED(mutex_);

  const FollowerOptions options_;

  mutable Mutex mutex_;
  Views views_ ABSL_GUARDED_BY(mutex_);  // the newest is the last
  /// Changes when the background begins or ends to replace segments: views that were made over
  /// those of before are good for who made them, and are not published.
  std::uint64_t shape_ ABSL_GUARDED_BY(mutex_) = 0;
  // The segments that are being merged, which nobody else merges, and which keys were published as
  // changed since that began.
  std::set<const Segment*> merging_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> changed_meanwhile_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace aimem::index
