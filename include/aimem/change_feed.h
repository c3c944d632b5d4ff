// ChangeFeed: what has changed in a store, decoded, for a program that follows it.
//
//   auto from = ChangeCursor::FromBytes(kept);       // or Everything(), or After(info.vector)
//   ChangeFeed feed(store, *from);
//   for (;;) {
//     auto page = feed.Next();                       // not OK: nothing is lost, ask again
//     for (const FeedChange& change : page->changes) Note(change);
//     Keep(page->next.ToBytes());                    // after what it stands for
//     if (page->end) WaitAWhile();
//   }
//
// It tells how things stand, not how they came to be so: a memory that was written three times
// between two calls is told once, as it stands, and one that is written while a page is made may be
// told again by the next. So what it tells can be told twice without harm, and a program that ends
// before it has kept the cursor is told again what it may have missed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "aimem/changes.h"
#include "aimem/memory.h"
#include "aimem/requests.h"
#include "aimem/store.h"
#include "aimem/types.h"

namespace aimem {

/// One thing that has changed, as it stands now.
struct FeedChange {
  enum class What : std::uint8_t {
    kWritten,   ///< It is there: new, or changed.
    kUsed,      ///< A memory that is there, and of which only uses were counted.
    kArchived,  ///< A memory that was put aside.
    kDeleted,   ///< It is gone, or no longer shown.
  };

  /// kMemory, kLink or kNamespaceStandard; others are not told.
  Kind kind = Kind::kMemory;
  /// A memory's id; the namespace of a standard; of a link source, target and relation, with NUL
  /// between them.
  std::string id = {};
  What what = What::kWritten;
  /// Of a memory that is there or archived.
  std::optional<Memory> memory = {};
  /// Of a link; of one that is gone without created_at.
  std::optional<Link> link = {};
  /// Of a standard that is there.
  std::optional<NamespaceStandard> standard = {};
};

/// "written", "used", "archived" or "deleted".
std::string_view FeedWhatName(FeedChange::What what);

struct FeedPage {
  /// Ordered by kind and id, each thing once. A memory that goes takes its links along, and the
  /// standards without a policy that name it: those are not told. One that is written brings them:
  /// they are told, again if need be. Empty: nothing, or nothing that is told.
  std::vector<FeedChange> changes = {};
  /// Where the next page begins: to be kept when `changes` have been dealt with.
  ChangeCursor next = {};
  /// There was nothing more when this page was read.
  bool end = false;
};

/// Follows a store from a cursor on. If the log no longer reaches back to it (it was kept for
/// longer than StoreOptions::log_retention), everything that is there is told once more, and
/// everything that is gone as deleted. One thread at a time.
///
/// A cursor counts commits: where a store was put back to an earlier state, or a member gave up a
/// history for another one (docs/operating.md), places in the log are taken anew, and what had
/// them is followed by nobody. Begin with ChangeCursor::Everything() then.
class ChangeFeed {
 public:
  /// From ChangeCursor::Everything(): first all that there is. `limit`: of what one page reads from
  /// the log. `store` must outlive the feed.
  explicit ChangeFeed(Store& store, ChangeCursor from = ChangeCursor::Everything(),
                      const ReadChangesLimit& limit = {});

  /// The next page. Not OK, as from ReadChanges, Get or List (kUnavailable: retry): the feed stands
  /// where it stood. A row that cannot be read is left out: Check names it. `bounds`: of each of
  /// the reads that make a page.
  absl::StatusOr<FeedPage> Next(const ReadBounds& bounds = {});

  /// Where Next() goes on.
  [[nodiscard]] const ChangeCursor& cursor() const { return cursor_; }

 private:
  Store& store_;
  ChangeCursor cursor_;
  ReadChangesLimit limit_;
};

}  // namespace aimem
