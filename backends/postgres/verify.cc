#include "backends/postgres/verify.h"

#include <cstdint>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "lib/base/status.h"

namespace aimem::postgres {
namespace {

using Sentences = std::vector<std::string>;

// A server that counts a whole table is silent meanwhile.
constexpr absl::Duration kCountPatience = absl::Hours(1);

// Damage is a finding; a server that is away is an error.
bool IsFinding(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsInternal(status);
}

absl::StatusOr<Rows> Ask(PostgresTransaction& transaction, const std::string& sql,
                         const std::string& schema) {
  std::vector<Call> calls;
  calls.push_back(Call::Sql(absl::StrReplaceAll(sql, {{"@", schema}})));
  AIMEM_ASSIGN_OR_RETURN(std::vector<Rows> answers, transaction.Query(std::move(calls)));
  return std::move(answers.front());
}

absl::StatusOr<std::int64_t> AskNumber(PostgresTransaction& transaction, const std::string& sql,
                                       const std::string& schema) {
  AIMEM_ASSIGN_OR_RETURN(const Rows rows,
                         transaction.QueryRow(absl::StrReplaceAll(sql, {{"@", schema}})));
  return rows.Int(0, 0);
}

absl::Status CheckChecksums(PostgresTransaction& transaction, const std::string& schema,
                            Sentences& sentences) {
  AIMEM_ASSIGN_OR_RETURN(
      const std::int64_t failures,
      AskNumber(transaction,
                "SELECT coalesce(sum(checksum_failures), 0)::bigint FROM pg_stat_database"
                " WHERE datname = current_database() OR datname IS NULL",
                schema));
  if (failures > 0) {
    sentences.push_back(absl::StrFormat(
        "the server counted %d pages with a wrong checksum in this database", failures));
  }
  return absl::OkStatus();
}

absl::Status CheckIndexes(PostgresTransaction& transaction, const std::string& schema,
                          Sentences& sentences) {
  AIMEM_ASSIGN_OR_RETURN(
      const Rows rows,
      Ask(transaction,
          "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
          " JOIN pg_namespace n ON n.oid = c.relnamespace"
          " WHERE n.nspname = '@' AND NOT (i.indisvalid AND i.indisready) ORDER BY 1",
          schema));
  for (int row = 0; row < rows.size(); ++row) {
    sentences.push_back(absl::StrFormat("index %s.%s is not valid: REINDEX it", schema,
                                        std::string(rows.Bytes(row, 0))));
  }
  return absl::OkStatus();
}

// A crash of the server empties them.
absl::Status CheckLogged(PostgresTransaction& transaction, const std::string& schema,
                         Sentences& sentences) {
  AIMEM_ASSIGN_OR_RETURN(
      const Rows rows,
      Ask(transaction,
          "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
          " WHERE n.nspname = '@' AND c.relname IN ('entity', 'log', 'meta')"
          " AND c.relpersistence <> 'p' ORDER BY 1",
          schema));
  for (int row = 0; row < rows.size(); ++row) {
    sentences.push_back(absl::StrFormat(
        "table %s.%s is UNLOGGED: a crash of the server empties it; ALTER TABLE ... SET LOGGED",
        schema, std::string(rows.Bytes(row, 0))));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::int64_t> CountEntities(PostgresTransaction& transaction) {
  std::int64_t count = 0;
  ScanRequest request;
  while (true) {
    AIMEM_ASSIGN_OR_RETURN(const std::vector<EntityRow> rows, transaction.Scan(request));
    if (rows.empty()) return count;
    count += static_cast<std::int64_t>(rows.size());
    request.after = rows.back().key;
  }
}

absl::StatusOr<std::int64_t> CountLog(PostgresTransaction& transaction) {
  std::int64_t count = 0;
  AIMEM_ASSIGN_OR_RETURN(const ReadResult read, transaction.Read({.heads = true}));
  for (const LogRow& head : read.heads) {
    for (std::uint64_t after = 0;;) {
      AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> rows,
                             transaction.ReadLog(head.stream, after, 1'000, 4u << 20));
      if (rows.empty()) break;
      count += static_cast<std::int64_t>(rows.size());
      after = rows.back().seq;
    }
  }
  return count;
}

// Rows as found by the index, values and all, against rows as found in the table.
absl::Status CompareCounts(PostgresTransaction& transaction, const std::string& schema,
                           Sentences& sentences) {
  AIMEM_ASSIGN_OR_RETURN(const std::int64_t entities, CountEntities(transaction));
  AIMEM_ASSIGN_OR_RETURN(const std::int64_t log, CountLog(transaction));
  AIMEM_RETURN_IF_ERROR(Ask(transaction,
                            "SELECT set_config('enable_seqscan', 'on', true),"
                            " set_config('enable_indexscan', 'off', true),"
                            " set_config('enable_indexonlyscan', 'off', true)",
                            schema)
                            .status());
  for (const auto& [table, found] : {std::pair("entity", entities), std::pair("log", log)}) {
    const std::string where = std::string_view(table) == "log" ? " WHERE seq > 0" : "";
    AIMEM_ASSIGN_OR_RETURN(
        const std::int64_t held,
        AskNumber(transaction, absl::StrFormat("SELECT count(*) FROM @.%s%s", table, where),
                  schema));
    if (held != found) {
      sentences.push_back(absl::StrFormat(
          "the index of %s.%s finds %d rows, the table holds %d: REINDEX TABLE %s.%s", schema,
          table, found, held, schema, table));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> VerifyTables(PostgresTransaction& transaction,
                                                      const std::string& schema) {
  Sentences sentences;
  transaction.session().set_patience(kCountPatience);
  for (const auto check : {CheckChecksums, CheckIndexes, CheckLogged, CompareCounts}) {
    const absl::Status status = check(transaction, schema, sentences);
    if (status.ok()) continue;
    if (!IsFinding(status)) return status;
    // The transaction has failed with the statement: what was found so far is what can be said.
    sentences.push_back(absl::StrFormat("reading the tables failed: %s", status.message()));
    break;
  }
  return sentences;
}

absl::StatusOr<std::vector<std::string>> FindWhatSparesTheDisk(PostgresTransaction& transaction,
                                                               const std::string& schema) {
  Sentences sentences;
  for (const std::string setting : {"fsync", "full_page_writes"}) {
    AIMEM_ASSIGN_OR_RETURN(const Rows value, transaction.QueryRow(absl::StrFormat(
                                                 "SELECT current_setting('%s')", setting)));
    if (value.Bytes(0, 0) == "on") continue;
    sentences.push_back(absl::StrFormat(
        "the server runs with %s = %s: what was committed may not survive a power cut; set %s = on",
        setting, std::string(value.Bytes(0, 0)), setting));
  }
  AIMEM_RETURN_IF_ERROR(CheckLogged(transaction, schema, sentences));
  return sentences;
}

}  // namespace aimem::postgres
