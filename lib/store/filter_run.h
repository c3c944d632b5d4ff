// A change by filter: select in a read, then write in commits of up to 1,000 ids each, one after
// the other; each tests the filter again on its rows.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/store/local_store.h"

namespace aimem::store {

/// Owns itself until its last commit has been answered.
class FilterRun : public std::enable_shared_from_this<FilterRun> {
 public:
  /// Take `job` over: select in the background, then queue commit after commit.
  static void Start(LocalStore& store, LocalStore::WriteJob job);

  FilterRun(LocalStore& store, LocalStore::WriteJob job) : store_(store), job_(std::move(job)) {}

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
  void WriteNext();
  void Committed(WriteResult result);
  void Finish(WriteResult result);
  /// The answer where `failed` is how it ended: unknown, if some of its commits are durable.
  [[nodiscard]] WriteResult Unfinished(WriteResult failed) const;
  [[nodiscard]] WriteResult Total(WriteResult last) const;
  /// The last answer, pending if one of its commits is.
  [[nodiscard]] WriteResult Delivered(WriteResult last) const;

  LocalStore& store_;
  LocalStore::WriteJob job_;
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
