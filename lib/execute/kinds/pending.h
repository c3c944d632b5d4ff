// Decisions on changes that wait for approval. What makes them wait is in governance.h.
#pragma once

#include <cstdint>
#include <tuple>

#include "absl/status/statusor.h"
#include "aimem/write_batch.h"
#include "lib/execute/batch.h"
#include "lib/execute/fields.h"
#include "lib/execute/kind.h"

namespace aimem::execute {

// 17 was that of a kind that could not be written: it stays free.
template <>
struct KindOf<DecidePending> {
  static constexpr std::uint8_t kNumber = 18;
  static constexpr std::tuple kFields{
      Field{1, &DecidePending::action_id},
      Field{2, &DecidePending::approve},
  };
  static void Reads(const DecidePending& item, ReadList& reads);
  static absl::StatusOr<ItemResult> Execute(const DecidePending& item, Batch& batch);
};

}  // namespace aimem::execute
