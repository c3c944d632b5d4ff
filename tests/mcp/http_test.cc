// The protocol over HTTP, as one who knows the specification and not the server sends it.
#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/local_store.h"
#include "aimem/services/http.h"
#include "aimem/services/mcp.h"
#include "aimem/store_decorator.h"
#include "clients/http/http_client.h"
#include "gmock/gmock.h"
#include "tests/mcp/client.h"
#include "tests/support/eventually.h"

namespace aimem {
namespace {

using clients::HttpAnswer;
using clients::HttpHeaders;
using testing::Eventually;
using testing::Json;
using testing::kPatience;
using ::testing::MatchesRegex;

constexpr char kVersion[] = "2026-07-28";

/// Moves when a test says so.
class StoppedClock final : public Clock {
 public:
  absl::Time Now() override { return SystemClock().Now(); }
  absl::Duration Monotonic() override { return absl::Seconds(seconds_.load()); }
  void Pass(absl::Duration time) { seconds_ += absl::ToInt64Seconds(time); }

 private:
  std::atomic<std::int64_t> seconds_ = 1'000'000;
};

/// A search lasts until it is stopped, if that is asked for.
class SlowStore final : public StoreDecorator {
 public:
  std::atomic<bool> hold = false;
  std::atomic<bool> begun = false;
  std::atomic<bool> stopped = false;

  using Store::Search;
  absl::StatusOr<SearchResult> Search(const SearchRequest& request) override {
    if (hold) {
      begun = true;
      stopped = Eventually([&] { return request.bounds.stop.stop_requested(); });
    }
    return StoreDecorator::Search(request);
  }

 private:
  Store& below() override { return *inner_; }
  std::unique_ptr<Store> inner_ = *OpenLocalStore(OpenEphemeralBackend());
};

class McpHttp : public ::testing::Test {
 protected:
  ~McpHttp() override {
    if (server_ != nullptr) server_->Shutdown(absl::ZeroDuration());
    EXPECT_TRUE(store_.Close().ok());
  }

  HttpServer& server() {
    if (server_ != nullptr) return *server_;
    http_.port = 0;
    http_.mounts = {*MakeMcpMount(store_, mcp_)};
    server_ = *StartHttpServer(store_, http_);
    server_->SetReady(true);
    return *server_;
  }

  HttpAnswer Send(const std::string& method, const std::string& body, const HttpHeaders& headers) {
    clients::HttpClient client("127.0.0.1", server().port());
    auto answer = client.Send(method, "/mcp", body, headers, kPatience);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? *std::move(answer) : HttpAnswer{};
  }
  HttpAnswer Post(const Json& message, const HttpHeaders& headers = {}) {
    return Send("POST", message.dump(), headers);
  }

  /// Shake hands: the session's id.
  std::string Initialize(const std::string& revision, const HttpHeaders& headers = {}) {
    const HttpAnswer answer = Post(InitializeRequest(revision), headers);
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(Json::parse(answer.body)["result"]["protocolVersion"], revision);
    return answer.headers.at("mcp-session-id");
  }

  static Json InitializeRequest(const std::string& revision) {
    return Request("initialize", {{"protocolVersion", revision},
                                  {"capabilities", Json::object()},
                                  {"clientInfo", {{"name", "alice"}, {"version", "1"}}}});
  }
  static Json Request(const std::string& method, const Json& params = Json::object(),
                      const Json& id = 7) {
    return {{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}};
  }
  static Json Store(const std::string& title) {
    return {{"name", "memory_store"}, {"arguments", {{"title", title}, {"content", "c"}}}};
  }

  // -- Stateless ----------------------------------------------------------------------------------
  static Json Modern(const std::string& method, Json params = Json::object(), const Json& id = 7) {
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = kVersion;
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = Json::object();
    return Request(method, params, id);
  }
  static HttpHeaders Headers(const std::string& method, const std::string& name = "") {
    HttpHeaders headers = {{"MCP-Protocol-Version", kVersion}, {"Mcp-Method", method}};
    if (!name.empty()) headers.emplace_back("Mcp-Name", name);
    return headers;
  }
  /// Must be refused with this, and echo the id.
  void ExpectError(const HttpAnswer& answer, int status, int code, const Json& id = 7) {
    EXPECT_EQ(answer.status, status) << answer.body;
    const Json body = Json::parse(answer.body);
    EXPECT_EQ(body["error"]["code"], code) << answer.body;
    EXPECT_EQ(body.value("id", Json()), id) << answer.body;
  }

