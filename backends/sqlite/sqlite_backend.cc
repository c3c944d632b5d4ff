#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "aimem/backends/sqlite.h"
#include "aimem/environment.h"
#include "backends/sqlite/connection.h"
#include "backends/sqlite/file.h"
#include "backends/sqlite/log_file.h"
#include "backends/sqlite/log_files.h"
#include "backends/sqlite/open_files.h"
#include "backends/sqlite/schema.h"
#include "backends/sqlite/transaction.h"
#include "lib/base/mutex.h"
#include "lib/base/status.h"

namespace aimem {
namespace sqlite {
namespace {

Place WithDamage(Place place) {
  place.damage = std::make_shared<Damage>();
  return place;
}

/// Connections for reading are lent from a pool; the one for writing is lent to one transaction
/// at a time, or to a checkpoint. None is opened before it is needed, so that opening a store
/// writes nothing. mutex_ guards who has what, and is never held across I/O.
///
/// Once something is found that makes whatever is written from then on a loss, the store is fenced:
/// all calls answer with that, for ever, and what is in the log is left there. Once SQLite says
/// that the file is damaged, only what writes does.
class SqliteBackend : public Backend, public Lender {
 public:
  SqliteBackend(Place place, const SqliteOptions& options)
      : place_(WithDamage(std::move(place))), options_(options) {}
  ~SqliteBackend() override { static_cast<void>(Close()); }

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
  absl::StatusOr<std::optional<std::uint64_t>> ForeignCommits() override;
  absl::Status CheckDurable() override;
  absl::StatusOr<std::string> PhysicalIdentity() override;
  absl::StatusOr<std::int64_t> SizeBytes() override;
  std::string Url() const override { return "sqlite://" + place_.path; }
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

/// Looks at what others may be changing, a millisecond apart.
constexpr int kLooks = 100;

/// Not to be used again; and what is in the log is left to a connection that is sound.
void CloseIfSuspect(std::unique_ptr<Connection>& connection) {
  if (connection != nullptr && connection->suspect()) connection.reset();
}

// -- Lending --------------------------------------------------------------------------------------

// Of files that are not those that were opened nothing follows for those.
absl::Status SqliteBackend::Damaged() const {
  MutexLock lock(mutex_);
  return fenced_.ok() ? place_.damage->Get() : absl::OkStatus();
}

absl::Status SqliteBackend::CheckUsable() const {
  if (closed_) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      absl::StrFormat("the store '%s' is closed", place_.path));
  }
  AIMEM_RETURN_IF_ERROR(fenced_);
  if (unknown_) {
    return MakeStatus(
        absl::StatusCode::kUnavailable,
        absl::StrFormat("the outcome of a commit to '%s' is unknown: recover first", place_.path));
  }
  return absl::OkStatus();
}

template <typename Free>
absl::Status SqliteBackend::WaitUntil(Free free, std::string_view what, absl::Duration wait) {
  const absl::Duration deadline = SystemClock().Monotonic() + wait;
  for (;;) {
    if (!recovering_) {
      AIMEM_RETURN_IF_ERROR(CheckUsable());
      if (free()) return absl::OkStatus();
    }
    const absl::Duration left = deadline - SystemClock().Monotonic();
    if (left <= absl::ZeroDuration()) {
      return MakeStatus(absl::StatusCode::kUnavailable,
                        absl::StrFormat("waited %s for %s '%s' in this process: try again, or "
                                        "raise lock_timeout or readers",
                                        absl::FormatDuration(wait), what, place_.path));
    }
    changed_.WaitFor(mutex_, left);
  }
}

absl::StatusOr<SqliteBackend::Reader> SqliteBackend::TakeReader() {
  MutexLock lock(mutex_);
  AIMEM_RETURN_IF_ERROR(WaitUntil(
      [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return readers_lent_ < options_.readers; },
      "a connection for reading", options_.lock_timeout));
  ++readers_lent_;
  Reader reader;
  if (!readers_.empty()) {
    reader = std::move(readers_.back());
    readers_.pop_back();
  }
  return reader;
}

void SqliteBackend::TakeBackReader(std::unique_ptr<Connection> connection,
                                   std::optional<FileStamp> stamp) {
  CloseIfSuspect(connection);
  MutexLock lock(mutex_);
  --readers_lent_;
  if (connection != nullptr) readers_.push_back(Reader{std::move(connection), stamp});
  changed_.NotifyAll();
}

absl::StatusOr<std::unique_ptr<Connection>> SqliteBackend::TakeWriter(absl::Duration wait) {
  MutexLock lock(mutex_);
  AIMEM_RETURN_IF_ERROR(WaitUntil([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return !writer_lent_; },
                                  "the turn to write to", wait));
  writer_lent_ = true;
  return std::move(writer_);
}

void SqliteBackend::TakeBackWriter(std::unique_ptr<Connection> connection) {
  CloseIfSuspect(connection);
  MutexLock lock(mutex_);
  writer_ = std::move(connection);
  writer_lent_ = false;
  changed_.NotifyAll();
}

absl::Status SqliteBackend::Fence(absl::Status why) {
  MutexLock lock(mutex_);
  if (fenced_.ok()) fenced_ = std::move(why);
  changed_.NotifyAll();
  return fenced_;
}

void SqliteBackend::OutcomeUnknown() {
  std::shared_ptr<LogFiles> opened;
  {
    MutexLock lock(mutex_);
    unknown_ = true;
    opened = log_files_.lock();
    changed_.NotifyAll();
  }
  if (opened != nullptr) opened->SetUnsynced();
}

// -- Files that move ------------------------------------------------------------------------------

absl::Status SqliteBackend::Adopt() {
  AIMEM_ASSIGN_OR_RETURN(file_, IdOf(place_.path));
  if (!file_.has_value()) return Moved(place_.path, place_.path);
  AIMEM_ASSIGN_OR_RETURN(open_, OpenFile::Note(*file_, place_.path));
  return absl::OkStatus();
}

absl::Status SqliteBackend::CheckNames(Connection* connection) {
  const std::string log_path = place_.path + "-wal";
  const std::string index_path = place_.path + "-shm";
  const bool has_log = connection != nullptr && connection->HasLogOpen();
  std::weak_ptr<LogFiles> before;
  {
    MutexLock lock(mutex_);
    before = log_files_;
  }
  AIMEM_ASSIGN_OR_RETURN(const std::optional<FileId> file, IdOf(place_.path));
  if (file != file_) return Fence(Moved(place_.path, place_.path));
  if (!has_log && before.expired()) return absl::OkStatus();
  AIMEM_ASSIGN_OR_RETURN(const std::optional<FileId> log, IdOf(log_path));
  AIMEM_ASSIGN_OR_RETURN(const std::optional<FileId> index, IdOf(index_path));
  std::shared_ptr<LogFiles> opened;
  {
    MutexLock lock(mutex_);
    opened = log_files_.lock();
    if (opened == nullptr && has_log && log.has_value()) {
      log_files_ = opened = std::make_shared<LogFiles>(log_path, *log, index, place_.sync_writes);
    }
  }
  // If the last one that had them open has closed them meanwhile, they may go.
  if (!has_log && (opened == nullptr || opened != before.lock())) return absl::OkStatus();
  if (opened == nullptr || log != opened->log()) return Fence(Moved(log_path, place_.path));
  if (opened->index().has_value() && index != opened->index()) {
    return Fence(Moved(index_path, place_.path));
  }
  if (has_log) connection->set_log_files(std::move(opened));
  return absl::OkStatus();
}

absl::Status SqliteBackend::CheckPlace(Connection& connection) {
  AIMEM_RETURN_IF_ERROR(CheckNames(&connection));
  MutexLock lock(mutex_);
  return fenced_.ok() ? place_.damage->Get() : fenced_;
}

absl::StatusOr<std::unique_ptr<Connection>> SqliteBackend::OpenHere(Access access) {
  const auto check = [this] { return CheckNames(nullptr); };
  AIMEM_RETURN_IF_ERROR(check());
  absl::StatusOr<std::unique_ptr<Connection>> connection = Connection::Open(place_, access, check);
  if (absl::IsFailedPrecondition(connection.status())) return Fence(connection.status());
  return connection;
}

// -- Reading --------------------------------------------------------------------------------------

absl::StatusOr<SqliteBackend::Reader> SqliteBackend::OpenReader() {
  for (int look = 0;; ++look) {
    Reader reader;
    absl::StatusOr<std::unique_ptr<Connection>> connection = OpenHere(Access::kRead);
    if (connection.ok()) {
      reader.connection = *std::move(connection);
      return reader;
    }
    if (!absl::IsPermissionDenied(connection.status())) return connection.status();
    // A folder that we may not write to has no place for the side files: only that is read without.
    reader.stamp = StampOf(place_.path);
    if (!HasLog(place_.path)) {
      AIMEM_ASSIGN_OR_RETURN(reader.connection, OpenHere(Access::kImmutable));
      return reader;
    }
    // Somebody's log may have come just now.
    if (look == kLooks) return connection.status();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

absl::Status SqliteBackend::BeginOn(Connection& connection, Sql begin, absl::Duration wait) {
  connection.StartWaiting(wait);
  absl::Status status = Statement(connection, begin).Run();
  // The version is the first thing read: that takes the snapshot.
  if (status.ok()) status = CheckVersion(connection, place_);
  // A writer that knows its log looks when it has read and written: CheckPlace.
  if (begin != Sql::kBeginWrite || !status.ok() || connection.log_files() == nullptr) {
    // Whatever was seen is of other files if they moved.
    AIMEM_RETURN_IF_ERROR(CheckNames(&connection));
  }
  NoteIndex(connection);
  return status;
}

absl::Status SqliteBackend::BeginToRead(Reader& reader) {
  for (int look = 0;; ++look) {
    if (reader.connection == nullptr) {
      AIMEM_ASSIGN_OR_RETURN(reader, OpenReader());
    }
    absl::Status status = BeginOn(*reader.connection, Sql::kBeginRead, options_.lock_timeout);
    if (!absl::IsPermissionDenied(status) || look == kLooks) return status;
    // Somebody's log has just begun, and nobody but who writes may make its index.
    reader.connection->Distrust();
    CloseIfSuspect(reader.connection);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

absl::StatusOr<std::unique_ptr<Transaction>> SqliteBackend::BeginRead() {
  AIMEM_ASSIGN_OR_RETURN(Reader reader, TakeReader());
  if (reader.stamp.has_value() && (reader.stamp != StampOf(place_.path) || HasLog(place_.path))) {
    reader.connection.reset();
  }
  const absl::Status status = BeginToRead(reader);
  if (!status.ok()) {
    if (reader.connection != nullptr) reader.connection->Distrust();
    TakeBackReader(std::move(reader.connection), reader.stamp);
    return status;
  }
  TryToSync(*reader.connection);
  return std::make_unique<SqliteTransaction>(*this, std::move(reader.connection), place_, false,
                                             reader.stamp);
}

void SqliteBackend::TryToSync(Connection& connection) {
  if (connection.log_files() == nullptr || connection.log_files()->synced()) return;
  if (options_.read_only || !LogShowsSomething(connection)) return;
  {
    MutexLock lock(mutex_);
    if (sync_tried_ || writer_lent_) return;
    sync_tried_ = true;
  }
  // A read says nothing of the disk, and waits for nobody who writes. Who writes tries again, and
  // says why it could not.
  if (connection.log_files()->Synced()) return;
  BeginWriteWithin(absl::ZeroDuration()).status().IgnoreError();
}

absl::Status SqliteBackend::CheckReadable() {
  Reader reader;
  AIMEM_RETURN_IF_ERROR(BeginToRead(reader));
  absl::StatusOr<std::int64_t> tables = reader.connection->QueryInt(
      "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN"
      " ('entity', 'log', 'meta', 'stream')");
  if (!tables.ok()) return tables.status();
  if (*tables != 4) {
    return MakeStatus(absl::StatusCode::kDataLoss,
                      absl::StrFormat("the store '%s' is damaged: one of its tables is missing; "
                                      "restore it from a backup",
                                      place_.path));
  }
  AIMEM_RETURN_IF_ERROR(Statement(*reader.connection, Sql::kCommit).Run());
  MutexLock lock(mutex_);
  readers_.push_back(std::move(reader));
  return absl::OkStatus();
}

// -- Writing --------------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<Connection>> SqliteBackend::OpenWriter() {
  AIMEM_ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection, OpenHere(Access::kWrite));
  if (connection->ReadOnly()) {
    return MakeStatus(
        absl::StatusCode::kPermissionDenied,
        absl::StrFormat("'%s' cannot be written by user %d, whom this process runs "
                        "as: %s",
                        place_.path, geteuid(), HowToMakeWritable(ErrorOfWriting(place_.path))));
  }
  AIMEM_RETURN_IF_ERROR(PrepareForWriting(*connection, place_));
  return connection;
}

absl::StatusOr<std::unique_ptr<Transaction>> SqliteBackend::BeginWrite() {
  return BeginWriteWithin(options_.lock_timeout);
}

absl::StatusOr<std::unique_ptr<Transaction>> SqliteBackend::BeginWriteWithin(absl::Duration wait) {
  if (options_.read_only) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      absl::StrFormat("the store '%s' is opened read-only", place_.path));
  }
  AIMEM_RETURN_IF_ERROR(Damaged());
  AIMEM_ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection, TakeWriter(wait));
  absl::Status status;
  if (connection == nullptr) {
    absl::StatusOr<std::unique_ptr<Connection>> opened = OpenWriter();
    status = opened.status();
    if (opened.ok()) connection = *std::move(opened);
  }
  if (status.ok()) status = BeginOn(*connection, Sql::kBeginWrite, wait);
  if (status.ok()) status = CheckLogIndex(*connection, /*locked=*/true);
  if (status.ok()) status = SyncWhatIsSeen(*connection);
  if (!status.ok()) {
    if (connection != nullptr && connection->InTransaction()) {
      Statement(*connection, Sql::kRollback).Run().IgnoreError();
      if (connection->InTransaction()) connection->Distrust();
    }
    TakeBackWriter(std::move(connection));
    return status;
  }
  return std::make_unique<SqliteTransaction>(*this, std::move(connection), place_, true,
                                             std::nullopt);
}

void SqliteBackend::NoteIndex(Connection& connection) {
  if (connection.log_files() != nullptr && connection.TakeMadeIndex()) {
    connection.log_files()->SetUnsynced();
  }
}

absl::Status SqliteBackend::SyncWhatIsSeen(Connection& connection) {
  if (connection.log_files() == nullptr || connection.log_files()->Synced()) {
    return absl::OkStatus();
  }
  if (LogShowsSomething(connection)) AIMEM_RETURN_IF_ERROR(SyncLogAsSeen(connection));
  connection.log_files()->SetSynced();
  return absl::OkStatus();
}

absl::Status SqliteBackend::Settle() {
  std::shared_ptr<LogFiles> opened;
  {
    MutexLock lock(mutex_);
    AIMEM_RETURN_IF_ERROR(CheckUsable());
    opened = log_files_.lock();
  }
  // What is in the file alone was brought there by a checkpoint, which syncs it.
  const bool settled = !HasLog(place_.path) || (opened != nullptr && opened->Synced());
  return settled ? absl::OkStatus() : BeginWrite().status();
}

// -- Looking after --------------------------------------------------------------------------------

absl::Status SqliteBackend::Checkpoint(Connection& connection) const {
  int frames = 0;
  int done = 0;
  const int code = sqlite3_wal_checkpoint_v2(connection.handle(), "main", SQLITE_CHECKPOINT_PASSIVE,
                                             &frames, &done);
  // Another process is at it.
  if ((code & 0xff) == SQLITE_BUSY) return absl::OkStatus();
  if (code != SQLITE_OK) {
    // A sync of the log that failed here may have been for what others did not sync.
    if (connection.log_files() != nullptr) connection.log_files()->SetUnsynced();
    return connection.Error(code, "checkpointing");
  }
  // What a reader still needs stays, and counts.
  connection.set_log_frames(done >= frames ? 0 : frames);
  return absl::OkStatus();
}

absl::Status SqliteBackend::Maintain(bool idle) {
  if (!Damaged().ok()) return absl::OkStatus();
  std::unique_ptr<Connection> connection;
  {
    MutexLock lock(mutex_);
    AIMEM_RETURN_IF_ERROR(CheckUsable());
    if (writer_ == nullptr || writer_lent_) return absl::OkStatus();
    const int frames = writer_->log_frames();
    // The log starts again from its beginning once it is checkpointed and nobody reads it.
    if (frames < log_checked_) log_checked_ = 0;
    const bool grown = frames - log_checked_ > options_.checkpoint_pages;
    if (frames == 0 || (!idle && !grown)) return absl::OkStatus();
    if (grown) log_checked_ = frames;
    // Else the next write session sees to it first.
    if (writer_->log_files() == nullptr || !writer_->log_files()->synced()) return absl::OkStatus();
    writer_lent_ = true;
    connection = std::move(writer_);
  }
  absl::Status status = Checkpoint(*connection);
  TakeBackWriter(std::move(connection));
  return status;
}

absl::StatusOr<std::optional<std::uint64_t>> SqliteBackend::ForeignCommits() {
  {
    MutexLock lock(mutex_);
    AIMEM_RETURN_IF_ERROR(CheckUsable());
  }
  if (watcher_ == nullptr) {
    AIMEM_ASSIGN_OR_RETURN(watcher_, OpenHere(Access::kRead));
    ++watchers_;
  }
  AIMEM_RETURN_IF_ERROR(CheckNames(watcher_.get()));
  watcher_->StartWaiting();
  absl::Status failed;
  {
    Statement version(*watcher_, Sql::kDataVersion);
    const absl::StatusOr<bool> row = version.Step();
    NoteIndex(*watcher_);
    if (row.ok()) return watchers_ << 32 | static_cast<std::uint64_t>(version.Int(0));
    failed = row.status();
  }
  watcher_->Distrust();
  CloseIfSuspect(watcher_);
  return failed;
}

absl::Status SqliteBackend::CheckDurable() {
  if (options_.sync_writes) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kFailedPrecondition,
                    absl::StrFormat("the store '%s' is opened with sync_writes = false: a commit "
                                    "may not survive a power cut; open it with sync_writes = true",
                                    place_.path));
}

