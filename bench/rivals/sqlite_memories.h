// A bare table of memories in SQLite, read by its primary key, or in an order that an index has.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "bench/corpus.h"
#include "bench/rivals/sqlite_rows.h"

namespace aimem::bench {

/// One row a memory, one column a field. Not thread-safe.
class SqliteMemories {
 public:
  explicit SqliteMemories(const std::string& path);

  /// Insert memory 0, 1, … of `corpus` under `ids`, without syncing, and checkpoint.
  void Load(const Corpus& corpus, std::span<const std::string> ids);

  /// Select one row by its id and copy every column out. Throws if there is none.
  void Get(const std::string& id);

  /// Make an index for ListByPriority.
  void IndexOrder();
  /// Select the first `count` rows by priority, then by their last update, and copy every column
  /// out. Throws if there are fewer.
  void ListByPriority(std::int64_t count);

 private:
  struct Row {
    std::string text[11];
    std::int64_t integer[2];
    double confidence;
  };

  void CopyRow(sqlite3_stmt* select);

  Database database_;
  Prepared insert_, select_, list_;
  Row row_;
};

}  // namespace aimem::bench
