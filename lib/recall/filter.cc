#include "lib/recall/filter.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/errors.h"
#include "lib/base/status.h"
#include "lib/index/document.h"
#include "lib/model/validate.h"
#include "lib/recall/score.h"

namespace aimem::recall {
namespace {

constexpr std::int64_t kLimitMax = 1'000'000;

bool HasTag(std::string_view encoded, std::string_view tag) {
  while (!encoded.empty()) {
    const std::size_t end = std::min(encoded.find('\0'), encoded.size());
    if (encoded.substr(0, end) == tag) return true;
    encoded.remove_prefix(std::min(end + 1, encoded.size()));
  }
  return false;
}

}  // namespace

absl::Status CheckLimit(std::int64_t value, std::string_view field) {
  if (value >= 0 && value <= kLimitMax) return absl::OkStatus();
  return InvalidField(field, std::to_string(value),
                      absl::StrFormat("%s must be from 0 to %d (got %d)", field, kLimitMax, value),
                      absl::StrFormat("0..%d", kLimitMax));
}

absl::StatusOr<MemoryFilter> MemoryFilter::Create(const Filter& filter, bool with_ancestors,
                                                  absl::Time now) {
  Filter checked = filter;
  if (checked.as_agent) {
    const absl::Status status = model::CheckNamespace(*checked.as_agent);
    if (!status.ok()) {
      ErrorDetail detail = DetailOf(status).value_or(ErrorDetail());
      detail.field = "as_agent";
      return WithDetail(Annotate(status, "invalid as_agent"), detail);
    }
  }
  return MemoryFilter(std::move(checked), with_ancestors, now);
}

MemoryFilter::MemoryFilter(Filter filter, bool with_ancestors, absl::Time now)
    : filter_(std::move(filter)),
      with_ancestors_(with_ancestors),
      now_(model::ToNanoseconds(now)) {}

bool MemoryFilter::InNamespace(std::string_view namespace_) const {
  if (!filter_.namespace_) return true;
  const std::string_view asked = *filter_.namespace_;
  if (namespace_ == asked) return true;
  return with_ancestors_ && !namespace_.empty() && asked.size() > namespace_.size() &&
         asked.starts_with(namespace_) && asked[namespace_.size()] == '/';
}

std::optional<std::vector<std::string>> MemoryFilter::Namespaces() const {
  if (!filter_.namespace_) return std::nullopt;
  const std::string& asked = *filter_.namespace_;
  std::vector<std::string> names = {asked};
  for (std::size_t end = 1; with_ancestors_ && end < asked.size(); ++end) {
    if (asked[end] == '/') names.push_back(asked.substr(0, end));
  }
  return names;
}

bool MemoryFilter::Holds(const index::Facts& facts, std::int32_t priority,
                         std::int64_t created_at) const {
  const bool alive = facts.expires_at == index::kNever || facts.expires_at > now_;
  return (filter_.expired || alive) && (!filter_.tier || facts.tier == *filter_.tier) &&
         (!filter_.min_priority || priority >= *filter_.min_priority) &&
         (!filter_.since || model::FromNanoseconds(created_at) >= *filter_.since) &&
         (!filter_.until || model::FromNanoseconds(created_at) <= *filter_.until);
}

std::vector<std::string> MemoryFilter::Terms() const {
  std::vector<std::string> terms;
  for (const std::string& tag : filter_.tags) terms.push_back(index::TagTerm(tag));
  if (filter_.agent_id) terms.push_back(index::AgentTerm(*filter_.agent_id));
  std::sort(terms.begin(), terms.end());
  terms.erase(std::unique(terms.begin(), terms.end()), terms.end());
  return terms;
}

bool MemoryFilter::Matches(const model::MemoryView& view,
                           std::span<const model::Part> parts) const {
  const index::Facts facts{.tier = view.tier,
                           .expires_at = view.expires_at.value_or(index::kNever)};
  return InNamespace(view.namespace_) && Holds(facts, view.priority, view.created_at) &&
         (!filter_.agent_id || view.agent_id == *filter_.agent_id) && HasTags(view.tags) &&
         Visible(view, parts);
}

double MemoryFilter::Proximity(std::string_view namespace_) const {
  if (!with_ancestors_ || !filter_.namespace_) return 1;
  return recall::Proximity(model::Depth(*filter_.namespace_), model::Depth(namespace_));
}

bool MemoryFilter::HasTags(std::string_view encoded) const {
  return std::all_of(filter_.tags.begin(), filter_.tags.end(),
                     [&](const std::string& tag) { return HasTag(encoded, tag); });
}

bool MemoryFilter::Visible(const model::MemoryView& view,
                           std::span<const model::Part> parts) const {
  return !filter_.as_agent || Visible(index::ReadScope(view, parts), view.namespace_);
}

bool MemoryFilter::Visible(const index::Facts& facts, const index::Segment& segment,
                           index::Ordinal document) const {
  return !has_asker() ||
         Visible(facts.scope, segment.namespaces()[segment.NamespaceOf(document)].name);
}

bool MemoryFilter::Visible(index::Scope scope, std::string_view namespace_) const {
  return !filter_.as_agent ||
         model::ScopeVisible(index::ScopeName(scope), namespace_, *filter_.as_agent);
}

}  // namespace aimem::recall
