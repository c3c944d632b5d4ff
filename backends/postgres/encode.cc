#include "backends/postgres/encode.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "absl/strings/str_format.h"
#include "backends/postgres/statements.h"
#include "backends/postgres/wire.h"

namespace aimem::postgres {
namespace {

// PostgreSQL takes no message over 1 GiB.
constexpr std::size_t kWriteBytesMax = 512u << 20;

template <typename Bytes>
std::string_view View(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

absl::Status Check(const WriteSet& set) {
  std::size_t bytes = 0;
  for (const EntityRow& row : set.rows) bytes += row.key.key.size() + row.state.size();
  for (const LogRow& row : set.log) {
    bytes += row.bytes.size();
    if (row.seq > kSeqMax) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "commit %d of stream %016x: numbers above %d cannot be stored in PostgreSQL", row.seq,
          row.stream, kSeqMax));
    }
  }
  for (const LogRow& row : set.log_rewrites) bytes += row.bytes.size();
  for (const auto& [key, value] : set.meta) {
    bytes += value.size();
    if (key == kLockKey || key.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "meta key '%s' cannot be stored in PostgreSQL: it is reserved or has a NUL", key));
    }
  }
  for (const BlockRow& row : set.blocks) bytes += row.bytes.size();
  if (bytes > kWriteBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrFormat("a write of %d bytes is over the limit of %d of a PostgreSQL transaction: "
                        "split it",
                        bytes, kWriteBytesMax));
  }
  return absl::OkStatus();
}

class EntityWriter {
 public:
  void Add(const EntityRow& row) {
    empty_ = false;
    kinds_.AddInt16(static_cast<std::int16_t>(row.key.kind));
    keys_.AddBytes(row.key.key);
    if (row.name.has_value()) {
      names_.AddBytes(View(*row.name));
    } else {
      names_.AddNull();
    }
    states_.AddBytes(row.state);
  }

  /// Append the call of `statement`, if there are rows.
  void AddTo(const char* statement, std::vector<Call>& calls) && {
    if (empty_) return;
    calls.push_back(
        Call::Prepared(statement, {std::move(kinds_).Take(), std::move(keys_).Take(),
                                   std::move(names_).Take(), std::move(states_).Take()}));
  }

 private:
  bool empty_ = true;
  ArrayWriter kinds_ = ArrayWriter::OfInt16();
  ArrayWriter keys_ = ArrayWriter::OfBytes();
  ArrayWriter names_ = ArrayWriter::OfBytes();
  ArrayWriter states_ = ArrayWriter::OfBytes();
};

void AddEntities(const std::vector<EntityRow>& rows, const std::set<EntityKey>& absent,
                 std::vector<Call>& calls) {
  EntityWriter inserts;
  EntityWriter upserts;
  for (const EntityRow& row : rows) (absent.contains(row.key) ? inserts : upserts).Add(row);
  std::move(inserts).AddTo(kInsertEntities, calls);
  std::move(upserts).AddTo(kPutEntities, calls);
}

Call LogCall(const std::vector<LogRow>& rows) {
  ArrayWriter streams = ArrayWriter::OfInt64();
  ArrayWriter seqs = ArrayWriter::OfInt64();
  ArrayWriter operations = ArrayWriter::OfBytes();
  ArrayWriter bytes = ArrayWriter::OfBytes();
  for (const LogRow& row : rows) {
    streams.AddInt64(StoredStream(row.stream));
    seqs.AddInt64(static_cast<std::int64_t>(row.seq));
    operations.AddBytes(View(row.operation.bytes));
    bytes.AddBytes(row.bytes);
  }
  return Call::Prepared(kPutLog, {std::move(streams).Take(), std::move(seqs).Take(),
                                  std::move(operations).Take(), std::move(bytes).Take()});
}

Call RewritesCall(const std::vector<LogRow>& rows) {
  ArrayWriter streams = ArrayWriter::OfInt64();
  ArrayWriter seqs = ArrayWriter::OfInt64();
  ArrayWriter bytes = ArrayWriter::OfBytes();
  for (const LogRow& row : rows) {
    if (row.seq > kSeqMax) continue;
    streams.AddInt64(StoredStream(row.stream));
    seqs.AddInt64(static_cast<std::int64_t>(row.seq));
    bytes.AddBytes(row.bytes);
  }
  return Call::Prepared(
      kRewriteLog, {std::move(streams).Take(), std::move(seqs).Take(), std::move(bytes).Take()});
}

Call MetaCall(const std::vector<std::pair<std::string, std::string>>& meta) {
  // One statement cannot change a row twice: the last value counts.
  std::map<std::string_view, std::string_view> last;
  for (const auto& [key, value] : meta) last[key] = value;
  ArrayWriter keys = ArrayWriter::OfText();
  ArrayWriter values = ArrayWriter::OfBytes();
  for (const auto& [key, value] : last) {
    keys.AddBytes(key);
    values.AddBytes(value);
  }
  return Call::Prepared(kPutMeta, {std::move(keys).Take(), std::move(values).Take()});
}

// `statement` is kCutLog or kCutLogTails.
Call CutsCall(const char* statement,
              const std::vector<std::pair<std::uint64_t, std::uint64_t>>& cuts) {
  ArrayWriter streams = ArrayWriter::OfInt64();
  ArrayWriter bounds = ArrayWriter::OfInt64();
  for (const auto& [stream, seq] : cuts) {
    streams.AddInt64(StoredStream(stream));
    bounds.AddInt64(static_cast<std::int64_t>(std::min(seq, kSeqMax)));
  }
  return Call::Prepared(statement, {std::move(streams).Take(), std::move(bounds).Take()});
}

