#include "backends/postgres/transaction.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "backends/postgres/encode.h"
#include "backends/postgres/statements.h"
#include "lib/base/status.h"

namespace aimem::postgres {
namespace {

// Rows that one statement of a scan looks at, so that a large max_rows with a small max_bytes does
// not count through the whole table.
constexpr std::size_t kPageRows = 2'000;

// The server is silent while it drops rows, of the log a million of them in some ten seconds.
constexpr absl::Duration kCutPatience = absl::Minutes(2);

std::int64_t Clamped(std::size_t value) {
  constexpr std::size_t kMax = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(std::min(value, kMax));
}

absl::Status AddEntities(const Rows& rows, std::vector<EntityRow>& entities) {
  for (int row = 0; row < rows.size(); ++row) {
    AIMEM_ASSIGN_OR_RETURN(EntityRow entity, rows.Entity(row));
    entities.push_back(std::move(entity));
  }
  return absl::OkStatus();
}

// `found` are the rows of the keys asked for, in any order.
void PlaceByKey(std::vector<EntityRow> found, const std::vector<EntityKey>& keys,
                std::vector<std::optional<EntityRow>>& rows) {
  rows.resize(keys.size());
  if (found.empty()) return;
  const auto key_of = [](const EntityRow& row) -> const EntityKey& { return row.key; };
  std::ranges::sort(found, {}, key_of);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto at = std::ranges::lower_bound(found, keys[i], {}, key_of);
    if (at != found.end() && at->key == keys[i]) rows[i] = *at;
  }
}

absl::Status AddLog(const Rows& rows, std::vector<LogRow>& log) {
  for (int row = 0; row < rows.size(); ++row) {
    AIMEM_ASSIGN_OR_RETURN(LogRow commit, rows.Log(row));
    log.push_back(std::move(commit));
  }
  return absl::OkStatus();
}

// bigint orders streams above 2^63 first.
void SortByStream(std::vector<LogRow>& log) {
  std::sort(log.begin(), log.end(), [](const LogRow& a, const LogRow& b) {
    return std::pair(a.stream, a.seq) < std::pair(b.stream, b.seq);
  });
}

absl::StatusOr<ReadResult> Decode(const std::vector<Rows>& answers, std::size_t next,
                                  const ReadSet& set) {
  ReadResult result;
  std::vector<EntityRow> found;
  for (std::size_t kinds = KindsOf(set).size(); kinds > 0; --kinds) {
    AIMEM_RETURN_IF_ERROR(AddEntities(answers[next++], found));
  }
  PlaceByKey(std::move(found), set.keys, result.rows);
  if (!set.names.empty()) AIMEM_RETURN_IF_ERROR(AddEntities(answers[next++], result.named));
  if (!set.operations.empty()) AIMEM_RETURN_IF_ERROR(AddLog(answers[next++], result.operations));
  if (set.heads) AIMEM_RETURN_IF_ERROR(AddLog(answers[next++], result.heads));
  SortByStream(result.operations);
  SortByStream(result.heads);
  if (set.meta) {
    const Rows& meta = answers[next];
    for (int row = 0; row < meta.size(); ++row) {
      result.meta.emplace(meta.Bytes(row, 0), meta.Bytes(row, 1));
    }
  }
  return result;
}

}  // namespace

PostgresTransaction::~PostgresTransaction() {
  if (session_.has_value()) End(/*roll_back=*/true);
}

void PostgresTransaction::End(bool roll_back) {
  if (roll_back) (*session_)->RunAndForget(Call::Prepared(kRollback));
  session_.reset();
}

absl::Status PostgresTransaction::CheckOpen() const {
  if (!session_.has_value()) return absl::FailedPreconditionError("the transaction is over");
  return failed_;
}

