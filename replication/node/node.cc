#include "replication/node/node.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/callback.h"
#include "lib/base/rendezvous.h"
#include "lib/base/status.h"
#include "lib/base/trouble.h"
#include "replication/node/node_work.h"
#include "replication/protocol/timing.h"

namespace aimem::replication {
namespace {

constexpr ReadChangesLimit kFetchPage{.bytes = 1u << 20, .items = 10'000};
/// How far back a member that fetched states remembers requests.
constexpr absl::Duration kFetchedLog = absl::Hours(24);
constexpr int kComparedRanges = 256;
/// Of writes that wait until this member may execute any: as many as a store's queue takes.
constexpr std::int64_t kEarlyBytesMax = 64 << 20;

/// Ranges that divide the key space evenly.
std::vector<DigestRange> EvenRanges() {
  std::vector<DigestRange> ranges(kComparedRanges);
  for (int i = 0; i < kComparedRanges; ++i) {
    ranges[static_cast<std::size_t>(i)].first[0] = static_cast<std::uint8_t>(i);
    if (i + 1 < kComparedRanges) {
      Hash256 last{};
      last[0] = static_cast<std::uint8_t>(i + 1);
      ranges[static_cast<std::size_t>(i)].last = last;
    }
  }
  return ranges;
}

/// Of what a batch carries; for a bound, not for accounts.
std::int64_t ApproximateBytes(const WriteBatch& batch) {
  std::size_t bytes = 0;
  for (const WriteItem& item : batch.items) {
    bytes += 100;
    if (const auto* put = std::get_if<PutMemory>(&item)) {
      bytes += put->content.size() + put->metadata.size();
    } else if (const auto* import = std::get_if<ImportMemory>(&item)) {
      bytes += import->memory.content.size() + import->memory.metadata.size();
    } else if (const auto* patch = std::get_if<PatchMemory>(&item)) {
      bytes += patch->content.value_or("").size() + patch->metadata.value_or("").size();
    }
  }
  return static_cast<std::int64_t>(bytes);
}

WriteResult Refuse(absl::Status status) {
  WriteResult result;
  result.outcome = WriteOutcome::kRejected;
  result.status = std::move(status);
  return result;
}

}  // namespace

/// A Fetch under way. Owned by the callback that waits for its next page.
struct Node::Filling {
  std::unique_ptr<PageStream> stream;
  ChangeCursor cursor;  ///< Where the next page begins.
};

/// What an event leaves to be done without the lock.
struct Node::Errands {
  Actions actions;
  std::vector<std::pair<ReplyCallback, AppendReply>> replies;
  std::vector<Work> work;  ///< One for each apply, read, fetch, root and comparison.
  std::vector<std::pair<Held, absl::Status>> refused;
  bool let_through = false;
  std::optional<absl::Duration> timer;
};

// -- Opening and closing --------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<Node>> Node::Open(std::unique_ptr<Backend> backend,
                                                 StoreOptions store, const NodeOptions& options) {
  std::unique_ptr<Node> node(new Node(store, options));
  store.listener = node.get();
  store.quorum = options.needed;
  store.held_by_all = [raw = node.get()] { return raw->HeldByAll(); };
  store.more_until = [raw = node.get()] { return raw->MoreUntil(); };
  store.may_execute = [raw = node.get()] { return raw->MayExecute(); };
  AIMEM_ASSIGN_OR_RETURN(node->local_, store::OpenMemberStore(std::move(backend), store));
  AIMEM_ASSIGN_OR_RETURN(const StoreInfo info, node->local_->Info());
  if (info.member == Id128()) {
    return absl::InternalError("the store has no member id");
  }
  MemberConfig config;
  config.member = info.member;
  std::array<std::uint8_t, 8> bytes{};
  node->random_.Fill(bytes);
  for (const std::uint8_t byte : bytes) config.incarnation = config.incarnation << 8 | byte;
  config.peers = options.peers;
  config.needed = options.needed;
  config.call_timeout = options.call_timeout;
  config.max_clock_ahead = options.max_clock_ahead;
  config.calls_in_flight_max = options.calls_in_flight_max;
  config.window_bytes_max = options.window_bytes_max;
  config.heads_told_min = options.heads_told_min;
  config.bugs = options.bugs;
  MutexLock lock(node->mutex_);
  node->config_ = std::move(config);
  return node;
}

Node::Node(const StoreOptions& store, const NodeOptions& options)
    : options_(options),
      log_(store.environment.log),
      clock_(store.environment.clock ? *store.environment.clock : SystemClock()),
      random_(store.environment.random ? *store.environment.random : SystemRandom()) {}

Node::~Node() {
  if (absl::Status status = Close(); !status.ok()) {
    Log(LogLevel::kError, absl::StrCat("closing the store: ", status.message()));
  }
  // Where it did not close in its grace, what it still does calls this.
  local_.reset();
}

absl::Status Node::Start(Transport* transport, const std::string& address) {
  std::optional<Work> work;
  {
    MutexLock lock(mutex_);
    if (member_ != nullptr) return absl::FailedPreconditionError("the member was started before");
    transport_ = transport;
    config_.address = address;
    member_ = std::make_unique<Member>(config_);
    work.emplace(this);
    ++work_;
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
  if (closed) return local_ == nullptr ? absl::OkStatus() : local_->Close();
  LetThrough();
  Happen([](Member&, const Member::Now&, Actions&) {});
  {
    MutexLock lock(mutex_);
    AwaitCallers(end);
  }
  // What waited for company is written and sent now, what peers sent is applied and answered.
  absl::Status status = local_ == nullptr ? absl::OkStatus() : local_->Close();
  std::map<std::uint64_t, ReplyCallback> parked;
  {
    MutexLock lock(mutex_);
    AwaitCallers(end);
    draining_ = true;
    parked.swap(inbound_);
  }
  parked.clear();  // ends these calls: what they wait for does not come any more
  if (transport_ != nullptr) {
    transport_->Shutdown(std::max(absl::ZeroDuration(), end - clock_.Monotonic()));
  }
  Happen([&](Member& member, const Member::Now& now, Actions& actions) {
    member.AnswerAll(now, actions);
  });
  MutexLock lock(mutex_);
  while (work_ > 0 || !answers_.empty() || answering_) idle_.Wait(mutex_);
  closed_ = true;
  idle_.NotifyAll();
  return status;
}

void Node::AwaitCallers(absl::Duration end) {
  // They are answered by the peers, or by their deadlines.
  while (writing_ > 0 || !tickets_.empty() || !answers_.empty() || answering_) {
    const absl::Duration left = end - clock_.Monotonic();
    if (left <= absl::ZeroDuration()) return;
    idle_.WaitFor(mutex_, left);
  }
}

void Node::Log(LogLevel level, std::string_view text) const {
  if (log_ != nullptr) log_->Log(level, text);
}

void Node::LogThrown(const absl::Status& thrown) const {
  if (thrown.ok()) return;
  Log(LogLevel::kError, absl::StrCat("a callback threw an exception, which it must not (",
                                     thrown.message(), "): the member goes on"));
}

Member::Now Node::Now() const { return {clock_.Monotonic(), absl::ToUnixMillis(clock_.Now())}; }

VersionVector Node::HeldByAll() {
  MutexLock lock(mutex_);
  return member_ == nullptr ? VersionVector() : member_->HeldByAll();
}

// -- Events and errands ---------------------------------------------------------------------------

void Node::Happen(absl::FunctionRef<void(Member&, const Member::Now&, Actions&)> event) {
  Errands errands;
  {
    MutexLock lock(mutex_);
    // The transport is gone when this member is closed.
    if (member_ == nullptr || closed_) return;
    event(*member_, Now(), errands.actions);
    Collect(errands);
  }
  Perform(std::move(errands));
}

void Node::Collect(Errands& errands) {
  Actions& actions = errands.actions;
  // Whoever closes need not be told that the others are out of reach now.
  if (closing_) {
    std::erase_if(actions.lines,
                  [](const Actions::Line& line) { return line.level == LogLevel::kWarning; });
  }
  for (Actions::Answer& answer : actions.answers) {
    const auto found = tickets_.find(answer.ticket);
    if (found == tickets_.end()) continue;
    answers_.emplace_back(std::move(found->second), std::move(answer));
    tickets_.erase(found);
  }
  for (Actions::Reply& reply : actions.replies) {
    const auto found = inbound_.find(reply.call);
    if (found == inbound_.end()) continue;
    errands.replies.emplace_back(std::move(found->second), std::move(reply.reply));
    inbound_.erase(found);
  }
  const std::size_t work = actions.applies.size() + actions.reads.size() +
                           (actions.fetch_from ? 1 : 0) + (actions.compute_root ? 1 : 0) +
                           (actions.compare_with ? 1 : 0) + (actions.forsake ? 1 : 0) +
                           (actions.reconcile ? 1 : 0);
  errands.work.reserve(work);
  for (std::size_t i = 0; i < work; ++i) errands.work.emplace_back(this);
  work_ += static_cast<int>(work);
  if (!actions.answers.empty()) {
    gate_.Answered(clock_.Monotonic(), static_cast<std::int64_t>(actions.answers.size()));
    errands.let_through = true;
  }
  if (!early_.empty()) Reconsider(errands);
  errands.timer = NextTimer();
}

void Node::Reconsider(Errands& errands) {
  const Member::Now now = Now();
  const absl::Status ready = member_->MayExecute();
  // Whoever was not heard then is heard now.
  const absl::Status clock = member_->CheckClock(now);
  std::deque<Held> early;
  early.swap(early_);
  early_bytes_ = 0;
  for (Held& held : early) {
    if (!clock.ok()) {
      errands.refused.emplace_back(std::move(held), clock);
    } else if (ready.ok()) {
      gate_.Hold(now.monotonic, ApproximateBytes(held.batch));
      held_.push_back(std::move(held));
      errands.let_through = true;
    } else if ((closing_ && !member_->Settling()) || draining_ || held.deadline <= now.monotonic) {
      errands.refused.emplace_back(std::move(held), ready);
    } else {
      early_bytes_ += ApproximateBytes(held.batch);
      early_.push_back(std::move(held));
    }
  }
}

std::optional<absl::Duration> Node::NextTimer() {
  absl::Duration next = std::min(member_->NextTick(), gate_.OpensAt(Unanswered()));
  for (const Held& held : early_) next = std::min(next, held.deadline);
  next = std::min(next, refresh_at_);
  if (next >= timer_ || closed_) return std::nullopt;
  timer_ = next;
  return next;
}

void Node::Perform(Errands errands) {
  Actions& actions = errands.actions;
  const auto take_work = [&] {
    Work work = std::move(errands.work.back());
    errands.work.pop_back();
    return work;
  };
  // Before any write that may come after the events which told it.
  if (actions.forsake) Forsake(*actions.forsake, take_work());
  for (Actions::Send& send : actions.sends) {
    transport_->Append(options_.peers[send.peer], send.lane, std::move(send.request), send.timeout,
                       [this, peer = send.peer, call = send.call](AppendOutcome outcome) {
                         Happen([&](Member& member, const Member::Now& now, Actions& then) {
                           member.OnAppendOutcome(now, peer, call, std::move(outcome), then);
                         });
                       });
  }
  for (Actions::Apply& apply : actions.applies) {
    local_->ApplyEach(std::move(apply.page),
                      [this, call = apply.call, work = take_work()](ApplyResult result) {
                        if (!result.status.ok()) RefreshSoon();
                        Happen([&](Member& member, const Member::Now& now, Actions& then) {
                          member.OnApplied(now, call, result, then);
                        });
                      });
  }
  for (auto& [reply, value] : errands.replies) std::move(reply)(std::move(value));
  for (auto& [held, status] : errands.refused) {
    OnWritten(Refuse(std::move(status)), held.deadline, true, std::move(held.done));
  }
  if (!actions.answers.empty()) AnswerCallers();
  if (errands.let_through) LetThrough();
  for (Actions::ReadLog& read : actions.reads) {
    transport_->Post(
        Transport::Kind::kRead, [this, read = std::move(read), work = take_work()]() mutable {
          absl::StatusOr<ChangePage> page = local_->ReadChanges(read.cursor, read.limit);
          Happen([&](Member& member, const Member::Now& now, Actions& then) {
            member.OnLogRead(now, read.peer, std::move(page), then);
          });
        });
  }
  if (actions.compute_root) {
    transport_->Post(Transport::Kind::kScan, [this, work = take_work()] { ComputeRoot(); });
  }
  if (actions.compare_with) {
    transport_->Post(Transport::Kind::kScan,
                     [this, peer = *actions.compare_with, work = take_work()]() mutable {
                       CompareWith(peer, std::move(work));
                     });
  }
  if (actions.fetch_from) {
    transport_->Post(Transport::Kind::kRead,
                     [this, peer = *actions.fetch_from, work = take_work()]() mutable {
                       Fill(peer, std::move(work));
                     });
  }
  if (actions.reconcile) {
    transport_->Post(Transport::Kind::kRead,
                     [this, errand = *std::move(actions.reconcile), work = take_work()]() mutable {
                       Reconcile(std::move(errand), std::move(work));
                     });
  }
  for (const Actions::Line& line : actions.lines) Log(line.level, line.text);
  if (errands.timer) transport_->SetTimer(*errands.timer);
}

void Node::AnswerCallers() {
  while (true) {
    std::deque<std::pair<Answered, Actions::Answer>> group;
    {
      MutexLock lock(mutex_);
      if (answering_ || answers_.empty()) return;
      answering_ = true;
      group.swap(answers_);
    }
    for (auto& entry : group) {
      Actions::Answer& answer = entry.second;
      LogThrown(
          Contain([&] { std::move(entry.first)(answer.committed, std::move(answer.report)); }));
    }
    MutexLock lock(mutex_);
    answering_ = false;
    if (closing_) idle_.NotifyAll();
  }
}

void Node::RefreshSoon() {
  std::optional<absl::Duration> timer;
  {
    MutexLock lock(mutex_);
    if (member_ == nullptr || closing_) return;
    refresh_at_ = std::min(refresh_at_, clock_.Monotonic() + kRefresh);
    timer = NextTimer();
  }
  if (timer) transport_->SetTimer(*timer);
}

void Node::Refresh(Work work) {
  local_->Refresh([this, work = std::move(work)](const absl::StatusOr<StoreState>& state) {
    if (!state.ok()) {
      LogNotBegun(state.status());
      // What is damaged does not come back while it is open.
      if (TroubleOf(state.status()) != Trouble::kDamaged) RefreshSoon();
      return;
    }
    Happen([&](Member& member, const Member::Now& now, Actions& actions) {
      if (!member.started()) member.Start(now, *state, actions);
    });
  });
}

void Node::LogNotBegun(const absl::Status& failure) {
  std::string text(ToStd(failure.message()));
  {
    MutexLock lock(mutex_);
    if (member_->started() || closing_ || not_begun_ == text) return;
    not_begun_ = text;
  }
  Log(LogLevel::kError,
      "this member neither counts nor writes yet, since what its data says may not be durable: " +
          text);
}

void Node::OnTimer() {
  std::optional<Work> refresh;
  {
    MutexLock lock(mutex_);
    timer_ = absl::InfiniteDuration();
    if (refresh_at_ <= clock_.Monotonic() && !closing_) {
      refresh_at_ = absl::InfiniteDuration();
      refresh.emplace(this);
      ++work_;
    }
  }
  if (refresh) Refresh(*std::move(refresh));
  Happen(
      [](Member& member, const Member::Now& now, Actions& actions) { member.Tick(now, actions); });
  LetThrough();
}

void Node::OnDurable(const StoreState& state, std::vector<DurableCommit> commits) {
  Happen([&](Member& member, const Member::Now& now, Actions& actions) {
    member.OnDurable(now, state, std::move(commits), actions);
  });
}

// -- Store: change --------------------------------------------------------------------------------

void Node::WriteAsync(WriteBatch batch, const WriteOptions& options, WriteCallback done) {
  const absl::Duration timeout = options.ack_timeout.value_or(options_.quorum_timeout);
  Held held{std::move(batch), options, std::move(done), clock_.Monotonic() + timeout};
  absl::Status admitted = Admit(options.lazy);
  if (!admitted.ok()) return std::move(held.done)(Refuse(std::move(admitted)));
  // Whoever waits for company in the store anyway, or for no other member, does not wait here.
  bool passes = options.lazy || options_.needed == 1;
  absl::Status full;
  WriteCallback refused;
  {
    MutexLock lock(mutex_);
    const absl::Status may = options.lazy ? absl::OkStatus() : member_->MayExecute();
    if (!may.ok()) {
      passes = false;
      const std::int64_t bytes = ApproximateBytes(held.batch);
      if (early_bytes_ > 0 && early_bytes_ + bytes > kEarlyBytesMax) {
        --writing_;
        refused = std::move(held.done);
        full = absl::ResourceExhaustedError(
            absl::StrFormat("%d bytes of writes wait already (limit %d): %s", early_bytes_,
                            kEarlyBytesMax, may.message()));
      } else {
        early_bytes_ += bytes;
        early_.push_back(std::move(held));
      }
    } else if (!passes) {
      gate_.Hold(clock_.Monotonic(), ApproximateBytes(held.batch));
      held_.push_back(std::move(held));
    }
  }
  if (!full.ok()) return std::move(refused)(Refuse(std::move(full)));
  // It was moved only if it does not pass.
  if (passes) return WriteLocally(std::move(held));  // NOLINT(bugprone-use-after-move)
  LetThrough();
  std::optional<absl::Duration> timer;
  {
    MutexLock lock(mutex_);
    timer = NextTimer();
  }
  if (timer) transport_->SetTimer(*timer);
}

void Node::WriteLocally(Held held) {
  const bool lazy = held.options.lazy;
  local_->WriteAsync(std::move(held.batch), held.options,
                     [this, lazy, deadline = held.deadline,
                      done = std::move(held.done)](WriteResult result) mutable {
                       if (!lazy)
                         return OnWritten(std::move(result), deadline, true, std::move(done));
                       // It waited for company first.
                       OnWritten(std::move(result), clock_.Monotonic() + options_.quorum_timeout,
                                 false, std::move(done));
                     });
}

std::int64_t Node::Unanswered() const {
  return writing_ - static_cast<std::int64_t>(held_.size() + early_.size()) +
         static_cast<std::int64_t>(tickets_.size());
}

void Node::LetThrough(bool wanted) {
  while (true) {
    std::deque<Held> group;
    std::optional<absl::Duration> timer;
    {
      MutexLock lock(mutex_);
      // One thread at a time, so that they go on in the order in which they came.
      if (letting_through_ || held_.empty()) return;
      const absl::Duration now = clock_.Monotonic();
      const std::int64_t unanswered = Unanswered();
      if (!wanted && !gate_.Open(now, unanswered) && !closing_) return;
      letting_through_ = member_->MayExecute().ok();
      gate_.LetThrough(now, unanswered);
      if (letting_through_) {
        group.swap(held_);
      } else {  // it was none when they came
        for (const Held& held : held_) early_bytes_ += ApproximateBytes(held.batch);
        std::move(held_.begin(), held_.end(), std::back_inserter(early_));
        held_.clear();
        timer = NextTimer();
      }
    }
    if (timer) transport_->SetTimer(*timer);
    if (group.empty()) return;
    for (Held& held : group) {
      LogThrown(Contain([&] { WriteLocally(std::move(held)); }));
    }
    MutexLock lock(mutex_);
    letting_through_ = false;
  }
}

absl::Duration Node::MoreUntil() {
  LetThrough(/*wanted=*/true);
  MutexLock lock(mutex_);
  return gate_.JoinsUntil();
}

absl::Status Node::MayExecute() {
  MutexLock lock(mutex_);
  return member_ != nullptr ? member_->MayExecute() : absl::OkStatus();
}

absl::Status Node::Admit(bool lazy) {
  MutexLock lock(mutex_);
  if (closing_) return absl::UnavailableError("the store is closed");
  if (member_ == nullptr) return absl::UnavailableError("the member has not been started: retry");
  const std::int64_t waiting = writing_ + static_cast<std::int64_t>(tickets_.size());
  if (waiting >= options_.waiting_max) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("%d writes wait for the other members (limit %d): retry later", waiting,
                        options_.waiting_max));
  }
  AIMEM_RETURN_IF_ERROR(member_->CheckClock(Now()));
  // A use that is only counted is not worth waiting for.
  if (lazy) AIMEM_RETURN_IF_ERROR(member_->MayExecute());
  // The store bounds those that wait for company, and closing does not wait for them.
  if (!lazy) ++writing_;
  return absl::OkStatus();
}

