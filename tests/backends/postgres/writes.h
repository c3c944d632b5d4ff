// What tests of PostgreSQL write.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/strings/str_format.h"
#include "gtest/gtest.h"
#include "tests/backends/backend_contract.h"

namespace aimem {

/// A memory "m<number>" and commit `number` of stream 7.
inline WriteSet WriteNumber(std::uint64_t number) {
  WriteSet set;
  set.rows.push_back(MakeRow(absl::StrFormat("m%d", number), absl::StrFormat("s%d", number)));
  set.log.push_back(MakeLogRow(7, number, number, "bytes"));
  return set;
}

/// Begin, read the heads, put: all but the commit.
inline absl::StatusOr<std::unique_ptr<Transaction>> PrepareWrite(Backend& backend,
                                                                 std::uint64_t number) {
  auto transaction = backend.BeginWrite();
  if (!transaction.ok()) return transaction.status();
  const auto heads = (*transaction)->Read({.heads = true});
  if (!heads.ok()) return heads.status();
  if (absl::Status put = (*transaction)->Put(WriteNumber(number)); !put.ok()) return put;
  return transaction;
}

inline bool HasOperation(Backend& backend, std::uint64_t number) {
  const auto read = ReadOnce(backend, {.operations = {MakeOperation(number)}});
  EXPECT_TRUE(read.ok()) << read.status();
  return read.ok() && !read->operations.empty();
}

}  // namespace aimem