absl::StatusOr<std::vector<Rows>> PostgresTransaction::Query(std::vector<Call> calls) {
  AIMEM_RETURN_IF_ERROR(CheckOpen());
  const std::size_t first = unsent_.size();
  std::vector<Call> all = std::exchange(unsent_, {});
  for (Call& call : calls) all.push_back(std::move(call));
  Answer answer = (*session_)->Run(all);
  if (!answer.status.ok()) {
    failed_ = answer.status;
    return failed_;
  }
  answer.rows.erase(answer.rows.begin(), answer.rows.begin() + static_cast<std::ptrdiff_t>(first));
  return std::move(answer.rows);
}

absl::StatusOr<Rows> PostgresTransaction::QueryOne(Call call) {
  std::vector<Call> calls;
  calls.push_back(std::move(call));
  AIMEM_ASSIGN_OR_RETURN(std::vector<Rows> answers, Query(std::move(calls)));
  return std::move(answers.front());
}

absl::StatusOr<Rows> PostgresTransaction::QueryRow(std::string sql) {
  AIMEM_ASSIGN_OR_RETURN(Rows rows, QueryOne(Call::Sql(std::move(sql))));
  if (rows.size() != 1) return absl::InternalError("PostgreSQL answered no row about itself");
  return rows;
}

absl::StatusOr<ReadResult> PostgresTransaction::Read(const ReadSet& set) {
  AIMEM_ASSIGN_OR_RETURN(const std::vector<Rows> answers, Query(CallsOf(set)));
  AIMEM_ASSIGN_OR_RETURN(ReadResult result, Decode(answers, 0, set));
  if (role_ == SessionRole::kWriter && !has_put_) Remember(set, result);
  return result;
}

void PostgresTransaction::Remember(const ReadSet& set, const ReadResult& result) {
  for (std::size_t i = 0; i < set.keys.size(); ++i) {
    if (!result.rows[i].has_value()) absent_.insert(set.keys[i]);
  }
  if (!set.heads) return;
  heads_.emplace();
  for (const LogRow& head : result.heads) heads_->emplace(head.stream, head.seq);
}

absl::StatusOr<std::vector<EntityRow>> PostgresTransaction::Scan(const ScanRequest& request) {
  if (!request.prefix.empty() && !request.kind.has_value()) {
    return absl::InvalidArgumentError("a scan by prefix needs a kind");
  }
  std::vector<EntityRow> rows;
  ScanRange range = RangeOf(request);
  std::size_t bytes = 0;
  const std::size_t max_bytes = std::max<std::size_t>(request.max_bytes, 1);
  while (rows.size() < request.max_rows && bytes < max_bytes && range.low < range.high) {
    const std::size_t page = std::min(kPageRows, request.max_rows - rows.size());
    const std::size_t before = rows.size();
    AIMEM_ASSIGN_OR_RETURN(const Rows answer,
                           QueryOne(ScanCall(range, Clamped(page), Clamped(max_bytes - bytes))));
    AIMEM_RETURN_IF_ERROR(AddEntities(answer, rows));
    for (std::size_t i = before; i < rows.size(); ++i) bytes += rows[i].state.size();
    if (rows.size() - before < page) break;
    range.low = {static_cast<std::int16_t>(rows.back().key.kind), rows.back().key.key + '\0'};
  }
  return rows;
}

absl::StatusOr<std::vector<LogRow>> PostgresTransaction::ReadLog(std::uint64_t stream,
                                                                 std::uint64_t after,
                                                                 std::size_t max_rows,
                                                                 std::size_t max_bytes) {
  std::vector<LogRow> log;
  std::size_t bytes = 0;
  max_bytes = std::max<std::size_t>(max_bytes, 1);
  while (log.size() < max_rows && bytes < max_bytes && after < kSeqMax) {
    const std::size_t page = std::min(kPageRows, max_rows - log.size());
    const std::size_t before = log.size();
    Call call = Call::Prepared(
        kReadLog, {Int64Parameter(StoredStream(stream)), Int64Parameter(Clamped(after)),
                   Int64Parameter(Clamped(page)), Int64Parameter(Clamped(max_bytes - bytes))});
    AIMEM_ASSIGN_OR_RETURN(const Rows answer, QueryOne(std::move(call)));
    AIMEM_RETURN_IF_ERROR(AddLog(answer, log));
    for (std::size_t i = before; i < log.size(); ++i) bytes += log[i].bytes.size();
    if (log.size() - before < page) break;
    after = log.back().seq;
  }
  return log;
}