void Node::OnWritten(WriteResult result, absl::Duration deadline, bool counted,
                     WriteCallback done) {
  if (result.outcome == WriteOutcome::kUnknown) RefreshSoon();
  if (result.outcome != WriteOutcome::kCommitted) {
    {
      MutexLock lock(mutex_);
      if (counted) --writing_;
      if (closing_) idle_.NotifyAll();
    }
    return std::move(done)(std::move(result));
  }
  VersionVector position = result.rests_on;
  if (options_.bugs.await_nothing && result.seq == 0) position.clear();
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
                       Answered answered) {
  Errands errands;
  {
    MutexLock lock(mutex_);
    if (counted) --writing_;
    const std::uint64_t ticket = next_ticket_++;
    tickets_.emplace(ticket, std::move(answered));
    const Member::Now now = Now();
    member_->Await(now, ticket, std::move(position), draining_ ? now.monotonic : deadline,
                   errands.actions);
    Collect(errands);
  }
  Perform(std::move(errands));
}

void Node::Apply(ChangePage page, ApplyCallback done) {
  local_->Apply(std::move(page), std::move(done));
}

// -- Store: find, follow, compare, look after -----------------------------------------------------

std::vector<absl::StatusOr<Memory>> Node::Get(std::span<const std::string> ids,
                                              const ReadOptions& options) {
  return local_->Get(ids, options);
}

