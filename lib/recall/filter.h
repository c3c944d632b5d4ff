// Filter: the one place that decides which memories a list or a search is about.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/requests.h"
#include "lib/index/document.h"
#include "lib/index/segment.h"
#include "lib/model/parts.h"
#include "lib/model/view.h"

namespace aimem::recall {

/// kInvalidArgument, naming the field, unless `value` is in [0, 1,000,000].
absl::Status CheckLimit(std::int64_t value, std::string_view field);

/// A Filter, checked and ready to be asked. Immutable.
class MemoryFilter {
 public:
  /// `with_ancestors`: a namespace with a '/' stands for its ancestors, too.
  /// kInvalidArgument: as_agent is not a namespace.
  static absl::StatusOr<MemoryFilter> Create(const Filter& filter, bool with_ancestors,
                                             absl::Time now);

  /// The namespaces that are asked, whatever the other conditions say.
  [[nodiscard]] bool InNamespace(std::string_view namespace_) const;
  /// Whether who asks may see the memory at all.
  [[nodiscard]] bool Visible(const model::MemoryView& view,
                             std::span<const model::Part> parts) const;
  /// All conditions. Of a memory that is live, expired or not.
  [[nodiscard]] bool Matches(const model::MemoryView& view,
                             std::span<const model::Part> parts) const;

  // -- The same, asked of what an index knows. Matches is all of it together. ---------------------
  /// Those for which InNamespace holds, each once; nullopt: all.
  [[nodiscard]] std::optional<std::vector<std::string>> Namespaces() const;
  /// Whether anything is asked for somebody: otherwise all is visible.
  [[nodiscard]] bool has_asker() const { return filter_.as_agent.has_value(); }
  [[nodiscard]] bool Visible(index::Scope scope, std::string_view namespace_) const;
  [[nodiscard]] bool Visible(const index::Facts& facts, const index::Segment& segment,
                             index::Ordinal document) const;
  /// The conditions on tier, priority, time and expiry.
  [[nodiscard]] bool Holds(const index::Facts& facts, std::int32_t priority,
                           std::int64_t created_at) const;
  /// The conditions on tags and agent: terms (document.h) that a memory must all have, each once.
  [[nodiscard]] std::vector<std::string> Terms() const;

  /// How much a memory of this namespace counts for one that was asked with its ancestors.
  [[nodiscard]] double Proximity(std::string_view namespace_) const;

 private:
  MemoryFilter(Filter filter, bool with_ancestors, absl::Time now);
  [[nodiscard]] bool HasTags(std::string_view encoded) const;

  Filter filter_;
  bool with_ancestors_;
  std::int64_t now_;
};

}  // namespace aimem::recall