  StoppedClock clock_;
  HttpOptions http_;
  McpOptions mcp_ = {.host_name = "dev1", .version = "9.9", .environment = {.clock = &clock_}};
  SlowStore store_;
  std::unique_ptr<HttpServer> server_;
};

// -- Stateless ------------------------------------------------------------------------------------

TEST_F(McpHttp, StatelessRequestStandsAlone) {
  const HttpAnswer discovered = Post(Modern("server/discover"), Headers("server/discover"));
  EXPECT_EQ(discovered.status, 200);
  EXPECT_EQ(discovered.headers.at("content-type"), "application/json");
  EXPECT_FALSE(discovered.headers.contains("mcp-session-id"));
  EXPECT_EQ(Json::parse(discovered.body)["result"]["resultType"], "complete");

  const HttpAnswer stored =
      Post(Modern("tools/call", Store("t"), "one"), Headers("tools/call", "memory_store"));
  EXPECT_EQ(stored.status, 200);
  const Json answer = Json::parse(stored.body);
  EXPECT_EQ(answer["id"], "one");
  EXPECT_EQ(answer["result"]["structuredContent"]["title"], "t");
}

TEST_F(McpHttp, SessionsMeanNothingToStatelessRequests) {
  HttpHeaders headers = Headers("tools/list");
  headers.emplace_back("Mcp-Session-Id", "nobody");
  const HttpAnswer answer = Post(Modern("tools/list"), headers);
  EXPECT_EQ(answer.status, 200);
  EXPECT_FALSE(answer.headers.contains("mcp-session-id"));
}

TEST_F(McpHttp, HeadersMustRepeatWhatTheBodySays) {
  const auto refused = [&](const Json& message, const HttpHeaders& headers) {
    ExpectError(Post(message, headers), 400, -32'020);
  };
  const Json list = Modern("tools/list");
  refused(list, {});
  refused(list, {{"Mcp-Method", "tools/list"}});
  refused(list, {{"MCP-Protocol-Version", kVersion}});
  refused(list, {{"MCP-Protocol-Version", "2025-11-25"}, {"Mcp-Method", "tools/list"}});
  refused(list, Headers("tools/call"));
  refused(list, Headers("Tools/List"));
  HttpHeaders twice = Headers("tools/list");
  twice.emplace_back("Mcp-Method", "tools/call");
  refused(list, twice);
  const Json call = Modern("tools/call", {{"name", "memory_stats"}});
  refused(call, Headers("tools/call"));
  refused(call, Headers("tools/call", "memory_store"));
  refused(call, Headers("tools/call", "=?base64?bWVtb3J5X3N0YXRz"));   // one marker
  refused(call, Headers("tools/call", "=?base64?bWVtb3J5X3N0YXR?="));  // of no whole text
  refused(call, Headers("tools/call", "=?BASE64?bWVtb3J5X3N0YXRz?="));
  refused(call, Headers("tools/call", "=?base64?bWVtb3J5 X3N0YXRz?="));
  refused(Modern("tools/call"), Headers("tools/call", "memory_stats"));
}

TEST_F(McpHttp, HeadersMayBeEncodedAndSpelledAnyhow) {
  const Json call = Modern("tools/call", {{"name", "memory_stats"}});
  for (const char* name : {"memory_stats", "=?base64?bWVtb3J5X3N0YXRz?=", "   memory_stats  "}) {
    const HttpAnswer answer = Post(
        call,
        {{"mcp-protocol-version", kVersion}, {"MCP-METHOD", "tools/call"}, {"mcp-name", name}});
    EXPECT_EQ(answer.status, 200) << name << answer.body;
  }
  // Of names that no header can carry.
  const Json umlaut = Modern("prompts/get", {{"name", "ü"}});
  ExpectError(Post(umlaut, Headers("prompts/get", "=?base64?w7w=?=")), 200, -32'602);
  ExpectError(Post(umlaut, Headers("prompts/get", "=?base64?w7w?=")), 400, -32'020);
  // Of a method that has none.
  EXPECT_EQ(Post(Modern("tools/list"), Headers("tools/list", "whatever")).status, 200);
}

TEST_F(McpHttp, StatelessErrorsAreToldInOrder) {
  // The shape, before all else.
  ExpectError(Send("POST", "{", Headers("x")), 400, -32'700, nullptr);
  ExpectError(Post({{"jsonrpc", "2.0"}, {"id", nullptr}, {"method", "x"}}, Headers("x")), 400,
              -32'600, nullptr);
  ExpectError(Post(Json::array({Modern("tools/list")}), Headers("tools/list")), 400, -32'600,
              nullptr);
  // What it says of itself, before the headers …
  Json half = Modern("tools/list");
  half["params"]["_meta"].erase("io.modelcontextprotocol/clientCapabilities");
  ExpectError(Post(half), 400, -32'602);
  ExpectError(Post(Request("tools/list"), {{"MCP-Protocol-Version", kVersion}}), 400, -32'602);
  ExpectError(Post(Request("server/discover")), 400, -32'602);
  // … the header of the version before the version, and that before the other headers …
  Json newer = Modern("tools/list");
  newer["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2030-01-01";
  ExpectError(Post(newer, {{"MCP-Protocol-Version", kVersion}}), 400, -32'020);
  const HttpAnswer unknown = Post(newer, {{"MCP-Protocol-Version", "2030-01-01"}});
  ExpectError(unknown, 400, -32'022);
  EXPECT_EQ(Json::parse(unknown.body)["error"]["data"]["requested"], "2030-01-01");
  // … and those before the method, and that before its parameters.
  ExpectError(Post(Modern("nope"), Headers("other")), 400, -32'020);
  for (const char* method : {"nope", "initialize", "ping", "logging/setLevel",
                             "resources/subscribe", "resources/unsubscribe", "tasks/get"}) {
    ExpectError(Post(Modern(method), Headers(method)), 404, -32'601);
  }
  ExpectError(Post(Modern("tools/call", {{"name", "nope"}}), Headers("tools/call", "nope")), 200,
              -32'602);
}

TEST_F(McpHttp, StatelessNotificationsAreTakenAndResponsesAreNot) {
  Json notification = Modern("notifications/whatever");
  notification.erase("id");
  EXPECT_EQ(Post(notification).status, 202);
  const Json bare = {{"jsonrpc", "2.0"}, {"method", "notifications/whatever"}};
  EXPECT_EQ(Post(bare, {{"MCP-Protocol-Version", kVersion}}).status, 202);
  const Json response = {{"jsonrpc", "2.0"}, {"id", 1}, {"result", Json::object()}};
  EXPECT_EQ(Post(response, {{"MCP-Protocol-Version", kVersion}}).status, 400);
}

// -- Sessions -------------------------------------------------------------------------------------

TEST_F(McpHttp, SessionRemembersWhatWasAgreedOn) {
  const std::string session = Initialize("2025-06-18");
  EXPECT_THAT(session, MatchesRegex("[0-9a-f]{32}"));
  EXPECT_NE(Initialize("2025-06-18"), session);
  const HttpHeaders headers = {{"Mcp-Session-Id", session}};
  const Json initialized = {{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}};
  const HttpAnswer taken = Post(initialized, headers);
  EXPECT_EQ(taken.status, 202);
  EXPECT_EQ(taken.body, "");
  const Json stored = Json::parse(Post(Request("tools/call", Store("t")), headers).body);
  EXPECT_EQ(stored["result"]["structuredContent"]["agent_id"], "ai:alice@dev1");
  EXPECT_FALSE(stored["result"].contains("resultType"));
  EXPECT_EQ(Post(Request("ping"), headers).body, R"({"jsonrpc":"2.0","id":7,"result":{}})");
  const Json response = {{"jsonrpc", "2.0"}, {"id", 1}, {"result", Json::object()}};
  EXPECT_EQ(Post(response, headers).status, 202);
}

TEST_F(McpHttp, AnyStatefulRevisionIsNegotiatedAndAnotherBecomesTheNewest) {
  for (const char* revision : {"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"}) {
    EXPECT_EQ(Post(Request("tools/list"), {{"Mcp-Session-Id", Initialize(revision)}}).status, 200);
  }
  const HttpAnswer newest = Post(InitializeRequest("2030-01-01"),
                                 {{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Session-Id", "x"}});
  EXPECT_EQ(newest.status, 200) << "neither header is looked at";
  EXPECT_EQ(Json::parse(newest.body)["result"]["protocolVersion"], "2025-11-25");
}

TEST_F(McpHttp, StatefulRequestsNeedTheSessionOfTheirs) {
  const Json list = Request("tools/list");
  ExpectError(Post(list), 400, -32'600);
  ExpectError(Post(list, {{"Mcp-Session-Id", "nobody"}}), 404, -32'600);
  EXPECT_EQ(Post({{"jsonrpc", "2.0"}, {"method", "notifications/x"}}).status, 400);
  const std::string session = Initialize("2025-11-25", {{"X-Agent-Id", "alice"}});
  EXPECT_EQ(Post(list, {{"Mcp-Session-Id", session}}).status, 404);
  EXPECT_EQ(Post(list, {{"Mcp-Session-Id", session}, {"X-Agent-Id", "bob"}}).status, 404);
  EXPECT_EQ(Send("DELETE", "", {{"Mcp-Session-Id", session}, {"X-Agent-Id", "bob"}}).status, 404);
  EXPECT_EQ(Post(list, {{"Mcp-Session-Id", session}, {"X-Agent-Id", "alice"}}).status, 200);
}

TEST_F(McpHttp, WhoAsksIsWhomTheHeaderNames) {
  const HttpHeaders alice = {{"X-Agent-Id", "alice"}};
  const std::string session = Initialize("2025-11-25", alice);
  const Json stored = Json::parse(Post(Request("tools/call", Store("t")),
                                       {{"Mcp-Session-Id", session}, {"X-Agent-Id", "alice"}})
                                      .body);
  EXPECT_EQ(stored["result"]["structuredContent"]["agent_id"], "alice");
  HttpHeaders headers = Headers("tools/call", "memory_store");
  headers.emplace_back("X-Agent-Id", "bob");
  const Json alone = Json::parse(Post(Modern("tools/call", Store("u")), headers).body);
  EXPECT_EQ(alone["result"]["structuredContent"]["agent_id"], "bob");
  EXPECT_EQ(Post(InitializeRequest("2025-11-25"), {{"X-Agent-Id", "not an id"}}).status, 400);
}

TEST_F(McpHttp, ClientWithALongNameHasAnAgentIdAllTheSame) {
  Json initialize = InitializeRequest("2025-11-25");
  initialize["params"]["clientInfo"]["name"] = std::string(1'000'000, 'n');
  const std::string session = Post(initialize).headers.at("mcp-session-id");
  const Json stored =
      Json::parse(Post(Request("tools/call", Store("t")), {{"Mcp-Session-Id", session}}).body);
  EXPECT_THAT(std::string(stored["result"]["structuredContent"]["agent_id"]),
              MatchesRegex("ai:n{125}"));
}

TEST_F(McpHttp, SessionEndsByDelete) {
  const HttpHeaders headers = {{"Mcp-Session-Id", Initialize("2025-11-25")}};
  EXPECT_EQ(Send("DELETE", "", headers).status, 204);
  EXPECT_EQ(Post(Request("tools/list"), headers).status, 404);
  EXPECT_EQ(Send("DELETE", "", headers).status, 404);
  EXPECT_EQ(Send("DELETE", "", {}).status, 400);
  EXPECT_EQ(Send("DELETE", "", {{"MCP-Protocol-Version", kVersion}}).status, 405);
}

TEST_F(McpHttp, SessionEndsWhenNobodyUsesItForADay) {
  const HttpHeaders used = {{"Mcp-Session-Id", Initialize("2025-11-25")}};
  const HttpHeaders idle = {{"Mcp-Session-Id", Initialize("2025-11-25")}};
  clock_.Pass(absl::Hours(23));
  EXPECT_EQ(Post(Request("ping"), used).status, 200);
  clock_.Pass(absl::Hours(2));
  EXPECT_EQ(Post(Request("ping"), used).status, 200);
  EXPECT_EQ(Post(Request("ping"), idle).status, 404);
}

TEST_F(McpHttp, OfTooManySessionsThatEndsWhichIsUnusedForLongest) {
  const HttpHeaders oldest = {{"Mcp-Session-Id", Initialize("2025-11-25")}};
  clock_.Pass(absl::Seconds(1));
  const HttpHeaders next = {{"Mcp-Session-Id", Initialize("2025-11-25")}};
  clock_.Pass(absl::Seconds(1));
  clients::HttpClient client("127.0.0.1", server().port());
  const std::string initialize = InitializeRequest("2025-11-25").dump();
  for (int i = 0; i < 4'095; ++i) ASSERT_TRUE(client.Post("/mcp", initialize).ok());
  EXPECT_EQ(Post(Request("ping"), oldest).status, 404);
  EXPECT_EQ(Post(Request("ping"), next).status, 200);
}

TEST_F(McpHttp, VersionHeaderOfASessionMustBeStateful) {
  const std::string session = Initialize("2025-06-18");
  const auto with = [&](const char* version) {
    return Post(Request("tools/list"),
                {{"Mcp-Session-Id", session}, {"MCP-Protocol-Version", version}});
  };
  EXPECT_EQ(with("2025-06-18").status, 200);
  EXPECT_EQ(with("2025-11-25").status, 200);
  EXPECT_EQ(with("2030-01-01").status, 400);
  EXPECT_EQ(with("2026-07-28").status, 400);
  HttpHeaders dead = {{"Mcp-Session-Id", "nobody"}, {"MCP-Protocol-Version", "2030-01-01"}};
  EXPECT_EQ(Post(Request("tools/list"), dead).status, 404) << "clients shake hands again on that";
}

TEST_F(McpHttp, StatefulErrorsAreAnswersAndWhatCannotBeReadIsNot) {
  const HttpHeaders headers = {{"Mcp-Session-Id", Initialize("2025-11-25")}};
  ExpectError(Post(Request("nope"), headers), 200, -32'601);
  ExpectError(Post(Request("tools/call", {{"name", "nope"}}), headers), 200, -32'602);
  const HttpAnswer broken = Send("POST", "{", headers);
  EXPECT_EQ(broken.status, 400);
  EXPECT_FALSE(Json::parse(broken.body).contains("id"));
  ExpectError(Post({{"jsonrpc", "1.0"}, {"id", 3}, {"method", "ping"}}, headers), 400, -32'600, 3);
  const HttpHeaders older = {{"Mcp-Session-Id", Initialize("2025-06-18")}};
  const Json nameless = Json::parse(Send("POST", "{", older).body);
  EXPECT_TRUE(nameless.contains("id") && nameless["id"].is_null());
  // Headers of another era are of no interest.
  HttpHeaders strange = headers;
  strange.emplace_back("Mcp-Method", "other");
  EXPECT_EQ(Post(Request("tools/list"), strange).status, 200);
}

TEST_F(McpHttp, BatchesAreOfOneRevisionAlone) {
  const Json batch = {Request("ping", Json::object(), 1),
                      {{"jsonrpc", "2.0"}, {"method", "notifications/x"}},
                      Request("nope", Json::object(), 2),
                      InitializeRequest("2025-03-26")};
  const HttpHeaders headers = {{"Mcp-Session-Id", Initialize("2025-03-26")}};
  const Json answers = Json::parse(Post(batch, headers).body);
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[0]["result"], Json::object());
  EXPECT_EQ(answers[1]["error"]["code"], -32'601);
  EXPECT_EQ(answers[2]["error"]["code"], -32'600);
  EXPECT_EQ(Post(Json::array({batch[1]}), headers).status, 202);
  ExpectError(Post(Json::array(), headers), 400, -32'600, nullptr);
  const HttpHeaders newer = {{"Mcp-Session-Id", Initialize("2025-06-18")}};
  ExpectError(Post(batch, newer), 400, -32'600, nullptr);
  EXPECT_EQ(Post(Json::array({InitializeRequest("2025-03-26")})).status, 400);
}

TEST_F(McpHttp, StatelessRequestWithinASessionLeavesItAsItIs) {
  const std::string session = Initialize("2024-11-05");
  HttpHeaders headers = Headers("tools/list");
  headers.emplace_back("Mcp-Session-Id", session);
  const Json modern = Json::parse(Post(Modern("tools/list"), headers).body);
  EXPECT_EQ(modern["result"]["resultType"], "complete");
  const Json legacy = Json::parse(Post(Request("tools/list"), {{"Mcp-Session-Id", session}}).body);
  EXPECT_FALSE(legacy["result"].contains("resultType"));
}

// -- Cancelling -----------------------------------------------------------------------------------

TEST_F(McpHttp, CancelledRequestEndsWithoutAnAnswer) {
  const HttpHeaders headers = {{"Mcp-Session-Id", Initialize("2025-11-25")}};
  store_.hold = true;
  HttpAnswer answer;
  std::thread asking([&] {
    answer =
        Post(Request("tools/call", {{"name", "memory_search"}, {"arguments", {{"query", "word"}}}}),
             headers);
  });
  EXPECT_TRUE(Eventually([&] { return store_.begun.load(); }));
  const auto cancel = [&](const Json& id) {
    const Json params = {{"requestId", id}};
    EXPECT_EQ(Post({{"jsonrpc", "2.0"}, {"method", "notifications/cancelled"}, {"params", params}},
                   headers)
                  .status,
              202);
  };
  cancel("7");
  cancel(8);
  EXPECT_FALSE(store_.stopped);
  cancel(7);
  asking.join();
  EXPECT_TRUE(store_.stopped);
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.body, "");
}

TEST_F(McpHttp, StatelessRequestEndsWhenItsClientHangsUp) {
  store_.hold = true;
  clients::HttpClient client("127.0.0.1", server().port());
  const Json search =
      Modern("tools/call", {{"name", "memory_search"}, {"arguments", {{"query", "word"}}}});
  EXPECT_FALSE(client
                   .Send("POST", "/mcp", search.dump(), Headers("tools/call", "memory_search"),
                         absl::Milliseconds(300))
                   .ok());
  EXPECT_TRUE(Eventually([&] { return store_.stopped.load(); }));
}

TEST_F(McpHttp, StatefulRequestEndsWithTheGraceOfAShutdown) {
  const HttpHeaders headers = {{"Mcp-Session-Id", Initialize("2025-11-25")}};
  store_.hold = true;
  std::thread asking([&] {
    clients::HttpClient client("127.0.0.1", server().port());
    const Json search =
        Request("tools/call", {{"name", "memory_search"}, {"arguments", {{"query", "word"}}}});
    static_cast<void>(client.Send("POST", "/mcp", search.dump(), headers, kPatience));
  });
  EXPECT_TRUE(Eventually([&] { return store_.begun.load(); }));
  server().Shutdown(absl::Milliseconds(50));
  EXPECT_TRUE(store_.stopped);
  asking.join();
}

// -- The transport --------------------------------------------------------------------------------

TEST_F(McpHttp, OtherVerbsAreNotAllowed) {
  const HttpHeaders session = {{"Mcp-Session-Id", Initialize("2025-11-25")}};
  for (const char* method : {"GET", "PUT", "OPTIONS", "PATCH"}) {
    const HttpAnswer answer = Send(method, "", session);
    EXPECT_EQ(answer.status, 405) << method;
    EXPECT_EQ(answer.headers.at("allow"), "POST, DELETE") << method;
  }
}

TEST_F(McpHttp, MediaTypesAreThoseOfTheProtocol) {
  clients::HttpClient client("127.0.0.1", server().port());
  const std::string body = InitializeRequest("2025-11-25").dump();
  const auto accept = [&](const std::string& types) {
    return Post(InitializeRequest("2025-11-25"), {{"Accept", types}});
  };
  for (const char* types : {"application/json, text/event-stream", "*/*", "application/json",
                            "text/event-stream;q=0.5, Application/*;q=0.1"}) {
    EXPECT_EQ(accept(types).headers.at("content-type"), "application/json") << types;
  }
  for (const char* types : {"text/html", "application/xml, text/plain", "application/json;q=0"}) {
    EXPECT_EQ(accept(types).status, 406) << types;
  }
  for (const char* type : {"text/plain", "application/jsonp", "application/ld+json", ""}) {
    EXPECT_EQ(Post(InitializeRequest("2025-11-25"), {{"Content-Type", type}}).status, 415) << type;
  }
  EXPECT_EQ(
      Post(InitializeRequest("2025-11-25"), {{"Content-Type", "application/json; charset=utf-8"}})
          .status,
      200);
}

TEST_F(McpHttp, WhoTakesOnlyEventsIsSentThem) {
  const HttpHeaders events = {{"Accept", "text/event-stream"}};
  const HttpAnswer opened = Post(InitializeRequest("2025-03-26"), events);
  EXPECT_EQ(opened.headers.at("content-type"), "text/event-stream");
  EXPECT_EQ(opened.headers.at("cache-control"), "no-cache");
  EXPECT_EQ(opened.headers.at("x-accel-buffering"), "no");
  const HttpHeaders headers = {{"Accept", "text/event-stream"},
                               {"Mcp-Session-Id", opened.headers.at("mcp-session-id")}};
  EXPECT_EQ(Post(Request("ping"), headers).body,
            "id: 2-1\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n\n");
  EXPECT_EQ(
      Post({Request("ping", Json::object(), 1), Request("ping", Json::object(), 2)}, headers).body,
      "id: 3-1\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n"
      "id: 3-2\ndata: {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n\n");
  // What is stateless cannot be resumed, and has no ids.
  HttpHeaders modern = Headers("tools/list");
  modern.emplace_back("Accept", "text/event-stream");
  EXPECT_THAT(Post(Modern("tools/list"), modern).body, ::testing::StartsWith("data: {"));
  EXPECT_EQ(Post(Request("ping"), {{"Accept", "text/event-stream"}}).status, 400);
}

TEST_F(McpHttp, MessageThatIsTooLargeIsRefused) {
  mcp_.message_bytes_max = 64 << 10;
  const Json large = Request("ping", {{"x", std::string(65'536, 'x')}});
  EXPECT_EQ(Post(large).status, 413);
}

TEST_F(McpHttp, KeyMustStandInItsHeader) {
  http_.api_key = "secret";
  EXPECT_EQ(Post(InitializeRequest("2025-11-25")).status, 401);
  EXPECT_EQ(Send("DELETE", "", {{"Mcp-Session-Id", "x"}}).status, 401);
  EXPECT_EQ(Post(InitializeRequest("2025-11-25"), {{"X-API-Key", "secret"}}).status, 200);
  clients::HttpClient client("127.0.0.1", server().port());
  const auto in_query = client.Post("/mcp?api_key=secret", InitializeRequest("2025-11-25").dump());
  EXPECT_EQ(in_query->status, 401);
}

TEST_F(McpHttp, ForeignPagesAreRefusedBeforeAllElse) {
  for (const char* method : {"POST", "GET", "DELETE", "OPTIONS", "PUT"}) {
    EXPECT_EQ(Send(method, "{", {{"Origin", "https://evil.example"}}).status, 403) << method;
    EXPECT_EQ(Send(method, "{", {{"Host", "evil.example"}}).status, 403) << method;
  }
  EXPECT_EQ(Post(InitializeRequest("2025-11-25"), {{"Origin", "http://localhost:3000"}}).status,
            200);
}

TEST_F(McpHttp, ManyClientsAtOnceAreAnswered) {
  const HttpHeaders headers = {{"Mcp-Session-Id", Initialize("2025-11-25")}};
  std::atomic<int> right = 0;
  std::vector<std::thread> clients;
  clients.reserve(8);
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&, i] {
      const HttpAnswer answer =
          Post(Request("tools/call", Store("t" + std::to_string(i)), i), headers);
      const Json body = Json::parse(answer.body);
      right += body["id"] == i &&
               body["result"]["structuredContent"]["title"] == "t" + std::to_string(i);
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(right, 8);
}

TEST_F(McpHttp, OptionsAreChecked) {
  EXPECT_FALSE(MakeMcpMount(store_, {.message_bytes_max = 1}).ok());
}

// -- Beside others --------------------------------------------------------------------------------

TEST_F(McpHttp, CallsThatTakeLongKeepNobodyElseFromReading) {
  http_.reader_threads = 1;
  store_.hold = true;
  server();
  std::vector<std::thread> callers;
  callers.reserve(3);
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([this] {
      clients::HttpClient client("127.0.0.1", server().port());
      const Json search = {{"name", "memory_search"}, {"arguments", {{"query", "x"}}}};
      static_cast<void>(client.Send("POST", "/mcp", Modern("tools/call", search).dump(),
                                    Headers("tools/call", "memory_search"), kPatience));
    });
  }
  EXPECT_TRUE(Eventually([&] { return store_.begun.load(); }));
  clients::HttpClient client("127.0.0.1", server().port());
  const auto listed = client.Send("GET", "/api/v1/memories", "", {}, kPatience);
  EXPECT_TRUE(listed.ok() && listed->status == 200) << listed.status();
  EXPECT_FALSE(store_.stopped);  // they still are at it
  server_->Shutdown(absl::ZeroDuration());
  for (std::thread& caller : callers) caller.join();
}

}  // namespace
}  // namespace aimem
