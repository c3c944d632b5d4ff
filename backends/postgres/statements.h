// The SQL of this room: every statement that runs more than once a session, prepared by name, but
// for those on the table of blocks, which need not be there.
// "@" stands for the schema, "@class" for kInUseClass, "@lock" for kLockKey, "@head" for
// kLogHeadBytes, "@hasblocks" for 1 if there is a table of blocks and it may be read: who may not
// read it goes without, as if there were none.
//
// Every question is answered by a range or point of an index, so the plans are fixed by session
// settings (session.cc) rather than left to statistics that a young table does not have.
#pragma once

namespace aimem::postgres {

inline constexpr char kBeginRead[] = "begin_read";
inline constexpr char kSnapshot[] = "snapshot";
inline constexpr char kBeginWrite[] = "begin_write";
inline constexpr char kLock[] = "lock";
inline constexpr char kTouch[] = "touch";
inline constexpr char kCommit[] = "commit";
inline constexpr char kRollback[] = "rollback";
inline constexpr char kReadKeys[] = "read_keys";
inline constexpr char kReadNames[] = "read_names";
inline constexpr char kReadOperations[] = "read_operations";
inline constexpr char kReadHeads[] = "read_heads";
inline constexpr char kReadMeta[] = "read_meta";
inline constexpr char kScan[] = "scan";
inline constexpr char kReadLog[] = "read_log";
inline constexpr char kInsertEntities[] = "insert_entities";
inline constexpr char kPutEntities[] = "put_entities";
inline constexpr char kPutLog[] = "put_log";
inline constexpr char kPutMeta[] = "put_meta";
inline constexpr char kCutLog[] = "cut_log";
inline constexpr char kCutLogTails[] = "cut_log_tails";
inline constexpr char kHasBlocks[] = "has_blocks";
inline constexpr char kRewriteLog[] = "rewrite_log";

/// The row of `meta` that this room keeps for itself: its value is the version of the tables, and
/// who holds it FOR UPDATE holds the write lock. Not part of what a ReadSet answers.
inline constexpr char kLockKey[] = "postgres.schema";
/// The version that this code reads and writes.
inline constexpr int kSchemaVersion = 1;

/// Undo what a role, a database or a server sets for sessions and would end or change our work: the
/// first since it could end the second. Not every server knows each of them.
inline constexpr char kNoTimeoutSql[] = "SET statement_timeout = 0";
inline constexpr char kRoleSettingsSql[] =
    "SELECT pg_catalog.set_config(name, CASE name"
    " WHEN 'default_transaction_isolation' THEN 'read committed'"
    " WHEN 'default_transaction_deferrable' THEN 'off'"
    " WHEN 'default_transaction_read_only' THEN 'off' ELSE '0' END, false)"
    " FROM pg_catalog.pg_settings WHERE name IN ('default_transaction_deferrable',"
    " 'default_transaction_isolation', 'default_transaction_read_only',"
    " 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'lock_timeout',"
    " 'transaction_timeout')";

/// Every session shares this lock on the name of its schema, as every connection shares one on a
/// file of SQLite: who replaces a store takes it alone. "@class" is kInUseClass.
inline constexpr char kShareNameSql[] =
    "SELECT pg_catalog.pg_advisory_lock_shared(@class, pg_catalog.hashtext('@'))";
inline constexpr char kInUseClass[] = "1634299245";

// -- Blocks ---------------------------------------------------------------------------------------

/// Two statements, each sent by itself. Compressing what is packed already would cost time only.
inline constexpr char kCreateBlocksSql[] =
    "CREATE TABLE IF NOT EXISTS @.block (segment bigint NOT NULL, part bigint NOT NULL,"
    " bytes bytea NOT NULL, PRIMARY KEY (segment, part))";
inline constexpr char kStoreBlocksSql[] =
    "ALTER TABLE @.block ALTER COLUMN bytes SET STORAGE EXTERNAL";
/// The bytes of those that are counted only are not fetched.
inline constexpr char kReadBlocksSql[] =
    "SELECT part, bytes FROM ("
    " SELECT *, sum(octet_length(bytes)) OVER (ORDER BY part"
    " ROWS UNBOUNDED PRECEDING) - octet_length(bytes) AS before FROM ("
    " SELECT part, bytes FROM @.block"
    " WHERE segment = $1::bigint AND part >= $2::bigint ORDER BY part LIMIT $3::bigint) page) "
    "counted"
    " WHERE before < $4::bigint ORDER BY part";
inline constexpr char kCountBlocksSql[] =
    "SELECT segment, count(*) FROM @.block GROUP BY segment ORDER BY segment";
inline constexpr char kCutBlocksSql[] =
    "DELETE FROM @.block b USING unnest($1::bigint[], $2::bigint[]) AS cut(segment, first)"
    " WHERE b.segment = cut.segment AND b.part >= cut.first";
inline constexpr char kPutBlocksSql[] =
    "INSERT INTO @.block (segment, part, bytes)"
    " SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])";

struct PreparedStatement {
  const char* name;
  const char* sql;
};

inline constexpr PreparedStatement kPrepared[] = {
    {kBeginRead, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"},
    // The snapshot is that of the first statement, not of BEGIN.
    {kSnapshot, "SELECT @hasblocks"},
    // READ COMMITTED: what is read after the lock came is what its last holder left.
    {kBeginWrite, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"},
    // The oid is part of PhysicalIdentity(): a dump that is restored meanwhile makes other tables.
    {kLock,
     "SELECT value, '@.log'::regclass::oid::bigint, @hasblocks FROM @.meta WHERE key = '@lock'"
     " FOR UPDATE"},
    // Changes nothing, and is waited for like any change.
    {kTouch, "UPDATE @.meta SET value = value WHERE key = '@lock'"},
    {kCommit, "COMMIT"},
    {kRollback, "ROLLBACK"},
    // "= ANY" is one scan of the index, a third of the cost of a join with unnest().
    {kReadKeys,
     "SELECT kind, key, name, state FROM @.entity"
     " WHERE kind = $1::smallint AND key = ANY ($2::bytea[])"},
    {kReadNames,
     "SELECT kind, key, name, state FROM @.entity"
     " WHERE name = ANY ($1::bytea[]) AND name IS NOT NULL ORDER BY kind, key"},
    {kReadOperations,
     "SELECT stream, seq, operation, bytes FROM @.log WHERE operation = ANY ($1::bytea[])"},
    // From stream to stream by the index, whatever the number of rows in each. Of a value that is
    // stored out of line, substring() fetches no more than it needs.
    {kReadHeads,
     "WITH RECURSIVE streams(stream) AS ("
     " (SELECT l.stream FROM @.log l ORDER BY l.stream LIMIT 1)"
     " UNION ALL"
     " SELECT (SELECT l.stream FROM @.log l WHERE l.stream > s.stream ORDER BY l.stream LIMIT 1)"
     " FROM streams s WHERE s.stream IS NOT NULL)"
     " SELECT h.stream, h.seq, h.operation, substring(h.bytes FROM 1 FOR @head) FROM streams s "
     "CROSS JOIN LATERAL"
     " (SELECT * FROM @.log l WHERE l.stream = s.stream ORDER BY l.seq DESC LIMIT 1) h"
     " WHERE s.stream IS NOT NULL"},
    {kReadMeta, "SELECT key, value FROM @.meta WHERE key <> '@lock'"},
    // octet_length does not fetch a value that is stored out of line.
    {kScan,
     "SELECT kind, key, name, state FROM ("
     " SELECT *, sum(octet_length(state)) OVER (ORDER BY kind, key"
     " ROWS UNBOUNDED PRECEDING) - octet_length(state) AS before FROM ("
     " SELECT kind, key, name, state FROM @.entity"
     " WHERE (kind, key) >= ($1::smallint, $2::bytea) AND (kind, key) < ($3::smallint, $4::bytea)"
     " ORDER BY kind, key LIMIT $5::bigint) page) counted"
     " WHERE before < $6::bigint ORDER BY kind, key"},
    {kReadLog,
     "SELECT stream, seq, operation, bytes FROM ("
     " SELECT *, sum(octet_length(bytes)) OVER (ORDER BY seq"
     " ROWS UNBOUNDED PRECEDING) - octet_length(bytes) AS before FROM ("
     " SELECT stream, seq, operation, bytes FROM @.log"
     " WHERE stream = $1::bigint AND seq > $2::bigint ORDER BY seq LIMIT $3::bigint) page) counted"
     " WHERE before < $4::bigint ORDER BY seq"},
    // Without ON CONFLICT, which inserts on approval and costs a third more.
    {kInsertEntities,
     "INSERT INTO @.entity (kind, key, name, state)"
     " SELECT * FROM unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::bytea[])"},
    {kPutEntities,
     "INSERT INTO @.entity (kind, key, name, state)"
     " SELECT * FROM unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::bytea[])"
     " ON CONFLICT (kind, key) DO UPDATE SET name = EXCLUDED.name, state = EXCLUDED.state"},
    {kPutLog,
     "INSERT INTO @.log (stream, seq, operation, bytes)"
     " SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[])"},
    {kPutMeta,
     "INSERT INTO @.meta (key, value) SELECT * FROM unnest($1::text[], $2::bytea[])"
     " ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value"},
    {kCutLog,
     "DELETE FROM @.log l USING unnest($1::bigint[], $2::bigint[]) AS cut(stream, below)"
     " WHERE l.stream = cut.stream AND l.seq < cut.below"},
    {kCutLogTails,
     "DELETE FROM @.log l USING unnest($1::bigint[], $2::bigint[]) AS cut(stream, above)"
     " WHERE l.stream = cut.stream AND l.seq > cut.above"},
    {kHasBlocks, "SELECT @hasblocks"},
    {kRewriteLog,
     "UPDATE @.log l SET bytes = other.bytes"
     " FROM unnest($1::bigint[], $2::bigint[], $3::bytea[]) AS other(stream, seq, bytes)"
     " WHERE l.stream = other.stream AND l.seq = other.seq"},
};

}  // namespace aimem::postgres
