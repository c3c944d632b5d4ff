// The program as a whole: names, help, exit codes, streams, identity; stats and maintenance.
#include <csignal>
#include <fstream>

#include "aimem/backends/sqlite.h"
#include "gmock/gmock.h"
#include "tests/cli/run.h"

namespace aimem::testing {
namespace {

using nlohmann::json;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST_F(Cli, VersionNamesBothPrograms) {
  EXPECT_THAT(Succeed({"-V"}).out,
              ContainsRegex("^aimem [0-9]+\\.[0-9]+\\.[0-9]+ \\(ai-memory 0.6.0\\)\n$"));
  EXPECT_EQ(Succeed({"--version"}).out, Succeed({"-V"}).out);
}

TEST_F(Cli, UnderItsOtherNameItIsAiMemory) {
  const std::filesystem::path link = folder() / "ai-memory";
  std::filesystem::create_symlink(program(), link);
  Start start;
  start.program = link;
  EXPECT_EQ(Succeed({"--version"}, start).out, "ai-memory 0.6.0\n");
  EXPECT_THAT(Succeed({"--help"}, start).out, HasSubstr("ai-memory"));
  Succeed({"store", "-T", "t", "-c", "c"}, start);
  EXPECT_TRUE(std::filesystem::exists(folder() / "ai-memory.db"));
}

TEST_F(Cli, HelpOfEveryCommandHasExamples) {
  EXPECT_THAT(Succeed({"--help"}).out, HasSubstr("recall"));
  for (const char* command :
       {"store",  "update",     "get",       "list",   "search",  "recall",
        "delete", "promote",    "forget",    "link",   "resolve", "consolidate",
        "stats",  "namespaces", "conflicts", "agents", "gc",      "export",
        "import", "migrate",    "operation", "doctor"}) {
    const Ran ran = Succeed({command, "--help"});
    EXPECT_THAT(ran.out, HasSubstr("Examples:\n  aimem ")) << command;
    EXPECT_EQ(ran.err, "");
  }
  for (const char* command : {"list", "restore", "purge", "stats"}) {
    EXPECT_THAT(Succeed({"archive", command, "-h"}).out, HasSubstr("Examples:")) << command;
  }
  EXPECT_FALSE(std::filesystem::exists(folder() / "ai-memory.db"));
}

TEST_F(Cli, WithoutACommandHelpGoesToStandardError) {
  EXPECT_THAT(Fail(2, {}), HasSubstr("recall"));
  EXPECT_THAT(Fail(2, {"--json"}), HasSubstr("recall"));
}

TEST_F(Cli, UsageErrorsExitWithTwo) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"nonsense"},
           {"list", "--nonsense"},
           {"get"},
           {"get", "a", "b"},
           {"store", "-T", "title"},
           {"store", "-T", "t", "-c", "c", "-p", "five"},
           {"store", "-T", "t", "-c", "c", "--confidence", "high"},
           {"list", "--limit", "1.5"},
           {"list", "--limit"},
           {"archive"},
           {"archive", "nonsense"},
           {"recall", "x", "--tier", "mid"},
           {"migrate", "--from", "a.db"}}) {
    const std::string err = Fail(2, arguments);
    EXPECT_THAT(err, StartsWith("Error: ")) << ::testing::PrintToString(arguments);
    EXPECT_THAT(err, HasSubstr("--help"));
  }
}

TEST_F(Cli, GlobalOptionsMayFollowTheCommand) {
  Store("title");
  EXPECT_EQ(json::parse(Succeed({"--json", "list"}).out),
            json::parse(Succeed({"list", "--json"}).out));
  EXPECT_EQ(Json({"list", "--db", "ai-memory.db"})["count"], 1);
}

TEST_F(Cli, DatabaseIsTheFlagElseTheEnvironmentElseTheDefault) {
  Start start;
  start.environment["AI_MEMORY_DB"] = "from-environment.db";
  Succeed({"store", "-T", "t", "-c", "c"}, start);
  EXPECT_TRUE(std::filesystem::exists(folder() / "from-environment.db"));
  Succeed({"store", "-T", "t", "-c", "c", "--db", "flag.db"}, start);
  EXPECT_TRUE(std::filesystem::exists(folder() / "flag.db"));
  start.environment["AI_MEMORY_DB"] = "";
  Succeed({"store", "-T", "t", "-c", "c"}, start);
  EXPECT_TRUE(std::filesystem::exists(folder() / "ai-memory.db"));
  EXPECT_EQ(Json({"--db", "sqlite://./flag.db", "stats"})["total"], 1);
}

