// The sections of the benchmark, one .cc each.
#pragma once

#include <string>
#include <vector>

#include "bench/report.h"

namespace aimem::bench {

struct Settings {
  bool quick = false;
  /// Where data lies while it is measured; on the disk that is meant.
  std::string directory;
  /// Conversations and questions about them; empty: there are none.
  std::string data;

  /// A size of the full run, or that of the quick one.
  template <typename T>
  [[nodiscard]] T Pick(T full, T quick_one) const {
    return quick ? quick_one : full;
  }
};

/// One writer, a put a transaction.
Section MeasurePut(const Settings& settings);
/// 16 writers: threads of one process, then of four.
Section MeasureWriters(const Settings& settings);
/// Get by id, in a small store and a large one.
Section MeasureGet(const Settings& settings);
/// 16 writers on PostgreSQL.
Section MeasurePostgres(const Settings& settings);
/// SQLite to PostgreSQL and back.
Section MeasureMigrate(const Settings& settings);
/// A backup beside writers.
Section MeasureBackup(const Settings& settings);
/// Search by scan.
Section MeasureRecall(const Settings& settings);
/// Search over an index, beside the scan of the same rows.
Section MeasureRecallIndex(const Settings& settings);
/// A page of a list from the index, beside the scan and an ORDER BY over an index.
Section MeasureList(const Settings& settings);
/// Segments of the index, by themselves.
Section MeasureIndex(const Settings& settings);
/// What recall finds of settings.data.
Section MeasureRanking(const Settings& settings);
/// Three members of a federation beside three of etcd; one client; after idling.
Section MeasureFederation(const Settings& settings);
/// A federation with a member frozen, and with one far away.
Section MeasureFederationSlow(const Settings& settings);
/// A member that was away.
Section MeasureFederationCatchUp(const Settings& settings);

// Parts of sections that run as processes of their own; see child.h.
int WritersChild(const std::vector<std::string>& arguments);
int MigrateChild(const std::vector<std::string>& arguments);

}  // namespace aimem::bench