absl::StatusOr<ListResult> Node::List(const ListRequest& request) { return local_->List(request); }

absl::StatusOr<SearchResult> Node::Search(const SearchRequest& request) {
  SearchRequest asked = request;
  asked.touch = request.touch && MayTouch();
  return local_->Search(asked);
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
  AIMEM_ASSIGN_OR_RETURN(OperationInfo info, local_->GetOperation(operation, wait));
  if (info.outcome != WriteOutcome::kCommitted) return info;
  struct Verdict {
    bool committed = false;
    QuorumReport report;
  };
  {
    MutexLock lock(mutex_);
    if (member_ == nullptr) return absl::UnavailableError("the member has not been started: retry");
    const auto waiting = static_cast<std::int64_t>(tickets_.size());
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
    AIMEM_ASSIGN_OR_RETURN(const OperationInfo now, local_->GetOperation(operation, wait));
    found.committed = now.rests_on == info.rests_on;
  }
  // Of what is still under way, or broke off, nobody may say that it is done.
  if (!found.committed || info.incomplete) info.outcome = WriteOutcome::kPending;
  info.quorum = std::move(found.report);
  return info;
}

absl::StatusOr<ChangePage> Node::ReadChanges(const ChangeCursor& cursor,
                                             const ReadChangesLimit& limit) {
  return local_->ReadChanges(cursor, limit);
}

