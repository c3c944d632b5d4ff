// Filter: the one place that decides which memories a list or a search is about.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/requests.h"
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
