#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/local_store.h"
#include "tests/mcp/client.h"
#include "tests/support/gate.h"
#include "tests/support/hooked_backend.h"

namespace aimem {
namespace {

using testing::Json;
using testing::McpClient;

class Mcp : public ::testing::Test {
 protected:
  ~Mcp() override { EXPECT_TRUE(store_->Close().ok()); }

  std::unique_ptr<Store> store_ = *OpenLocalStore(OpenEphemeralBackend());
};

// -- Which revision -------------------------------------------------------------------------------

TEST_F(Mcp, AnswersARevisionThatItKnowsWithThatRevision) {
  for (const char* revision : {"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"}) {
    McpClient client(*store_);
    EXPECT_EQ(client.Initialize(revision)["protocolVersion"], revision);
  }
}

TEST_F(Mcp, AnswersOneThatItDoesNotKnowWithTheNewestStatefulOne) {
  for (const char* revision : {"2023-01-01", "2026-07-28", "latest", ""}) {
    McpClient client(*store_);
    EXPECT_EQ(client.Initialize(revision)["protocolVersion"], "2025-11-25");
  }
  McpClient client(*store_);
  EXPECT_EQ(client.Ask("initialize")["result"]["protocolVersion"], "2024-11-05");
}

TEST_F(Mcp, IsByteForByteWhatUpstreamAnswersToInitialize) {
  McpClient client(*store_);
  client.SendLine(
      R"({"jsonrpc":"2.0","id":"a","method":"initialize","params":{"protocolVersion":"2024-11-05"}})");
  EXPECT_EQ(
      client.ReadLine(),
      R"({"jsonrpc":"2.0","id":"a","result":{"capabilities":{"prompts":{},"tools":{}},)"
      R"("protocolVersion":"2024-11-05","serverInfo":{"name":"ai-memory","version":"0.6.0"}}})");
}

TEST_F(Mcp, ToolsMayBeCalledWithoutInitialize) {
  McpClient client(*store_);
  EXPECT_EQ(client.Value("memory_stats")["total"], 0);
}

// -- Messages that are none -----------------------------------------------------------------------

TEST_F(Mcp, EchoesAnIdAsItCame) {
  McpClient client(*store_);
  for (const char* id : {"0", "\"\"", "1771234567890", "\"1\"", "-7"}) {
    client.SendLine(std::string(R"({"jsonrpc":"2.0","method":"ping","id":)") + id + "}");
    EXPECT_EQ(client.ReadLine(),
              std::string(R"({"jsonrpc":"2.0","id":)") + id + R"(,"result":{}})");
  }
}

TEST_F(Mcp, NeverAnswersANotification) {
  McpClient client(*store_);
  client.SendLine(R"({"jsonrpc":"2.0","method":"notifications/whatever"})");
  client.SendLine(R"({"jsonrpc":"2.0","method":"tools/call","params":{"name":"memory_store",)"
                  R"("arguments":{"title":"t","content":"c"}}})");
  client.SendLine(R"({"jsonrpc":"2.0","id":null,"method":"nope"})");
  client.SendLine("");
  client.SendLine("  \r");
  EXPECT_EQ(client.Value("memory_stats")["total"], 0);  // nor has it an effect
}

TEST_F(Mcp, SaysWhatIsNoMessage) {
  McpClient client(*store_);
  const auto code = [&](const char* line) {
    client.SendLine(line);
    const Json answer = client.Read();
    EXPECT_TRUE(answer["id"].is_null()) << answer;
    EXPECT_TRUE(absl::StartsWith(answer["error"]["message"].get<std::string>(), "parse error: "));
    return answer["error"]["code"].get<int>();
  };
  for (const char* line : {"nonsense", "{", "[]", "7", R"({"id":1})", R"({"id":1,"method":"ping"})",
                           R"({"jsonrpc":2.0,"id":1,"method":"ping"})",
                           R"([{"jsonrpc":"2.0","id":1,"method":"ping"}])", "{\"a\":\"\xff\"}"}) {
    EXPECT_EQ(code(line), -32'700) << line;
  }
  const Json answer = client.AskRaw({{"jsonrpc", "1.0"}, {"id", 1}, {"method", "ping"}});
  EXPECT_EQ(answer["error"]["code"], -32'600);
  EXPECT_EQ(answer["error"]["message"], "invalid JSON-RPC version (must be \"2.0\")");
}

TEST_F(Mcp, LaterRevisionsSayInvalidRequestAndTheNewestLeaveAnUnknownIdOut) {
  for (const char* revision : {"2025-06-18", "2025-11-25"}) {
    McpClient client(*store_);
    client.Initialize(revision);
    for (const char* line : {"[]", "7", R"({"jsonrpc":"2.0","id":null,"method":"ping"})",
                             R"({"jsonrpc":"2.0","id":1.5,"method":"ping"})",
                             R"({"jsonrpc":"2.0","id":true,"method":"ping"})"}) {
      client.SendLine(line);
      const Json answer = client.Read();
      EXPECT_EQ(answer["error"]["code"], -32'600) << line;
      EXPECT_EQ(answer.contains("id"), revision == std::string("2025-06-18")) << answer;
    }
    // What answers a request that was never sent is of no interest.
    client.SendLine(R"({"jsonrpc":"2.0","id":1,"result":{}})");
    EXPECT_EQ(client.Ask("ping")["result"], Json::object());
  }
}

TEST_F(Mcp, ParametersThatAreNoObjectAreAnsweredWhateverWasAgreedOn) {
  for (const char* revision : {"", "2024-11-05", "2025-11-25"}) {
    McpClient client(*store_);
    if (*revision != '\0') client.Initialize(revision);
    for (const char* params : {"null", "[1]", "\"x\"", "7"}) {
      for (const char* method : {"tools/list", "tools/call", "initialize", "prompts/get", "x"}) {
        client.SendLine(std::string(R"({"jsonrpc":"2.0","id":1,"method":")") + method +
                        R"(","params":)" + params + "}");
        EXPECT_FALSE(client.ReadLine().empty()) << method << params;
      }
    }
  }
}

TEST_F(Mcp, AStatelessMessageIsReadByItsOwnRules) {
  McpClient client(*store_);
  const std::string meta =
      R"("params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
      R"("io.modelcontextprotocol/clientCapabilities":{}}}})";
  for (const char* head : {R"({"jsonrpc":"2.0","id":true,"method":"tools/list",)",
                           R"({"jsonrpc":"2.0","id":null,"method":"tools/list",)",
                           R"({"jsonrpc":"2.0","id":1.5,"method":"tools/list",)",
                           R"({"jsonrpc":"2.0","id":1,)", R"({"id":1,"method":"tools/list",)"}) {
    client.SendLine(head + meta);
    EXPECT_EQ(client.Read()["error"]["code"], -32'600) << head;
  }
}

TEST_F(Mcp, StopEndsItAlsoWhereTheClientReadsNothing) {
  McpClient client(*store_);
  for (int i = 0; i < 60; ++i) {
    client.SendLine(
        Json{{"jsonrpc", "2.0"}, {"id", i}, {"method", "tools/list"}, {"params", Json::object()}}
            .dump());
  }
  client.Stop();
}

TEST_F(Mcp, AnswersABatchWhereThatRevisionHasThem) {
  McpClient client(*store_);
  client.Initialize("2025-03-26");
  client.SendLine(R"([{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"x"},)"
                  R"({"jsonrpc":"2.0","id":2,"method":"nope"},)"
                  R"({"jsonrpc":"2.0","id":3,"method":"initialize"}])");
  const Json answers = client.Read();
  ASSERT_EQ(answers.size(), 3u);
  int refused = 0;
  for (const Json& answer : answers) {
    if (answer["id"] != 1) {
      EXPECT_EQ(answer["error"]["code"], answer["id"] == 2 ? -32'601 : -32'600);
    }
    refused += static_cast<int>(answer.contains("error"));
  }
  EXPECT_EQ(refused, 2);
  client.SendLine(R"([{"jsonrpc":"2.0","method":"x"}])");  // nothing to answer
  client.SendLine("[]");
  EXPECT_EQ(client.Read()["error"]["code"], -32'600);
}

TEST_F(Mcp, ALineThatIsTooLongIsSaidAndSkipped) {
  McpClient client(*store_, {.message_bytes_max = 64u << 10});
  client.SendLine(std::string(10u << 20, 'x'));
  const Json answer = client.Read();
  EXPECT_EQ(answer["error"]["code"], -32'700);
  EXPECT_TRUE(absl::StrContains(answer["error"]["message"].get<std::string>(), "65536"));
  EXPECT_EQ(client.Ask("ping")["result"], Json::object());
}

TEST_F(Mcp, WhatIsNestedTooDeepIsRefused) {
  McpClient client(*store_);
  client.SendLine(R"({"jsonrpc":"2.0","id":1,"method":"ping","params":)" +
                  std::string(100'000, '[') + std::string(100'000, ']') + "}");
  EXPECT_EQ(client.Read()["error"]["code"], -32'700);
  EXPECT_EQ(client.Ask("ping")["result"], Json::object());
}

// -- The end --------------------------------------------------------------------------------------

TEST_F(Mcp, WhatWasAskedBeforeTheEndIsAnswered) {
  McpClient client(*store_);
  for (int i = 0; i < 50; ++i) {
    client.SendLine(Json{{"jsonrpc", "2.0"},
                         {"id", i},
                         {"method", "tools/call"},
                         {"params",
                          {{"name", "memory_store"},
                           {"arguments", {{"title", std::to_string(i)}, {"content", "c"}}}}}}
                        .dump());
  }
  EXPECT_TRUE(client.End().ok());
  for (int i = 0; i < 50; ++i) EXPECT_EQ(client.Read()["id"], i);  // in order
  EXPECT_EQ(client.ReadLine(), "");
  EXPECT_EQ(store_->Info({.counts = true})->counts->live, 50);
}

TEST_F(Mcp, StopEndsItWhateverTheClientDoes) {
  McpClient client(*store_);
  EXPECT_EQ(client.Ask("ping")["result"], Json::object());
  client.Stop();
  EXPECT_EQ(client.ReadLine(), "");
}

TEST(McpOptionsTest, AreChecked) {
  EXPECT_TRUE(Validate(McpOptions()).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(Validate({.message_bytes_max = 10})));
  EXPECT_TRUE(absl::IsInvalidArgument(Validate({.agent_id = "no spaces"})));
}

// -- Cancellation ---------------------------------------------------------------------------------

class McpCancel : public ::testing::Test {
 protected:
  ~McpCancel() override { EXPECT_TRUE(store_->Close().ok()); }

  testing::Gate gate_;
  std::atomic<bool> hold_ = false;
  std::unique_ptr<Store> store_ = *OpenLocalStore(std::make_unique<testing::HookedBackend>(
      OpenEphemeralBackend(), testing::Hooks{.read = [this] {
        if (hold_) gate_.Pass();
      }}));
};

TEST_F(McpCancel, ACancelledRequestIsNotAnsweredAndAnotherOneOfLikeIdIs) {
  McpClient client(*store_);
  client.Initialize("2025-11-25");
  gate_.Shut();
  hold_ = true;
  const auto get = [&](const char* id) {
    client.SendLine(std::string(R"({"jsonrpc":"2.0","method":"tools/call","id":)") + id +
                    R"(,"params":{"name":"memory_get","arguments":{"id":"x"}}})");
  };
  get("1");
  gate_.AwaitHeld();
  get("\"1\"");  // another one, which waits
  client.SendLine(
      R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}})");
  client.SendLine(
      R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":77}})");
  EXPECT_EQ(client.Ask("ping")["result"], Json::object());  // all of that was read
  hold_ = false;
  gate_.Open();
  EXPECT_EQ(client.Read()["id"], "1");
}

TEST_F(McpCancel, APingIsAnsweredWhileAToolRuns) {
  McpClient client(*store_);
  client.Initialize("2025-06-18");
  gate_.Shut();
  hold_ = true;
  client.SendLine(R"({"jsonrpc":"2.0","method":"tools/call","id":1,"params":{"name":"memory_get",)"
                  R"("arguments":{"id":"x"}}})");
  gate_.AwaitHeld();
  EXPECT_EQ(client.AskRaw({{"jsonrpc", "2.0"}, {"id", "p"}, {"method", "ping"}})["id"], "p");
  hold_ = false;
  gate_.Open();
  EXPECT_EQ(client.Read()["id"], 1);
}

}  // namespace
}  // namespace aimem
