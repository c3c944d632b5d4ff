// export, import, migrate.
#include <csignal>

#include "gmock/gmock.h"
#include "tests/cli/run.h"

namespace aimem::testing {
namespace {

using nlohmann::json;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(Cli, ExportIsPrettyJsonAndImportsAgain) {
  const std::string a = Store("a", "content", {"-t", "long"});
  const std::string b = Store("b");
  Succeed({"link", a, b});
  const std::string text = Succeed({"export"}).out;
  EXPECT_THAT(text, StartsWith("{\n  \""));
  const json document = json::parse(text);
  EXPECT_EQ(document["count"], 2);
  EXPECT_EQ(document["memories"][0]["id"], a);
  EXPECT_EQ(document["links"][0]["target_id"], b);
  Start start;
  start.input = text;
  const json imported = Json({"--db", "copy.db", "import", "--trust-source"}, start);
  EXPECT_EQ(imported["imported"], 2);
  EXPECT_EQ(imported["restamped"], 0);
  EXPECT_EQ(imported["links"], 1);
  EXPECT_EQ(imported["trusted_source"], true);
  EXPECT_EQ(imported["errors"], json::array());
  const json copy = json::parse(Succeed({"--db", "copy.db", "export"}).out);
  EXPECT_EQ(copy["memories"], document["memories"]);
  EXPECT_EQ(copy["links"], document["links"]);
}

TEST_F(Cli, ImportRestampsAndNamesWhatItLeavesOut) {
  Store("good");
  json document = json::parse(Succeed({"export"}).out);
  json bad = document["memories"][0];
  bad["id"] = "bad-one";
  bad["title"] = " ";
  document["memories"].push_back(bad);
  Start start;
  start.input = document.dump();
  start.environment["AI_MEMORY_AGENT_ID"] = "importer";
  const Ran text = Succeed({"--db", "copy.db", "import"}, start);
  EXPECT_EQ(text.out, "imported: 1 (restamped agent_id on 1)\n");
  EXPECT_EQ(text.err, "  bad-one: title cannot be empty\n");
  const json report = Json({"--db", "copy.db", "import"}, start);
  EXPECT_EQ(report["errors"], json({"bad-one: title cannot be empty"}));
  EXPECT_EQ(report["trusted_source"], false);
  EXPECT_EQ(Json({"--db", "copy.db", "list"})["memories"][0]["metadata"]["imported_from_agent_id"],
            "tester");
  EXPECT_THAT(Succeed({"--db", "copy.db", "import", "--trust-source"}, start).err,
              StartsWith("warning: --trust-source"));
}

TEST_F(Cli, MalformedImportFailsAndWritesNothing) {
  Start start;
  for (const char* text : {"", "{}", "[1]", "{\"memories\": [{\"id\": 7}]}", "not json"}) {
    start.input = text;
    EXPECT_THAT(Fail(1, {"import"}, start),
                ContainsRegex("^Error: the document cannot be imported: line 1, column [0-9]+: "))
        << text;
  }
  EXPECT_EQ(Json({"stats"})["total"], 0);
}

TEST_F(Cli, ImportThatWaitsForItsDocumentCanBeInterrupted) {
  for (const int signal : {SIGINT, SIGTERM}) {
    Child child(program(), {"import"}, {}, folder());
    child.Input("{\"memories\": [", /*close_it=*/false);
    child.AwaitWatchFor(signal);
    child.Signal(signal);
    const Ran ran = child.Wait();
    EXPECT_EQ(ran.code, 128 + signal);
    EXPECT_THAT(ran.err, HasSubstr("nothing was imported"));
  }
}

TEST_F(Cli, MigrateCopiesAndSaysSo) {
  const std::string a = Store("a");
  const std::string b = Store("b");
  Succeed({"link", a, b});
  Store("old");
  Succeed({"forget", "-p", "old"});
  const std::string before = Succeed({"doctor"}).out;
  const json report = Json({"migrate", "--from", "ai-memory.db", "--to", "sqlite://./copy.db",
                            "--verify", "--batch", "2"});
  EXPECT_EQ(report["from_url"], "ai-memory.db");
  EXPECT_EQ(report["to_url"], "sqlite://./copy.db");
  EXPECT_EQ(report["memories_read"], 2);
  EXPECT_EQ(report["memories_written"], 2);
  EXPECT_EQ(report["rows_changed"], 4);
  EXPECT_EQ(report["dry_run"], false);
  EXPECT_EQ(report["errors"], json::array());
  EXPECT_EQ(report["kinds"]["archived"], json({{"read", 1}, {"written", 1}}));
  EXPECT_EQ(report["kinds"]["links"], json({{"read", 1}, {"written", 1}}));
  EXPECT_EQ(report["kinds"]["gone"], json({{"read", 0}, {"written", 0}}));
  EXPECT_EQ(report["verify"], json({{"missing", 0}, {"different", 0}, {"extra", 0}}));
  EXPECT_GE(report["batches"], 2);
  EXPECT_EQ(Succeed({"doctor"}).out, before);
  EXPECT_EQ(json::parse(Succeed({"--db", "copy.db", "export"}).out)["memories"],
            json::parse(Succeed({"export"}).out)["memories"]);

  const std::string text = Succeed({"migrate", "--from", "ai-memory.db", "--to", "copy.db"}).out;
  EXPECT_THAT(text, StartsWith("migration report\n  from:               ai-memory.db\n"
                               "  to:                 copy.db\n"
                               "  memories_read:      2\n  memories_written:   2\n"));
  EXPECT_THAT(text, HasSubstr("  rows_changed:       0\n"));
  EXPECT_THAT(text, HasSubstr("  dry_run:            false\n"));
  EXPECT_THAT(text, HasSubstr("  errors:             0\n"));
}

TEST_F(Cli, MigrateDryRunMakesNothing) {
  Store("a");
  const json report = Json({"migrate", "--from", "ai-memory.db", "--to", "copy.db", "--dry-run"});
  EXPECT_EQ(report["dry_run"], true);
  EXPECT_EQ(report["memories_read"], 1);
  EXPECT_EQ(report["memories_written"], 0);
  EXPECT_EQ(report["rows_changed"], 1);
  EXPECT_FALSE(std::filesystem::exists(folder() / "copy.db"));
}

TEST_F(Cli, MigrateOneNamespace) {
  Store("a");
  Succeed({"store", "-n", "other", "-T", "b", "-c", "c"});
  Succeed({"migrate", "--from", "ai-memory.db", "--to", "copy.db", "--namespace", "other"});
  EXPECT_EQ(Json({"--db", "copy.db", "namespaces"})["namespaces"],
            json::parse(R"([{"namespace": "other", "count": 1}])"));
}

TEST_F(Cli, MigrateNamesWhatIsWrong) {
  Store("a");
  const auto migrate = [&](const std::string& from, const std::string& to,
                           std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"migrate", "--from", from, "--to", to};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Fail(1, arguments);
  };
  EXPECT_THAT(migrate("absent.db", "copy.db"), HasSubstr("absent.db"));
  EXPECT_FALSE(std::filesystem::exists(folder() / "absent.db"));
  EXPECT_FALSE(std::filesystem::exists(folder() / "copy.db"));
  EXPECT_THAT(migrate("ai-memory.db", "ai-memory.db"), HasSubstr("the same store"));
  EXPECT_THAT(migrate("ai-memory.db", "copy.db", {"--batch", "0"}), HasSubstr("batch"));
  const std::string scheme = migrate("mysql://user:secret@host/db", "copy.db");
  EXPECT_THAT(scheme, HasSubstr("mysql://"));
  EXPECT_EQ(scheme.find("secret"), std::string::npos);
  const std::string away = migrate("ai-memory.db", "postgres://user:secret@127.0.0.1:1/db");
  EXPECT_THAT(away, StartsWith("Error: "));
  EXPECT_EQ(away.find("secret"), std::string::npos);
}

}  // namespace
}  // namespace aimem::testing
