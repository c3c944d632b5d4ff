// PostgresBackend: the pools, and what a Backend does besides transactions.
#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "aimem/backends/postgres.h"
#include "backends/postgres/identity.h"
#include "backends/postgres/pool.h"
#include "backends/postgres/schema.h"
#include "backends/postgres/statements.h"
#include "backends/postgres/transaction.h"
#include "backends/postgres/url.h"
#include "backends/postgres/verify.h"
#include "lib/base/mutex.h"
#include "lib/base/status.h"

namespace aimem {
namespace postgres {
namespace {

// The SQLSTATE of a lock that did not come in time.
constexpr std::string_view kLockNotAvailable = "55P03";

constexpr char kTableSql[] = "SELECT '@.log'::regclass::oid::bigint";

// Of these, what was overwritten or dropped held memories, or their words.
constexpr std::array<const char*, 3> kScrubSql = {"VACUUM @.entity", "VACUUM @.log",
                                                  "VACUUM @.block"};
// The server is silent while it looks at a table of some hundred million rows.
constexpr absl::Duration kScrubPatience = absl::Hours(1);

constexpr char kSizeSql[] =
    "SELECT (pg_total_relation_size('@.entity') + pg_total_relation_size('@.log')"
    " + pg_total_relation_size('@.meta')"
    " + coalesce(pg_total_relation_size(to_regclass('@.block')), 0))::bigint";

// What "@hasblocks" answered in `column` of the one row.
bool TellsOfBlocks(const Rows& rows, int column) {
  return rows.size() == 1 && rows.Int(0, column).value_or(0) == 1;
}

class PostgresBackend : public Backend {
 public:
  PostgresBackend(SessionSettings settings, const PostgresOptions& options)
      : settings_(std::move(settings)),
        read_only_(options.read_only),
        readers_(settings_, SessionRole::kReader, options.readers, writers_),
        writers_(settings_, SessionRole::kWriter, 1, readers_) {}

  absl::StatusOr<std::unique_ptr<Transaction>> BeginRead() override { return BeginReading(); }

  absl::StatusOr<std::unique_ptr<Transaction>> BeginWrite() override {
    if (read_only_) return ReadOnly();
    return BeginWriting();
  }

  absl::Status Damaged() const override { return settings_.damage->Get(); }

  absl::Status Recover() override {
    AIMEM_RETURN_IF_ERROR(Damaged());
    readers_.Clear();
    writers_.Clear();
    // The session of the commit in doubt holds the lock until that has ended, one way or the
    // other, even if our connection to it is gone.
    return read_only_ ? absl::OkStatus() : Settle();
  }

  // What is visible may be on the primary alone, if a commit's wait for a standby was cut short.
  absl::Status Settle() override {
    if (read_only_) return ReadOnly();
    AIMEM_ASSIGN_OR_RETURN(const auto transaction, BeginWriting());
    return transaction->Settle();
  }

  absl::StatusOr<std::vector<std::string>> Verify() override {
    AIMEM_ASSIGN_OR_RETURN(const auto transaction, BeginReading());
    return VerifyTables(*transaction, settings_.schema);
  }

  // Autovacuum does what there is to do, and the log of the server has its own checkpoints.
  absl::Status Maintain(bool /*idle*/) override { return absl::OkStatus(); }

  absl::Status Scrub() override;
  absl::Status CheckDurable() override;
  absl::StatusOr<std::string> PhysicalIdentity() override;
  absl::StatusOr<std::int64_t> SizeBytes() override;

  std::string Url() const override { return settings_.connection.masked_url; }

  absl::Status Close() override {
    closed_ = true;
    readers_.Clear();
    writers_.Clear();
    return absl::OkStatus();
  }

 private:
  static absl::Status ReadOnly() {
    return absl::FailedPreconditionError("the store was opened read-only: it takes no writes");
  }
  absl::StatusOr<std::unique_ptr<PostgresTransaction>> BeginReading();
  absl::StatusOr<std::unique_ptr<PostgresTransaction>> BeginWriting();
  absl::Status CheckLock(const Rows& lock) const;
  absl::Status NoteIdentity(PostgresTransaction& transaction, const Rows& lock);
  absl::StatusOr<std::string> IdentityOf(std::string_view place, const Rows& rows,
                                         int column) const;
  std::string WithSchema(const char* sql) const;

