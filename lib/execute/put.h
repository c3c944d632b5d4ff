// The items that write a whole row, which alone make a memory live: store, import, restore, the
// new row of a consolidation, the copy of a vertical promotion.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/lifetimes.h"
#include "aimem/write_batch.h"
#include "lib/execute/rows.h"

namespace aimem::execute {

/// "title '{t}' already exists in namespace '{ns}' (memory {id})".
absl::Status NameTaken(std::string_view namespace_, std::string_view title, std::string_view id);

/// An expiry as stored. A time beyond what int64 nanoseconds hold means: never (nullopt); one
/// before it is kInvalidArgument.
absl::StatusOr<std::optional<std::int64_t>> ExpiryNanoseconds(absl::Time time);

/// Whether a purge of the archive takes this memory.
bool InPurgeRange(const PurgeArchive& purge, const model::MemoryView& view, std::int64_t now_ns);

class PutWriter {
 public:
  PutWriter(Rows& rows, const Lifetimes& lifetimes, const WriteOptions& write, absl::Time now);

  absl::StatusOr<ItemResult> Put(const PutMemory& item);
  absl::StatusOr<ItemResult> Import(const ImportMemory& item);
  absl::StatusOr<ItemResult> Restore(const RestoreMemory& item);
  absl::StatusOr<ItemResult> Consolidate(const ConsolidateMemories& item);
  absl::StatusOr<ItemResult> PromoteTo(const std::string& id, const std::string& to_namespace);
  absl::StatusOr<ItemResult> Register(const RegisterAgent& item);
  absl::StatusOr<ItemResult> Link(const std::string& source, const std::string& target,
                                  const std::string& relation, absl::Time created_at);

 private:
  using Members = std::vector<std::pair<std::string, std::string>>;

  /// A whole row as it is to be written; the rules of the upsert are applied by Upsert.
  struct Row {
    std::string namespace_, title, content, tags;  // tags encoded
    Tier tier = Tier::kMid;
    std::int32_t priority = 5;
    double confidence = 1.0;
    std::string source;
    std::string agent_id;
    Members metadata;  // without agent_id
    std::optional<std::int64_t> expires_at;
    /// Without an end of its own it keeps the one of the memory that it updates.
    bool keeps_end = false;
    std::int64_t created_at = 0;
    std::int64_t updated_at = 0;
    std::int64_t access_count = 0;
    std::optional<std::int64_t> last_accessed_at;
    std::optional<std::int64_t> forgotten_ms;
  };

  /// The entity that a store of this name writes, and the other owners that it heals away.
  struct Target {
    std::string id;
    bool exists = false;
    std::vector<std::string> others;
  };
  absl::StatusOr<Target> FindTarget(std::string_view namespace_, std::string_view title);

  /// Store `row` under its name: update the owner or make a new memory.
  absl::StatusOr<ItemResult> Upsert(Row row);
  /// Write all parts of `row` under `id`.
  absl::Status WriteRow(const std::string& id, const Row& row);
  absl::Status MarkConsolidated(const std::string& id);
  [[nodiscard]] std::optional<std::int64_t> DefaultExpiry(Tier tier) const;
  /// Everything that a put over `entity` carries along.
  [[nodiscard]] static Row RowOf(const Entity& entity);

  Rows& rows_;
  const Lifetimes& lifetimes_;
  const WriteOptions& write_;
  const absl::Time now_;
  const std::int64_t now_ns_;
};

}  // namespace aimem::execute
