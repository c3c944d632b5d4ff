// Writing a memory as a whole, which alone makes it live: store, import, restore, the new row of a
// consolidation, the copy of a vertical promotion, the registration of an agent.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/write_batch.h"
#include "lib/execute/batch.h"
#include "lib/execute/rows.h"

namespace aimem::execute {

/// A whole row as it is to be written; the rules of the upsert are applied by Upsert.
struct MemoryRow {
  std::string namespace_, title, content, tags;  // tags encoded
  Tier tier = Tier::kMid;
  std::int32_t priority = 5;
  double confidence = 1.0;
  std::string source;
  std::string agent_id;
  std::vector<std::pair<std::string, std::string>> metadata;  // without agent_id
  std::optional<std::int64_t> expires_at;
  /// Without an end of its own it keeps the one of the memory that it updates.
  bool keeps_end = false;
  std::int64_t created_at = 0;
  std::int64_t updated_at = 0;
  std::int64_t access_count = 0;
  std::optional<std::int64_t> last_accessed_at;
  std::optional<std::int64_t> forgotten_ms;

  friend bool operator==(const MemoryRow&, const MemoryRow&) = default;
};

/// Everything that a put over `entity` carries along.
MemoryRow RowOf(const Entity& entity);
/// The row that the parts of AddProposed say.
MemoryRow ProposedRow(std::span<const model::Part> parts);
/// Add to `parts` those of `row` as it is to be stored later. They borrow from `names`.
void AddProposed(const MemoryRow& row, std::vector<std::string>& names,
                 std::vector<Rows::PartWrite>& parts);

/// Take the members of a canonical object over into `row`, agent_id into its own field.
absl::Status SetMetadata(const std::string& canonical, MemoryRow& row);

/// An expiry as stored. A time beyond what int64 nanoseconds hold means: never (nullopt); one
/// before it is kInvalidArgument.
absl::StatusOr<std::optional<std::int64_t>> ExpiryNanoseconds(absl::Time time);

/// Canonical JSON of texts, and of members that are.
std::string JsonArray(std::span<const std::string> values);
std::string JsonObject(const std::map<std::string, std::string>& members);

/// The entity that a store of this name writes, and the other owners that it heals away.
struct RowTarget {
  std::string id;
  bool exists = false;
  std::vector<std::string> others;
};
absl::StatusOr<RowTarget> FindTarget(std::string_view namespace_, std::string_view title,
                                     Batch& batch);

/// Store `row` under its name: update the owner or make a new memory.
absl::StatusOr<ItemResult> Upsert(MemoryRow row, Batch& batch);

/// Write all parts of `row` under `id`.
absl::Status WriteRow(const std::string& id, const MemoryRow& row, Batch& batch);

/// Archive `id`, whose content is in another memory now.
absl::Status MarkConsolidated(const std::string& id, Batch& batch);

}  // namespace aimem::execute
