// The protocol as a state machine: no I/O, no thread, no lock, no clock of its own.
//
// Inputs are what became durable here, callers that wait, messages, results of reads, the passing
// of time. Outputs are Actions, which whoever drives it carries out afterwards, in any order that
// keeps those of one kind in theirs. docs/architecture.md tells the rules in prose; spec of the
// wire is replication/proto/replication.proto.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
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
#include "replication/protocol/actions.h"
#include "replication/protocol/calls.h"
#include "replication/protocol/config.h"
#include "replication/protocol/known_commits.h"
#include "replication/protocol/messages.h"
#include "replication/protocol/quiet.h"
#include "replication/protocol/quorum.h"
#include "replication/protocol/timing.h"

namespace aimem::replication {

/// One member's part. Not thread-safe. `now` is a monotonic clock, `wall_ms` the wall clock.
class Member {
 public:
  explicit Member(MemberConfig config);

  struct Now {
    absl::Duration monotonic;
    std::int64_t wall_ms = 0;
  };

  /// Begin, with what is durable here. Without history it is a learner until it has heard from each
  /// peer, or failed to, and holds what those held that it heard.
  void Start(const Now& now, const StoreState& state, Actions& actions);

  // -- What happens here --------------------------------------------------------------------------
  void OnDurable(const Now& now, const StoreState& state, std::vector<DurableCommit> commits,
                 Actions& actions);
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
  Refusal CheckHeader(const Caller& caller, const Header& header, std::string* message);

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
  void OnForsaken(const Now& now, const absl::StatusOr<StoreState>& state, Actions& actions);
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
  [[nodiscard]] const VersionVector& vector() const { return vector_; }
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
  [[nodiscard]] bool filling() const { return state_.installing || (fetching_ && vector_.empty()); }
  [[nodiscard]] QuorumReport Report(const VersionVector& position) const;
  [[nodiscard]] FederationInfo Info(const Now& now) const;
  /// What every peer is known to hold: nothing if one has never been heard.
  [[nodiscard]] VersionVector HeldByAll() const;
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

 private:
  struct Call {
    bool with_commits = false;
    bool straggler = false;  // somebody who waited for it has been answered
    VersionVector upto;      // what the peer holds if it takes all of it
    std::int64_t bytes = 0;
    std::int64_t commits = 0;
    absl::Duration sent;
    bool catch_up = false;
  };
  struct Peer {
    std::string address;
    std::optional<Id128> member;  // whom the address presents now
    std::string identity;         // the verified name that presented it
    std::uint64_t incarnation = 0;
    std::uint64_t sequence = 0;  // of the last header that counted
    bool own_id = false;         // the address leads back to this member
    bool learner = false;
    bool tried = false;  // it was heard, or a call to it failed
    PeerState state = PeerState::kAway;
    absl::Duration state_since;
    bool excused = false;                // it is not waited for any longer to learn from
    VersionVector owed;                  // Owed, when it last changed,
    absl::Duration owed_since;           // which was then
    StreamHeads heads;                   // as last heard
    bool all_heads = true;               // it is asked for all, and told all
    VersionVector durable;               // their vector: decides what it is sent
    VersionVector confirmed;             // what counts: commits of which it named the hash
    StreamHeads ahead;                   // heads of it after ours, to be compared when we are there
    std::vector<std::uint64_t> yielded;  // Header::yielded
    VersionVector sent;                  // durable, and what is in flight
    std::map<std::uint64_t, Call> calls;
    std::int64_t bytes_in_flight = 0;
    bool reading = false;            // a ReadLog is out
    bool behind_window = false;      // fed from the log
    bool fetching = false;           // it was told to fetch
    std::set<std::uint64_t> forked;  // streams of which it holds another history
    std::set<std::uint64_t> told;    // of these, those that it has refused: it knows
    std::set<std::uint64_t> apart;   // of these, those that cannot become one
    std::size_t page_bytes = 64u << 10;
    absl::Duration retry_at;  // away: no call before
    absl::Duration backoff;
    absl::Duration pause_until;  // it took nothing: no commits before
    absl::Duration pause;
    VersionVector to_learn;  // what it held when this member, without history, first heard it
    bool other_end = false;  // in this life it holds, or held, another end of a stream of ours,
    bool gave_way = false;   // and in this one it may have given it up: it stands in what it holds
    VersionVector given_up;  // of Bugs::abort_at_quorum
    std::set<std::uint64_t> strange;  // streams that its calls brought and no reply named
    absl::Duration incarnation_since;
    std::optional<VersionVector> diverged_at;
    absl::Duration next_heartbeat;
    std::optional<absl::Duration> last_reply;
    std::int64_t clock_offset_ms = 0;
    std::string last_reason = "not_connected";
    std::string last_error;
    std::optional<Root> root;
    // Counters, as PeerInfo has them.
    std::int64_t commits_sent = 0;
    std::map<std::string, std::int64_t> ended, rejects, pending;
  };
  struct Unproved {  // what a member holds, as it says itself
    VersionVector vector;
    absl::Duration since;
    bool over = false;        // it was proved, or waited for long enough:
    absl::Duration again_at;  // nothing that it says is waited for before
  };
  struct Inbound {  // a call that waits for what precedes it, or for its Apply
    AppendRequest request;
    std::string caller;  // CallerKey
    absl::Duration since;
    std::size_t bytes = 0;
    std::size_t parked = 0;  // bytes counted in parked_bytes_
    bool applying = false;
    VersionVector upto;
  };
  struct Recent {  // own commits, contiguous, of one stream
    std::uint64_t stream = 0;
    std::uint64_t first = 0;  // seq of the front
    std::deque<std::shared_ptr<const std::string>> commits;
    std::deque<absl::Duration> since;
    std::int64_t bytes = 0;

