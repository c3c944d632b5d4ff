#include "backends/postgres/session.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "aimem/environment.h"
#include "backends/postgres/errors.h"
#include "backends/postgres/statements.h"
#include "lib/base/status.h"

namespace aimem::postgres {
namespace {

// A writer that stops in its tracks, a suspended laptop for one, would keep the write lock from
// all others.
constexpr absl::Duration kIdleInTransaction = absl::Minutes(1);

// A statement after which the session is as this room needs it, whatever the server's, the
// database's and the user's defaults are.
std::string SettingsSql(const SessionSettings& settings, SessionRole role) {
  std::string sql = "SELECT set_config('search_path', 'pg_catalog', false)";
  const auto set = [&sql](std::string_view name, std::string_view value) {
    absl::StrAppendFormat(&sql, ", set_config('%s', '%s', false)", name, value);
  };
  // Every question has its index. A generic plan from the first call on saves the planning, and
  // jit would compile what runs for microseconds.
  set("plan_cache_mode", "force_generic_plan");
  set("enable_seqscan", "off");
  set("enable_bitmapscan", "off");
  set("enable_hashjoin", "off");
  set("enable_mergejoin", "off");
  set("jit", "off");
  // The bounds are ours. A reader may rest between two pages for as long as it likes.
  set("idle_in_transaction_session_timeout",
      absl::StrFormat(
          "%d", role == SessionRole::kWriter ? absl::ToInt64Milliseconds(kIdleInTransaction) : 0));
  set("lock_timeout", absl::StrFormat("%d", absl::ToInt64Milliseconds(absl::Ceil(
                                                settings.lock_timeout, absl::Milliseconds(1)))));
  set("bytea_output", "hex");
  set("client_min_messages", "warning");
  if (role == SessionRole::kWriter) {
    set("tcp_keepalives_idle", "15");
    set("tcp_keepalives_interval", "5");
    set("tcp_keepalives_count", "3");
    // Durable on return. remote_apply promises more and stays.
    sql +=
        ", set_config('synchronous_commit', CASE current_setting('synchronous_commit')"
        " WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)";
  }
  return sql;
}

std::string Field(const PGresult* result, int field) {
  const char* value = PQresultErrorField(result, field);
  return value == nullptr ? "" : value;
}

// What an error or a notice says.
std::string TextOf(const PGresult* result) {
  std::string text = Field(result, PG_DIAG_MESSAGE_PRIMARY);
  if (text.empty()) text = PQresultErrorMessage(result);
  const std::string detail = Field(result, PG_DIAG_MESSAGE_DETAIL);
  return detail.empty() ? text : absl::StrFormat("%s (%s)", text, detail);
}

absl::Status StatusOf(const PGresult* result, const ConnectionInfo& connection, SessionRole role) {
  const std::string state = Field(result, PG_DIAG_SQLSTATE);
  const std::string text = connection.Scrub(TextOf(result));
  // Without a state it was libpq that lost the connection.
  if (state.empty()) {
    return absl::UnavailableError(absl::StrFormat("PostgreSQL: %s [connection]", text));
  }
  // That a role may not write is an answer: then only reads are served.
  const absl::StatusCode code = CodeOfSqlState(state);
  const bool answers = role == SessionRole::kWriter && code == absl::StatusCode::kPermissionDenied;
  return MakeStatus(answers ? code : CodeInUse(code),
                    absl::StrFormat("PostgreSQL: %s [%s]%s", text, state, AdviceOn(state)));
}

absl::Status ClosedToWriting(const absl::Status& found, const SessionSettings& settings) {
  return absl::DataLossError(absl::StrFormat(
      "%s. Nothing more is written to '%s' until this store is opened again: look at the server's "
      "log "
      "and disk, then restore the database from a backup, or, if it is a member's and its peers "
      "are "
      "well, drop schema '%s' and let them refill it",
      std::string(ToStd(found.message())), settings.connection.masked_url, settings.schema));
}

// After FATAL and PANIC the server hangs up.
bool HangsUp(const PGresult* result) {
  const char* severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  return severity == nullptr || std::string_view(severity) != "ERROR";
}

}  // namespace

absl::StatusOr<std::unique_ptr<Session>> Session::Connect(const SessionSettings& settings,
                                                          SessionRole role) {
  std::unique_ptr<Session> session(
      new Session(settings, role, PQconnectdb(settings.connection.conninfo.c_str())));
  PGconn* connection = session->connection_.get();
  if (PQstatus(connection) != CONNECTION_OK) {
    const std::string text =
        connection == nullptr ? "out of memory" : std::string(PQerrorMessage(connection));
    const absl::Status refused = settings.connection.ConnectError(text);
    return absl::Status(CodeInUse(refused.code()), refused.message());
  }
  PQsetNoticeReceiver(connection, HearNotice, session.get());
  if (absl::Status status = session->SetUp(); !status.ok()) {
    if (!session->silent_) return status;
    return MakeStatus(status.code(),
                      absl::StrCat(status.message(), " while a session was being set up"));
  }
  return session;
}

void Session::HearNotice(void* session, const PGresult* notice) {
  auto& self = *static_cast<Session*>(session);
  const std::string severity = Field(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (severity == "FATAL" || severity == "PANIC") self.lost_ = true;
  if (severity == "WARNING") self.warning_ = self.settings_.connection.Scrub(TextOf(notice));
}

absl::Status Session::SetUp() {
  PGconn* connection = connection_.get();
  if (PQsetnonblocking(connection, 1) != 0 || PQenterPipelineMode(connection) != 1) {
    return Lost("cannot enter pipeline mode");
  }
  for (const std::string& sql : {std::string(kNoTimeoutSql), std::string(kRoleSettingsSql),
                                 SettingsSql(settings_, role_), WithSchema(kShareNameSql)}) {
    AIMEM_RETURN_IF_ERROR(SendOne(Call::Sql(sql)));
  }
  for (const PreparedStatement& statement : kPrepared) {
    const std::string sql = WithSchema(statement.sql);
    if (PQsendPrepare(connection, statement.name, sql.c_str(), 0, nullptr) != 1) {
      return Lost("preparing statements");
    }
  }
  if (PQpipelineSync(connection) != 1) return Lost("preparing statements");
  AIMEM_RETURN_IF_ERROR(Flush());
  Answer answer;
  ReceiveSync(answer);
  return answer.status;
}

std::string Session::WithSchema(const char* sql) const {
  const std::string has_blocks = absl::StrFormat(
      "coalesce(has_table_privilege(to_regclass('%s.block'), 'SELECT'), false)::int",
      settings_.schema);
  return absl::StrReplaceAll(sql, {{"@lock", kLockKey},
                                   {"@head", absl::StrFormat("%d", kLogHeadBytes)},
                                   {"@hasblocks", has_blocks},
                                   {"@class", kInUseClass},
                                   {"@", settings_.schema}});
}

Answer Session::Run(std::span<const Call> calls) {
  Answer answer;
  answer.status = Send(calls);
  while (answer.status.ok() && forgotten_ > 0) {
    Answer dropped;
    ReceiveSync(dropped);
    --forgotten_;
    if (lost_) answer.status = dropped.status;
  }
  if (answer.status.ok()) ReceiveSync(answer);
  return answer;
}

void Session::RunAndForget(const Call& call) {
  if (lost_) return;
  // A failure shows in the next Run().
  if (Send(std::span<const Call>(&call, 1)).ok()) ++forgotten_;
}

bool Session::NoticeLoss() {
  PGconn* connection = connection_.get();
  if (PQconsumeInput(connection) != 1 || PQstatus(connection) != CONNECTION_OK) lost_ = true;
  // Has HearNotice() hear the server's last words, which come some time before it hangs up.
  PQisBusy(connection);
  return lost_;
}

absl::Status Session::Send(std::span<const Call> calls) {
  if (lost_) return Lost("the connection was lost before");
  sent_bytes_ = 0;
  for (const Call& call : calls) AIMEM_RETURN_IF_ERROR(SendOne(call));
  if (PQpipelineSync(connection_.get()) != 1) return Lost("sending");
  return Flush();
}

absl::Status Session::SendOne(const Call& call) {
  const int count = static_cast<int>(call.parameters.size());
  std::vector<const char*> values;
  std::vector<int> lengths;
  const std::vector<int> formats(call.parameters.size(), 1);
  for (const std::string& parameter : call.parameters) {
    values.push_back(parameter.data());
    lengths.push_back(static_cast<int>(parameter.size()));
    sent_bytes_ += parameter.size();
  }
  const int sent = call.prepared != nullptr
                       ? PQsendQueryPrepared(connection_.get(), call.prepared, count, values.data(),
                                             lengths.data(), formats.data(), 1)
                       : PQsendQueryParams(connection_.get(), call.sql.c_str(), count, nullptr,
                                           values.data(), lengths.data(), formats.data(), 1);
  return sent == 1 ? absl::OkStatus() : Lost("sending");
}

absl::Status Session::Flush() {
  while (true) {
    const int left = PQflush(connection_.get());
    if (left == 0) return absl::OkStatus();
    if (left < 0) {
      // What the server said before it hung up is worth more than "broken pipe", and a COMMIT may
      // have got through: the reading side decides.
      return absl::OkStatus();
    }
    AIMEM_RETURN_IF_ERROR(WaitFor(POLLIN | POLLOUT));
    if (PQconsumeInput(connection_.get()) != 1) return absl::OkStatus();
  }
}

// Read the answers of one pipeline up to its sync.
void Session::ReceiveSync(Answer& answer) {
  while (!lost_) {
    absl::StatusOr<PGresult*> result = NextResult();
    if (!result.ok()) {
      if (answer.status.ok()) answer.status = result.status();
      return;
    }
    if (*result == nullptr) continue;  // The end of one statement's results.
    if (PQresultStatus(*result) == PGRES_PIPELINE_SYNC) {
      PQclear(*result);
      return;
    }
    Receive(*result, answer);
  }
  if (answer.status.ok()) answer.status = Lost("receiving");
}

void Session::Receive(PGresult* result, Answer& answer) {
  Rows rows(result);
  const ExecStatusType type = PQresultStatus(result);
  if (type == PGRES_TUPLES_OK || type == PGRES_COMMAND_OK) {
    answer.warning = std::exchange(warning_, {});
    answer.rows.push_back(std::move(rows));
    return;
  }
  if (type == PGRES_PIPELINE_ABORTED) return;  // The error before it has been noted.
  const std::string state = Field(result, PG_DIAG_SQLSTATE);
  if (HangsUp(result) || IsOfThisConnection(state)) lost_ = true;
  if (!answer.status.ok()) return;
  answer.sqlstate = state;
  answer.status = StatusOf(result, settings_.connection, role_);
  if (IsDamage(state) && settings_.damage != nullptr) {
    settings_.damage->Note(ClosedToWriting(answer.status, settings_));
  }
  answer.refused = type == PGRES_FATAL_ERROR && !HangsUp(result);
}

absl::StatusOr<PGresult*> Session::NextResult() {
  PGconn* connection = connection_.get();
  while (PQisBusy(connection) != 0) {
    AIMEM_RETURN_IF_ERROR(WaitFor(POLLIN));
    if (PQconsumeInput(connection) != 1 && PQisBusy(connection) != 0) return Lost("receiving");
  }
  if (PQstatus(connection) != CONNECTION_OK) lost_ = true;
  return PQgetResult(connection);
}

absl::Status Session::WaitFor(short events) {
  const int fd = PQsocket(connection_.get());
  if (fd < 0) return Lost("the connection is closed");
  const absl::Duration patience =
      patience_ + absl::Seconds(static_cast<std::int64_t>(sent_bytes_ >> 20));
  const absl::Duration deadline = SystemClock().Monotonic() + patience;
  while (true) {
    pollfd entry{.fd = fd, .events = events, .revents = 0};
    const std::int64_t left_ms = absl::ToInt64Milliseconds(deadline - SystemClock().Monotonic());
    const int ready = poll(
        &entry, 1,
        static_cast<int>(std::clamp<std::int64_t>(left_ms, 0, std::numeric_limits<int>::max())));
    if (ready > 0) return absl::OkStatus();
    if (ready == 0) {
      silent_ = true;
      return Lost(absl::StrFormat("no answer for %s", absl::FormatDuration(patience)));
    }
    if (errno != EINTR) return Lost("waiting for the server");
  }
}

absl::Status Session::Lost(std::string_view what) {
  lost_ = true;
  const std::string reason =
      settings_.connection.Scrub(connection_ == nullptr ? "" : PQerrorMessage(connection_.get()));
  return absl::UnavailableError(absl::StrFormat("PostgreSQL: connection lost: %s%s%s", what,
                                                reason.empty() ? "" : ": ", reason));
}

}  // namespace aimem::postgres
