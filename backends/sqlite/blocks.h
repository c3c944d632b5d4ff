// The table of blocks, within a transaction. Where there is none, there are no blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "backends/sqlite/connection.h"

namespace aimem::sqlite {

/// What Transaction::ReadBlocks and CountBlocks answer.
absl::StatusOr<std::vector<BlockRow>> ReadBlockRows(Connection& connection, std::uint64_t segment,
                                                    std::uint32_t first, std::size_t max_bytes);
absl::StatusOr<std::vector<BlockCount>> CountBlockRows(Connection& connection);

/// What `set` says of blocks; makes the table for the first one.
absl::Status PutBlockRows(Connection& connection, const WriteSet& set);

}  // namespace aimem::sqlite
