#include "lib/store/eraser.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "lib/base/callback.h"
#include "lib/base/status.h"
#include "lib/changes/meta.h"
#include "lib/changes/read.h"
#include "lib/changes/streams.h"
#include "lib/index/manifest.h"
#include "lib/log/commit.h"
#include "lib/log/grammar.h"

namespace aimem::store {
namespace {

// Of a page: what one turn may have to write again.
constexpr std::size_t kPageRows = 256;
constexpr std::size_t kPageBytes = 1u << 20;
constexpr int kPagesASnapshot = 64;  // longer ones hold up checkpoints

constexpr std::uint64_t kDroppedATurn = 64;  // blocks of an index

constexpr std::size_t kWaitingMax = 1'000;                     // more are answered at once
constexpr absl::Duration kAgainSoon = absl::Milliseconds(50);  // while somebody waits
constexpr absl::Duration kAgain = absl::Seconds(1);
constexpr absl::Duration kAgainLate = absl::Hours(1);  // unless somebody erases something
/// Whoever waits does not wait longer for what cannot be done.
constexpr absl::Duration kPatience = absl::Seconds(2);

absl::StatusOr<std::set<EntityKey>> FindPurged(Transaction& read, const std::set<EntityKey>& keys) {
  std::set<EntityKey> purged;
  if (keys.empty()) return purged;
  const ReadSet set{.keys = {keys.begin(), keys.end()}};
  AIMEM_ASSIGN_OR_RETURN(const ReadResult result, read.Read(set));
  model::Parts parts;
  for (const std::optional<EntityRow>& row : result.rows) {
    if (!row || !log::DecodeState(row->state, parts).ok()) continue;
    if (model::IsPurged(parts)) purged.insert(row->key);
  }
  return purged;
}

}  // namespace

Eraser::Eraser(const Foundation& base, WriteQueue& queue, Health& health, Readers& readers)
    : base_(base),
      queue_(queue),
      health_(health),
      readers_(readers),
      background_(base.options.environment.executor, "aimem-erase") {}

// -- Begin ----------------------------------------------------------------------------------------

void Eraser::Note(const std::string& erasing) {
  if (erasing.empty()) return;
  if (!base_.by_executor()) {
    MutexLock lock(mutex_);
    // What could not be done has its time: others write meanwhile.
    if (parked_) return;
  }
  Start();
}

void Eraser::Answer(Job job, const std::string& erasing) {
  bool waits = false;
  bool in_vain = false;
  {
    MutexLock lock(mutex_);
    in_vain = in_vain_;
    waits = !erasing.empty() && !closed_ && waiting_.size() < kWaitingMax;
    if (waits) waiting_.push_back(std::move(job));
  }
  if (waits) return in_vain ? Start() : Note(erasing);
  std::get<WriteJob>(job).result.erasing = !erasing.empty();
  Deliver(base_, job);
  Note(erasing);
}

void Eraser::Start() {
  std::unique_ptr<Round> round;
  {
    MutexLock lock(mutex_);
    if (running_ || closed_) return;
    running_ = true;
    round = std::move(parked_);
  }
  if (!round) round = std::make_unique<Round>();
  round->work = std::make_unique<WriteQueue::LongWork>(queue_.BeginLongWork());
  Post(&Eraser::Look, std::move(round));
}

void Eraser::Post(Step step, std::unique_ptr<Round> round) {
  // Shared with what is posted: where nothing could be, it is still here.
  const auto kept = std::make_shared<std::unique_ptr<Round>>(std::move(round));
  absl::Status posted;
  posted.Update(Contain([&] {
    posted = background_.Post([this, step, kept] {
      const absl::Status thrown = Contain([&] { (this->*step)(std::move(*kept)); });
      if (!thrown.ok()) Later(std::move(*kept), thrown);
    });
  }));
  if (!posted.ok()) Later(std::move(*kept), posted);
}

// -- Look -----------------------------------------------------------------------------------------

void Eraser::Look(std::unique_ptr<Round> round) {
  Found found;
  const absl::StatusOr<bool> all = LookOn(*round, found);
  if (!all.ok() || closed()) return Later(std::move(round), all.status());
  if (!found.places.empty()) return EnqueueErase(std::move(round), std::move(found));
  if (round->erasing.empty()) return Done(std::move(round));
  if (*all) return EnqueueDrop(std::move(round));
  Post(&Eraser::Look, std::move(round));
}

absl::StatusOr<bool> Eraser::LookOn(Round& round, Found& found) {
  AIMEM_ASSIGN_OR_RETURN(const Readers::Snapshot read, readers_.Begin());
  AIMEM_ASSIGN_OR_RETURN(const ReadResult store, read->Read({.heads = true, .meta = true}));
  const auto note = store.meta.find(changes::kMetaErasing);
  const std::string erasing = note == store.meta.end() ? std::string() : note->second;
  if (erasing != round.erasing) {
    round.erasing = erasing;
    round.left = changes::VectorOf(store.heads);
    round.after = 0;
  }
  if (erasing.empty()) return true;
  for (int page = 0; page < kPagesASnapshot && !round.left.empty(); ++page) {
    const auto [stream, end] = *round.left.begin();
    AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> rows,
                           read->ReadLog(stream, round.after, kPageRows, kPageBytes));
    AIMEM_RETURN_IF_ERROR(LookAtPage(*read, rows, found));
    round.after = rows.empty() ? end : rows.back().seq;
    if (round.after >= end) {
      round.left.erase(stream);
      round.after = 0;
    }
    if (!found.places.empty()) return false;
  }
  return round.left.empty();
}

