// Data: the four tables of an ephemeral disk, every cell with the versions that somebody needs.
//
// A commit makes a version. A reader sees, of each cell, the newest version not above its own; so
// readers never wait for the writer, and nothing is copied but what was written. Versions that
// neither a reader nor a crash could still ask for are collected when their successor is old.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "aimem/backends/backend.h"
#include "aimem/backends/ephemeral.h"
#include "lib/base/mutex.h"

namespace aimem::ephemeral {

/// The versions of one cell, ascending. A null value: not there from that version on.
template <typename T>
struct Cell {
  struct Version {
    std::uint64_t version = 0;
    std::shared_ptr<const T> value;
  };
  std::vector<Version> versions;

  /// What a reader at `version` sees; null if nothing.
  [[nodiscard]] std::shared_ptr<const T> At(std::uint64_t version) const {
    for (auto it = versions.rbegin(); it != versions.rend(); ++it) {
      if (it->version <= version) return it->value;
    }
    return nullptr;
  }
};

using LogPosition = std::pair<std::uint64_t, std::uint64_t>;    // stream, seq
using BlockPosition = std::pair<std::uint64_t, std::uint32_t>;  // segment, part
template <typename Key, typename T>
using Table = std::map<Key, Cell<T>>;

/// The cells that one commit wrote.
struct Touched {
  std::vector<EntityKey> rows;
  std::vector<LogPosition> log;
  std::vector<std::string> meta;
  std::vector<BlockPosition> blocks;
};

}  // namespace aimem::ephemeral

namespace aimem {

struct EphemeralDisk::Image {
  std::vector<EntityRow> rows;
  std::vector<LogRow> log;
  std::map<std::string, std::string> meta;
  std::vector<std::shared_ptr<const BlockRow>> blocks;  // shared with the disk
};

struct EphemeralDisk::Data {
  explicit Data(bool sync) : sync_every_commit(sync) {}

  const bool sync_every_commit;
  Mutex mutex;
  /// Signalled when the write lock is free.
  CondVar free;

  bool writing ABSL_GUARDED_BY(mutex) = false;
  std::uint64_t version ABSL_GUARDED_BY(mutex) = 0;  // the last commit
  std::uint64_t synced ABSL_GUARDED_BY(mutex) = 0;   // the last one that survives a crash
  /// Counts crashes: a transaction of an earlier life fails.
  std::uint64_t life ABSL_GUARDED_BY(mutex) = 0;
  /// Counts commits and crashes: whatever changes what a reader finds.
  std::uint64_t commits ABSL_GUARDED_BY(mutex) = 0;
  std::multiset<std::uint64_t> readers ABSL_GUARDED_BY(mutex);
  std::int64_t bytes ABSL_GUARDED_BY(mutex) = 0;

  ephemeral::Table<EntityKey, EntityRow> rows ABSL_GUARDED_BY(mutex);
  ephemeral::Table<ephemeral::LogPosition, LogRow> log ABSL_GUARDED_BY(mutex);
  ephemeral::Table<std::string, std::string> meta ABSL_GUARDED_BY(mutex);
  ephemeral::Table<ephemeral::BlockPosition, BlockRow> blocks ABSL_GUARDED_BY(mutex);
  // Indexes hold what any kept version has; a reader checks against the version it sees.
  std::set<std::pair<Hash256, EntityKey>> names ABSL_GUARDED_BY(mutex);
  std::set<std::pair<OperationId, ephemeral::LogPosition>> operations ABSL_GUARDED_BY(mutex);

  /// What each commit wrote, until its predecessors are collected. Ascending by version.
  std::deque<std::pair<std::uint64_t, ephemeral::Touched>> history ABSL_GUARDED_BY(mutex);

  /// Write `set` as `pending`, which is not committed. kAlreadyExists: nothing was written.
  absl::Status Write(const WriteSet& set, std::uint64_t pending, ephemeral::Touched& touched)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void SetBlock(const ephemeral::BlockPosition& position, std::shared_ptr<const BlockRow> row,
                std::uint64_t pending, ephemeral::Touched& touched)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  /// Take back all versions of the touched cells that are above `kept`.
  void Undo(const ephemeral::Touched& touched, std::uint64_t kept)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  /// Begin a new life, in which all transactions that are open fail.
  void EndTransactions() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  /// Drop the versions that nobody can see any more.
  void Collect() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

 private:
  [[nodiscard]] bool HasOperation(const OperationId& operation, std::uint64_t stream,
                                  std::uint64_t pending) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  [[nodiscard]] absl::Status CheckLog(const std::vector<LogRow>& added, std::uint64_t pending) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  /// kAlreadyExists: some of it was written.
  [[nodiscard]] absl::Status WriteBlocks(const WriteSet& set, std::uint64_t pending,
                                         ephemeral::Touched& touched)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void SetRow(const EntityRow& row, std::uint64_t pending, ephemeral::Touched& touched)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void SetLog(const ephemeral::LogPosition& position, std::shared_ptr<const LogRow> row,
              std::uint64_t pending, ephemeral::Touched& touched)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Keep of the cell at `key` the versions in [the newest <= floor, ceiling].
  void TrimRow(const EntityKey& key, std::uint64_t floor, std::uint64_t ceiling)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void TrimLog(const ephemeral::LogPosition& position, std::uint64_t floor, std::uint64_t ceiling)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void TrimMeta(const std::string& key, std::uint64_t floor, std::uint64_t ceiling)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void TrimBlock(const ephemeral::BlockPosition& position, std::uint64_t floor,
                 std::uint64_t ceiling) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void Trim(const ephemeral::Touched& touched, std::uint64_t floor, std::uint64_t ceiling)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
};

}  // namespace aimem
