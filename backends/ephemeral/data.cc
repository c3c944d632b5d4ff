#include "backends/ephemeral/data.h"

#include <algorithm>
#include <limits>
#include <string_view>

#include "absl/strings/str_format.h"
#include "lib/base/invariant.h"

namespace aimem {
namespace {

using ephemeral::BlockPosition;
using ephemeral::Cell;
using ephemeral::LogPosition;
using ephemeral::Touched;

std::int64_t SizeOf(const EntityRow& row) {
  return static_cast<std::int64_t>(row.key.key.size() + row.state.size() +
                                   (row.name ? row.name->size() : 0));
}
std::int64_t SizeOf(const LogRow& row) { return static_cast<std::int64_t>(row.bytes.size()) + 32; }
std::int64_t SizeOf(const BlockRow& row) {
  return static_cast<std::int64_t>(row.bytes.size()) + 12;
}
std::int64_t SizeOf(const std::string& value) { return static_cast<std::int64_t>(value.size()); }

template <typename T>
std::int64_t SizeOf(const std::shared_ptr<const T>& value) {
  return value ? SizeOf(*value) : 0;
}

/// Append a version. Returns how many bytes that added.
template <typename T>
std::int64_t Append(Cell<T>& cell, std::uint64_t version, std::shared_ptr<const T> value) {
  std::int64_t added = SizeOf(value);
  if (!cell.versions.empty() && cell.versions.back().version == version) {
    added -= SizeOf(cell.versions.back().value);
    cell.versions.back().value = std::move(value);
  } else {
    cell.versions.push_back({version, std::move(value)});
  }
  return added;
}

/// Remove and return the versions outside [the newest <= floor, ceiling]. A cell that is absent
/// for all who remain is left empty.
template <typename T>
std::vector<std::shared_ptr<const T>> Trim(Cell<T>& cell, std::uint64_t floor,
                                           std::uint64_t ceiling) {
  std::vector<std::shared_ptr<const T>> removed;
  auto& versions = cell.versions;
  while (!versions.empty() && versions.back().version > ceiling) {
    removed.push_back(std::move(versions.back().value));
    versions.pop_back();
  }
  std::size_t first = 0;
  while (first + 1 < versions.size() && versions[first + 1].version <= floor) ++first;
  for (std::size_t i = 0; i < first; ++i) removed.push_back(std::move(versions[i].value));
  versions.erase(versions.begin(), versions.begin() + static_cast<std::ptrdiff_t>(first));
  if (versions.size() == 1 && versions[0].version <= floor && !versions[0].value) versions.clear();
  return removed;
}

template <typename T, typename Test>
bool AnyVersion(const Cell<T>& cell, const Test& test) {
  return std::any_of(cell.versions.begin(), cell.versions.end(),
                     [&](const auto& version) { return version.value && test(*version.value); });
}

}  // namespace

void EphemeralDisk::Data::SetRow(const EntityRow& row, std::uint64_t pending, Touched& touched) {
  if (row.name) names.emplace(*row.name, row.key);
  bytes += Append(rows[row.key], pending, std::make_shared<const EntityRow>(row));
  touched.rows.push_back(row.key);
}

void EphemeralDisk::Data::SetLog(const LogPosition& position, std::shared_ptr<const LogRow> row,
                                 std::uint64_t pending, Touched& touched) {
  if (row) operations.emplace(row->operation, position);
  bytes += Append(log[position], pending, std::move(row));
  touched.log.push_back(position);
}

void EphemeralDisk::Data::SetBlock(const BlockPosition& position,
                                   std::shared_ptr<const BlockRow> row, std::uint64_t pending,
                                   Touched& touched) {
  bytes += Append(blocks[position], pending, std::move(row));
  touched.blocks.push_back(position);
}

bool EphemeralDisk::Data::HasOperation(const OperationId& operation, std::uint64_t stream,
                                       std::uint64_t pending) const {
  for (auto it = operations.lower_bound({operation, LogPosition{stream, 0}});
       it != operations.end() && it->first == operation && it->second.first == stream; ++it) {
    const auto row = log.at(it->second).At(pending);
    if (row && row->operation == operation) return true;
  }
  return false;
}

absl::Status EphemeralDisk::Data::CheckLog(const std::vector<LogRow>& added,
                                           std::uint64_t pending) const {
  std::set<LogPosition> positions;
  std::set<std::pair<OperationId, std::uint64_t>> named;
  for (const LogRow& row : added) {
    const LogPosition position(row.stream, row.seq);
    const auto found = log.find(position);
    if (!positions.insert(position).second ||
        (found != log.end() && found->second.At(pending) != nullptr)) {
      return absl::AlreadyExistsError(
          absl::StrFormat("log position %016x:%d is taken", row.stream, row.seq));
    }
    if (!named.emplace(row.operation, row.stream).second ||
        HasOperation(row.operation, row.stream, pending)) {
      return absl::AlreadyExistsError(absl::StrFormat("operation %s is in stream %016x already",
                                                      row.operation.ToString(), row.stream));
    }
  }
  return absl::OkStatus();
}

absl::Status EphemeralDisk::Data::WriteBlocks(const WriteSet& set, std::uint64_t pending,
                                              Touched& touched) {
  for (const auto& [segment, first] : set.block_cuts) {
    const auto end = blocks.upper_bound({segment, std::numeric_limits<std::uint32_t>::max()});
    for (auto it = blocks.lower_bound({segment, first}); it != end; ++it) {
      if (it->second.At(pending)) SetBlock(it->first, nullptr, pending, touched);
    }
  }
  for (const BlockRow& row : set.blocks) {
    const auto found = blocks.find({row.segment, row.part});
    if (found != blocks.end() && found->second.At(pending)) {
      return absl::AlreadyExistsError(
          absl::StrFormat("part %d of segment %016x is there already", row.part, row.segment));
    }
    SetBlock({row.segment, row.part}, std::make_shared<const BlockRow>(row), pending, touched);
  }
  return absl::OkStatus();
}

absl::Status EphemeralDisk::Data::Write(const WriteSet& set, std::uint64_t pending,
                                        Touched& touched) {
  for (const auto& [stream, last] : set.log_tails) {
    const auto end = log.upper_bound({stream, std::numeric_limits<std::uint64_t>::max()});
    for (auto it = log.upper_bound({stream, last}); it != end; ++it) {
      if (it->second.At(pending)) SetLog(it->first, nullptr, pending, touched);
    }
  }
  for (const LogRow& row : set.log_rewrites) {
    const auto found = log.find({row.stream, row.seq});
    const auto there = found == log.end() ? nullptr : found->second.At(pending);
    if (!there) continue;
    LogRow other = *there;
    other.bytes = row.bytes;
    SetLog(found->first, std::make_shared<const LogRow>(std::move(other)), pending, touched);
  }
  absl::Status status = CheckLog(set.log, pending);
  if (status.ok()) status = WriteBlocks(set, pending, touched);
  if (!status.ok()) {
    Undo(touched, pending - 1);
    touched = {};
    return status;
  }
  for (const EntityRow& row : set.rows) SetRow(row, pending, touched);
  for (const LogRow& row : set.log) {
    SetLog({row.stream, row.seq}, std::make_shared<const LogRow>(row), pending, touched);
  }
  for (const auto& [key, value] : set.meta) {
    bytes += Append(meta[key], pending, std::make_shared<const std::string>(value));
    touched.meta.push_back(key);
  }
  for (const auto& [stream, end] : set.log_cuts) {
    const auto last = log.lower_bound({stream, end});
    for (auto it = log.lower_bound({stream, 0}); it != last; ++it) {
      if (it->second.At(pending)) SetLog(it->first, nullptr, pending, touched);
    }
  }
  return absl::OkStatus();
}

void EphemeralDisk::Data::TrimRow(const EntityKey& key, std::uint64_t floor,
                                  std::uint64_t ceiling) {
  const auto found = rows.find(key);
  if (found == rows.end()) return;
  for (const auto& row : ::aimem::Trim(found->second, floor, ceiling)) {
    bytes -= SizeOf(row);
    if (!row || !row->name) continue;
    const bool used =
        AnyVersion(found->second, [&](const EntityRow& kept) { return kept.name == row->name; });
    if (!used) names.erase({*row->name, key});
  }
  if (found->second.versions.empty()) rows.erase(found);
}

void EphemeralDisk::Data::TrimLog(const LogPosition& position, std::uint64_t floor,
                                  std::uint64_t ceiling) {
  const auto found = log.find(position);
  if (found == log.end()) return;
  for (const auto& row : ::aimem::Trim(found->second, floor, ceiling)) {
    bytes -= SizeOf(row);
    if (!row) continue;
    const bool used = AnyVersion(
        found->second, [&](const LogRow& kept) { return kept.operation == row->operation; });
    if (!used) operations.erase({row->operation, position});
  }
  if (found->second.versions.empty()) log.erase(found);
}

void EphemeralDisk::Data::TrimMeta(const std::string& key, std::uint64_t floor,
                                   std::uint64_t ceiling) {
  const auto found = meta.find(key);
  if (found == meta.end()) return;
  for (const auto& value : ::aimem::Trim(found->second, floor, ceiling)) bytes -= SizeOf(value);
  if (found->second.versions.empty()) meta.erase(found);
}

void EphemeralDisk::Data::TrimBlock(const BlockPosition& position, std::uint64_t floor,
                                    std::uint64_t ceiling) {
  const auto found = blocks.find(position);
  if (found == blocks.end()) return;
  for (const auto& row : ::aimem::Trim(found->second, floor, ceiling)) bytes -= SizeOf(row);
  if (found->second.versions.empty()) blocks.erase(found);
}

void EphemeralDisk::Data::Trim(const Touched& touched, std::uint64_t floor, std::uint64_t ceiling) {
  for (const EntityKey& key : touched.rows) TrimRow(key, floor, ceiling);
  for (const LogPosition& position : touched.log) TrimLog(position, floor, ceiling);
  for (const std::string& key : touched.meta) TrimMeta(key, floor, ceiling);
  for (const BlockPosition& position : touched.blocks) TrimBlock(position, floor, ceiling);
}

void EphemeralDisk::Data::Undo(const Touched& touched, std::uint64_t kept) {
  Trim(touched, 0, kept);
}

void EphemeralDisk::Data::EndTransactions() {
  readers.clear();
  writing = false;
  ++life;
  ++commits;
  free.NotifyAll();
}

void EphemeralDisk::Data::Collect() {
  std::uint64_t floor = std::min(version, synced);
  if (!readers.empty()) floor = std::min(floor, *readers.begin());
  while (!history.empty() && history.front().first <= floor) {
    Trim(history.front().second, floor, std::numeric_limits<std::uint64_t>::max());
    history.pop_front();
  }
}

EphemeralDisk::EphemeralDisk(bool sync_every_commit)
    : data_(std::make_shared<Data>(sync_every_commit)) {}
EphemeralDisk::~EphemeralDisk() = default;

void EphemeralDisk::Sync() {
  MutexLock lock(data_->mutex);
  data_->synced = data_->version;
  data_->Collect();
}

void EphemeralDisk::Crash() {
  Data& data = *data_;
  MutexLock lock(data.mutex);
  // What an open write transaction wrote carries a version above every commit: it goes as well.
  const std::uint64_t kept = data.synced;
  Touched all;
  for (const auto& [key, cell] : data.rows) {
    if (cell.versions.back().version > kept) all.rows.push_back(key);
  }
  for (const auto& [position, cell] : data.log) {
    if (cell.versions.back().version > kept) all.log.push_back(position);
  }
  for (const auto& [key, cell] : data.meta) {
    if (cell.versions.back().version > kept) all.meta.push_back(key);
  }
  for (const auto& [position, cell] : data.blocks) {
    if (cell.versions.back().version > kept) all.blocks.push_back(position);
  }
  data.Undo(all, kept);
  while (!data.history.empty() && data.history.back().first > kept) data.history.pop_back();
  data.version = kept;
  data.EndTransactions();
  data.Collect();
}

std::shared_ptr<const EphemeralDisk::Image> EphemeralDisk::Snapshot() const {
  auto image = std::make_shared<Image>();
  Data& data = *data_;
  MutexLock lock(data.mutex);
  for (const auto& [key, cell] : data.rows) {
    if (const auto row = cell.At(data.synced)) image->rows.push_back(*row);
  }
  for (const auto& [position, cell] : data.log) {
    if (const auto row = cell.At(data.synced)) image->log.push_back(*row);
  }
  for (const auto& [key, cell] : data.meta) {
    if (const auto value = cell.At(data.synced)) image->meta.emplace(key, *value);
  }
  for (const auto& [position, cell] : data.blocks) {
    if (auto row = cell.At(data.synced)) image->blocks.push_back(std::move(row));
  }
  return image;
}

void EphemeralDisk::Restore(const std::shared_ptr<const Image>& image) {
  WriteSet all;
  all.rows = image->rows;
  all.log = image->log;
  all.meta.assign(image->meta.begin(), image->meta.end());
  Data& data = *data_;
  MutexLock lock(data.mutex);
  data.rows.clear();
  data.log.clear();
  data.meta.clear();
  data.blocks.clear();
  data.names.clear();
  data.operations.clear();
  data.history.clear();
  data.bytes = 0;
  data.synced = ++data.version;
  Touched touched;
  if (!data.Write(all, data.version, touched).ok()) {
    BrokenInvariant("what was on a disk can be put on it again", __FILE__, __LINE__).IgnoreError();
  }
  for (const auto& row : image->blocks) {
    data.SetBlock({row->segment, row->part}, row, data.version, touched);
  }
  data.EndTransactions();
}

}  // namespace aimem
