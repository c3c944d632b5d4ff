// What the process that serves a member asks of its store, beyond what a host can: the life of the
// store's own stream. docs/decisions/0013-a-streams-life.md tells the rules.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "aimem/changes.h"
#include "aimem/local_store.h"
#include "aimem/store.h"

namespace aimem::store {

/// The one store of a member. Thread-safe.
class MemberStore : public Store {
 public:
  /// What became durable, or why nothing did (kUnavailable: retry).
  using StreamCallback = absl::AnyInvocable<void(absl::StatusOr<StoreState>) &&>;

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
  /// write that has not begun is executed, and remember `stream` as lost (StoreState::lost). One
  /// that it wrote before becomes lost; any other one, and one that is lost already: nothing is
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
                                                             const StoreOptions& options);

}  // namespace aimem::store