absl::Status Eraser::LookAtPage(Transaction& read, const std::vector<LogRow>& rows, Found& found) {
  std::vector<log::Commit> commits;
  std::set<EntityKey> keys;
  for (const LogRow& row : rows) {
    absl::StatusOr<log::Commit> commit = log::DecodeCommit(row.bytes, /*verify=*/false);
    // What cannot be read cannot be erased: doctor names it.
    if (!commit.ok()) continue;
    std::erase_if(commit->changes,
                  [](const log::Change& change) { return !log::HasErasable(change); });
    for (const log::Change& change : commit->changes) keys.insert(change.key);
    commit->header.stream = row.stream;
    commit->header.seq = row.seq;
    commits.push_back(*std::move(commit));
  }
  AIMEM_ASSIGN_OR_RETURN(found.purged, FindPurged(read, keys));
  for (const log::Commit& commit : commits) {
    for (const log::Change& change : commit.changes) {
      if (!found.purged.contains(change.key)) continue;
      found.places.emplace_back(commit.header.stream, commit.header.seq);
      break;
    }
  }
  return absl::OkStatus();
}

void Eraser::Scrub(std::unique_ptr<Round> round) {
  const absl::Status status = base_.backend->Scrub();
  if (status.ok()) return EnqueueEnd(std::move(round));
  Later(std::move(round), Annotate(status, "it may still lie in what the engine keeps of it"));
}

// -- In a turn ------------------------------------------------------------------------------------

void Eraser::EnqueueErase(std::unique_ptr<Round> round, Found found) {
  const auto kept = std::make_shared<std::unique_ptr<Round>>(std::move(round));
  // What was found is lost: it is looked for again, from the beginning.
  const auto again = [this, kept](const absl::Status& why) {
    (*kept)->erasing.clear();
    Later(std::move(*kept), why);
  };
  StreamJob job;
  job.done = [again](const absl::StatusOr<log::StoreState>& failed) { again(failed.status()); };
  job.run = [this, kept, again, found = std::move(found)](std::unique_ptr<Transaction> transaction)
                ABSL_NO_THREAD_SAFETY_ANALYSIS {
                  const absl::Status status = Erase(*transaction, found);
                  transaction.reset();
                  if (!status.ok()) return again(status);
                  Post(&Eraser::Look, std::move(*kept));
                };
  queue_.EnqueueStreamJob(std::move(job));
}

absl::Status Eraser::Erase(Transaction& transaction, const Found& found) {
  WriteSet set;
  for (const auto& [stream, seq] : found.places) {
    AIMEM_ASSIGN_OR_RETURN(std::vector<LogRow> rows, transaction.ReadLog(stream, seq - 1, 1, 1));
    if (rows.empty() || rows.front().seq != seq) continue;  // cut meanwhile
    std::optional<std::string> without = log::EraseBodies(
        rows.front().bytes, [&](const EntityKey& key) { return found.purged.contains(key); });
    if (!without) continue;
    rows.front().bytes = *std::move(without);
    set.log_rewrites.push_back(std::move(rows.front()));
  }
  return set.log_rewrites.empty() ? absl::OkStatus() : Commit(transaction, set);
}

void Eraser::EnqueueDrop(std::unique_ptr<Round> round) {
  const auto kept = std::make_shared<std::unique_ptr<Round>>(std::move(round));
  StreamJob job;
  job.done = [this, kept](const absl::StatusOr<log::StoreState>& failed) {
    Later(std::move(*kept), failed.status());
  };
  job.run = [this, kept](std::unique_ptr<Transaction> transaction) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const absl::StatusOr<bool> none = Drop(*transaction);
    transaction.reset();
    if (!none.ok()) return Later(std::move(*kept), none.status());
    if (*none) return Post(&Eraser::Scrub, std::move(*kept));
    EnqueueDrop(std::move(*kept));
  };
  queue_.EnqueueStreamJob(std::move(job));
}

