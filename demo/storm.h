// Four writers on one file, one of which is killed on the way and started again.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "demo/journal.h"
#include "demo/writer.h"

namespace aimem::demo {

struct StormOptions {
  std::string store;                          ///< URL that the writers open.
  std::string folder;                         ///< For the journals.
  std::int64_t writes = 500;                  ///< A writer.
  std::vector<int> threads = {1, 1, 1, 8};    ///< One writer each.
  int victim = 4;                             ///< Number of the writer that is killed.
  std::int64_t kill_after = 200;              ///< Acknowledgements.
  const std::atomic<bool>* cancel = nullptr;  ///< Stops everything: kCancelled.
};

struct StormReport {
  std::vector<Journal> journals;  ///< At the end, one a writer.
  std::int64_t acknowledged_at_kill = 0;
  std::int64_t in_flight_at_kill = 0;  ///< Announced, not acknowledged.
  /// Of these, found to be in the store by the writer that was started again.
  std::int64_t in_flight_there = 0;
  absl::Duration elapsed;
};

/// Run this program as writers (WriterArguments) until all have written all. No process is left
/// when it returns. kInternal: a writer failed, or the victim ended before it could be killed.
absl::StatusOr<StormReport> RunStorm(const StormOptions& options);

/// The command line of a writer, and its inverse: nullopt for any other.
std::vector<std::string> WriterArguments(const WriterOptions& options, int parent);
struct WriterCommand {
  WriterOptions options;
  int parent = 0;
};
std::optional<WriterCommand> ParseWriterArguments(const std::vector<std::string>& arguments);

}  // namespace aimem::demo
