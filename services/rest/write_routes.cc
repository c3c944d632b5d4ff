// Routes that change memories and links.
#include <algorithm>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_format.h"
#include "aimem/intents.h"
#include "lib/base/status.h"
#include "lib/base/utf8.h"
#include "lib/model/validate.h"
#include "services/rest/answers.h"
#include "services/rest/api.h"
#include "services/web/url.h"
#include "services/wire/outcome.h"
#include "services/wire/requests.h"
#include "services/wire/shapes.h"

namespace aimem::rest {
namespace {

using wire::JsonObject;

constexpr std::size_t kBulkMax = 1'000;

Response Done(int status, JsonObject body, const WriteResult& result) {
  wire::AddOutcome(result, body);
  return JsonAnswer(status, body.Build());
}

// What a create is answered with that was committed, and has become `memory`.
Response CreatedAnswer(const Memory& memory, const std::string& agent,
                       const std::vector<Memory>& similar, const WriteResult& result) {
  JsonObject object;
  object.Text("id", result.items[0].id)
      .Text("tier", TierName(memory.tier))
      .Text("namespace", memory.namespace_)
      .Text("title", memory.title)
      .Text("agent_id", agent);
  wire::AddSimilar(similar, object);
  return Done(201, std::move(object), result);
}

// Copies of a status share their text by a count that ThreadSanitizer cannot see in Debian's
// Abseil: a result that goes to another thread takes texts of its own along.
void UnshareTexts(WriteResult& result) {
  const auto own = [](absl::Status& status) {
    if (status.ok()) return;
    absl::Status copy(status.code(), status.message());
    status.ForEachPayload([&](absl::string_view type, const absl::Cord& payload) {
      copy.SetPayload(type, absl::Cord(std::string(payload)));
    });
    status = std::move(copy);
  };
  own(result.status);
  for (ItemResult& item : result.items) own(item.status);
}

}  // namespace

// -- How all of them end --------------------------------------------------------------------------

void Api::Write(Call call, WriteBatch batch, WriteOptions options, Committed committed) {
  options.request_id = std::string(call.request.Header(kRequestId));
  options.operation = ChooseOperation(options, random_, clock_.Now());
  auto waiting =
      deadlines_.Add(std::move(call.respond), clock_.Monotonic() + options_.write_timeout,
                     [this, operation = *options.operation] {
                       NoteOverdue(operation);
                       metrics_.CountWrite(WriteOutcome::kUnknown);
                       WriteResult unknown;
                       unknown.operation = operation;
                       unknown.outcome = WriteOutcome::kUnknown;
                       unknown.status = absl::UnknownError(absl::StrFormat(
                           "the store has not answered within %s: ask for the operation",
                           absl::FormatDuration(options_.write_timeout)));
                       return OutcomeAnswer(unknown, false);
                     });
  auto done = [this, keep = threads_.shared_from_this(), operation = *options.operation,
               call = std::move(call), waiting = std::move(waiting),
               committed = std::move(committed)](WriteResult result) mutable {
    // The store's thread has better things to do than to write JSON.
    UnshareTexts(result);
    keep->Post([this, operation, call = std::move(call), waiting = std::move(waiting),
                committed = std::move(committed), result = std::move(result)]() mutable {
      std::optional<Respond> respond = deadlines_.Take(*waiting);
      if (!respond) {
        ForgetOverdue(operation);
        return;
      }
      call.respond = *std::move(respond);
      EndWrite(std::move(call), std::move(result), std::move(committed));
    });
  };
  store_.WriteAsync(std::move(batch), options, std::move(done));
}

void Api::EndWrite(Call call, WriteResult result, Committed committed) {
  metrics_.CountWrite(result.outcome);
  if (result.replayed) {
    call.respond = [respond = std::move(call.respond)](Response response) mutable {
      response.headers.emplace_back("Idempotent-Replay", "true");
      std::move(respond)(std::move(response));
    };
  }
  const absl::Status refusal = result.outcome == WriteOutcome::kCommitted && result.items.empty()
                                   ? absl::InternalError("the store gave no results")
                                   : wire::Refusal(result);
  if (result.outcome == WriteOutcome::kCommitted && refusal.ok()) {
    return std::move(committed)(std::move(call), std::move(result));
  }
  Response response = result.outcome == WriteOutcome::kCommitted
                          ? StatusAnswer(refusal)
                          : OutcomeAnswer(result, PrefersAsync(call.request.Header("Prefer")));
  if (response.status == 500) {
    Log(LogLevel::kError, absl::StrFormat("http: a write failed: %s", refusal.ToString()));
  }
  std::move(call.respond)(std::move(response));
}

void Api::WriteOne(Call call, WriteItem item, WriteOptions options, Committed committed) {
  absl::StatusOr<std::string> agent_id = Identity(call.request);
  if (!agent_id.ok()) return std::move(call.respond)(StatusAnswer(agent_id.status()));
  options.agent_id = *std::move(agent_id);
  Write(std::move(call), std::move(item), std::move(options), std::move(committed));
}

// -- Memories -------------------------------------------------------------------------------------

void Api::Create(Call call) {
  absl::StatusOr<wire::CreateBody> body = wire::ReadCreate(call.request.body);
  if (!body.ok()) return std::move(call.respond)(BodyAnswer(body.status()));
  absl::StatusOr<std::string> agent_id = Identity(call.request, body->agent_id);
  absl::Status status = wire::SetExpiry(*body);
  if (status.ok()) status = agent_id.status();
  if (!status.ok()) return std::move(call.respond)(StatusAnswer(status));

  // As they are stored: without white space at their ends.
  Memory asked;
  asked.tier = body->put.tier;
  asked.namespace_ = TrimWhitespace(body->put.namespace_);
  asked.title = TrimWhitespace(body->put.title);
  call.respond = [this, tier = asked.tier,
                  respond = std::move(call.respond)](Response response) mutable {
    metrics_.CountStore(tier, response.status < 300);
    std::move(respond)(std::move(response));
  };
  // An update keeps or raises what the memory had: the answer says what is stored.
  Write(std::move(call), std::move(body->put), {.agent_id = *agent_id, .return_memory = true},
        [this, asked = std::move(asked), agent = *agent_id](Call done, WriteResult result) {
          if (Waits(done, result)) return;
          if (result.items[0].memory) return AnswerWithSimilar(std::move(done), std::move(result));
          std::move(done.respond)(CreatedAnswer(asked, agent, {}, result));
        });
}

void Api::AnswerWithSimilar(Call call, WriteResult result) {
  const auto written = std::make_shared<const WriteResult>(std::move(result));
  auto answer = [written](const Similar& similar) {
    const Memory& memory = *written->items[0].memory;
    return CreatedAnswer(memory, wire::AgentIdOf(memory.metadata), similar, *written);
  };
  if (options_.similar_timeout == absl::ZeroDuration()) {
    return std::move(call.respond)(answer(Similar()));
  }
  const absl::Duration end = clock_.Monotonic() + options_.similar_timeout;
  auto waiting =
      deadlines_.Add(std::move(call.respond), end, [answer] { return answer(Similar()); });
  threads_.Read([this, written, answer, end, waiting = std::move(waiting),
                 stop = std::move(call.request.stop)] {
    const absl::StatusOr<Similar> similar = FindSimilar(
        store_, *written->items[0].memory, {.timeout = end - clock_.Monotonic(), .stop = stop});
    NoteSimilar(similar);
    std::optional<Respond> respond = deadlines_.Take(*waiting);
    if (respond) (*std::move(respond))(answer(similar.value_or(Similar())));
  });
}

void Api::NoteSimilar(const absl::StatusOr<Similar>& similar) {
  metrics_.CountSimilar(similar.ok(), similar.ok() && !similar->empty());
  const absl::Status& status = similar.status();
  // Who is late or has gone is no news.
  if (status.ok() || absl::IsDeadlineExceeded(status) || absl::IsCancelled(status)) return;
  Log(LogLevel::kWarning,
      absl::StrFormat("http: what may contradict a memory that was stored is not known: %s",
                      status.ToString()));
}

void Api::Bulk(Call call) {
  absl::StatusOr<std::vector<wire::CreateBody>> bodies = wire::ReadBulk(call.request.body);
  if (!bodies.ok()) return std::move(call.respond)(BodyAnswer(bodies.status()));
  if (bodies->size() > kBulkMax) {
    return std::move(call.respond)(
        ErrorAnswer(400, absl::StrFormat("bulk operations limited to %d items", kBulkMax)));
  }
  absl::StatusOr<std::string> author = Identity(call.request);
  absl::Status status = author.status();
  if (status.ok()) status = wire::SetAuthors(*bodies, *author);
  if (!status.ok()) return std::move(call.respond)(StatusAnswer(status));

  std::vector<std::string> errors;
  std::vector<std::string> titles;
  std::vector<WriteItem> items;
  for (wire::CreateBody& body : *bodies) {
    std::string title = body.put.title;
    const absl::Status expiry = wire::SetExpiry(body);
    if (!expiry.ok()) {
      errors.push_back(absl::StrFormat("%s: %s", title, ToStd(expiry.message())));
      continue;
    }
    titles.push_back(std::move(title));
    items.emplace_back(std::move(body.put));
  }
  const auto answer = [](std::int64_t created, const std::vector<std::string>& failed,
                         const std::vector<std::string>& waiting) {
    JsonObject body;
    body.Int("created", created).Raw("errors", wire::JsonStrings(failed));
    if (!waiting.empty()) body.Raw("pending_ids", wire::JsonStrings(waiting));
    return body;
  };
  if (items.empty()) return std::move(call.respond)(JsonAnswer(200, answer(0, errors, {}).Build()));
  Write(std::move(call), std::move(items), {.agent_id = *author, .allow_partial = true},
        [answer, errors = std::move(errors), titles = std::move(titles)](
            Call done, const WriteResult& result) mutable {
          std::int64_t created = 0;
          std::vector<std::string> waiting;
          for (std::size_t i = 0; i < result.items.size(); ++i) {
            const absl::Status& item = result.items[i].status;
            if (item.ok() && result.items[i].effect == ItemEffect::kQueued) {
              waiting.push_back(result.items[i].id);
            } else if (item.ok()) {
              ++created;
            } else {
              errors.push_back(absl::StrFormat("%s: %s", titles[i], ToStd(item.message())));
            }
          }
          std::move(done.respond)(Done(200, answer(created, errors, waiting), result));
        });
}

void Api::Update(Call call) {
  absl::StatusOr<wire::PatchBody> body = wire::ReadPatch(call.request.body);
  if (!body.ok()) return std::move(call.respond)(BodyAnswer(body.status()));
  absl::Status status = model::CheckId(call.id);
  if (status.ok()) status = wire::SetExpiry(*body);
  if (!status.ok()) return std::move(call.respond)(StatusAnswer(status));
  body->patch.id = call.id;
  WriteOne(std::move(call), std::move(body->patch), {.return_memory = true},
           [](Call done, const WriteResult& result) {
             const ItemResult& item = result.items[0];
             // Of a replay it may be gone: the update was made all the same.
             JsonObject answer = item.memory ? wire::MemoryObject(*item.memory)
                                             : std::move(JsonObject().Text("id", item.id));
             std::move(done.respond)(Done(200, std::move(answer), result));
           });
}

void Api::Erase(Call call) {
  std::string id = call.id;
  WriteOne(std::move(call), EraseMemory{std::move(id)},
           [this](Call done, const WriteResult& result) {
             if (Waits(done, result)) return;
             JsonObject body;
             body.Bool("deleted", true)
                 .Bool("erased", true)
                 .Bool("erasing", result.erasing)
                 .Text("message", wire::ErasedText(result));
             std::move(done.respond)(Done(200, std::move(body), result));
           });
}

void Api::Delete(Call call) {
  const absl::Status status = model::CheckId(call.id);
  if (!status.ok()) return std::move(call.respond)(StatusAnswer(status));
  web::Query query(call.request.query);
  const bool erase = query.Flag("erase").value_or(false);
  if (!query.error().empty()) return std::move(call.respond)(TextAnswer(400, query.error()));
  if (erase) return Erase(std::move(call));
  std::string id = call.id;
  WriteOne(
      std::move(call), DeleteMemory{std::move(id)}, [this](Call done, const WriteResult& result) {
        if (Waits(done, result)) return;
        std::move(done.respond)(Done(200, std::move(JsonObject().Bool("deleted", true)), result));
      });
}

void Api::Promote(Call call) {
  const absl::Status status = model::CheckId(call.id);
  if (!status.ok()) return std::move(call.respond)(StatusAnswer(status));
  std::string id = call.id;
  WriteOne(std::move(call), PromoteMemory{std::move(id), ""},
           [this](Call done, const WriteResult& result) {
             if (Waits(done, result)) return;
             const std::string& full = result.items[0].id.empty() ? done.id : result.items[0].id;
             JsonObject body;
             body.Bool("promoted", true).Text("id", full).Text("tier", TierName(Tier::kLong));
             std::move(done.respond)(Done(200, std::move(body), result));
           });
}

// -- Several at once ------------------------------------------------------------------------------

void Api::Forget(Call call) {
  absl::StatusOr<ForgetMemories> forget = wire::ReadForget(call.request.body);
  if (!forget.ok()) return std::move(call.respond)(BodyAnswer(forget.status()));
  if (!forget->namespace_ && !forget->pattern && !forget->tier) {
    return std::move(call.respond)(
        ErrorAnswer(400, "at least one of namespace, pattern, or tier is required"));
  }
  WriteOne(std::move(call), *std::move(forget), [](Call done, const WriteResult& result) {
    JsonObject body;
    body.Int("deleted", result.items[0].count);
    std::move(done.respond)(Done(200, std::move(body), result));
  });
}

void Api::Consolidate(Call call) {
  absl::StatusOr<wire::ConsolidateBody> body = wire::ReadConsolidate(call.request.body);
  if (!body.ok()) return std::move(call.respond)(BodyAnswer(body.status()));
  absl::StatusOr<std::string> agent_id = Identity(call.request, body->agent_id);
  if (!agent_id.ok()) return std::move(call.respond)(StatusAnswer(agent_id.status()));
  const auto count = static_cast<std::int64_t>(body->consolidate.ids.size());
  Write(std::move(call), std::move(body->consolidate), {.agent_id = *agent_id},
        [count](Call done, const WriteResult& result) {
          JsonObject answer;
          answer.Text("id", result.items[0].id).Int("consolidated", count);
          std::move(done.respond)(Done(201, std::move(answer), result));
        });
}

void Api::Link(Call call) {
  absl::StatusOr<AddLink> link = wire::ReadLink(call.request.body);
  if (!link.ok()) return std::move(call.respond)(BodyAnswer(link.status()));
  WriteOne(std::move(call), *std::move(link), [](Call done, const WriteResult& result) {
    std::move(done.respond)(Done(201, std::move(JsonObject().Bool("linked", true)), result));
  });
}

void Api::CollectExpired(Call call) {
  WriteOne(std::move(call), ExpireMemories{}, [](Call done, const WriteResult& result) {
    JsonObject body;
    body.Int("expired_deleted", result.items[0].count);
    std::move(done.respond)(Done(200, std::move(body), result));
  });
}

// -- Archive, agents ------------------------------------------------------------------------------

void Api::Restore(Call call) {
  const absl::Status status = model::CheckId(call.id);
  if (!status.ok()) return std::move(call.respond)(StatusAnswer(status));
  std::string id = call.id;
  // What is missing here is missing in the archive.
  call.respond = [respond = std::move(call.respond)](Response response) mutable {
    if (response.status == 404) response = ErrorAnswer(404, "not found in archive");
    std::move(respond)(std::move(response));
  };
  WriteOne(std::move(call), RestoreMemory{std::move(id)}, [](Call done, const WriteResult& result) {
    JsonObject body;
    body.Bool("restored", true).Text("id", done.id);
    std::move(done.respond)(Done(200, std::move(body), result));
  });
}

void Api::Register(Call call) {
  absl::StatusOr<RegisterAgent> agent = wire::ReadRegistration(call.request.body);
  if (!agent.ok()) return std::move(call.respond)(BodyAnswer(agent.status()));
  const RegisterAgent shown = *agent;
  WriteOne(std::move(call), *std::move(agent), [shown](Call done, const WriteResult& result) {
    JsonObject body;
    body.Bool("registered", true)
        .Text("id", result.items[0].id)
        .Text("agent_id", shown.agent_id)
        .Text("agent_type", shown.agent_type)
        .Raw("capabilities", wire::JsonStrings(shown.capabilities));
    std::move(done.respond)(Done(201, std::move(body), result));
  });
}

}  // namespace aimem::rest