absl::StatusOr<DigestResult> Node::Digest(std::span<const DigestRange> ranges) {
  return local_->Digest(ranges);
}

absl::StatusOr<StoreInfo> Node::Info(const InfoOptions& options) {
  AIMEM_ASSIGN_OR_RETURN(StoreInfo info, local_->Info(options));
  MutexLock lock(mutex_);
  if (!options.data) info.member = config_.member;
  if (member_ == nullptr) return info;
  info.federation = member_->Info(Now());
  info.federation->insecure = options_.insecure;
  info.federation->calls_cancelled = transport_->cancelled();
  return info;
}

absl::StatusOr<CheckReport> Node::Check(const CheckOptions& options) {
  return local_->Check(options);
}

// -- Service --------------------------------------------------------------------------------------

void Node::HandleAppend(const Caller& caller, AppendRequest request, ReplyCallback reply) {
  Errands errands;
  {
    MutexLock lock(mutex_);
    if (member_ == nullptr || draining_) {
      AppendReply away;
      away.header.member = config_.member;
      away.header.incarnation = config_.incarnation;
      away.refused = Refusal::kFenced;
      away.message = "this member has not been started, or is closed";
      errands.replies.emplace_back(std::move(reply), std::move(away));
    } else {
      const std::uint64_t call = next_inbound_++;
      inbound_.emplace(call, std::move(reply));
      member_->OnAppendRequest(Now(), call, caller, std::move(request), errands.actions);
      Collect(errands);
    }
  }
  Perform(std::move(errands));
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
  AIMEM_ASSIGN_OR_RETURN(ChangePage page, local_->ReadChanges(request.cursor, kFetchPage));
  MutexLock lock(mutex_);
  member_->Withhold(page);
  return page;
}

