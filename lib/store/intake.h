// Intake: what hosts and peers bring is checked, named and queued.
#pragma once

#include "absl/status/status.h"
#include "aimem/changes.h"
#include "aimem/store.h"
#include "lib/base/background.h"
#include "lib/base/mutex.h"
#include "lib/store/foundation.h"
#include "lib/store/indexer.h"
#include "lib/store/job.h"
#include "lib/store/readers.h"
#include "lib/store/write_queue.h"

namespace aimem::store {

/// A write by filter becomes a FilterRun; a small page of changes is decoded by whoever brings it,
/// a large one on a thread of its own, so that what peers send waits for nobody's scan, and those
/// that come meanwhile wait behind it. What is refused is answered on the caller's thread.
///
/// Thread-safe; its mutex is a leaf, held over no I/O and no callback.
class Intake {
 public:
  /// `selections`: where changes by filter select.
  Intake(const Foundation& base, WriteQueue& queue, Readers& readers, Background& selections,
         Indexer& indexer)
      : base_(base),
        queue_(queue),
        readers_(readers),
        selections_(selections),
        indexer_(indexer),
        decoder_(base.options.environment.executor, "aimem-pages") {}

  void Write(WriteBatch batch, const WriteOptions& options, WriteCallback done,
             WriteQueue::Caller caller);
  /// `each`: a commit that cannot be read is refused alone.
  void Apply(ChangePage page, bool each, ApplyCallback done) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Decode what is left, and end. After it nothing may be brought.
  void Finish() { decoder_.Finish(); }

 private:
  struct Decoding;

  void ApplyLater(ChangePage page, ApplyJob job) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Decode the page and queue it.
  void QueuePage(ChangePage page, ApplyJob job, WriteQueue::Caller caller);
  void Refuse(Job job, absl::Status status) const;
  void CountDecoding(int more) ABSL_LOCKS_EXCLUDED(mutex_);

  const Foundation& base_;
  WriteQueue& queue_;
  Readers& readers_;
  Background& selections_;
  Indexer& indexer_;
  Mutex mutex_;
  int decoding_ ABSL_GUARDED_BY(mutex_) = 0;  // by decoder_, or waiting for it
  Background decoder_;
};

}  // namespace aimem::store
