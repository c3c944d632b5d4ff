#include "bench/rivals/sqlite_memories.h"

#include <algorithm>

#include "bench/measure.h"

namespace aimem::bench {
namespace {

constexpr char kTable[] =
    "CREATE TABLE memories("
    " id TEXT PRIMARY KEY, tier TEXT NOT NULL, namespace TEXT NOT NULL, title TEXT NOT NULL,"
    " content TEXT NOT NULL, tags TEXT NOT NULL, priority INTEGER NOT NULL,"
    " confidence REAL NOT NULL, source TEXT NOT NULL, access_count INTEGER NOT NULL,"
    " created_at TEXT NOT NULL, updated_at TEXT NOT NULL, last_accessed_at TEXT, expires_at TEXT,"
    " metadata TEXT NOT NULL)";
constexpr int kTextColumns[] = {1, 2, 3, 4, 5, 8, 10, 11, 12, 13, 14};
constexpr std::size_t kRowsACommit = 10'000;

}  // namespace

SqliteMemories::SqliteMemories(const std::string& path) : database_(OpenDatabase(path, 4096)) {
  Execute(database_.get(), kTable);
  insert_ = Prepare(database_.get(),
                    "INSERT INTO memories VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'api', 0,"
                    " '2025-01-02T03:04:05.678901234+00:00',"
                    " '2025-01-02T03:04:05.678901234+00:00', NULL,"
                    " '2025-01-09T03:04:05.678901234+00:00', '{\"agent_id\":\"bench\"}')");
  select_ = Prepare(database_.get(), "SELECT * FROM memories WHERE id = ?1");
}

void SqliteMemories::Load(const Corpus& corpus, std::span<const std::string> ids) {
  Execute(database_.get(), "PRAGMA synchronous = OFF");
  Execute(database_.get(), "PRAGMA wal_autocheckpoint = 50000");
  for (std::size_t begin = 0; begin < ids.size(); begin += kRowsACommit) {
    Execute(database_.get(), "BEGIN IMMEDIATE");
    const std::size_t end = std::min(begin + kRowsACommit, ids.size());
    for (std::size_t i = begin; i < end; ++i) {
      const PutMemory memory = corpus.Memory(static_cast<std::int64_t>(i));
      const std::string tier(TierName(memory.tier));
      const std::string tags = "[\"" + memory.tags[0] + "\",\"" + memory.tags[1] + "\"]";
      BindText(insert_.get(), 1, ids[i]);
      BindText(insert_.get(), 2, tier);
      BindText(insert_.get(), 3, memory.namespace_);
      BindText(insert_.get(), 4, memory.title);
      BindText(insert_.get(), 5, memory.content);
      BindText(insert_.get(), 6, tags);
      sqlite3_bind_int64(insert_.get(), 7, memory.priority);
      sqlite3_bind_double(insert_.get(), 8, memory.confidence);
      RunOnce(insert_.get());
    }
    Execute(database_.get(), "COMMIT");
  }
  Execute(database_.get(), "PRAGMA wal_checkpoint(TRUNCATE)");
}

void SqliteMemories::Get(const std::string& id) {
  sqlite3_stmt* select = select_.get();
  BindText(select, 1, id);
  if (sqlite3_step(select) != SQLITE_ROW) throw Failure("the rival has no memory " + id);
  CopyRow(select);
  sqlite3_reset(select);
}

void SqliteMemories::IndexOrder() {
  Execute(database_.get(),
          "CREATE INDEX by_priority ON memories(priority DESC, updated_at DESC, id)");
  list_ = Prepare(database_.get(),
                  "SELECT * FROM memories ORDER BY priority DESC, updated_at DESC, id LIMIT ?1");
}

void SqliteMemories::ListByPriority(std::int64_t count) {
  sqlite3_bind_int64(list_.get(), 1, count);
  for (; count > 0 && sqlite3_step(list_.get()) == SQLITE_ROW; --count) CopyRow(list_.get());
  if (count > 0) throw Failure("the rival has too few memories");
  sqlite3_reset(list_.get());
}

void SqliteMemories::CopyRow(sqlite3_stmt* select) {
  std::string* text = row_.text;
  for (const int column : kTextColumns) {
    const void* bytes = sqlite3_column_blob(select, column);
    (text++)->assign(static_cast<const char*>(bytes == nullptr ? "" : bytes),
                     static_cast<std::size_t>(sqlite3_column_bytes(select, column)));
  }
  row_.integer[0] = sqlite3_column_int64(select, 6);
  row_.integer[1] = sqlite3_column_int64(select, 9);
  row_.confidence = sqlite3_column_double(select, 7);
}

}  // namespace aimem::bench
