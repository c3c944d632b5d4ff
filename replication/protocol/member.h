// The protocol as a state machine: no I/O, no thread, no lock, no clock of its own.
//
// Inputs are what became durable here, callers that wait, messages, results of reads, the passing
// of time. Outputs are Actions, which whoever drives it carries out afterwards, in any order that
// keeps those of one kind in theirs. docs/architecture.md tells the rules in prose; spec of the
// wire is replication/proto/replication.proto.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/changes.h"
#include "aimem/environment.h"
#include "aimem/federation.h"
#include "aimem/types.h"
#include "lib/log/durable.h"
#include "replication/protocol/actions.h"
#include "replication/protocol/calls.h"
#include "replication/protocol/config.h"
#include "replication/protocol/differences.h"
#include "replication/protocol/holdings.h"
#include "replication/protocol/inbox.h"
#include "replication/protocol/introductions.h"
#include "replication/protocol/jitter.h"
#include "replication/protocol/messages.h"
#include "replication/protocol/own_window.h"
#include "replication/protocol/peers.h"
#include "replication/protocol/quorum.h"
#include "replication/protocol/relay.h"
#include "replication/protocol/roots.h"
#include "replication/protocol/teachers.h"

namespace aimem::replication {

/// One member's part. Not thread-safe. `now` is a monotonic clock, `wall_ms` the wall clock.
class Member {
 public:
  explicit Member(MemberConfig config);
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  struct Now {
    absl::Duration monotonic;
    std::int64_t wall_ms = 0;
  };

  /// Begin, with what is durable here. Without history it is a learner until it has heard from each
  /// peer, or failed to, and holds what those held that it heard.
  void Start(const Now& now, const log::StoreState& state, Actions& actions);

  // -- What happens here --------------------------------------------------------------------------
  void OnDurable(const Now& now, const log::StoreState& state,
                 std::vector<log::DurableCommit> commits, Actions& actions);
  /// A caller waits until W voters hold all of `position`, which is durable here. An empty one is
  /// held by every voter that has been heard: nobody has written anything.
  void Await(const Now& now, std::uint64_t ticket, VersionVector position, absl::Duration deadline,
             Actions& actions);
  /// kFailedPrecondition: the clock is so far ahead that this member must not execute writes.
  [[nodiscard]] absl::Status CheckClock(const Now& now) const;

  // -- What peers say -----------------------------------------------------------------------------
  void OnAppendOutcome(const Now& now, std::size_t peer, std::uint64_t call, AppendOutcome outcome,
                       Actions& actions);
  /// Answered by Actions::replies with `call`, at once or after Applied.
  void OnAppendRequest(const Now& now, std::uint64_t call, const Caller& caller,
                       AppendRequest request, Actions& actions);
  /// kNone if a Fetch or a Digest with this header may be answered.
  Refusal CheckHeader(const Caller& caller, const Header& header, std::string* message) const {
    return CheckRequestHeader(config_, peers_, caller, header, message);
  }

  // -- What came of actions -----------------------------------------------------------------------
  void OnLogRead(const Now& now, std::size_t peer, absl::StatusOr<ChangePage> page,
                 Actions& actions);
  void OnApplied(const Now& now, std::uint64_t call, const ApplyResult& result, Actions& actions);
  /// Take out of `page` what nobody is given: what is visible here and, for all that is known, not
  /// durable; and heads of streams of which this member may give up its end, which whoever adopted
  /// it could not.
  void Withhold(ChangePage& page) const;
  /// The root that Actions::compute_root asked for, or none, and what it took.
  void OnRoot(const Now& now, std::optional<Root> root, absl::Duration took);
  /// Commits of another member are about to be applied that did not come by an Append.
  void Arriving(const std::vector<std::string>& commits);
  /// The fetch that Actions::fetch_from asked for is over; OK: all of it has been applied.
  void OnFetchEnded(const Now& now, const absl::Status& status, Actions& actions);
  /// Of Actions::forsake: where the store stands now, or why it goes on as before.
  void OnForsaken(const Now& now, const absl::StatusOr<log::StoreState>& state, Actions& actions);
  /// Of Actions::reconcile. OK: what the two hold of the stream is one history now.
  /// kFailedPrecondition: it cannot become one.
  void OnReconciled(const Now& now, const Actions::Reconcile& errand, const absl::Status& status,
                    Actions& actions);

  // -- Time ---------------------------------------------------------------------------------------
  void Tick(const Now& now, Actions& actions);
  /// When Tick has something to do.
  [[nodiscard]] absl::Duration NextTick() const;

  /// Answer everybody that waits, as pending: this member closes.
  void AnswerAll(const Now& now, Actions& actions);

  /// How this member introduces itself; `all`: with streams that are quiet, too.
  [[nodiscard]] Header MakeHeader(const Now& now, bool all = false);

