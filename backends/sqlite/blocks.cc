#include "backends/sqlite/blocks.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/strings/str_format.h"
#include "backends/sqlite/schema.h"
#include "lib/base/status.h"

namespace aimem::sqlite {
namespace {

absl::StatusOr<bool> HasBlocks(Connection& connection) {
  Statement has(connection, Sql::kHasBlocks);
  return has.Step();
}

absl::Status CutBlocks(Connection& connection, std::uint64_t segment, std::uint32_t first) {
  Statement cut(connection, Sql::kCutBlocks);
  cut.BindInt(1, std::bit_cast<std::int64_t>(segment));
  cut.BindInt(2, first);
  return cut.Run();
}

absl::Status PutBlock(Connection& connection, const BlockRow& row) {
  Statement put(connection, Sql::kPutBlock);
  put.BindInt(1, std::bit_cast<std::int64_t>(row.segment));
  put.BindInt(2, row.part);
  put.BindBlob(3, row.bytes);
  absl::Status status = put.Run();
  if ((put.code() & 0xff) != SQLITE_CONSTRAINT) return status;
  return MakeStatus(
      absl::StatusCode::kAlreadyExists,
      absl::StrFormat("part %d of segment %016x is there already", row.part, row.segment));
}

}  // namespace

absl::StatusOr<std::vector<BlockRow>> ReadBlockRows(Connection& connection, std::uint64_t segment,
                                                    std::uint32_t first, std::size_t max_bytes) {
  std::vector<BlockRow> rows;
  AIMEM_ASSIGN_OR_RETURN(const bool has, HasBlocks(connection));
  if (!has) return rows;
  Statement read(connection, Sql::kReadBlocks);
  read.BindInt(1, std::bit_cast<std::int64_t>(segment));
  read.BindInt(2, first);
  std::size_t bytes = 0;
  while (bytes < max_bytes) {
    AIMEM_ASSIGN_OR_RETURN(const bool found, read.Step());
    if (!found) break;
    rows.push_back({.segment = segment,
                    .part = static_cast<std::uint32_t>(read.Int(0)),
                    .bytes = std::string(read.Blob(1))});
    bytes += rows.back().bytes.size();
  }
  return rows;
}

absl::StatusOr<std::vector<BlockCount>> CountBlockRows(Connection& connection) {
  std::vector<BlockCount> counts;
  AIMEM_ASSIGN_OR_RETURN(const bool has, HasBlocks(connection));
  if (!has) return counts;
  Statement count(connection, Sql::kCountBlocks);
  for (;;) {
    AIMEM_ASSIGN_OR_RETURN(const bool found, count.Step());
    if (!found) break;
    counts.push_back({.segment = std::bit_cast<std::uint64_t>(count.Int(0)),
                      .blocks = static_cast<std::uint64_t>(count.Int(1))});
  }
  // SQLite's integers put segments above 2^63 first.
  std::ranges::sort(counts, {}, &BlockCount::segment);
  return counts;
}

absl::Status PutBlockRows(Connection& connection, const WriteSet& set) {
  if (set.block_cuts.empty() && set.blocks.empty()) return absl::OkStatus();
  AIMEM_ASSIGN_OR_RETURN(const bool has, HasBlocks(connection));
  if (!has && set.blocks.empty()) return absl::OkStatus();
  if (!has) AIMEM_RETURN_IF_ERROR(CreateBlockTable(connection));
  for (const auto& [segment, first] : set.block_cuts) {
    AIMEM_RETURN_IF_ERROR(CutBlocks(connection, segment, first));
  }
  for (const BlockRow& row : set.blocks) AIMEM_RETURN_IF_ERROR(PutBlock(connection, row));
  return absl::OkStatus();
}

}  // namespace aimem::sqlite