  const SessionSettings settings_;
  const bool read_only_;
  std::atomic<bool> closed_ = false;
  SessionPool readers_;
  SessionPool writers_;
  Mutex mutex_;
  /// Identity of what the latest write transaction runs on: the open one, if one is open, since
  /// there is one connection for writing. Empty before the first.
  std::string written_on_ ABSL_GUARDED_BY(mutex_);
};

absl::StatusOr<std::unique_ptr<PostgresTransaction>> PostgresBackend::BeginReading() {
  if (closed_) return absl::FailedPreconditionError("the store is closed");
  const std::array opening = {Call::Prepared(kBeginRead), Call::Prepared(kSnapshot)};
  Answer answer;
  AIMEM_ASSIGN_OR_RETURN(Lease lease, readers_.Begin(opening, answer));
  return std::make_unique<PostgresTransaction>(std::move(lease), SessionRole::kReader,
                                               TellsOfBlocks(answer.rows.back(), 0));
}

absl::StatusOr<std::unique_ptr<PostgresTransaction>> PostgresBackend::BeginWriting() {
  if (closed_) return absl::FailedPreconditionError("the store is closed");
  AIMEM_RETURN_IF_ERROR(Damaged());
  const std::array opening = {Call::Prepared(kBeginWrite), Call::Prepared(kLock)};
  Answer answer;
  absl::StatusOr<Lease> lease = writers_.Begin(opening, answer);
  if (!lease.ok() && answer.sqlstate == kLockNotAvailable) {
    return absl::UnavailableError(
        absl::StrFormat("PostgreSQL: the write lock of schema '%s' did not come within %s: another "
                        "process holds it",
                        settings_.schema, absl::FormatDuration(settings_.lock_timeout)));
  }
  AIMEM_RETURN_IF_ERROR(lease.status());
  auto transaction = std::make_unique<PostgresTransaction>(*std::move(lease), SessionRole::kWriter,
                                                           TellsOfBlocks(answer.rows.back(), 2));
  AIMEM_RETURN_IF_ERROR(CheckLock(answer.rows.back()));
  AIMEM_RETURN_IF_ERROR(NoteIdentity(*transaction, answer.rows.back()));
  return transaction;
}

// Also when nobody asks: the answer must be there without another connection.
absl::Status PostgresBackend::NoteIdentity(PostgresTransaction& transaction, const Rows& lock) {
  Session& session = transaction.session();
  if (session.place().empty()) {
    AIMEM_ASSIGN_OR_RETURN(std::string place, AskPlace(transaction));
    session.set_place(std::move(place));
  }
  AIMEM_ASSIGN_OR_RETURN(std::string identity, IdentityOf(session.place(), lock, 1));
  const MutexLock guard(mutex_);
  written_on_ = std::move(identity);
  return absl::OkStatus();
}

// A newer aimem may have changed the tables since this store was opened.
absl::Status PostgresBackend::CheckLock(const Rows& lock) const {
  const std::string version = absl::StrFormat("%d", kSchemaVersion);
  const std::string_view found = lock.size() == 1 ? lock.Bytes(0, 0) : std::string_view("none");
  if (found == version) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat(
      "the tables in schema '%s' are now of version '%s', this aimem writes version %s: install a "
      "newer aimem",
      settings_.schema, std::string(found), version));
}

// The place of the connection, and the table, which a dump that is restored makes anew.
absl::StatusOr<std::string> PostgresBackend::PhysicalIdentity() {
  {
    const MutexLock lock(mutex_);
    if (!written_on_.empty()) return written_on_;
  }
  AIMEM_ASSIGN_OR_RETURN(const auto transaction, BeginReading());
  AIMEM_ASSIGN_OR_RETURN(const std::string place, AskPlace(*transaction));
  AIMEM_ASSIGN_OR_RETURN(const Rows table, transaction->QueryRow(WithSchema(kTableSql)));
  return IdentityOf(place, table, 0);
}

absl::StatusOr<std::string> PostgresBackend::IdentityOf(std::string_view place, const Rows& rows,
                                                        int column) const {
  AIMEM_ASSIGN_OR_RETURN(const std::int64_t table, rows.Int(0, column));
  return absl::StrFormat("%s table %d", std::string(place), table);
}

std::string PostgresBackend::WithSchema(const char* sql) const {
  return absl::StrReplaceAll(sql, {{"@", settings_.schema}});
}

// A session for writing raises synchronous_commit by itself; what the server spares, it cannot.
absl::Status PostgresBackend::CheckDurable() {
  AIMEM_ASSIGN_OR_RETURN(const auto transaction, BeginReading());
  AIMEM_ASSIGN_OR_RETURN(const std::vector<std::string> sentences,
                         FindWhatSparesTheDisk(*transaction, settings_.schema));
  if (sentences.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrFormat("'%s': %s", settings_.connection.masked_url, absl::StrJoin(sentences, "; ")));
}

// On a connection of its own: nobody who reads or writes waits for it.
absl::Status PostgresBackend::Scrub() {
  if (closed_) return absl::FailedPreconditionError("the store is closed");
  if (read_only_) return ReadOnly();
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session,
                         Session::Connect(settings_, SessionRole::kWriter));
  session->set_patience(kScrubPatience);
  const Answer there = session->Run(Call::Prepared(kHasBlocks));
  AIMEM_RETURN_IF_ERROR(there.status);
  std::vector<const char*> statements(kScrubSql.begin(), kScrubSql.end());
  if (there.rows.empty() || !TellsOfBlocks(there.rows.front(), 0)) statements.pop_back();
  for (const char* sql : statements) {
    const Answer answer = session->Run(Call::Sql(WithSchema(sql)));
    AIMEM_RETURN_IF_ERROR(answer.status);
    // It says so, and does nothing, where the role does not own the table.
    if (!answer.warning.empty()) {
      return absl::FailedPreconditionError(
          absl::StrFormat("PostgreSQL warned at %s: %s", WithSchema(sql), answer.warning));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::int64_t> PostgresBackend::SizeBytes() {
  AIMEM_ASSIGN_OR_RETURN(const auto transaction, BeginReading());
  AIMEM_ASSIGN_OR_RETURN(const Rows size, transaction->QueryRow(WithSchema(kSizeSql)));
  return size.Int(0, 0);
}

bool IsSchemaName(std::string_view name) {
  if (name.empty() || name.size() > 63 || absl::ascii_isdigit(name[0])) return false;
  for (const char c : name) {
    if (!absl::ascii_islower(c) && !absl::ascii_isdigit(c) && c != '_') return false;
  }
  // PostgreSQL keeps these to itself.
  return !name.starts_with("pg_");
}

absl::Status CheckDuration(std::string_view field, absl::Duration value, absl::Duration low,
                           absl::Duration high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "PostgresOptions.%s is %s, must be in [%s, %s]", field, absl::FormatDuration(value),
      absl::FormatDuration(low), absl::FormatDuration(high)));
}

}  // namespace
}  // namespace postgres