  // -- What is known ------------------------------------------------------------------------------
  [[nodiscard]] const VersionVector& vector() const { return here_.vector(); }
  [[nodiscard]] bool started() const { return started_; }
  /// It neither counts nor executes: its data is being filled, or peers are known to hold what it
  /// has to hold first.
  [[nodiscard]] bool learner() const;
  /// kUnavailable says why writes have to wait: it is a learner; or it has just begun, and its
  /// peers may still tell it that its data went back; or it has not heard W - 1 others since it
  /// began, so that what it executes could not be acknowledged, and might undo what was.
  [[nodiscard]] absl::Status MayExecute() const;
  /// It has just begun, and each peer will have been heard or have failed before long.
  [[nodiscard]] bool Settling() const;
  /// It has no position of its own yet: nobody can learn from it.
  [[nodiscard]] bool filling() const {
    return here_.state().installing || (fetching_ && here_.vector().empty());
  }
  [[nodiscard]] QuorumReport Report(const VersionVector& position) const;
  [[nodiscard]] FederationInfo Info(const Now& now) const;
  /// What every peer is known to hold: nothing if one has never been heard.
  [[nodiscard]] VersionVector HeldByAll() const { return peers_.HeldByAll(here_.vector()); }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

 private:
  // -- sending.cc ---------------------------------------------------------------------------------
  void PumpAll(const Now& now, Actions& actions);
  void Pump(const Now& now, std::size_t index, Actions& actions);
  bool SendFromWindow(const Now& now, std::size_t index, const VersionVector& target,
                      Actions& actions);
  void ReadForPeer(std::size_t index, const VersionVector& target, Actions& actions);
  void OnRefusals(const Now& now, std::size_t index, const AppendReply& reply, Actions& actions);
  void Transmit(const Now& now, std::size_t index, AppendRequest request, Lane lane,
                Actions& actions);
  [[nodiscard]] VersionVector Target(const Peer& peer) const;

  // -- receiving.cc: what peers say of themselves, and send ---------------------------------------
  /// The header of a reply to the call that was sent when `asked` says. True: it is welcome.
  /// `refuses`: its speaker will not have us.
  bool OnReplyHeader(const Now& now, std::size_t index, const Header& header,
                     const std::string& identity, absl::Duration asked, bool refuses,
                     Actions& actions);
  void OnNewIncarnation(const Now& now, Peer& peer, const Header& header, const StreamHeads& heads,
                        Actions& actions);
  /// Nobody has proved that it is who it says it is: nothing that is said unasked moves a position.
  /// But what may be lost here is asked for first, and no stream is written of which there is more.
  void OnRequestHeader(const Now& now, const Header& header, Actions& actions);
  /// What a request says that its speaker holds of our streams and this member does not, as far as
  /// that is news.
  VersionVector MoreOfOurs(const Peer* peer, const Header& header) const;
  AppendReply MakeReply(const Now& now, bool all_heads);
  bool Admit(const Now& now, const InboundCall& inbound, AppendReply& reply, Actions& actions);
  /// From whoever is configured and named by `header`, if it is known to hold what is lacking here;
  /// from a learner only if nobody else is.
  void AskToFetch(const Now& now, const Header& header, Actions& actions);

  // -- positions.cc: what a head that a peer names is worth, and what to do if histories differ ---
  /// `heads`: all that `header` stands for.
  void TakePosition(const Now& now, std::size_t index, const Header& header, StreamHeads heads,
                    Actions& actions);
  void Judge(const Now& now, std::size_t index, std::uint64_t stream, const StreamHead& head,
             Actions& actions);
  void JudgeAgain(const Now& now, std::uint64_t stream, Actions& actions);
  /// Take over where the store stands; the streams of which it holds something else than before.
  std::vector<std::uint64_t> TakeState(const Now& now, const log::StoreState& state,
                                       const std::vector<log::DurableCommit>& commits,
                                       Actions& actions);
  void OnStreamBroken(const Now& now, std::uint64_t stream, Actions& actions);
  /// Whatever a peer holds when it is heard for the first time has to be learnt.
  [[nodiscard]] bool LearnsAll() const {
    return teachers_.learns_all() || (began_empty_ && local_streams_.empty());
  }
  void Forsake(const std::string& who, std::uint64_t stream, const StreamHead& claimed,
               const std::string& why, Actions& actions);
  void Differs(const Now& now, std::size_t index, std::uint64_t stream, const StreamHead& claimed,
               const std::string& why, Actions& actions);

  // -- member.cc ----------------------------------------------------------------------------------
  void AnswerCovered(const Now& now, Actions& actions);
  void Answer(const Now& now, const WaitingWrites::Waiter& waiter, bool committed,
              Actions& actions);

  const MemberConfig config_;
  std::uint64_t incarnation_;  // see Header
  bool started_ = false;
  std::uint64_t sequence_ = 0;  // of the last header
  Jitter jitter_;

  Holdings here_;
  Peers peers_;
  WaitingWrites waiting_;
  OwnWindow window_;
  Relay relay_;
  Inbox inbox_;
  Roots roots_;
  Differences differences_;
  Teachers teachers_;
  std::uint64_t next_call_ = 1;

  // Who has just begun.
  bool settling_ = false;
  absl::Duration settle_until_;
  bool began_empty_ = false;
  std::set<std::uint64_t> local_streams_;  // written by this member since it was opened

  bool fetching_ = false;
  absl::Duration fetch_again_at_;

  struct Forsaking {
    Actions::Forsake job;
    std::string why;  // said when it has happened
  };
  std::optional<Forsaking> forsaking_;                    // until the store has done so
  absl::Duration forsake_at_ = absl::InfiniteDuration();  // again, after it failed
  absl::Duration forsake_unasked_at_;                     // not before, for what a request says

  FederationInfo counters_;
};

}  // namespace aimem::replication
