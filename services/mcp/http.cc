#include "services/mcp/http.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "aimem/limits.h"
#include "aimem/services/mcp.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "services/mcp/headers.h"

namespace aimem::mcp {
namespace {

constexpr char kSession[] = "Mcp-Session-Id";
constexpr char kEventStream[] = "text/event-stream";

std::string_view VersionOf(const web::Request& http) { return http.Header(kVersionHeader); }
std::string_view AgentOf(const web::Request& http) { return http.Header("X-Agent-Id"); }

bool SaysStateless(const web::Request& http) {
  return ParseRevision(VersionOf(http)) == Revision::k2026_07;
}

// -- Answers --------------------------------------------------------------------------------------

web::Response Refused(int status, const RpcError& error, const Json& id = nullptr,
                      Revision revision = kNewestStateful) {
  return web::JsonAnswer(status, ErrorText(id, error, revision));
}

web::Response Refused(int status, std::string message, const Json& id = nullptr) {
  return Refused(status, RpcError{kInvalidRequest, std::move(message)}, id);
}

web::Response NotAllowed(const char* allow) {
  web::Response response =
      Refused(405, absl::StrCat("this path takes ", allow, ": there is no stream to read"));
  response.headers.emplace_back("Allow", allow);
  return response;
}

web::Response NoSuchSession(const Json& id = nullptr) {
  return Refused(404, "there is no such session, or no more: initialize another", id);
}

// The whole stream: it ends with what was asked for. Only where `stream` has a name have its
// events.
web::Response EventsAnswer(const std::vector<std::string>& texts, const std::string& stream) {
  web::Response response = {.status = 200, .content_type = kEventStream, .body = {}, .headers = {}};
  int n = 0;
  for (const std::string& text : texts) {
    if (!stream.empty()) absl::StrAppend(&response.body, "id: ", stream, "-", ++n, "\n");
    absl::StrAppend(&response.body, "data: ", text, "\n\n");
  }
  response.headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
  return response;
}

// -- What is asked --------------------------------------------------------------------------------

const Json& IdOf(const std::vector<Message>& messages) {
  static const Json none;
  const auto* const request = std::get_if<Request>(&messages.front());
  return messages.size() == 1 && request != nullptr ? request->id : none;
}

const Request* InitializeOf(const std::vector<Message>& messages, bool is_batch) {
  const auto* const request = is_batch ? nullptr : std::get_if<Request>(&messages.front());
  return request != nullptr && request->method == "initialize" ? request : nullptr;
}

const Unreadable* UnreadableOf(const std::vector<Message>& messages, bool is_batch) {
  return is_batch ? nullptr : std::get_if<Unreadable>(&messages.front());
}

// `type` is one of an Accept header, with its parameters.
bool Wants(std::string_view range, std::string_view type) {
  std::vector<std::string> parts = absl::StrSplit(ToAbsl(range), ';');
  for (std::string& part : parts) {
    absl::StripAsciiWhitespace(&part);
    absl::AsciiStrToLower(&part);
    if (part == "q=0" || part == "q=0.0" || part == "q=0.00" || part == "q=0.000") return false;
  }
  const std::string any_of_kind(type.substr(0, type.find('/') + 1));
  return parts[0] == type || parts[0] == "*/*" || parts[0] == any_of_kind + "*";
}

bool IsJson(std::string_view content_type) {
  std::string type(content_type.substr(0, content_type.find(';')));
  absl::StripAsciiWhitespace(&type);
  return absl::EqualsIgnoreCase(type, web::kJson);
}

}  // namespace

HttpMount::HttpMount(Store& store, const McpOptions& options)
    : server_(store, options), sessions_(options.environment) {}

// -- What comes before the message ----------------------------------------------------------------

void HttpMount::Handle(web::Request request, web::Respond respond, web::Threads& threads) {
  const std::string_view agent = AgentOf(request);
  const absl::Status named = agent.empty() ? absl::OkStatus() : model::CheckAgentId(agent);
  if (!named.ok()) {
    return std::move(respond)(Refused(400, absl::StrCat("X-Agent-Id: ", named.message())));
  }
  if (request.method == "DELETE") return std::move(respond)(Delete(request));
  if (request.method != "POST") return std::move(respond)(NotAllowed("POST, DELETE"));
  if (std::optional<web::Response> refused = RefusePost(request)) {
    return std::move(respond)(*std::move(refused));
  }
  threads.Wait([this, request = std::move(request), respond = std::move(respond)]() mutable {
    std::move(respond)(Post(request));
  });
}

std::optional<HttpMount::Form> HttpMount::FormOf(const web::Request& http) {
  bool json = false;
  bool events = false;
  bool any = false;
  for (const auto& [name, value] : http.headers) {
    if (!absl::EqualsIgnoreCase(name, "Accept")) continue;
    any = true;
    for (const absl::string_view range : absl::StrSplit(value, ',')) {
      json = json || Wants(ToStd(range), web::kJson);
      events = events || Wants(ToStd(range), kEventStream);
    }
  }
  if (json || !any) return Form::kJson;
  return events ? std::optional(Form::kEvents) : std::nullopt;
}

std::optional<web::Response> HttpMount::RefusePost(const web::Request& http) const {
  if (!IsJson(http.Header("Content-Type"))) {
    return Refused(415, "the Content-Type of a message is application/json");
  }
  if (!FormOf(http)) {
    return Refused(406, "answers are application/json or text/event-stream: Accept one of them");
  }
  const std::size_t most = server_.options().message_bytes_max;
  if (http.body.size() <= most) return std::nullopt;
  return Refused(413, absl::StrFormat("a message may have %d bytes, and this one has %d", most,
                                      http.body.size()));
}

web::Response HttpMount::Delete(const web::Request& http) {
  const std::string_view id = http.Header(kSession);
  if (id.empty() && SaysStateless(http)) return NotAllowed("POST");
  if (id.empty()) return Refused(400, "which session: its id is missing, in Mcp-Session-Id");
  if (!sessions_.End(id, AgentOf(http))) return NoSuchSession();
  return {.status = 204, .content_type = {}, .body = {}, .headers = {}};
}

// -- Which era ------------------------------------------------------------------------------------

bool HttpMount::IsStateless(const Posted& posted) {
  const Message& message = posted.messages.front();
  const auto* const request = std::get_if<Request>(&message);
  const auto* const notification = std::get_if<Notification>(&message);
  if (request != nullptr && Server::IsStateless(*request)) return true;
  if (notification != nullptr &&
      Server::IsStateless({nullptr, notification->method, notification->params})) {
    return true;
  }
  if (InitializeOf(posted.messages, posted.is_batch) != nullptr) return false;
  return posted.http.Header(kSession).empty() && SaysStateless(posted.http);
}

web::Response HttpMount::Post(const web::Request& http) {
  Posted posted = {http, *FormOf(http), {}, false};
  posted.messages = ReadMessages(http.body, kNewestStateful, &posted.is_batch);
  return IsStateless(posted) ? AnswerStateless(posted) : AnswerInSession(std::move(posted));
}

// -- Stateless ------------------------------------------------------------------------------------

web::Response HttpMount::AnswerStateless(const Posted& posted) const {
  const web::Request& http = posted.http;
  if (const Unreadable* bad = UnreadableOf(posted.messages, false)) {
    return Refused(400, bad->error, bad->id);
  }
  const auto* const request = std::get_if<Request>(&posted.messages.front());
  if (request == nullptr && std::holds_alternative<Notification>(posted.messages.front())) {
    return {.status = 202, .content_type = {}, .body = {}, .headers = {}};
  }
  if (request == nullptr) return Refused(400, "nothing was asked that this could answer");
  if (const std::optional<RpcError> error = CheckStateless(http, *request)) {
    return Refused(400, *error, request->id, Revision::k2026_07);
  }
  const Speaker speaker = {Revision::k2026_07, "", std::string(AgentOf(http))};
  const Outcome outcome = server_.Answer(*request, speaker, http.stop);
  const auto* const error = std::get_if<RpcError>(&outcome);
  if (error != nullptr && error->code == kMethodNotFound) {
    return Refused(404, *error, request->id, Revision::k2026_07);
  }
  const std::string text = error != nullptr ? ErrorText(request->id, *error, Revision::k2026_07)
                                            : ResultText(request->id, std::get<Json>(outcome));
  return posted.form == Form::kJson ? web::JsonAnswer(200, text) : EventsAnswer({text}, "");
}

// -- In a session ---------------------------------------------------------------------------------

web::Response HttpMount::Open(const Posted& posted, const Request& initialize) {
  Speaker speaker;
  speaker.agent_id = AgentOf(posted.http);
  const Json result = server_.Initialize(initialize.params, speaker);
  // More of it would be kept, and not be used.
  speaker.client.resize(std::min(speaker.client.size(), limits::kAgentIdBytes));
  auto [id, session] = sessions_.Open(std::move(speaker));
  const std::string text = ResultText(initialize.id, result);
  web::Response response = posted.form == Form::kJson
                               ? web::JsonAnswer(200, text)
                               : EventsAnswer({text}, absl::StrCat(session->NextStream()));
  response.headers.emplace_back(kSession, std::move(id));
  return response;
}

web::Response HttpMount::AnswerInSession(Posted posted) {
  const web::Request& http = posted.http;
  const std::string_view id = http.Header(kSession);
  if (const Request* initialize = InitializeOf(posted.messages, posted.is_batch)) {
    return Open(posted, *initialize);
  }
  const std::shared_ptr<Session> session = sessions_.Find(id, AgentOf(http));
  const std::optional<Revision> said = ParseRevision(VersionOf(http));
  const Revision revision = session ? session->speaker().revision : said.value_or(kNewestStateful);
  // Messages look different to what was spoken before.
  posted.messages = ReadMessages(http.body, revision, &posted.is_batch);
  if (const Unreadable* bad = UnreadableOf(posted.messages, posted.is_batch)) {
    return Refused(400, bad->error, bad->id, revision);
  }
  const Json& request_id = IdOf(posted.messages);
  if (id.empty()) {
    return Refused(400, "initialize first, and send its Mcp-Session-Id from then on", request_id);
  }
  if (!session) return NoSuchSession(request_id);
  if (!VersionOf(http).empty() && (!said || mcp::IsStateless(*said))) {
    return Refused(400,
                   absl::StrCat("this session speaks ", ToAbsl(RevisionName(revision)),
                                ": say that in MCP-Protocol-Version"),
                   request_id);
  }
  return AnswerAll(posted, *session);
}

web::Response HttpMount::AnswerAll(const Posted& posted, Session& session) const {
  const Revision revision = session.speaker().revision;
  std::vector<std::string> texts;
  for (const Message& message : posted.messages) {
    if (const auto* request = std::get_if<Request>(&message)) {
      if (auto text = AnswerOne(posted.http, *request, session)) texts.push_back(*std::move(text));
    } else if (const auto* bad = std::get_if<Unreadable>(&message)) {
      texts.push_back(ErrorText(bad->id, bad->error, revision));
    } else if (const auto* notification = std::get_if<Notification>(&message);
               notification != nullptr && notification->method == "notifications/cancelled" &&
               notification->params.is_object()) {
      session.Cancel(notification->params.value("requestId", Json()));
    }
  }
  if (texts.empty()) return {.status = 202, .content_type = {}, .body = {}, .headers = {}};
  if (posted.form == Form::kEvents) return EventsAnswer(texts, absl::StrCat(session.NextStream()));
  if (!posted.is_batch) return web::JsonAnswer(200, texts.front());
  return web::JsonAnswer(200, absl::StrCat("[", absl::StrJoin(texts, ","), "]"));
}

std::optional<std::string> HttpMount::AnswerOne(const web::Request& http, const Request& request,
                                                Session& session) const {
  const bool stateless = Server::IsStateless(request);
  const Revision revision = stateless ? Revision::k2026_07 : session.speaker().revision;
  if (!stateless && request.method == "initialize") {
    return ErrorText(request.id, {kInvalidRequest, "initialize must not be part of a batch"},
                     revision);
  }
  const Session::Run run(session, request.id);
  // A client that has hung up has not cancelled what it asked; the end of the server does.
  const std::stop_callback ending(http.stop, [this, stop = run.stop()]() mutable {
    if (draining_) stop.request_stop();
  });
  const std::stop_token stop = run.stop().get_token();
  const Outcome outcome = server_.Answer(request, session.speaker(), stop);
  if (stop.stop_requested()) return std::nullopt;
  return std::holds_alternative<Json>(outcome)
             ? ResultText(request.id, std::get<Json>(outcome))
             : ErrorText(request.id, std::get<RpcError>(outcome), revision);
}

}  // namespace aimem::mcp

namespace aimem {

absl::StatusOr<std::shared_ptr<web::Mount>> MakeMcpMount(Store& store, const McpOptions& options) {
  AIMEM_RETURN_IF_ERROR(Validate(options));
  return std::make_shared<mcp::HttpMount>(store, options);
}

}  // namespace aimem