TEST_F(Cli, LookingAtADatabaseThatIsNotThereIsANoteAndMakesNone) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"list"},
                                             {"search", "x"},
                                             {"recall", "x"},
                                             {"stats"},
                                             {"namespaces"},
                                             {"conflicts"},
                                             {"agents"},
                                             {"archive", "list"},
                                             {"archive", "stats"},
                                             {"gc"},
                                             {"forget", "-n", "x"}}) {
    const Ran ran = Succeed(arguments);
    EXPECT_THAT(ran.err, HasSubstr("there is no database at ai-memory.db"))
        << ::testing::PrintToString(arguments);
    EXPECT_FALSE(std::filesystem::exists(folder() / "ai-memory.db"));
  }
  EXPECT_THAT(Fail(1, {"get", "x"}), HasSubstr("not found: x\n"));
  EXPECT_THAT(Fail(1, {"delete", "x"}), HasSubstr("not found: x\n"));
  EXPECT_EQ(Json({"list"}), json::parse(R"({"count": 0, "memories": []})"));
  for (const char* command : {"export", "doctor"}) {
    EXPECT_THAT(Fail(1, {command}), ContainsRegex("^Error: .*ai-memory.db")) << command;
  }
  EXPECT_FALSE(std::filesystem::exists(folder() / "ai-memory.db"));
}

TEST_F(Cli, FileOfAnotherProgramIsRefusedAndLeftAlone) {
  std::ofstream(folder() / "notes.txt") << "not a database, but long enough to look like a file";
  const std::string err = Fail(1, {"--db", "notes.txt", "list"});
  EXPECT_THAT(err, StartsWith("Error: "));
  EXPECT_THAT(err, HasSubstr("notes.txt"));
  EXPECT_EQ(std::filesystem::file_size(folder() / "notes.txt"), 51u);
}

TEST_F(Cli, ReaderThatLeavesIsNotAnErrorToTellButOneToReturn) {
  Store("title");
  Start start;
  start.close_output = true;
  const Ran ran = Run({"export"}, start);
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.err, "");
}

TEST_F(Cli, FullDiskIsTold) {
  Store("title");
  Start start;
  start.output_file = "/dev/full";
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"list"}, {"export"}, {"--json", "stats"}}) {
    const Ran ran = Run(arguments, start);
    EXPECT_EQ(ran.code, 1);
    EXPECT_THAT(ran.err, ContainsRegex("Error: writing to standard output: No space left"));
  }
}

