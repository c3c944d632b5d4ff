// Questions: what is asked of a store, answered from snapshots.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "aimem/changes.h"
#include "aimem/requests.h"
#include "aimem/store.h"
#include "lib/store/bounds.h"
#include "lib/store/foundation.h"
#include "lib/store/health.h"
#include "lib/store/indexer.h"
#include "lib/store/readers.h"
#include "lib/store/unreadable.h"
#include "lib/store/write_queue.h"

namespace aimem::store {

/// The reading half of Store, which says what each of these means. No turn is needed; it keeps
/// nothing. Thread-safe.
class Questions {
 public:
  Questions(const Foundation& base, WriteQueue& queue, Health& health, Readers& readers,
            Unreadable& unreadable, Indexer& indexer)
      : base_(base),
        queue_(queue),
        health_(health),
        readers_(readers),
        unreadable_(unreadable),
        indexer_(indexer) {}

  std::vector<absl::StatusOr<Memory>> Get(std::span<const std::string> ids,
                                          const ReadOptions& options);
  absl::StatusOr<ListResult> List(const ListRequest& request);
  absl::StatusOr<SearchResult> Search(const SearchRequest& request);
  absl::StatusOr<OperationInfo> GetOperation(OperationId operation);
  /// A commit that cannot be read is met here first, perhaps: the listener is told less then.
  absl::StatusOr<ChangePage> ReadChanges(const ChangeCursor& cursor, const ReadChangesLimit& limit,
                                         const ReadBounds& bounds);
  absl::StatusOr<DigestResult> Digest(std::span<const DigestRange> ranges,
                                      const ReadBounds& bounds);
  absl::StatusOr<StoreInfo> Info(const InfoOptions& options);
  absl::StatusOr<CheckReport> Check(const CheckOptions& options);

 private:
  /// As Readers::Answer, with the view of the index that shows what the transaction shows, or null.
  /// Where others have led the index further, in a new snapshot.
  template <typename Ask>
  auto AnswerIndexed(const Bounds& bounds, Indexer::Question question, Ask ask)
      -> decltype(ask(std::declval<Transaction&>(), nullptr));
  [[nodiscard]] Bounds Begin(const ReadBounds& asked) const { return {asked, base_.clock}; }
  absl::StatusOr<StoreInfo> ReadInfo(Transaction& transaction, const InfoOptions& options);

  const Foundation& base_;
  WriteQueue& queue_;
  Health& health_;
  Readers& readers_;
  Unreadable& unreadable_;
  Indexer& indexer_;
};

}  // namespace aimem::store