absl::StatusOr<DigestReply> Node::HandleDigest(const Caller& caller, const DigestRequest& request) {
  AIMEM_RETURN_IF_ERROR(CheckCaller(caller, request.header));
  AIMEM_ASSIGN_OR_RETURN(DigestResult result, local_->Digest(request.ranges));
  return DigestReply{std::move(result)};
}

// -- Work on threads that may block ---------------------------------------------------------------

void Node::ComputeRoot() {
  const absl::Duration begun = clock_.Monotonic();
  absl::StatusOr<DigestResult> digest = local_->Digest({});
  std::optional<Root> root;
  if (digest.ok()) {
    MutexLock lock(mutex_);
    root_failure_.clear();
  }
  if (digest.ok()) {
    root = Root{std::move(digest->vector), digest->sums.front().sum};
  } else {
    LogRootFailure(digest.status());
  }
  Happen([&](Member& member, const Member::Now& now, Actions&) {
    member.OnRoot(now, std::move(root), now.monotonic - begun);
  });
}

void Node::LogRootFailure(const absl::Status& failure) {
  std::string text(ToStd(failure.message()));
  {
    MutexLock lock(mutex_);
    if (root_failure_ == text) return;
    root_failure_ = text;
  }
  Log(LogLevel::kWarning, "computing the root: " + text);
}

