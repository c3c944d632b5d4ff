#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/environment.h"
#include "backends/ephemeral/data.h"
#include "lib/base/mutex.h"
#include "lib/base/status.h"

namespace aimem::ephemeral {
namespace {

// A second writer of the process waits so long, as with the default of the other backends.
constexpr absl::Duration kLockTimeout = absl::Seconds(30);

class EphemeralTransaction final : public Transaction {
 public:
  /// `own` counts the commits of its backend.
  EphemeralTransaction(std::shared_ptr<EphemeralDisk::Data> data, bool writes, std::uint64_t life,
                       std::uint64_t version, std::shared_ptr<std::atomic<std::uint64_t>> own)
      : data_(std::move(data)),
        writes_(writes),
        life_(life),
        own_(std::move(own)),
        version_(version) {}
  ~EphemeralTransaction() override {
    MutexLock lock(data_->mutex);
    End();
  }

  absl::StatusOr<ReadResult> Read(const ReadSet& set) override;
  absl::StatusOr<std::vector<EntityRow>> Scan(const ScanRequest& request) override;
  absl::StatusOr<std::vector<LogRow>> ReadLog(std::uint64_t stream, std::uint64_t after,
                                              std::size_t max_rows, std::size_t max_bytes) override;
  absl::StatusOr<std::vector<BlockRow>> ReadBlocks(std::uint64_t segment, std::uint32_t first,
                                                   std::size_t max_bytes) override;
  absl::StatusOr<std::vector<BlockCount>> CountBlocks() override;
  absl::Status Put(const WriteSet& set) override;
  CommitResult Commit() override;

 private:
  [[nodiscard]] absl::Status Usable() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(data_->mutex);
  void ReadRows(const ReadSet& set, ReadResult& result) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(data_->mutex);
  void ReadNamed(const ReadSet& set, ReadResult& result) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(data_->mutex);
  void ReadOperations(const ReadSet& set, ReadResult& result) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(data_->mutex);
  void ReadHeads(ReadResult& result) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(data_->mutex);
  /// Roll back if not committed, release the lock or the snapshot. Idempotent.
  void End() ABSL_EXCLUSIVE_LOCKS_REQUIRED(data_->mutex);

