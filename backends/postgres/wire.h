// Values in PostgreSQL's binary format: parameters of a statement and columns of its answer.
//
// A number is big-endian. An array is: int32 dimensions (1), int32 has-nulls, oid of the element,
// int32 size, int32 lower bound (1), then for each element int32 length (-1: null) and its bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "libpq-fe.h"

namespace aimem::postgres {

/// Builds one array parameter.
class ArrayWriter {
 public:
  static ArrayWriter OfInt16() { return ArrayWriter(21); }
  static ArrayWriter OfInt64() { return ArrayWriter(20); }
  static ArrayWriter OfBytes() { return ArrayWriter(17); }
  static ArrayWriter OfText() { return ArrayWriter(25); }

  void AddInt16(std::int16_t value);
  void AddInt64(std::int64_t value);
  void AddBytes(std::string_view value);
  void AddNull();

  /// The parameter; the writer is then used up.
  std::string Take() &&;

 private:
  explicit ArrayWriter(std::uint32_t element_oid);

  std::uint32_t size_ = 0;
  bool has_nulls_ = false;
  std::string bytes_;
};

/// Scalar parameters.
std::string Int16Parameter(std::int16_t value);
std::string Int64Parameter(std::int64_t value);

/// The rows that a statement answered. A column that is not what was asked for is kDataLoss.
class Rows {
 public:
  explicit Rows(PGresult* result) : result_(result) {}

  [[nodiscard]] int size() const { return PQntuples(result_.get()); }
  /// "COMMIT", "ROLLBACK", "INSERT 0 5".
  [[nodiscard]] std::string_view command() const { return PQcmdStatus(result_.get()); }

  [[nodiscard]] bool IsNull(int row, int column) const {
    return PQgetisnull(result_.get(), row, column) != 0;
  }
  /// Of a smallint, integer or bigint.
  [[nodiscard]] absl::StatusOr<std::int64_t> Int(int row, int column) const;
  [[nodiscard]] std::string_view Bytes(int row, int column) const;

  /// A row of kind, key, name, state; or of stream, seq, operation, bytes.
  [[nodiscard]] absl::StatusOr<EntityRow> Entity(int row) const;
  [[nodiscard]] absl::StatusOr<LogRow> Log(int row) const;
  /// Column `column` as the name of an entity.
  [[nodiscard]] absl::StatusOr<std::optional<Hash256>> Name(int row, int column) const;

 private:
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  std::unique_ptr<PGresult, Clear> result_;
};

}  // namespace aimem::postgres
