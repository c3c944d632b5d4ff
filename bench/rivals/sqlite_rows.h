// A bare loop over SQLite: the rows of our store, and nothing around them.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "aimem/backends/backend.h"
#include "aimem/write_batch.h"

namespace aimem::bench {

/// Closes and finalizes; for std::unique_ptr.
struct SqliteCloser {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, SqliteCloser>;
using Prepared = std::unique_ptr<sqlite3_stmt, SqliteCloser>;

/// Write-ahead log, synchronous = FULL, pages of 4,096 bytes, checkpoint every 1,000 pages inside
/// the commit that reaches it, as SQLite does by itself; `cache_kb` of cache.
Database OpenDatabase(const std::string& path, int cache_kb);
Prepared Prepare(sqlite3* database, const char* sql);
void Execute(sqlite3* database, const char* sql);
/// Step and reset. Throws unless there is nothing more.
void RunOnce(sqlite3_stmt* statement);
void BindText(sqlite3_stmt* statement, int index, const std::string& text);

/// Tables `entity`, `log` and `stream` with the columns and indexes of the SQLite backend. Not
/// thread-safe.
class SqliteRows {
 public:
  /// `words`: also a full-text table over title, content and tags, which keeps no copy of them.
  SqliteRows(const std::string& path, bool words);

  /// BEGIN IMMEDIATE, the rows of `set`, the words of `memories`, COMMIT. Waits for the lock.
  void Put(const WriteSet& set, std::span<const PutMemory> memories);

  /// Fill without syncing, then checkpoint: the state that measuring begins with.
  void Load(std::span<const WriteSet> sets, std::span<const PutMemory> memories,
            std::size_t memories_a_set);

  /// Sums over all Puts, in seconds.
  struct Times {
    double begin = 0;
    double rows = 0;
    double words = 0;
    double commit = 0;  ///< Checkpoints included.
  };
  [[nodiscard]] const Times& times() const { return times_; }
  void ResetTimes() { times_ = {}; }

  /// Rank the rows that hold any of the words, and fetch the states of the best ten.
  int Search(const std::string& words_or);

 private:
  void PutRows(const WriteSet& set);
  /// The number under which the log keeps a stream; remembered for the last one.
  std::int64_t NumberOf(std::uint64_t stream);
  void PutWords(const PutMemory& memory);

  Database database_;
  Prepared begin_, commit_, entity_, log_, stream_, words_, search_;
  std::uint64_t number_is_of_ = 0;
  std::int64_t number_ = 0;
  Times times_;
};

}  // namespace aimem::bench
