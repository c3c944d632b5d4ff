#include "backends/postgres/wire.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"

namespace aimem::postgres {
namespace {

template <typename Integer>
void AppendBigEndian(std::string& out, Integer value) {
  for (int shift = 8 * (static_cast<int>(sizeof(Integer)) - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> shift & 0xff));
  }
}

}  // namespace

ArrayWriter::ArrayWriter(std::uint32_t element_oid) {
  AppendBigEndian<std::uint32_t>(bytes_, 1);
  AppendBigEndian<std::uint32_t>(bytes_, 0);
  AppendBigEndian<std::uint32_t>(bytes_, element_oid);
  AppendBigEndian<std::uint32_t>(bytes_, 0);
  AppendBigEndian<std::uint32_t>(bytes_, 1);
}

void ArrayWriter::AddInt16(std::int16_t value) {
  ++size_;
  AppendBigEndian<std::uint32_t>(bytes_, sizeof value);
  AppendBigEndian(bytes_, value);
}

void ArrayWriter::AddInt64(std::int64_t value) {
  ++size_;
  AppendBigEndian<std::uint32_t>(bytes_, sizeof value);
  AppendBigEndian(bytes_, value);
}

void ArrayWriter::AddBytes(std::string_view value) {
  ++size_;
  AppendBigEndian(bytes_, static_cast<std::uint32_t>(value.size()));
  bytes_.append(value);
}

void ArrayWriter::AddNull() {
  ++size_;
  has_nulls_ = true;
  AppendBigEndian<std::uint32_t>(bytes_, 0xffffffff);
}

std::string ArrayWriter::Take() && {
  std::string header;
  // An empty array has no dimension at all.
  AppendBigEndian<std::uint32_t>(header, size_ == 0 ? 0 : 1);
  AppendBigEndian<std::uint32_t>(header, has_nulls_ ? 1 : 0);
  if (size_ == 0) return header + bytes_.substr(8, 4);
  std::copy(header.begin(), header.end(), bytes_.begin());
  std::string size;
  AppendBigEndian(size, size_);
  std::copy(size.begin(), size.end(), bytes_.begin() + 12);
  return std::move(bytes_);
}

std::string Int16Parameter(std::int16_t value) {
  std::string bytes;
  AppendBigEndian(bytes, value);
  return bytes;
}

std::string Int64Parameter(std::int64_t value) {
  std::string bytes;
  AppendBigEndian(bytes, value);
  return bytes;
}

std::string_view Rows::Bytes(int row, int column) const {
  return {PQgetvalue(result_.get(), row, column),
          static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
}

absl::StatusOr<std::int64_t> Rows::Int(int row, int column) const {
  const std::string_view bytes = Bytes(row, column);
  if (bytes.size() != 2 && bytes.size() != 4 && bytes.size() != 8) {
    return absl::DataLossError(
        absl::StrFormat("PostgreSQL answered a number of %d bytes in column '%s'", bytes.size(),
                        PQfname(result_.get(), column)));
  }
  std::uint64_t value = static_cast<unsigned char>(bytes[0]) >= 0x80 ? ~std::uint64_t{0} : 0;
  for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return static_cast<std::int64_t>(value);
}

absl::StatusOr<std::optional<Hash256>> Rows::Name(int row, int column) const {
  if (IsNull(row, column)) return std::optional<Hash256>();
  const std::string_view bytes = Bytes(row, column);
  Hash256 name;
  if (bytes.size() != name.size()) {
    return absl::DataLossError(
        absl::StrFormat("an entity's name has %d bytes instead of %d", bytes.size(), name.size()));
  }
  std::copy(bytes.begin(), bytes.end(), name.begin());
  return std::optional<Hash256>(name);
}

absl::StatusOr<EntityRow> Rows::Entity(int row) const {
  EntityRow entity;
  AIMEM_ASSIGN_OR_RETURN(const std::int64_t kind, Int(row, 0));
  if (kind < 0 || kind > 255) {
    return absl::DataLossError(absl::StrFormat("an entity is of kind %d, not in [0, 255]", kind));
  }
  entity.key = {static_cast<Kind>(kind), std::string(Bytes(row, 1))};
  AIMEM_ASSIGN_OR_RETURN(entity.name, Name(row, 2));
  entity.state = Bytes(row, 3);
  return entity;
}

absl::StatusOr<LogRow> Rows::Log(int row) const {
  LogRow log;
  AIMEM_ASSIGN_OR_RETURN(const std::int64_t stream, Int(row, 0));
  AIMEM_ASSIGN_OR_RETURN(const std::int64_t seq, Int(row, 1));
  log.stream = static_cast<std::uint64_t>(stream);
  log.seq = static_cast<std::uint64_t>(seq);
  const std::string_view operation = Bytes(row, 2);
  if (operation.size() != log.operation.bytes.size()) {
    return absl::DataLossError(
        absl::StrFormat("commit %d of stream %016x has an operation id of %d bytes instead of %d",
                        log.seq, log.stream, operation.size(), log.operation.bytes.size()));
  }
  std::copy(operation.begin(), operation.end(), log.operation.bytes.begin());
  log.bytes = Bytes(row, 3);
  return log;
}

}  // namespace aimem::postgres
