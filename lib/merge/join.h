// The join: all of merging.
//
// The state of an entity is a map part -> (stamp, bytes). Per part the greater (stamp, bytes)
// wins; then where `purged` is present nothing else stays, and otherwise the parts other than
// `deleted` whose stamp is not greater than `deleted`'s go, and the metadata parts whose stamp is
// smaller than `put`'s. Commutative, associative, idempotent.
#pragma once

#include <span>

#include "lib/model/parts.h"

namespace aimem::merge {

/// Join two states. The result borrows from both inputs.
model::Parts Join(std::span<const model::Part> a, std::span<const model::Part> b);

/// True if Join(have, incoming) == have, without building it.
bool Absorbs(std::span<const model::Part> have, std::span<const model::Part> incoming);

/// The first part at which the states hold different bytes under one stamp although the part's
/// stamp is not borrowed; null if there is none. Two histories then share a stream: an alarm.
const model::Part* Conflict(std::span<const model::Part> a, std::span<const model::Part> b);

}  // namespace aimem::merge
