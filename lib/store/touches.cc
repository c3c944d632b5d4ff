#include "lib/store/touches.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "aimem/limits.h"
#include "lib/base/status.h"

namespace aimem::store {

Touches::Room Touches::Reserve() {
  Room room = queue_.AdmitLongWork(0);
  // Nothing waits for this yet.
  if (room.ok()) room->Begin();
  return room;
}

void Touches::Count(const SearchResult& result, const Room& room) {
  if (!room.ok()) {
    if (!result.hits.empty()) Note(Refused(room.status()));
    return;
  }
  constexpr std::size_t kPerBatch = limits::kBatchChanges;
  for (std::size_t begin = 0; begin < result.hits.size(); begin += kPerBatch) {
    WriteBatch batch;
    const std::size_t end = std::min(begin + kPerBatch, result.hits.size());
    for (std::size_t i = begin; i < end; ++i) {
      batch.items.emplace_back(TouchMemory{result.hits[i].memory.id});
    }
    WriteOptions options;
    options.lazy = true;
    intake_.Write(
        std::move(batch), options, [this](const WriteResult& touched) { Note(touched); },
        WriteQueue::Caller::kFollowsUp);
  }
}

void Touches::Note(const WriteResult& touched) {
  if (touched.outcome == WriteOutcome::kCommitted || touched.outcome == WriteOutcome::kPending) {
    return;
  }
  // A store that is only read has nowhere to count uses.
  if (absl::IsFailedPrecondition(touched.status) || absl::IsPermissionDenied(touched.status)) {
    return;
  }
  base_.Log(LogLevel::kWarning, absl::StrCat("touch lost: ", touched.status.message()));
  MutexLock lock(mutex_);
  lost_.Update(Annotate(touched.status, "touch lost"));
}

absl::Status Touches::lost() const {
  MutexLock lock(mutex_);
  return lost_;
}

}  // namespace aimem::store
