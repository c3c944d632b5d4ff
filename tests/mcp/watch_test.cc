#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/local_store.h"
#include "tests/mcp/client.h"

namespace aimem {
namespace {

using testing::Json;
using testing::McpClient;

class McpWatch : public ::testing::Test {
 protected:
  ~McpWatch() override {
    EXPECT_TRUE(client_.End().ok());
    EXPECT_TRUE(store_->Close().ok());
  }
  std::string Put(const std::string& namespace_, const std::string& title,
                  const std::string& content = "content") {
    const WriteResult put =
        store_->Write(PutMemory{.namespace_ = namespace_, .title = title, .content = content});
    EXPECT_TRUE(put.status.ok()) << put.status;
    return put.items[0].id;
  }
  static Json Meta() {
    return {{"io.modelcontextprotocol/protocolVersion", "2026-07-28"},
            {"io.modelcontextprotocol/clientCapabilities", Json::object()}};
  }

  std::unique_ptr<Store> store_ = *OpenLocalStore(OpenEphemeralBackend());
  McpClient client_{*store_};
};

TEST_F(McpWatch, WhoSubscribesIsToldOfWhatOthersWrite) {
  const Json capabilities = client_.Initialize("2025-06-18")["capabilities"];
  EXPECT_EQ(capabilities["resources"]["subscribe"], true);
  const std::string id = Put("shop", "oven");
  Put("shop", "other");
  const Json params = {{"uri", "memory://memories/" + id}};
  for (int i = 0; i < 2; ++i) {  // idempotent
    EXPECT_EQ(client_.Ask("resources/subscribe", params)["result"], Json::object());
  }
  Put("shop", "other", "changed");  // not subscribed
  Put("shop", "oven", "changed");
  const Json told = client_.Read();
  EXPECT_EQ(told["method"], "notifications/resources/updated");
  EXPECT_EQ(told["params"]["uri"], params["uri"]);
  ASSERT_TRUE(store_->Write(DeleteMemory{.id = id}).status.ok());
  EXPECT_EQ(client_.Read()["params"]["uri"], params["uri"]);
  EXPECT_EQ(client_.Ask("resources/unsubscribe", params)["result"], Json::object());
  EXPECT_EQ(client_.Ask("resources/unsubscribe", params)["result"], Json::object());
}

TEST_F(McpWatch, ANamespaceChangesWithWhatLiesInIt) {
  client_.Initialize("2025-11-25");
  const std::string id = Put("shop/api", "oven");
  client_.Ask("resources/subscribe", {{"uri", "memory://namespaces/shop/api"}});
  Put("shop/api", "stove");
  EXPECT_EQ(client_.Read()["params"]["uri"], "memory://namespaces/shop/api");
  ASSERT_TRUE(store_->Write(DeleteMemory{.id = id}).status.ok());
  EXPECT_EQ(client_.Read()["params"]["uri"], "memory://namespaces/shop/api");
}

TEST_F(McpWatch, WhoHasListedIsToldOfANewNamespace) {
  client_.Initialize("2025-11-25");
  Put("shop", "oven");
  EXPECT_EQ(client_.Ask("resources/list")["result"]["resources"].size(), 1u);
  Put("home", "oven");
  EXPECT_EQ(client_.Read()["method"], "notifications/resources/list_changed");
}

TEST_F(McpWatch, WhatIsNoResourceIsRefused) {
  client_.Initialize("2025-11-25");
  for (const Json& uri : {Json("file:///x"), Json(""), Json("memory://memories/"), Json(7)}) {
    EXPECT_EQ(client_.Ask("resources/subscribe", {{"uri", uri}})["error"]["code"], -32'602) << uri;
  }
}

TEST_F(McpWatch, AListenerIsAcknowledgedFirstAndToldUnderItsId) {
  const std::string id = Put("shop", "oven");
  const std::string uri = "memory://memories/" + id;
  const Json listen = {{"jsonrpc", "2.0"},
                       {"id", 7},
                       {"method", "subscriptions/listen"},
                       {"params",
                        {{"_meta", Meta()},
                         {"notifications",
                          {{"resourcesListChanged", true},
                           {"toolsListChanged", true},
                           {"resourceSubscriptions", {uri, "file:///x"}}}}}}};
  const Json acknowledged = client_.AskRaw(listen);
  EXPECT_EQ(acknowledged["method"], "notifications/subscriptions/acknowledged");
  EXPECT_EQ(acknowledged["params"]["notifications"],
            (Json{{"resourcesListChanged", true}, {"resourceSubscriptions", Json::array({uri})}}));
  Put("shop", "oven", "changed");
  Put("home", "new");
  std::set<std::string> methods;
  for (int i = 0; i < 2; ++i) {
    const Json told = client_.Read();
    EXPECT_EQ(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
    methods.insert(told["method"]);
  }
  EXPECT_EQ(methods.size(), 2u);
  client_.SendLine(
      R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}})");
  // Nothing more is said of it: what comes next is the answer.
  EXPECT_TRUE(client_.Ask("tools/list", {{"_meta", Meta()}}).contains("result"));
}

TEST_F(McpWatch, AListenerOfNothingIsAcknowledgedAndEnds) {
  const Json listen = {{"jsonrpc", "2.0"},
                       {"id", "l"},
                       {"method", "subscriptions/listen"},
                       {"params", {{"_meta", Meta()}, {"notifications", Json::object()}}}};
  EXPECT_EQ(client_.AskRaw(listen)["method"], "notifications/subscriptions/acknowledged");
  const Json end = client_.Read();
  EXPECT_EQ(end["id"], "l");
  EXPECT_EQ(end["result"]["resultType"], "complete");
}

TEST_F(McpWatch, AListenerThatIsWrongIsToldSo) {
  EXPECT_EQ(client_.Ask("subscriptions/listen")["error"]["code"], -32'602);
  EXPECT_EQ(client_.Ask("subscriptions/listen", {{"_meta", Meta()}})["error"]["code"], -32'602);
  EXPECT_EQ(client_.Ask("subscriptions/listen",
                        {{"_meta", Meta()},
                         {"notifications", {{"resourcesListChanged", 1}}}})["error"]["code"],
            -32'602);
}

}  // namespace
}  // namespace aimem
