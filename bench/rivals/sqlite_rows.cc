#include "bench/rivals/sqlite_rows.h"

#include <algorithm>
#include <bit>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "bench/measure.h"

namespace aimem::bench {
namespace {

constexpr char kTables[] =
    "CREATE TABLE IF NOT EXISTS entity("
    " n INTEGER PRIMARY KEY, kind INTEGER NOT NULL, key BLOB NOT NULL, name BLOB,"
    " state BLOB NOT NULL);"
    "CREATE UNIQUE INDEX IF NOT EXISTS entity_key ON entity(kind, key);"
    "CREATE INDEX IF NOT EXISTS entity_name ON entity(name) WHERE name IS NOT NULL;"
    "CREATE TABLE IF NOT EXISTS stream("
    " number INTEGER PRIMARY KEY, stream INTEGER NOT NULL UNIQUE);"
    "CREATE TABLE IF NOT EXISTS log("
    " position INTEGER PRIMARY KEY, operation BLOB NOT NULL, bytes BLOB NOT NULL);"
    "CREATE UNIQUE INDEX IF NOT EXISTS log_operation ON log(operation, position >> 40);";

constexpr char kWords[] =
    "CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(title, content, tags, content='')";

[[noreturn]] void Fail(sqlite3* database) {
  throw Failure(absl::StrCat("SQLite: ", sqlite3_errmsg(database)));
}

template <typename Bytes>
void BindBytes(sqlite3_stmt* statement, int index, const Bytes& bytes) {
  sqlite3_bind_blob64(statement, index, bytes.data(), bytes.size(), SQLITE_STATIC);
}

}  // namespace

Database OpenDatabase(const std::string& path, int cache_kb) {
  sqlite3* opened = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &opened,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(opened);
  if (code != SQLITE_OK) Fail(opened);
  sqlite3_busy_timeout(opened, 60'000);
  Execute(opened, "PRAGMA page_size = 4096");
  Execute(opened, "PRAGMA journal_mode = WAL");
  Execute(opened, "PRAGMA synchronous = FULL");
  Execute(opened, "PRAGMA wal_autocheckpoint = 1000");
  Execute(opened, "PRAGMA temp_store = MEMORY");
  Execute(opened, absl::StrCat("PRAGMA cache_size = -", cache_kb).c_str());
  return database;
}

Prepared Prepare(sqlite3* database, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) !=
      SQLITE_OK) {
    Fail(database);
  }
  return Prepared(statement);
}

void Execute(sqlite3* database, const char* sql) {
  if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) != SQLITE_OK) Fail(database);
}

void RunOnce(sqlite3_stmt* statement) {
  if (sqlite3_step(statement) != SQLITE_DONE) Fail(sqlite3_db_handle(statement));
  sqlite3_reset(statement);
}

void BindText(sqlite3_stmt* statement, int index, const std::string& text) {
  sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
}

SqliteRows::SqliteRows(const std::string& path, bool words) : database_(OpenDatabase(path, 8192)) {
  sqlite3* database = database_.get();
  Execute(database, kTables);
  begin_ = Prepare(database, "BEGIN IMMEDIATE");
  commit_ = Prepare(database, "COMMIT");
  entity_ = Prepare(
      database,
      "INSERT INTO entity (kind, key, name, state) VALUES (?1, ?2, ?3, ?4)"
      " ON CONFLICT (kind, key) DO UPDATE SET name = excluded.name, state = excluded.state");
  log_ = Prepare(database, "INSERT INTO log (position, operation, bytes) VALUES (?1, ?2, ?3)");
  stream_ = Prepare(database,
                    "INSERT INTO stream (stream) VALUES (?1)"
                    " ON CONFLICT (stream) DO UPDATE SET stream = stream RETURNING number");
  if (!words) return;
  Execute(database, kWords);
  words_ = Prepare(database, "INSERT INTO words (title, content, tags) VALUES (?1, ?2, ?3)");
  search_ = Prepare(database,
                    "SELECT e.state FROM (SELECT rowid AS n FROM words WHERE words MATCH ?1"
                    " ORDER BY rank LIMIT 10) w JOIN entity e ON e.n = w.n");
}

void SqliteRows::Put(const WriteSet& set, std::span<const PutMemory> memories) {
  const double start = MonotonicSeconds();
  RunOnce(begin_.get());
  const double begun = MonotonicSeconds();
  PutRows(set);
  const double put = MonotonicSeconds();
  if (words_) {
    for (const PutMemory& memory : memories) PutWords(memory);
  }
  const double indexed = MonotonicSeconds();
  RunOnce(commit_.get());
  times_.begin += begun - start;
  times_.rows += put - begun;
  times_.words += indexed - put;
  times_.commit += MonotonicSeconds() - indexed;
}

void SqliteRows::PutRows(const WriteSet& set) {
  for (const EntityRow& row : set.rows) {
    sqlite3_bind_int64(entity_.get(), 1, static_cast<std::int64_t>(row.key.kind));
    BindBytes(entity_.get(), 2, row.key.key);
    if (row.name) {
      BindBytes(entity_.get(), 3, *row.name);
    } else {
      sqlite3_bind_null(entity_.get(), 3);
    }
    BindBytes(entity_.get(), 4, row.state);
    RunOnce(entity_.get());
  }
  for (const LogRow& row : set.log) {
    const std::int64_t position = NumberOf(row.stream) << 40 | static_cast<std::int64_t>(row.seq);
    sqlite3_bind_int64(log_.get(), 1, position);
    BindBytes(log_.get(), 2, row.operation.bytes);
    BindBytes(log_.get(), 3, row.bytes);
    RunOnce(log_.get());
  }
}

std::int64_t SqliteRows::NumberOf(std::uint64_t stream) {
  if (number_ != 0 && stream == number_is_of_) return number_;
  sqlite3_bind_int64(stream_.get(), 1, std::bit_cast<std::int64_t>(stream));
  if (sqlite3_step(stream_.get()) != SQLITE_ROW) Fail(database_.get());
  number_ = sqlite3_column_int64(stream_.get(), 0);
  number_is_of_ = stream;
  RunOnce(stream_.get());
  return number_;
}

void SqliteRows::PutWords(const PutMemory& memory) {
  std::string tags;
  for (const std::string& tag : memory.tags) tags += tag + ' ';
  BindText(words_.get(), 1, memory.title);
  BindText(words_.get(), 2, memory.content);
  BindText(words_.get(), 3, tags);
  RunOnce(words_.get());
}

void SqliteRows::Load(std::span<const WriteSet> sets, std::span<const PutMemory> memories,
                      std::size_t memories_a_set) {
  Execute(database_.get(), "PRAGMA synchronous = OFF");
  for (std::size_t i = 0; i < sets.size(); ++i) {
    const std::size_t begin = std::min(i * memories_a_set, memories.size());
    Put(sets[i], memories.subspan(begin, std::min(memories_a_set, memories.size() - begin)));
  }
  Execute(database_.get(), "PRAGMA wal_checkpoint(TRUNCATE)");
  Execute(database_.get(), "PRAGMA synchronous = FULL");
}

int SqliteRows::Search(const std::string& words_or) {
  BindText(search_.get(), 1, words_or);
  int found = 0;
  while (sqlite3_step(search_.get()) == SQLITE_ROW) {
    found += sqlite3_column_bytes(search_.get(), 0) > 0 ? 1 : 0;
  }
  sqlite3_reset(search_.get());
  return found;
}

}  // namespace aimem::bench
