#include "lib/store/local_store.h"

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/background.h"
#include "lib/base/callback.h"
#include "lib/base/rendezvous.h"
#include "lib/base/status.h"
#include "lib/base/thread.h"
#include "lib/store/eraser.h"
#include "lib/store/foundation.h"
#include "lib/store/group_writer.h"
#include "lib/store/health.h"
#include "lib/store/index_keeper.h"
#include "lib/store/indexer.h"
#include "lib/store/intake.h"
#include "lib/store/job.h"
#include "lib/store/log_keeper.h"
#include "lib/store/outcomes.h"
#include "lib/store/questions.h"
#include "lib/store/readers.h"
#include "lib/store/recovery.h"
#include "lib/store/stream_life.h"
#include "lib/store/touches.h"
#include "lib/store/unreadable.h"
#include "lib/store/watcher.h"

namespace aimem {

absl::StatusOr<std::unique_ptr<Store>> OpenLocalStore(std::unique_ptr<Backend> backend,
                                                      const StoreOptions& options) {
  return store::OpenMemberStore(std::move(backend), options);
}

namespace store {
namespace {

/// What takes longer to be kept of an index is left to whoever has the store open next.
constexpr absl::Duration kKeepAtEnd = absl::Seconds(5);

}  // namespace

struct LocalStore::Nouns {
  Nouns(LocalStore& store, std::unique_ptr<Backend> backend, const StoreOptions& options,
        Hooks hooks, PreparedMember prepared)
      : base(std::move(backend), options, std::move(hooks), &store),
        queue(base, [&store] { store.RunPosted(); }),
        health(base, queue, std::move(prepared.unwritable), prepared.member),
        readers(base, health),
        unreadable(base),
        recovery(base, health, readers, unreadable),
        eraser(base, queue, health, readers),
        watcher(base, health, readers, unreadable, recovery, eraser),
        streams(base, queue, health, recovery, watcher),
        outcomes(base, health, recovery, watcher, eraser),
        selections(options.environment.executor, "aimem-select"),
        keeper(base, queue, health, readers, recovery, selections),
        index_keeper(base, queue, health, recovery),
        indexer(base, queue, readers, index_keeper),
        writer(base, queue, health, recovery, watcher, streams, outcomes, keeper, indexer),
        intake(base, queue, readers, selections, indexer),
        questions(base, queue, health, readers, unreadable, indexer),
        touches(base, queue, intake) {}

