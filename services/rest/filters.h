// What the query of a URL asks memories to be like.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "aimem/requests.h"
#include "services/web/url.h"

namespace aimem::rest {

/// namespace, tier, min_priority, since, until, tags and agent_id. kInvalidArgument: a value that
/// can be read and is not valid.
absl::StatusOr<Filter> FilterOf(web::Query& query);

}  // namespace aimem::rest
