// Reading the states of a store in key order, all or those of one namespace, and comparing two.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/store.h"
#include "lib/model/parts.h"

namespace aimem::transfer {

/// Keeps the memories of one namespace, the links with both ends in it, and its standard.
///
/// A memory that is gone has no namespace any more: it is kept if the other store still shows it
/// there, so that a deletion reaches a copy that was made before it.
class NamespaceFilter {
 public:
  NamespaceFilter(Store& store, Store& other, std::string name)
      : store_(store), other_(other), namespace_(std::move(name)) {}

  /// Remove from `states`, read from the store, what does not belong. kDataLoss; kUnavailable.
  absl::Status Keep(std::vector<EntityState>& states);

 private:
  /// Whether the state itself tells; nullopt: it depends on the ids added to `ask`.
  absl::StatusOr<std::optional<bool>> Decide(const EntityState& state, std::set<std::string>& ask);
  absl::Status Ask(const std::set<std::string>& ids);
  absl::Status AskStore(Store& store, const std::vector<std::string>& ids);
  bool Belongs(const EntityState& state) const;

  Store& store_;
  Store& other_;
  std::string namespace_;
  std::map<std::string, bool, std::less<>> inside_;  // of the page at hand: id -> in the namespace
};

/// Decode a state, naming its key if that fails.
absl::Status Decode(const EntityState& state, model::Parts& parts);

/// All states of a store, one after the other, in constant memory.
class StateReader {
 public:
  /// `filter` null: everything. Borrows store and filter. `bounds`: of each page.
  StateReader(Store& store, const ReadChangesLimit& limit, NamespaceFilter* filter,
              const ReadBounds& bounds = {})
      : store_(store), limit_(limit), filter_(filter), bounds_(bounds) {}

  /// The next state in key order, valid until the next call; null at the end.
  absl::StatusOr<const EntityState*> Next();
  [[nodiscard]] std::int64_t pages() const { return pages_; }

 private:
  absl::Status ReadPage();

  Store& store_;
  ReadChangesLimit limit_;
  NamespaceFilter* filter_;
  ReadBounds bounds_;
  ChangeCursor cursor_ = ChangeCursor::Everything();
  std::vector<EntityState> states_;
  std::size_t next_ = 0;
  bool over_ = false;
  std::int64_t pages_ = 0;
};

struct Differences {
  std::int64_t missing = 0;    // in the source only
  std::int64_t different = 0;  // the source has something that the destination lacks
  std::int64_t extra = 0;      // in the destination only
};

/// Walk both stores side by side. `seen` is called with each state of the source and its parts;
/// an error from it ends the walk.
absl::StatusOr<Differences> Compare(
    StateReader& from, StateReader& to,
    absl::FunctionRef<absl::Status(const EntityState&, const model::Parts&)> seen);

}  // namespace aimem::transfer
