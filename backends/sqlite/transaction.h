// Transactions: the questions of a Backend in SQL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "backends/sqlite/connection.h"
#include "backends/sqlite/file.h"

namespace aimem::sqlite {

/// Where a transaction gives its connection back, and says if a commit's outcome is hidden.
class Lender {
 public:
  virtual ~Lender() = default;
  virtual void TakeBackReader(std::unique_ptr<Connection> connection,
                              std::optional<FileStamp> stamp) = 0;
  virtual void TakeBackWriter(std::unique_ptr<Connection> connection) = 0;
  virtual void OutcomeUnknown() = 0;
  /// The files still have their names. Asked by a writer before it commits, also if it has only
  /// read, and when something failed.
  virtual absl::Status CheckPlace(Connection& connection) = 0;
};

/// A transaction on a connection that has begun one.
class SqliteTransaction : public Transaction {
 public:
  /// `stamp`: what an immutable connection's file must still look like after a read.
  SqliteTransaction(Lender& lender, std::unique_ptr<Connection> connection, const Place& place,
                    bool writer, std::optional<FileStamp> stamp);
  ~SqliteTransaction() override;

  absl::StatusOr<ReadResult> Read(const ReadSet& set) override;
  absl::StatusOr<std::vector<EntityRow>> Scan(const ScanRequest& request) override;
  absl::StatusOr<std::vector<LogRow>> ReadLog(std::uint64_t stream, std::uint64_t after,
                                              std::size_t max_rows, std::size_t max_bytes) override;
  absl::StatusOr<std::vector<BlockRow>> ReadBlocks(std::uint64_t segment, std::uint32_t first,
                                                   std::size_t max_bytes) override;
  absl::StatusOr<std::vector<BlockCount>> CountBlocks() override;
  absl::Status Put(const WriteSet& set) override;
  CommitResult Commit() override;

  /// Only of a transaction that is not over.
  [[nodiscard]] Connection& connection() { return *connection_; }

  /// SQLite's own check, in sentences.
  absl::StatusOr<std::vector<std::string>> IntegrityCheck();

 private:
  absl::Status CheckOpen() const;
  /// An immutable connection has no lock that keeps the file as it is: look afterwards.
  absl::Status CheckUnchanged() const;
  /// What `ask` answers. Without locks it counts only if the file did not change meanwhile, and
  /// damage only if it is there when the same file is read once more.
  template <typename Answer, typename Ask>
  absl::StatusOr<Answer> AskChecked(Ask ask);
  absl::StatusOr<ReadResult> ReadAll(const ReadSet& set);
  absl::StatusOr<std::vector<EntityRow>> ScanRange(const ScanRequest& request);
  absl::StatusOr<std::vector<LogRow>> ReadLogRange(std::uint64_t stream, std::uint64_t after,
                                                   std::size_t max_rows, std::size_t max_bytes);
  absl::StatusOr<std::vector<std::string>> CheckIntegrity();
  /// Read the file anew, as it is.
  absl::Status ReopenImmutable();
  absl::Status ReadEntities(const ReadSet& set, ReadResult& result);
  absl::Status ReadLogRows(const ReadSet& set, ReadResult& result);
  absl::Status ReadHeads(std::vector<LogRow>& heads);
  absl::Status ReadMeta(std::map<std::string, std::string>& meta);
  absl::Status PutRows(const std::vector<EntityRow>& rows);
  /// The number under which the log keeps `stream`; a new one if it has none.
  absl::StatusOr<std::int64_t> StreamNumber(std::uint64_t stream);
  absl::Status PutLog(const std::vector<LogRow>& rows);
  absl::Status RewriteLog(const std::vector<LogRow>& rows);
  absl::Status PutMeta(const WriteSet& set);
  /// Run `sql` for each (stream, seq).
  absl::Status CutLog(Sql sql, const std::vector<std::pair<std::uint64_t, std::uint64_t>>& cuts);
  absl::Status Damaged(std::string_view what) const;
  /// All of a log row but its bytes.
  absl::Status TakeLogKey(const Statement& statement, std::vector<LogRow>& rows) const;
  absl::Status TakeLogRow(const Statement& statement, std::vector<LogRow>& rows) const;
  absl::Status TakeEntityRow(const Statement& statement, std::vector<EntityRow>& rows) const;
  CommitResult FailedCommit(int code, absl::Status status);
  /// Roll back what is open, and give the connection back.
  void End();

  Lender& lender_;
  std::unique_ptr<Connection> connection_;  ///< Null once the transaction is over.
  const Place& place_;
  const bool writer_;
  const std::optional<FileStamp> stamp_;
  bool put_ = false;
  absl::Status failed_;  ///< Of Put: nothing of it may be committed.
};

}  // namespace aimem::sqlite
