// Reconciler: streams whose history broke: a new one is drawn, and two histories of one become one.
// See docs/decisions/0013-a-streams-life.md.
//
// Where they part is searched for back from the shorter one's end, in steps that double, and then
// by halves: a commit that both hold proves all before it, since each names the hash of the one
// before.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/changes.h"
#include "replication/node/driver.h"
#include "replication/node/work_in_progress.h"

namespace aimem::replication {

/// Of one stream at a time. Has no state of its own: what it has found out is owned by the callback
/// that waits for more.
class Reconciler {
 public:
  /// `driver` is borrowed, and not called before the others are.
  explicit Reconciler(Driver& driver) : driver_(driver) {}

  /// As Actions::forsake asks: draw a new stream; then Member::OnForsaken.
  void Forsake(const Actions::Forsake& job, WorkInProgress::Token work);

  /// As Actions::reconcile asks: find the last commit that this member and a peer both hold of a
  /// stream, and yield ours after it; then Member::OnReconciled. Blocks in the store.
  void Reconcile(Actions::Reconcile errand, WorkInProgress::Token work);

 private:
  struct Comparing;

  void CompareNext(std::shared_ptr<Comparing> comparing);
  void Compare(std::shared_ptr<Comparing> comparing, const ChangePage& page);
  void YieldAfterCommon(const std::shared_ptr<Comparing>& comparing);
  absl::StatusOr<StreamHead> OurHeadAt(const Comparing& comparing);
  void End(const Actions::Reconcile& errand, const absl::Status& status);

  Driver& driver_;
};

}  // namespace aimem::replication
