// Which handler answers a request, and the checks that come before it.
#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "aimem/limits.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "services/rest/answers.h"
#include "services/rest/api.h"
#include "services/web/url.h"

namespace aimem::rest {
namespace {

constexpr std::string_view kIdInPath = "{id}";
constexpr char kHealth[] = "/api/v1/health";

// Larger bodies take long enough to read that other connections should not wait for it.
constexpr std::size_t kBodyReadHere = 16 << 10;

bool IsJson(std::string_view content_type) {
  std::string type(content_type.substr(0, content_type.find(';')));
  absl::StripAsciiWhitespace(&type);
  absl::AsciiStrToLower(&type);
  return type == web::kJson || (type.starts_with("application/") && type.ends_with("+json"));
}

// Takes as long wherever the two differ.
bool SameSecret(std::string_view a, std::string_view b) {
  const Hash256 left = Sha256({a});
  const Hash256 right = Sha256({b});
  std::uint8_t difference = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    difference = static_cast<std::uint8_t>(difference | (left[i] ^ right[i]));
  }
  return difference == 0;
}

web::HostRule HostsOf(const HttpOptions& options) {
  std::vector<std::string> names = options.allowed_hosts;
  names.push_back(options.host);
  using Host = web::HostRule::Host;
  return web::HostRule(names, options.api_key.empty() ? Host::kChecked : Host::kAny);
}

}  // namespace

Api::Api(Store& store, const HttpOptions& options, Threads& threads)
    : store_(store),
      options_(options),
      hosts_(HostsOf(options)),
      threads_(threads),
      clock_(options.environment.clock ? *options.environment.clock : SystemClock()),
      random_(options.environment.random ? *options.environment.random : SystemRandom()),
      deadlines_(threads, clock_) {
  AddRoutes();
}

void Api::AddRoutes() {
  constexpr Where kReader = Where::kReader;
  constexpr Where kHere = Where::kHere;
  // Not on a reader: all of them may be waiting for the data.
  Route(kHealth, {{"GET", &Api::Health, kHere}});
  Route("/metrics", {{"GET", &Api::MetricsPage, kReader}});
  Route("/api/v1/metrics", {{"GET", &Api::MetricsPage, kReader}});
  Route("/api/v1/federation", {{"GET", &Api::Federation, kHere}});
  Route("/api/v1/operations/{id}", {{"GET", &Api::Operation, kReader}});
  Route("/api/v1/memories",
        {{"GET", &Api::List, kReader}, {"POST", &Api::Create, kHere, Body::kMustBeJson}});
  Route("/api/v1/memories/bulk", {{"POST", &Api::Bulk, kHere, Body::kMustBeJson}});
  Route("/api/v1/memories/{id}", {{"GET", &Api::Get, kReader},
                                  {"PUT", &Api::Update, kHere, Body::kMustBeJson},
                                  {"DELETE", &Api::Delete, kHere}});
  Route("/api/v1/memories/{id}/promote", {{"POST", &Api::Promote, kHere}});
  Route("/api/v1/search", {{"GET", &Api::Search, kReader}});
  Route("/api/v1/recall",
        {{"GET", &Api::RecallByQuery, kReader},
         {"POST", &Api::RecallByBody, kReader, Body::kMustBeJson, limits::kQuestionBytes}});
  Route("/api/v1/forget", {{"POST", &Api::Forget, kHere, Body::kMustBeJson}});
  Route("/api/v1/consolidate", {{"POST", &Api::Consolidate, kHere, Body::kMustBeJson}});
  Route("/api/v1/links", {{"POST", &Api::Link, kHere, Body::kMustBeJson}});
  Route("/api/v1/links/{id}", {{"GET", &Api::Links, kReader}});
  Route("/api/v1/namespaces", {{"GET", &Api::Namespaces, kReader}});
  Route("/api/v1/stats", {{"GET", &Api::Stats, kReader}});
  Route("/api/v1/gc", {{"POST", &Api::CollectExpired, kHere}});
  Route("/api/v1/export", {{"GET", &Api::Export, kReader}});
  Route("/api/v1/archive", {{"GET", &Api::Archive, kReader}, {"DELETE", &Api::Purge, kHere}});
  Route("/api/v1/archive/stats", {{"GET", &Api::ArchiveStats, kReader}});
  Route("/api/v1/archive/{id}/restore", {{"POST", &Api::Restore, kHere}});
  Route("/api/v1/pending", {{"GET", &Api::Pending, kReader}});
  Route("/api/v1/pending/{id}/approve", {{"POST", &Api::Approve, kHere}});
  Route("/api/v1/pending/{id}/reject", {{"POST", &Api::Reject, kHere}});
  Route("/api/v1/agents",
        {{"GET", &Api::Agents, kReader}, {"POST", &Api::Register, kHere, Body::kMustBeJson}});
}

void Api::Route(const char* path, std::vector<Method> methods) {
  const std::string_view text = path;
  const std::size_t at = text.find(kIdInPath);
  Path entry;
  entry.methods = std::move(methods);
  if (at == std::string_view::npos) {
    fixed_.emplace(path, std::move(entry));
    return;
  }
  entry.has_id = true;
  entry.before = text.substr(0, at);
  entry.after = text.substr(at + kIdInPath.size());
  with_id_.push_back(std::move(entry));
}

