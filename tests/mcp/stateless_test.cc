#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "aimem/backends/ephemeral.h"
#include "aimem/local_store.h"
#include "tests/mcp/client.h"

namespace aimem {
namespace {

using testing::Json;
using testing::McpClient;

Json Meta(Json more = Json::object()) {
  more["io.modelcontextprotocol/protocolVersion"] = "2026-07-28";
  more["io.modelcontextprotocol/clientCapabilities"] = Json::object();
  return more;
}

class McpStateless : public ::testing::Test {
 protected:
  ~McpStateless() override {
    EXPECT_TRUE(client_.End().ok());
    EXPECT_TRUE(store_->Close().ok());
  }
  std::unique_ptr<Store> store_ = *OpenLocalStore(OpenEphemeralBackend());
  McpClient client_{*store_, {.host_name = "dev1", .version = "9.9"}};
};

TEST_F(McpStateless, EveryResultSaysThatItIsCompleteAndWhoAnswers) {
  for (const char* method : {"server/discover", "tools/list", "prompts/list"}) {
    const Json result = client_.Ask(method, {{"_meta", Meta()}})["result"];
    EXPECT_EQ(result["resultType"], "complete") << method;
    EXPECT_EQ(result["_meta"]["io.modelcontextprotocol/serverInfo"]["version"], "9.9");
    EXPECT_EQ(result["cacheScope"], "public");
    EXPECT_GE(result["ttlMs"], 0);
  }
  const Json called =
      client_.Ask("tools/call", {{"name", "memory_stats"}, {"_meta", Meta()}})["result"];
  EXPECT_EQ(called["resultType"], "complete");
  EXPECT_EQ(called["structuredContent"]["total"], 0);
  EXPECT_FALSE(called.contains("ttlMs"));
}

TEST_F(McpStateless, DiscoverListsAllRevisionsTheNewestFirst) {
  const Json result = client_.Ask("server/discover", {{"_meta", Meta()}})["result"];
  EXPECT_EQ(result["supportedVersions"],
            (Json{"2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"}));
  EXPECT_FALSE(result.contains("serverInfo"));
}

TEST_F(McpStateless, WhoSaysTooLittleOfItselfIsToldWhatIsMissing) {
  const Json bare = client_.Ask("server/discover")["error"];
  EXPECT_EQ(bare["code"], -32'602);
  Json half = Meta();
  half.erase("io.modelcontextprotocol/clientCapabilities");
  EXPECT_EQ(client_.Ask("tools/list", {{"_meta", half}})["error"]["message"],
            "params._meta lacks io.modelcontextprotocol/clientCapabilities");
}

TEST_F(McpStateless, AnotherVersionIsRefusedWithThoseThatThereAre) {
  Json other = Meta();
  other["io.modelcontextprotocol/protocolVersion"] = "2030-01-01";
  const Json error = client_.Ask("tools/list", {{"_meta", other}})["error"];
  EXPECT_EQ(error["code"], -32'022);
  EXPECT_EQ(error["data"]["requested"], "2030-01-01");
  EXPECT_EQ(error["data"]["supported"].size(), 5u);
  other["io.modelcontextprotocol/protocolVersion"] = "2025-06-18";
  EXPECT_EQ(client_.Ask("tools/list", {{"_meta", other}})["error"]["data"]["supported"],
            Json::array({"2026-07-28"}));
}

TEST_F(McpStateless, WhatItHasNoMoreIsNoMethod) {
  for (const char* method : {"initialize", "ping", "logging/setLevel", "resources/subscribe",
                             "resources/unsubscribe", "tasks/list", "nope"}) {
    EXPECT_EQ(client_.Ask(method, {{"_meta", Meta()}})["error"]["code"], -32'601) << method;
  }
}

TEST_F(McpStateless, NeitherChangesNorEndsWhatInitializeAgreedOn) {
  client_.Initialize("2025-06-18", "alice");
  client_.Ask("tools/call",
              {{"name", "memory_store"},
               {"arguments", {{"title", "t"}, {"content", "c"}}},
               {"_meta", Meta({{"io.modelcontextprotocol/clientInfo", {{"name", "bob"}}}})}});
  const Json stored = client_.Call("memory_store", {{"title", "u"}, {"content", "c"}});
  EXPECT_EQ(stored["structuredContent"]["agent_id"], "ai:alice@dev1");
  EXPECT_FALSE(stored.contains("resultType"));
  const Json listed =
      client_.Value("memory_list", {{"format", "json"}, {"agent_id", "ai:bob@dev1"}});
  EXPECT_EQ(listed["count"], 1);
}

}  // namespace
}  // namespace aimem
