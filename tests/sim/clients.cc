#include "tests/sim/clients.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/model/view.h"

namespace aimem::sim {
namespace {

/// An answer may be so late: when a member has learnt what it had to, tens of writes that waited
/// for that are executed one after the other, in milliseconds each.
constexpr absl::Duration kLate = absl::Milliseconds(200);
constexpr std::uint64_t kTitles = 5;  // few, so that clients meet in them

std::string Text(const absl::Status& status) {
  return absl::StrCat(absl::StatusCodeToString(status.code()), ": ", status.message());
}

}  // namespace

Clients::Clients(Stage* stage, Federation* federation)
    : stage_(*stage), federation_(*federation), dice_(stage->seed ^ 0xC11E2275u) {}

void Clients::Begin() {
  for (int i = 0; i < stage_.scenario.clients; ++i) Think(i);
}

void Clients::Think(int client) {
  stage_.events.After(dice_.Between(absl::Milliseconds(1), stage_.scenario.think_max),
                      [this, client] {
                        if (stage_.calm) return;
                        Act(client);
                        Think(client);
                      });
}

void Clients::Act(int client) {
  // Mostly the same member, sometimes another one.
  std::size_t at = static_cast<std::size_t>(client) % federation_.machines().size();
  if (dice_.Percent(30)) at = dice_.Below(federation_.machines().size());
  Machine& machine = federation_.machines()[at];
  if (!machine.up()) return;
  if (dice_.Percent(20) && !requests_.empty()) {
    // Once more, with the same key, here or there, whatever became of it.
    Request& again =
        requests_[requests_.size() - 1 - dice_.Below(std::min<std::size_t>(10, requests_.size()))];
    const bool remembered = again.days_passed == federation_.days_passed();
    if (!again.key.empty() && remembered && again.attempts.size() < 5) Send(again, at);
    return;
  }
  if (dice_.Percent(10)) return Ask(machine);
  Send(NewRequest(machine), at);
}

/// What became of a request: what is said must be true at this moment.
void Clients::Ask(Machine& machine) {
  if (requests_.empty()) return;
  const Request& request = requests_[dice_.Below(requests_.size())];
  if (request.attempts.empty() || !request.attempts.front().answered) return;
  const OperationId operation = request.attempts.front().result.operation;
  const auto info = machine.node->GetOperation(operation, absl::ZeroDuration());
  if (!info.ok() || info->outcome != WriteOutcome::kCommitted) return;
  stage_.Say(machine.name, absl::StrFormat("request %d is committed, it says", request.number));
  std::vector<std::vector<CommitName>> executions;
  for (const auto& [stream, commits] : stage_.ledger.ExecutionsOf(operation)) {
    executions.push_back(commits);
  }
  MustBeHeld(executions, machine,
             absl::StrFormat("request %d, which it was asked for", request.number));
}

// -- Requests -------------------------------------------------------------------------------------

std::string Clients::AnyId(const ListResult& list) {
  std::vector<std::string> ids;
  for (const Memory& memory : list.memories) ids.push_back(memory.id);
  for (const ArchivedMemory& archived : list.archived) ids.push_back(archived.memory.id);
  return ids.empty() ? "" : ids[dice_.Below(ids.size())];
}

std::pair<WriteItem, std::string> Clients::DrawItem(Machine& machine, Request& request) {
  const auto list = [&](ListKind kind) {
    ListRequest question;
    question.kind = kind;
    question.limit = 1'000;
    question.filter.namespace_ = "shared";
    question.filter.expired = true;
    auto result = machine.node->List(question);
    return result.ok() ? *std::move(result) : ListResult();
  };
  const std::string title = absl::StrCat("title ", dice_.Below(kTitles));
  const PutMemory put{.namespace_ = "shared",
                      .title = title,
                      .content = absl::StrCat("request ", request.number),
                      .tier = static_cast<Tier>(dice_.Below(3)),
                      .metadata = absl::StrCat("{\"k", dice_.Below(3), "\":", dice_.Below(9), "}")};
  const std::uint64_t kind = dice_.Below(100);
  if (kind < 15) {
    request.once = true;
    request.key = absl::StrCat("key ", request.number);
    return {PutMemory{.namespace_ = "once",
                      .title = absl::StrCat("once ", request.number),
                      .content = "once",
                      .tier = Tier::kLong},
            "puts a title of its own"};
  }
  if (kind < 40) return {put, absl::StrCat("puts ", title)};
  const bool of_archive = kind >= 68 && kind < 76;
  const ListResult rows = list(of_archive ? ListKind::kArchived : ListKind::kMemories);
  const std::string id = AnyId(rows);
  if (id.empty()) return {put, absl::StrCat("puts ", title)};
  const std::string short_id = id.substr(0, 8);
  if (kind < 50) {
    PatchMemory patch{.id = id};
    patch.content = absl::StrCat("patched by ", request.number);
    return {patch, absl::StrCat("patches ", short_id)};
  }
  if (kind < 56) {
    PatchMemory patch{.id = id};
    patch.title = title;
    return {patch, absl::StrCat("renames ", short_id, " to ", title)};
  }
  if (kind < 65) return {DeleteMemory{id}, absl::StrCat("deletes ", short_id)};
  if (kind < 68) return {EraseMemory{id}, absl::StrCat("erases ", short_id)};
  if (kind < 76) return {RestoreMemory{id}, absl::StrCat("restores ", short_id)};
  if (kind < 80) {
    request.by_filter = true;
    ForgetMemories forget;
    forget.namespace_ = "shared";
    if (dice_.Percent(70)) forget.pattern = title;
    return {forget, "forgets"};
  }
  if (kind < 82) {
    request.by_filter = true;
    return {PurgeArchive{}, "purges the archive"};
  }
  if (kind < 84) {
    request.by_filter = true;
    return {ExpireMemories{.archive = dice_.Percent(50)}, "collects what has expired"};
  }
  const std::string other = AnyId(rows);
  if (kind < 90) return {AddLink{id, other}, absl::StrCat("links ", short_id)};
  if (kind < 92) return {RemoveLink{id, other}, absl::StrCat("unlinks ", short_id)};
  if (kind < 95) return {PromoteMemory{id, ""}, absl::StrCat("promotes ", short_id)};
  if (kind < 97) return {TouchMemory{id}, absl::StrCat("touches ", short_id)};
  ConsolidateMemories merge;
  merge.ids = {id, other};
  merge.title = title;
  merge.summary = absl::StrCat("summary by ", request.number);
  merge.namespace_ = "shared";
  return {merge, absl::StrCat("consolidates ", short_id)};
}

const Clients::Request* Clients::Repeatable() {
  const std::size_t last = std::min<std::size_t>(12, requests_.size());
  std::vector<const Request*> found;
  for (std::size_t i = requests_.size() - last; i < requests_.size(); ++i) {
    const WriteItem& item = requests_[i].batch.items.front();
    if (requests_[i].by_filter || std::holds_alternative<AddLink>(item) ||
        std::holds_alternative<RemoveLink>(item)) {
      found.push_back(&requests_[i]);
    }
  }
  return found.empty() ? nullptr : found[dice_.Below(found.size())];
}

Clients::Request& Clients::NewRequest(Machine& machine) {
  // What was asked for already, as a request of its own: mostly it finds nothing to do.
  const Request* const before = dice_.Percent(15) ? Repeatable() : nullptr;
  Request& request = requests_.emplace_back();
  request.number = static_cast<int>(requests_.size());
  request.days_passed = federation_.days_passed();
  if (dice_.Percent(50)) request.key = absl::StrCat("key ", request.number);
  if (before != nullptr) {
    request.what = absl::StrCat(before->what, ", as did request ", before->number);
    request.batch = before->batch;
    request.by_filter = before->by_filter;
    return request;
  }
  auto [item, what] = DrawItem(machine, request);
  request.what = what;
  request.batch.items.push_back(std::move(item));
  return request;
}

void Clients::Send(Request& request, std::size_t at) {
  Machine& machine = federation_.machines()[at];
  Attempt& attempt = request.attempts.emplace_back();
  attempt.machine = at;
  attempt.life = machine.life;
  WriteOptions options;
  options.agent_id = "ai:sim";
  options.request_id = request.key;
  absl::Duration timeout = stage_.scenario.replication.quorum_timeout;
  if (dice_.Percent(30)) {
    timeout = dice_.Between(absl::Milliseconds(1), absl::Seconds(3));
    options.ack_timeout = timeout;
  }
  attempt.deadline = stage_.events.now() + timeout;
  attempt.before = federation_.HeldOn(machine);
  stage_.Say(machine.name, absl::StrFormat("request %d%s %s%s", request.number,
                                           request.key.empty() ? "" : " (keyed)", request.what,
                                           request.attempts.size() > 1 ? ", again" : ""));
  machine.node->WriteAsync(request.batch, options, [this, &request, &attempt](WriteResult result) {
    OnAnswer(request, attempt, std::move(result));
  });
}

// -- Answers --------------------------------------------------------------------------------------

void Clients::OnAnswer(Request& request, Attempt& attempt, WriteResult result) {
  const Machine& machine = federation_.machines()[attempt.machine];
  // Nobody hears what a dead process says.
  if (machine.life != attempt.life || !machine.process->alive()) return;
  if (attempt.answered) return stage_.Fail("a request was answered twice");
  attempt.answered = true;
  attempt.result = std::move(result);
  const WriteResult& told = attempt.result;
  stage_.Say(
      machine.name,
      absl::StrFormat("request %d: %s%s%s %s", request.number, WriteOutcomeName(told.outcome),
                      told.replayed ? " (known)" : "",
                      told.seq == 0
                          ? ""
                          : absl::StrFormat(" %s:%d", stage_.ledger.NameOf(told.stream), told.seq),
                      told.status.ok() ? "" : Text(told.status)));
  if (stage_.events.now() > attempt.deadline + kLate) {
    stage_.Fail(absl::StrFormat("request %d was answered %s after its deadline", request.number,
                                absl::FormatDuration(stage_.events.now() - attempt.deadline)));
  }
  switch (told.outcome) {
    case WriteOutcome::kCommitted:
      ++committed_;
      CheckCommitted(request, attempt, machine);
      break;
    case WriteOutcome::kPending:
      ++pending_;
      if (told.seq > 0 &&
          federation_.Holders(stage_.ledger.At(told.stream, told.seq, told.operation)) < 1) {
        stage_.Fail(absl::StrFormat("request %d is pending, and no disk holds it", request.number));
      }
      break;
    case WriteOutcome::kRejected:
      ++rejected_;
      CheckRejected(request, told);
      break;
    case WriteOutcome::kUnknown:
      break;
  }
  CheckReplay(request, attempt);
}

void Clients::MustBeHeld(const std::vector<std::vector<CommitName>>& alternatives,
                         const Machine& machine, const std::string& what) {
  int most = alternatives.empty() ? stage_.scenario.needed() : 0;  // it rests on nothing
  for (const std::vector<CommitName>& commits : alternatives) {
    const int holders = federation_.Holders(commits);
    if (holders >= stage_.scenario.needed()) {
      acknowledged_.insert(commits.begin(), commits.end());
      return;
    }
    most = std::max(most, holders);
  }
  if (most >= stage_.scenario.needed()) return;
  std::string names;
  for (const std::vector<CommitName>& commits : alternatives) {
    for (const CommitName& name : commits) {
      if (federation_.Holders({name}) >= stage_.scenario.needed()) continue;
      absl::StrAppend(&names, " ", stage_.ledger.NameOf(name.stream), ":", name.seq);
    }
  }
  stage_.Fail(absl::StrFormat("%s says that %s is committed, and %d of %d disks hold%s",
                              machine.name, what, most, stage_.scenario.needed(), names));
}

std::vector<std::vector<CommitName>> Clients::RestsOn(const Request& request,
                                                      const Attempt& attempt) const {
  const WriteResult& told = attempt.result;
  std::vector<std::vector<CommitName>> alternatives;
  if (told.replayed || request.by_filter) {
    // Other members may have executed it, too: this one has seen those that it holds.
    const Held held = federation_.HeldOn(federation_.machines()[attempt.machine]);
    for (auto& [stream, commits] : stage_.ledger.ExecutionsOf(told.operation)) {
      std::erase_if(commits,
                    [&](const CommitName& commit) { return !stage_.ledger.Holds(held, commit); });
      if (!commits.empty()) alternatives.push_back(std::move(commits));
    }
    if (!alternatives.empty()) return alternatives;
  }
  if (told.seq > 0) {
    for (const CommitName& name : stage_.ledger.At(told.stream, told.seq, told.operation)) {
      alternatives.push_back({name});
    }
    return alternatives;
  }
  // Nothing had to be written, for it was so already.
  const WriteItem& item = request.batch.items.front();
  if (const auto* link = std::get_if<AddLink>(&item)) {
    return {stage_.ledger.LastWriteTo(
        attempt.before,
        {Kind::kLink, model::MakeLinkKey(link->source_id, link->target_id, link->relation)})};
  }
  if (const auto* link = std::get_if<RemoveLink>(&item)) {
    return {stage_.ledger.LastWriteTo(
        attempt.before,
        {Kind::kLink, model::MakeLinkKey(link->source_id, link->target_id, link->relation)})};
  }
  return {stage_.ledger.LastWrites(attempt.before)};
}

void Clients::CheckCommitted(const Request& request, const Attempt& attempt,
                             const Machine& machine) {
  const WriteResult& told = attempt.result;
  if (told.replayed) ++replayed_;
  if (told.seq == 0 && !told.replayed) ++unchanged_;
  MustBeHeld(RestsOn(request, attempt), machine, absl::StrFormat("request %d", request.number));
  if (stage_.scenario.needed() > 1 &&
      (!told.quorum || told.quorum->got() < stage_.scenario.needed())) {
    stage_.Fail(absl::StrFormat("request %d is committed, and its report names fewer than W",
                                request.number));
  }
}

void Clients::CheckRejected(const Request& request, const WriteResult& result) {
  // A change by filter may have made some of its commits; another attempt may have been executed.
  if (request.by_filter || request.attempts.size() > 1 || result.operation == OperationId()) return;
  if (!stage_.ledger.ExecutionsOf(result.operation).empty()) {
    stage_.Fail(absl::StrFormat("request %d was rejected, and is in a log", request.number));
  }
}

void Clients::CheckReplay(const Request& request, const Attempt& attempt) {
  if (!request.once || attempt.result.outcome == WriteOutcome::kRejected) return;
  for (const Attempt& other : request.attempts) {
    if (&other == &attempt || !other.answered || other.result.items.empty() ||
        attempt.result.items.empty()) {
      continue;
    }
    if (other.result.items[0].id != attempt.result.items[0].id) {
      stage_.Fail(absl::StrFormat("request %d has two effects: %s and %s", request.number,
                                  other.result.items[0].id, attempt.result.items[0].id));
    }
  }
}

void Clients::CheckAnswered() {
  for (const Request& request : requests_) {
    for (const Attempt& attempt : request.attempts) {
      const Machine& machine = federation_.machines()[attempt.machine];
      if (attempt.answered || machine.life != attempt.life || !machine.up()) continue;
      if (stage_.events.now() > attempt.deadline + kLate) {
        stage_.Fail(
            absl::StrFormat("request %d was never answered by %s", request.number, machine.name));
      }
    }
  }
}

void Clients::CheckHeld() {
  std::vector<Held> disks;
  for (const Machine& machine : federation_.machines())
    disks.push_back(federation_.HeldOn(machine));
  for (const CommitName& name : acknowledged_) {
    if (std::none_of(disks.begin(), disks.end(),
                     [&](const Held& held) { return stage_.ledger.Holds(held, name); })) {
      stage_.Fail(absl::StrFormat("%s:%d was acknowledged, and is on no disk",
                                  stage_.ledger.NameOf(name.stream), name.seq));
    }
  }
}

void Clients::CheckOutcomes() {
  const Held held = federation_.HeldOn(federation_.machines().front());
  for (const CommitName& name : acknowledged_) {
    if (!stage_.ledger.Holds(held, name)) {
      stage_.Fail(absl::StrFormat("%s:%d was acknowledged, and is lost",
                                  stage_.ledger.NameOf(name.stream), name.seq));
    }
  }
  const bool disks_lost = stage_.scenario.wipes || stage_.scenario.put_backs;
  for (const Request& request : requests_) {
    bool rejected = true;
    OperationId operation;
    for (const Attempt& attempt : request.attempts) {
      rejected = rejected && attempt.answered && attempt.result.outcome == WriteOutcome::kRejected;
      if (attempt.answered && attempt.result.operation != OperationId()) {
        operation = attempt.result.operation;
      }
      if (!attempt.answered || attempt.result.outcome != WriteOutcome::kPending) continue;
      // A disk that was lost took with it what it alone held.
      const std::vector<CommitName> names =
          stage_.ledger.At(attempt.result.stream, attempt.result.seq, attempt.result.operation);
      if (!std::all_of(names.begin(), names.end(),
                       [&](const CommitName& name) { return stage_.ledger.Holds(held, name); })) {
        if (disks_lost) continue;
        stage_.Fail(absl::StrFormat("request %d was pending, and is lost", request.number));
      }
      const auto info = federation_.machines()[attempt.machine].node->GetOperation(
          attempt.result.operation, absl::ZeroDuration());
      if (info.ok() && info->outcome != WriteOutcome::kCommitted) {
        stage_.Fail(absl::StrFormat("request %d is on all members, and still %s", request.number,
                                    WriteOutcomeName(info->outcome)));
      }
    }
    if (rejected && !request.by_filter && operation != OperationId() &&
        !stage_.ledger.ExecutionsOf(operation).empty()) {
      stage_.Fail(absl::StrFormat("all attempts of request %d were rejected, and it is in a log",
                                  request.number));
    }
  }
  CheckOnce();
  CheckPresence();
}

/// A key has one effect, whoever executed it and how often.
void Clients::CheckOnce() {
  const std::unique_ptr<Store> store = federation_.Inspect(federation_.machines().front());
  ListRequest question;
  question.filter.namespace_ = "once";
  question.filter.expired = true;
  question.limit = 100'000;
  const auto list = store->List(question);
  if (!list.ok()) return stage_.Fail(Text(list.status()));
  std::map<std::string, int> rows;
  for (const Memory& memory : list->memories) {
    if (++rows[memory.title] > 1) stage_.Fail(absl::StrCat("two rows of '", memory.title, "'"));
  }
}

/// A memory is there if and only if its latest put is later than its latest delete: what was
/// deleted and not put again stays away.
void Clients::CheckPresence() {
  const Machine& any = federation_.machines().front();
  const std::unique_ptr<Store> store = federation_.Inspect(any);
  for (const auto& [id, present] : stage_.ledger.Present(federation_.HeldOn(any))) {
    const bool found = store->Get(id, {.archived = true}).ok();
    if (found == present) continue;
    stage_.Fail(absl::StrCat(
        "memory ", id, found ? " was deleted, and is there" : " was put last, and is not there"));
  }
}

}  // namespace aimem::sim
