// One SQLite connection with its kept statements, and the way from SQLite's codes to a Status.
#pragma once

#include <sqlite3.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "backends/sqlite/log_vfs.h"
#include "lib/base/damage.h"

namespace aimem::sqlite {

/// Every statement that is prepared once per connection.
enum class Sql : std::size_t {
  kBeginRead,
  kBeginWrite,
  kCommit,
  kRollback,
  kVersion,
  kGetEntity,
  kGetNamed,
  kScan,
  kGetOperation,
  kGetHeads,
  kReadLog,
  kGetMeta,
  kPutEntity,
  kGetStream,
  kPutStream,
  kPutLog,
  kPutMeta,
  kCutLog,
  kCutTail,
  kHasBlocks,
  kReadBlocks,
  kCountBlocks,
  kCutBlocks,
  kPutBlock,
  kRewriteLog,
  kDataVersion,
  kIntegrityCheck,
  kCount,
};

enum class Access {
  kCreate,     ///< Read and write; the file is made if absent.
  kWrite,      ///< Read and write.
  kRead,       ///< Reads, and takes part in the write-ahead log like a writer.
  kImmutable,  ///< For reading, without locks and side files: nobody may be writing.
};

/// What every connection to a file is opened with.
struct Place {
  std::string path;  ///< Absolute.
  std::string vfs;   ///< Empty: SQLite's default.
  bool sync_writes = true;
  absl::Duration lock_timeout = absl::Seconds(30);
  /// Told when SQLite says that the file is damaged, unless it was read without locks. Null:
  /// nobody.
  std::shared_ptr<Damage> damage;
};

class LogFiles;
class Connection;

/// One use of a statement; the statement is ready for the next use when this one ends. An error of
/// preparing or binding is told by Step().
class Statement {
 public:
  Statement(Connection& connection, Sql sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Parameters count from 1. Blobs must outlive the last Step().
  void BindInt(int index, std::int64_t value);
  void BindBlob(int index, std::string_view value);
  void BindNull(int index);

  /// True: there is a row. False: done.
  absl::StatusOr<bool> Step();
  /// Step of a statement that has no rows.
  absl::Status Run();
  /// SQLite's extended code of the last Step().
  [[nodiscard]] int code() const { return code_; }

  // Columns count from 0; a blob is valid until the next Step().
  [[nodiscard]] std::int64_t Int(int column) const;
  [[nodiscard]] std::string_view Blob(int column) const;
  [[nodiscard]] bool IsNull(int column) const;

 private:
  Connection& connection_;
  sqlite3_stmt* statement_ = nullptr;
  int code_ = SQLITE_OK;
};

/// The bytes of log rows, of which only the beginning is read: a row of megabytes lies on pages
/// of its own, which are left alone. Ends before the transaction does.
class LogBytes {
 public:
  explicit LogBytes(Connection& connection) : connection_(connection) {}
  ~LogBytes() { sqlite3_blob_close(blob_); }
  LogBytes(const LogBytes&) = delete;
  LogBytes& operator=(const LogBytes&) = delete;

  /// The first `most` bytes, or all if there are fewer, of the row at `position`.
  absl::StatusOr<std::string> Start(std::int64_t position, std::size_t most);

 private:
  Connection& connection_;
  sqlite3_blob* blob_ = nullptr;
};

/// Used by one thread at a time.
class Connection {
 public:
  /// If `check` is given it is asked once the file is open, before anything is done to it or to
  /// what stands beside it.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(
      const Place& place, Access access, const std::function<absl::Status()>& check = nullptr);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// From now on locks are waited for until `lock_timeout` has passed.
  void StartWaiting() { StartWaiting(place_.lock_timeout); }
  /// The same, for another time.
  void StartWaiting(absl::Duration time);
  /// Sleep for a moment; false if there is no time left.
  bool WaitForLock();

  /// Run SQL of our own that is used once.
  absl::Status Execute(const char* sql);
  /// The first column of the first row; 0 if there is none.
  absl::StatusOr<std::int64_t> QueryInt(const char* sql);

  /// A status for `code`: what failed, SQLite's words, the file and what to do.
  absl::Status Error(int code, std::string_view action);

  /// An error came after which this connection is better replaced than used.
  [[nodiscard]] bool suspect() const { return suspect_; }
  void Distrust() { suspect_ = true; }
  /// A transaction is open.
  [[nodiscard]] bool InTransaction() const;
  /// The file or its folder lets us read only.
  [[nodiscard]] bool ReadOnly() const;
  /// When this closes, and nobody else has the file open, copy the write-ahead log into the file
  /// and remove it. Only if what the log shows is known to be on the disk: else a power cut might
  /// bring it back without its end, to be replayed over newer pages. Else it is left as it is.
  void RemoveLogOnClose();
  /// SQLite says that another file has its name now.
  [[nodiscard]] bool HasMoved() const;
  /// It has opened a write-ahead log; then nobody takes that away.
  [[nodiscard]] bool HasLogOpen() const;
  /// True once after this connection has made the index of the log from the log (LogVfs).
  [[nodiscard]] bool TakeMadeIndex();
  /// What the log and its index were when they were opened, as all connections of a store found
  /// them.
  [[nodiscard]] const std::shared_ptr<LogFiles>& log_files() const { return log_files_; }
  void set_log_files(std::shared_ptr<LogFiles> files) { log_files_ = std::move(files); }
  /// Set if the files overwrite in whole sectors only: then SQLite pads the log after a commit.
  [[nodiscard]] bool PadsLog() const;

  [[nodiscard]] sqlite3* handle() const { return handle_; }
  [[nodiscard]] Access access() const { return access_; }
  /// Frames in the write-ahead log after the last commit here.
  [[nodiscard]] int log_frames() const { return log_frames_; }
  void set_log_frames(int frames) { log_frames_ = frames; }
  /// How long the write-ahead log is at least, as far as this connection has looked.
  [[nodiscard]] std::int64_t log_bytes() const { return log_bytes_; }
  void set_log_bytes(std::int64_t bytes) { log_bytes_ = bytes; }

 private:
  friend class Statement;
  Connection(const Place& place, Access access) : place_(place), access_(access) {}
  absl::Status Configure();
  /// Null and `code` set if it does not compile.
  sqlite3_stmt* Prepared(Sql sql, int& code);
  static int OnBusy(void* self, int attempts);
  static int OnCommit(void* self, sqlite3* handle, const char* schema, int frames);

  const Place place_;
  const Access access_;
  std::unique_ptr<LogVfs> log_vfs_;  ///< Of all but those that read without locks.
  sqlite3* handle_ = nullptr;
  std::array<sqlite3_stmt*, static_cast<std::size_t>(Sql::kCount)> statements_{};
  absl::Duration deadline_;  ///< On the monotonic clock.
  std::uint64_t jitter_ = 1;
  int attempts_ = 0;  ///< Waits since StartWaiting().
  int log_frames_ = 0;
  std::int64_t log_bytes_ = 0;
  std::shared_ptr<LogFiles> log_files_;
  bool suspect_ = false;
};

/// Why the system would refuse to write the file at `path`, or to make others beside it; 0: it
/// would not.
int ErrorOfWriting(const std::string& path);

/// What to do about that.
std::string_view HowToMakeWritable(int system_error);

/// The code and the message for a SQLite code without a connection.
absl::Status SqliteError(int code, int system_error, std::string_view detail,
                         std::string_view action, std::string_view path);

}  // namespace aimem::sqlite
