// FaultVfs: a SQLite VFS over the default one that fails on demand and can lose power.
//
//   FaultVfs vfs("faults");                     // SqliteOptions::vfs = "faults"
//   vfs.FailAt({.op = FaultVfs::Op::kSync, .nth = 3});
//
// Power cuts: TrackSyncs() before the first file is opened; then what was written is on the disk
// only once it was synced. CutPower() (or a fault of effect kPowerCut) fails all I/O from then on;
// when every connection is closed, RestorePower() leaves the files as such a disk might.
#pragma once

#include <sqlite3.h>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace aimem {

/// Thread-safe. Outlives every connection that uses it; its name is free again when it is gone.
/// Shared memory passes through, and is not counted.
class FaultVfs {
 public:
  enum class Op { kRead, kWrite, kSync, kTruncate, kOpen, kDelete };
  static constexpr int kOps = 6;

  /// Moments of a connection at which somebody else may come in between.
  enum class Moment {
    kCheckpointHasReadTheIndex,  ///< And does not yet act on it. Only if that had changed.
    kWriteLockReleased,
  };

  /// Call `hook` once, at the next such moment, on the thread of that connection. What it does must
  /// go through another VFS.
  void At(Moment moment, std::function<void()> hook);
  /// For the file's methods.
  void Reached(Moment moment);

  enum class Effect {
    kIoError,     ///< The system said EIO.
    kDiskFull,    ///< A write: ENOSPC, nothing of it written. Other operations: EIO.
    kQuota,       ///< A write: EDQUOT, nothing of it written. Other operations: EIO.
    kFileLimit,   ///< A write: EFBIG, nothing of it written. Other operations: EIO.
    kShortWrite,  ///< A write: ENOSPC after the first half. Other operations: EIO.
    kBitFlip,     ///< A read: one bit is wrong. Other operations: nothing.
    kPowerCut,    ///< From this operation on, power is off.
  };

  struct Fault {
    Op op = Op::kWrite;
    bool any_op = false;   ///< Whatever the operation.
    std::int64_t nth = 1;  ///< Counted from now, among those that match.
    bool sticky = false;   ///< Those after it too.
    Effect effect = Effect::kIoError;
    std::string suffix;  ///< Only files whose names end so: "-wal", ".db".
  };

  enum class Loss {
    kAll,   ///< All that was not synced is lost.
    kSome,  ///< Of each write, single sectors of 512 bytes may have made it, by the seed.
  };

  explicit FaultVfs(std::string name);
  ~FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }

  /// Replace the fault that is set.
  void FailAt(const Fault& fault);
  /// No fault from now on.
  void Heal();
  /// The fault has struck at least once since FailAt().
  [[nodiscard]] bool struck() const;
  [[nodiscard]] std::int64_t Count(Op op) const;

  /// From now on syncs are counted, and fail if they are to, but are not passed on: faster.
  void OmitSyncs();
  /// OmitSyncs(), and keep track of what would be lost without them. A sync that fails loses what
  /// it was to bring home, as Linux does: later reads still show it, and later syncs succeed.
  void TrackSyncs();
  void CutPower();
  /// Turn power on again: write to each file what the disk held, and forget what it lost. All
  /// connections must be closed.
  absl::Status RestorePower(Loss loss, std::uint64_t seed);

  // -- For the VFS itself ---------------------------------------------------------------------
  struct File;
  sqlite3_vfs* base() const { return base_; }
  /// What an operation on `path` is to do: nullopt, as asked.
  std::optional<Effect> Decide(Op op, const std::string& path);
  bool PowerIsOff() const;
  bool OmitsSyncs() const;
  void DidOpen(const std::string& path, bool created);
  void DidWrite(const std::string& path, std::string_view bytes, std::int64_t offset);
  void DidTruncate(const std::string& path, std::int64_t size);
  /// True: the real sync is left out.
  bool DidSync(const std::string& path);
  void DidFailToSync(const std::string& path);
  void DidDelete(const std::string& path, bool synced);

 private:
  struct Change {
    bool truncate = false;
    std::int64_t offset = 0;  ///< Or the size.
    std::string bytes;
  };
  /// A file as the disk has it, and what is on its way there.
  struct Disk {
    bool exists = false;  ///< Its name is in the folder for good.
    std::string bytes;
    std::vector<Change> changes;
  };

  const std::string name_;
  sqlite3_vfs* const base_;
  sqlite3_vfs vfs_{};

  mutable std::mutex mutex_;
  std::map<Moment, std::function<void()>> hooks_;
  Fault fault_;
  bool armed_ = false;
  bool struck_ = false;
  std::int64_t matched_ = 0;
  std::array<std::int64_t, kOps> counts_{};
  bool omitting_ = false;
  bool tracking_ = false;
  bool off_ = false;
  std::map<std::string, Disk> disk_;
  std::map<std::string, Disk> deleted_;  ///< May come back: the folder was not synced.
};

}  // namespace aimem
