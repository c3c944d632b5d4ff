// The tables, their creation and their migration.
//
// A key is a BLOB: it may contain NUL, and compares as unsigned bytes. The streams and sequence
// numbers of the log are 64-bit integers; a stream's upper half is stored as negative numbers.
// Only log's own key and one index that finds operations: each further index costs a page per
// commit.
//
// A store without the table of blocks is as whole as one with it: files were made so, and readers
// of the same version know nothing of it. So that is no other version, and who writes the first
// block makes the table.
#pragma once

#include "absl/status/status.h"
#include "backends/sqlite/connection.h"

namespace aimem::sqlite {

/// Make the tables, unless another process has just done so, and turn on the write-ahead log.
absl::Status Create(const Place& place);

/// Bring the file to what this program writes: write-ahead log, newest schema. Called with the
/// connection for writing before its first transaction.
absl::Status PrepareForWriting(Connection& connection, const Place& place);

/// Within a transaction that writes: make the table of blocks, which is not there.
absl::Status CreateBlockTable(Connection& connection);

/// Within a transaction: refuse a schema that a newer aimem has made since.
absl::Status CheckVersion(Connection& connection, const Place& place);

}  // namespace aimem::sqlite