absl::StatusOr<bool> PostgresTransaction::HasBlocks() {
  AIMEM_RETURN_IF_ERROR(CheckOpen());
  if (has_blocks_ || role_ == SessionRole::kReader) return has_blocks_;
  AIMEM_ASSIGN_OR_RETURN(const Rows has, QueryOne(Call::Prepared(kHasBlocks)));
  AIMEM_ASSIGN_OR_RETURN(const std::int64_t there, has.Int(0, 0));
  has_blocks_ = there != 0;
  return has_blocks_;
}

absl::StatusOr<std::vector<BlockRow>> PostgresTransaction::ReadBlocks(std::uint64_t segment,
                                                                      std::uint32_t first,
                                                                      std::size_t max_bytes) {
  std::vector<BlockRow> blocks;
  AIMEM_ASSIGN_OR_RETURN(const bool has, HasBlocks());
  std::size_t bytes = 0;
  std::int64_t next = first;
  while (has && bytes < max_bytes) {
    const std::size_t before = blocks.size();
    Call call = {nullptr,
                 {Int64Parameter(StoredStream(segment)), Int64Parameter(next),
                  Int64Parameter(Clamped(kPageRows)), Int64Parameter(Clamped(max_bytes - bytes))},
                 session().WithSchema(kReadBlocksSql)};
    AIMEM_ASSIGN_OR_RETURN(const Rows rows, QueryOne(std::move(call)));
    for (int row = 0; row < rows.size(); ++row) {
      AIMEM_ASSIGN_OR_RETURN(const std::int64_t part, rows.Int(row, 0));
      blocks.push_back(
          {segment, static_cast<std::uint32_t>(part), std::string(rows.Bytes(row, 1))});
      bytes += blocks.back().bytes.size();
      next = part + 1;
    }
    if (blocks.size() - before < kPageRows) break;
  }
  return blocks;
}

absl::StatusOr<std::vector<BlockCount>> PostgresTransaction::CountBlocks() {
  std::vector<BlockCount> counts;
  AIMEM_ASSIGN_OR_RETURN(const bool has, HasBlocks());
  if (!has) return counts;
  AIMEM_ASSIGN_OR_RETURN(const Rows rows,
                         QueryOne(Call::Sql(session().WithSchema(kCountBlocksSql))));
  for (int row = 0; row < rows.size(); ++row) {
    AIMEM_ASSIGN_OR_RETURN(const std::int64_t segment, rows.Int(row, 0));
    AIMEM_ASSIGN_OR_RETURN(const std::int64_t blocks, rows.Int(row, 1));
    counts.push_back({static_cast<std::uint64_t>(segment), static_cast<std::uint64_t>(blocks)});
  }
  // bigint orders segments above 2^63 first.
  std::ranges::sort(counts, {}, &BlockCount::segment);
  return counts;
}

absl::Status PostgresTransaction::PutBlocks(const WriteSet& set) {
  std::vector<Call> calls = BlockCallsOf(set);
  if (calls.empty()) return absl::OkStatus();
  AIMEM_ASSIGN_OR_RETURN(const bool has, HasBlocks());
  if (!has && set.blocks.empty()) return absl::OkStatus();
  if (!has) {
    calls.insert(calls.begin(), {Call::Sql(kCreateBlocksSql), Call::Sql(kStoreBlocksSql)});
    has_blocks_ = true;
  }
  for (Call& call : calls) {
    call.sql = session().WithSchema(call.sql.c_str());
    unsent_.push_back(std::move(call));
  }
  return absl::OkStatus();
}