    [[nodiscard]] bool Holds(std::uint64_t seq) const {
      return seq >= first && seq < first + commits.size();
    }
  };

  // Sending.
  void PumpAll(const Now& now, Actions& actions);
  void Pump(const Now& now, std::size_t index, Actions& actions);
  bool SendFromWindow(const Now& now, std::size_t index, const VersionVector& target,
                      Actions& actions);
  void ReadForPeer(std::size_t index, const VersionVector& target, Actions& actions);
  void OnRefusals(const Now& now, std::size_t index, const AppendReply& reply, Actions& actions);
  void PausePeer(const Now& now, Peer& peer);
  absl::Duration Jitter(absl::Duration around);
  void Transmit(const Now& now, std::size_t index, AppendRequest request, Lane lane,
                Actions& actions);
  void Heartbeat(const Now& now, std::size_t index, Actions& actions);
  static void SetState(const Now& now, Peer& peer, PeerState state);
  static void SetError(Peer& peer, std::string error);
  [[nodiscard]] VersionVector Target(const Peer& peer) const;
  void ForgetSent(Peer& peer);
  void Remember(const Now& now, std::vector<DurableCommit> commits);
  void FailPeer(const Now& now, Peer& peer, CallError error, const std::string& message,
                Actions& actions);

  // What peers say of themselves.
  /// The header of a reply to the call that was sent when `asked` says. True: it is welcome.
  /// `refuses`: its speaker will not have us.
  bool OnReplyHeader(const Now& now, std::size_t index, const Header& header,
                     const std::string& identity, absl::Duration asked, bool refuses,
                     Actions& actions);
  /// Empty, or why a peer with such a header is not spoken to; fills `reason`.
  std::string WhyDenied(const Peer& peer, const Header& header, const std::string& identity,
                        std::string& reason) const;
  void OnNewIncarnation(const Now& now, Peer& peer, const Header& header, const StreamHeads& heads,
                        Actions& actions);
  void CompareRoots(std::size_t index, const std::optional<Root>& root, Actions& actions);
  Peer* PeerOf(const Id128& member);
  /// Nobody has proved that it is who it says it is: nothing that is said unasked moves a position.
  /// But what may be lost here is asked for first, and no stream is written of which there is more.
  void OnRequestHeader(const Now& now, const Header& header, Actions& actions);
  /// `more`: what it says that it holds of our streams and we do not.
  void KeepUnproved(const Now& now, const Header& header, const VersionVector& more);
  /// True: whoever says this may be one of those that are configured.
  [[nodiscard]] bool MayBePeer(const Header& header) const;
  /// What a request says that its speaker holds of our streams and this member does not, as far as
  /// that is news.
  VersionVector MoreOfOurs(const Peer* peer, const Header& header) const;
  AppendReply MakeReply(const Now& now, bool all_heads);
  /// True: it brings more of the stream that we write than we hold, or any peer has said it has.
  [[nodiscard]] bool AheadOfUs(const Inbound& inbound) const;
  bool Admit(const Now& now, const Inbound& inbound, AppendReply& reply, Actions& actions);
  /// From whoever is configured and named by `header`, if it is known to hold what is lacking here;
  /// from a learner only if nobody else is.
  void AskToFetch(const Now& now, const Header& header, Actions& actions);
  /// Streams that are new here are bounded: nobody may make our headers too large to be read.
  bool AdmitStreams(const Inbound& inbound, AppendReply& reply);
  void TakeReady(Actions& actions);
  void DropParked(const Now& now, Actions& actions);

