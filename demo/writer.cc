#include "demo/writer.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/open.h"
#include "aimem/store.h"
#include "lib/base/mutex.h"
#include "lib/base/status.h"

namespace aimem::demo {
namespace {

constexpr std::uint64_t kUpdatesPercent = 10;
constexpr std::uint64_t kDeletesPercent = 3;
constexpr std::size_t kLiveMin = 5;

constexpr std::array<std::string_view, 8> kPlaces = {
    "the north pier",  "the ticket hall", "berth four",         "the radio room",
    "the winter yard", "the fuel dock",   "the harbour office", "the breakwater light"};
constexpr std::array<std::string_view, 8> kFindings = {
    "was inspected and found in order",         "needs a new coat of paint before May",
    "had its fuses changed by the electrician", "was closed for an hour because of ice",
    "got a second camera facing the ramp",      "keeps its spare keys with the night watch",
    "took on four pallets of de-icing salt",    "was measured again for the new gangway"};

// splitmix64, by Steele, Lea and Flood: a plan needs numbers that are mixed, not secret.
std::uint64_t Mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

std::string Sentence(int writer, std::int64_t number, std::uint64_t random) {
  return absl::StrFormat("Log entry %d of watch %d: %s %s.", number, writer,
                         kPlaces[random % kPlaces.size()],
                         kFindings[(random >> 8) % kFindings.size()]);
}

class Writer {
 public:
  Writer(const WriterOptions& options, Store& store, JournalWriter& out, const Journal& journal)
      : options_(options),
        store_(store),
        out_(out),
        plan_(PlanWrites(options.writer, options.writes, options.threads)),
        ids_(static_cast<std::size_t>(options.threads)) {
    for (const Intent& intent : journal.intents) announced_.insert(intent.number);
    for (const Ack& ack : journal.acks) {
      acknowledged_.insert(ack.number);
      // A journal of another plan has numbers that this one lacks.
      if (ack.number < 0 || ack.number >= options.writes) continue;
      const auto number = static_cast<std::size_t>(ack.number);
      ids_[number % ids_.size()][plan_[number].title] = ack.id;
    }
  }

  absl::Status Run() {
    std::vector<std::thread> threads;
    for (int i = 0; i < options_.threads; ++i) threads.emplace_back([this, i] { RunThread(i); });
    for (std::thread& thread : threads) thread.join();
    MutexLock lock(mutex_);
    return status_;
  }

 private:
  void RunThread(std::int64_t first) {
    for (std::int64_t n = first; n < options_.writes; n += options_.threads) {
      if (acknowledged_.contains(n)) continue;
      absl::Status status = WriteOne(n, ids_[static_cast<std::size_t>(first)]);
      MutexLock lock(mutex_);
      status_.Update(status);
      if (!status_.ok()) return;
    }
  }

  absl::Status WriteOne(std::int64_t number, std::map<std::string, std::string>& ids) {
    const PlannedWrite& planned = plan_[static_cast<std::size_t>(number)];
    const bool put = planned.verb == Verb::kPut;
    const std::string hash = put ? HashContent(planned.content) : "";
    if (!announced_.contains(number)) {
      AIMEM_RETURN_IF_ERROR(out_.Append(Intent{.number = number,
                                               .verb = planned.verb,
                                               .namespace_ = WriterNamespace(options_.writer),
                                               .title = planned.title,
                                               .content_hash = hash,
                                               .at = MonotonicMicroseconds()}));
    }
    const std::string name = absl::StrFormat("writer-%d", options_.writer);
    const std::string request_id = absl::StrFormat("demo/%s/%d", name, number);
    const std::int64_t sent = MonotonicMicroseconds();
    const WriteResult result =
        store_.Write(Batch(planned, ids), {.agent_id = name, .request_id = request_id});
    const std::int64_t answered = MonotonicMicroseconds();
    if (result.outcome != WriteOutcome::kCommitted || result.items.size() != 1) {
      return Annotate(result.status.ok() ? absl::InternalError("no result") : result.status,
                      absl::StrFormat("write %d: %s", number, WriteOutcomeName(result.outcome)));
    }
    ids[planned.title] = result.items[0].id;
    return out_.Append(Ack{.number = number,
                           .id = result.items[0].id,
                           .content_hash = hash,
                           .stream = result.stream,
                           .seq = result.seq,
                           .latency = answered - sent,
                           .replayed = result.replayed,
                           .at = answered});
  }

  WriteBatch Batch(const PlannedWrite& planned, std::map<std::string, std::string>& ids) const {
    WriteBatch batch;
    if (planned.verb == Verb::kDelete) {
      batch.items.emplace_back(DeleteMemory{.id = ids[planned.title]});
      return batch;
    }
    PutMemory put;
    put.namespace_ = WriterNamespace(options_.writer);
    put.title = planned.title;
    put.content = planned.content;
    put.tier = Tier::kLong;
    put.tags = {"log"};
    batch.items.emplace_back(std::move(put));
    return batch;
  }

  const WriterOptions& options_;
  Store& store_;
  JournalWriter& out_;
  const std::vector<PlannedWrite> plan_;
  std::set<std::int64_t> announced_;
  std::set<std::int64_t> acknowledged_;
  std::vector<std::map<std::string, std::string>> ids_;  // title -> id; one map a thread
  Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);  // the first error
};

}  // namespace

std::string WriterNamespace(int writer) { return absl::StrFormat("demo/writer-%d", writer); }

std::vector<PlannedWrite> PlanWrites(int writer, std::int64_t writes, int threads) {
  std::vector<std::vector<std::string>> live(static_cast<std::size_t>(threads));
  std::vector<PlannedWrite> plan;
  for (std::int64_t n = 0; n < writes; ++n) {
    const std::uint64_t random =
        Mix(static_cast<std::uint64_t>(writer) << 32 ^ static_cast<std::uint64_t>(n));
    std::vector<std::string>& titles = live[static_cast<std::size_t>(n % threads)];
    const std::uint64_t percent = random % 100;
    const std::size_t chosen = titles.empty() ? 0 : (random >> 16) % titles.size();
    PlannedWrite write;
    if (titles.size() < kLiveMin || percent >= kUpdatesPercent + kDeletesPercent) {
      write.title = absl::StrFormat("Watch %d, log entry %d", writer, n);
      write.content = Sentence(writer, n, random);
      titles.push_back(write.title);
    } else if (percent < kUpdatesPercent) {
      write.title = titles[chosen];
      write.content = "Corrected. " + Sentence(writer, n, random);
    } else {
      write.verb = Verb::kDelete;
      write.title = titles[chosen];
      titles.erase(titles.begin() + static_cast<std::ptrdiff_t>(chosen));
    }
    plan.push_back(std::move(write));
  }
  return plan;
}

absl::Status RunWriter(const WriterOptions& options) {
  if (options.threads < 1 || options.threads > 64 || options.writes < 0) {
    return absl::InvalidArgumentError("threads must be in [1, 64], writes not negative");
  }
  AIMEM_ASSIGN_OR_RETURN(JournalWriter out, JournalWriter::Open(options.journal, /*sync=*/true));
  AIMEM_ASSIGN_OR_RETURN(const Journal journal, ReadJournal(options.journal));
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(options.store));
  absl::Status status = Writer(options, *store, out, journal).Run();
  status.Update(store->Close());
  return status;
}

}  // namespace aimem::demo