// Under the write lock, a commit above the last one of its stream cannot be taken.
bool PostgresTransaction::IsSurelyNew(const WriteSet& set) const {
  if (!set.blocks.empty()) return false;
  if (set.log.empty()) return true;
  if (!heads_.has_value()) return false;
  std::map<std::uint64_t, std::uint64_t> heads = *heads_;
  for (const auto& [stream, last] : set.log_tails) {
    const auto head = heads.find(stream);
    if (head != heads.end()) head->second = std::min(head->second, last);
  }
  for (const LogRow& row : set.log) {
    const auto [head, is_new_stream] = heads.emplace(row.stream, row.seq);
    if (!is_new_stream && row.seq <= head->second) return false;
    head->second = row.seq;
  }
  return true;
}

absl::Status PostgresTransaction::Put(const WriteSet& set) {
  if (role_ != SessionRole::kWriter) {
    return absl::FailedPreconditionError("a read transaction cannot write");
  }
  if (!session_.has_value() || has_put_) {
    return absl::FailedPreconditionError("a transaction writes once, before its end");
  }
  if (!failed_.ok()) return failed_;
  AIMEM_ASSIGN_OR_RETURN(unsent_, CallsOf(set, absent_));
  has_put_ = true;
  // One cut may drop a year's commits, or a gigabyte of blocks.
  if (!set.log_cuts.empty() || !set.log_tails.empty() || !set.block_cuts.empty()) {
    session().set_patience(kCutPatience);
  }
  AIMEM_RETURN_IF_ERROR(PutBlocks(set));
  if (IsSurelyNew(set)) return absl::OkStatus();
  return Query({}).status();
}

CommitResult PostgresTransaction::Commit() {
  if (!session_.has_value()) {
    return {CommitOutcome::kNotDone, absl::FailedPreconditionError("the transaction is over")};
  }
  if (role_ != SessionRole::kReader && !has_put_ && (*session_)->NoticeLoss()) {
    End(/*roll_back=*/false);
    return {CommitOutcome::kNotDone,
            absl::UnavailableError("PostgreSQL: the connection was lost during the transaction")};
  }
  if (role_ == SessionRole::kReader || !has_put_) {
    End(/*roll_back=*/true);
    return {CommitOutcome::kDurable, absl::OkStatus()};
  }
  if (!failed_.ok()) {
    End(/*roll_back=*/true);
    return {CommitOutcome::kNotDone, failed_};
  }
  return CommitWrite();
}

absl::Status PostgresTransaction::Settle() {
  unsent_.push_back(Call::Prepared(kTouch));
  const CommitResult result = CommitWrite();
  return result.outcome == CommitOutcome::kDurable ? absl::OkStatus() : result.status;
}

CommitResult PostgresTransaction::CommitWrite() {
  if ((*session_)->NoticeLoss()) {
    End(/*roll_back=*/false);
    return {CommitOutcome::kNotDone,
            absl::UnavailableError("PostgreSQL: the connection was lost before the commit")};
  }
  if (absl::Status damaged = session().Damaged(); !damaged.ok()) {
    End(/*roll_back=*/true);
    return {CommitOutcome::kNotDone, std::move(damaged)};
  }
  std::vector<Call> calls = std::exchange(unsent_, {});
  calls.push_back(Call::Prepared(kCommit));
  const Answer answer = (*session_)->Run(calls);
  End(/*roll_back=*/answer.refused);
  if (answer.rows.size() == calls.size()) {
    if (answer.rows.back().command() != "COMMIT") {
      return {CommitOutcome::kNotDone,
              absl::InternalError(absl::StrFormat("PostgreSQL answered COMMIT with %s",
                                                  std::string(answer.rows.back().command())))};
    }
    // Its wait for a synchronous standby was cancelled: the primary alone has it.
    if (!answer.warning.empty()) {
      return {CommitOutcome::kUnknown, absl::UnavailableError(absl::StrFormat(
                                           "PostgreSQL warned at COMMIT: %s", answer.warning))};
    }
    return {CommitOutcome::kDurable, absl::OkStatus()};
  }
  if (answer.refused) return {CommitOutcome::kNotDone, answer.status};
  return {CommitOutcome::kUnknown, Annotate(answer.status, "the commit may have happened")};
}

}  // namespace aimem::postgres
