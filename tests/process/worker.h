// The workers of these tests: this program, run again with --worker.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/memory.h"
#include "aimem/store.h"
#include "aimem/write_batch.h"
#include "support/process/child_process.h"

namespace aimem::process {

/// Longest wait for a line of a worker: far above what any of them needs.
inline constexpr absl::Duration kPatience = absl::Seconds(60);

/// A worker of `kind` with its output and input as pipes.
support::ChildProcess StartWorker(const std::string& kind, std::vector<std::string> arguments);

/// Read lines of `worker` until its output ends or `count` have come.
std::vector<std::string> ReadLines(support::ChildProcess& worker, std::size_t count = SIZE_MAX);

/// True if the arguments of this process ask for a worker; `exit_code` is then its own.
bool RunAsWorker(const std::vector<std::string>& arguments, int& exit_code);

/// A put of a long-lived memory, as the only item of a batch.
WriteBatch PutBatch(const std::string& namespace_, const std::string& title,
                    const std::string& content);

/// All live memories of one namespace.
absl::StatusOr<std::vector<Memory>> ReadAll(Store& store, const std::string& namespace_);

// -- Kinds of workers, and their arguments
// ---------------------------------------------------------

/// URL FIRST-KEY KEYS TOUCHED-ID. Says "ready", waits for a line, then sends the keys one after the
/// other and prints the answer to each: "KEY OPERATION ID STREAM SEQ REPLAYED". Each puts one
/// memory and touches the memory TOUCHED-ID.
inline constexpr char kKeyed[] = "keyed";
/// What the keys write, and where.
inline constexpr char kKeyedNamespace[] = "keyed";
WriteBatch KeyedBatch(int key, const std::string& touched);
std::string KeyedRequest(int key);

/// URL INDEX. Says "ready", waits for a line, opens the store, puts one memory, prints its stream.
inline constexpr char kCreator[] = "creator";
inline constexpr char kCreatorNamespace[] = "creator";

/// PATH DIES-AT. Opens the file through the dying VFS, writes kDoomedBatches batches of
/// kDoomedPuts memories each, prints the number of each when it is committed, closes.
inline constexpr char kDoomed[] = "doomed";
inline constexpr int kDoomedBatches = 3;
inline constexpr int kDoomedPuts = 3;
std::string DoomedNamespace(int batch);

/// PATH DIES-AT ID. Opens the file through the dying VFS, erases the memory, says so, closes.
inline constexpr char kEraser[] = "eraser";

/// See storm.h.
inline constexpr char kStormWriter[] = "storm-writer";
inline constexpr char kStormReader[] = "storm-reader";
absl::Status RunStormWriter(const std::vector<std::string>& arguments);
absl::Status RunStormReader(const std::vector<std::string>& arguments);

}  // namespace aimem::process
