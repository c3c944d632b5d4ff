// What the process that serves a member asks of its store and is told by it, beyond what a host is:
// what becomes durable, who may write, and the life of the store's own stream.
// docs/decisions/0013-a-streams-life.md tells the rules.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "aimem/changes.h"
#include "aimem/store.h"
#include "aimem/store_options.h"
#include "aimem/types.h"
#include "lib/log/durable.h"

namespace aimem::store {

/// Is told what becomes durable in a store.
class CommitListener {
 public:
  virtual ~CommitListener() = default;

  /// `state` is durable now. Called before any of the writes is answered, with no lock held, by
  /// one thread at a time, each time with heads that cover those before, unless a history was given
  /// up for another one or the data was put back under us.
  ///
  /// `commits`: those that this process has just added, its own and those that it applied,
  /// ascending per stream. What other processes wrote into the same data is part of `state` only:
  /// read it with ReadChanges. Must not block, must not call the store, and must not throw: that is
  /// logged, and what it was told is not told again.
  virtual void OnDurable(const log::StoreState& state, std::vector<log::DurableCommit> commits) = 0;
};

/// What a store is opened with by whoever serves a member. A host's store has none of it: a host
/// follows what becomes durable with Store::ReadChanges.
struct Hooks {
  /// Told of every commit that becomes durable, those of other processes on the same data
  /// included (noticed within 20 ms on SQLite, within 200 ms on PostgreSQL). Borrowed; must
  /// outlive the store. Null: nobody.
  CommitListener* listener = nullptr;
  /// W of the federation that this process speaks for, which is kept with the data; what is written
  /// by a process that speaks for none into the data of a member with W > 1 is answered kPending,
  /// and this one delivers it. 1: it is answered by whoever wrote it. 0: it speaks for none, or for
  /// itself (StoreOptions::alone).
  int quorum = 0;
  /// Asked by the writer before it executes what was queued: not OK, and the writes are refused
  /// with this status, durable nowhere. What is applied from elsewhere is not asked for.
  /// Thread-safe; called without locks. Null: all may execute.
  std::function<absl::Status()> may_execute = {};
  /// Commits that not all voters hold are kept in the log beyond StoreOptions::log_retention, up to
  /// log_max_bytes: asked before any is dropped. Thread-safe. Null: nobody else needs them.
  std::function<VersionVector()> held_by_all = {};
  /// Asked by the writer when all that it was given is executed and not yet committed: until when,
  /// on the clock's Monotonic, it waits for more to share the commit. It may bring some meanwhile.
  /// Thread-safe; called without locks. Null, or a time that has passed: nothing more is coming.
  std::function<absl::Duration()> more_until = {};
};

/// Check without opening anything. kInvalidArgument: a quorum that no number of voters has.
absl::Status Validate(const Hooks& hooks);

/// The one store of a member. Thread-safe.
class MemberStore : public Store {
 public:
  /// What became durable, or why nothing did (kUnavailable: retry).
  using StreamCallback = absl::AnyInvocable<void(absl::StatusOr<log::StoreState>) &&>;

  /// Apply, of a page of commits that a peer sent: one that cannot be read is refused alone
  /// (ApplyResult::refusals, kInvalidArgument), as is what follows it in its stream (a gap).
  virtual void ApplyEach(ChangePage page, ApplyCallback done) = 0;

  /// Make durable what is visible, where that is in doubt: after a commit whose outcome was not
  /// known, and once after the store was opened for a listener, since the process before may have
  /// ended in the midst of one. Then tell the listener all that is durable here. kUnavailable: not
  /// yet, come again.
  virtual void Refresh(StreamCallback done) = 0;

  /// Somebody holds more of `stream` than this store does, or another history of it, and names
  /// `claimed` (a hash of zeros: only its place is known). If it is the
  /// stream that this store writes: go on as a new one, in a transaction of its own, before any
  /// write that has not begun is executed, and remember `stream` as lost (log::StoreState::lost).
  /// One that it wrote before becomes lost; any other one, and one that is lost already: nothing is
  /// written. Nor if `claimed` is found to be held, since another process has written it here: the
  /// listener is told then. `done` is called once, on the writer, after the listener has been told.
  virtual void ForsakeStream(std::uint64_t stream, const StreamHead& claimed,
                             StreamCallback done) = 0;

  /// Give up what this store holds of `stream` after `common`, for a history that others hold:
  /// append each of these commits to the own stream, with the changes, stamps, operation, request
  /// hash and results that it has, and drop it from `stream`, in one transaction. Its effect stays,
  /// since states join. Where there is much of it, several transactions do so from its end back,
  /// 1,000 commits or 8 MiB each; `done` is called after the last. Implies ForsakeStream.
  ///
  /// A `common` at 0 gives up the stream as a whole: nothing is known to be common.
  ///
  /// kFailedPrecondition: the log no longer holds all that would be given up, or holds a commit of
  /// another version, which this one cannot append again. kAborted: `common` is not what is held at
  /// that position, since the store went on; compare again. What an earlier transaction gave up
  /// stays given up; else nothing was written.
  virtual void YieldStream(std::uint64_t stream, const StreamHead& common, StreamCallback done) = 0;
};

/// OpenLocalStore, for whoever serves a member.
absl::StatusOr<std::unique_ptr<MemberStore>> OpenMemberStore(std::unique_ptr<Backend> backend,
                                                             const StoreOptions& options,
                                                             Hooks hooks = {});

}  // namespace aimem::store
