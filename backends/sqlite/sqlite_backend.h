// The SQLite backend of a store.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aimem/backends/sqlite.h"
#include "backends/sqlite/connection.h"
#include "backends/sqlite/file.h"
#include "backends/sqlite/log_files.h"
#include "backends/sqlite/open_files.h"
#include "backends/sqlite/transaction.h"
#include "lib/base/mutex.h"

namespace aimem::sqlite {

/// Connections for reading are lent from a pool; the one for writing is lent to one transaction
/// at a time, or to a checkpoint. None is opened before it is needed, so that opening a store
/// writes nothing. mutex_ guards who has what, and is never held across I/O.
///
/// Once something is found that makes whatever is written from then on a loss, the store is fenced:
/// all calls answer with that, for ever, and what is in the log is left there. Once SQLite says
/// that the file is damaged, only what writes does.
class SqliteBackend : public Backend, public Lender {
 public:
  SqliteBackend(Place place, const SqliteOptions& options);
  ~SqliteBackend() override;

  /// From now on the file is the one that lies there now.
  absl::Status Adopt();
  /// Read once from a store that has a log: the first look that needs locks.
  absl::Status CheckReadable();

  absl::StatusOr<std::unique_ptr<Transaction>> BeginRead() override;
  absl::StatusOr<std::unique_ptr<Transaction>> BeginWrite() override;
  absl::Status Recover() override;
  absl::Status Settle() override;
  absl::StatusOr<std::vector<std::string>> Verify() override;
  absl::Status Damaged() const override;
  absl::Status Maintain(bool idle) override;
  absl::Status Scrub() override;
  absl::StatusOr<std::optional<std::uint64_t>> ForeignCommits() override;
  absl::Status CheckDurable() override;
  absl::StatusOr<std::string> PhysicalIdentity() override;
  absl::StatusOr<std::int64_t> SizeBytes() override;
  std::string Url() const override { return "sqlite://" + place_.path; }
  /// CopySqliteStore, of what is read now.
  absl::Status CopyTo(const std::string& to, const SqliteCopyOptions& options);
  absl::Status Close() override;

 private:
  struct Reader {
    std::unique_ptr<Connection> connection;
    std::optional<FileStamp> stamp;  ///< Of the file that an immutable connection was opened on.
  };

  // Lender.
  void TakeBackReader(std::unique_ptr<Connection> connection,
                      std::optional<FileStamp> stamp) override;
  void TakeBackWriter(std::unique_ptr<Connection> connection) override;
  void OutcomeUnknown() override;
  absl::Status CheckPlace(Connection& connection) override;

  /// From now on answer with `why`. The first one counts.
  absl::Status Fence(absl::Status why);
  /// Fence if the index of the log is not sound. Without the write lock it is looked at for longer.
  absl::Status CheckLogIndex(Connection& connection, bool locked);

  absl::Status CheckUsable() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Wait until `free` is true, at most lock_timeout. `what` is waited for.
  template <typename Free>
  absl::Status WaitUntil(Free free, std::string_view what, absl::Duration wait)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  /// Take a free place in the pool: its connection, or null if it must be opened.
  absl::StatusOr<Reader> TakeReader();
  absl::StatusOr<Reader> OpenReader();
  /// Begin a read transaction on a reader, opened if it is not yet.
  absl::Status BeginToRead(Reader& reader);
  /// Open the file that this store has been opened on, and no other that has its name now.
  absl::StatusOr<std::unique_ptr<Connection>> OpenHere(Access access);
  /// Begin, and see that the file, its log and its index are those that were opened.
  absl::Status BeginOn(Connection& connection, Sql begin, absl::Duration wait);
  /// BeginWrite that waits so long for writers, of this process and of others.
  absl::StatusOr<std::unique_ptr<Transaction>> BeginWriteWithin(absl::Duration wait);
  /// Note whether `connection` has made the index.
  static void NoteIndex(Connection& connection);
  /// In a write transaction that has just begun: bring what the log shows to the disk (LogFiles).
  static absl::Status SyncWhatIsSeen(Connection& connection);
  /// The same for a reader that has found it: as far as it can be done now.
  void TryToSync(Connection& connection);
  /// Fence if they are not. Of log and index only what `connection` or another one has opened.
  absl::Status CheckNames(Connection* connection);

  /// Take the place for writing and its connection, null if it must be opened.
  absl::StatusOr<std::unique_ptr<Connection>> TakeWriter(absl::Duration wait);
  absl::StatusOr<std::unique_ptr<Connection>> OpenWriter();
  absl::Status Checkpoint(Connection& connection) const;
  /// Bring all of the log into the file, and leave no log; kUnavailable while somebody uses it.
  absl::Status EmptyLog(Connection& connection) const;
  int Lent() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return readers_lent_ + (writer_lent_ ? 1 : 0);
  }
  /// All connections that are not lent.
  std::vector<std::unique_ptr<Connection>> TakeAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// False if what is in the log has to be left there.
  bool MayRemoveLog();
  /// Close all connections, when those that are lent have come back.
  absl::Status CloseForRecovery();
  absl::Status RecoverClosed();

  const Place place_;
  const SqliteOptions options_;

  mutable Mutex mutex_;
  CondVar changed_;
  std::vector<Reader> readers_ ABSL_GUARDED_BY(mutex_);  ///< Those that nobody uses.
  int readers_lent_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<Connection> writer_ ABSL_GUARDED_BY(mutex_);
  bool writer_lent_ ABSL_GUARDED_BY(mutex_) = false;
  /// Frames in the log at the last checkpoint. Readers can keep it from starting again for long;
  /// the next one is then worth it after as much growth.
  int log_checked_ ABSL_GUARDED_BY(mutex_) = 0;
  /// Only ever asked for its data version, which own commits change too: they are made on another
  /// connection. Used by one thread at a time.
  std::unique_ptr<Connection> watcher_;
  std::uint64_t watchers_ = 0;  ///< How many there have been: each counts from the start.
  std::optional<FileId> file_;  ///< What was opened. Set once.
  OpenFile open_;
  /// Held by the connections: when the last one closes, log and index may go.
  std::weak_ptr<LogFiles> log_files_ ABSL_GUARDED_BY(mutex_);
  std::string identity_ ABSL_GUARDED_BY(mutex_);  ///< Of file_. Empty: not asked for yet.
  absl::Status fenced_ ABSL_GUARDED_BY(mutex_);
  bool unknown_ ABSL_GUARDED_BY(mutex_) = false;
  bool sync_tried_ ABSL_GUARDED_BY(mutex_) = false;  ///< By a reader, who does so once.
  bool recovering_ ABSL_GUARDED_BY(mutex_) = false;  ///< Whoever wants a connection waits.
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

/// Not to be used again; and what is in the log is left to a connection that is sound.
void CloseIfSuspect(std::unique_ptr<Connection>& connection);

/// Looks at what others may be changing, a millisecond apart.
constexpr int kLooks = 100;

}  // namespace aimem::sqlite
