// Links between memories.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/write_batch.h"
#include "lib/execute/batch.h"
#include "lib/execute/fields.h"
#include "lib/execute/kind.h"

namespace aimem::execute {

template <>
struct KindOf<AddLink> {
  static constexpr std::uint8_t kNumber = 6;
  static constexpr std::tuple kFields{
      Field{1, &AddLink::source_id},
      Field{2, &AddLink::target_id},
      Field{3, &AddLink::relation},
      Field{4, &AddLink::created_at},
  };
  static void Reads(const AddLink& item, ReadList& reads);
  static absl::StatusOr<ItemResult> Execute(const AddLink& item, Batch& batch);
};

template <>
struct KindOf<RemoveLink> {
  static constexpr std::uint8_t kNumber = 7;
  static constexpr std::tuple kFields{
      Field{1, &RemoveLink::source_id},
      Field{2, &RemoveLink::target_id},
      Field{3, &RemoveLink::relation},
  };
  static void Reads(const RemoveLink& item, ReadList& reads);
  static absl::StatusOr<ItemResult> Execute(const RemoveLink& item, Batch& batch);
};

/// Link two live memories; `created_at` is checked by the caller.
absl::StatusOr<ItemResult> Link(const std::string& source, const std::string& target,
                                const std::string& relation, absl::Time created_at, Batch& batch);

}  // namespace aimem::execute
