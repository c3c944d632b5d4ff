// Memories one by one: store, import, patch, delete, erase, promote, touch; and several into one.
#pragma once

#include <cstdint>
#include <optional>
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
struct KindOf<PutMemory> {
  static constexpr std::uint8_t kNumber = 1;
  static constexpr std::tuple kFields{
      Field{1, &PutMemory::namespace_}, Field{2, &PutMemory::title},
      Field{3, &PutMemory::content},    Field{4, &PutMemory::tier},
      Field{5, &PutMemory::tags},       Field{6, &PutMemory::priority},
      Field{7, &PutMemory::confidence}, Field{8, &PutMemory::source},
      Field{9, &PutMemory::expires_at}, Field{10, &PutMemory::ttl_seconds},
      Field{11, &PutMemory::metadata},  Field{12, &PutMemory::scope},
  };
  static void Reads(const PutMemory& item, ReadList& reads);
  static absl::StatusOr<ItemResult> Execute(const PutMemory& item, Batch& batch);
};

template <>
struct KindOf<ImportMemory> {
  static constexpr std::uint8_t kNumber = 2;
  static constexpr std::tuple kFields{
      Field{1, &ImportMemory::memory},
      Field{2, &ImportMemory::archived_at},
  };
  static void Reads(const ImportMemory& item, ReadList& reads);
  static absl::StatusOr<ItemResult> Execute(const ImportMemory& item, Batch& batch);
};

/// The new end that a patch gives, as optional of optional of a time: set, and then at a time or
/// never.
void AppendNewEnd(const std::optional<absl::Time>& end, std::string& out);

template <>
struct KindOf<PatchMemory> {
  static constexpr std::uint8_t kNumber = 3;
  static constexpr std::tuple kFields{
      Field{1, &PatchMemory::id},
      Field{2, &PatchMemory::title},
      Field{3, &PatchMemory::content},
      Field{4, &PatchMemory::tier},
      Field{5, &PatchMemory::namespace_},
      Field{6, &PatchMemory::tags},
      Field{7, &PatchMemory::priority},
      Field{8, &PatchMemory::confidence},
      Field{9, &PatchMemory::expires_at, AppendNewEnd},
      Field{10, &PatchMemory::metadata},
  };
  static void Reads(const PatchMemory& item, ReadList& reads);
  static absl::StatusOr<ItemResult> Execute(const PatchMemory& item, Batch& batch);
};

template <>
struct KindOf<DeleteMemory> {
  static constexpr std::uint8_t kNumber = 4;
  static constexpr std::tuple kFields{
      Field{1, &DeleteMemory::id},
  };
  static void Reads(const DeleteMemory& item, ReadList& reads);
  static absl::StatusOr<ItemResult> Execute(const DeleteMemory& item, Batch& batch);
};

template <>
struct KindOf<EraseMemory> {
  static constexpr std::uint8_t kNumber = 19;
  static constexpr std::tuple kFields{
      Field{1, &EraseMemory::id},
  };
  static void Reads(const EraseMemory& item, ReadList& reads);
  static absl::StatusOr<ItemResult> Execute(const EraseMemory& item, Batch& batch);
};

template <>
struct KindOf<PromoteMemory> {
  static constexpr std::uint8_t kNumber = 5;
  static constexpr std::tuple kFields{
      Field{1, &PromoteMemory::id},
      Field{2, &PromoteMemory::to_namespace},
  };
  static void Reads(const PromoteMemory& item, ReadList& reads);
  static absl::StatusOr<ItemResult> Execute(const PromoteMemory& item, Batch& batch);
};

template <>
struct KindOf<TouchMemory> {
  static constexpr std::uint8_t kNumber = 8;
  static constexpr std::tuple kFields{
      Field{1, &TouchMemory::id},
  };
  static void Reads(const TouchMemory& item, ReadList& reads);
  static absl::StatusOr<ItemResult> Execute(const TouchMemory& item, Batch& batch);
};

template <>
struct KindOf<ConsolidateMemories> {
  static constexpr std::uint8_t kNumber = 13;
  static constexpr std::tuple kFields{
      Field{1, &ConsolidateMemories::ids},     Field{2, &ConsolidateMemories::title},
      Field{3, &ConsolidateMemories::summary}, Field{4, &ConsolidateMemories::namespace_},
      Field{5, &ConsolidateMemories::tier},    Field{6, &ConsolidateMemories::source},
  };
  static void Reads(const ConsolidateMemories& item, ReadList& reads);
  static absl::StatusOr<ItemResult> Execute(const ConsolidateMemories& item, Batch& batch);
};

}  // namespace aimem::execute
