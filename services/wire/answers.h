// What a server answers, read back: the inverse of shapes.h, outcome.h and federation.h.
//
// Every function reports kInvalidArgument for text that is not JSON, and kFailedPrecondition for
// JSON of another shape. Keys that are not known are ignored, and what only describes may be
// missing: then the value has its default. So servers of other versions can be read.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "aimem/requests.h"
#include "aimem/write_batch.h"

namespace aimem::wire {

/// {"memories":[…]}: of a list. A memory has an id, a namespace, a title and a content.
absl::StatusOr<std::vector<Memory>> ReadMemories(std::string_view json);
/// The same of a recall, whose memories have a score.
absl::StatusOr<SearchResult> ReadHits(std::string_view json);

/// What the answer to a write says, whatever became of it.
struct WriteAnswer {
  std::string error;  ///< "quorum_not_met", "not found", …; empty: it went well.
  std::string id;     ///< Of the memory that was written; empty: it does not say.
  std::optional<OperationId> operation;
  std::optional<WriteOutcome> outcome;  ///< Of one that is not committed.
};
absl::StatusOr<WriteAnswer> ReadWrite(std::string_view json);

/// Of an item that was refused the text alone is known: its code is kUnknown.
absl::StatusOr<OperationInfo> ReadOperation(std::string_view json);

/// As much as a member tells of itself and, if it is one of a federation, of its peers.
absl::StatusOr<StoreInfo> ReadFederation(std::string_view json);

}  // namespace aimem::wire
