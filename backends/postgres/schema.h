// The tables: looked at when a store is opened, and made if they are absent.
//
//   entity(kind smallint, key bytea, name bytea null, state bytea)   primary key (kind, key);
//                                                    index on name where name is not null
//   log(stream bigint, seq bigint, operation bytea, bytes bytea)     primary key (stream, seq);
//                                                    unique (operation, stream)
//   meta(key text, value bytea)                      primary key (key)
//   block(segment bigint, part bigint, bytes bytea)  primary key (segment, part)
//
// A stream or a segment is a u64, stored as the int64 of the same bits. A store without `block` is
// as whole as one with it: databases were made so. Who writes the first block makes the table.
// meta['postgres.schema'] holds the version of these tables in decimal; its row is the write lock.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/postgres/session.h"

namespace aimem::postgres {

/// Connect once and check server, encoding and tables, which `create` makes if they are absent;
/// of several servers that do so at once one makes them. Writes nothing if they exist.
///
/// Errors: those of OpenPostgresBackend.
absl::Status PrepareDatabase(const SessionSettings& settings, bool create);

/// Run `statements` in one transaction, alone with the names of `schemas`: no session has one of
/// them. "@" stands for settings.schema. kFailedPrecondition: somebody has.
absl::Status RunAlone(const SessionSettings& settings, const std::vector<std::string>& schemas,
                      const std::vector<std::string>& statements);

/// Whether there is a schema of that name.
absl::StatusOr<bool> HasSchema(const SessionSettings& settings, const std::string& schema);

}  // namespace aimem::postgres
