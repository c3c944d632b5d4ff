// install: what becomes of the configuration files of clients.
#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "gmock/gmock.h"
#include "tests/cli/run.h"

namespace aimem::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Install : public Cli {
 protected:
  Install() {
    home_.environment["HOME"] = folder().string();
    for (const char* name : {"CLAUDE_CONFIG_DIR", "CODEX_HOME", "XDG_CONFIG_HOME"}) {
      home_.environment[name] = "";
    }
  }

  void Write(const std::string& name, const std::string& text) {
    fs::create_directories((folder() / name).parent_path());
    std::ofstream(folder() / name, std::ios::binary) << text;
  }
  std::string Read(const std::string& name) {
    std::ifstream in(folder() / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  Ran InstallInto(const std::string& client, const std::string& file,
                  std::vector<std::string> more = {"--yes"}) {
    more.insert(more.begin(), {"--db", "/data/m.db", "install", client, "--config", file});
    return Run(more, home_);
  }
  Ran UndoIn(const std::string& client, const std::string& file) {
    return Run({"install", client, "--config", file, "--undo", "--yes"}, home_);
  }
  /// `text` with the program's path where it says PROGRAM.
  std::string Named(std::string text) {
    const std::string real = fs::canonical(program()).string();
    for (std::size_t at = 0; (at = text.find("PROGRAM", at)) != std::string::npos;) {
      text.replace(at, 7, real);
    }
    return text;
  }

  Start home_;
};

TEST_F(Install, WritesTheFileThatEachClientReads) {
  const std::vector<std::pair<std::string, std::string>> files = {
      {"claude-code", ".claude.json"},
      {"claude-desktop", ".config/Claude/claude_desktop_config.json"},
      {"codex", ".codex/config.toml"},
      {"cursor", ".cursor/mcp.json"}};
  for (const auto& [client, file] : files) {
    const Ran ran = Succeed({"--db", "m.db", "install", client, "--yes"}, home_);
    EXPECT_THAT(ran.out, HasSubstr("written: ")) << client;
    EXPECT_THAT(Read(file), HasSubstr((fs::canonical(folder()) / "m.db").string())) << client;
  }
  const json code = json::parse(Read(".claude.json"));
  EXPECT_EQ(code["mcpServers"]["aimem"]["type"], "stdio");
  EXPECT_EQ(Read(".codex/config.toml"),
            Named("[mcp_servers.aimem]\ncommand = \"PROGRAM\"\nargs = [\"--db\", \"" +
                  (fs::canonical(folder()) / "m.db").string() + "\", \"mcp\"]\n"));
  struct stat made {};
  ASSERT_EQ(stat((folder() / ".claude.json").c_str(), &made), 0);
  EXPECT_EQ(made.st_mode & 0777, 0600u) << "others may find secrets in it";
}

TEST_F(Install, FollowsTheVariablesThatMoveTheFiles) {
  const std::vector<std::tuple<std::string, std::string, std::string>> moved = {
      {"claude-code", "CLAUDE_CONFIG_DIR", ".claude.json"},
      {"claude-desktop", "XDG_CONFIG_HOME", "Claude/claude_desktop_config.json"},
      {"codex", "CODEX_HOME", "config.toml"}};
  for (const auto& [client, variable, file] : moved) {
    Start start = home_;
    start.environment[variable] = (folder() / client).string();
    Succeed({"--db", "m.db", "install", client, "--yes"}, start);
    EXPECT_TRUE(fs::exists(folder() / client / file)) << client;
  }
}

TEST_F(Install, WhatItWritesStartsThisProgramOnThatDatabase) {
  Succeed({"--db", "m.db", "--agent-id", "ai:one", "install", "cursor", "--yes"}, home_);
  const json server = json::parse(Read(".cursor/mcp.json"))["mcpServers"]["aimem"];
  std::vector<std::string> args = server["args"];
  EXPECT_THAT(args, ElementsAre("--db", (fs::canonical(folder()) / "m.db").string(), "--agent-id",
                                "ai:one", "mcp"));
  args.back() = "store";
  args.insert(args.end(), {"-T", "a title", "-c", "content", "-n", "ns"});
  Start elsewhere;
  elsewhere.program = server["command"];
  elsewhere.folder = "/";
  Succeed(args, elsewhere);
  EXPECT_EQ(Json({"--db", "m.db", "list"})["memories"][0]["metadata"]["agent_id"], "ai:one");
}

TEST_F(Install, ShowsTheChangeFirst) {
  Write("c.json", "{\n  \"theme\": \"dark\"\n}\n");
  const std::string diff = Named(
      "--- FILE\n+++ FILE\n"
      "@@ -1,3 +1,13 @@\n"
      " {\n"
      "-  \"theme\": \"dark\"\n"
      "+  \"theme\": \"dark\",\n"
      "+  \"mcpServers\": {\n"
      "+    \"aimem\": {\n"
      "+      \"command\": \"PROGRAM\",\n"
      "+      \"args\": [\n"
      "+        \"--db\",\n"
      "+        \"/data/m.db\",\n"
      "+        \"mcp\"\n"
      "+      ]\n"
      "+    }\n"
      "+  }\n"
      " }\n");
  std::string named = diff;
  for (int i = 0; i < 2; ++i) {
    named.replace(named.find("FILE"), 4, (fs::canonical(folder()) / "c.json").string());
  }
  EXPECT_EQ(InstallInto("cursor", "c.json", {"--dry-run"}).out, named);
  EXPECT_EQ(Read("c.json"), "{\n  \"theme\": \"dark\"\n}\n");
  const Ran unasked = InstallInto("cursor", "c.json", {});
  EXPECT_EQ(unasked.code, 1);
  EXPECT_EQ(unasked.out, named);
  EXPECT_EQ(unasked.err, "Error: nothing was written: give --yes, for nobody can be asked\n");
  EXPECT_EQ(Read("c.json"), "{\n  \"theme\": \"dark\"\n}\n");
  EXPECT_THAT(InstallInto("cursor", "c.json").out, StartsWith(named + "written: "));
  const json told = json::parse(InstallInto("claude-desktop", "d.json", {"--json", "--yes"}).out);
  EXPECT_EQ(told["client"], "claude-desktop");
  EXPECT_EQ(told["written"], true);
  EXPECT_THAT(told.value("diff", ""), HasSubstr("@@ -0,0 +1,"));
}

TEST_F(Install, WhatElseIsInTheFileStaysByteForByte) {
  const std::string before =
      "{ \"a\": 1.50, \"big\": 123456789012345678901234567890,\n"
      "\t\t\"u\": \"\\u00e4\\/\", \"mcpServers\" :\n{\n  \"other\" : {\"command\":\"x\"} },\n"
      "  \"z\": [ ] }";
  Write("c.json", before);
  EXPECT_EQ(InstallInto("json", "c.json").code, 0);
  const std::string after = Read("c.json");
  const std::size_t added = after.find(',', after.find("\"x\"}"));
  EXPECT_EQ(after.substr(0, added), before.substr(0, added));
  EXPECT_THAT(after, ::testing::EndsWith(before.substr(added)));
  EXPECT_EQ(json::parse(after)["mcpServers"]["aimem"]["args"], json({"--db", "/data/m.db", "mcp"}));
  EXPECT_EQ(Read("c.json.aimem-backup"), before);
  EXPECT_EQ(UndoIn("json", "c.json").code, 0);
  EXPECT_EQ(Read("c.json"), before);
  EXPECT_FALSE(fs::exists(folder() / "c.json.aimem-backup"));
}

TEST_F(Install, KeepsTheLayoutOfTheFile) {
  const std::vector<std::pair<std::string, std::string>> files = {
      {"{\"a\":{}}", R"({"a":{},"mcpServers":{"aimem":{"command":"PROGRAM","args":["--db",)"
                     R"("/data/m.db","mcp"]}}})"},
      {"{\n\t\"a\": 1\n}\n",
       "{\n\t\"a\": 1,\n\t\"mcpServers\": {\n\t\t\"aimem\": {\n\t\t\t\"command\": \"PROGRAM\",\n"
       "\t\t\t\"args\": [\n\t\t\t\t\"--db\",\n\t\t\t\t\"/data/m.db\",\n\t\t\t\t\"mcp\"\n\t\t\t]\n"
       "\t\t}\n\t}\n}\n"},
      {"{\r\n    \"mcpServers\": {}\r\n}\r\n",
       "{\r\n    \"mcpServers\": {\r\n        \"aimem\": {\r\n            \"command\": "
       "\"PROGRAM\",\r\n"
       "            \"args\": [\r\n                \"--db\",\r\n                \"/data/m.db\",\r\n"
       "                \"mcp\"\r\n            ]\r\n        }\r\n    }\r\n}\r\n"}};
  for (const auto& [before, after] : files) {
    Write("c.json", before);
    EXPECT_EQ(InstallInto("json", "c.json").code, 0);
    EXPECT_EQ(Read("c.json"), Named(after));
    EXPECT_EQ(UndoIn("json", "c.json").code, 0);
    EXPECT_EQ(Read("c.json"), before);
  }
}

TEST_F(Install, AnEmptyFileIsAnEmptyConfiguration) {
  for (const std::string text : {"", " \n"}) {
    Write("c.json", text);
    EXPECT_EQ(InstallInto("claude-desktop", "c.json").code, 0);
    EXPECT_TRUE(json::parse(Read("c.json"))["mcpServers"].contains("aimem"));
  }
}

TEST_F(Install, AgainItChangesCommandAndArgumentsAlone) {
  Write("c.json",
        R"({"mcpServers":{"aimem":{"env":{"X":"1"},"command":"/old/aimem","args":["mcp"]}}})");
  EXPECT_EQ(InstallInto("json", "c.json").code, 0);
  EXPECT_EQ(Read("c.json"), Named(R"({"mcpServers":{"aimem":{"env":{"X":"1"},"command":"PROGRAM",)"
                                  R"("args":["--db","/data/m.db","mcp"]}}})"));
  const Ran again = InstallInto("json", "c.json", {});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.out, StartsWith("nothing to change: "));
  EXPECT_EQ(UndoIn("json", "c.json").code, 0);
  EXPECT_THAT(Read("c.json"), HasSubstr(R"("command":"/old/aimem","args":["mcp"])"));
}

TEST_F(Install, AFileThatIsNotWhatItShouldBeIsLeftAsItIs) {
  const std::vector<std::tuple<std::string, std::string, std::string>> files = {
      {"cursor", "{\"a\": 1,}", "is left as it is: it is not JSON: "},
      {"cursor", "// a comment\n{}", "it is not JSON: "},
      {"cursor", "[1]", "it is not a JSON object"},
      {"cursor", "{\"mcpServers\": []}", "its member \"mcpServers\" is not an object"},
      {"cursor", "{\"mcpServers\": {\"aimem\": 7}}", "is not an object: edit it by hand"},
      {"cursor", "{\"a\": \"\xff\"}", "it is not JSON: "},
      {"codex", "a = 1\nb c\n", "it is not TOML: line 2 lacks a ="},
      {"codex", "a = \"x\n", "line 1 has a string that does not end"},
      {"codex", "a = \"\"\"x\n", "has a string that does not end"},
      {"codex", "a = 'x", "has a string that does not end"},
      {"codex", "a = \"\\q\"", "has an escape that there is not"},
      {"codex", "a = \"\\ud800\"", "has an escape that there is not"},
      {"codex", "a = [1, 2", "lacks a ,"},
      {"codex", "a = {b = 1", "lacks a }"},
      {"codex", "a = yes", "lacks a value"},
      {"codex", "a = 1 2", "goes on where it must end"},
      {"codex", "[a", "lacks a ]"},
      {"codex", "[]", "lacks a key"},
      {"codex", "a = " + std::string(200, '['), "is nested too deeply"},
      {"codex", "a = 1\na = 2\n", "it is not TOML: a is there twice"},
      {"codex", "[t]\n[t]\n", "t is there twice"},
      {"codex", "a = \"\xff\"", "is not UTF-8"},
      {"codex", "mcp_servers = { x = { command = \"y\" } }\n", "edit it by hand"},
      {"codex", "[mcp_servers]\naimem = { command = \"y\" }\n", "edit it by hand"},
      {"codex", "mcp_servers.aimem.command = \"y\"\n", "edit it by hand"},
      {"codex", "[[mcp_servers.aimem]]\ncommand = \"y\"\n", "edit it by hand"}};
  for (const auto& [client, text, why] : files) {
    Write("file", text);
    const Ran ran = InstallInto(client, "file");
    EXPECT_EQ(ran.code, 1) << text;
    EXPECT_THAT(ran.err, HasSubstr(why)) << text;
    EXPECT_EQ(Read("file"), text);
    EXPECT_FALSE(fs::exists(folder() / "file.aimem-backup")) << text;
  }
}

TEST_F(Install, ALargeOrDeepFileIsRefused) {
  Write("large", std::string((16u << 20) + 1, ' '));
  EXPECT_THAT(InstallInto("json", "large").err, HasSubstr("is larger than 16777216 bytes"));
  const auto nested = [](std::size_t levels) {
    return "{\"a\\\"[\":" + std::string(levels, '[') + std::string(levels, ']') + "}";
  };
  Write("deep", nested(999));
  EXPECT_EQ(InstallInto("json", "deep").code, 0);
  Write("deep", nested(1'000'000));
  EXPECT_THAT(InstallInto("json", "deep").err,
              HasSubstr("it is nested more than 1000 levels deep"));
}

TEST_F(Install, AServerOfAiMemoryIsReplacedOnlyWhenThatIsAsked) {
  const std::string before =
      "{\n  \"mcpServers\": {\n    \"memory\": {\n      \"command\": \"/opt/bin/ai-memory\",\n"
      "      \"args\": [\"--db\", \"/old.db\", \"mcp\"]\n    },\n"
      "    \"knowledge\": { \"command\": \"npx\" }\n  }\n}\n";
  Write("c.json", before);
  const Ran refused = InstallInto("cursor", "c.json");
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("it has the server \"memory\", which runs ai-memory: with "
                                     "--replace"));
  EXPECT_THAT(InstallInto("cursor", "c.json", {"--replace", "--yes"}).err,
              HasSubstr("leave --db out"));
  EXPECT_EQ(Read("c.json"), before);
  Succeed({"install", "cursor", "--config", "c.json", "--replace", "--yes"}, home_);
  std::string after = before;
  after.replace(after.find("/opt/bin/ai-memory"), 18, Named("PROGRAM"));
  EXPECT_EQ(Read("c.json"), after);
  EXPECT_EQ(UndoIn("cursor", "c.json").code, 0);
  EXPECT_EQ(Read("c.json"), before);
  Write("none.json", "{}");
  EXPECT_THAT(Run({"install", "cursor", "--config", "none.json", "--replace", "--yes"}, home_).err,
              HasSubstr("it has no server that runs ai-memory"));
}

