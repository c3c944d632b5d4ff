// One transaction of the backend, over a session on loan.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "backends/postgres/pool.h"

namespace aimem::postgres {

/// What Put() writes is sent with whatever follows: a Read(), or the COMMIT. So a group of writes
/// is three round trips: lock, read, write and commit.
class PostgresTransaction : public Transaction {
 public:
  /// `lease`: BEGIN and, for a write, the lock have been done on it. `has_blocks`: there is a table
  /// of blocks. That there is none counts for a reader only: a writer was told before it had the
  /// lock.
  PostgresTransaction(Lease lease, SessionRole role, bool has_blocks)
      : session_(std::move(lease)), role_(role), has_blocks_(has_blocks) {}
  ~PostgresTransaction() override;

  absl::StatusOr<ReadResult> Read(const ReadSet& set) override;
  absl::StatusOr<std::vector<EntityRow>> Scan(const ScanRequest& request) override;
  absl::StatusOr<std::vector<LogRow>> ReadLog(std::uint64_t stream, std::uint64_t after,
                                              std::size_t max_rows, std::size_t max_bytes) override;
  absl::StatusOr<std::vector<BlockRow>> ReadBlocks(std::uint64_t segment, std::uint32_t first,
                                                   std::size_t max_bytes) override;
  absl::StatusOr<std::vector<BlockCount>> CountBlocks() override;
  absl::Status Put(const WriteSet& set) override;
  CommitResult Commit() override;

  /// In a write transaction that has not written: commit all the same, and wait for it. What this
  /// transaction saw was written to the server's log before that, so it is then as durable as what
  /// Commit() calls so. Otherwise, whatever is seen, the error.
  absl::Status Settle();

  /// Run statements of this room in this transaction.
  absl::StatusOr<std::vector<Rows>> Query(std::vector<Call> calls);
  /// The one row that `sql` answers; kInternal if it answers none or several.
  absl::StatusOr<Rows> QueryRow(std::string sql);

  /// Only until the transaction is over.
  [[nodiscard]] Session& session() { return **session_; }

 private:
  absl::Status CheckOpen() const;
  absl::StatusOr<Rows> QueryOne(Call call);
  absl::StatusOr<bool> HasBlocks();
  /// Have what `set` says of blocks sent with the rest, and before it the making of their table.
  absl::Status PutBlocks(const WriteSet& set);
  void Remember(const ReadSet& set, const ReadResult& result);
  bool IsSurelyNew(const WriteSet& set) const;
  CommitResult CommitWrite();
  /// Give the connection back: the transaction is over.
  void End(bool roll_back);

  std::optional<Lease> session_;  // None when the transaction is over.
  const SessionRole role_;
  bool has_blocks_;
  /// Of Put(), not yet sent.
  std::vector<Call> unsent_;
  /// Last seq of every stream, as read before Put(): no one else writes meanwhile.
  std::optional<std::map<std::uint64_t, std::uint64_t>> heads_;
  /// Keys that were read before Put() and have no row: as long.
  std::set<EntityKey> absent_;
  /// Why the transaction can do nothing any more.
  absl::Status failed_;
  bool has_put_ = false;
};

}  // namespace aimem::postgres
