#include "backends/postgres/errors.h"

namespace aimem::postgres {
namespace {

struct Meaning {
  std::string_view prefix;  // Of an SQLSTATE; the first that fits counts.
  absl::StatusCode code;
};

constexpr char kStandby[] = "0A000";   // BEGIN ... READ WRITE on a standby, or a plan that is stale
constexpr char kReadOnly[] = "25006";  // read_only_sql_transaction

constexpr Meaning kMeanings[] = {
    {kStandby, absl::StatusCode::kUnavailable},
    {"08", absl::StatusCode::kUnavailable},            // connection exceptions
    {"21", absl::StatusCode::kInvalidArgument},        // a key twice in one write
    {"22", absl::StatusCode::kInvalidArgument},        // data exceptions
    {"23505", absl::StatusCode::kAlreadyExists},       // unique_violation
    {kReadOnly, absl::StatusCode::kUnavailable},       // a standby, not the primary (any more)
    {"25P03", absl::StatusCode::kUnavailable},         // idle_in_transaction_session_timeout
    {"28", absl::StatusCode::kPermissionDenied},       // invalid authorization
    {"3D000", absl::StatusCode::kNotFound},            // no such database
    {"3F000", absl::StatusCode::kFailedPrecondition},  // the schema is gone
    {"40", absl::StatusCode::kUnavailable},            // serialization failure, deadlock
    {"42501", absl::StatusCode::kPermissionDenied},
    {"42P01", absl::StatusCode::kFailedPrecondition},  // a table is gone
    {"53100", absl::StatusCode::kResourceExhausted},   // disk full
    {"53", absl::StatusCode::kUnavailable},            // out of memory, a limit that others reached
    {"54", absl::StatusCode::kInvalidArgument},        // a value over a limit of the server
    {"55P03", absl::StatusCode::kUnavailable},         // the lock did not come in time
    {"57", absl::StatusCode::kUnavailable},            // shutdown, cancellation, crash of another
    {"58", absl::StatusCode::kUnavailable},            // I/O errors of the server
    {"XX001", absl::StatusCode::kDataLoss},
    {"XX002", absl::StatusCode::kDataLoss},
};

constexpr Meaning kConnectMeanings[] = {
    {"password authentication failed", absl::StatusCode::kPermissionDenied},
    {"authentication failed for user", absl::StatusCode::kPermissionDenied},
    {"no password supplied", absl::StatusCode::kPermissionDenied},
    {"no pg_hba.conf entry", absl::StatusCode::kPermissionDenied},
    {"pg_hba.conf rejects", absl::StatusCode::kPermissionDenied},
    {"permission denied", absl::StatusCode::kPermissionDenied},
    {"is not permitted to log in", absl::StatusCode::kPermissionDenied},
    {"FATAL:  role ", absl::StatusCode::kPermissionDenied},
    {"FATAL:  database ", absl::StatusCode::kNotFound},
    {"invalid port number", absl::StatusCode::kInvalidArgument},
    {"invalid integer value", absl::StatusCode::kInvalidArgument},
    {"invalid sslmode value", absl::StatusCode::kInvalidArgument},
    {"invalid target_session_attrs value", absl::StatusCode::kInvalidArgument},
    {"invalid connection option", absl::StatusCode::kInvalidArgument},
    {"could not match", absl::StatusCode::kInvalidArgument},  // ports or addresses to hosts
};

}  // namespace

absl::StatusCode CodeOfSqlState(std::string_view state) {
  for (const Meaning& meaning : kMeanings) {
    if (state.starts_with(meaning.prefix)) return meaning.code;
  }
  return absl::StatusCode::kInternal;
}

absl::StatusCode CodeInUse(absl::StatusCode code) {
  const bool of_the_store =
      code == absl::StatusCode::kNotFound || code == absl::StatusCode::kPermissionDenied;
  return of_the_store ? absl::StatusCode::kUnavailable : code;
}

bool IsDamage(std::string_view state) { return state == "XX001" || state == "XX002"; }

std::string_view AdviceOn(std::string_view state) {
  if (state == "3D000" || state == "3F000" || state == "42P01") {
    return ": what this store was opened on is gone: put it back, or start this process again";
  }
  if (state != kStandby && state != kReadOnly) return "";
  return ": this server takes no writes, as a standby does not: name the primary in the URL, or "
         "all "
         "servers and target_session_attrs=primary";
}

bool IsOfThisConnection(std::string_view state) { return state == kStandby || state == kReadOnly; }

bool IsCrowded(std::string_view text) {
  for (const std::string_view crowded :
       {"too many clients", "too many connections", "remaining connection slots"}) {
    if (text.find(crowded) != std::string_view::npos) return true;
  }
  return false;
}

absl::StatusCode CodeOfConnectError(std::string_view text) {
  // "is being shut down", "is starting up" and "too many clients" of one host of several are
  // worth another attempt, whatever the other hosts said.
  if (IsCrowded(text)) return absl::StatusCode::kUnavailable;
  for (const std::string_view passing : {"starting up", "shutting down", "recovery mode"}) {
    if (text.find(passing) != std::string_view::npos) return absl::StatusCode::kUnavailable;
  }
  for (const Meaning& meaning : kConnectMeanings) {
    if (text.find(meaning.prefix) != std::string_view::npos) return meaning.code;
  }
  return absl::StatusCode::kUnavailable;
}

}  // namespace aimem::postgres
