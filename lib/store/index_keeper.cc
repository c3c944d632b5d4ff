#include "lib/store/index_keeper.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "lib/base/callback.h"
#include "lib/base/status.h"
#include "lib/changes/meta.h"
#include "lib/changes/streams.h"
#include "lib/index/kept.h"
#include "lib/text/analysis.h"

namespace aimem::store {
namespace {

constexpr std::size_t kBlocksAtOnce = 1;  // the turn of others waits for it
constexpr std::uint64_t kDroppedAtOnce = 2;
/// A part is followed by none for so many times as long as it took.
constexpr double kPartPause = 3;
constexpr absl::Duration kLookAtBounds = absl::Milliseconds(100);
/// What failed is not tried again at once.
constexpr absl::Duration kTryAgain = absl::Minutes(1);

std::string PlaceOf(const ReadResult& read) {
  const auto found = read.meta.find(changes::kMetaIndex);
  return found == read.meta.end() ? std::string() : found->second;
}

std::uint64_t DocumentsNotIn(const index::KeptSegments& kept, const index::View& view) {
  std::uint64_t documents = 0;
  for (const index::Layer& layer : view.layers) {
    if (kept.Find(layer.segment) == nullptr) documents += layer.live();
  }
  return documents;
}

}  // namespace

IndexKeeper::IndexKeeper(const Foundation& base, WriteQueue& queue, Health& health,
                         Recovery& recovery)
    : base_(base), queue_(queue), health_(health), recovery_(recovery) {}

// -- Any thread -----------------------------------------------------------------------------------

absl::StatusOr<std::shared_ptr<const index::View>> IndexKeeper::Load(Transaction& transaction,
                                                                     const ReadResult& read) {
  std::string place = PlaceOf(read);
  index::KeptSegments known;
  {
    const MutexLock lock(mutex_);
    if (known_ == place) return nullptr;
    known = kept_;
  }
  absl::StatusOr<std::optional<index::Kept>> loaded = std::optional<index::Kept>();
  const bool says_where = index::SaysWhere(place);
  if (says_where) {
    const absl::StatusOr<index::ManifestPlace> at = index::DecodeManifestPlace(place);
    if (at.ok()) {
      loaded = index::LoadKept(transaction, *at, index::Reading(text::kDefaultLanguage), known);
    } else if (!absl::IsUnimplemented(at.status())) {
      loaded = at.status();
    }
  }
  // What can be read at another time is not known yet.
  if (!loaded.ok() && !absl::IsDataLoss(loaded.status())) return loaded.status();
  const MutexLock lock(mutex_);
  useless_ = says_where && !(loaded.ok() && *loaded);
  known_ = std::move(place);
  kept_.Clear();
  AIMEM_RETURN_IF_ERROR(loaded.status());
  if (!*loaded) return nullptr;
  const index::Kept& kept = **loaded;
  for (std::size_t i = 0; i < kept.segments.size(); ++i) {
    kept_.Add(kept.view->layers[i].segment, kept.segments[i]);
  }
  return kept.view;
}

bool IndexKeeper::LacksTooMuch(std::string_view place, std::uint64_t commits,
                               std::uint64_t changes) const {
  std::uint64_t covered = 0;
  absl::Time made = absl::InfiniteFuture();
  const bool says_where = index::SaysWhere(place);
  if (says_where) {
    const absl::StatusOr<index::ManifestPlace> at = index::DecodeManifestPlace(place);
    if (!at.ok()) return true;
    covered = at->commits;
    made = absl::FromUnixMillis(static_cast<std::int64_t>(at->made_ms));
  }
  // Fewer commits: of another history, which the log does not lead to.
  const std::uint64_t lacking = std::max(commits > covered ? commits - covered : 0, changes);
  if (lacking >= kTailMax) return true;
  return lacking > 0 && says_where && absl::AbsDuration(base_.Now() - made) > kTailAge;
}

bool IndexKeeper::GoesOnFrom(const ReadResult& read) const {
  const MutexLock lock(mutex_);
  return known_ == PlaceOf(read) && index::SaysWhere(*known_) && !useless_;
}

bool IndexKeeper::MayBegin() const {
  return !publication_ && base_.clock.Monotonic() >= not_before_;
}

bool IndexKeeper::Wants(const index::View& view, const ReadResult& read) const {
  if (!base_.backend->OutlivesProcess()) return false;
  const std::string place = PlaceOf(read);
  const MutexLock lock(mutex_);
  if (!MayBegin()) return false;
  // Of an index that is not known, as much as is in none that was.
  return (known_ == place && useless_) || behind_ == place ||
         LacksTooMuch(place, index::CommitsOf(view.position), DocumentsNotIn(kept_, view));
}

bool IndexKeeper::Keep(std::shared_ptr<const index::View> view, const ReadResult& read) {
  const std::string place = PlaceOf(read);
  index::KeptSegments kept;
  {
    const MutexLock lock(mutex_);
    if (known_ != place || !MayBegin()) return false;
    kept = kept_;
  }
  auto made = std::make_shared<index::Publication>(place, std::move(view),
                                                   index::Reading(text::kDefaultLanguage), kept,
                                                   base_.Now(), base_.random);
  const MutexLock lock(mutex_);
  if (known_ != place || !MayBegin()) return false;
  publication_ = std::move(made);
  queue_.Schedule(Task::kKeep, base_.clock.Monotonic());
  return true;
}

absl::Status IndexKeeper::KeepAnew(std::shared_ptr<const index::View> view, const ReadResult& read,
                                   const Bounds& bounds) {
  if (!base_.backend->OutlivesProcess()) return absl::OkStatus();
  {
    const MutexLock lock(mutex_);
    AIMEM_RETURN_IF_ERROR(AwaitEnd(bounds));
    known_ = PlaceOf(read);
    kept_.Clear();
    not_before_ = -absl::InfiniteDuration();
  }
  if (!Keep(std::move(view), read)) return absl::AbortedError("another index was read meanwhile");
  const MutexLock lock(mutex_);
  AIMEM_RETURN_IF_ERROR(AwaitEnd(bounds));
  return last_;
}

absl::Status IndexKeeper::AwaitEnd(const Bounds& bounds) {
  const std::shared_ptr<index::Publication> awaited = publication_;
  while (awaited && publication_ == awaited) {
    AIMEM_RETURN_IF_ERROR(bounds.Check());
    ended_.WaitFor(mutex_, kLookAtBounds);
  }
  return absl::OkStatus();
}

std::shared_ptr<index::Publication> IndexKeeper::publication() const {
  const MutexLock lock(mutex_);
  return publication_;
}

// -- The turn -------------------------------------------------------------------------------------

bool IndexKeeper::NoteDurable(const GroupLog& log) {
  if (!base_.backend->OutlivesProcess()) return false;
  std::uint64_t commits = 0;
  for (const auto& [stream, head] : log.streams.heads) commits += head.seq;
  CountFrom(log.index_place);
  Count(commits, log.set.rows.size());
  // Whoever was told did what it could.
  if (told_at_ && rows_ - *told_at_ < kTailMax) return false;
  if (!LacksTooMuch(place_, commits, rows_ - told_at_.value_or(0))) return false;
  const MutexLock lock(mutex_);
  behind_ = place_;
  if (!MayBegin()) return false;  // when that is over it is looked at again
  told_at_ = rows_;
  return true;
}

void IndexKeeper::CountFrom(std::string_view place) {
  if (place == place_) return;
  place_ = place;
  told_at_ = std::nullopt;
  if (!index::SaysWhere(place_)) return;
  const absl::StatusOr<index::ManifestPlace> at = index::DecodeManifestPlace(place_);
  while (at.ok() && !written_.empty() && written_.front().commits <= at->commits) {
    rows_ -= written_.front().rows;
    written_.pop_front();
  }
}

void IndexKeeper::Count(std::uint64_t commits, std::uint64_t rows) {
  constexpr std::size_t kApart = kTailMax;  // of more than these the first are counted as one
  written_.push_back({commits, rows});
  rows_ += rows;
  if (written_.size() <= kApart) return;
  written_[1].rows += written_[0].rows;
  written_.pop_front();
}

bool IndexKeeper::WritePart() {
  const absl::Duration begin = base_.clock.Monotonic();
  const std::shared_ptr<index::Publication> worked_on = publication();
  absl::StatusOr<bool> kept = false;
  const absl::Status thrown = Contain(
      [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { kept = WriteNext(worked_on.get()); });  // in the turn
  if (!thrown.ok()) kept = thrown;
  if (!kept.ok()) {
    Fail(kept.status(), worked_on);
    return false;
  }
  failure_.clear();
  const absl::Duration end = base_.clock.Monotonic();
  if (publication() || !unnamed_.empty()) {
    queue_.Schedule(Task::kKeep, end + kPartPause * (end - begin));
  }
  return *kept;
}

absl::StatusOr<bool> IndexKeeper::WriteNext(index::Publication* publication) {
  if (!publication && unnamed_.empty()) return false;
  if (!health_.well()) return absl::UnavailableError("the store takes no writes");
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> transaction,
                         base_.backend->BeginWrite());
  AIMEM_ASSIGN_OR_RETURN(const ReadResult found, transaction->Read({.heads = true, .meta = true}));
  AIMEM_RETURN_IF_ERROR(recovery_.ReadStreams(found, *transaction).status());
  WriteSet set;
  bool last = false;
  if (!publication) {
    index::CutBlocks(unnamed_, kDroppedAtOnce, set);
  } else if (PlaceOf(found) == publication->replaces()) {
    AIMEM_ASSIGN_OR_RETURN(last, Publish(*publication, *transaction, set));
  } else {
    return absl::AbortedError("another process has kept a later one");
  }
  AIMEM_RETURN_IF_ERROR(Commit(*transaction, set));
  if (last) NotePublished(*publication);
  return last;
}

absl::StatusOr<bool> IndexKeeper::Publish(index::Publication& publication, Transaction& transaction,
                                          WriteSet& set) {
  set.blocks = publication.Next(kBlocksAtOnce);
  if (!set.blocks.empty()) return false;
  AIMEM_ASSIGN_OR_RETURN(const std::vector<BlockCount> counts, transaction.CountBlocks());
  std::map<std::uint64_t, std::uint64_t> lacking = publication.blocks();
  unnamed_.clear();
  for (const auto& [number, blocks] : counts) {
    const auto named = lacking.find(number);
    if (named == lacking.end()) {
      unnamed_.push_back({number, blocks});
    } else if (named->second == blocks) {
      lacking.erase(named);
    }
  }
  if (!lacking.empty()) {
    unnamed_.clear();
    const MutexLock lock(mutex_);
    kept_.Clear();  // write all of them next time
    return absl::AbortedError("another process has dropped blocks of it");
  }
  changes::SetMeta(set, changes::kMetaIndex, publication.place());
  return true;
}

absl::Status IndexKeeper::Commit(Transaction& transaction, const WriteSet& set) {
  AIMEM_RETURN_IF_ERROR(transaction.Put(set));
  const CommitResult committed = transaction.Commit();
  // Whether these blocks are there matters to nobody; that the disk failed does.
  if (committed.outcome == CommitOutcome::kUnknown) health_.Fence(committed.status);
  return committed.status;
}

void IndexKeeper::NotePublished(const index::Publication& publication) {
  CountFrom(publication.place());
  const MutexLock lock(mutex_);
  if (rows_ >= kTailMax) behind_ = publication.place();
  known_ = publication.place();
  useless_ = false;
  publication.AddTo(kept_);
  publication_ = nullptr;
  last_ = absl::OkStatus();
  ended_.NotifyAll();
}

void IndexKeeper::Fail(const absl::Status& failure,
                       const std::shared_ptr<index::Publication>& worked_on) {
  unnamed_.clear();         // the next who keeps an index finds them again
  told_at_ = std::nullopt;  // what is lacking still is
  const bool may_not = absl::IsFailedPrecondition(failure) || absl::IsPermissionDenied(failure);
  {
    const MutexLock lock(mutex_);
    if (worked_on && publication_ == worked_on) {
      publication_ = nullptr;
      last_ = failure;
      ended_.NotifyAll();
    }
    const absl::Duration now = base_.clock.Monotonic();
    if (!absl::IsAborted(failure)) not_before_ = now + kTryAgain;
    if (!may_not) queue_.Schedule(Task::kRenew, std::max(now, not_before_));
  }
  std::string text(ToStd(failure.message()));
  // Who was outrun, may not write, or writes nothing now, has lost work and nothing else.
  if (failure_ == text || absl::IsAborted(failure) || may_not) return;
  failure_ = std::move(text);
  base_.Log(LogLevel::kWarning,
            absl::StrCat("the index could not be kept beside the rows: ", failure_));
}

void IndexKeeper::Finish(absl::Duration until) {
  while ((publication() || !unnamed_.empty()) && base_.clock.Monotonic() < until) WritePart();
}

}  // namespace aimem::store
