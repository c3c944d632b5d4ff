// Answers, and what each kind of error looks like on the wire.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "aimem/write_batch.h"
#include "services/web/message.h"

namespace aimem::rest {

using web::JsonAnswer;
using web::Request;
using web::Response;
using web::TextAnswer;

/// {"error":"text"}
Response ErrorAnswer(int status, std::string_view text);

/// For the error of a read, or of a write that was rejected. What only the operator should know
/// is left out: 500 says no more than that.
Response StatusAnswer(const absl::Status& status);
/// For an error of reading a body (wire/requests.h).
Response BodyAnswer(const absl::Status& status);

/// For a write that is not committed, or one whose only item was refused: `asynchronous` if the
/// caller prefers 202 to waiting for a quorum.
Response OutcomeAnswer(const WriteResult& result, bool asynchronous);
/// True if one of the comma list's preferences is respond-async (RFC 7240).
bool PrefersAsync(std::string_view prefer);

}  // namespace aimem::rest
