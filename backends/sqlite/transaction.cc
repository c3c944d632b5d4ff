#include "backends/sqlite/transaction.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "backends/sqlite/blocks.h"
#include "backends/sqlite/log_file.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"

namespace aimem::sqlite {
namespace {

// Streams are unsigned, SQLite's integers are not: the bits are kept.
std::int64_t ToStored(std::uint64_t stream) { return std::bit_cast<std::int64_t>(stream); }
std::uint64_t FromStored(std::int64_t stream) { return std::bit_cast<std::uint64_t>(stream); }

/// What a position in the log leaves for the sequence number: schema.cc says why.
constexpr std::uint64_t kMaxSeq = (std::uint64_t{1} << 40) - 1;
/// Greater than every kind.
constexpr std::int64_t kAfterAllKinds = 256;

struct Bounds {
  std::int64_t low_kind = 0;
  std::string low_key;  ///< Included.
  std::int64_t high_kind = kAfterAllKinds;
  std::string high_key;  ///< Excluded.
};

Bounds BoundsOf(const ScanRequest& request) {
  Bounds bounds;
  if (request.kind.has_value()) {
    bounds.low_kind = static_cast<std::int64_t>(*request.kind);
    bounds.low_key = request.prefix;
    bounds.high_kind = bounds.low_kind + 1;
    // The first key after all that begin with the prefix: its last byte that can grow, grown.
    std::string next = request.prefix;
    while (!next.empty() && static_cast<unsigned char>(next.back()) == 0xff) next.pop_back();
    if (!next.empty()) {
      next.back() = static_cast<char>(static_cast<unsigned char>(next.back()) + 1);
      bounds.high_kind = bounds.low_kind;
      bounds.high_key = std::move(next);
    }
  }
  if (request.after.has_value()) {
    // The least key greater than `after`.
    const auto kind = static_cast<std::int64_t>(request.after->kind);
    std::string key = request.after->key + '\0';
    if (std::pair(kind, key) > std::pair(bounds.low_kind, bounds.low_key)) {
      bounds.low_kind = kind;
      bounds.low_key = std::move(key);
    }
  }
  return bounds;
}

}  // namespace

SqliteTransaction::SqliteTransaction(Lender& lender, std::unique_ptr<Connection> connection,
                                     const Place& place, bool writer,
                                     std::optional<FileStamp> stamp)
    : lender_(lender),
      connection_(std::move(connection)),
      place_(place),
      writer_(writer),
      stamp_(stamp) {}

SqliteTransaction::~SqliteTransaction() { End(); }

void SqliteTransaction::End() {
  if (connection_ == nullptr) return;
  if (connection_->InTransaction()) {
    const absl::Status rolled_back = Statement(*connection_, Sql::kRollback).Run();
    // Closing it then lets go of the locks.
    if (!rolled_back.ok() && connection_->InTransaction()) connection_->Distrust();
  }
  if (writer_) {
    lender_.TakeBackWriter(std::move(connection_));
  } else {
    lender_.TakeBackReader(std::move(connection_), stamp_);
  }
}

absl::Status SqliteTransaction::CheckOpen() const {
  if (failed_.ok() && connection_ == nullptr) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition, "the transaction is over");
  }
  return failed_;
}

absl::Status SqliteTransaction::CheckUnchanged() const {
  if (!stamp_.has_value()) return absl::OkStatus();
  if (StampOf(place_.path) == stamp_ && !HasLog(place_.path)) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kUnavailable,
                    absl::StrFormat("'%s' was changed by another process while it was read "
                                    "without locks: try again",
                                    place_.path));
}

absl::Status SqliteTransaction::Damaged(std::string_view what) const {
  return MakeStatus(
      absl::StatusCode::kDataLoss,
      absl::StrFormat("'%s' is damaged: %s; restore it from a backup", place_.path, what));
}

// -- Read -----------------------------------------------------------------------------------------

template <typename Answer, typename Ask>
absl::StatusOr<Answer> SqliteTransaction::AskChecked(Ask ask) {
  AIMEM_RETURN_IF_ERROR(CheckOpen());
  absl::StatusOr<Answer> answer = ask();
  if (writer_ && !answer.ok()) AIMEM_RETURN_IF_ERROR(lender_.CheckPlace(*connection_));
  if (!stamp_.has_value()) return answer;
  AIMEM_RETURN_IF_ERROR(CheckUnchanged());
  if (answer.ok()) return answer;
  // A change that came within a tick of the file's time does not show: read it a tick later.
  std::this_thread::sleep_for(kTimeTick);
  AIMEM_RETURN_IF_ERROR(CheckUnchanged());
  AIMEM_RETURN_IF_ERROR(ReopenImmutable());
  answer = ask();
  AIMEM_RETURN_IF_ERROR(CheckUnchanged());
  return answer;
}

