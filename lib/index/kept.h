// Kept: an index read back from blocks.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "lib/index/manifest.h"
#include "lib/index/publication.h"
#include "lib/index/view.h"

namespace aimem::index {

struct Kept {
  std::shared_ptr<const View> view;
  std::vector<KeptSegment> segments;  ///< Of each of the view's layers, in order.
};

/// The index that is kept at `place`; of its segments those are read that `known` has not. nullopt:
/// it was made in another way than `reading`. kDataLoss: its blocks are damaged, or not all there.
/// Errors of the transaction.
absl::StatusOr<std::optional<Kept>> LoadKept(Transaction& transaction, const ManifestPlace& place,
                                             std::string_view reading, const KeptSegments& known);

}  // namespace aimem::index
