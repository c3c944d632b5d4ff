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

class McpResources : public ::testing::Test {
 protected:
  McpResources() { client_.Initialize("2025-06-18"); }
  ~McpResources() override {
    EXPECT_TRUE(client_.End().ok());
    EXPECT_TRUE(store_->Close().ok());
  }
  std::string Put(const std::string& namespace_, const std::string& title) {
    const WriteResult put = store_->Write(
        PutMemory{.namespace_ = namespace_, .title = title, .content = "of " + title});
    EXPECT_TRUE(put.status.ok()) << put.status;
    return put.items[0].id;
  }
  Json Result(const char* method, const Json& params = Json::object()) {
    return client_.Ask(method, params)["result"];
  }

  std::unique_ptr<Store> store_ = *OpenLocalStore(OpenEphemeralBackend());
  McpClient client_{*store_};
};

TEST_F(McpResources, NamespacesAreListedAndRead) {
  Put("shop/api", "oven");
  Put("a", "x");
  Put("50%#ü", "odd");
  const Json listed = Result("resources/list")["resources"];
  ASSERT_EQ(listed.size(), 3u);
  for (const Json& one : listed) {
    const Json read = Result("resources/read", {{"uri", one["uri"]}})["contents"];
    ASSERT_EQ(read.size(), 1u) << one;
    EXPECT_EQ(read[0]["uri"], one["uri"]);
    const Json content = Json::parse(read[0]["text"].get<std::string>());
    EXPECT_EQ(content["count"], 1);
    EXPECT_EQ(content["memories"][0]["namespace"], one["name"]);
  }
  EXPECT_EQ(listed[2]["uri"], "memory://namespaces/shop/api");
}

TEST_F(McpResources, AMemoryIsReadByItsWholeId) {
  const std::string id = Put("shop", "oven");
  const Json read = Result("resources/read", {{"uri", "memory://memories/" + id}});
  EXPECT_EQ(Json::parse(read["contents"][0]["text"].get<std::string>())["title"], "oven");
  for (const std::string& uri :
       {"memory://memories/" + id.substr(0, 8), std::string("memory://memories/"),
        std::string("memory://namespaces/none"), std::string("memory://memories/%zz"),
        std::string("file:///etc/passwd"), std::string()}) {
    const Json error = client_.Ask("resources/read", {{"uri", uri}})["error"];
    EXPECT_EQ(error["code"], -32'002) << uri;
    EXPECT_EQ(error["data"]["uri"], uri);
  }
  EXPECT_EQ(client_.Ask("resources/read", {{"uri", 7}})["error"]["code"], -32'602);
}

TEST_F(McpResources, PagesCoverEachNamespaceOnce) {
  for (int i = 0; i < 250; ++i) Put(absl::StrCat("n", i), "t");
  std::set<std::string> names;
  Json params = Json::object();
  int pages = 0;
  do {
    const Json page = Result("resources/list", params);
    for (const Json& one : page["resources"]) EXPECT_TRUE(names.insert(one["name"]).second);
    params = Json::object();
    if (page.contains("nextCursor")) params["cursor"] = page["nextCursor"];
    ++pages;
  } while (params.contains("cursor"));
  EXPECT_EQ(names.size(), 250u);
  EXPECT_EQ(pages, 3);
  for (const Json& cursor : {Json(""), Json(7), Json("***")}) {
    EXPECT_EQ(client_.Ask("resources/list", {{"cursor", cursor}})["error"]["code"], -32'602);
  }
}

TEST_F(McpResources, NamespacesAreCompleted) {
  Put("shop/api", "x");
  Put("shop/web", "x");
  Put("home", "x");
  const auto complete = [&](const Json& ref, const char* value) {
    return client_.Ask("completion/complete",
                       {{"ref", ref}, {"argument", {{"name", "namespace"}, {"value", value}}}});
  };
  const Json prompt = {{"type", "ref/prompt"}, {"name", "recall-first"}};
  EXPECT_EQ(complete(prompt, "sh")["result"]["completion"]["values"],
            (Json{"shop/api", "shop/web"}));
  EXPECT_EQ(complete(prompt, "x")["result"]["completion"]["total"], 0);
  EXPECT_EQ(complete({{"type", "ref/resource"}, {"uri", "memory://namespaces/{+namespace}"}},
                     "ho")["result"]["completion"]["values"],
            Json::array({"home"}));
  EXPECT_EQ(complete({{"type", "ref/prompt"}, {"name", "none"}}, "")["error"]["code"], -32'602);
}

TEST_F(McpResources, AreHiddenFromTheFirstRevision) {
  McpClient first(*store_);
  const Json answer = first.Ask("initialize");
  EXPECT_FALSE(answer["result"]["capabilities"].contains("resources"));
  for (const char* method : {"resources/list", "resources/read", "resources/templates/list",
                             "completion/complete", "logging/setLevel"}) {
    EXPECT_EQ(first.Ask(method)["error"]["code"], -32'601) << method;
  }
}

TEST_F(McpResources, StatelessReadsSayHowLongTheyHold) {
  Put("shop", "oven");
  const Json meta = {{"io.modelcontextprotocol/protocolVersion", "2026-07-28"},
                     {"io.modelcontextprotocol/clientCapabilities", Json::object()}};
  EXPECT_EQ(Result("resources/list", {{"_meta", meta}})["cacheScope"], "private");
  EXPECT_EQ(Result("resources/templates/list", {{"_meta", meta}})["cacheScope"], "public");
  const Json error =
      client_.Ask("resources/read", {{"uri", "memory://x"}, {"_meta", meta}})["error"];
  EXPECT_EQ(error["code"], -32'602);
  EXPECT_EQ(error["message"], "Resource not found");
}

}  // namespace
}  // namespace aimem
