// A backend of one's own: three ordered maps behind one mutex.
//
// It keeps a copy of everything for each transaction, which is simple and slow; what a backend
// has to promise is in aimem/backends/backend.h, and the conformance suite checks it.
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>

#include "aimem/backends/backend.h"
#include "aimem/local_store.h"

namespace {

using aimem::BlockCount;
using aimem::BlockRow;
using aimem::EntityKey;
using aimem::EntityRow;
using aimem::LogRow;

struct Tables {
  std::map<EntityKey, EntityRow> entities;
  std::map<std::pair<std::uint64_t, std::uint64_t>, LogRow> log;
  std::map<std::string, std::string> meta;
  std::map<std::pair<std::uint64_t, std::uint32_t>, BlockRow> blocks;
};

struct Shared {
  std::mutex mutex;   // guards `tables`
  std::mutex writer;  // held by the one write transaction
  std::shared_ptr<const Tables> tables = std::make_shared<Tables>();

  std::shared_ptr<const Tables> Snapshot() {
    const std::lock_guard lock(mutex);
    return tables;
  }
};

class MapTransaction : public aimem::Transaction {
 public:
  MapTransaction(Shared& shared, std::unique_lock<std::mutex> write_lock)
      : shared_(shared), write_lock_(std::move(write_lock)), view_(shared.Snapshot()) {}

  absl::StatusOr<aimem::ReadResult> Read(const aimem::ReadSet& set) override {
    aimem::ReadResult result;
    for (const EntityKey& key : set.keys) {
      const auto found = view_->entities.find(key);
      result.rows.push_back(found == view_->entities.end() ? std::optional<EntityRow>()
                                                           : found->second);
    }
    for (const auto& [key, row] : view_->entities) {
      if (row.name && std::ranges::count(set.names, *row.name) > 0) result.named.push_back(row);
    }
    for (const auto& [key, row] : view_->log) {
      if (std::ranges::count(set.operations, row.operation) > 0) result.operations.push_back(row);
      if (!set.heads) continue;
      if (!result.heads.empty() && result.heads.back().stream == row.stream) {
        result.heads.pop_back();
      }
      result.heads.push_back(row);
    }
    if (set.meta) result.meta = view_->meta;
    return result;
  }

  absl::StatusOr<std::vector<EntityRow>> Scan(const aimem::ScanRequest& request) override {
    std::vector<EntityRow> rows;
    std::size_t bytes = 0;
    for (const auto& [key, row] : view_->entities) {
      if (rows.size() == request.max_rows || bytes >= request.max_bytes) break;
      if (request.after && key <= *request.after) continue;
      if (request.kind && key.kind != *request.kind) continue;
      if (!key.key.starts_with(request.prefix)) continue;
      bytes += row.state.size();
      rows.push_back(row);
    }
    return rows;
  }

  absl::StatusOr<std::vector<LogRow>> ReadLog(std::uint64_t stream, std::uint64_t after,
                                              std::size_t max_rows,
                                              std::size_t max_bytes) override {
    std::vector<LogRow> rows;
    std::size_t bytes = 0;
    for (auto at = view_->log.upper_bound({stream, after});
         at != view_->log.end() && at->first.first == stream; ++at) {
      if (rows.size() == max_rows || bytes >= max_bytes) break;
      bytes += at->second.bytes.size();
      rows.push_back(at->second);
    }
    return rows;
  }

  absl::StatusOr<std::vector<BlockRow>> ReadBlocks(std::uint64_t segment, std::uint32_t first,
                                                   std::size_t max_bytes) override {
    std::vector<BlockRow> rows;
    std::size_t bytes = 0;
    for (auto at = view_->blocks.lower_bound({segment, first});
         at != view_->blocks.end() && at->first.first == segment && bytes < max_bytes; ++at) {
      bytes += at->second.bytes.size();
      rows.push_back(at->second);
    }
    return rows;
  }

  absl::StatusOr<std::vector<BlockCount>> CountBlocks() override {
    std::vector<BlockCount> counts;
    for (const auto& [position, row] : view_->blocks) {
      if (counts.empty() || counts.back().segment != row.segment) {
        counts.push_back({.segment = row.segment});
      }
      ++counts.back().blocks;
    }
    return counts;
  }