TEST_F(Install, UndoLeavesWhatHasChangedSince) {
  Write("c.json", "{\n  \"a\": 1\n}\n");
  EXPECT_EQ(InstallInto("json", "c.json").code, 0);
  json now = json::parse(Read("c.json"));
  now["b"] = 2;
  now["mcpServers"]["other"] = {{"command", "x"}};
  Write("c.json", now.dump(2));
  EXPECT_EQ(UndoIn("json", "c.json").code, 0);
  now["mcpServers"].erase("aimem");
  EXPECT_EQ(json::parse(Read("c.json")), now);
  const Ran none = UndoIn("json", "c.json");
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, HasSubstr("there is nothing to undo in it"));
}

TEST_F(Install, UndoTakesOutNothingThatItHasNotPut) {
  const std::string written = R"({"mcpServers":{"aimem":{"command":"other"}}})";
  Write("c.json", written);
  EXPECT_EQ(UndoIn("json", "c.json").code, 1);
  EXPECT_EQ(Read("c.json"), written);
  // However often it was installed, undoing leads back to what was there before.
  Write("d.json", written);
  EXPECT_EQ(InstallInto("json", "d.json").code, 0);
  EXPECT_EQ(
      Run({"--db", "/data/n.db", "install", "json", "--config", "d.json", "--yes"}, home_).code, 0);
  EXPECT_EQ(UndoIn("json", "d.json").code, 0);
  EXPECT_EQ(json::parse(Read("d.json")), json::parse(written));
  EXPECT_EQ(UndoIn("json", "d.json").code, 1);
  EXPECT_EQ(json::parse(Read("d.json")), json::parse(written));
}