const Api::Path* Api::Find(std::string_view path, std::string& id) const {
  const auto fixed = fixed_.find(path);
  if (fixed != fixed_.end()) return &fixed->second;
  for (const Path& candidate : with_id_) {
    if (path.size() <= candidate.before.size() + candidate.after.size() ||
        !path.starts_with(candidate.before) || !path.ends_with(candidate.after)) {
      continue;
    }
    const std::string_view encoded = path.substr(
        candidate.before.size(), path.size() - candidate.before.size() - candidate.after.size());
    if (encoded.find('/') != std::string_view::npos) continue;
    id = encoded;
    return &candidate;
  }
  return nullptr;
}

void Api::Handle(Request request, Respond respond) {
  if (const std::string_view why = hosts_.Refusal(request); !why.empty()) {
    return std::move(respond)(ErrorAnswer(403, why));
  }
  web::Mount* const mount = FindMount(request.path);
  if (mount == nullptr && request.method == "OPTIONS") return std::move(respond)(Response{});
  const KeyIn where = mount == nullptr ? KeyIn::kHeaderOrQuery : KeyIn::kHeader;
  if (request.path != kHealth && !Authorised(request, where)) {
    return std::move(respond)(ErrorAnswer(401, "missing or invalid API key"));
  }
  if (mount != nullptr) return mount->Handle(std::move(request), std::move(respond), threads_);
  Call call;
  const Path* path = Find(request.path, call.id);
  if (path == nullptr) return std::move(respond)(Response{.status = 404});
  call.request = std::move(request);
  call.respond = std::move(respond);
  Dispatch(*path, std::move(call));
}

void Api::Dispatch(const Path& path, Call call) {
  const std::string asked = call.request.method == "HEAD" ? "GET" : call.request.method;
  const auto method =
      std::find_if(path.methods.begin(), path.methods.end(),
                   [&](const Method& candidate) { return candidate.name == asked; });
  if (method == path.methods.end()) {
    Response response{.status = 405};
    std::string allow;
    for (const Method& allowed : path.methods) {
      allow += (allow.empty() ? "" : ",") + std::string(allowed.name);
      if (allowed.name == std::string_view("GET")) allow += ",HEAD";
    }
    response.headers.emplace_back("Allow", std::move(allow));
    return std::move(call.respond)(std::move(response));
  }
  if (method->body == Body::kMustBeJson && !IsJson(call.request.Header("Content-Type"))) {
    return std::move(call.respond)(
        TextAnswer(415, "Expected request with `Content-Type: application/json`"));
  }
  if (call.request.body.size() > method->body_bytes_max) {
    return std::move(call.respond)(
        TextAnswer(413, absl::StrFormat("the body of a question has %d bytes, more than %d",
                                        call.request.body.size(), method->body_bytes_max)));
  }
  if (path.has_id) {
    std::optional<std::string> id = web::DecodeSegment(call.id);
    if (!id) return std::move(call.respond)(TextAnswer(400, "Invalid URL: a malformed id"));
    call.id = *std::move(id);
  }
  if (method->where == Where::kHere && call.request.body.size() <= kBodyReadHere) {
    return Run(method->action, std::move(call));
  }
  threads_.Read([this, action = method->action, call = std::move(call)]() mutable {
    Run(action, std::move(call));
  });
}

void Api::Run(Action action, Call call) { (this->*action)(std::move(call)); }

web::Mount* Api::FindMount(std::string_view path) const {
  const auto found = std::find_if(options_.mounts.begin(), options_.mounts.end(),
                                  [&](const auto& mount) { return mount->path() == path; });
  return found == options_.mounts.end() ? nullptr : found->get();
}

void Api::Drain() {
  draining_ = true;
  for (const auto& mount : options_.mounts) mount->Drain();
}

bool Api::Authorised(const Request& request, KeyIn where) const {
  if (options_.api_key.empty()) return true;
  const std::string_view key = request.Header("X-API-Key");
  if (!key.empty() || where == KeyIn::kHeader) return SameSecret(key, options_.api_key);
  const std::optional<std::string> in_query = web::Query(request.query).Text("api_key");
  return in_query && SameSecret(*in_query, options_.api_key);
}

absl::StatusOr<std::string> Api::Identity(const Request& request, std::string_view claimed) {
  const std::string_view given = claimed.empty() ? request.Header("X-Agent-Id") : claimed;
  if (!given.empty()) {
    const absl::Status status = model::CheckAgentId(given);
    if (!status.ok()) return Annotate(status, "invalid agent_id");
    return std::string(given);
  }
  // A request that is repeated under its key must be the same request, author included.
  std::array<std::uint8_t, 4> bytes{};
  const std::string_view request_id = request.Header(kRequestId);
  if (request_id.empty()) {
    random_.Fill(bytes);
  } else {
    const Hash256 hash = Sha256({request_id});
    std::copy_n(hash.begin(), bytes.size(), bytes.begin());
  }
  const std::string_view raw(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return "anonymous:req-" + ToHex(raw);
}

Response Api::Lost() const { return ErrorAnswer(500, "internal server error"); }

void Api::Log(LogLevel level, std::string_view message) const {
  if (options_.environment.log != nullptr) options_.environment.log->Log(level, message);
}

Response Api::Problem(const absl::Status& status) const {
  Response response = StatusAnswer(status);
  if (response.status == 500) Log(LogLevel::kError, absl::StrFormat("http: %s", status.ToString()));
  return response;
}

}  // namespace aimem::rest
