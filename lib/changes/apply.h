// The writing half of every transfer: a page of changes joined into the rows of a transaction.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "aimem/changes.h"
#include "lib/execute/rows.h"
#include "lib/log/commit.h"

namespace aimem::changes {

using execute::Rows;

/// A page that has been checked: its bytes decode, its hashes hold. Checking needs no database.
struct CheckedPage {
  struct State {
    EntityKey key;
    std::string bytes;
  };
  struct CommitBytes {
    log::Commit commit;
    std::string bytes;
  };
  std::vector<State> states;
  std::vector<CommitBytes> commits;
  std::vector<ApplyRefusal> unreadable;  ///< Commits that were left out.
  std::optional<StreamHeads> adopt;
  bool install = false;
  bool end = false;
  ChangeCursor next;
  std::uint64_t greatest = 0;  ///< Hlc that a stamp in it has; and of those that leave room.
  std::uint64_t greatest_with_room = 0;
};

/// kDataLoss or kInvalidArgument: nothing of the page may be taken. `each`: a commit that cannot be
/// read is left out, and no reason to refuse the others.
absl::StatusOr<CheckedPage> CheckPage(ChangePage page, bool each = false);

/// OK if the clock can go on after what `page` would make it see. A stamp is adopted whatever time
/// it names, so that whoever has seen a version beats it; but a stamp near the end of the 64 bits,
/// out of nowhere, would leave no greater one to anybody, for ever.
absl::Status CheckRoom(const CheckedPage& page, const StreamHeads& heads);

/// Join the states of `page` into the rows, without a commit.
absl::Status InstallStates(const CheckedPage& page, Rows& rows, ApplyResult& result);

/// Join the states of `page` that change a row, and hand those as changes of commits of the own
/// stream, at most log::kMaxChanges and log::kMaxCommitBytes each, to `commit`.
absl::Status ApplyStates(const CheckedPage& page, Rows& rows,
                         absl::FunctionRef<absl::Status(std::vector<log::Change>)> commit,
                         ApplyResult& result);

/// What was erased before it came, and the stamp of the last commit that said it.
using ErasedBefore = std::map<EntityKey, Stamp>;

/// Join the commits of `page` that follow `heads`, and append them to the log of `set` as they
/// are. `erased`: whose bodies were in none of these any more.
absl::Status ApplyCommits(const CheckedPage& page, Rows& rows, StreamHeads& heads, WriteSet& set,
                          ApplyResult& result, ErasedBefore& erased);

/// Purge what was `erased` and is not purged here yet, and hand that as changes of commits of the
/// own stream to `commit`. A body can come without the purge that took it along, which stands in
/// another stream: a store that held neither would be equal, by its vector, to one that holds the
/// body.
absl::Status ApplyErased(const ErasedBefore& erased, Rows& rows,
                         absl::FunctionRef<absl::Status(std::vector<log::Change>)> commit);

/// What ApplyCommits would refuse of `page`; OK: nothing.
absl::Status CheckFollows(const CheckedPage& page, StreamHeads heads);

}  // namespace aimem::changes
