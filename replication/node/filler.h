// Filler: fetches from a peer what its log does not hold any more, a page at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "aimem/changes.h"
#include "lib/base/mutex.h"
#include "replication/node/driver.h"
#include "replication/node/work_in_progress.h"

namespace aimem::replication {

/// Of one fetch at a time, as Actions::fetch_from asks for. Blocks in the store; its lock is a
/// leaf.
class Filler {
 public:
  /// `driver` is borrowed, and not called before Fill.
  explicit Filler(Driver& driver) : driver_(driver) {}

  /// Fetch from `peer` until the end, or until something fails; then Member::OnFetchEnded.
  void Fill(std::size_t peer, WorkInProgress::Token work) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  /// A fetch under way. Owned by the callback that waits for its next page.
  struct Filling {
    WorkInProgress::Token work;  // first: it ends last
    std::unique_ptr<PageStream> stream;
  };

  /// Where this fetch begins.
  ChangeCursor Begin(const absl::StatusOr<StoreInfo>& info) ABSL_LOCKS_EXCLUDED(mutex_);
  void NextPage(std::shared_ptr<Filling> filling) ABSL_LOCKS_EXCLUDED(mutex_);
  void TakePage(std::shared_ptr<Filling> filling, ChangePage page) ABSL_LOCKS_EXCLUDED(mutex_);
  void End(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

  Driver& driver_;
  Mutex mutex_;
  std::optional<ChangeCursor> from_ ABSL_GUARDED_BY(mutex_);
  bool anew_ ABSL_GUARDED_BY(mutex_) = false;  // whatever the store remembers
};

}  // namespace aimem::replication
