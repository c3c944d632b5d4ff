// The writing half of every transfer: a page of changes joined into the rows of a transaction.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "aimem/changes.h"
#include "lib/log/commit.h"
#include "lib/store/rows.h"

namespace aimem::store {

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
  std::optional<StreamHeads> adopt;
  bool install = false;
  bool end = false;
  ChangeCursor next;
};

/// kDataLoss or kInvalidArgument: nothing of the page may be taken.
absl::StatusOr<CheckedPage> CheckPage(ChangePage page);

/// Join the states of `page` into the rows, without a commit.
absl::Status InstallStates(const CheckedPage& page, Rows& rows, ApplyResult& result);

/// Join the states of `page` that change a row, and hand those as changes of commits of the own
/// stream, at most log::kMaxChanges and log::kMaxCommitBytes each, to `commit`.
absl::Status ApplyStates(const CheckedPage& page, Rows& rows,
                         absl::FunctionRef<absl::Status(std::vector<log::Change>)> commit,
                         ApplyResult& result);

/// Join the commits of `page` that follow `heads`, and append them to the log of `set` as they
/// are.
absl::Status ApplyCommits(const CheckedPage& page, Rows& rows, StreamHeads& heads, WriteSet& set,
                          ApplyResult& result);

/// What ApplyCommits would refuse of `page`; OK: nothing.
absl::Status CheckFollows(const CheckedPage& page, StreamHeads heads);

}  // namespace aimem::store
