// The file of the write-ahead log, where SQLite leaves more to be done to it.
#pragma once

#include "absl/status/status.h"
#include "backends/sqlite/connection.h"

namespace aimem::sqlite {

/// Bring everything that `connection` sees to the disk, and nothing else with it: what the log
/// holds behind the last commit that counts would count after a power cut. Waits for writers of
/// other processes, not for readers. Until it returns OK nothing may be concluded from what is
/// seen; it can be repeated.
absl::Status MakeDurable(Connection& connection);

/// The first half of that, in a write transaction that has written nothing yet: what the log shows
/// is on the disk, in the log.
absl::Status SyncLogAsSeen(Connection& connection);

/// False if nothing of what `connection`, which is in a transaction, sees is in the log.
bool LogShowsSomething(Connection& connection);

/// False if the index of the log, which all processes share, says that more of the log is in the
/// database than there is of it: commits that were acknowledged will then be left out of the
/// database, and go with the log. What is in file and log is sound still. While a log begins anew
/// that is so for a moment, hence asked under the write lock, or more than once.
bool LogIndexIsSound(Connection& connection);

/// Give the log room ahead of what is written to it: a sync of bytes that lie where the file had
/// some already need not write a new length as well. Only inside a transaction that writes. A log
/// that cannot be made longer stays as it is.
void GrowLog(Connection& connection);

}  // namespace aimem::sqlite