  const std::shared_ptr<EphemeralDisk::Data> data_;
  const bool writes_;
  const std::uint64_t life_;
  const std::shared_ptr<std::atomic<std::uint64_t>> own_;
  /// What it sees. After Put: the version that it is about to commit.
  std::uint64_t version_;
  bool put_ = false;
  bool refused_ = false;
  bool over_ = false;
  Touched touched_;
};

absl::Status EphemeralTransaction::Usable() const {
  if (over_) return absl::FailedPreconditionError("the transaction is over");
  if (data_->life != life_) {
    return absl::UnavailableError("the ephemeral disk crashed during the transaction: retry");
  }
  return absl::OkStatus();
}

void EphemeralTransaction::ReadRows(const ReadSet& set, ReadResult& result) const {
  result.rows.reserve(set.keys.size());
  for (const EntityKey& key : set.keys) {
    const auto found = data_->rows.find(key);
    const auto row = found == data_->rows.end() ? nullptr : found->second.At(version_);
    result.rows.push_back(row ? std::optional<EntityRow>(*row) : std::nullopt);
  }
}

void EphemeralTransaction::ReadNamed(const ReadSet& set, ReadResult& result) const {
  std::set<EntityKey> keys;
  for (const Hash256& name : set.names) {
    for (auto it = data_->names.lower_bound({name, EntityKey{Kind{0}, ""}});
         it != data_->names.end() && it->first == name; ++it) {
      const auto row = data_->rows.at(it->second).At(version_);
      if (row && row->name == name) keys.insert(it->second);
    }
  }
  for (const EntityKey& key : keys) result.named.push_back(*data_->rows.at(key).At(version_));
}

void EphemeralTransaction::ReadOperations(const ReadSet& set, ReadResult& result) const {
  const std::set<OperationId> wanted(set.operations.begin(), set.operations.end());
  for (const OperationId& operation : wanted) {
    for (auto it = data_->operations.lower_bound({operation, LogPosition{0, 0}});
         it != data_->operations.end() && it->first == operation; ++it) {
      const auto row = data_->log.at(it->second).At(version_);
      if (row && row->operation == operation) result.operations.push_back(*row);
    }
  }
}

void EphemeralTransaction::ReadHeads(ReadResult& result) const {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  auto it = data_->log.begin();
  while (it != data_->log.end()) {
    const std::uint64_t stream = it->first.first;
    const auto begin = it;
    it = data_->log.upper_bound({stream, kMax});
    for (auto last = it; last != begin;) {
      --last;
      if (const auto row = last->second.At(version_)) {
        LogRow& head = result.heads.emplace_back(*row);
        if (head.bytes.size() > kLogHeadBytes) head.bytes.resize(kLogHeadBytes);
        break;
      }
    }
  }
}

absl::StatusOr<ReadResult> EphemeralTransaction::Read(const ReadSet& set) {
  MutexLock lock(data_->mutex);
  AIMEM_RETURN_IF_ERROR(Usable());
  ReadResult result;
  ReadRows(set, result);
  ReadNamed(set, result);
  ReadOperations(set, result);
  if (set.heads) ReadHeads(result);
  if (set.meta) {
    for (const auto& [key, cell] : data_->meta) {
      if (const auto value = cell.At(version_)) result.meta.emplace(key, *value);
    }
  }
  return result;
}

absl::StatusOr<std::vector<EntityRow>> EphemeralTransaction::Scan(const ScanRequest& request) {
  if (!request.prefix.empty() && !request.kind) {
    return absl::InvalidArgumentError("a scan with a prefix needs a kind");
  }
  std::vector<std::shared_ptr<const EntityRow>> found;
  {
    MutexLock lock(data_->mutex);
    AIMEM_RETURN_IF_ERROR(Usable());
    auto it = data_->rows.begin();
    if (request.kind) it = data_->rows.lower_bound({*request.kind, request.prefix});
    if (request.after && it != data_->rows.end() && it->first <= *request.after) {
      it = data_->rows.upper_bound(*request.after);
    }
    std::size_t bytes = 0;
    for (; it != data_->rows.end(); ++it) {
      if (found.size() >= request.max_rows || bytes >= request.max_bytes) break;
      if (request.kind &&
          (it->first.kind != *request.kind || !it->first.key.starts_with(request.prefix))) {
        break;
      }
      if (auto row = it->second.At(version_)) {
        bytes += row->state.size();
        found.push_back(std::move(row));
      }
    }
  }
  std::vector<EntityRow> rows;
  rows.reserve(found.size());
  for (const auto& row : found) rows.push_back(*row);
  return rows;
}

absl::StatusOr<std::vector<LogRow>> EphemeralTransaction::ReadLog(std::uint64_t stream,
                                                                  std::uint64_t after,
                                                                  std::size_t max_rows,
                                                                  std::size_t max_bytes) {
  std::vector<LogRow> rows;
  std::size_t bytes = 0;
  MutexLock lock(data_->mutex);
  AIMEM_RETURN_IF_ERROR(Usable());
  for (auto it = data_->log.upper_bound({stream, after});
       it != data_->log.end() && it->first.first == stream; ++it) {
    if (rows.size() >= max_rows || bytes >= max_bytes) break;
    if (const auto row = it->second.At(version_)) {
      bytes += row->bytes.size();
      rows.push_back(*row);
    }
  }
  return rows;
}

absl::StatusOr<std::vector<BlockRow>> EphemeralTransaction::ReadBlocks(std::uint64_t segment,
                                                                       std::uint32_t first,
                                                                       std::size_t max_bytes) {
  std::vector<BlockRow> rows;
  std::size_t bytes = 0;
  MutexLock lock(data_->mutex);
  AIMEM_RETURN_IF_ERROR(Usable());
  for (auto it = data_->blocks.lower_bound({segment, first});
       it != data_->blocks.end() && it->first.first == segment && bytes < max_bytes; ++it) {
    if (const auto row = it->second.At(version_)) {
      bytes += row->bytes.size();
      rows.push_back(*row);
    }
  }
  return rows;
}

absl::StatusOr<std::vector<BlockCount>> EphemeralTransaction::CountBlocks() {
  std::vector<BlockCount> counts;
  MutexLock lock(data_->mutex);
  AIMEM_RETURN_IF_ERROR(Usable());
  for (const auto& [position, cell] : data_->blocks) {
    if (!cell.At(version_)) continue;
    if (counts.empty() || counts.back().segment != position.first) {
      counts.push_back({.segment = position.first});
    }
    ++counts.back().blocks;
  }
  return counts;
}

absl::Status EphemeralTransaction::Put(const WriteSet& set) {
  MutexLock lock(data_->mutex);
  AIMEM_RETURN_IF_ERROR(Usable());
  if (!writes_) return absl::FailedPreconditionError("a read transaction cannot write");
  if (put_) return absl::FailedPreconditionError("a transaction writes once");
  if (absl::Status status = data_->Write(set, version_ + 1, touched_); !status.ok()) {
    refused_ = true;
    return status;
  }
  put_ = true;
  ++version_;
  return absl::OkStatus();
}

CommitResult EphemeralTransaction::Commit() {
  MutexLock lock(data_->mutex);
  if (absl::Status status = Usable(); !status.ok()) {
    return {CommitOutcome::kNotDone, std::move(status)};
  }
  if (refused_) {
    End();
    return {CommitOutcome::kNotDone,
            absl::FailedPreconditionError("what the transaction was to write was refused")};
  }
  if (put_) {
    data_->version = version_;
    ++data_->commits;
    ++*own_;
    data_->history.emplace_back(version_, std::move(touched_));
    put_ = false;
    if (data_->sync_every_commit) data_->synced = version_;
  }
  End();
  return {CommitOutcome::kDurable, absl::OkStatus()};
}

void EphemeralTransaction::End() {
  if (over_) return;
  over_ = true;
  // A crash has rolled back and released everything already.
  if (data_->life != life_) return;
  if (put_) data_->Undo(touched_, version_ - 1);
  if (writes_) {
    data_->writing = false;
    data_->free.NotifyOne();
  } else {
    data_->readers.erase(data_->readers.find(version_));
  }
  data_->Collect();
}

class EphemeralBackend final : public Backend {
 public:
  /// `lasts`: the disk is somebody else's, who decides what survives.
  EphemeralBackend(std::shared_ptr<EphemeralDisk::Data> data, bool lasts)
      : data_(std::move(data)), lasts_(lasts) {}

