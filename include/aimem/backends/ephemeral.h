// Ephemeral: rows in memory, with a durability that a test or simulation decides.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "aimem/store.h"
#include "aimem/store_options.h"

namespace aimem {

/// The data of an ephemeral store: outlives the stores over it, as a disk outlives a process.
///
/// Thread-safe.
class EphemeralDisk {
 public:
  /// True (default): every commit is durable at once. False: only after Sync().
  explicit EphemeralDisk(bool sync_every_commit = true);
  ~EphemeralDisk();
  EphemeralDisk(const EphemeralDisk&) = delete;
  EphemeralDisk& operator=(const EphemeralDisk&) = delete;

  /// Make all that was committed durable.
  void Sync();
  /// Lose what was committed since the last Sync(). Open transactions fail from then on.
  void Crash();

  /// What is durable now, kept for Restore.
  struct Image;
  [[nodiscard]] std::shared_ptr<const Image> Snapshot() const;
  /// Put the disk back to `image`, one of this disk or of another: whatever was written since is
  /// gone, and nothing tells whoever opens it. Open transactions fail from then on.
  void Restore(const std::shared_ptr<const Image>& image);

  struct Data;
  [[nodiscard]] const std::shared_ptr<Data>& data() const { return data_; }

 private:
  std::shared_ptr<Data> data_;
};

/// Rows in memory. `disk` null: a disk of its own, gone with the backend, on which no member of a
/// federation may write (Backend::CheckDurable).
std::unique_ptr<Backend> OpenEphemeralBackend(std::shared_ptr<EphemeralDisk> disk = nullptr);

absl::StatusOr<std::unique_ptr<Store>> OpenEphemeralStore(
    std::shared_ptr<EphemeralDisk> disk = nullptr, const StoreOptions& options = {});

}  // namespace aimem
