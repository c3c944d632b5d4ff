// What describes a namespace.
#pragma once

#include <cstdint>
#include <tuple>

#include "absl/status/statusor.h"
#include "aimem/write_batch.h"
#include "lib/execute/batch.h"
#include "lib/execute/fields.h"
#include "lib/execute/kind.h"

namespace aimem::execute {

template <>
struct KindOf<SetStandard> {
  static constexpr std::uint8_t kNumber = 14;
  static constexpr std::tuple kFields{
      Field{1, &SetStandard::namespace_},
      Field{2, &SetStandard::memory_id},
      Field{3, &SetStandard::parent},
      Field{4, &SetStandard::policy},
  };
  static void Reads(const SetStandard& item, ReadList& reads);
  static absl::StatusOr<ItemResult> Execute(const SetStandard& item, Batch& batch);
};

template <>
struct KindOf<ClearStandard> {
  static constexpr std::uint8_t kNumber = 15;
  static constexpr std::tuple kFields{
      Field{1, &ClearStandard::namespace_},
  };
  static void Reads(const ClearStandard& item, ReadList& reads);
  static absl::StatusOr<ItemResult> Execute(const ClearStandard& item, Batch& batch);
};

}  // namespace aimem::execute