TEST_F(Install, WhatIsNoFileStaysWhatItIs) {
  fs::create_symlink(folder() / "absent", folder() / "link.json");
  EXPECT_THAT(InstallInto("json", "link.json").err,
              HasSubstr("a link to a file that is not there"));
  ASSERT_EQ(mkfifo((folder() / "pipe.json").c_str(), 0600), 0);
  EXPECT_THAT(InstallInto("json", "pipe.json").err, HasSubstr("no regular file"));
  EXPECT_TRUE(fs::is_fifo(folder() / "pipe.json"));
}

TEST_F(Install, UndoRemovesAFileThatItMade) {
  for (const std::string client : {"json", "codex"}) {
    EXPECT_EQ(InstallInto(client, "new/file").code, 0);
    EXPECT_TRUE(fs::exists(folder() / "new/file"));
    EXPECT_THAT(UndoIn(client, "new/file").out, HasSubstr("removed: "));
    EXPECT_FALSE(fs::exists(folder() / "new/file"));
  }
}

TEST_F(Install, ALinkStaysALinkAndPermissionsStay) {
  Write("dotfiles/c.json", "{}\n");
  fs::permissions(folder() / "dotfiles/c.json", fs::perms(0640));
  fs::create_symlink("dotfiles/c.json", folder() / "c.json");
  EXPECT_EQ(InstallInto("json", "c.json").code, 0);
  EXPECT_TRUE(fs::is_symlink(folder() / "c.json"));
  EXPECT_THAT(Read("dotfiles/c.json"), HasSubstr("aimem"));
  EXPECT_EQ(fs::status(folder() / "dotfiles/c.json").permissions(), fs::perms(0640));
}

