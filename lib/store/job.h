// Jobs: what waits in the queue of a store, and how it is answered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "aimem/backends/backend.h"
#include "aimem/store.h"
#include "lib/changes/apply.h"
#include "lib/execute/execute.h"
#include "lib/store/foundation.h"
#include "lib/store/hooks.h"

namespace aimem::store {

/// How far a job has come.
enum class JobState : std::uint8_t {
  kWaiting,   ///< Not executed yet.
  kDeferred,  ///< The same: it has waited for a stream to be forsaken.
  kRefused,   ///< Its answer stands, whatever becomes of the group.
  kReplayed,  ///< Executed long ago; its answer waits until what it was read from is durable.
  kExecuted   ///< Its answer stands or falls with the group.
};

/// Who waits for a write. `ids`: whose items of a coalesced write are answered; empty: all.
struct Waiter {
  WriteCallback done;
  std::vector<std::string> ids = {};
  bool memories = false;  ///< Of a coalesced write: wants those too.
};

struct WriteJob {
  WriteJob() = default;
  WriteJob(WriteJob&&) = default;
  WriteJob& operator=(WriteJob&&) = default;

  WriteBatch batch;
  WriteOptions options;
  OperationId operation;
  std::optional<Hash256> request_hash;
  std::optional<execute::Selection> selection;  // of a change by filter
  std::vector<Waiter> waiters;                  // several: lazy writes that were coalesced
  std::size_t bytes = 0;
  WriteResult result;  // filled while executing
  JobState state = JobState::kWaiting;
};

/// A page of changes. The group's end is its own, also where it was refused: never kRefused.
struct ApplyJob {
  ApplyJob() = default;
  ApplyJob(ApplyJob&&) = default;
  ApplyJob& operator=(ApplyJob&&) = default;

  changes::CheckedPage page;
  ApplyCallback done;
  std::size_t bytes = 0;
  ApplyResult result;
  bool each = false;  // one commit of it may be refused alone
  JobState state = JobState::kWaiting;
};

using Job = std::variant<WriteJob, ApplyJob>;

/// What is done to a stream or to the log, in a transaction of its own and before all else that
/// waits.
struct StreamJob {
  std::uint64_t stream = 0;               // 0: none, only begin a transaction, and tell
  std::optional<StreamHead> common = {};  // yield what comes after it; none: forsake
  MemberStore::StreamCallback done = nullptr;
  StreamHead claimed = {};  // forsake: unless that is held
  bool more = false;        // its last transaction left some of it to the next one
  absl::Status kept =
      absl::OkStatus();  // why the end that was to be yielded stays; what it did is durable
  /// Set: this instead of all that, with the transaction; `done` is called only where none was to
  /// be had. Must not throw.
  absl::AnyInvocable<void(std::unique_ptr<Transaction>)> run = nullptr;
};

[[nodiscard]] std::size_t BytesOf(const Job& job);
/// kInvalidArgument: no store takes such a write.
absl::Status CheckRequest(const WriteBatch& batch, const WriteOptions& options);
/// The answer of a write that was refused before it had a name.
WriteResult Refused(absl::Status status);
/// `status` is the answer, whatever becomes of the group.
void Reject(WriteJob& job, absl::Status status);
/// The same, of a job that nobody has begun.
void Reject(Job& job, absl::Status status);
/// The memories in its answer are of a state that was not written.
void DropMemories(WriteJob& job);
/// Answer whoever waits for `job` and has no answer yet.
void Deliver(const Foundation& base, Job& job);

}  // namespace aimem::store
