// Agents.
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

}  // namespace aimem::execute
