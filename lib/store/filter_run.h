// A change by filter: select in a read, then write in commits of up to 1,000 ids each, one after
// the other; each tests the filter again on its rows.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/store.h"
#include "lib/base/background.h"
#include "lib/execute/execute.h"
#include "lib/store/foundation.h"
#include "lib/store/indexer.h"
#include "lib/store/job.h"
#include "lib/store/readers.h"
#include "lib/store/write_queue.h"

namespace aimem::store {

/// Owns itself until its last commit has been answered. One step after the other, so nothing is
/// guarded: the first in the background, each other one in the callback of the commit before.
class FilterRun : public std::enable_shared_from_this<FilterRun> {
 public:
  /// Where it runs. `background`: where it selects.
  struct Place {
    const Foundation& base;
    WriteQueue& queue;
    Readers& readers;
    Background& background;
    Indexer& indexer;
  };

  /// Take `job` over: select in the background, then queue commit after commit.
  static void Start(const Place& place, WriteJob job);

  FilterRun(const Place& place, WriteJob job) : place_(place), job_(std::move(job)) {}

 private:
  /// Answer that it was not taken.
  void Refuse(absl::Status status);
  /// Do a step; one that throws fails the request.
  template <typename Step>
  void Guard(Step step);
  void Fail(absl::Status status);
  void Begin();
  /// Find which commits of this request the log has already. True: all of them.
  absl::StatusOr<bool> FindEarlier(Transaction& transaction);
  absl::Status Select(Transaction& transaction, const execute::FilterRule& rule);
  /// What it would take is what was selected.
  void AnswerDryRun();
  void WriteNext();
  void Committed(WriteResult result);
  void Finish(WriteResult result);
  /// The answer where `failed` is how it ended: unknown, if some of its commits are durable,
  /// but denied where the next one is denied for good.
  [[nodiscard]] WriteResult Unfinished(WriteResult failed) const;
  [[nodiscard]] WriteResult Total(WriteResult last) const;
  /// The last answer, pending if one of its commits is.
  [[nodiscard]] WriteResult Delivered(WriteResult last) const;

  const Place place_;
  WriteJob job_;
  std::optional<WriteQueue::LongWork> work_;    // until the last commit has been answered
  ItemEffect effect_ = ItemEffect::kUnchanged;  // if it took any
  std::vector<std::string> ids_;
  std::size_t next_ = 0;
  std::uint64_t commit_ = 0;  // k of the next commit
  std::int64_t count_ = 0;
  bool replayed_ = false;
  VersionVector rests_on_;    // of all commits
  absl::Status undelivered_;  // of a commit that is durable here only
};

}  // namespace aimem::store
