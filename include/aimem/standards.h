// Standards: the memories that say how a namespace is to be used, and which of them hold where.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "aimem/memory.h"
#include "aimem/requests.h"
#include "aimem/store.h"

namespace aimem {

/// The namespaces whose standards hold in `namespace_`, from general to specific: "*", the explicit
/// parents above its first segment (at most 8, no circles), then each part of its path down to
/// itself. `all`: every standard of the store, of which only parents are read.
std::vector<std::string> StandardChain(const std::vector<NamespaceStandard>& all,
                                       std::string_view namespace_);

/// The standards that hold in `namespace_`, from general to specific, each memory once; of a store
/// without any there are none. One whose memory is gone is left out. Errors are those of
/// Store::List and Store::Get.
absl::StatusOr<std::vector<Memory>> StandardsOf(Store& store, std::string_view namespace_,
                                                const ReadBounds& bounds = {});

}  // namespace aimem