Call BlockCutsCall(const std::vector<std::pair<std::uint64_t, std::uint32_t>>& cuts) {
  ArrayWriter segments = ArrayWriter::OfInt64();
  ArrayWriter bounds = ArrayWriter::OfInt64();
  for (const auto& [segment, first] : cuts) {
    segments.AddInt64(StoredStream(segment));
    bounds.AddInt64(first);
  }
  return {nullptr, {std::move(segments).Take(), std::move(bounds).Take()}, kCutBlocksSql};
}

Call BlocksCall(const std::vector<BlockRow>& rows) {
  ArrayWriter segments = ArrayWriter::OfInt64();
  ArrayWriter parts = ArrayWriter::OfInt64();
  ArrayWriter bytes = ArrayWriter::OfBytes();
  for (const BlockRow& row : rows) {
    segments.AddInt64(StoredStream(row.segment));
    parts.AddInt64(row.part);
    bytes.AddBytes(row.bytes);
  }
  return {nullptr,
          {std::move(segments).Take(), std::move(parts).Take(), std::move(bytes).Take()},
          kPutBlocksSql};
}

// The least key above all that begin with `prefix`; nullopt if there is none.
std::optional<std::string> EndOfPrefix(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (prefix.empty()) return std::nullopt;
  prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

}  // namespace

std::set<Kind> KindsOf(const ReadSet& set) {
  std::set<Kind> kinds;
  for (const EntityKey& key : set.keys) kinds.insert(key.kind);
  return kinds;
}

std::vector<Call> CallsOf(const ReadSet& set) {
  std::vector<Call> calls;
  for (const Kind kind : KindsOf(set)) {
    ArrayWriter keys = ArrayWriter::OfBytes();
    for (const EntityKey& key : set.keys) {
      if (key.kind == kind) keys.AddBytes(key.key);
    }
    calls.push_back(Call::Prepared(
        kReadKeys, {Int16Parameter(static_cast<std::int16_t>(kind)), std::move(keys).Take()}));
  }
  if (!set.names.empty()) {
    ArrayWriter names = ArrayWriter::OfBytes();
    for (const Hash256& name : std::set<Hash256>(set.names.begin(), set.names.end())) {
      names.AddBytes(View(name));
    }
    calls.push_back(Call::Prepared(kReadNames, {std::move(names).Take()}));
  }
  if (!set.operations.empty()) {
    ArrayWriter operations = ArrayWriter::OfBytes();
    const std::set<OperationId> distinct(set.operations.begin(), set.operations.end());
    for (const OperationId& operation : distinct) operations.AddBytes(View(operation.bytes));
    calls.push_back(Call::Prepared(kReadOperations, {std::move(operations).Take()}));
  }
  if (set.heads) calls.push_back(Call::Prepared(kReadHeads));
  if (set.meta) calls.push_back(Call::Prepared(kReadMeta));
  return calls;
}

absl::StatusOr<std::vector<Call>> CallsOf(const WriteSet& set, const std::set<EntityKey>& absent) {
  if (absl::Status status = Check(set); !status.ok()) return status;
  std::vector<Call> calls;
  AddEntities(set.rows, absent, calls);
  if (!set.log_tails.empty()) calls.push_back(CutsCall(kCutLogTails, set.log_tails));
  if (!set.log_rewrites.empty()) calls.push_back(RewritesCall(set.log_rewrites));
  if (!set.log.empty()) calls.push_back(LogCall(set.log));
  if (!set.meta.empty()) calls.push_back(MetaCall(set.meta));
  if (!set.log_cuts.empty()) calls.push_back(CutsCall(kCutLog, set.log_cuts));
  return calls;
}

std::vector<Call> BlockCallsOf(const WriteSet& set) {
  std::vector<Call> calls;
  if (!set.block_cuts.empty()) calls.push_back(BlockCutsCall(set.block_cuts));
  if (!set.blocks.empty()) calls.push_back(BlocksCall(set.blocks));
  return calls;
}

ScanRange RangeOf(const ScanRequest& request) {
  ScanRange range{.low = {0, ""}, .high = {256, ""}};
  if (request.kind.has_value()) {
    const auto kind = static_cast<std::int16_t>(*request.kind);
    range.low = {kind, request.prefix};
    const std::optional<std::string> end = EndOfPrefix(request.prefix);
    range.high = end.has_value() ? std::pair(kind, *end)
                                 : std::pair(static_cast<std::int16_t>(kind + 1), std::string());
  }
  if (request.after.has_value()) {
    // The least key above another one is that key and a NUL.
    const std::pair<std::int16_t, std::string> next(static_cast<std::int16_t>(request.after->kind),
                                                    request.after->key + '\0');
    range.low = std::max(range.low, next);
  }
  return range;
}

Call ScanCall(const ScanRange& range, std::int64_t max_rows, std::int64_t max_bytes) {
  return Call::Prepared(
      kScan, {Int16Parameter(range.low.first), range.low.second, Int16Parameter(range.high.first),
              range.high.second, Int64Parameter(max_rows), Int64Parameter(max_bytes)});
}

}  // namespace aimem::postgres