  const Foundation base;
  WriteQueue queue;
  Health health;
  Readers readers;
  Unreadable unreadable;
  Recovery recovery;
  Eraser eraser;
  Watcher watcher;
  StreamLife streams;
  Outcomes outcomes;
  Background selections;  // and plans of what may go from the log
  LogKeeper keeper;
  IndexKeeper index_keeper;
  Indexer indexer;
  GroupWriter writer;
  Intake intake;
  Questions questions;
  Touches touches;
  std::thread thread;  // the writer's; not with an executor
};

LocalStore::LocalStore(std::unique_ptr<Backend> backend, const StoreOptions& options, Hooks hooks,
                       PreparedMember prepared)
    : nouns_(std::make_unique<Nouns>(*this, std::move(backend), options, std::move(hooks),
                                     std::move(prepared))) {
  if (!nouns_->base.by_executor()) {
    nouns_->thread = StartThread("aimem-writer", [this] { WriterLoop(); });
  }
}

LocalStore::~LocalStore() {
  if (!nouns_->base.CheckProcess().ok()) {
    static_cast<void>(nouns_.release());
    return;
  }
  // Whoever still reads uses this object: there is nothing better than to wait.
  if (absl::Status status = CloseWithin(absl::InfiniteDuration()); !status.ok()) {
    nouns_->base.Log(LogLevel::kError, absl::StrCat("closing the store: ", status.message()));
  }
}

// -- Change ---------------------------------------------------------------------------------------

void LocalStore::WriteAsync(WriteBatch batch, const WriteOptions& options, WriteCallback done) {
  if (absl::Status status = nouns_->base.CheckProcess(); !status.ok()) {
    nouns_->base.Call(std::move(done), Refused(std::move(status)));
    return;
  }
  nouns_->intake.Write(std::move(batch), options, std::move(done), WriteQueue::Caller::kGoesOn);
}

WriteResult LocalStore::Write(WriteBatch batch, const WriteOptions& options) {
  absl::Status status = nouns_->base.CheckProcess();
  if (status.ok()) status = nouns_->base.CheckMayWait();
  if (!status.ok()) return Refused(std::move(status));
  Rendezvous<WriteResult> answer;
  nouns_->intake.Write(
      std::move(batch), options,
      [answer](WriteResult result) mutable { answer.Put(std::move(result)); },
      WriteQueue::Caller::kLeads);
  Lead();
  return answer.Take();
}

void LocalStore::Apply(ChangePage page, ApplyCallback done) {
  nouns_->intake.Apply(std::move(page), /*each=*/false, std::move(done));
}

void LocalStore::ApplyEach(ChangePage page, ApplyCallback done) {
  nouns_->intake.Apply(std::move(page), /*each=*/true, std::move(done));
}

void LocalStore::Refresh(StreamCallback done) {
  nouns_->queue.EnqueueStreamJob({0, std::nullopt, std::move(done)});
}

void LocalStore::ForsakeStream(std::uint64_t stream, const StreamHead& claimed,
                               StreamCallback done) {
  nouns_->queue.EnqueueStreamJob({stream, std::nullopt, std::move(done), claimed});
}

void LocalStore::YieldStream(std::uint64_t stream, const StreamHead& common, StreamCallback done) {
  nouns_->queue.EnqueueStreamJob({stream, common, std::move(done)});
}

// -- The turn -------------------------------------------------------------------------------------

void LocalStore::WriterLoop() {
  while (true) {
    const Turn turn(nouns_->queue, Turn::Take::kAwaited);
    if (turn.task() == Task::kEnd) return;
    try {
      Do(turn.task());
    } catch (...) {
      nouns_->base.LogThrown("the writer", StatusOfException());
    }
  }
}

void LocalStore::Do(Task task) {
  switch (task) {
    case Task::kWrite:
      return nouns_->writer.Write();
    case Task::kRetain:
      return nouns_->keeper.WritePart();
    case Task::kKeep:
      return nouns_->indexer.WritePart();
    case Task::kPlan:
      return nouns_->keeper.StartPlan();
    case Task::kRenew:
      return nouns_->indexer.RenewLater();
    case Task::kErase:
      return nouns_->eraser.Start();
    case Task::kMaintain:
      return nouns_->writer.Maintain(/*idle=*/true);
    case Task::kPoll:
      return nouns_->watcher.Poll();
    case Task::kHeal:
      return nouns_->recovery.Heal();
    case Task::kNone:
    case Task::kEnd:
      return;
  }
}

void LocalStore::Lead() {
  if (nouns_->base.by_executor()) return;
  const Turn turn(nouns_->queue, Turn::Take::kIfFree);
  Do(turn.task());
}

void LocalStore::RunPosted() {
  do {
    // A callback of the group being written may write again: whoever writes that group goes on.
    const Turn turn(nouns_->queue, Turn::Take::kIfFree);
    if (turn.task() == Task::kNone) return;
    Do(turn.task());
  } while (nouns_->queue.closing());
}

// -- Find, follow, compare, look after ------------------------------------------------------------

std::vector<absl::StatusOr<Memory>> LocalStore::Get(std::span<const std::string> ids,
                                                    const ReadOptions& options) {
  return nouns_->questions.Get(ids, options);
}

absl::StatusOr<ListResult> LocalStore::List(const ListRequest& request) {
  return nouns_->questions.List(request);
}

absl::StatusOr<SearchResult> LocalStore::Search(const SearchRequest& request) {
  if (!request.touch) return nouns_->questions.Search(request);
  const Touches::Room room = nouns_->touches.Reserve();
  absl::StatusOr<SearchResult> result = nouns_->questions.Search(request);
  if (result.ok()) nouns_->touches.Count(*result, room);
  return result;
}

absl::StatusOr<OperationInfo> LocalStore::GetOperation(OperationId operation, absl::Duration) {
  return nouns_->questions.GetOperation(operation);
}

absl::StatusOr<ChangePage> LocalStore::ReadChanges(const ChangeCursor& cursor,
                                                   const ReadChangesLimit& limit,
                                                   const ReadBounds& bounds) {
  return nouns_->questions.ReadChanges(cursor, limit, bounds);
}

absl::StatusOr<DigestResult> LocalStore::Digest(std::span<const DigestRange> ranges,
                                                const ReadBounds& bounds) {
  return nouns_->questions.Digest(ranges, bounds);
}

absl::StatusOr<StoreInfo> LocalStore::Info(const InfoOptions& options) {
  return nouns_->questions.Info(options);
}

absl::StatusOr<CheckReport> LocalStore::Check(const CheckOptions& options) {
  return nouns_->questions.Check(options);
}

absl::StatusOr<IndexInfo> LocalStore::Reindex(const ReindexOptions& options) {
  AIMEM_RETURN_IF_ERROR(nouns_->base.CheckProcess());
  AIMEM_RETURN_IF_ERROR(nouns_->base.CheckMayWait());
  AIMEM_ASSIGN_OR_RETURN(const Readers::Permit permit,
                         nouns_->readers.Admit(Readers::Reader::kCaller));
  return nouns_->indexer.Reindex(options);
}

// -- The end --------------------------------------------------------------------------------------

absl::Status LocalStore::Close() { return CloseWithin(nouns_->base.options.close_grace); }

absl::Status LocalStore::CloseWithin(absl::Duration grace) {
  AIMEM_RETURN_IF_ERROR(nouns_->base.CheckProcess());
  AIMEM_RETURN_IF_ERROR(nouns_->base.CheckMayWait());
  const absl::Duration until = nouns_->base.clock.Monotonic() + grace;
  nouns_->indexer.Close();
  nouns_->eraser.Close();
  nouns_->readers.Close();
  nouns_->queue.Close();
  if (nouns_->base.by_executor()) {
    nouns_->selections.Finish();
    nouns_->eraser.Finish();
    nouns_->indexer.Finish();
    nouns_->intake.Finish();
    nouns_->queue.RunPosted();
  }
  if (!nouns_->queue.AwaitIdle(until)) return StillInUse(grace);
  const Readers::Ended ended = nouns_->readers.AwaitEnd(until);
  if (ended == Readers::Ended::kNotYet) return StillInUse(grace);
  return ended == Readers::Ended::kReleased ? absl::OkStatus() : Release();
}

absl::Status LocalStore::StillInUse(absl::Duration grace) const {
  const WriteQueue::Load load = nouns_->queue.load();
  return absl::DeadlineExceededError(absl::StrFormat(
      "the store takes no more work, but after %s it still has %d reads in progress, %d writes "
      "that wait and %d to come (changes by filter, large pages, uses that a search counts): call "
      "Close() again when they have ended",
      absl::FormatDuration(grace), nouns_->readers.active(), load.items, load.long_work));
}

absl::Status LocalStore::Release() {
  nouns_->selections.Finish();
  nouns_->eraser.Finish();
  nouns_->indexer.Finish();
  nouns_->intake.Finish();
  if (nouns_->thread.joinable()) nouns_->thread.join();
  {
    const Turn turn(nouns_->queue, Turn::Take::kLast);
    nouns_->indexer.KeepAtEnd(nouns_->base.clock.Monotonic() +
                              kKeepAtEnd);  // before the log is cut
    nouns_->keeper.Finish();
  }
  absl::Status status;
  const absl::Status thrown = Contain([&] { status = nouns_->base.backend->Close(); });
  nouns_->readers.NoteReleased();
  AIMEM_RETURN_IF_ERROR(nouns_->touches.lost());
  return thrown.ok() ? status : thrown;
}

}  // namespace store
}  // namespace aimem