  // Positions: what a head that a peer names is worth, and what to do if histories differ.
  void BeginLife(Peer& peer);
  /// `heads`: all that `header` stands for.
  void TakePosition(const Now& now, std::size_t index, const Header& header, StreamHeads heads,
                    Actions& actions);
  void Judge(const Now& now, std::size_t index, std::uint64_t stream, const StreamHead& head,
             Actions& actions);
  void JudgeAgain(const Now& now, std::uint64_t stream, Actions& actions);
  /// The hash of our commit, if it is known.
  [[nodiscard]] std::optional<Hash256> HashAt(std::uint64_t stream, std::uint64_t seq) const;
  /// Take over where the store stands; the streams of which it holds something else than before.
  std::vector<std::uint64_t> TakeState(const Now& now, const StoreState& state,
                                       const std::vector<DurableCommit>& commits, Actions& actions);
  /// The streams of which `state` need not hold what was held until now.
  [[nodiscard]] std::vector<std::uint64_t> BrokenBy(
      const StoreState& state, const std::vector<DurableCommit>& commits) const;
  void OnStreamBroken(const Now& now, std::uint64_t stream, Actions& actions);
  /// Others hold more of a stream of ours, or something else: our data went back to an earlier
  /// state. Of all that any peer holds some may have been ours, in streams of which nothing is
  /// known here any more.
  void LearnAll();
  /// Whatever a peer holds when it is heard for the first time has to be learnt.
  [[nodiscard]] bool LearnsAll() const {
    return learns_all_ || (began_empty_ && local_streams_.empty());
  }
  [[nodiscard]] bool Own(std::uint64_t stream) const;
  /// Others hold another end of this stream of ours, or more of it, and it is not decided yet.
  [[nodiscard]] bool MayBeGivenUp(std::uint64_t stream) const;
  void Forsake(const std::string& who, std::uint64_t stream, const StreamHead& claimed,
               const std::string& why, Actions& actions);
  void Differs(const Now& now, std::size_t index, std::uint64_t stream, const StreamHead& claimed,
               const std::string& why, Actions& actions);
  /// Queue the errand, if it is for this member to give way.
  /// True: this member gives up its history of `stream` for the one that `peer` holds.
  [[nodiscard]] bool Yields(const Peer& peer, std::uint64_t stream) const;
  void GiveWay(std::size_t index, std::uint64_t stream);
  void NextReconcile(const Now& now, Actions& actions);
  /// Peers that were heard since this member began.
  [[nodiscard]] int CountHeard() const;
  /// This member must not execute before it holds what this peer holds.
  [[nodiscard]] bool Owes(const Peer& peer) const { return !Owed(peer).empty(); }
  /// Where this member stands with each stream that it has to learn from this peer.
  [[nodiscard]] VersionVector Owed(const Peer& peer) const;
  /// What came could not be taken, for what is wrong here: no teacher is late for that.
  void NotTakenHere(const Now& now);
  /// Do so for long without progress, and it is named in the log, and excused if its history is
  /// another one.
  void ExcuseIfStuck(const Now& now, Peer& peer, Actions& actions);
  /// It has been reached, and is known to be who it says it is.
  static bool Connected(const Peer& peer) {
    return peer.state != PeerState::kAway && peer.state != PeerState::kDenied;
  }
  void ExcuseTeachers(const Now& now, Actions& actions);
  [[nodiscard]] absl::Duration NextRepair() const;

