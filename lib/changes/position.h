// Which rows a snapshot shows, as an index compares it.
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "aimem/environment.h"
#include "lib/index/view.h"

namespace aimem::changes {

/// Of a read with heads and meta: the last commits, adopted ones included, and what stands for rows
/// that changed in other ways. nullopt: the store is being filled, and every page changes rows
/// without a commit. kDataLoss says what does not decode.
absl::StatusOr<std::optional<index::Position>> PositionOf(const ReadResult& read);

/// Note in `set` that it changes rows and the log does not say which.
void NoteRows(Random& random, WriteSet& set);

}  // namespace aimem::changes