void Node::CompareWith(std::size_t peer, Work work) {
  DigestRequest request;
  request.ranges = EvenRanges();
  absl::StatusOr<DigestResult> ours = local_->Digest(request.ranges);
  if (!ours.ok()) return;
  {
    MutexLock lock(mutex_);
    request.header = member_->MakeHeader(Now());
  }
  transport_->Digest(options_.peers[peer], std::move(request),
                     [this, peer, ours = *std::move(ours),
                      work = std::move(work)](absl::StatusOr<DigestReply> theirs) {
                       if (!theirs.ok()) return;
                       Log(LogLevel::kError,
                           DescribeDivergence(options_.peers[peer], ours, theirs->result));
                     });
}

void Node::Fill(std::size_t peer, Work work) {
  // A store that was being filled when it was closed knows where it stopped; a store with a
  // history of its own goes on where this process stopped.
  auto filling = std::make_shared<Filling>();
  FetchRequest request;
  absl::StatusOr<StoreInfo> info = local_->Info();
  {
    MutexLock lock(mutex_);
    request.header = member_->MakeHeader(Now());
    request.cursor = fill_from_.value_or(ChangeCursor::Everything());
    if (info.ok() && info->installing && !fill_anew_) request.cursor = *info->installing;
    fill_anew_ = false;
  }
  if (!info.ok()) return EndFilling(info.status());
  // Also of one that turns to a scan when the log was cut.
  if (!request.cursor.after) {
    request.cursor.log_from = clock_.Now() - kFetchedLog;
  }
  filling->cursor = request.cursor;
  filling->stream = transport_->Fetch(options_.peers[peer], std::move(request));
  FillOn(std::move(filling), std::move(work));
}

