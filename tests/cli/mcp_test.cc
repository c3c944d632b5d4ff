// `aimem mcp` as clients start it: a process at the ends of pipes, which is killed, left, and one
// of many.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "support/process/child_process.h"
#include "tests/cli/run.h"

namespace aimem::testing {
namespace {

using support::ChildProcess;
using JsonValue = nlohmann::json;

constexpr absl::Duration kAnswer = absl::Seconds(60);

class McpProcess : public Cli {
 protected:
  ChildProcess Serve(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"--db", (folder() / "m.db").string(), "mcp"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto child = ChildProcess::Spawn(arguments, {.input = true,
                                                 .output = true,
                                                 .program = program(),
                                                 .log_file = (folder() / "log").string()});
    EXPECT_TRUE(child.ok()) << child.status();
    return *std::move(child);
  }

  static std::string StoreRequest(int id, const std::string& title) {
    return JsonValue{{"jsonrpc", "2.0"},
                     {"id", id},
                     {"method", "tools/call"},
                     {"params",
                      {{"name", "memory_store"},
                       {"arguments", {{"title", title}, {"content", "what " + title + " says"}}},
                       {"_meta", {{"aimem/requestId", title}}}}}}
               .dump() +
           "\n";
  }
  static JsonValue Read(ChildProcess& child) {
    const auto line = child.ReadLine(kAnswer);
    EXPECT_TRUE(line.ok() && *line) << line.status();
    return line.ok() && *line ? JsonValue::parse(**line) : JsonValue();
  }
  std::string Log() { return ReadFile(folder() / "log"); }
  static std::string ReadFile(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

TEST_F(McpProcess, AnswersAndEndsWithItsInput) {
  ChildProcess child = Serve();
  ASSERT_TRUE(child.Send(StoreRequest(1, "oven")).ok());
  EXPECT_EQ(Read(child)["id"], 1);
  ASSERT_TRUE(child.Send(StoreRequest(2, "stove")).ok());
  child.CloseInput();  // what was asked is answered all the same
  EXPECT_EQ(Read(child)["id"], 2);
  const auto end = child.ReadLine(kAnswer);
  EXPECT_TRUE(end.ok() && !*end);
  EXPECT_TRUE(child.Wait().ok()) << Log();
  EXPECT_EQ(Json({"--db", "m.db", "list"})["count"], 2);
}

TEST_F(McpProcess, ASignalEndsItAndNothingIsLost) {
  for (const int signal : {SIGTERM, SIGINT}) {
    ChildProcess child = Serve();
    ASSERT_TRUE(child.Send(StoreRequest(1, absl::StrCat("signal ", signal))).ok());
    Read(child);
    kill(child.pid(), signal);
    EXPECT_TRUE(child.Wait().ok()) << Log();
    EXPECT_FALSE(std::filesystem::exists(folder() / "m.db-wal"));  // the store was closed
  }
  EXPECT_EQ(Json({"--db", "m.db", "list"})["count"], 2);
}

TEST_F(McpProcess, StandardOutputHasMessagesAlone) {
  ChildProcess child = Serve({"--verbose", "--tier", "autonomous"});
  ASSERT_TRUE(child.Send("this is no message\n").ok());
  EXPECT_EQ(Read(child)["error"]["code"], -32'700);
  child.CloseInput();
  EXPECT_TRUE(child.Wait().ok());
  EXPECT_TRUE(absl::StrContains(Log(), "tier autonomous is keyword")) << Log();
}

TEST_F(McpProcess, WhoNoLongerReadsEndsItQuietly) {
  const Ran ran = Run({"--db", "m.db", "mcp"},
                      {.input = StoreRequest(1, "a") + StoreRequest(2, "b"), .close_output = true});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.err, "");
}

TEST_F(McpProcess, OptionsThatAreWrongAreSaid) {
  EXPECT_TRUE(absl::StrContains(Fail(1, {"--db", "m.db", "mcp", "--profile", "tiny"}),
                                "--profile must be standard or core (got 'tiny')"));
  EXPECT_FALSE(Fail(1, {"--db", "m.db", "--agent-id", "no spaces", "mcp"}).empty());
}

// Ten clients write to one file; each is killed again and again, and asks once more what it had no
// answer to. Nothing that was answered is missing, and nothing is there twice.
TEST_F(McpProcess, OfTenClientsThatAreKilledAtAnyTimeNothingIsLostOrThereTwice) {
  constexpr int kClients = 10;
  constexpr int kWrites = 30;
  std::vector<std::map<std::string, std::string>> answered(kClients);
  std::vector<std::thread> clients;
  clients.reserve(kClients);
  for (int c = 0; c < kClients; ++c) {
    clients.emplace_back([this, c, &answered] {
      ChildProcess child = Serve();
      for (int i = 0; i < kWrites; ++i) {
        const std::string title = absl::StrCat("client ", c, " writes ", i);
        // Killed before, while or after it writes.
        if (i % 7 == c % 7) {
          static_cast<void>(child.Send(StoreRequest(i, title)));
          child.Kill();
          child = Serve();
        }
        if (!child.Send(StoreRequest(i, title)).ok()) return;
        const JsonValue answer = Read(child);
        const auto text = answer["result"]["content"][0]["text"].get<std::string>();
        ASSERT_FALSE(answer["result"].contains("isError")) << text;
        answered[static_cast<std::size_t>(c)][title] = JsonValue::parse(text)["id"];
      }
      child.CloseInput();
      EXPECT_TRUE(child.Wait().ok());
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(Json({"--db", "m.db", "stats"})["total"], kClients * kWrites);
  ChildProcess reader = Serve();
  for (const auto& one : answered) {
    ASSERT_EQ(one.size(), static_cast<std::size_t>(kWrites));
    for (const auto& [title, id] : one) {
      const JsonValue ask = {{"jsonrpc", "2.0"},
                             {"id", title},
                             {"method", "tools/call"},
                             {"params", {{"name", "memory_get"}, {"arguments", {{"id", id}}}}}};
      ASSERT_TRUE(reader.Send(ask.dump() + "\n").ok());
      const JsonValue answer = Read(reader);
      const auto text = answer["result"]["content"][0]["text"].get<std::string>();
      EXPECT_EQ(JsonValue::parse(text)["title"], title);
    }
  }
  reader.CloseInput();
  EXPECT_TRUE(reader.Wait().ok());
  EXPECT_EQ(Run({"--db", "m.db", "doctor"}).code, 0);
}

}  // namespace
}  // namespace aimem::testing