absl::Status SqliteTransaction::ReopenImmutable() {
  AIMEM_ASSIGN_OR_RETURN(connection_, Connection::Open(place_, Access::kImmutable));
  return Statement(*connection_, Sql::kBeginRead).Run();
}

absl::StatusOr<ReadResult> SqliteTransaction::Read(const ReadSet& set) {
  return AskChecked<ReadResult>([&] { return ReadAll(set); });
}

absl::StatusOr<ReadResult> SqliteTransaction::ReadAll(const ReadSet& set) {
  ReadResult result;
  AIMEM_RETURN_IF_ERROR(ReadEntities(set, result));
  AIMEM_RETURN_IF_ERROR(ReadLogRows(set, result));
  if (set.heads) AIMEM_RETURN_IF_ERROR(ReadHeads(result.heads));
  if (set.meta) AIMEM_RETURN_IF_ERROR(ReadMeta(result.meta));
  return result;
}

namespace {

/// A name as it is stored; false if it is no hash.
bool TakeName(const Statement& statement, int column, std::optional<Hash256>& name) {
  if (statement.IsNull(column)) return true;
  const std::string_view bytes = statement.Blob(column);
  name.emplace();
  if (bytes.size() != name->size()) return false;
  std::memcpy(name->data(), bytes.data(), name->size());
  return true;
}

}  // namespace

absl::Status SqliteTransaction::TakeEntityRow(const Statement& statement,
                                              std::vector<EntityRow>& rows) const {
  EntityRow row;
  const std::int64_t kind = statement.Int(0);
  if (kind < 0 || kind >= kAfterAllKinds) {
    return Damaged(absl::StrFormat("a row has kind %d", kind));
  }
  row.key.kind = static_cast<Kind>(kind);
  row.key.key = statement.Blob(1);
  if (!TakeName(statement, 2, row.name)) return Damaged("a name has not 32 bytes");
  row.state = statement.Blob(3);
  rows.push_back(std::move(row));
  return absl::OkStatus();
}

absl::Status SqliteTransaction::ReadEntities(const ReadSet& set, ReadResult& result) {
  result.rows.reserve(set.keys.size());
  for (const EntityKey& key : set.keys) {
    Statement get(*connection_, Sql::kGetEntity);
    get.BindInt(1, static_cast<std::int64_t>(key.kind));
    get.BindBlob(2, key.key);
    AIMEM_ASSIGN_OR_RETURN(const bool found, get.Step());
    std::optional<EntityRow>& row = result.rows.emplace_back();
    if (!found) continue;
    row.emplace().key = key;
    if (!TakeName(get, 0, row->name)) return Damaged("a name has not 32 bytes");
    row->state = get.Blob(1);
  }
  const std::set<Hash256> names(set.names.begin(), set.names.end());
  for (const Hash256& name : names) {
    Statement get(*connection_, Sql::kGetNamed);
    get.BindBlob(1, AsBytes(name));
    for (;;) {
      AIMEM_ASSIGN_OR_RETURN(const bool found, get.Step());
      if (!found) break;
      AIMEM_RETURN_IF_ERROR(TakeEntityRow(get, result.named));
    }
  }
  std::sort(result.named.begin(), result.named.end(),
            [](const EntityRow& a, const EntityRow& b) { return a.key < b.key; });
  return absl::OkStatus();
}

absl::Status SqliteTransaction::TakeLogKey(const Statement& statement,
                                           std::vector<LogRow>& rows) const {
  LogRow row;
  row.stream = FromStored(statement.Int(0));
  row.seq = static_cast<std::uint64_t>(statement.Int(1));
  const std::string_view operation = statement.Blob(2);
  if (operation.size() != row.operation.bytes.size()) {
    return Damaged("an operation id has not 16 bytes");
  }
  std::memcpy(row.operation.bytes.data(), operation.data(), operation.size());
  rows.push_back(std::move(row));
  return absl::OkStatus();
}