TEST_F(Install, ATableIsAddedToTomlAndTakenOut) {
  const std::string before =
      "# mine\nmodel = \"m\" # why\nsince = 1979-05-27 07:32:00Z\nn = [ 1, # one\n  0x2, -3.5e1 ]\n"
      "\"quoted.key\" = '''[mcp_servers.aimem]\n'''\n"
      "[mcp_servers.other]\ncommand = \"x\\u00e4\"\n[mcp_servers.other.env]\nA = \"1\"\n"
      "[[profiles]]\nname = \"\"\"a\\\n   b\"\"\"\n[[profiles]]\nname = \"c\"\n";
  Write("config.toml", before);
  EXPECT_EQ(InstallInto("codex", "config.toml").code, 0);
  EXPECT_EQ(Read("config.toml"), before + Named("\n[mcp_servers.aimem]\ncommand = \"PROGRAM\"\n"
                                                "args = [\"--db\", \"/data/m.db\", \"mcp\"]\n"));
  EXPECT_THAT(InstallInto("codex", "config.toml", {}).out, StartsWith("nothing to change"));
  EXPECT_EQ(UndoIn("codex", "config.toml").code, 0);
  EXPECT_EQ(Read("config.toml"), before);
}

TEST_F(Install, ALastLineThatDoesNotEndIsEndedAndLeftAsItWas) {
  Write("config.toml", "model = \"m\"");
  EXPECT_EQ(InstallInto("codex", "config.toml").code, 0);
  EXPECT_THAT(Read("config.toml"), StartsWith("model = \"m\"\n\n[mcp_servers.aimem]\n"));
  EXPECT_EQ(UndoIn("codex", "config.toml").code, 0);
  EXPECT_EQ(Read("config.toml"), "model = \"m\"");
}