void Node::FillOn(std::shared_ptr<Filling> filling, Work work) {
  PageStream& stream = *filling->stream;
  stream.Next([this, filling = std::move(filling),
               work = std::move(work)](absl::StatusOr<ChangePage> page) mutable {
    if (!page.ok()) {
      return EndFilling(page.status());
    }
    const bool end = page->end;
    ChangeCursor next = page->next;
    page->install = true;
    Happen([&](Member& member, const Member::Now&, Actions&) { member.Arriving(page->commits); });
    local_->Apply(*std::move(page),
                  [this, end, next = std::move(next), filling = std::move(filling),
                   work = std::move(work)](const ApplyResult& result) mutable {
                    if (!result.status.ok()) return EndFilling(result.status);
                    {
                      MutexLock lock(mutex_);
                      fill_from_ = end ? std::nullopt : std::optional(std::move(next));
                    }
                    if (end) return EndFilling(absl::OkStatus());
                    FillOn(std::move(filling), std::move(work));
                  });
  });
}

void Node::EndFilling(const absl::Status& status) {
  // It cannot go on from there: from the start next time.
  if (absl::IsFailedPrecondition(status)) {
    MutexLock lock(mutex_);
    fill_from_.reset();
    fill_anew_ = true;
  }
  Happen([&](Member& member, const Member::Now& now, Actions& actions) {
    member.OnFetchEnded(now, status, actions);
  });
}

std::string Node::DescribeDivergence(const std::string& peer, const DigestResult& ours,
                                     const DigestResult& theirs) {
  if (ours.vector != theirs.vector || ours.sums.size() != theirs.sums.size()) {
    return absl::StrCat("divergence from ", peer, ": the vectors have moved on meanwhile");
  }
  int different = 0;
  std::string first;
  for (std::size_t i = 0; i < ours.sums.size(); ++i) {
    if (ours.sums[i].sum == theirs.sums[i].sum) continue;
    if (different++ == 0) first = absl::StrFormat("%02x", i);
  }
  return absl::StrFormat(
      "divergence from %s: %d of %d ranges of keys differ, the first is %s: run doctor on both",
      peer, different, kComparedRanges, first.empty() ? "none" : first);
}

}  // namespace aimem::replication