TEST_F(Cli, IdentityIsTheFlagElseTheEnvironmentElseHostAndProcess) {
  const auto agent = [&](std::vector<std::string> more,
                         std::map<std::string, std::string> environment) {
    Start start;
    start.environment = std::move(environment);
    std::vector<std::string> arguments = {"--db", "identity.db"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    static int number = 0;
    arguments.insert(arguments.end(), {"store", "-T", std::to_string(++number), "-c", "c"});
    return Json(arguments, start)["metadata"].value("agent_id", "");
  };
  EXPECT_EQ(agent({"--agent-id", "flag"}, {{"AI_MEMORY_AGENT_ID", "environment"}}), "flag");
  EXPECT_EQ(agent({}, {{"AI_MEMORY_AGENT_ID", "environment"}}), "environment");
  EXPECT_THAT(agent({}, {{"AI_MEMORY_AGENT_ID", ""}}),
              ContainsRegex("^(host:[A-Za-z0-9_.-]+|anonymous):pid-[0-9]+-[0-9a-f]{8}$"));
  EXPECT_THAT(agent({}, {{"AI_MEMORY_AGENT_ID", ""}, {"AI_MEMORY_ANONYMIZE", "Yes"}}),
              ContainsRegex("^anonymous:pid-[0-9]+-[0-9a-f]{8}$"));
  Start start;
  start.environment["AI_MEMORY_AGENT_ID"] = "with space";
  EXPECT_THAT(Fail(1, {"store", "-T", "t", "-c", "c"}, start),
              HasSubstr("agent_id contains invalid character ' '"));
  start.environment = {{"AI_MEMORY_AGENT_ID", ""}, {"AI_MEMORY_ANONYMIZE", "perhaps"}};
  EXPECT_THAT(Fail(1, {"store", "-T", "t", "-c", "c"}, start), HasSubstr("AI_MEMORY_ANONYMIZE"));
}

TEST_F(Cli, IdentityIsNoFilter) {
  Store("mine");
  Start start;
  start.environment["AI_MEMORY_AGENT_ID"] = "somebody";
  EXPECT_EQ(Json({"list"}, start)["count"], 1);
  EXPECT_EQ(Json({"--agent-id", "somebody", "list"})["count"], 1);
  EXPECT_EQ(Json({"list", "--agent-id", "somebody"})["count"], 0);
  EXPECT_EQ(Json({"search", "mine", "--agent-id", "tester"}, start)["count"], 1);
  EXPECT_EQ(Json({"search", "mine", "--agent-id", "somebody"}, start)["count"], 0);
}

TEST_F(Cli, StatsCountByTierAndNamespace) {
  const std::string a = Store("a", "x", {"-t", "long"});
  const std::string b = Store("b", "x", {"--ttl-secs", "60"});
  Succeed({"store", "-n", "other", "-T", "c", "-c", "x", "-t", "long"});
  Succeed({"link", a, b});
  const json stats = Json({"stats"});
  EXPECT_EQ(stats["total"], 3);
  EXPECT_EQ(stats["by_tier"],
            json::parse(R"([{"tier":"long","count":2},{"tier":"mid","count":1}])"));
  EXPECT_EQ(stats["by_namespace"],
            json::parse(R"([{"namespace":"ns","count":2},{"namespace":"other","count":1}])"));
  EXPECT_EQ(stats["expiring_soon"], 1);
  EXPECT_EQ(stats["links_count"], 1);
  EXPECT_GT(stats["db_size_bytes"], 0);
  EXPECT_THAT(Succeed({"stats"}).out,
              ContainsRegex("^total memories: 3\nexpiring within 1h: 1\nlinks: 1\n"
                            "database size: [0-9]+ bytes\n\nby tier:\n  long: 2\n  mid: 1\n\n"
                            "by namespace:\n  ns: 2\n  other: 1\n$"));
  EXPECT_EQ(Succeed({"namespaces"}).out, "  ns: 2 memories\n  other: 1 memories\n");
  EXPECT_EQ(Json({"namespaces"}), json({{"namespaces", stats["by_namespace"]}}));
}

TEST_F(Cli, GcArchivesWhatHasExpired) {
  const std::string id = Store("old");
  Succeed({"update", id, "--expires-at", "2020-01-01T00:00:00Z"});
  EXPECT_EQ(Json({"gc"}), json({{"expired_deleted", 1}}));
  EXPECT_EQ(Succeed({"gc"}).out, "expired memories deleted: 0\n");
  EXPECT_EQ(Json({"archive", "list"})["archived"][0]["archive_reason"], "ttl_expired");
}

TEST_F(Cli, AgentsAreRegisteredAndListed) {
  EXPECT_EQ(Succeed({"agents", "register", "--agent-id", "ai:b", "--agent-type", "ai:builder"}).out,
            "registered ai:b (type=ai:builder, capabilities=-)\n");
  const json registered = Json({"agents", "register", "--agent-id", "alice", "--agent-type",
                                "human", "--capabilities", "review, deploy"});
  EXPECT_EQ(registered["registered"], true);
  EXPECT_EQ(registered["agent_id"], "alice");
  EXPECT_EQ(registered["capabilities"], json({"review", "deploy"}));
  EXPECT_FALSE(registered.value("id", "").empty());
  const json list = Json({"agents"});
  EXPECT_EQ(list["count"], 2);
  EXPECT_EQ(list["agents"][0]["agent_id"], "ai:b");
  EXPECT_EQ(list["agents"][1]["agent_type"], "human");
  EXPECT_FALSE(list["agents"][1].value("registered_at", "").empty());
  EXPECT_EQ(Json({"agents", "list"}), list);
  EXPECT_THAT(Succeed({"agents", "list"}).out,
              ContainsRegex("\nalice  type=human  registered=[^ ]+  last_seen=[^ ]+ "
                            "\\[review,deploy\\]\n2 registered agents\n$"));
  EXPECT_THAT(Fail(1, {"agents", "register", "--agent-id", "x", "--agent-type", "robot"}),
              StartsWith("Error: invalid agent_type 'robot'"));
}

TEST_F(Cli, ConflictsOfNoneIsEmpty) {
  Store("a");
  EXPECT_EQ(Json({"conflicts"}), json::parse(R"({"conflicts": [], "count": 0})"));
  EXPECT_EQ(Succeed({"conflicts"}).err, "no conflicts\n");
}

TEST_F(Cli, OperationSaysWhatBecameOfAWrite) {
  auto store = OpenSqliteStore((folder() / "ai-memory.db").string());
  ASSERT_TRUE(store.ok()) << store.status();
  PutMemory put;
  put.title = "t";
  put.content = "c";
  const WriteResult written = (*store)->Write(put, {.agent_id = "author"});
  ASSERT_EQ(written.outcome, WriteOutcome::kCommitted);
  ASSERT_TRUE((*store)->Close().ok());
  const std::string id = written.operation.ToString();
  const json operation = Json({"operation", id, "--wait"});
  EXPECT_EQ(operation["operation_id"], id);
  EXPECT_EQ(operation["outcome"], "committed");
  EXPECT_EQ(operation["seq"], 1);
  EXPECT_EQ(operation["agent_id"], "author");
  EXPECT_EQ(operation["results"][0]["effect"], "created");
  EXPECT_EQ(operation["results"][0]["id"], written.items[0].id);
  EXPECT_THAT(Succeed({"operation", id}).out, HasSubstr("outcome:   committed\n"));
  EXPECT_THAT(Fail(1, {"operation", "01890a5d-ac96-774b-bcce-b302099a8057"}),
              HasSubstr("01890a5d-ac96-774b-bcce-b302099a8057"));
  EXPECT_THAT(Fail(1, {"operation", "nonsense"}), HasSubstr("'nonsense' is not an operation id"));
}

TEST_F(Cli, OperationThatACrashLeftInTheLogIsMadeDurableAndSaidCommitted) {
  std::string id;
  {
    auto store = OpenSqliteStore(folder() / "running.db");
    ASSERT_TRUE(store.ok()) << store.status();
    const WriteResult written = (*store)->Write(PutMemory{.title = "t", .content = "c"});
    ASSERT_EQ(written.outcome, WriteOutcome::kCommitted) << written.status;
    id = written.operation.ToString();
    for (const char* suffix : {"", "-wal"}) {  // as a crash would leave them
      std::filesystem::copy_file((folder() / "running.db").string() + suffix,
                                 (folder() / "crashed.db").string() + suffix);
    }
  }
  const Ran ran = Succeed({"--db", "crashed.db", "operation", id});
  EXPECT_THAT(ran.out, HasSubstr("outcome:   committed\n"));
  EXPECT_EQ(ran.err, "");
}

TEST_F(Cli, ALimitOnTheSizeOfFilesIsAFullDisk) {
  Store("first");
  const std::string limited = "ulimit -f 32; exec \"$0\" \"$@\"";
  const Ran ran =
      Run({"-c", limited, program(), "store", "-T", "large", "-c", std::string(60'000, 'x')},
          {.program = "/bin/bash"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("full")) << ran.err;
  EXPECT_THAT(Succeed({"list"}).out, HasSubstr("first"));
}

TEST_F(Cli, WriteThatWaitsForTheDatabaseTellsItsOperation) {
  Store("one");
  auto backend = OpenSqliteBackend((folder() / "ai-memory.db").string());
  ASSERT_TRUE(backend.ok()) << backend.status();
  auto lock = (*backend)->BeginWrite();
  ASSERT_TRUE(lock.ok()) << lock.status();
  Child child(program(), {"store", "-T", "t", "-c", "c"}, Start{}, folder());
  const std::string line = child.ReadErrorLine("does not answer");
  lock->reset();
  const std::size_t at = line.find(" operation ");
  ASSERT_NE(at, std::string::npos) << line;
  const std::string id = line.substr(at + 11, 36);
  const Ran ran = child.Wait();
  // A machine that was slow to give the lock back may have used up the patience for it.
  const Ran asked = Run({"operation", id});
  EXPECT_EQ(asked.code, ran.code) << ran.err << asked.err;
  EXPECT_TRUE((*backend)->Close().ok());
}

TEST_F(Cli, DoctorTellsSoundFromDamaged) {
  for (const char* title : {"one", "two", "three"}) Store(title, std::string(2'000, 'x'));
  const json sound = Json({"doctor"});
  EXPECT_EQ(sound["sound"], true);
  EXPECT_EQ(sound["rows"], 3);
  EXPECT_EQ(sound["commits"], 3);
  EXPECT_EQ(sound["streams"], 1);
  EXPECT_EQ(sound["problems"], json::array());
  EXPECT_THAT(Succeed({"doctor"}).out, ContainsRegex("rows:     3\n(.*\n)*sound\n$"));

  std::fstream file(folder() / "ai-memory.db", std::ios::in | std::ios::out | std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  // Rows, commits, and what lies in pages that are free again.
  const std::string run(1'000, 'x');
  file.clear();
  for (std::size_t at = 0; (at = bytes.find(run, at)) != std::string::npos; at += run.size()) {
    file.seekp(static_cast<std::streamoff>(at) + 500);
    file << "damage";
  }
  file.close();
  const Ran ran = Run({"doctor"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.out + ran.err, ContainsRegex("problem|Error"));
}

}  // namespace
}  // namespace aimem::testing
