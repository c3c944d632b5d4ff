#include "bench/rivals/postgres_rows.h"

#include <cstdint>
#include <vector>

#include "bench/measure.h"

namespace aimem::bench {
namespace {

constexpr char kTables[] =
    "CREATE SCHEMA rival;"
    "CREATE TABLE rival.entity (kind smallint NOT NULL, key bytea NOT NULL, name bytea,"
    " state bytea NOT NULL, PRIMARY KEY (kind, key)) WITH (fillfactor = 85);"
    "CREATE INDEX entity_name ON rival.entity (name) WHERE name IS NOT NULL;"
    "CREATE TABLE rival.log (stream bigint NOT NULL, seq bigint NOT NULL,"
    " operation bytea NOT NULL, bytes bytea NOT NULL, PRIMARY KEY (stream, seq),"
    " UNIQUE (operation, stream))";

struct ResultCloser {
  void operator()(PGresult* result) const { PQclear(result); }
};

void Check(PGconn* connection, PGresult* raw) {
  const std::unique_ptr<PGresult, ResultCloser> result(raw);
  if (PQresultStatus(raw) != PGRES_COMMAND_OK) throw Failure(PQerrorMessage(connection));
}

std::string BigEndian(std::uint64_t value, int bytes) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out += static_cast<char>(value >> shift & 0xff);
  }
  return out;
}

template <typename Bytes>
std::string ToString(const Bytes& bytes) {
  return std::string(bytes.begin(), bytes.end());
}

}  // namespace

PostgresRows::PostgresRows(const std::string& url) : connection_(PQconnectdb(url.c_str())) {
  PGconn* connection = connection_.get();
  if (PQstatus(connection) != CONNECTION_OK) throw Failure(PQerrorMessage(connection));
}

void PostgresRows::CreateTables(const std::string& url) { PostgresRows(url).Execute(kTables); }

void PostgresRows::Execute(const char* sql) {
  Check(connection_.get(), PQexec(connection_.get(), sql));
}

void PostgresRows::RunPrepared(const char* name, std::span<const std::string> values,
                               std::span<const bool> nulls) {
  std::vector<const char*> data;
  std::vector<int> sizes;
  for (std::size_t i = 0; i < values.size(); ++i) {
    data.push_back(nulls[i] ? nullptr : values[i].data());
    sizes.push_back(static_cast<int>(values[i].size()));
  }
  const std::vector<int> formats(values.size(), 1);
  Check(connection_.get(), PQexecPrepared(connection_.get(), name, static_cast<int>(values.size()),
                                          data.data(), sizes.data(), formats.data(), 0));
}

void PostgresRows::Prepare() {
  Check(connection_.get(), PQprepare(connection_.get(), "entity",
                                     "INSERT INTO rival.entity (kind, key, name, state)"
                                     " VALUES ($1::smallint, $2::bytea, $3::bytea, $4::bytea)"
                                     " ON CONFLICT (kind, key) DO UPDATE"
                                     " SET name = EXCLUDED.name, state = EXCLUDED.state",
                                     4, nullptr));
  Check(connection_.get(), PQprepare(connection_.get(), "log",
                                     "INSERT INTO rival.log (stream, seq, operation, bytes)"
                                     " VALUES ($1::bigint, $2::bigint, $3::bytea, $4::bytea)",
                                     4, nullptr));
}

void PostgresRows::Put(const WriteSet& set) {
  Execute("BEGIN");
  for (const EntityRow& row : set.rows) {
    const std::string values[] = {BigEndian(static_cast<std::uint64_t>(row.key.kind), 2),
                                  row.key.key, row.name ? ToString(*row.name) : "", row.state};
    const bool nulls[] = {false, false, !row.name, false};
    RunPrepared("entity", values, nulls);
  }
  for (const LogRow& row : set.log) {
    const std::string values[] = {BigEndian(row.stream, 8), BigEndian(row.seq, 8),
                                  ToString(row.operation.bytes), row.bytes};
    const bool nulls[] = {false, false, false, false};
    RunPrepared("log", values, nulls);
  }
  Execute("COMMIT");
}

}  // namespace aimem::bench
