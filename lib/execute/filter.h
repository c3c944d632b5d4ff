// Changes by filter: which memories they take, and what they write to each. One rule serves the
// selection, in a read, and the execution, which tests each selected row again.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/write_batch.h"
#include "lib/execute/batch.h"
#include "lib/execute/rows.h"
#include "lib/model/view.h"
#include "lib/recall/find.h"

namespace aimem::execute {

/// One thread at a time, copies included.
struct FilterRule {
  /// What the item did, if it took any.
  ItemEffect effect = ItemEffect::kUnchanged;
  /// As what the policies of namespaces have a say in it (Change::verb); empty: they have none.
  std::string_view governed = {};
  std::function<bool(const model::MemoryView& memory, absl::Time now)> takes;
  /// What all that it takes are known to be. nullopt: no index knows them, since they are not live.
  std::optional<recall::Candidates> candidates;
  /// The part that ends the life of a memory that is taken.
  std::function<Rows::PartWrite(const model::MemoryView& memory, absl::Time now)> end;
};

/// Whether the author may make this change of whatever is taken, for each (namespace, owner) of it.
absl::Status MayEnd(const FilterRule& rule,
                    const std::set<std::pair<std::string, std::string>>& taken, Batch& batch);

/// Apply `rule` to what was selected for the batch.
absl::StatusOr<ItemResult> EndSelected(const FilterRule& rule, Batch& batch);

}  // namespace aimem::execute
