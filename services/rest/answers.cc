#include "services/rest/answers.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "aimem/errors.h"
#include "lib/base/status.h"
#include "lib/base/trouble.h"
#include "services/wire/outcome.h"

namespace aimem::rest {
namespace {

using wire::JsonObject;

// Upstream's clients wait so long after a quorum that was missed.
constexpr char kRetryAfter[] = "2";

// What a refusal is on the wire. What is not here is our own fault: 500.
struct Row {
  absl::StatusCode code;
  int status;
  bool retry;  // Retry-After is sent
};
constexpr std::array<Row, 12> kRows = {{
    {absl::StatusCode::kInvalidArgument, 400, false},
    {absl::StatusCode::kOutOfRange, 400, false},
    {absl::StatusCode::kPermissionDenied, 403, false},
    {absl::StatusCode::kNotFound, 404, false},
    {absl::StatusCode::kAlreadyExists, 409, false},
    {absl::StatusCode::kAborted, 409, false},
    {absl::StatusCode::kResourceExhausted, 429, true},
    {absl::StatusCode::kUnimplemented, 501, false},
    {absl::StatusCode::kUnavailable, 503, true},
    {absl::StatusCode::kDeadlineExceeded, 503, true},
    {absl::StatusCode::kCancelled, 503, true},
    {absl::StatusCode::kFailedPrecondition, 503, true},
}};

// 409 with the hash that is stored and the one that was asked for.
Response ConflictAnswer(const absl::Status& status) {
  const ErrorDetail conflict = DetailOf(status).value_or(ErrorDetail());
  return JsonAnswer(409, JsonObject()
                             .Text("error", "request_id_conflict")
                             .Text("stored_hash", conflict.stored_hash)
                             .Text("request_hash", conflict.request_hash)
                             .Build());
}

Response QuorumNotMet(const WriteResult& result) {
  Response response = JsonAnswer(503, wire::QuorumNotMetJson(result));
  response.headers.emplace_back("Retry-After", kRetryAfter);
  return response;
}

Response Unavailable(std::string_view reason) {
  return JsonAnswer(503, JsonObject().Text("error", "unavailable").Text("reason", reason).Build());
}

Response Accepted(const WriteResult& result) {
  Response response = JsonAnswer(202, wire::PendingJson(result));
  response.headers.emplace_back("Location", "/api/v1/operations/" + result.operation.ToString());
  response.headers.emplace_back("Preference-Applied", "respond-async");
  return response;
}

}  // namespace

Response ErrorAnswer(int status, std::string_view text) {
  return JsonAnswer(status, JsonObject().Text("error", text).Build());
}

Response StatusAnswer(const absl::Status& status) {
  const Trouble trouble = TroubleOf(status);
  if (trouble == Trouble::kDiskFull) return ErrorAnswer(507, ToStd(status.message()));
  if (trouble == Trouble::kDamaged) return Unavailable(ToStd(status.message()));
  // It stays so until somebody does what the text says.
  if (trouble == Trouble::kKeyUnreadable || trouble == Trouble::kRowUnreadable ||
      trouble == Trouble::kOvertaken) {
    return ErrorAnswer(409, ToStd(status.message()));
  }
  const auto row = std::find_if(kRows.begin(), kRows.end(),
                                [&](const Row& known) { return known.code == status.code(); });
  if (row == kRows.end()) return ErrorAnswer(500, "internal server error");
  const std::string_view message = ToStd(status.message());
  if (status.code() == absl::StatusCode::kAborted) return ConflictAnswer(status);
  Response response;
  if (row->status == 503) {
    response = Unavailable(message);
  } else {
    response = ErrorAnswer(row->status, row->status == 404 ? "not found" : message);
  }
  if (row->retry) response.headers.emplace_back("Retry-After", kRetryAfter);
  return response;
}

Response BodyAnswer(const absl::Status& status) {
  if (absl::IsInvalidArgument(status)) {
    return TextAnswer(
        400, absl::StrFormat("Failed to parse the request body as JSON: %s", status.message()));
  }
  return TextAnswer(422,
                    absl::StrFormat("Failed to deserialize the JSON body into the target type: %s",
                                    status.message()));
}

Response OutcomeAnswer(const WriteResult& result, bool asynchronous) {
  switch (result.outcome) {
    case WriteOutcome::kPending:
      return asynchronous ? Accepted(result) : QuorumNotMet(result);
    case WriteOutcome::kUnknown: {
      Response response = JsonAnswer(503, wire::UnknownJson(result));
      response.headers.emplace_back("Retry-After", kRetryAfter);
      return response;
    }
    case WriteOutcome::kRejected:
      if (result.quorum && absl::IsUnavailable(result.status)) return QuorumNotMet(result);
      break;
    case WriteOutcome::kCommitted:
      break;
  }
  return StatusAnswer(wire::Refusal(result));
}

bool PrefersAsync(std::string_view prefer) {
  for (const absl::string_view part : absl::StrSplit(ToAbsl(prefer), absl::ByAnyChar(",;"))) {
    if (absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(part), "respond-async")) return true;
  }
  return false;
}

}  // namespace aimem::rest