absl::Status Validate(const PostgresOptions& options) {
  if (!postgres::IsSchemaName(options.schema)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "PostgresOptions.schema is '%s', must be [a-z_][a-z0-9_]{0,62} and not begin with pg_",
        options.schema));
  }
  AIMEM_RETURN_IF_ERROR(postgres::CheckDuration("lock_timeout", options.lock_timeout,
                                                absl::Nanoseconds(1), absl::Hours(1)));
  AIMEM_RETURN_IF_ERROR(postgres::CheckDuration("answer_timeout", options.answer_timeout,
                                                absl::Milliseconds(100), absl::Hours(1)));
  AIMEM_RETURN_IF_ERROR(postgres::CheckDuration("connect_timeout", options.connect_timeout,
                                                absl::Seconds(1), absl::Minutes(10)));
  if (options.readers < 1 || options.readers > 64) {
    return absl::InvalidArgumentError(
        absl::StrFormat("PostgresOptions.readers is %d, must be in [1, 64]", options.readers));
  }
  return absl::OkStatus();
}

namespace postgres {
namespace {

absl::StatusOr<SessionSettings> SettingsOf(const std::string& url, const PostgresOptions& options) {
  AIMEM_RETURN_IF_ERROR(Validate(options));
  AIMEM_ASSIGN_OR_RETURN(ConnectionInfo connection, ParseUrl(url, options));
  return SessionSettings{.connection = std::move(connection),
                         .schema = options.schema,
                         .lock_timeout = options.lock_timeout,
                         .answer_timeout = options.answer_timeout,
                         .damage = std::make_shared<Damage>()};
}

}  // namespace
}  // namespace postgres

absl::StatusOr<std::unique_ptr<Backend>> OpenPostgresBackend(const std::string& url,
                                                             const PostgresOptions& options) {
  AIMEM_ASSIGN_OR_RETURN(postgres::SessionSettings settings, postgres::SettingsOf(url, options));
  const absl::Status prepared =
      postgres::PrepareDatabase(settings, options.create && !options.read_only);
  if (!prepared.ok()) {
    return Annotate(prepared, absl::StrFormat("opening '%s'", settings.connection.masked_url));
  }
  return std::make_unique<postgres::PostgresBackend>(std::move(settings), options);
}

absl::Status CheckPostgresUnused(const std::string& url, const PostgresOptions& options) {
  AIMEM_ASSIGN_OR_RETURN(const postgres::SessionSettings settings,
                         postgres::SettingsOf(url, options));
  return postgres::RunAlone(settings, {settings.schema}, {});
}

absl::Status DropPostgresStore(const std::string& url, const PostgresOptions& options) {
  AIMEM_ASSIGN_OR_RETURN(const postgres::SessionSettings settings,
                         postgres::SettingsOf(url, options));
  // Not CASCADE: what else lies there is somebody else's.
  return postgres::RunAlone(
      settings, {settings.schema},
      {"DROP TABLE IF EXISTS @.entity, @.log, @.meta, @.block", "DROP SCHEMA IF EXISTS @"});
}

absl::StatusOr<bool> ReplacePostgresStore(const std::string& url, const std::string& with,
                                          const std::string& aside,
                                          const PostgresOptions& options) {
  for (const std::string& name : {with, aside}) {
    AIMEM_RETURN_IF_ERROR(Validate(PostgresOptions{.schema = name}));
  }
  AIMEM_ASSIGN_OR_RETURN(const postgres::SessionSettings settings,
                         postgres::SettingsOf(url, options));
  AIMEM_ASSIGN_OR_RETURN(const bool replaces, postgres::HasSchema(settings, settings.schema));
  std::vector<std::string> statements;
  if (replaces) statements.push_back(absl::StrFormat("ALTER SCHEMA @ RENAME TO %s", aside));
  statements.push_back(absl::StrFormat("ALTER SCHEMA %s RENAME TO @", with));
  AIMEM_RETURN_IF_ERROR(postgres::RunAlone(settings, {settings.schema, with}, statements));
  return replaces;
}

}  // namespace aimem
