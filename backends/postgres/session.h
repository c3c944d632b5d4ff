// One connection, spoken to in pipelines: any number of statements, one round trip.
//
// Why libpq here and libpqxx elsewhere: libpqxx 6 sends one statement with parameters at a time
// and as text, which for bytea is twice the bytes and an escape on each side. What is not on the
// path of a request, checking and creating the tables, is libpqxx's (schema.cc).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "backends/postgres/url.h"
#include "backends/postgres/wire.h"
#include "lib/base/damage.h"
#include "libpq-fe.h"

namespace aimem::postgres {

/// A statement with its parameters, all in binary format.
struct Call {
  /// Name of a prepared statement (statements.h); nullptr: `sql` is the statement.
  const char* prepared = nullptr;
  std::vector<std::string> parameters;
  std::string sql;

  static Call Prepared(const char* name, std::vector<std::string> parameters = {}) {
    return {name, std::move(parameters), {}};
  }
  static Call Sql(std::string sql) { return {nullptr, {}, std::move(sql)}; }
};

/// What came back of a pipeline.
struct Answer {
  /// One per call that succeeded, in order: all of them if `status` is OK.
  std::vector<Rows> rows;
  absl::Status status;
  /// The server itself answered that a statement failed: none after it was executed.
  bool refused = false;
  /// SQLSTATE of `status`, where the server gave one.
  std::string sqlstate;
  /// What the server warned of while it ran the last statement; "" for nothing. A COMMIT that was
  /// not waited for says so here, and nowhere else.
  std::string warning;
};

/// What all connections of a store have in common.
struct SessionSettings {
  ConnectionInfo connection;
  std::string schema;
  absl::Duration lock_timeout;
  absl::Duration answer_timeout;
  /// Told when the server says that its files are damaged. Null: nobody.
  std::shared_ptr<Damage> damage;
};

/// What a server's answer that a lock did not come may take longer than the wait for it.
inline constexpr absl::Duration kLockGrace = absl::Seconds(2);

enum class SessionRole { kReader, kWriter };

/// Not thread-safe.
class Session {
 public:
  /// Connect, set the session up and prepare its statements.
  /// Errors: those of Backend::BeginRead, and kPermissionDenied, kNotFound, kInvalidArgument.
  static absl::StatusOr<std::unique_ptr<Session>> Connect(const SessionSettings& settings,
                                                          SessionRole role);

  /// Send `calls`, wait for all answers. Statements after a failed one are not executed.
  Answer Run(std::span<const Call> calls);
  Answer Run(const Call& call) { return Run(std::span<const Call>(&call, 1)); }

  /// Send `call` without waiting for its answer, which the next Run() drops.
  void RunAndForget(const Call& call);

  /// `sql` of this room (statements.h) as it is sent.
  [[nodiscard]] std::string WithSchema(const char* sql) const;

  /// True if the connection is gone, or leads to a server that takes no writes (any more).
  [[nodiscard]] bool lost() const { return lost_; }

  /// True if it was lost because the server, which did not hang up, owed an answer for too long.
  [[nodiscard]] bool silent() const { return silent_; }

  /// What the server has said, to whatever session of this store, of damage to its files.
  [[nodiscard]] absl::Status Damaged() const {
    return settings_.damage == nullptr ? absl::OkStatus() : settings_.damage->Get();
  }

  /// Look whether the server has hung up since the last Run(). Does not wait.
  bool NoticeLoss();

  /// Where this connection leads to (identity.h), once somebody has asked; "" before.
  [[nodiscard]] const std::string& place() const { return place_; }
  void set_place(std::string place) { place_ = std::move(place); }

  /// Longest silence of a server that owes an answer, then the connection counts as lost; a second
  /// more for each MiB that it was sent. SessionSettings::answer_timeout when a session is lent.
  void set_patience(absl::Duration patience) { patience_ = patience; }

 private:
  Session(const SessionSettings& settings, SessionRole role, PGconn* connection)
      : settings_(settings),
        role_(role),
        connection_(connection),
        patience_(settings.answer_timeout) {}

  /// The server said something by the way: its last words, or a warning.
  static void HearNotice(void* session, const PGresult* notice);

  absl::Status SetUp();
  absl::Status Send(std::span<const Call> calls);
  absl::Status SendOne(const Call& call);
  absl::Status Flush();
  void ReceiveSync(Answer& answer);
  void Receive(PGresult* result, Answer& answer);
  absl::StatusOr<PGresult*> NextResult();
  absl::Status WaitFor(short events);
  absl::Status Lost(std::string_view what);

  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };

  const SessionSettings& settings_;
  const SessionRole role_;
  std::unique_ptr<PGconn, Finish> connection_;
  absl::Duration patience_;
  std::string place_;
  int forgotten_ = 0;           // Pipelines whose answers are still to be read and dropped.
  std::size_t sent_bytes_ = 0;  // Of the parameters in the latest Run().
  std::string warning_;         // Heard since the last statement's result.
  bool lost_ = false;
  bool silent_ = false;
};

}  // namespace aimem::postgres