  absl::Status Put(const aimem::WriteSet& set) override {
    if (!write_lock_) return absl::FailedPreconditionError("a read transaction cannot write");
    auto next = std::make_shared<Tables>(*view_);
    for (const EntityRow& row : set.rows) next->entities[row.key] = row;
    for (const auto& [stream, last] : set.log_tails) {
      std::erase_if(next->log, [&](const auto& entry) {
        return entry.first.first == stream && entry.first.second > last;
      });
    }
    for (const LogRow& row : set.log_rewrites) {
      const auto there = next->log.find({row.stream, row.seq});
      if (there != next->log.end()) there->second.bytes = row.bytes;
    }
    for (const LogRow& row : set.log) {
      if (!next->log.emplace(std::pair(row.stream, row.seq), row).second) {
        return absl::AlreadyExistsError("log position is taken");
      }
    }
    for (const auto& [key, value] : set.meta) next->meta[key] = value;
    for (const auto& [stream, before] : set.log_cuts) {
      std::erase_if(next->log, [&](const auto& entry) {
        return entry.first.first == stream && entry.first.second < before;
      });
    }
    for (const auto& [segment, first] : set.block_cuts) {
      std::erase_if(next->blocks, [&](const auto& entry) {
        return entry.first.first == segment && entry.first.second >= first;
      });
    }
    for (const BlockRow& row : set.blocks) {
      if (!next->blocks.emplace(std::pair(row.segment, row.part), row).second) {
        return absl::AlreadyExistsError("block is taken");
      }
    }
    view_ = std::move(next);
    return absl::OkStatus();
  }

  aimem::CommitResult Commit() override {
    if (write_lock_) {
      const std::lock_guard lock(shared_.mutex);
      shared_.tables = view_;
    }
    return {aimem::CommitOutcome::kDurable, absl::OkStatus()};
  }

 private:
  Shared& shared_;
  std::unique_lock<std::mutex> write_lock_;  // not held by a read
  std::shared_ptr<const Tables> view_;
};

class MapBackend : public aimem::Backend {
 public:
  absl::StatusOr<std::unique_ptr<aimem::Transaction>> BeginRead() override {
    return std::make_unique<MapTransaction>(shared_, std::unique_lock<std::mutex>());
  }
  absl::StatusOr<std::unique_ptr<aimem::Transaction>> BeginWrite() override {
    return std::make_unique<MapTransaction>(shared_, std::unique_lock(shared_.writer));
  }
  absl::Status Recover() override { return absl::OkStatus(); }
  absl::StatusOr<std::vector<std::string>> Verify() override { return std::vector<std::string>(); }
  absl::Status Maintain(bool) override { return absl::OkStatus(); }
  absl::Status CheckDurable() override {
    return absl::FailedPreconditionError("a map in memory does not survive its process");
  }
  bool OutlivesProcess() const override { return false; }
  absl::StatusOr<std::string> PhysicalIdentity() override { return std::string("map"); }
  absl::StatusOr<std::int64_t> SizeBytes() override { return 0; }
  std::string Url() const override { return "map:"; }
  absl::Status Close() override { return absl::OkStatus(); }

 private:
  Shared shared_;
};

}  // namespace

int main() {
  auto store = aimem::OpenLocalStore(std::make_unique<MapBackend>());
  if (!store.ok()) {
    std::cerr << store.status() << '\n';
    return 1;
  }
  for (const char* title : {"first", "second", "first"}) {
    const aimem::WriteResult result =
        (*store)->Write(aimem::PutMemory{.title = title, .content = "kept in a map"});
    if (!result.status.ok()) {
      std::cerr << result.status << '\n';
      return 1;
    }
  }
  const auto report = (*store)->Check();
  if (!report.ok() || !report->problems.empty()) {
    std::cerr << "the backend does not keep its promise: " << report.status() << '\n';
    return 1;
  }
  std::cout << report->rows << " memories after " << report->commits << " commits, sound\n";
  return (*store)->Close().ok() && report->rows == 2 ? 0 : 1;
}
