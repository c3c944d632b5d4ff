#include "services/rest/filters.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "services/wire/requests.h"

namespace aimem::rest {
namespace {

std::optional<Tier> TierOf(web::Query& query, const std::string& key) {
  const std::optional<std::string> text = query.Text(key);
  if (!text) return std::nullopt;
  const std::optional<Tier> tier = ParseTier(*text);
  if (!tier) {
    query.Refuse(absl::StrFormat("%s: unknown variant `%s`, expected one of `short`, `mid`, `long`",
                                 key, *text));
  }
  return tier;
}

}  // namespace

absl::StatusOr<Filter> FilterOf(web::Query& query) {
  Filter filter;
  filter.namespace_ = query.Text("namespace");
  filter.tier = TierOf(query, "tier");
  filter.min_priority = query.Integer("min_priority");
  if (std::optional<std::string> tag = query.Text("tags"); tag && !tag->empty()) {
    filter.tags.push_back(*std::move(tag));
  }
  AIMEM_RETURN_IF_ERROR(wire::SetTimes(query.Text("since"), query.Text("until"), filter));
  filter.agent_id = query.Text("agent_id");
  if (filter.agent_id) {
    const absl::Status status = model::CheckAgentId(*filter.agent_id);
    if (!status.ok()) return Annotate(status, "invalid agent_id filter");
  }
  return filter;
}

}  // namespace aimem::rest
