// Moving memories between stores and documents.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/store.h"

namespace aimem {

struct TransferProgress {
  std::int64_t done = 0;
  /// What there is to do, as far as known; 0: unknown.
  std::int64_t total = 0;
};

struct MigrateOptions {
  /// Entities a page, hence a commit at the destination. In [1, 1,000]. Default 1,000.
  std::int64_t batch = 1'000;
  /// Only memories of this namespace, exactly, and the links between them, its standard, and what
  /// waits for approval in it. Default: all.
  std::optional<std::string> namespace_ = {};
  /// Read and compare, write nothing: `rows_changed` says what would change.
  bool dry_run = false;
  /// Compare both stores afterwards, entity by entity.
  bool verify = false;
  /// Called after each page, on the calling thread.
  std::function<void(const TransferProgress&)> progress = {};
  /// Set by another thread or a signal handler to stop between two pages: kCancelled. Running
  /// the migration again completes it. Borrowed; may be null.
  const std::atomic<bool>* cancel = nullptr;
};

struct MigrateReport {
  /// Live memories read from the source, and confirmed at the destination. Equal, also when the
  /// destination had them already: a second run says the same.
  std::int64_t memories_read = 0;
  std::int64_t memories_written = 0;
  struct ReadWritten {
    std::int64_t read = 0;
    std::int64_t written = 0;
  };
  ReadWritten archived, gone, links, standards, others;
  /// Rows of any kind that the destination did not hold like this before.
  std::int64_t rows_changed = 0;
  std::int64_t batches = 0;
  struct Verified {
    std::int64_t missing = 0;    ///< In the source only.
    std::int64_t different = 0;  ///< The source has something that the destination lacks.
    std::int64_t extra = 0;      ///< In the destination only; no error.
  };
  std::optional<Verified> verify = {};
  /// What went wrong, each a sentence. Not empty: the copy is not complete.
  std::vector<std::string> errors = {};
};

/// Make `to` hold all that `from` holds: live, archived and gone memories, links, standards, with
/// ids, stamps and counts, and kinds that this build does not know.
///
/// Idempotent, resumable by running it again, safe beside writers on either side; constant
/// memory. A destination with a history of its own keeps it: states are joined. Errors in the
/// status: the migration could not go on (kCancelled, or the store's); `report` holds how far
/// it came either way.
absl::Status Migrate(Store& from, Store& to, const MigrateOptions& options, MigrateReport& report);

struct ExportOptions {
  std::function<void(const TransferProgress&)> progress = {};
  /// Of each of its reads.
  ReadBounds bounds = {};
};

/// Write alive memories by created_at, and the links between them, as one pretty JSON document:
/// {"exported_at", "memories", "links", "count"}. kUnavailable if `out` fails. Ids and times of the
/// memories are held in RAM, the memories are not.
absl::Status ExportJson(Store& from, absl::Time now, std::ostream& out,
                        const ExportOptions& options = {});

struct ImportOptions {
  /// Keep metadata.agent_id. False: it becomes `write.agent_id`, and a different original goes
  /// to metadata.imported_from_agent_id.
  bool trust_source = false;
  /// `write.request_id`, if given, names the import; each batch of it gets one of its own.
  WriteOptions write = {};
  std::function<void(const TransferProgress&)> progress = {};
  const std::atomic<bool>* cancel = nullptr;
};

struct ImportReport {
  std::int64_t imported = 0;
  std::int64_t restamped = 0;
  std::int64_t links = 0;
  std::vector<std::string> errors = {};  ///< "{id}: {message}"; those items were left out.
  /// The same, for items that were imported with a change.
  std::vector<std::string> warnings = {};
};

/// Read a document that ExportJson (or ai-memory's export) wrote and write its memories and links
/// into `to`. Nothing is written before the whole document has been parsed and found well formed:
/// kInvalidArgument with line and column otherwise. At most 1 GiB.
absl::Status ImportJson(std::istream& in, Store& to, const ImportOptions& options,
                        ImportReport& report);

/// One memory as JSON with the keys of the data model (lib-independent text, one line).
std::string MemoryToJson(const Memory& memory);

}  // namespace aimem
