#include "backends/sqlite/log_file.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/base/status.h"

namespace aimem::sqlite {
namespace {

// SQLite's files take less than 128 KB at once: of a greater amount they write the remainder.
constexpr sqlite3_int64 kChunk = 64 << 10;

// Of the log's format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
constexpr sqlite3_int64 kLogHeader = 32;
constexpr sqlite3_int64 kFrame = 24 + 4096;
// The log of a store that is opened for a write or two stays as short as it is.
constexpr sqlite3_int64 kGrowsFrom = 128 << 10;
constexpr sqlite3_int64 kRoom = 64 << 10;
constexpr sqlite3_int64 kGrowBy = 256 << 10;

// Of the index: https://www.sqlite.org/walformat.html#the_wal_index_file_format
constexpr int kIndexBytes = 32 << 10;        ///< Its first block.
constexpr std::size_t kLastFrameWord = 4;    ///< mxFrame
constexpr std::size_t kBackfilledWord = 24;  ///< nBackfill

sqlite3_file* LogFile(Connection& connection) {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(connection.handle(), "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
  return file != nullptr && file->pMethods != nullptr ? file : nullptr;
}

/// The first block of the index that all processes share; null if there is none.
const volatile std::uint32_t* LogIndex(Connection& connection) {
  // Without a log there is no index, and asking for it would make one.
  if (LogFile(connection) == nullptr) return nullptr;
  sqlite3_file* file = nullptr;
  sqlite3_file_control(connection.handle(), "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (file == nullptr || file->pMethods == nullptr || file->pMethods->iVersion < 2) return nullptr;
  void volatile* memory = nullptr;
  const int code = file->pMethods->xShmMap(file, 0, kIndexBytes, /*extend=*/0, &memory);
  return code == SQLITE_OK ? static_cast<const volatile std::uint32_t*>(memory) : nullptr;
}

/// Write the log's own bytes over it, and zeros, which are no frame, behind what counts of it; sync
/// it. Under the write lock.
///
/// A sync that failed leaves pages in the page cache that the disk has not got and that no later
/// sync writes. A checkpoint alone is not enough then: a power cut after it could bring the log
/// back as the disk has it, without its end, to be replayed over newer pages. Frames that a commit
/// left when its sync failed are whole, and not in the index: they are not seen now, but would be
/// when the index is made from the log again.
int RewriteLog(Connection& connection) {
  sqlite3_file* file = LogFile(connection);
  if (file == nullptr) return SQLITE_OK;
  const volatile std::uint32_t* index = LogIndex(connection);
  if (index == nullptr) return SQLITE_IOERR_SHMMAP;
  const sqlite3_int64 counts = kLogHeader + index[kLastFrameWord] * kFrame;
  sqlite3_int64 size = 0;
  int code = file->pMethods->xFileSize(file, &size);
  if (code == SQLITE_OK && size == 0) return SQLITE_OK;
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(std::min(size, kChunk)));
  for (sqlite3_int64 at = 0; code == SQLITE_OK && at < size; at += kChunk) {
    const int amount = static_cast<int>(std::min(kChunk, size - at));
    code = file->pMethods->xRead(file, bytes.data(), amount, at);
    if (at + amount > counts) {
      std::fill(bytes.begin() + std::max<sqlite3_int64>(counts - at, 0), bytes.end(), 0);
    }
    if (code == SQLITE_OK) code = file->pMethods->xWrite(file, bytes.data(), amount, at);
  }
  if (code == SQLITE_OK) code = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
  return code;
}

}  // namespace

absl::Status SyncLogAsSeen(Connection& connection) {
  const int code = RewriteLog(connection);
  return code == SQLITE_OK ? absl::OkStatus() : connection.Error(code, "rewriting the log of");
}

absl::Status MakeDurable(Connection& connection) {
  // Nobody may write to the log, or begin it anew, while it is rewritten.
  AIMEM_RETURN_IF_ERROR(Statement(connection, Sql::kBeginWrite).Run());
  const absl::Status synced = SyncLogAsSeen(connection);
  const absl::Status ended = Statement(connection, Sql::kRollback).Run();
  AIMEM_RETURN_IF_ERROR(synced);
  AIMEM_RETURN_IF_ERROR(ended);
  // As far as readers allow: what they keep in the log is safe there.
  const int code = sqlite3_wal_checkpoint_v2(connection.handle(), "main", SQLITE_CHECKPOINT_PASSIVE,
                                             nullptr, nullptr);
  if (code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY) return absl::OkStatus();
  return connection.Error(code, "checkpointing");
}

bool LogShowsSomething(Connection& connection) {
  const volatile std::uint32_t* index = LogIndex(connection);
  return index != nullptr && index[kLastFrameWord] > 0;
}

bool LogIndexIsSound(Connection& connection) {
  const volatile std::uint32_t* index = LogIndex(connection);
  return index == nullptr || index[kBackfilledWord] <= index[kLastFrameWord];
}

void GrowLog(Connection& connection) {
  const sqlite3_int64 written = kLogHeader + connection.log_frames() * kFrame;
  if (written < kGrowsFrom || connection.log_bytes() - written >= kRoom) return;
  // Not asked at every commit: Linux gives a file that was asked about a new time at its next
  // write, which the sync then writes too.
  sqlite3_file* file = LogFile(connection);
  sqlite3_int64 size = 0;
  if (file == nullptr || file->pMethods->xFileSize(file, &size) != SQLITE_OK) return;
  // Behind the end nobody has written, and while this transaction lasts nobody will. Zeros are no
  // frame: the salt of the log's header is not in them.
  const std::vector<std::uint8_t> zeros(kChunk);
  const sqlite3_int64 enough = std::max(size, written + kGrowBy);
  for (; size < enough; size += kChunk) {
    if (file->pMethods->xWrite(file, zeros.data(), kChunk, size) != SQLITE_OK) return;
  }
  connection.set_log_bytes(size);
}

}  // namespace aimem::sqlite
