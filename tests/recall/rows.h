// Rows in short, and a backend in memory to put them in.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "aimem/backends/ephemeral.h"
#include "gtest/gtest.h"
#include "lib/log/grammar.h"
#include "lib/model/parts.h"
#include "lib/model/view.h"

namespace aimem {

/// What every test takes for the present.
inline const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

inline std::uint64_t Milliseconds(absl::Time time) {
  return static_cast<std::uint64_t>(absl::ToUnixMillis(time));
}

/// A live memory, unless `forgotten_at`, `deleted` or `purged` says otherwise.
struct MemoryRow {
  std::string id;
  std::string namespace_ = "global";
  std::string title = "title";
  std::string content = "content";
  Tier tier = Tier::kMid;
  std::vector<std::string> tags;
  int priority = 5;
  double confidence = 1.0;
  std::string source = "api";
  std::string agent_id;
  absl::Time created_at = kNow - absl::Hours(48);
  absl::Time updated_at = kNow - absl::Hours(24);
  std::uint64_t access_count = 0;
  std::optional<absl::Time> expires_at;
  std::vector<std::pair<std::string, std::string>> metadata;  ///< Key, JSON.
  std::optional<absl::Time> forgotten_at;
  bool consolidated = false;
  bool expired = false;
  bool deleted = false;
  bool purged = false;
  Stamp stamp{10, 1};
};

inline EntityRow RowOf(const EntityKey& key, model::PartsBuilder& builder) {
  const model::Parts& parts = builder.Build();
  return {.key = key, .name = model::IndexedName(key, parts), .state = log::EncodeState(parts)};
}

inline void SetMemoryParts(const MemoryRow& row, model::PartsBuilder& parts) {
  namespace part = model::part;
  const auto set = [&](std::string_view name, std::string value) {
    parts.Set(name, row.stamp, std::move(value));
  };
  set(part::kPut, "");
  set(part::kName, model::EncodeName(row.namespace_, row.title));
  set(part::kContent, row.content);
  set(part::kTags, model::EncodeTags(row.tags));
  set(part::kPriority, std::string(1, static_cast<char>(row.priority)));
  set(part::kConfidence, model::EncodeConfidence(row.confidence));
  set(part::kSource, row.source);
  if (!row.agent_id.empty()) set(part::kAgentId, row.agent_id);
  set(part::kCreatedAt, model::EncodeTime(model::ToNanoseconds(row.created_at)));
  set(part::kUpdatedAt, model::EncodeTime(model::ToNanoseconds(row.updated_at)));
  if (row.tier >= Tier::kMid) set(part::kTierMid, "");
  if (row.tier >= Tier::kLong) set(part::kTierLong, "");
  std::optional<std::int64_t> end;
  if (row.expires_at) end = model::ToNanoseconds(*row.expires_at);
  set(part::kExpiry, model::EncodeExpiry(row.tier, end));
  set(part::kUseCount, model::EncodeU64(row.access_count));
  set(part::kUseLast, "");
  for (const auto& [key, json] : row.metadata) set(model::MetaPart(key), json);
  if (row.forgotten_at) set(part::kForgotten, model::EncodeU64(Milliseconds(*row.forgotten_at)));
  if (row.consolidated) set(part::kConsolidated, model::EncodeU64(Milliseconds(kNow)));
  if (row.expired) set(part::kExpired, model::EncodeTime(model::ToNanoseconds(kNow)));
}

inline EntityRow MakeRow(const MemoryRow& row) {
  model::PartsBuilder parts;
  if (row.purged) {
    parts.Set(model::part::kPurged, row.stamp, "");
  } else if (row.deleted) {
    parts.Set(model::part::kDeleted, row.stamp, "");
  } else {
    SetMemoryParts(row, parts);
  }
  return RowOf({Kind::kMemory, row.id}, parts);
}

inline EntityRow MakeLink(std::string_view source, std::string_view target, Stamp stamp = {20, 1},
                          std::string_view relation = "related_to") {
  model::PartsBuilder parts;
  parts.Set(model::part::kLinked, stamp, model::EncodeTime(model::ToNanoseconds(kNow)));
  return RowOf({Kind::kLink, model::MakeLinkKey(source, target, relation)}, parts);
}

inline EntityRow MakeStandard(const std::string& namespace_, std::string memory_id,
                              std::string parent = "") {
  model::PartsBuilder parts;
  parts.Set(model::part::kStandardMemory, {30, 1}, std::move(memory_id));
  if (!parent.empty()) parts.Set(model::part::kStandardParent, {30, 1}, std::move(parent));
  return RowOf({Kind::kNamespaceStandard, namespace_}, parts);
}

/// A backend in memory with the rows that a test puts in it.
class Rows {
 public:
  void Put(const WriteSet& set) {
    auto transaction = backend_->BeginWrite();
    ASSERT_TRUE(transaction.ok()) << transaction.status();
    const absl::Status put = (*transaction)->Put(set);
    ASSERT_TRUE(put.ok()) << put;
    const CommitResult committed = (*transaction)->Commit();
    ASSERT_EQ(committed.outcome, CommitOutcome::kDurable) << committed.status;
  }
  void Put(std::vector<EntityRow> rows) {
    WriteSet set;
    set.rows = std::move(rows);
    Put(set);
  }
  void Put(const std::vector<MemoryRow>& memories) {
    WriteSet set;
    for (const MemoryRow& memory : memories) set.rows.push_back(MakeRow(memory));
    Put(set);
  }
  /// A snapshot.
  [[nodiscard]] std::unique_ptr<Transaction> Read() {
    auto transaction = backend_->BeginRead();
    EXPECT_TRUE(transaction.ok()) << transaction.status();
    return *std::move(transaction);
  }

 private:
  std::unique_ptr<Backend> backend_ = OpenEphemeralBackend();
};

}  // namespace aimem