TEST_F(Install, ATableThatIsThereKeepsWhatElseItHas) {
  Write("config.toml",
        "[mcp_servers.\"aimem\"] # ours\nstartup_timeout_sec = 9\ncommand = '/old/aimem'\r\n"
        "[mcp_servers.aimem.env]\nA = \"1\"\n[tui]\nx = true\n");
  EXPECT_EQ(InstallInto("codex", "config.toml").code, 0);
  EXPECT_EQ(
      Read("config.toml"),
      Named("[mcp_servers.\"aimem\"] # ours\n"
            "args = [\"--db\", \"/data/m.db\", \"mcp\"]\r\nstartup_timeout_sec = 9\n"
            "command = \"PROGRAM\"\r\n[mcp_servers.aimem.env]\nA = \"1\"\n[tui]\nx = true\n"));
  EXPECT_EQ(UndoIn("codex", "config.toml").code, 0);
  EXPECT_THAT(Read("config.toml"),
              AllOf(HasSubstr("command = '/old/aimem'"), Not(HasSubstr("args"))));
}

TEST_F(Install, AServerOfAiMemoryInTomlIsReplacedToo) {
  const std::string before =
      "[mcp_servers.ai-memory]\ncommand = 'ai-memory'\nargs = [\"mcp\"]\n\n[x]\n";
  Write("config.toml", before);
  EXPECT_THAT(InstallInto("codex", "config.toml").err, HasSubstr("the server \"ai-memory\""));
  Succeed({"install", "codex", "--config", "config.toml", "--replace", "--yes"}, home_);
  EXPECT_EQ(Read("config.toml"),
            Named("[mcp_servers.ai-memory]\ncommand = \"PROGRAM\"\nargs = [\"mcp\"]\n\n[x]\n"));
  EXPECT_EQ(UndoIn("codex", "config.toml").code, 0);
  EXPECT_EQ(Read("config.toml"), before);
}

