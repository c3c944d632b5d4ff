#include "tests/backends/backend_contract.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_format.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"

namespace aimem {

EntityRow MakeRow(Kind kind, std::string key, std::string state, std::optional<Hash256> name) {
  EntityRow row;
  row.key.kind = kind;
  row.key.key = std::move(key);
  row.name = name;
  row.state = std::move(state);
  return row;
}

EntityRow MakeRow(std::string key, std::string state) {
  return MakeRow(Kind::kMemory, std::move(key), std::move(state));
}

LogRow MakeLogRow(std::uint64_t stream, std::uint64_t seq, std::uint64_t operation,
                  std::string bytes) {
  LogRow row;
  row.stream = stream;
  row.seq = seq;
  row.operation = MakeOperation(operation);
  row.bytes = std::move(bytes);
  return row;
}

Hash256 MakeName(std::uint64_t number) { return Sha256({std::to_string(number)}); }

OperationId MakeOperation(std::uint64_t number) {
  return Cut(Sha256({"operation", std::to_string(number)}));
}

ReadSet KeysOf(std::vector<std::string> keys) {
  ReadSet set;
  for (std::string& key : keys) set.keys.push_back({Kind::kMemory, std::move(key)});
  return set;
}

std::string ShowBytes(std::string_view bytes) {
  if (bytes.size() > 60) {
    return absl::StrFormat("%d bytes %s", bytes.size(), ToHex(AsBytes(Cut(Sha256({bytes})))));
  }
  std::string shown;
  for (const char byte : bytes) {
    if (byte > ' ' && byte < 127 && byte != '\\') {
      shown += byte;
    } else {
      shown += absl::StrFormat("\\%02x", static_cast<unsigned char>(byte));
    }
  }
  return shown;
}

std::string Describe(const EntityRow& row) {
  return absl::StrFormat(
      "%d:%s name=%s state=%s", static_cast<int>(row.key.kind), ShowBytes(row.key.key),
      row.name ? ToHex(AsBytes(*row.name)).substr(0, 8) : "-", ShowBytes(row.state));
}

std::string Describe(const LogRow& row) {
  return absl::StrFormat("%016x/%d op=%s %s", row.stream, row.seq, row.operation.ToString(),
                         ShowBytes(row.bytes));
}

std::vector<std::string> Describe(const std::vector<EntityRow>& rows) {
  std::vector<std::string> lines;
  for (const EntityRow& row : rows) lines.push_back(Describe(row));
  return lines;
}

std::vector<std::string> Describe(const std::vector<LogRow>& rows) {
  std::vector<std::string> lines;
  for (const LogRow& row : rows) lines.push_back(Describe(row));
  return lines;
}

absl::Status PutAndCommit(Backend& backend, const WriteSet& set) {
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction, backend.BeginWrite());
  AIMEM_RETURN_IF_ERROR(transaction->Put(set));
  return transaction->Commit().status;
}

absl::StatusOr<ReadResult> ReadOnce(Backend& backend, const ReadSet& set) {
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction, backend.BeginRead());
  return transaction->Read(set);
}

absl::StatusOr<std::vector<EntityRow>> ScanAll(Backend& backend, std::size_t max_rows) {
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction, backend.BeginRead());
  std::vector<EntityRow> all;
  ScanRequest request;
  request.max_rows = max_rows;
  for (;;) {
    AIMEM_ASSIGN_OR_RETURN(std::vector<EntityRow> page, transaction->Scan(request));
    const bool last = page.size() < max_rows;
    if (!page.empty()) request.after = page.back().key;
    std::move(page.begin(), page.end(), std::back_inserter(all));
    if (last) return all;
  }
}

std::vector<std::string> StatesOf(Backend& backend, std::vector<std::string> keys) {
  const absl::StatusOr<ReadResult> result = ReadOnce(backend, KeysOf(std::move(keys)));
  if (!result.ok()) return {result.status().ToString()};
  std::vector<std::string> states;
  for (const std::optional<EntityRow>& row : result->rows) {
    states.push_back(row.has_value() ? row->state : "-");
  }
  return states;
}

std::vector<std::string> BlocksIn(const absl::StatusOr<std::vector<BlockRow>>& rows) {
  if (!rows.ok()) return {rows.status().ToString()};
  std::vector<std::string> lines;
  for (const BlockRow& row : *rows) {
    lines.push_back(absl::StrFormat("%d=%s", row.part, ShowBytes(row.bytes)));
  }
  return lines;
}

std::vector<std::string> CountsIn(const absl::StatusOr<std::vector<BlockCount>>& counts) {
  if (!counts.ok()) return {counts.status().ToString()};
  std::vector<std::string> lines;
  for (const BlockCount& count : *counts) {
    lines.push_back(absl::StrFormat("%d:%d", count.segment, count.blocks));
  }
  return lines;
}

std::vector<std::string> BlocksOfSegment(Backend& backend, std::uint64_t segment) {
  const auto read = backend.BeginRead();
  if (!read.ok()) return {read.status().ToString()};
  return BlocksIn((*read)->ReadBlocks(segment, 0, 1u << 30));
}

std::vector<std::string> CountsOf(Backend& backend) {
  const auto read = backend.BeginRead();
  if (!read.ok()) return {read.status().ToString()};
  return CountsIn((*read)->CountBlocks());
}

void BackendContract::SetUp() {
  ASSERT_FALSE(dir().empty()) << "no folder for temporary files";
  backend_ = Open();
  ASSERT_NE(backend_, nullptr);
}

void BackendContract::TearDown() {
  if (backend_ != nullptr) {
    EXPECT_TRUE(backend_->Close().ok());
  }
  backend_.reset();
  if (GetParam().drop) GetParam().drop(dir());
}

std::unique_ptr<Backend> BackendContract::Open() {
  absl::StatusOr<std::unique_ptr<Backend>> backend = GetParam().open(dir());
  EXPECT_TRUE(backend.ok()) << backend.status();
  return backend.ok() ? *std::move(backend) : nullptr;
}

void BackendContract::Reopen() {
  const absl::Status closed = backend_->Close();
  EXPECT_TRUE(closed.ok()) << closed;
  backend_ = Open();
  ASSERT_NE(backend_, nullptr);
}

}  // namespace aimem