absl::Status SqliteTransaction::TakeLogRow(const Statement& statement,
                                           std::vector<LogRow>& rows) const {
  AIMEM_RETURN_IF_ERROR(TakeLogKey(statement, rows));
  rows.back().bytes = statement.Blob(3);
  return absl::OkStatus();
}

absl::Status SqliteTransaction::ReadLogRows(const ReadSet& set, ReadResult& result) {
  const std::set<OperationId> operations(set.operations.begin(), set.operations.end());
  for (const OperationId& operation : operations) {
    Statement get(*connection_, Sql::kGetOperation);
    get.BindBlob(1, AsBytes(operation));
    for (;;) {
      AIMEM_ASSIGN_OR_RETURN(const bool found, get.Step());
      if (!found) break;
      AIMEM_RETURN_IF_ERROR(TakeLogRow(get, result.operations));
    }
  }
  return absl::OkStatus();
}

absl::Status SqliteTransaction::ReadHeads(std::vector<LogRow>& heads) {
  Statement get(*connection_, Sql::kGetHeads);
  LogBytes bytes(*connection_);
  for (;;) {
    AIMEM_ASSIGN_OR_RETURN(const bool found, get.Step());
    if (!found) break;
    AIMEM_RETURN_IF_ERROR(TakeLogKey(get, heads));
    if (!get.IsNull(4)) {
      heads.back().bytes = get.Blob(4).substr(0, kLogHeadBytes);
      continue;
    }
    AIMEM_ASSIGN_OR_RETURN(heads.back().bytes, bytes.Start(get.Int(3), kLogHeadBytes));
  }
  std::sort(heads.begin(), heads.end(),
            [](const LogRow& a, const LogRow& b) { return a.stream < b.stream; });
  return absl::OkStatus();
}

absl::Status SqliteTransaction::ReadMeta(std::map<std::string, std::string>& meta) {
  Statement get(*connection_, Sql::kGetMeta);
  for (;;) {
    AIMEM_ASSIGN_OR_RETURN(const bool found, get.Step());
    if (!found) return absl::OkStatus();
    meta[std::string(get.Blob(0))] = get.Blob(1);
  }
}

absl::StatusOr<std::vector<EntityRow>> SqliteTransaction::Scan(const ScanRequest& request) {
  return AskChecked<std::vector<EntityRow>>([&] { return ScanRange(request); });
}

absl::StatusOr<std::vector<EntityRow>> SqliteTransaction::ScanRange(const ScanRequest& request) {
  if (!request.prefix.empty() && !request.kind.has_value()) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "a scan with a prefix needs a kind");
  }
  const Bounds bounds = BoundsOf(request);
  Statement scan(*connection_, Sql::kScan);
  scan.BindInt(1, bounds.low_kind);
  scan.BindBlob(2, bounds.low_key);
  scan.BindInt(3, bounds.high_kind);
  scan.BindBlob(4, bounds.high_key);
  std::vector<EntityRow> rows;
  std::size_t bytes = 0;
  while (rows.size() < request.max_rows && bytes < request.max_bytes) {
    AIMEM_ASSIGN_OR_RETURN(const bool found, scan.Step());
    if (!found) break;
    AIMEM_RETURN_IF_ERROR(TakeEntityRow(scan, rows));
    bytes += rows.back().state.size();
  }
  return rows;
}

absl::StatusOr<std::vector<LogRow>> SqliteTransaction::ReadLog(std::uint64_t stream,
                                                               std::uint64_t after,
                                                               std::size_t max_rows,
                                                               std::size_t max_bytes) {
  return AskChecked<std::vector<LogRow>>(
      [&] { return ReadLogRange(stream, after, max_rows, max_bytes); });
}

absl::StatusOr<std::vector<LogRow>> SqliteTransaction::ReadLogRange(std::uint64_t stream,
                                                                    std::uint64_t after,
                                                                    std::size_t max_rows,
                                                                    std::size_t max_bytes) {
  Statement read(*connection_, Sql::kReadLog);
  read.BindInt(1, ToStored(stream));
  read.BindInt(2, static_cast<std::int64_t>(std::min(after, kMaxSeq)));
  std::vector<LogRow> rows;
  std::size_t bytes = 0;
  while (rows.size() < max_rows && bytes < max_bytes) {
    AIMEM_ASSIGN_OR_RETURN(const bool found, read.Step());
    if (!found) break;
    AIMEM_RETURN_IF_ERROR(TakeLogRow(read, rows));
    bytes += rows.back().bytes.size();
  }
  return rows;
}

