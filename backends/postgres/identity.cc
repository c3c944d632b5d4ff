#include "backends/postgres/identity.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"

namespace aimem::postgres {
namespace {

// Where the two control functions may not be called, the address that the server was reached at
// stands in for them: a move to another address then counts as a copy.
constexpr char kFactsSql[] =
    "SELECT d.oid::bigint,"
    " has_function_privilege('pg_control_system()', 'EXECUTE')"
    " AND has_function_privilege('pg_control_checkpoint()', 'EXECUTE'),"
    " coalesce(host(inet_server_addr()), 'local') || ':' || coalesce(inet_server_port(), 0),"
    " pg_is_in_recovery()"
    " FROM pg_database d WHERE d.datname = current_database()";
constexpr char kSystemSql[] = "SELECT system_identifier::text FROM pg_control_system()";
// The control file learns of a new timeline at the checkpoint after it; the name of the segment
// that is written to knows at once.
constexpr char kTimelineSql[] = "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)";
constexpr char kStandbyTimelineSql[] =
    "SELECT lpad(upper(to_hex(timeline_id)), 8, '0') FROM pg_control_checkpoint()";

bool IsTrue(std::string_view bytes) { return bytes == std::string_view("\1", 1); }

}  // namespace

absl::StatusOr<std::string> AskPlace(PostgresTransaction& transaction) {
  AIMEM_ASSIGN_OR_RETURN(const Rows facts, transaction.QueryRow(kFactsSql));
  AIMEM_ASSIGN_OR_RETURN(const std::int64_t database, facts.Int(0, 0));
  const bool permitted = IsTrue(facts.Bytes(0, 1));
  const bool standby = IsTrue(facts.Bytes(0, 3));
  std::string system = absl::StrFormat("address %s", std::string(facts.Bytes(0, 2)));
  if (permitted) {
    AIMEM_ASSIGN_OR_RETURN(const Rows identifier, transaction.QueryRow(kSystemSql));
    system = absl::StrFormat("system %s", std::string(identifier.Bytes(0, 0)));
  }
  std::string timeline = "none";
  if (!standby || permitted) {
    AIMEM_ASSIGN_OR_RETURN(const Rows line,
                           transaction.QueryRow(standby ? kStandbyTimelineSql : kTimelineSql));
    timeline = line.Bytes(0, 0);
  }
  return absl::StrFormat("%s timeline %s database %d", system, timeline, database);
}

}  // namespace aimem::postgres
