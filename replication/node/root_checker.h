// RootChecker: computes the root of all that this member holds, and finds where another one's
// differs.
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "aimem/requests.h"
#include "replication/node/driver.h"
#include "replication/node/news.h"
#include "replication/node/work_in_progress.h"

namespace aimem::replication {

/// Reads all rows: for the thread of scans.
class RootChecker {
 public:
  /// `driver` is borrowed, and not called before the others are.
  explicit RootChecker(Driver& driver) : driver_(driver) {}

  /// As Actions::compute_root asks; then Member::OnRoot.
  void ComputeRoot();
  /// As Actions::compare_with asks: what differs goes to the log.
  void CompareWith(std::size_t peer, WorkInProgress::Token work);

 private:
  static std::string DescribeDivergence(const std::string& peer, const DigestResult& ours,
                                        const DigestResult& theirs);

  Driver& driver_;
  News failure_;  // of the root
};

}  // namespace aimem::replication