  // Time.
  void AdvanceRelay(const Now& now);
  [[nodiscard]] absl::Duration RootDueAt() const;

  // Answering.
  void AnswerCovered(const Now& now, Actions& actions);
  void Answer(const Now& now, const WaitingWrites::Waiter& waiter, bool committed,
              Actions& actions);
  [[nodiscard]] bool Voter(const Peer& peer, std::size_t index) const;
  [[nodiscard]] std::vector<const VersionVector*> VoterVectors() const;
  [[nodiscard]] std::string ReasonOf(const Peer& peer, const VersionVector& position) const;

  const MemberConfig config_;
  std::uint64_t incarnation_;  // see Header
  StoreState state_;
  VersionVector vector_;  // of its heads
  KnownCommits known_;
  QuietStreams quiet_;
  bool started_ = false;
  std::uint64_t hlc_ = 0;
  std::uint64_t sequence_ = 0;  // of the last header

  bool settling_ = false;  // it has just begun
  absl::Duration settle_until_;
  bool began_empty_ = false;
  std::set<std::uint64_t> local_streams_;  // written by this member since it was opened
  bool learns_all_ = false;                // see LearnAll

  struct Forsaking {
    Actions::Forsake job;
    std::string why;  // said when it has happened
  };
  std::optional<Forsaking> forsaking_;                    // until the store has done so
  absl::Duration forsake_at_ = absl::InfiniteDuration();  // again, after it failed
  absl::Duration forsake_unasked_at_;                     // not before, for what a request says
  /// Of those who said so unasked and have not been heard in a reply since.
  std::map<Id128, Unproved> unproved_;
  std::deque<std::pair<std::size_t, std::uint64_t>> to_reconcile_;    // peer and stream
  std::optional<std::pair<std::size_t, std::uint64_t>> reconciling_;  // under way
  /// Streams of others of which commits came that do not follow what is here.
  std::set<std::uint64_t> refused_;
  absl::Duration reconcile_at_;  // not before

  std::vector<Peer> peers_;
  Recent recent_;
  WaitingWrites waiting_;
  std::uint64_t next_call_ = 1;

  // Relay: commits of others go to a peer only if it still lacks them some time later.
  std::deque<std::pair<absl::Duration, VersionVector>> past_;  // vectors of the last seconds
  VersionVector relay_;                                        // the vector as of kRelayDelay ago

  std::map<std::uint64_t, Inbound> inbound_;
  std::size_t parked_bytes_ = 0;
  std::set<std::uint64_t> strange_;  // Peer::strange of all that are no peers of ours
  VersionVector arriving_;           // vector_, and what is being applied
  std::string catch_up_from_;        // SenderKey of whose turn it is to send in bulk
  absl::Duration catch_up_until_;
  std::uint64_t dice_ = 0;  // for jitter
  bool fetching_ = false;
  absl::Duration fetch_again_at_;
  bool page_came_ = false;  // of a fetch, since teachers were looked at

  std::optional<Root> root_;
  bool computing_root_ = false;
  absl::Duration changed_at_;
  absl::Duration root_not_before_;

  FederationInfo counters_;
};

}  // namespace aimem::replication