absl::StatusOr<std::vector<BlockRow>> SqliteTransaction::ReadBlocks(std::uint64_t segment,
                                                                    std::uint32_t first,
                                                                    std::size_t max_bytes) {
  return AskChecked<std::vector<BlockRow>>(
      [&] { return ReadBlockRows(*connection_, segment, first, max_bytes); });
}

absl::StatusOr<std::vector<BlockCount>> SqliteTransaction::CountBlocks() {
  return AskChecked<std::vector<BlockCount>>([&] { return CountBlockRows(*connection_); });
}

absl::StatusOr<std::vector<std::string>> SqliteTransaction::IntegrityCheck() {
  std::vector<std::string> sentences;
  // Damage is an answer here; found of a file that is read without locks it is asked for twice too.
  const absl::StatusOr<bool> sound = AskChecked<bool>([&]() -> absl::StatusOr<bool> {
    AIMEM_ASSIGN_OR_RETURN(sentences, CheckIntegrity());
    if (sentences.empty()) return true;
    return Damaged(sentences.front());
  });
  if (!sound.ok() && !absl::IsDataLoss(sound.status())) return sound.status();
  return sentences;
}

absl::StatusOr<std::vector<std::string>> SqliteTransaction::CheckIntegrity() {
  std::vector<std::string> sentences;
  Statement check(*connection_, Sql::kIntegrityCheck);
  for (;;) {
    const absl::StatusOr<bool> found = check.Step();
    if (absl::IsDataLoss(found.status())) {
      sentences.emplace_back(found.status().message());
      return sentences;
    }
    if (!found.ok()) return found.status();
    if (!*found) return sentences;
    if (check.Blob(0) != "ok") sentences.emplace_back(check.Blob(0));
  }
}

// -- Write ----------------------------------------------------------------------------------------

absl::Status SqliteTransaction::Put(const WriteSet& set) {
  AIMEM_RETURN_IF_ERROR(CheckOpen());
  if (!writer_ || put_) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      writer_ ? "a transaction takes one Put" : "a read transaction takes no Put");
  }
  put_ = true;
  failed_ = PutRows(set.rows);
  if (failed_.ok()) failed_ = CutLog(Sql::kCutTail, set.log_tails);
  if (failed_.ok()) failed_ = RewriteLog(set.log_rewrites);
  if (failed_.ok()) failed_ = PutLog(set.log);
  if (failed_.ok()) failed_ = PutMeta(set);
  if (failed_.ok()) failed_ = CutLog(Sql::kCutLog, set.log_cuts);
  if (failed_.ok()) failed_ = PutBlockRows(*connection_, set);
  if (failed_.ok()) return failed_;
  if (absl::Status moved = lender_.CheckPlace(*connection_); !moved.ok())
    failed_ = std::move(moved);
  // The lock goes now; what is left of the transaction answers with the error.
  End();
  return failed_;
}

