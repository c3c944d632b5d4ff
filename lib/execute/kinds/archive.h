// Into the archive and out of it: what is forgotten, what has expired, what is restored, what goes
// for good.
#pragma once

#include <cstdint>
#include <tuple>

#include "absl/status/statusor.h"
#include "aimem/write_batch.h"
#include "lib/execute/batch.h"
#include "lib/execute/fields.h"
#include "lib/execute/filter.h"
#include "lib/execute/kind.h"

namespace aimem::execute {

template <>
struct KindOf<ForgetMemories> {
  static constexpr std::uint8_t kNumber = 9;
  static constexpr std::tuple kFields{
      Field{1, &ForgetMemories::namespace_},
      Field{2, &ForgetMemories::pattern},
      Field{3, &ForgetMemories::tier},
  };
  static void Reads(const ForgetMemories& item, ReadList& reads);
  static absl::StatusOr<FilterRule> Filter(const ForgetMemories& item);
};

template <>
struct KindOf<ExpireMemories> {
  static constexpr std::uint8_t kNumber = 10;
  static constexpr std::tuple kFields{
      Field{1, &ExpireMemories::archive},
  };
  static void Reads(const ExpireMemories& item, ReadList& reads);
  static absl::StatusOr<FilterRule> Filter(const ExpireMemories& item);
};

template <>
struct KindOf<RestoreMemory> {
  static constexpr std::uint8_t kNumber = 11;
  static constexpr std::tuple kFields{
      Field{1, &RestoreMemory::id},
  };
  static void Reads(const RestoreMemory& item, ReadList& reads);
  static absl::StatusOr<ItemResult> Execute(const RestoreMemory& item, Batch& batch);
};

template <>
struct KindOf<PurgeArchive> {
  static constexpr std::uint8_t kNumber = 12;
  static constexpr std::tuple kFields{
      Field{1, &PurgeArchive::older_than_days},
  };
  static void Reads(const PurgeArchive& item, ReadList& reads);
  static absl::StatusOr<FilterRule> Filter(const PurgeArchive& item);
};

}  // namespace aimem::execute
