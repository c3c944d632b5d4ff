// What a connection leads to: the part of Backend::PhysicalIdentity() that cannot change while the
// connection stands.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "backends/postgres/transaction.h"

namespace aimem::postgres {

/// Cluster (system identifier), what a failover or restore forked from (timeline), and database.
/// Three round trips: asked once a connection, and within a write transaction, which no standby
/// grants, so that a promotion cannot follow.
///
/// A physical copy of a cluster that is started beside or in place of the original, at another
/// moment of its history, keeps all three: nothing in it that an ordinary role may read tells.
absl::StatusOr<std::string> AskPlace(PostgresTransaction& transaction);

}  // namespace aimem::postgres