  absl::StatusOr<std::unique_ptr<Transaction>> BeginRead() override {
    AIMEM_RETURN_IF_ERROR(Open());
    MutexLock lock(data_->mutex);
    data_->readers.insert(data_->version);
    return std::make_unique<EphemeralTransaction>(data_, false, data_->life, data_->version, own_);
  }

  absl::StatusOr<std::unique_ptr<Transaction>> BeginWrite() override {
    AIMEM_RETURN_IF_ERROR(Open());
    const absl::Duration deadline = SystemClock().Monotonic() + kLockTimeout;
    MutexLock lock(data_->mutex);
    while (data_->writing) {
      const absl::Duration left = deadline - SystemClock().Monotonic();
      if (left <= absl::ZeroDuration()) {
        return absl::UnavailableError(
            absl::StrFormat("the write lock did not come within %s: another writer holds it; retry",
                            absl::FormatDuration(kLockTimeout)));
      }
      data_->free.WaitFor(data_->mutex, left);
    }
    data_->writing = true;
    return std::make_unique<EphemeralTransaction>(data_, true, data_->life, data_->version, own_);
  }

  absl::Status Recover() override { return Open(); }

  absl::StatusOr<std::vector<std::string>> Verify() override {
    AIMEM_RETURN_IF_ERROR(Open());
    MutexLock lock(data_->mutex);
    std::vector<std::string> problems;
    for (const auto& [key, cell] : data_->rows) {
      for (const auto& version : cell.versions) {
        if (version.value && version.value->name &&
            !data_->names.contains({*version.value->name, key})) {
          problems.push_back(absl::StrFormat("the name of entity (%d, '%s') is not indexed",
                                             static_cast<int>(key.kind), key.key));
        }
      }
    }
    return problems;
  }

  absl::Status Maintain(bool /*idle*/) override { return Open(); }
  absl::StatusOr<std::optional<std::uint64_t>> ForeignCommits() override {
    AIMEM_RETURN_IF_ERROR(Open());
    MutexLock lock(data_->mutex);
    return data_->commits - *own_;
  }
  absl::Status CheckDurable() override {
    if (lasts_) return absl::OkStatus();
    return absl::FailedPreconditionError(
        "rows in memory do not survive their process: a member of a federation needs a file "
        "(sqlite:///path) or a PostgreSQL database (postgres://...)");
  }
  bool OutlivesProcess() const override { return false; }
  // A disk cannot be copied, so there is nothing to tell apart.
  absl::StatusOr<std::string> PhysicalIdentity() override { return std::string("ephemeral"); }
  absl::StatusOr<std::int64_t> SizeBytes() override {
    AIMEM_RETURN_IF_ERROR(Open());
    MutexLock lock(data_->mutex);
    return data_->bytes;
  }
  std::string Url() const override { return "memory:"; }
  absl::Status Close() override {
    closed_ = true;
    return absl::OkStatus();
  }

 private:
  [[nodiscard]] absl::Status Open() const {
    if (closed_) return absl::FailedPreconditionError("the ephemeral backend is closed");
    return absl::OkStatus();
  }

  const std::shared_ptr<EphemeralDisk::Data> data_;
  const bool lasts_;
  const std::shared_ptr<std::atomic<std::uint64_t>> own_ =
      std::make_shared<std::atomic<std::uint64_t>>(0);
  std::atomic<bool> closed_ = false;
};

}  // namespace
}  // namespace aimem::ephemeral

namespace aimem {

std::unique_ptr<Backend> OpenEphemeralBackend(std::shared_ptr<EphemeralDisk> disk) {
  const bool lasts = disk != nullptr;
  if (!lasts) disk = std::make_shared<EphemeralDisk>();
  return std::make_unique<ephemeral::EphemeralBackend>(disk->data(), lasts);
}

}  // namespace aimem
