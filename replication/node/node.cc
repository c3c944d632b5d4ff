#include "replication/node/node.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/callback.h"
#include "lib/base/invariant.h"
#include "lib/base/rendezvous.h"
#include "lib/base/status.h"
#include "lib/base/trouble.h"
#include "replication/protocol/quorum.h"
#include "replication/protocol/timing.h"

namespace aimem::replication {
namespace {

constexpr ReadChangesLimit kFetchPage{.bytes = 1u << 20, .items = 10'000};
WriteResult Refuse(absl::Status status) {
  WriteResult result;
  result.outcome = WriteOutcome::kRejected;
  result.status = std::move(status);
  return result;
}

}  // namespace

/// What the local store answers to a write goes through this, once. A write that the store drops,
/// since something threw, is answered too: nobody waits for it, or counts it, for ever.
class Node::StoreAnswer {
 public:
  StoreAnswer(Node* node, const WriteOptions& options, absl::Duration deadline, WriteCallback done)
      : node_(node),
        lazy_(options.lazy),
        operation_(options.operation.value_or(OperationId())),
        deadline_(deadline),
        done_(std::move(done)) {}
  StoreAnswer(StoreAnswer&& other) noexcept
      : node_(std::exchange(other.node_, nullptr)),
        lazy_(other.lazy_),
        operation_(other.operation_),
        deadline_(other.deadline_),
        done_(std::move(other.done_)) {}
  StoreAnswer& operator=(StoreAnswer&&) = delete;
  ~StoreAnswer() {
    if (node_ == nullptr) return;
    const Node* const node = node_;
    WriteResult dropped;
    dropped.operation = operation_;
    dropped.outcome = WriteOutcome::kUnknown;
    dropped.status = absl::UnknownError(
        "the store was interrupted while it took this write: ask what became of it");
    node->LogThrown(Contain([&] { std::move (*this)(std::move(dropped)); }));
  }

  void operator()(WriteResult result) && {
    Node* const node = std::exchange(node_, nullptr);
    // A lazy one waited for company first.
    const absl::Duration deadline =
        lazy_ ? node->clock_.Monotonic() + node->options_.quorum_timeout : deadline_;
    node->OnWritten(std::move(result), deadline, !lazy_, std::move(done_));
  }

