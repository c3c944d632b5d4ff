// The border between the protocol and whatever carries it: gRPC, a simulated network, threads in
// one process.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/changes.h"
#include "replication/protocol/calls.h"
#include "replication/protocol/messages.h"

namespace aimem::replication {

using AppendDone = absl::AnyInvocable<void(AppendOutcome) &&>;

/// A Fetch under way. Used by one caller at a time; destroying it ends it, also inside `done`.
class PageStream {
 public:
  virtual ~PageStream() = default;
  /// The next page, then `done` once, never inside this call. A page with `end` is the last.
  virtual void Next(absl::AnyInvocable<void(absl::StatusOr<ChangePage>) &&> done) = 0;
};

/// Carries calls to peers, which are named by their addresses ("host:port"). Thread-safe.
///
/// The rule this exists for: a call owns all that it needs, and nothing cancels it but its own
/// deadline and the end of the shutdown grace; whoever waits for its effect may be gone.
class Transport {
 public:
  virtual ~Transport() = default;

  /// Start a call that ends within `deadline`; then `done` once, on any thread, never inside this
  /// call. After Shutdown has begun: `done` with kUnavailable.
  virtual void Append(const std::string& address, Lane lane, AppendRequest request,
                      absl::Duration deadline, AppendDone done) = 0;

  virtual std::unique_ptr<PageStream> Fetch(const std::string& address, FetchRequest request) = 0;

  /// As Append; the reply or why there is none.
  virtual void Digest(const std::string& address, DigestRequest request,
                      absl::AnyInvocable<void(absl::StatusOr<DigestReply>) &&> done) = 0;

  /// Call Service::OnTimer not before the monotonic clock shows `at`, and soon after. A later call
  /// replaces an earlier one only if its time is earlier.
  virtual void SetTimer(absl::Duration at) = 0;

  /// What may block, and for how long. Each kind has a thread of its own, so that a scan of all
  /// rows does not hold up what a peer lacks.
  enum class Kind : std::uint8_t {
    kRead,  ///< A page of the log or of states.
    kScan,  ///< All rows: roots, sums.
  };
  /// Run `work` later on the thread of its kind, in order.
  virtual void Post(Kind kind, absl::AnyInvocable<void() &&> work) = 0;

  /// Stop serving, let calls in flight end within `grace`, cancel what is left, and return when
  /// every `done` has run and nothing calls the service any more. Idempotent.
  virtual void Shutdown(absl::Duration grace) = 0;

  /// Calls cut by Shutdown so far.
  [[nodiscard]] virtual std::int64_t cancelled() const = 0;
};

/// What the transport delivers to. Thread-safe; all may be called at once.
class Service {
 public:
  virtual ~Service() = default;

  /// `reply` is called once, on any thread, perhaps inside this call.
  virtual void HandleAppend(const Caller& caller, AppendRequest request,
                            absl::AnyInvocable<void(AppendReply) &&> reply) = 0;
  /// The page at the request's cursor; the next is at its `next`. Blocks: not for a poller.
  /// kPermissionDenied, kUnauthenticated; kFailedPrecondition: this member cannot go on from there
  /// (start again with ChangeCursor::Everything).
  virtual absl::StatusOr<ChangePage> HandleFetch(const Caller& caller,
                                                 const FetchRequest& request) = 0;
  /// Blocks.
  virtual absl::StatusOr<DigestReply> HandleDigest(const Caller& caller,
                                                   const DigestRequest& request) = 0;
  virtual void OnTimer() = 0;
};

}  // namespace aimem::replication
