// Who may ask: what keeps pages in a browser out.
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/rest/support.h"

namespace aimem::testing {
namespace {

using ::testing::HasSubstr;
using HttpHosts = HttpTest;

constexpr const char* kRoutes[] = {"/api/v1/health", "/api/v1/memories", "/api/v1/gc",
                                   "/metrics",       "/nothing",         "/api/v1/archive"};
constexpr const char* kMethods[] = {"GET", "HEAD", "POST", "PUT", "OPTIONS", "PATCH", "DELETE"};

std::string Ask(const std::string& method, const std::string& route, const std::string& headers) {
  return method + " " + route + " HTTP/1.1\r\n" + headers + "Connection: close\r\n\r\n";
}

TEST_F(HttpHosts, ForeignOriginIsRefusedOnEveryMethodAndRoute) {
  const std::string id = Put("kept");
  for (const char* origin : {"https://evil.example", "null", "http://localhost.evil.example",
                             "http://evil.example:9077", "file://", "http://127.0.0.1@evil.example",
                             "http://localhost:x", "ftp://localhost", "localhost", ""}) {
    for (const char* route : kRoutes) {
      for (const char* method : kMethods) {
        const std::string headers = std::string("Host: localhost\r\nOrigin: ") + origin + "\r\n";
        EXPECT_EQ(Raw(Ask(method, route, headers)).first, 403)
            << method << " " << route << " " << origin;
      }
    }
  }
  EXPECT_EQ(Get("/api/v1/memories/" + id).status, 200) << "and nothing was done";
}

TEST_F(HttpHosts, ForeignHostIsRefusedOnEveryMethodAndRoute) {
  for (const char* host : {"evil.example", "evil.example:9077", "localhost.evil.example",
                           "10.0.0.1", "localhost:80:90", "[::2]", "me@localhost", ""}) {
    for (const char* route : kRoutes) {
      for (const char* method : kMethods) {
        const std::string headers = std::string("Host: ") + host + "\r\n";
        EXPECT_EQ(Raw(Ask(method, route, headers)).first, 403)
            << method << " " << route << " " << host;
      }
    }
  }
}

TEST_F(HttpHosts, OneForeignHeaderOfSeveralIsEnough) {
  EXPECT_EQ(Raw(Ask("GET", "/metrics", "Host: localhost\r\nHost: evil.example\r\n")).first, 403);
  EXPECT_EQ(Raw(Ask("POST", "/api/v1/gc",
                    "Host: localhost\r\nOrigin: http://localhost\r\norigin: http://a.example\r\n"))
                .first,
            403);
}

TEST_F(HttpHosts, NamesOfThisMachineAreServedAtAnyPort) {
  for (const char* name : {"localhost", "127.0.0.1", "[::1]", "LocalHost"}) {
    for (const char* at : {"", ":80", ":9077", ":61000"}) {
      const std::string host = std::string(name) + at;
      for (const char* scheme : {"http://", "https://", "HTTP://"}) {
        const std::string headers =
            absl::StrCat("Host: ", host, "\r\nOrigin: ", scheme, host, "\r\nContent-Length: 0\r\n");
        const auto [status, text] = Raw(Ask("POST", "/api/v1/gc", headers));
        EXPECT_EQ(status, 200) << host << text;
      }
    }
  }
}

TEST_F(HttpHosts, WhatIsNoBrowserNeedsNeitherHeader) {
  EXPECT_EQ(Raw("GET /api/v1/health HTTP/1.0\r\n\r\n").first, 200);
}

TEST_F(HttpHosts, NamesThatAreAllowedAreServed) {
  options.allowed_hosts = {"Memory.example", "fd00::7"};
  for (const char* host : {"memory.example", "MEMORY.example:9077", "[FD00::7]:1", "localhost"}) {
    EXPECT_EQ(Raw(Ask("GET", "/api/v1/stats",
                      std::string("Host: ") + host + "\r\nOrigin: https://" + host + "\r\n"))
                  .first,
              200)
        << host;
  }
  EXPECT_EQ(Raw(Ask("GET", "/api/v1/stats", "Host: a.memory.example\r\n")).first, 403);
}

TEST_F(HttpHosts, WhoHasTheKeyIsServedByAnyNameButNotForForeignPages) {
  options.api_key = "secret";
  const std::string key = "X-API-Key: secret\r\n";
  EXPECT_EQ(Raw(Ask("GET", "/api/v1/stats", "Host: memory.example\r\n" + key)).first, 200);
  EXPECT_EQ(Raw(Ask("GET", "/api/v1/stats", "Host: memory.example\r\n")).first, 401);
  const auto [status, text] = Raw(Ask(
      "GET", "/api/v1/stats", "Host: memory.example\r\nOrigin: https://memory.example\r\n" + key));
  EXPECT_EQ(status, 403);
  EXPECT_THAT(text, HasSubstr("--allow-host"));
}

TEST(HttpHostNames, AreChecked) {
  for (const char* name : {"", "http://a.example", "a.example:80", "a b", "[a]", "*", ":", "[]"}) {
    EXPECT_THAT(std::string(Validate(HttpOptions{.allowed_hosts = {name}}).message()),
                HasSubstr("allowed_hosts"))
        << name;
  }
  EXPECT_TRUE(
      Validate(HttpOptions{.allowed_hosts = {"a.example", "10.0.0.1", "::1", "[::1]"}}).ok());
}

}  // namespace
}  // namespace aimem::testing