 private:
  Node* node_;
  bool lazy_;
  OperationId operation_;
  absl::Duration deadline_;
  WriteCallback done_;
};

WorkInProgress::Token Node::Effects::TakeWork() {
  WorkInProgress::Token token = std::move(work.back());
  work.pop_back();
  return token;
}

// -- Opening and closing --------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<Node>> Node::Open(std::unique_ptr<Backend> backend,
                                                 const StoreOptions& store,
                                                 const ReplicationOptions& options,
                                                 const MemberTweaks& tweaks) {
  MemberConfig config{.options = options, .tweaks = tweaks};
  AIMEM_ASSIGN_OR_RETURN(config.needed,
                         ChooseQuorum(options.quorum, static_cast<int>(options.peers.size()) + 1));
  std::unique_ptr<Node> node(new Node(store, config));
  store::Hooks hooks;
  hooks.listener = node.get();
  hooks.quorum = config.needed;
  hooks.held_by_all = [raw = node.get()] { return raw->HeldByAll(); };
  hooks.more_until = [raw = node.get()] { return raw->MoreUntil(); };
  hooks.may_execute = [raw = node.get()] { return raw->MayExecute(); };
  AIMEM_ASSIGN_OR_RETURN(node->store_,
                         store::OpenMemberStore(std::move(backend), store, std::move(hooks)));
  AIMEM_ASSIGN_OR_RETURN(const StoreInfo info, node->store_->Info());
  AIMEM_INVARIANT(info.member != Id128(), "the store of a member has a member id");
  config.member = info.member;
  std::array<std::uint8_t, 8> bytes{};
  node->random_.Fill(bytes);
  for (const std::uint8_t byte : bytes) config.incarnation = config.incarnation << 8 | byte;
  MutexLock lock(node->mutex_);
  node->config_ = std::move(config);
  return node;
}

Node::Node(const StoreOptions& store, const MemberConfig& config)
    : Driver(store.environment, config.options.peers),
      options_(config.options),
      needed_(config.needed),
      awaits_nothing_(config.tweaks.bugs.await_nothing),
      random_(store.environment.random ? *store.environment.random : SystemRandom()),
      filler_(*this),
      reconciler_(*this),
      root_checker_(*this),
      intake_(config.options.waiting_max) {}

Node::~Node() {
  if (absl::Status status = Close(); !status.ok()) {
    Log(LogLevel::kError, absl::StrCat("closing the store: ", status.message()));
  }
  // Where it did not close in its grace, what it still does calls this.
  store_.reset();
}

absl::Status Node::Start(Transport* transport, const std::string& address) {
  std::optional<WorkInProgress::Token> work;
  {
    MutexLock lock(mutex_);
    if (member_ != nullptr) return absl::FailedPreconditionError("the member was started before");
    transport_ = transport;
    config_.address = address;
    member_ = std::make_unique<Member>(config_);
    work.emplace(work_);
  }
  // What is visible need not be durable: nobody is told of it before it is.
  Refresh(*std::move(work));
  return absl::OkStatus();
}

absl::Status Node::Close() {
  const absl::Duration end = clock_.Monotonic() + options_.shutdown_grace;
  bool closed = false;
  {
    MutexLock lock(mutex_);
    if (closing_) {
      while (!closed_) idle_.Wait(mutex_);
    }
    closed = std::exchange(closing_, true);
  }
  // Perhaps the store had readers the first time.
  if (closed) return store_ == nullptr ? absl::OkStatus() : store_->Close();
  LetThrough();
  HandleEvent([](Member&, const Member::Now&, Actions&) {});
  {
    MutexLock lock(mutex_);
    AwaitCallers(end);
  }
  // What waited for company is written and sent now, what peers sent is applied and answered.
  absl::Status status = store_ == nullptr ? absl::OkStatus() : store_->Close();
  std::map<std::uint64_t, Replies::Callback> parked;
  {
    MutexLock lock(mutex_);
    AwaitCallers(end);
    draining_ = true;
    parked = replies_.TakeAll();
  }
  parked.clear();  // ends these calls: what they wait for does not come any more
  if (transport_ != nullptr) {
    transport_->Shutdown(std::max(absl::ZeroDuration(), end - clock_.Monotonic()));
  }
  HandleEvent([&](Member& member, const Member::Now& now, Actions& actions) {
    member.AnswerAll(now, actions);
  });
  work_.Await();
  {
    MutexLock lock(mutex_);
    while (!answers_.AllTold()) idle_.Wait(mutex_);
    closed_ = true;
    idle_.NotifyAll();
  }
  // What the store told meanwhile, if it did not close in its time; from here on nothing is begun.
  work_.Await();
  return status;
}

void Node::AwaitCallers(absl::Duration end) {
  // They are answered by the peers, or by their deadlines.
  while (!intake_.Idle() || answers_.waiting() > 0 || !answers_.AllTold()) {
    const absl::Duration left = end - clock_.Monotonic();
    if (left <= absl::ZeroDuration()) return;
    idle_.WaitFor(mutex_, left);
  }
}

VersionVector Node::HeldByAll() {
  MutexLock lock(mutex_);
  return member_ == nullptr ? VersionVector() : member_->HeldByAll();
}

// -- Events ---------------------------------------------------------------------------------------

void Node::HandleEvent(Event event) {
  Effects effects;
  {
    MutexLock lock(mutex_);
    // The transport is gone when this member is closed.
    if (member_ == nullptr || closed_) return;
    event(*member_, Now(), effects.actions);
    CollectEffects(effects);
  }
  PerformEffects(std::move(effects));
}

Header Node::MakeHeader() {
  MutexLock lock(mutex_);
  return member_->MakeHeader(Now());
}

void Node::CollectEffects(Effects& effects) {
  Actions& actions = effects.actions;
  // Whoever closes need not be told that the others are out of reach now.
  if (closing_) {
    std::erase_if(actions.lines,
                  [](const Actions::Line& line) { return line.level == LogLevel::kWarning; });
  }
  answers_.Decide(actions.answers);
  for (Actions::Reply& reply : actions.replies) {
    Replies::Callback waiting = replies_.Take(reply.call);
    if (waiting) effects.replies.emplace_back(std::move(waiting), std::move(reply.reply));
  }
  const std::size_t work = actions.applies.size() + actions.reads.size() +
                           (actions.fetch_from ? 1 : 0) + (actions.compute_root ? 1 : 0) +
                           (actions.compare_with ? 1 : 0) + (actions.forsake ? 1 : 0) +
                           (actions.reconcile ? 1 : 0);
  effects.work.reserve(work);
  for (std::size_t i = 0; i < work; ++i) effects.work.emplace_back(work_);
  const Member::Now now = Now();
  if (!actions.answers.empty()) {
    intake_.Answered(now.monotonic, static_cast<std::int64_t>(actions.answers.size()));
    effects.let_through = true;
  }
  if (intake_.AnyEarly()) {
    // Whoever was not heard then is heard now.
    const Intake::Ready ready{
        .may_execute = member_->MayExecute(),
        .clock = member_->CheckClock(now),
        .refuse_others = (closing_ && !member_->Settling()) || draining_,
    };
    effects.let_through |= intake_.Reconsider(now.monotonic, ready, effects.refused);
  }
  effects.timer = NextTimer();
}

std::optional<absl::Duration> Node::NextTimer() {
  const absl::Duration next =
      std::min({member_->NextTick(), intake_.NextTimer(answers_.waiting()), refresh_at_});
  if (next >= timer_ || closed_) return std::nullopt;
  timer_ = next;
  return next;
}

void Node::SetTimer() {
  std::optional<absl::Duration> timer;
  {
    MutexLock lock(mutex_);
    timer = NextTimer();
  }
  if (timer) transport_->SetTimer(*timer);
}

void Node::PerformEffects(Effects effects) {
  Actions& actions = effects.actions;
  // Before any write that may come after the events which told it.
  if (actions.forsake) reconciler_.Forsake(*actions.forsake, effects.TakeWork());
  for (Actions::Send& send : actions.sends) {
    transport_->Append(AddressOf(send.peer), send.lane, std::move(send.request), send.timeout,
                       [this, peer = send.peer, call = send.call](AppendOutcome outcome) {
                         HandleEvent([&](Member& member, const Member::Now& now, Actions& then) {
                           member.OnAppendOutcome(now, peer, call, std::move(outcome), then);
                         });
                       });
  }
  for (Actions::Apply& apply : actions.applies) {
    store_->ApplyEach(std::move(apply.page), [this, call = apply.call, work = effects.TakeWork()](
                                                 const ApplyResult& result) {
      if (!result.status.ok()) RefreshSoon();
      HandleEvent([&](Member& member, const Member::Now& now, Actions& then) {
        member.OnApplied(now, call, result, then);
      });
    });
  }
  for (auto& [reply, value] : effects.replies) std::move(reply)(std::move(value));
  for (auto& [write, status] : effects.refused) {
    OnWritten(Refuse(std::move(status)), write.deadline, true, std::move(write.done));
  }
  if (!actions.answers.empty()) AnswerCallers();
  if (effects.let_through) LetThrough();
  PostWork(effects);
  for (const Actions::Line& line : actions.lines) Log(line.level, line.text);
  if (effects.timer) transport_->SetTimer(*effects.timer);
}

void Node::PostWork(Effects& effects) {
  Actions& actions = effects.actions;
  using Kind = Transport::Kind;
  for (Actions::ReadLog& read : actions.reads) {
    transport_->Post(
        Kind::kRead, [this, read = std::move(read), work = effects.TakeWork()]() mutable {
          absl::StatusOr<ChangePage> page = store_->ReadChanges(read.cursor, read.limit);
          HandleEvent([&](Member& member, const Member::Now& now, Actions& then) {
            member.OnLogRead(now, read.peer, std::move(page), then);
          });
        });
  }
  if (actions.compute_root) {
    transport_->Post(Kind::kScan,
                     [this, work = effects.TakeWork()] { root_checker_.ComputeRoot(); });
  }
  if (actions.compare_with) {
    transport_->Post(Kind::kScan,
                     [this, peer = *actions.compare_with, work = effects.TakeWork()]() mutable {
                       root_checker_.CompareWith(peer, std::move(work));
                     });
  }
  if (actions.fetch_from) {
    transport_->Post(Kind::kRead,
                     [this, peer = *actions.fetch_from, work = effects.TakeWork()]() mutable {
                       filler_.Fill(peer, std::move(work));
                     });
  }
  if (actions.reconcile) {
    transport_->Post(Kind::kRead, [this, errand = *std::move(actions.reconcile),
                                   work = effects.TakeWork()]() mutable {
      reconciler_.Reconcile(std::move(errand), std::move(work));
    });
  }
}

void Node::RefreshSoon() {
  {
    MutexLock lock(mutex_);
    if (member_ == nullptr || closing_) return;
    refresh_at_ = std::min(refresh_at_, clock_.Monotonic() + kRefresh);
  }
  SetTimer();
}

void Node::Refresh(WorkInProgress::Token work) {
  store_->Refresh([this, work = std::move(work)](const absl::StatusOr<log::StoreState>& state) {
    if (state.ok()) {
      HandleEvent([&](Member& member, const Member::Now& now, Actions& actions) {
        if (!member.started()) member.Start(now, *state, actions);
      });
      return;
    }
    bool expected = false;
    {
      MutexLock lock(mutex_);
      expected = !member_->started() && !closing_;
    }
    const std::string text(ToStd(state.status().message()));
    if (expected && not_begun_.Says(text)) {
      Log(LogLevel::kError,
          "this member neither counts nor writes yet, since what its data says may not be "
          "durable: " +
              text);
    }
    // What is damaged does not come back while it is open.
    if (TroubleOf(state.status()) != Trouble::kDamaged) RefreshSoon();
  });
}

void Node::OnTimer() {
  std::optional<WorkInProgress::Token> refresh;
  {
    MutexLock lock(mutex_);
    timer_ = absl::InfiniteDuration();
    if (refresh_at_ <= clock_.Monotonic() && !closing_) {
      refresh_at_ = absl::InfiniteDuration();
      refresh.emplace(work_);
    }
  }
  if (refresh) Refresh(*std::move(refresh));
  HandleEvent(
      [](Member& member, const Member::Now& now, Actions& actions) { member.Tick(now, actions); });
  LetThrough();
}

void Node::OnDurable(const log::StoreState& state, std::vector<log::DurableCommit> commits) {
  HandleEvent([&](Member& member, const Member::Now& now, Actions& actions) {
    member.OnDurable(now, state, std::move(commits), actions);
  });
}

// -- Store: change --------------------------------------------------------------------------------

void Node::WriteAsync(WriteBatch batch, const WriteOptions& options, WriteCallback done) {
  const absl::Duration timeout = options.ack_timeout.value_or(options_.quorum_timeout);
  PendingWrite write{std::move(batch), options, std::move(done), clock_.Monotonic() + timeout};
  bool waits = false;
  absl::Status status = Admit(options.lazy);
  if (status.ok()) status = Hold(write, waits);
  if (!status.ok()) return std::move(write.done)(Refuse(std::move(status)));
  if (!waits) return WriteLocally(std::move(write));
  LetThrough();
  SetTimer();
}

absl::Status Node::Hold(PendingWrite& write, bool& waits) {
  MutexLock lock(mutex_);
  // Whoever waits for company in the store anyway, or for no other member, does not wait here.
  waits = !write.options.lazy && needed_ > 1;
  const absl::Status may = write.options.lazy ? absl::OkStatus() : member_->MayExecute();
  if (!may.ok()) {
    waits = true;
    absl::Status full = intake_.WaitToExecute(write, may);
    if (!full.ok()) intake_.Uncount();
    if (!full.ok() && closing_) idle_.NotifyAll();
    return full;
  }
  if (waits) intake_.WaitForCompany(clock_.Monotonic(), std::move(write));
  return absl::OkStatus();
}

void Node::WriteLocally(PendingWrite write) {
  LogThrown(Contain([&] {
    store_->WriteAsync(std::move(write.batch), write.options,
                       StoreAnswer(this, write.options, write.deadline, std::move(write.done)));
  }));
}

void Node::LetThrough(bool wanted) {
  while (true) {
    std::deque<PendingWrite> group;
    {
      MutexLock lock(mutex_);
      const absl::Duration now = clock_.Monotonic();
      const std::int64_t callers = answers_.waiting();
      if (!intake_.MayLetThrough(now, callers, wanted || closing_)) return;
      if (member_->MayExecute().ok()) {
        group = intake_.LetThrough(now, callers);
      } else {
        intake_.TurnBack(now, callers);  // it was no learner when they came
      }
    }
    if (group.empty()) return SetTimer();
    for (PendingWrite& write : group) WriteLocally(std::move(write));
    MutexLock lock(mutex_);
    intake_.EndLettingThrough();
  }
}

absl::Duration Node::MoreUntil() {
  LetThrough(/*wanted=*/true);
  MutexLock lock(mutex_);
  return intake_.JoinsUntil();
}

absl::Status Node::MayExecute() {
  MutexLock lock(mutex_);
  return member_ != nullptr ? member_->MayExecute() : absl::OkStatus();
}

absl::Status Node::Admit(bool lazy) {
  MutexLock lock(mutex_);
  if (closing_) return absl::UnavailableError("the store is closed");
  if (member_ == nullptr) return absl::UnavailableError("the member has not been started: retry");
  AIMEM_RETURN_IF_ERROR(intake_.CheckRoom(answers_.waiting()));
  AIMEM_RETURN_IF_ERROR(member_->CheckClock(Now()));
  // A use that is only counted is not worth waiting for.
  if (lazy) AIMEM_RETURN_IF_ERROR(member_->MayExecute());
  // The store bounds those that wait for company, and closing does not wait for them.
  if (!lazy) intake_.Count();
  return absl::OkStatus();
}

void Node::OnWritten(WriteResult result, absl::Duration deadline, bool counted,
                     WriteCallback done) {
  if (result.outcome == WriteOutcome::kUnknown) RefreshSoon();
  if (result.outcome != WriteOutcome::kCommitted) {
    {
      MutexLock lock(mutex_);
      if (counted) intake_.Uncount();
      if (closing_) idle_.NotifyAll();
    }
    return std::move(done)(std::move(result));
  }
  VersionVector position = result.rests_on;
  if (awaits_nothing_ && result.seq == 0) position.clear();
  AwaitQuorum(std::move(position), deadline, counted,
              [result = std::move(result), done = std::move(done)](bool committed,
                                                                   QuorumReport report) mutable {
                if (!committed) {
                  result.outcome = WriteOutcome::kPending;
                  result.status = absl::DeadlineExceededError(absl::StrFormat(
                      "durable here, and on %d of the %d members that it needs; delivery goes on",
                      report.got(), report.needed));
                }
                result.quorum = std::move(report);
                std::move(done)(std::move(result));
              });
}

void Node::AwaitQuorum(VersionVector position, absl::Duration deadline, bool counted,
                       Answers::Callback answered) {
  Effects effects;
  {
    MutexLock lock(mutex_);
    if (counted) intake_.Uncount();
    const std::uint64_t ticket = answers_.Add(std::move(answered));
    const Member::Now now = Now();
    member_->Await(now, ticket, std::move(position), draining_ ? now.monotonic : deadline,
                   effects.actions);
    CollectEffects(effects);
  }
  PerformEffects(std::move(effects));
}

void Node::AnswerCallers() {
  while (true) {
    std::deque<Answers::Decided> group;
    {
      MutexLock lock(mutex_);
      group = answers_.BeginTelling();
    }
    if (group.empty()) return;
    for (Answers::Decided& decided : group) {
      LogThrown(Contain([&] {
        std::move(decided.callback)(decided.answer.committed, std::move(decided.answer.report));
      }));
    }
    MutexLock lock(mutex_);
    answers_.EndTelling();
    if (closing_) idle_.NotifyAll();
  }
}

// -- Store: find, look after ----------------------------------------------------------------------

absl::StatusOr<SearchResult> Node::Search(const SearchRequest& request) {
  SearchRequest asked = request;
  asked.touch = request.touch && MayTouch();
  return store_->Search(asked);
}

bool Node::MayTouch() {
  const absl::Status admitted = Admit(/*lazy=*/true);
  bool told = false;
  {
    MutexLock lock(mutex_);
    told = std::exchange(touches_refused_, !admitted.ok());
  }
  if (!admitted.ok() && !told) {
    Log(LogLevel::kWarning, absl::StrCat("uses are not counted now: ", admitted.message()));
  }
  return admitted.ok();
}

absl::StatusOr<OperationInfo> Node::GetOperation(OperationId operation, absl::Duration wait) {
  AIMEM_ASSIGN_OR_RETURN(OperationInfo info, store_->GetOperation(operation, wait));
  if (info.outcome != WriteOutcome::kCommitted) return info;
  struct Verdict {
    bool committed = false;
    QuorumReport report;
  };
  {
    MutexLock lock(mutex_);
    if (member_ == nullptr) return absl::UnavailableError("the member has not been started: retry");
    const std::int64_t waiting = answers_.waiting();
    if (wait > absl::ZeroDuration() && waiting >= options_.waiting_max) {
      return absl::ResourceExhaustedError(absl::StrFormat(
          "%d callers wait already (limit %d): retry later", waiting, options_.waiting_max));
    }
  }
  Rendezvous<Verdict> verdict;
  AwaitQuorum(info.rests_on, clock_.Monotonic() + wait, false,
              [verdict](bool committed, QuorumReport report) mutable {
                verdict.Put({committed, std::move(report)});
              });
  Verdict found = verdict.Take();
  if (found.committed) {
    // A history may have been given up while it was waited for.
    AIMEM_ASSIGN_OR_RETURN(const OperationInfo now, store_->GetOperation(operation, wait));
    found.committed = now.rests_on == info.rests_on;
  }
  // Of what is still under way, or broke off, nobody may say that it is done.
  if (!found.committed || info.incomplete) info.outcome = WriteOutcome::kPending;
  info.quorum = std::move(found.report);
  return info;
}

absl::StatusOr<StoreInfo> Node::Info(const InfoOptions& options) {
  AIMEM_ASSIGN_OR_RETURN(StoreInfo info, store_->Info(options));
  MutexLock lock(mutex_);
  if (!options.data) info.member = config_.member;
  if (member_ == nullptr) return info;
  info.federation = member_->Info(Now());
  // With certificates the word changes nothing.
  info.federation->insecure = options_.insecure && !options_.tls;
  info.federation->calls_cancelled = transport_->cancelled();
  return info;
}

// -- Service --------------------------------------------------------------------------------------

void Node::HandleAppend(const Caller& caller, AppendRequest request, Replies::Callback reply) {
  Effects effects;
  {
    MutexLock lock(mutex_);
    if (member_ == nullptr || draining_) {
      AppendReply away;
      away.header.member = config_.member;
      away.header.incarnation = config_.incarnation;
      away.refused = Refusal::kFenced;
      away.message = "this member has not been started, or is closed";
      effects.replies.emplace_back(std::move(reply), std::move(away));
    } else {
      const std::uint64_t call = replies_.Add(std::move(reply));
      member_->OnAppendRequest(Now(), call, caller, std::move(request), effects.actions);
      CollectEffects(effects);
    }
  }
  PerformEffects(std::move(effects));
}

absl::Status Node::CheckCaller(const Caller& caller, const Header& header) {
  MutexLock lock(mutex_);
  if (member_ == nullptr || !member_->started() || closing_) {
    return absl::UnavailableError("this member is not serving");
  }
  std::string message;
  const Refusal refusal = member_->CheckHeader(caller, header, &message);
  if (refusal == Refusal::kUnauthenticated) return absl::UnauthenticatedError(message);
  if (refusal != Refusal::kNone) {
    return absl::PermissionDeniedError(absl::StrCat(RefusalName(refusal), ": ", message));
  }
  // A learner that is whole tells what it holds, with its vector: two that learn from each other
  // would both wait for ever otherwise.
  if (member_->filling()) {
    return absl::UnavailableError("this member is being filled itself: ask another one");
  }
  return absl::OkStatus();
}

absl::StatusOr<ChangePage> Node::HandleFetch(const Caller& caller, const FetchRequest& request) {
  AIMEM_RETURN_IF_ERROR(CheckCaller(caller, request.header));
  AIMEM_ASSIGN_OR_RETURN(ChangePage page, store_->ReadChanges(request.cursor, kFetchPage));
  MutexLock lock(mutex_);
  member_->Withhold(page);
  return page;
}

absl::StatusOr<DigestReply> Node::HandleDigest(const Caller& caller, const DigestRequest& request) {
  AIMEM_RETURN_IF_ERROR(CheckCaller(caller, request.header));
  AIMEM_ASSIGN_OR_RETURN(DigestResult result, store_->Digest(request.ranges));
  return DigestReply{std::move(result)};
}

}  // namespace aimem::replication
