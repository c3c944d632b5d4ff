#include "services/wire/outcome.h"

#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "services/wire/federation.h"

namespace aimem::wire {
namespace {

// [{"id","reason"}…]; of no report: [].
std::string PeersJson(const std::optional<QuorumReport>& quorum) {
  if (!quorum) return "[]";
  return JsonArrayOf(quorum->peers, [](const QuorumReport::Peer& peer) {
    return JsonObject().Text("id", peer.id).Text("reason", peer.reason).Build();
  });
}

std::string DurableJson(const std::optional<QuorumReport>& quorum) {
  if (!quorum) return "[]";
  return JsonArrayOf(quorum->durable,
                     [](const Id128& member) { return model::JsonString(member.ToString()); });
}

void AddNeeded(const WriteResult& result, JsonObject& body) {
  body.Raw("needed", result.quorum ? std::to_string(result.quorum->needed) : "null");
}

// Of the first item: requests that can be pending mostly have one. What waits for approval has
// written no memory.
void AddId(const WriteResult& result, JsonObject& body) {
  const ItemResult none;
  const ItemResult& item = result.items.empty() ? none : result.items[0];
  const bool queued = item.effect == ItemEffect::kQueued;
  if (item.id.empty() || queued) {
    body.Raw("id", "null");
  } else {
    body.Text("id", item.id);
  }
  if (queued) body.Text("pending_id", item.id);
}

}  // namespace

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

void AddOutcome(const WriteResult& result, JsonObject& body) {
  if (result.quorum) body.Int("quorum_acks", result.quorum->got());
  body.Text("operation_id", result.operation.ToString());
}

std::string ErasedText(const WriteResult& result) {
  std::string text =
      result.erasing
          ? "It is gone for every reader, for ever. Bytes of it may still lie in the data of this "
            "store, since somebody reads an earlier state of it or the store is closing: they go "
            "as soon as that is over, also after a restart."
          : "Nothing of it is left in the rows and the log of this store.";
  return text.append(
      " Members that hold it erase it when this reaches them. Not covered: memories that were made "
      "from it, backups and other copies of the data, and of PostgreSQL its WAL archives and what "
      "lies in freed space of its tables until that is written again.");
}

std::string QuorumNotMetJson(const WriteResult& result) {
  const bool stored = result.outcome == WriteOutcome::kPending;
  const int got = result.quorum ? result.quorum->got() : stored ? 1 : 0;
  JsonObject body;
  body.Text("error", "quorum_not_met").Int("got", got);
  AddNeeded(result, body);
  body.Text("reason", got <= 1 ? "unreachable" : "timeout")
      .Text("outcome", OutcomeText(result.outcome));
  AddId(result, body);
  body.Text("operation_id", result.operation.ToString())
      .Bool("durable_locally", stored)
      .Raw("peers", PeersJson(result.quorum));
  return body.Build();
}

std::string PendingJson(const WriteResult& result) {
  JsonObject body;
  body.Text("status", "pending").Text("outcome", OutcomeText(result.outcome));
  AddId(result, body);
  body.Text("operation_id", result.operation.ToString())
      .Int("got", result.quorum ? result.quorum->got() : 1);
  AddNeeded(result, body);
  body.Raw("peers", PeersJson(result.quorum));
  return body.Build();
}

std::string UnknownJson(const WriteResult& result) {
  return JsonObject()
      .Text("error", "outcome_unknown")
      .Text("outcome", OutcomeText(result.outcome))
      .Text("operation_id", result.operation.ToString())
      .Text("reason", ToStd(result.status.message()))
      .Build();
}

std::string OperationJson(const OperationInfo& info) {
  return JsonObject()
      .Text("operation_id", info.operation.ToString())
      .Text("outcome", OutcomeText(info.outcome))
      .Text("stream", StreamText(info.stream))
      .Raw("seq", std::to_string(info.seq))
      .Raw("hlc", std::to_string(info.hlc))
      .Text("agent_id", info.agent_id)
      .Raw("members_durable", DurableJson(info.quorum))
      .Raw("peers", PeersJson(info.quorum))
      .Raw("results", JsonArrayOf(info.items, ItemJson))
      .Build();
}

}  // namespace aimem::wire
