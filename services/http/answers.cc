#include "services/http/answers.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "lib/base/status.h"
#include "lib/base/trouble.h"

namespace aimem::http {
namespace {

using transfer::JsonArray;
using transfer::JsonObject;

// Upstream's clients wait so long after a quorum that was missed.
constexpr char kRetryAfter[] = "2";

// What a refusal is on the wire. What is not here is our own fault: 500.
struct Row {
  absl::StatusCode code;
  int status;
  bool retry;  // Retry-After is sent
};
constexpr std::array<Row, 11> kRows = {{
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
    {absl::StatusCode::kFailedPrecondition, 503, true},
}};

// The word after `label` in `text`, up to a comma or a bracket.
std::string WordAfter(std::string_view text, std::string_view label) {
  const std::size_t at = text.find(label);
  if (at == std::string_view::npos) return "";
  text.remove_prefix(at + label.size());
  return std::string(text.substr(0, std::min(text.find_first_of(",)"), text.size())));
}

// {error, got, needed, reason, outcome, id, operation_id, durable_locally, peers}
Response QuorumNotMet(const WriteResult& result) {
  const bool stored = result.outcome == WriteOutcome::kPending;
  const int got = result.quorum ? result.quorum->got() : stored ? 1 : 0;
  const std::string id = result.items.empty() ? "" : result.items[0].id;
  JsonObject body;
  body.Text("error", "quorum_not_met").Int("got", got);
  if (result.quorum) {
    body.Int("needed", result.quorum->needed);
  } else {
    body.Raw("needed", "null");
  }
  body.Text("reason", got <= 1 ? "unreachable" : "timeout")
      .Text("outcome", OutcomeText(result.outcome));
  if (id.empty()) {
    body.Raw("id", "null");
  } else {
    body.Text("id", id);
  }
  body.Text("operation_id", result.operation.ToString())
      .Bool("durable_locally", stored)
      .Raw("peers", PeersJson(result.quorum));
  Response response = JsonAnswer(503, body.Build());
  response.headers.emplace_back("Retry-After", kRetryAfter);
  return response;
}

Response Unavailable(std::string_view reason) {
  return JsonAnswer(503, JsonObject().Text("error", "unavailable").Text("reason", reason).Build());
}

Response Accepted(const WriteResult& result) {
  const std::string operation = result.operation.ToString();
  JsonObject body;
  body.Text("status", "pending").Text("outcome", OutcomeText(result.outcome));
  if (result.items.empty() || result.items[0].id.empty()) {
    body.Raw("id", "null");
  } else {
    body.Text("id", result.items[0].id);
  }
  body.Text("operation_id", operation)
      .Int("got", result.quorum ? result.quorum->got() : 1)
      .Raw("needed", result.quorum ? std::to_string(result.quorum->needed) : "null")
      .Raw("peers", PeersJson(result.quorum));
  Response response = JsonAnswer(202, body.Build());
  response.headers.emplace_back("Location", "/api/v1/operations/" + operation);
  response.headers.emplace_back("Preference-Applied", "respond-async");
  return response;
}

}  // namespace

Response JsonAnswer(int status, std::string body) {
  return Response{.status = status, .content_type = kJson, .body = std::move(body), .headers = {}};
}

Response TextAnswer(int status, std::string text) {
  return Response{.status = status, .content_type = kText, .body = std::move(text), .headers = {}};
}

Response ErrorAnswer(int status, std::string_view text) {
  return JsonAnswer(status, JsonObject().Text("error", text).Build());
}

Response StatusAnswer(const absl::Status& status) {
  const Trouble trouble = TroubleOf(status);
  if (trouble == Trouble::kDiskFull) return ErrorAnswer(507, ToStd(status.message()));
  if (trouble == Trouble::kDamaged) return Unavailable(ToStd(status.message()));
  if (trouble == Trouble::kKeyUnreadable) return ErrorAnswer(409, ToStd(status.message()));
  const auto row = std::find_if(kRows.begin(), kRows.end(),
                                [&](const Row& known) { return known.code == status.code(); });
  if (row == kRows.end()) return ErrorAnswer(500, "internal server error");
  const std::string_view message = ToStd(status.message());
  if (status.code() == absl::StatusCode::kAborted) return ConflictAnswer(message);
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
  const int code = status.code() == absl::StatusCode::kInvalidArgument ? 400 : 422;
  return TextAnswer(code, std::string(ToStd(status.message())));
}

Response ConflictAnswer(std::string_view message) {
  return JsonAnswer(409, JsonObject()
                             .Text("error", "request_id_conflict")
                             .Text("stored_hash", WordAfter(message, "stored_hash "))
                             .Text("request_hash", WordAfter(message, "request_hash "))
                             .Build());
}

absl::Status Refusal(const WriteResult& result) {
  if (result.outcome == WriteOutcome::kRejected) {
    for (const ItemResult& item : result.items) {
      if (!item.status.ok()) return item.status;
    }
    return result.status.ok() ? absl::InternalError("rejected without a reason") : result.status;
  }
  if (result.items.size() == 1) return result.items[0].status;
  return absl::OkStatus();
}

Response OutcomeAnswer(const WriteResult& result, bool asynchronous) {
  switch (result.outcome) {
    case WriteOutcome::kPending:
      return asynchronous ? Accepted(result) : QuorumNotMet(result);
    case WriteOutcome::kUnknown: {
      Response response = JsonAnswer(503, JsonObject()
                                              .Text("error", "outcome_unknown")
                                              .Text("outcome", OutcomeText(result.outcome))
                                              .Text("operation_id", result.operation.ToString())
                                              .Text("reason", ToStd(result.status.message()))
                                              .Build());
      response.headers.emplace_back("Retry-After", kRetryAfter);
      return response;
    }
    case WriteOutcome::kRejected:
      if (result.quorum && absl::IsUnavailable(result.status)) return QuorumNotMet(result);
      break;
    case WriteOutcome::kCommitted:
      break;
  }
  return StatusAnswer(Refusal(result));
}

std::string PeersJson(const std::optional<QuorumReport>& quorum) {
  std::vector<std::string> peers;
  if (quorum) {
    for (const QuorumReport::Peer& peer : quorum->peers) {
      peers.push_back(JsonObject().Text("id", peer.id).Text("reason", peer.reason).Build());
    }
  }
  return JsonArray(peers);
}

std::string_view OutcomeText(WriteOutcome outcome) {
  switch (outcome) {
    case WriteOutcome::kCommitted:
      return "COMMITTED";
    case WriteOutcome::kPending:
      return "PENDING";
    case WriteOutcome::kRejected:
      return "REJECTED";
    case WriteOutcome::kUnknown:
      return "UNKNOWN";
  }
  return "UNKNOWN";
}

bool PrefersAsync(std::string_view prefer) {
  for (const absl::string_view part : absl::StrSplit(ToAbsl(prefer), absl::ByAnyChar(",;"))) {
    if (absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(part), "respond-async")) return true;
  }
  return false;
}

}  // namespace aimem::http
