#include "services/mcp/call.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "aimem/intents.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "services/wire/json_members.h"
#include "services/wire/outcome.h"
#include "services/wire/pending.h"
#include "services/wire/shapes.h"

namespace aimem::mcp {
namespace {

// Where it is durable, for people.
std::string Durable(const WriteResult& result) {
  if (!result.quorum) {
    return result.durable() ? "durable here" : "durable here, and not on enough members yet";
  }
  return absl::StrCat("durable on ", result.quorum->got(), " of ", result.quorum->voters,
                      " members (", result.quorum->needed, " needed)");
}

absl::Status InDoubt(const WriteResult& result) {
  const std::string operation = result.operation.ToString();
  const std::string id = result.items.empty() ? "" : result.items[0].id;
  std::string text;
  if (result.outcome == WriteOutcome::kPending) {
    const int needed = result.quorum ? result.quorum->needed : 0;
    const int got = result.quorum ? result.quorum->got() : 1;
    text = absl::StrCat("not yet on enough members: it is durable on ", got, " of the ", needed,
                        " that are needed, and still being delivered. Do not write it again");
  } else {
    text = absl::StrCat("it is not known whether this was written (", result.status.message(),
                        "). Look before you write it again");
  }
  absl::StrAppend(&text, "; \"aimem operation ", operation, " --wait\" tells what became of it");
  if (!id.empty()) absl::StrAppend(&text, "; id ", id);
  return MakeStatus(result.outcome == WriteOutcome::kPending ? absl::StatusCode::kDeadlineExceeded
                                                             : absl::StatusCode::kUnknown,
                    text);
}

}  // namespace

Json Parsed(std::string_view json) {
  Json value;
  return wire::ParseJson(json, value).ok() ? value : Json();
}

Json MemoryJson(const Memory& memory) { return Parsed(wire::MemoryObject(memory).Build()); }

std::string ErrorMessage(const absl::Status& status) {
  // Which id it was, whoever asked knows; the words are those of upstream.
  const bool plain = absl::IsNotFound(status) && absl::StartsWith(status.message(), "not found: ");
  return plain ? "memory not found" : std::string(ToStd(status.message()));
}

Call::Call(Store& store, const Environment& environment, const CallOrigin& origin,
           const Json& arguments)
    : store_(store),
      environment_(environment),
      origin_(origin),
      arguments_(arguments),
      operation_(ChooseOperation(
          {.request_id = origin.request_id},
          environment.random == nullptr ? SystemRandom() : *environment.random, Now())) {}

// -- Arguments ------------------------------------------------------------------------------------

std::string Call::Text(const char* name) const { return MaybeText(name).value_or(""); }

std::int64_t Call::Integer(const char* name) const { return MaybeInteger(name).value_or(0); }

bool Call::Flag(const char* name) const { return arguments_.value(name, false); }

std::optional<std::string> Call::MaybeText(const char* name) const {
  const auto found = arguments_.find(name);
  if (found == arguments_.end()) return std::nullopt;
  return found->get<std::string>();
}

std::optional<std::int64_t> Call::MaybeInteger(const char* name) const {
  const auto found = arguments_.find(name);
  if (found == arguments_.end()) return std::nullopt;
  return found->get<std::int64_t>();
}

std::optional<double> Call::MaybeNumber(const char* name) const {
  const auto found = arguments_.find(name);
  if (found == arguments_.end()) return std::nullopt;
  return found->get<double>();
}

std::optional<std::vector<std::string>> Call::MaybeTexts(const char* name) const {
  const auto found = arguments_.find(name);
  if (found == arguments_.end()) return std::nullopt;
  return found->get<std::vector<std::string>>();
}

absl::StatusOr<std::optional<Tier>> Call::MaybeTier() const {
  const std::optional<std::string> text = MaybeText("tier");
  if (!text) return std::nullopt;
  if (const std::optional<Tier> tier = ParseTier(*text)) return tier;
  return InvalidField("tier", *text,
                      absl::StrCat("invalid tier: ", *text, " (use short, mid, long)"),
                      "short, mid, long");
}

absl::StatusOr<std::int64_t> Call::Limit(std::int64_t max) const {
  const std::int64_t limit = Integer("limit");
  if (limit >= 0) return std::min(limit, max);
  return InvalidField("limit", absl::StrCat(limit),
                      absl::StrCat("limit must not be negative (got ", limit, ")"),
                      absl::StrCat("0..", max));
}

// -- Who asks -------------------------------------------------------------------------------------

absl::StatusOr<std::string> Call::Caller(const char* argument) const {
  std::string agent_id = MaybeText(argument).value_or("");
  if (agent_id.empty()) return origin_.caller;
  AIMEM_RETURN_IF_ERROR(model::CheckAgentId(agent_id));
  return agent_id;
}

// -- The store ------------------------------------------------------------------------------------

absl::Time Call::Now() const {
  return environment_.clock == nullptr ? SystemClock().Now() : environment_.clock->Now();
}

absl::StatusOr<WriteResult> Call::Write(WriteBatch batch, std::string agent_id, bool dry_run) {
  WriteOptions options;
  options.agent_id = std::move(agent_id);
  options.request_id = origin_.request_id;
  options.operation = operation_;
  options.return_memory = true;
  options.dry_run = dry_run;
  WriteResult result = store_.Write(std::move(batch), options);
  // Who is told where it is durable can do without an error.
  const bool says_where = result.outcome == WriteOutcome::kPending && HasReceipts(origin_.revision);
  if (result.in_doubt() && !says_where) return InDoubt(result);
  AIMEM_RETURN_IF_ERROR(wire::Refusal(result));
  if (result.items.empty()) return absl::InternalError("the store gave no result");
  return result;
}

absl::StatusOr<ListResult> Call::List(ListRequest request) const {
  request.bounds = Bounds();
  return store_.List(request);
}

// -- Answering ------------------------------------------------------------------------------------

Answer Call::Written(Json value, const WriteResult& result) const {
  if (HasReceipts(origin_.revision)) {
    value["receipt"] = {{"operation_id", result.operation.ToString()},
                        {"outcome", wire::OutcomeText(result.outcome)},
                        {"durable", Durable(result)}};
    if (result.in_doubt()) value["receipt"]["advice"] = ErrorMessage(InDoubt(result));
    if (result.replayed) value["receipt"]["replayed"] = true;
  }
  return {std::move(value)};
}

std::optional<Answer> Call::Waiting(const WriteResult& result) const {
  if (result.items[0].effect != ItemEffect::kQueued) return std::nullopt;
  const std::string& id = result.items[0].id;
  const absl::StatusOr<PendingAction> action = GetPending(store_, id, Bounds());
  return Written(Parsed(wire::QueuedObject(action, id).Build()), result);
}

Answer Call::Listed(Json value, const wire::ToonDocument& toon) const {
  const std::string format = Text("format");
  if (format == "toon") return {std::move(value), ToToon(toon, wire::ToonColumns::kFull)};
  if (format != "toon_compact") return {std::move(value)};
  return {std::move(value), ToToon(toon, wire::ToonColumns::kCompact)};
}

}  // namespace aimem::mcp