TEST_F(Install, PlainJsonWithoutAFileIsPrinted) {
  const json printed = json::parse(Succeed({"--db", "/data/m.db", "install", "json"}, home_).out);
  EXPECT_EQ(printed, json::parse(Named(R"({"mcpServers":{"aimem":{"command":"PROGRAM","args":)"
                                       R"(["--db","/data/m.db","mcp"]}}})")));
  EXPECT_THAT(Fail(1, {"install", "json", "--undo"}, home_), HasSubstr("--config FILE"));
}

TEST_F(Install, WhatIsAskedForMustBeNamed) {
  EXPECT_THAT(Fail(1, {"--db", "m.db", "install", "emacs"}, home_),
              HasSubstr("invalid client: emacs (use claude-code, "));
  EXPECT_THAT(Fail(1, {"install", "cursor"}, home_), HasSubstr("which database"));
  EXPECT_THAT(Fail(1, {"--db", "a\nb", "install", "cursor"}, home_),
              HasSubstr("cannot be written into a configuration"));
  Start homeless;
  homeless.environment["HOME"] = "";
  EXPECT_THAT(Fail(1, {"--db", "m.db", "install", "cursor"}, homeless),
              HasSubstr("HOME is not set"));
  Succeed({"--db", "postgres://u@db.example/m", "install", "cursor", "--yes"}, home_);
  EXPECT_THAT(Read(".cursor/mcp.json"), HasSubstr("\"postgres://u@db.example/m\""));
}

}  // namespace
}  // namespace aimem::testing
