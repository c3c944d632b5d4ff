// What is true of a simulated federation: what is on its disks, and what must hold of that.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "aimem/local_store.h"
#include "lib/changes/streams.h"
#include "lib/log/commit.h"

#include "tests/sim/federation.h"

namespace aimem::sim {

using testing::SimulatedMessage;

namespace {

/// "A1:3-7 B1:2" of a call's commits.
std::string DescribeCommits(const Ledger& ledger, const replication::AppendRequest& request) {
  std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> spans;
  for (const auto& commit : request.commits) {
    const auto at = log::PeekPosition(*commit);
    if (!at) continue;
    auto [span, added] = spans.emplace(at->stream, std::pair(at->seq, at->seq));
    span->second.second = at->seq;
  }
  std::string text;
  for (const auto& [stream, span] : spans) {
    absl::StrAppendFormat(&text, " %s:%d", ledger.NameOf(stream), span.first);
    if (span.second != span.first) absl::StrAppendFormat(&text, "-%d", span.second);
  }
  return text;
}

}  // namespace

std::unique_ptr<Store> Federation::Inspect(const Machine& machine) const {
  StoreOptions options;
  options.environment.executor = &idle_;
  auto store = OpenLocalStore(OpenEphemeralBackend(machine.disk), options);
  return store.ok() ? *std::move(store) : nullptr;
}

Held Federation::HeldOn(const Machine& machine) const {
  if (!machine.undurable->any) return HeldIn(machine.disk);
  const auto durable = std::make_shared<EphemeralDisk>();
  durable->Restore(machine.disk->Snapshot());
  return HeldIn(durable);
}

Held Federation::HeldIn(const std::shared_ptr<EphemeralDisk>& disk) const {
  Held held;
  StoreOptions options;
  options.environment.executor = &idle_;
  const auto store = OpenLocalStore(OpenEphemeralBackend(disk), options);
  if (!store.ok()) return held;
  const auto info = (*store)->Info();
  if (!info.ok() || info->installing) return held;
  held.vector = info->vector;
  const std::unique_ptr<Backend> backend = OpenEphemeralBackend(disk);
  const auto transaction = backend->BeginRead();
  if (!transaction.ok()) return held;
  const auto read = (*transaction)->Read({.heads = true, .meta = true});
  if (!read.ok()) return held;
  // Also those that were adopted: the commits before them are not here.
  const auto streams = changes::StreamsOf(*read);
  if (!streams.ok()) return held;
  for (const auto& [stream, head] : streams->heads) {
    if (head.hash != Hash256{}) held.heads[stream] = head;
  }
  return held;
}

int Federation::Holders(const std::vector<CommitName>& commits) const {
  std::vector<std::vector<Held>> disks;
  for (const Machine& machine : machines_) {
    disks.push_back(machine.past);
    disks.back().push_back(HeldOn(machine));
  }
  auto fewest = static_cast<std::ptrdiff_t>(machines_.size());
  for (const CommitName& commit : commits) {
    fewest = std::min(
        fewest, std::count_if(disks.begin(), disks.end(), [&](const std::vector<Held>& held) {
          return std::any_of(held.begin(), held.end(),
                             [&](const Held& one) { return stage_.ledger.Holds(one, commit); });
        }));
  }
  return static_cast<int>(fewest);
}

bool Federation::Apart() const {
  if (tally_.put_backs == 0 || days_passed_ == 0) return false;
  return std::any_of(machines_.begin(), machines_.end(), [](const Machine& machine) {
    if (!machine.up()) return false;
    const auto info = machine.node->Info({});
    return info.ok() && std::any_of(info->federation->peers.begin(), info->federation->peers.end(),
                                    [](const PeerInfo& peer) { return peer.streams_apart > 0; });
  });
}

std::string Federation::Stuck() {
  for (Machine& machine : machines_) {
    if (!machine.up()) return absl::StrCat(machine.name, " is down");
    const auto info = machine.node->Info({});
    if (!info.ok()) return absl::StrCat(machine.name, ": ", info.status().message());
    if (info->federation->learner && !info->installing) {
      return absl::StrCat(machine.name, " stays a learner");
    }
  }
  return "";
}

std::string Federation::Unequal() {
  std::optional<VersionVector> vector;
  std::optional<Id128> root;
  for (Machine& machine : machines_) {
    if (!machine.up()) return absl::StrCat(machine.name, " is down");
    const auto info = machine.node->Info({});
    if (!info.ok()) return absl::StrCat(machine.name, ": ", info.status().message());
    if (info->installing || info->federation->learner) {
      return absl::StrCat(machine.name, " is being filled");
    }
    if (info->federation->waiting_writes > 0) return absl::StrCat(machine.name, " has waiters");
    if (!vector) vector = info->vector;
    if (*vector != info->vector) {
      return absl::StrCat(machines_[0].name, " holds ", stage_.ledger.Describe(*vector), " and ",
                          machine.name, " holds ", stage_.ledger.Describe(info->vector));
    }
  }
  for (Machine& machine : machines_) {
    const auto digest = machine.node->Digest({}, {});
    if (!digest.ok()) return absl::StrCat(machine.name, ": ", digest.status().message());
    if (!root) root = digest->sums[0].sum;
    if (*root != digest->sums[0].sum) {
      return absl::StrCat(machine.name, " has the vector of ", machines_[0].name,
                          " and another digest");
    }
  }
  return "";
}

void Federation::Observe(const SimulatedMessage& message) {
  Trace& trace = stage_.trace;
  trace.Mix(static_cast<std::uint64_t>(absl::ToInt64Microseconds(stage_.events.now())));
  trace.Mix(static_cast<std::uint64_t>(message.what));
  trace.Mix(message.from);
  trace.Mix(message.to);
  const absl::Duration now = stage_.events.now();
  const std::string way = absl::StrCat(message.from, ">", message.to);
  switch (message.what) {
    case SimulatedMessage::What::kRequest:
      trace.Mix(message.request->commits.size());
      if (message.request->needs_resync) ++tally_.resyncs;
      commits_sent_ += static_cast<std::int64_t>(message.request->commits.size());
      if (trace.shown() && (!message.request->commits.empty() || message.request->needs_resync)) {
        trace.Show(now, way,
                   absl::StrCat("#", message.call, " append",
                                DescribeCommits(stage_.ledger, *message.request),
                                message.request->catch_up ? " (catch-up)" : "",
                                message.request->needs_resync ? " (needs resync)" : ""));
      }
      return;
    case SimulatedMessage::What::kReply:
      if (message.reply->refused != replication::Refusal::kNone) ++tally_.refusals;
      Hear(message.from, message.to, VectorOf(message.reply->header.heads));
      if (trace.shown()) {
        trace.Show(
            now, way,
            absl::StrCat("#", message.call, " reply: holds ",
                         stage_.ledger.Describe(VectorOf(message.reply->header.heads)),
                         message.reply->header.learner ? ", a learner" : "",
                         message.reply->refused == replication::Refusal::kNone
                             ? ""
                             : ", refused: " + replication::RefusalName(message.reply->refused)));
      }
      return;
    case SimulatedMessage::What::kFailed:
      trace.Mix(message.text);
      ++tally_.failed_calls;
      MachineAt(message.to).failed.insert(message.from);
      return trace.Show(now, way, absl::StrCat("#", message.call, " failed: ", message.text));
    case SimulatedMessage::What::kFetch:
      if (message.page != nullptr) ++tally_.pages;
      return trace.Show(now, way,
                        message.page == nullptr
                            ? absl::StrCat("fetch failed: ", message.text)
                            : absl::StrCat("page of ", message.page->states.size(), " states and ",
                                           message.page->commits.size(), " commits",
                                           message.page->end ? ", the last" : ""));
    case SimulatedMessage::What::kDigest:
      return trace.Show(now, way, "digests");
  }
}

}  // namespace aimem::sim