absl::StatusOr<bool> Eraser::Drop(Transaction& transaction) {
  AIMEM_ASSIGN_OR_RETURN(const ReadResult store, transaction.Read({.meta = true}));
  const auto place = store.meta.find(changes::kMetaIndex);
  AIMEM_ASSIGN_OR_RETURN(
      std::vector<BlockCount> blocks,
      index::FindUnnamed(transaction, place == store.meta.end() ? std::string() : place->second));
  if (blocks.empty()) return true;
  WriteSet set;
  index::CutBlocks(blocks, kDroppedATurn, set);
  AIMEM_RETURN_IF_ERROR(Commit(transaction, set));
  return false;
}

void Eraser::EnqueueEnd(std::unique_ptr<Round> round) {
  const auto kept = std::make_shared<std::unique_ptr<Round>>(std::move(round));
  StreamJob job;
  job.done = [this, kept](const absl::StatusOr<log::StoreState>& failed) {
    Later(std::move(*kept), failed.status());
  };
  job.run = [this, kept](std::unique_ptr<Transaction> transaction) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const absl::StatusOr<bool> ended = End(*transaction, **kept);
    transaction.reset();
    if (!ended.ok()) return Later(std::move(*kept), ended.status());
    if (*ended) return Done(std::move(*kept));
    Post(&Eraser::Look, std::move(*kept));
  };
  queue_.EnqueueStreamJob(std::move(job));
}

absl::StatusOr<bool> Eraser::End(Transaction& transaction, const Round& round) {
  AIMEM_ASSIGN_OR_RETURN(const ReadResult store, transaction.Read({.meta = true}));
  const auto note = store.meta.find(changes::kMetaErasing);
  if (note == store.meta.end() || note->second.empty()) return true;  // by another process
  if (note->second != round.erasing) return false;
  WriteSet set;
  changes::SetMeta(set, changes::kMetaErasing, std::string());
  AIMEM_RETURN_IF_ERROR(Commit(transaction, set));
  return true;
}

absl::Status Eraser::Commit(Transaction& transaction, const WriteSet& set) {
  AIMEM_RETURN_IF_ERROR(health_.Explain(transaction.Put(set)));
  const CommitResult committed = transaction.Commit();
  // Whether it is there does not matter: it is done again. That the disk failed does.
  if (committed.outcome == CommitOutcome::kUnknown) health_.Fence(committed.status);
  return committed.status;
}

// -- The end of a round ---------------------------------------------------------------------------

void Eraser::Done(std::unique_ptr<Round> round) {
  {
    MutexLock lock(mutex_);
    running_ = false;
    failed_.clear();
  }
  AnswerAll(/*erasing=*/false);
  round.reset();
}

void Eraser::Later(std::unique_ptr<Round> round, const absl::Status& why) {
  const absl::Duration now = base_.clock.Monotonic();
  if (!round) round = std::make_unique<Round>();
  round->failing_since = std::min(round->failing_since, now);
  // Somebody has to see to that first: the note stays, and says that something is left.
  const bool in_vain = absl::IsFailedPrecondition(why);
  // On an executor, which has no timer, the next transaction is when it goes on.
  const bool soon = !in_vain && !base_.by_executor() && now - round->failing_since < kPatience;
  bool said = why.ok() || absl::IsUnavailable(why);
  const std::unique_ptr<WriteQueue::LongWork> work = std::move(round->work);
  bool closed = false;
  {
    MutexLock lock(mutex_);
    running_ = false;
    parked_ = std::move(round);
    closed = closed_;
    said = said || failed_ == ToStd(why.message());
    if (!said) failed_ = std::string(ToStd(why.message()));
    in_vain_ = in_vain;
    const absl::Duration pause = in_vain ? kAgainLate : soon ? kAgainSoon : kAgain;
    if (!closed) queue_.Schedule(Task::kErase, now + pause);
  }
  if (!said) {
    base_.Log(LogLevel::kWarning, absl::StrCat("erasing what was purged: ", why.message()));
  }
  if (!soon || closed) AnswerAll(/*erasing=*/true);
}

void Eraser::AnswerAll(bool erasing) {
  std::vector<Job> waiting;
  {
    MutexLock lock(mutex_);
    waiting.swap(waiting_);
  }
  for (Job& job : waiting) {
    std::get<WriteJob>(job).result.erasing = erasing;
    Deliver(base_, job);
  }
}

void Eraser::Close() {
  {
    MutexLock lock(mutex_);
    closed_ = true;
  }
  AnswerAll(/*erasing=*/true);
}

bool Eraser::closed() const {
  MutexLock lock(mutex_);
  return closed_;
}

}  // namespace aimem::store