absl::StatusOr<std::vector<std::string>> SqliteBackend::Verify() {
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction, BeginRead());
  auto& read = static_cast<SqliteTransaction&>(*transaction);
  AIMEM_ASSIGN_OR_RETURN(std::vector<std::string> sentences, read.IntegrityCheck());
  const absl::Status index = CheckLogIndex(read.connection(), /*locked=*/false);
  if (!index.ok()) sentences.emplace_back(index.message());
  return sentences;
}

absl::Status SqliteBackend::CheckLogIndex(Connection& connection, bool locked) {
  for (int look = 0; !LogIndexIsSound(connection); ++look) {
    if (!locked && look < kLooks) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    return Fence(MakeStatus(
        absl::StatusCode::kFailedPrecondition,
        absl::StrFormat(
            "the log of '%s' was begun anew while another program checkpointed it, with "
            "an SQLite before 3.51.3: the last commits will be lost when all have closed "
            "it. Nothing more is written. Copy '%s' and '%s-wal', but not '%s-shm', now, "
            "before any process closes or writes it; then stop all of them and go on "
            "with the copy",
            place_.path, place_.path, place_.path, place_.path)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> SqliteBackend::PhysicalIdentity() {
  {
    MutexLock lock(mutex_);
    if (!identity_.empty()) return identity_;
  }
  // Of the file that is open: every write session sees that it is still the one of that name.
  AIMEM_ASSIGN_OR_RETURN(std::string identity, IdentityOf(place_.path));
  AIMEM_RETURN_IF_ERROR(CheckNames(nullptr));
  MutexLock lock(mutex_);
  identity_ = std::move(identity);
  return identity_;
}

absl::StatusOr<std::int64_t> SqliteBackend::SizeBytes() {
  const std::optional<FileStamp> file = StampOf(place_.path);
  if (!file.has_value()) {
    return MakeStatus(absl::StatusCode::kUnavailable,
                      absl::StrFormat("'%s' is gone from its place", place_.path));
  }
  const std::optional<FileStamp> log = StampOf(place_.path + "-wal");
  return file->bytes + (log.has_value() ? log->bytes : 0);
}

// -- Ending ---------------------------------------------------------------------------------------

std::vector<std::unique_ptr<Connection>> SqliteBackend::TakeAll() {
  std::vector<std::unique_ptr<Connection>> all;
  for (Reader& reader : readers_) all.push_back(std::move(reader.connection));
  readers_.clear();
  if (writer_ != nullptr) all.push_back(std::move(writer_));
  if (watcher_ != nullptr) all.push_back(std::move(watcher_));
  log_checked_ = 0;
  return all;
}

absl::Status SqliteBackend::CloseForRecovery() {
  std::vector<std::unique_ptr<Connection>> connections;
  {
    MutexLock lock(mutex_);
    if (closed_ || !fenced_.ok()) return CheckUsable();
    unknown_ = recovering_ = true;
    const absl::Duration deadline = SystemClock().Monotonic() + options_.lock_timeout;
    while (Lent() > 0) {
      const absl::Duration left = deadline - SystemClock().Monotonic();
      if (left <= absl::ZeroDuration()) {
        return MakeStatus(absl::StatusCode::kUnavailable,
                          absl::StrFormat("%d transactions on '%s' are still open: end them, then "
                                          "recover again",
                                          Lent(), place_.path));
      }
      changed_.WaitFor(mutex_, left);
    }
    connections = TakeAll();
  }
  return absl::OkStatus();
}

absl::Status SqliteBackend::RecoverClosed() {
  AIMEM_RETURN_IF_ERROR(CloseForRecovery());
  if (options_.read_only) return absl::OkStatus();
  AIMEM_ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection, OpenWriter());
  connection->StartWaiting();
  AIMEM_RETURN_IF_ERROR(MakeDurable(*connection));
  AIMEM_RETURN_IF_ERROR(CheckNames(connection.get()));
  NoteIndex(*connection);
  if (connection->log_files() != nullptr) connection->log_files()->SetSynced();
  MutexLock lock(mutex_);
  if (!closed_) writer_ = std::move(connection);
  return absl::OkStatus();
}

absl::Status SqliteBackend::Recover() {
  AIMEM_RETURN_IF_ERROR(Damaged());
  bool unknown = false;
  {
    MutexLock lock(mutex_);
    unknown = unknown_;
  }
  absl::Status status = RecoverClosed();
  MutexLock lock(mutex_);
  recovering_ = false;
  // Where no outcome was unknown, reads go on: on a disk that is full nothing else may.
  unknown_ = unknown && !status.ok();
  changed_.NotifyAll();
  return status;
}

bool SqliteBackend::MayRemoveLog() {
  std::shared_ptr<LogFiles> opened;
  {
    MutexLock lock(mutex_);
    if (!fenced_.ok() || !place_.damage->Get().ok()) return false;
    opened = log_files_.lock();
  }
  if (!HasLog(place_.path)) return true;
  return !options_.read_only && opened != nullptr && opened->Synced();
}

absl::Status SqliteBackend::Close() {
  const bool removes_log = MayRemoveLog();
  std::vector<std::unique_ptr<Connection>> connections;
  {
    MutexLock lock(mutex_);
    if (closed_) return absl::OkStatus();
    if (Lent() > 0) {
      return MakeStatus(absl::StatusCode::kFailedPrecondition,
                        absl::StrFormat("%d transactions on '%s' are still open: end them first",
                                        Lent(), place_.path));
    }
    closed_ = true;
    connections = TakeAll();
  }
  absl::Status status;
  for (const auto& connection : connections) {
    // SQLite would tell nobody if the checkpoint of the last one that closes failed.
    if (removes_log && connection->log_frames() > 0) status.Update(Checkpoint(*connection));
  }
  for (const auto& connection : connections) {
    if (removes_log && status.ok()) connection->RemoveLogOnClose();
  }
  connections.clear();
  open_ = OpenFile();
  return status;
}

}  // namespace
}  // namespace sqlite

absl::Status Validate(const SqliteOptions& options) {
  const auto invalid = [](const std::string& message) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, message);
  };
  if (options.lock_timeout <= absl::ZeroDuration() || options.lock_timeout > absl::Hours(1)) {
    return invalid(absl::StrFormat("lock_timeout is %s: it must be in (0, 1h]",
                                   absl::FormatDuration(options.lock_timeout)));
  }
  if (options.readers < 1 || options.readers > 64) {
    return invalid(absl::StrFormat("readers is %d: it must be in [1, 64]", options.readers));
  }
  if (options.checkpoint_pages < 100 || options.checkpoint_pages > 1'000'000) {
    return invalid(absl::StrFormat("checkpoint_pages is %d: it must be in [100, 1000000]",
                                   options.checkpoint_pages));
  }
  if (!options.vfs.empty() && sqlite3_vfs_find(options.vfs.c_str()) == nullptr) {
    return invalid(absl::StrFormat("vfs is '%s': no VFS of SQLite has that name", options.vfs));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Backend>> OpenSqliteBackend(const std::string& path,
                                                           const SqliteOptions& options) {
  AIMEM_RETURN_IF_ERROR(Validate(options));
  sqlite::Place place;
  AIMEM_ASSIGN_OR_RETURN(place.path, sqlite::ResolvePath(path));
  place.vfs = options.vfs;
  place.sync_writes = options.sync_writes;
  place.lock_timeout = options.lock_timeout;
  AIMEM_ASSIGN_OR_RETURN(const sqlite::Found found, sqlite::Inspect(place));
  if (found == sqlite::Found::kNothing) {
    if (options.read_only || !options.create) {
      return MakeStatus(
          absl::StatusCode::kNotFound,
          absl::StrFormat("there is no store at '%s', and none was to be made", place.path));
    }
    AIMEM_RETURN_IF_ERROR(sqlite::Create(place));
  }
  auto backend = std::make_unique<sqlite::SqliteBackend>(place, options);
  AIMEM_RETURN_IF_ERROR(backend->Adopt());
  if (found == sqlite::Found::kStoreInUse) AIMEM_RETURN_IF_ERROR(backend->CheckReadable());
  return backend;
}

}  // namespace aimem
