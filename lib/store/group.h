// Group: the jobs that share a transaction, and what that adds to the store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "aimem/backends/backend.h"
#include "aimem/changes.h"
#include "lib/changes/streams.h"
#include "lib/log/commit.h"
#include "lib/store/job.h"

namespace aimem::store {

/// What a transaction knows of the log, and what it adds. Of whoever has the turn.
struct GroupLog {
  changes::Streams streams;
  WriteSet set;
  struct Known {
    log::CommitHeader header;
    VersionVector places;  // a commit that was given up stands in another stream as well
  };
  std::map<OperationId, Known> operations;                // those asked for and found
  std::set<OperationId> written;                          // of those, by this group
  std::set<OperationId> unreadable;                       // found, in commits that cannot be read
  std::set<std::pair<std::uint64_t, std::uint64_t>> own;  // places in `set` of what Append made
  std::uint64_t quorum = 0;                               // W, as the data says
  std::string index_place;                                // kMetaIndex, as it was
  bool installed = false;                                 // the group has a page of an install
  bool prepared = false;                                  // `streams` are what the store has
  bool moved = false;        // this group found the data elsewhere than before
  bool must_commit = false;  // what is in `set` counts also without commits

  [[nodiscard]] bool Empty() const;
  /// Append a commit of the own stream: `header` with its place, and `changes` with nonces.
  void Append(log::CommitHeader header, std::vector<log::Change> changes, Random& random);
};

/// How far the transaction of a group has come, for whoever has to end it half-way.
enum class Stage : std::uint8_t {
  kOpen,        ///< Nothing of it is there.
  kCommitting,  ///< It may be there, or not.
  kDurable      ///< It is there, and the jobs have their results.
};

struct Group {
  std::vector<Job> jobs;
  std::size_t bytes = 0;
  Stage stage = Stage::kOpen;
  GroupLog log;
};

}  // namespace aimem::store
