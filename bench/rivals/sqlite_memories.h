// A bare table of memories in SQLite, read by its primary key.
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

 private:
  struct Row {
    std::string text[11];
    std::int64_t integer[2];
    double confidence;
  };

  Database database_;
  Prepared insert_, select_;
  Row row_;
};

}  // namespace aimem::bench
