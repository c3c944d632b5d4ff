// Routes of changes that wait for approval, and what is answered to who asked for one.
#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "aimem/intents.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "services/rest/answers.h"
#include "services/rest/api.h"
#include "services/web/url.h"
#include "services/wire/outcome.h"
#include "services/wire/pending.h"

namespace aimem::rest {
namespace {

constexpr std::int64_t kPendingDefault = 100;
constexpr std::int64_t kPendingMax = 1'000;

// The network thread does not read.
Response Answer(const absl::StatusOr<PendingAction>& action,
                wire::JsonObject (*show)(const PendingAction&), const WriteResult& result) {
  // It was erased meanwhile: what was answered stands.
  wire::JsonObject body = action.ok() ? show(*action)
                                      : std::move(wire::JsonObject()
                                                      .Text("status", "pending")
                                                      .Text("pending_id", result.items[0].id));
  wire::AddOutcome(result, body);
  return JsonAnswer(202, body.Build());
}

// The text of a refusal in the place of "not found".
void SayOfMissing(Respond& respond, std::string text) {
  respond = [text = std::move(text), respond = std::move(respond)](Response response) mutable {
    if (response.status == 404) response = ErrorAnswer(404, text);
    std::move(respond)(std::move(response));
  };
}

}  // namespace

void Api::ShowWaiting(Call call, WriteResult result,
                      wire::JsonObject (*show)(const PendingAction&)) {
  threads_.Read([this, call = std::move(call), result = std::move(result), show]() mutable {
    const absl::StatusOr<PendingAction> action =
        GetPending(store_, result.items[0].id, BoundsOf(call));
    std::move(call.respond)(Answer(action, show, result));
  });
}

bool Api::Waits(Call& call, const WriteResult& result) {
  if (result.items[0].effect != ItemEffect::kQueued) return false;
  ShowWaiting(std::move(call), result, wire::QueuedObject);
  return true;
}

void Api::Pending(Call call) {
  web::Query query(call.request.query);
  ListRequest request;
  request.kind = ListKind::kPending;
  request.limit = std::min(query.Unsigned("limit").value_or(kPendingDefault), kPendingMax);
  const std::optional<std::string> status = query.Text("status");
  if (!query.error().empty()) return std::move(call.respond)(TextAnswer(400, query.error()));
  if (status) request.status = ParsePendingStatus(*status);
  // No action has a status that there is not.
  if (status && !request.status) request.limit = 0;
  request.bounds = BoundsOf(call);
  const absl::StatusOr<ListResult> result = store_.List(request);
  if (!result.ok()) return std::move(call.respond)(Problem(result.status()));
  std::move(call.respond)(JsonAnswer(200, wire::PendingActionsJson(result->pending)));
}

void Api::Approve(Call call) {
  const absl::Status status = model::CheckId(call.id);
  const absl::StatusOr<std::string> agent_id = Identity(call.request);
  if (!status.ok()) return std::move(call.respond)(StatusAnswer(status));
  if (!agent_id.ok()) return std::move(call.respond)(StatusAnswer(agent_id.status()));
  SayOfMissing(call.respond, absl::StrCat("approve rejected: pending action not found: ", call.id));
  std::string id = call.id;
  Write(std::move(call), DecidePending{std::move(id), true}, {.agent_id = *agent_id},
        [this, agent = *agent_id](Call done, WriteResult result) {
          if (result.items[0].effect == ItemEffect::kQueued) {
            return ShowWaiting(std::move(done), std::move(result), wire::VotedObject);
          }
          wire::JsonObject body = wire::ApprovedObject(done.id, agent, result.items[0]);
          wire::AddOutcome(result, body);
          std::move(done.respond)(JsonAnswer(200, body.Build()));
        });
}

void Api::Reject(Call call) {
  const absl::Status status = model::CheckId(call.id);
  const absl::StatusOr<std::string> agent_id = Identity(call.request);
  if (!status.ok()) return std::move(call.respond)(StatusAnswer(status));
  if (!agent_id.ok()) return std::move(call.respond)(StatusAnswer(agent_id.status()));
  SayOfMissing(call.respond, "pending action not found or already decided");
  std::string id = call.id;
  Write(std::move(call), DecidePending{std::move(id), false}, {.agent_id = *agent_id},
        [agent = *agent_id](Call done, const WriteResult& result) {
          wire::JsonObject body = wire::RejectedObject(done.id, agent);
          wire::AddOutcome(result, body);
          std::move(done.respond)(JsonAnswer(200, body.Build()));
        });
}

}  // namespace aimem::rest