absl::Status SqliteTransaction::PutRows(const std::vector<EntityRow>& rows) {
  for (const EntityRow& row : rows) {
    Statement put(*connection_, Sql::kPutEntity);
    put.BindInt(1, static_cast<std::int64_t>(row.key.kind));
    put.BindBlob(2, row.key.key);
    if (row.name.has_value()) {
      put.BindBlob(3, AsBytes(*row.name));
    } else {
      put.BindNull(3);
    }
    put.BindBlob(4, row.state);
    AIMEM_RETURN_IF_ERROR(put.Run());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::int64_t> SqliteTransaction::StreamNumber(std::uint64_t stream) {
  for (const Sql sql : {Sql::kGetStream, Sql::kPutStream}) {
    Statement statement(*connection_, sql);
    statement.BindInt(1, ToStored(stream));
    AIMEM_ASSIGN_OR_RETURN(const bool found, statement.Step());
    if (!found) continue;
    const std::int64_t number = statement.Int(0);
    // A RETURNING statement has its effect once it was run to its end.
    AIMEM_RETURN_IF_ERROR(statement.Run());
    return number;
  }
  return MakeStatus(absl::StatusCode::kInternal, "a new stream was given no number");
}

absl::Status SqliteTransaction::PutLog(const std::vector<LogRow>& rows) {
  std::map<std::uint64_t, std::int64_t> numbers;
  for (const LogRow& row : rows) {
    if (row.seq > kMaxSeq) {
      return MakeStatus(absl::StatusCode::kInvalidArgument,
                        absl::StrFormat("sequence number %d of stream %016x is over %d", row.seq,
                                        row.stream, kMaxSeq));
    }
    const auto [number, unknown] = numbers.try_emplace(row.stream);
    if (unknown) {
      AIMEM_ASSIGN_OR_RETURN(number->second, StreamNumber(row.stream));
    }
    Statement put(*connection_, Sql::kPutLog);
    put.BindInt(1, number->second);
    put.BindInt(2, static_cast<std::int64_t>(row.seq));
    put.BindBlob(3, AsBytes(row.operation));
    put.BindBlob(4, row.bytes);
    absl::Status status = put.Run();
    if ((put.code() & 0xff) == SQLITE_CONSTRAINT) {
      return MakeStatus(absl::StatusCode::kAlreadyExists,
                        absl::StrFormat("the log has commit %d of stream %016x, or operation %s in "
                                        "that stream, already",
                                        row.seq, row.stream, row.operation.ToString()));
    }
    AIMEM_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::Status SqliteTransaction::RewriteLog(const std::vector<LogRow>& rows) {
  for (const LogRow& row : rows) {
    if (row.seq > kMaxSeq) continue;
    Statement rewrite(*connection_, Sql::kRewriteLog);
    rewrite.BindInt(1, ToStored(row.stream));
    rewrite.BindInt(2, static_cast<std::int64_t>(row.seq));
    rewrite.BindBlob(3, row.bytes);
    AIMEM_RETURN_IF_ERROR(rewrite.Run());
  }
  return absl::OkStatus();
}

absl::Status SqliteTransaction::PutMeta(const WriteSet& set) {
  for (const auto& [key, value] : set.meta) {
    Statement put(*connection_, Sql::kPutMeta);
    put.BindBlob(1, key);
    put.BindBlob(2, value);
    AIMEM_RETURN_IF_ERROR(put.Run());
  }
  return absl::OkStatus();
}

absl::Status SqliteTransaction::CutLog(
    Sql sql, const std::vector<std::pair<std::uint64_t, std::uint64_t>>& cuts) {
  for (const auto& [stream, seq] : cuts) {
    Statement cut(*connection_, sql);
    cut.BindInt(1, ToStored(stream));
    cut.BindInt(2, static_cast<std::int64_t>(std::min(seq, kMaxSeq)));
    AIMEM_RETURN_IF_ERROR(cut.Run());
  }
  return absl::OkStatus();
}

CommitResult SqliteTransaction::Commit() {
  CommitResult result;
  result.status = failed_;
  if (connection_ == nullptr) {
    if (result.status.ok()) {
      result.status = MakeStatus(absl::StatusCode::kFailedPrecondition, "the transaction is over");
    }
    return result;
  }
  if (writer_) result.status = failed_ = lender_.CheckPlace(*connection_);
  if (!failed_.ok() || !put_) {
    if (failed_.ok()) result.outcome = CommitOutcome::kDurable;
    End();
    return result;
  }
  if (place_.sync_writes) GrowLog(*connection_);
  int code = SQLITE_OK;
  {
    Statement commit(*connection_, Sql::kCommit);
    result.status = commit.Run();
    code = commit.code();
  }
  if (!result.status.ok()) return FailedCommit(code, std::move(result.status));
  result.outcome = CommitOutcome::kDurable;
  End();
  return result;
}

CommitResult SqliteTransaction::FailedCommit(int code, absl::Status status) {
  CommitResult result;
  result.status = std::move(status);
  // A full disk shows when a frame is written, before the one that commits is whole: unless the
  // log is padded, then it may come after. Everything else may have come after the frames were
  // synced, and a sync that failed says nothing of what is on the disk.
  const bool full = (code & 0xff) == SQLITE_FULL && !connection_->PadsLog();
  const bool busy = (code & 0xff) == SQLITE_BUSY && connection_->InTransaction();
  if (!full && !busy) {
    result.outcome = CommitOutcome::kUnknown;
    lender_.OutcomeUnknown();
  }
  connection_->Distrust();
  End();
  return result;
}

}  // namespace aimem::sqlite
