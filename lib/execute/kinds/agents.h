// Agents, and what they ask approval for.
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
struct KindOf<RegisterAgent> {
  static constexpr std::uint8_t kNumber = 16;
  static constexpr std::tuple kFields{
      Field{1, &RegisterAgent::agent_id},
      Field{2, &RegisterAgent::agent_type},
      Field{3, &RegisterAgent::capabilities},
  };
  static void Reads(const RegisterAgent& item, ReadList& reads);
  static absl::StatusOr<ItemResult> Execute(const RegisterAgent& item, Batch& batch);
};

template <>
struct KindOf<QueuePending> {
  static constexpr std::uint8_t kNumber = 17;
  static constexpr std::tuple kFields{
      Field{1, &QueuePending::action_type},
      Field{2, &QueuePending::memory_id},
      Field{3, &QueuePending::namespace_},
      Field{4, &QueuePending::payload},
  };
  static void Reads(const QueuePending& item, ReadList& reads);
  static absl::StatusOr<ItemResult> Execute(const QueuePending& item, Batch& batch);
};

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
