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

/// Who decides has to say who they are: a name made up for one request would count as somebody.
absl::StatusOr<std::string> Decider(const Request& request) {
  const std::string_view agent_id = request.Header("X-Agent-Id");
  if (agent_id.empty()) {
    return InvalidField("agent_id", "",
                        "a decision needs to say whose it is: name the agent in the header "
                        "X-Agent-Id");
  }
  AIMEM_RETURN_IF_ERROR(Annotate(model::CheckAgentId(agent_id), "invalid agent_id"));
  return std::string(agent_id);
}

// The text of a refusal in the place of "not found".
void SayOfMissing(Respond& respond, std::string text) {
  respond = [text = std::move(text), respond = std::move(respond)](Response response) mutable {
    if (response.status == 404) response = ErrorAnswer(404, text);
    std::move(respond)(std::move(response));
  };
}

}  // namespace

void Api::ShowWaiting(Call call, WriteResult result, ShowAction show) {
  // The network thread does not read.
  threads_.Read([this, call = std::move(call), result = std::move(result), show]() mutable {
    const std::string& id = result.items[0].id;
    wire::JsonObject body = show(GetPending(store_, id, BoundsOf(call)), id);
    wire::AddOutcome(result, body);
    std::move(call.respond)(JsonAnswer(202, body.Build()));
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
  const absl::StatusOr<std::string> agent_id = Decider(call.request);
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
  const absl::StatusOr<std::string> agent_id = Decider(call.request);
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
