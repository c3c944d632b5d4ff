// store, update, get, list, search, recall, delete, promote, forget, link, resolve, consolidate.
#include <fstream>

#include "aimem/backends/sqlite.h"
#include "aimem/store.h"
#include "gmock/gmock.h"
#include "lib/store/hooks.h"
#include "tests/cli/run.h"

namespace aimem::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

TEST_F(Cli, StorePrintsWhatIsStored) {
  const json memory =
      Json({"store", "-n", "web", "-T", "-a title", "-c", "the content", "-t", "long", "--tags",
            " a, b,,", "-p", "8", "--confidence", "0.5", "-S", "user", "--scope", "team"});
  EXPECT_EQ(memory["tier"], "long");
  EXPECT_EQ(memory["namespace"], "web");
  EXPECT_EQ(memory["title"], "-a title");
  EXPECT_EQ(memory["content"], "the content");
  EXPECT_EQ(memory["tags"], json({"a", "b"}));
  EXPECT_EQ(memory["priority"], 8);
  EXPECT_EQ(memory["confidence"], 0.5);
  EXPECT_EQ(memory["source"], "user");
  EXPECT_EQ(memory["access_count"], 0);
  EXPECT_EQ(memory["metadata"], json({{"agent_id", "tester"}, {"scope", "team"}}));
  EXPECT_FALSE(memory.contains("expires_at"));
  const std::string id = memory.value("id", "");
  const Ran again = Succeed({"store", "-n", "web", "-T", "-a title", "-c", "other"});
  EXPECT_EQ(again.out, "stored: " + id + " [long] (ns=web)\n");
  EXPECT_EQ(Json({"get", id})["memory"]["content"], "other");
}

TEST_F(Cli, WriteBesideAMemberIsPendingAndSucceeds) {
  auto member = store::OpenMemberStore(*OpenSqliteBackend((folder() / "ai-memory.db").string()), {},
                                       {.quorum = 2});
  ASSERT_TRUE(member.ok()) << member.status();
  const Ran stored = Run({"store", "-T", "a title", "-c", "content"});
  EXPECT_EQ(stored.code, 0) << stored.err;
  EXPECT_THAT(stored.out, StartsWith("stored: "));
  EXPECT_THAT(stored.err, ContainsRegex("^aimem: pending: durable here, not yet on 2 members.*"
                                        "operation ID --wait --server URL.*"
                                        "\\(operation [0-9a-f-]{36}\\)\n$"));
  const std::string id = (*member)->List({})->memories.at(0).id;
  for (const auto& arguments :
       std::vector<std::vector<std::string>>{{"update", id, "-c", "other"}, {"delete", id}}) {
    const Ran ran = Run(arguments);
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_FALSE(ran.out.empty());
    EXPECT_THAT(ran.err, StartsWith("aimem: pending: "));
  }
  EXPECT_TRUE((*member)->Close().ok());
}

TEST_F(Cli, StoreTakesAnExpiryOrALife) {
  EXPECT_EQ(Json({"store", "-T", "a", "-c", "c", "--expires-at",
                  "2100-01-01T09:00:00+09:00"})["expires_at"],
            "2100-01-01T00:00:00+00:00");
  EXPECT_TRUE(Json({"store", "-T", "b", "-c", "c", "--ttl-secs", "60"}).contains("expires_at"));
  EXPECT_EQ(Fail(1, {"store", "-T", "c", "-c", "c", "--expires-at", "soon"}),
            "Error: expires_at is not valid RFC3339: 'soon'\n");
  EXPECT_THAT(Fail(1, {"store", "-T", "c", "-c", "c", "--expires-at", "2020-01-01T00:00:00Z"}),
              HasSubstr("expires_at is in the past"));
  EXPECT_THAT(Fail(1, {"store", "-T", "c", "-c", "c", "--ttl-secs", "-1"}),
              HasSubstr("ttl_secs must be positive (got -1)"));
}

TEST_F(Cli, StoreReadsItsContentFromStandardInput) {
  Start start;
  start.input = "line one\r\nline two\n";
  EXPECT_EQ(Json({"store", "-T", "t", "-c", "-"}, start)["content"], "line one\nline two\n");
  start.input = std::string(200'000, 'x');
  EXPECT_EQ(Fail(1, {"store", "-T", "t", "-c", "-"}, start),
            "Error: content exceeds max size of 65536 bytes\n");
  start.input = "";
  EXPECT_EQ(Fail(1, {"store", "-T", "t", "-c", "-"}, start), "Error: content cannot be empty\n");
}

TEST_F(Cli, StoreRefusesWhatIsNotValid) {
  const auto store = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"store", "-T", "t", "-c", "c"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Fail(1, arguments);
  };
  EXPECT_EQ(store({"-t", "shrt"}), "Error: invalid tier: shrt (use short, mid, long)\n");
  EXPECT_THAT(store({"-p", "11"}), HasSubstr("priority must be between 1 and 10 (got 11)"));
  EXPECT_THAT(store({"--confidence", "2"}), HasSubstr("confidence must be between 0.0 and 1.0"));
  EXPECT_THAT(store({"-S", "elsewhere"}), HasSubstr("invalid source 'elsewhere'"));
  EXPECT_THAT(store({"-n", "a b"}), HasSubstr("namespace cannot contain spaces"));
  EXPECT_THAT(store({"--scope", "world"}), StartsWith("Error: "));
}

TEST_F(Cli, DefaultNamespaceIsTheRepositoryElseTheFolder) {
  const auto stored_in = [&](const std::filesystem::path& where) {
    Start start;
    start.folder = where;
    return Json({"store", "-T", "t", "-c", "c"}, start).value("namespace", "");
  };
  const std::filesystem::path plain = folder() / "plain";
  std::filesystem::create_directory(plain);
  EXPECT_EQ(stored_in(plain), "plain");

  const std::filesystem::path repository = folder() / "checkout";
  std::filesystem::create_directories(repository / ".git" / "objects");
  std::filesystem::create_directories(repository / ".git" / "refs");
  std::ofstream(repository / ".git" / "HEAD") << "ref: refs/heads/main\n";
  for (const auto& [url, name] :
       std::map<std::string, std::string>{{"https://example.com/group/shop.git", "shop"},
                                          {"git@example.com:tools.git", "tools"},
                                          {"ssh://git@example.com/group/deep/api/", "api"}}) {
    std::ofstream(repository / ".git" / "config")
        << "[core]\n\trepositoryformatversion = 0\n[remote \"origin\"]\n\turl = " << url << "\n";
    EXPECT_EQ(stored_in(repository), name) << url;
  }

  const std::filesystem::path spaces = folder() / "two words";
  std::filesystem::create_directory(spaces);
  Start start;
  start.folder = spaces;
  const std::string err = Fail(1, {"store", "-T", "t", "-c", "c"}, start);
  EXPECT_THAT(err, HasSubstr("\"two words\", taken from the current directory"));
  EXPECT_THAT(err, HasSubstr("--namespace"));
}

TEST_F(Cli, StoreWarnsOfWhatMayContradictIt) {
  const std::string first = Store("Deploy window");
  Succeed({"store", "-n", "elsewhere", "-T", "Deploy window", "-c", "c"});
  const Ran second = Succeed({"store", "-n", "ns", "-T", "The window", "-c", "c"});
  EXPECT_THAT(second.out, StartsWith("stored: "));
  EXPECT_EQ(second.err,
            "warning: 1 similar memories found in same namespace (potential contradictions)\n"
            "  [mid/" +
                first.substr(0, 8) + "] Deploy window\n");

  // An update does not contradict itself.
  const json updated = Json({"store", "-n", "ns", "-T", "Deploy window", "-c", "other"});
  EXPECT_EQ(updated["id"], first);
  const std::string id = second.out.substr(8, second.out.find(' ', 8) - 8);
  EXPECT_EQ(updated["potential_contradictions"], json({id}));
  EXPECT_EQ(Run({"--json", "store", "-n", "ns", "-T", "Deploy window", "-c", "other"}).err, "");

  EXPECT_EQ(Succeed({"store", "-n", "ns", "-T", "The window", "-c", "c", "--no-similar"}).err, "");

  const Ran alone = Succeed({"store", "-n", "ns", "-T", "Lunch", "-c", "c"});
  EXPECT_EQ(alone.err, "");
  EXPECT_FALSE(
      Json({"store", "-n", "ns", "-T", "Supper", "-c", "c"}).contains("potential_contradictions"));
}

TEST_F(Cli, RequestIdHasOneEffect) {
  const std::vector<std::string> store = {"store", "-n", "ns",           "-T", "t",
                                          "-c",    "c",  "--request-id", "r1"};
  Start first;
  first.environment["AI_MEMORY_AGENT_ID"] = "";  // another identity each time
  const std::string id = Json(store, first).value("id", "");
  Succeed({"update", id, "-c", "changed"});
  EXPECT_EQ(Json(store, first).value("id", ""), id);
  EXPECT_EQ(Json({"get", id})["memory"]["content"], "changed");
  std::vector<std::string> other = store;
  other[6] = "another content";
  EXPECT_THAT(Fail(1, other), StartsWith("Error: "));
  EXPECT_EQ(Json({"get", id})["memory"]["content"], "changed");
}

TEST_F(Cli, ARepeatedRequestIsToldAsDoneAlsoIfItsMemoryIsGone) {
  const std::string id = Store("title");
  const std::vector<std::string> store = {"store", "-n", "ns", "-T", "title", "-c", "c"};
  const std::vector<std::string> update = {"update", id, "-c", "changed"};
  const std::vector<std::string> promote = {"promote", id};
  const std::vector<std::string> copy = {"promote", id, "--to-namespace", "org"};
  const auto repeated = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--request-id", arguments.front() + arguments.back()});
    return arguments;
  };
  Succeed({"update", id, "-n", "org/team"});
  for (const auto& request : {update, promote, copy}) Succeed(repeated(request));
  const std::string clone = Json(repeated(copy)).value("clone_id", "");
  Succeed({"update", id, "-n", "ns"});
  Succeed(repeated(store));
  Succeed({"delete", id});

  EXPECT_EQ(Succeed(repeated(store)).out, "stored: " + id + " (gone since)\n");
  EXPECT_EQ(Json(repeated(store)), json({{"id", id}}));
  EXPECT_EQ(Succeed(repeated(update)).out, "updated: " + id + " (gone since)\n");
  EXPECT_EQ(Json(repeated(update)), json({{"id", id}}));
  EXPECT_EQ(Succeed(repeated(promote)).out, "promoted to long-term: " + id + "\n");
  EXPECT_EQ(Json(repeated(copy)), json({{"promoted", true},
                                        {"mode", "vertical"},
                                        {"source_id", id},
                                        {"clone_id", clone},
                                        {"to_namespace", "org"}}));
  for (const auto& request : {update, promote, copy}) {
    EXPECT_EQ(Fail(1, request), "not found: " + id + "\n");
  }
}

TEST_F(Cli, UpdateChangesWhatIsGiven) {
  const std::string id = Store("title", "content", {"--tags", "a,b", "--ttl-secs", "60"});
  const json updated = Json({"update", id.substr(0, 8), "-T", "new title", "-p", "9", "-n", "other",
                             "--confidence", "0.25"});
  EXPECT_EQ(updated["id"], id);
  EXPECT_EQ(updated["title"], "new title");
  EXPECT_EQ(updated["namespace"], "other");
  EXPECT_EQ(updated["priority"], 9);
  EXPECT_EQ(updated["confidence"], 0.25);
  EXPECT_EQ(updated["content"], "content");
  EXPECT_EQ(updated["tags"], json({"a", "b"}));
  EXPECT_TRUE(updated.contains("expires_at"));
  const json cleared = Json({"update", id, "--expires-at", "", "--tags", ""});
  EXPECT_FALSE(cleared.contains("expires_at"));
  EXPECT_EQ(cleared["tags"], json::array());
  EXPECT_EQ(Succeed({"update", id, "-t", "long"}).out, "updated: " + id + " [new title]\n");
  EXPECT_THAT(Fail(1, {"update", id, "-t", "shrt"}), HasSubstr("invalid tier: shrt"));
  EXPECT_EQ(Fail(1, {"update", "absent", "-p", "5"}), "not found: absent\n");
  Store("taken");
  EXPECT_THAT(Fail(1, {"update", id, "-T", "taken", "-n", "ns"}),
              HasSubstr("title 'taken' already exists in namespace 'ns'"));
}

TEST_F(Cli, GetShowsTheMemoryAndItsLinks) {
  const std::string a = Store("a");
  const std::string b = Store("b");
  Succeed({"link", a, b, "-r", "derived_from"});
  const json got = Json({"get", a.substr(0, 6)});
  EXPECT_EQ(got["memory"]["id"], a);
  ASSERT_EQ(got["links"].size(), 1u);
  EXPECT_EQ(got["links"][0]["source_id"], a);
  EXPECT_EQ(got["links"][0]["target_id"], b);
  EXPECT_EQ(got["links"][0]["relation"], "derived_from");
  const std::string text = Succeed({"get", b}).out;
  EXPECT_THAT(text, StartsWith("{\n  \"id\": \"" + b + "\""));
  EXPECT_THAT(text, HasSubstr("}\n\nlinks:\n  " + a + " --[derived_from]--> " + b + "\n"));
  EXPECT_EQ(Fail(1, {"get", "zzz"}), "not found: zzz\n");
}

TEST_F(Cli, AmbiguousPrefixesNameTheIds) {
  std::map<char, std::string> by_first;
  for (int i = 0; i < 17; ++i) {  // sixteen digits: two ids begin alike
    const std::string id = Store("title " + std::to_string(i));
    if (!by_first.emplace(id[0], id).second) {
      const std::string err = Fail(1, {"get", id.substr(0, 1)});
      EXPECT_THAT(err, ContainsRegex("^Error: ambiguous ID prefix '.': [0-9]+ matches"));
      EXPECT_THAT(err, HasSubstr(id));
      return;
    }
  }
  FAIL() << "no two ids begin alike";
}

TEST_F(Cli, ListShowsRowsByPriority) {
  const std::string low = Store("low", "c", {"-p", "2"});
  const std::string high = Store("high", "c", {"-p", "9", "-t", "long"});
  EXPECT_EQ(Succeed({"list"}).out, "[long/" + high.substr(0, 8) +
                                       "] high (p=9, ns=ns, just now)\n[mid/" + low.substr(0, 8) +
                                       "] low (p=2, ns=ns, just now)\n\n2 memory(ies)\n");
  EXPECT_EQ(Json({"list", "--limit", "1"})["memories"][0]["id"], high);
  EXPECT_EQ(Json({"list", "--limit", "1", "--offset", "1"})["memories"][0]["id"], low);
  EXPECT_EQ(Json({"list", "--limit", "0"})["count"], 0);
  EXPECT_EQ(Json({"list", "-t", "long"})["count"], 1);
  EXPECT_EQ(Json({"list", "-n", "other"})["count"], 0);
  EXPECT_EQ(Json({"list", "--since", "2100-01-01T00:00:00Z"})["count"], 0);
  EXPECT_EQ(Json({"list", "--until", "2100-01-01T00:00:00Z"})["count"], 2);
  EXPECT_EQ(Succeed({"list", "-n", "other"}).err, "no memories stored\n");
  EXPECT_EQ(Fail(1, {"list", "-t", "longish"}),
            "Error: invalid tier: longish (use short, mid, long)\n");
  EXPECT_EQ(Fail(1, {"list", "--since", "yesterday"}),
            "Error: since is not valid RFC3339: 'yesterday'\n");
  EXPECT_THAT(Fail(1, {"list", "--limit", "1000001"}), StartsWith("Error: "));
  EXPECT_THAT(Fail(1, {"list", "--limit", "-1"}), StartsWith("Error: "));
}

TEST_F(Cli, SearchWantsEveryWord) {
  const std::string both = Store("deploy window", "tuesday", {"--tags", "ci,ops"});
  Store("deploy plan", "wednesday");
  EXPECT_EQ(Json({"search", "deploy tuesday"})["results"][0]["id"], both);
  EXPECT_EQ(Json({"search", "deploy tuesday"})["count"], 1);
  EXPECT_EQ(Json({"search", "deploy"})["count"], 2);
  EXPECT_EQ(Json({"search", "deploy", "--tags", "ops,ci"})["count"], 1);
  EXPECT_EQ(Json({"search", "deploy", "--tags", "ops,other"})["count"], 0);
  EXPECT_FALSE(Json({"search", "deploy"})["results"][0].contains("score"));
  EXPECT_THAT(Succeed({"search", "deploy tuesday"}).out,
              HasSubstr("] deploy window (p=5, ns=ns, just now)\n\n1 result(s)\n"));
  EXPECT_EQ(Succeed({"search", "absent"}).err,
            "no results for: absent\n  one of these words is in no memory there\n");
  EXPECT_EQ(Succeed({"search", "tuesday wednesday"}).err,
            "no results for: tuesday wednesday\n"
            "  memories have these words, and none has them all\n");
  EXPECT_THAT(Fail(1, {"search", "  "}), HasSubstr("query cannot be empty"));
  EXPECT_EQ(Json({"search", "list"})["count"], 0) << "a word that is a command, too";
}

TEST_F(Cli, RecallRanksExplainsAndCountsTheUse) {
  const std::string id = Store("deploy window", "tuesday " + std::string(300, 'x'),
                               {"--confidence", "0.5", "-p", "8"});
  Store("lunch", "friday");
  const json recalled = Json({"recall", "when is the deploy?", "--explain"});
  EXPECT_EQ(recalled["count"], 1);
  EXPECT_EQ(recalled["mode"], "keyword");
  EXPECT_EQ(recalled["tokens_used"], (13 + 308) / 4);
  EXPECT_FALSE(recalled.contains("budget_tokens"));
  const json& hit = recalled["memories"][0];
  EXPECT_EQ(hit["id"], id);
  EXPECT_EQ(hit["access_count"], 0) << "as it was before";
  EXPECT_GT(hit["score"], 0);
  double sum = 0;
  for (const json& reason : hit["reasons"]) sum += reason["value"].get<double>();
  EXPECT_NEAR(sum, hit["score"].get<double>(), 0.001);
  EXPECT_FALSE(Json({"recall", "deploy"})["memories"][0].contains("reasons"));
  EXPECT_EQ(Json({"get", id})["memory"]["access_count"], 2);

  const std::string text = Succeed({"recall", "deploy"}).out;
  EXPECT_THAT(text, HasSubstr("[mid/" + id.substr(0, 8) + "] deploy window ████████░░ score="));
  EXPECT_THAT(text, ContainsRegex("score=[0-9]+\\.[0-9][0-9] \\(ns=ns, 2x, just now conf=50%\\)\n"
                                  "  tuesday x+\n\n1 memory\\(ies\\) recalled \\[keyword\\]\n$"));
  EXPECT_THAT(Succeed({"recall", "deploy", "--explain"}).out,
              AllOf(HasSubstr("  because (relevance 1.00):\n"),
                    HasSubstr("  deploy: 1 time in it; 1 of 2 memories have it\n"),
                    HasSubstr("  priority: priority 8; 5 adds nothing\n")));
  EXPECT_EQ(hit["relevance"], 1);
  EXPECT_EQ(hit["reasons"][0]["why"], "1 time in it; 1 of 2 memories have it");
  EXPECT_FALSE(Json({"recall", "deploy"})["memories"][0].contains("relevance"));
  EXPECT_EQ(Succeed({"recall", "absent"}).err,
            "no memories found for: absent\n  no memory there has any of these words\n");
  EXPECT_EQ(Succeed({"recall", "deploy", "--limit", "0"}).err,
            "no memories found for: deploy\n  the limit is 0\n");
  EXPECT_EQ(Succeed({"search", "deploy", "--limit", "0"}).err,
            "no results for: deploy\n  the limit is 0\n");
  EXPECT_EQ(Succeed({"list", "--limit", "0"}).err, "none listed: the limit is 0\n");
  EXPECT_EQ(Succeed({"archive", "list", "--limit", "0"}).err, "none listed: the limit is 0\n");
  const json nothing = Json({"recall", "deploy absent", "--min-relevance", "0.9"});
  EXPECT_EQ(nothing["nothing_found"], "not_relevant");
  EXPECT_GT(nothing["relevance_left_out"], 0);
  EXPECT_THAT(Fail(1, {"recall", " "}), HasSubstr("context cannot be empty"));
}

TEST_F(Cli, YesterdayIsTheDayBeforeTheOneThatNowIsWrittenWith) {
  Store("standup", "the build is red");
  json document = json::parse(Succeed({"export"}).out);
  document["memories"][0]["created_at"] = "2023-05-25T12:00:00Z";
  Start start;
  start.input = document.dump();
  Json({"--db", "old.db", "import"}, start);
  const auto fit = [&](const std::string& now) -> double {
    const json recalled =
        Json({"--db", "old.db", "recall", "standup yesterday", "--now", now, "--explain"});
    for (const json& reason : recalled["memories"][0]["reasons"]) {
      if (reason["name"] == "date") return reason["value"];
    }
    return 0;
  };
  const double on_the_day = fit("2023-05-26T01:00:00Z");
  EXPECT_GT(on_the_day, 0);
  EXPECT_EQ(fit("2023-05-26T01:00:00+09:00"), on_the_day);
  EXPECT_EQ(fit("2023-05-26T23:00:00-09:00"), on_the_day);
  EXPECT_LT(fit("2023-05-25T16:00:00Z"), on_the_day);
}

TEST_F(Cli, RecallLeavesOutWhatIsNotRelevantAndSaysSo) {
  const std::string both = Store("deploy window", "tuesday");
  Store("deploy plan", "wednesday");
  const auto recall = [&](const std::string& floor) {
    return Json({"recall", "deploy on tuesday", "--min-relevance", floor});
  };
  EXPECT_EQ(recall("0")["count"], 2);
  EXPECT_EQ(recall("0.9")["count"], 1);
  EXPECT_EQ(recall("0.9")["memories"][0]["id"], both);
  EXPECT_EQ(recall("0.9")["memories"][0]["relevance"], 1);
  EXPECT_FALSE(recall("0.9").contains("nothing_found"));
  const std::vector<std::string> unrelated = {"recall", "deploy the moon rocket", "--min-relevance",
                                              "0.5"};
  EXPECT_EQ(Json(unrelated)["count"], 0);
  EXPECT_EQ(Json(unrelated)["nothing_found"], "not_relevant");
  EXPECT_THAT(Succeed(unrelated).err,
              ContainsRegex("what has some of these words is below --min-relevance 0.5: at most "
                            "0\\.[0-9][0-9]\n$"));
  EXPECT_THAT(Succeed({"recall", "deploy", "--tags", "other"}).err,
              HasSubstr("  memories have these words, and the options leave them out\n"));
  EXPECT_THAT(Succeed({"recall", "deploy", "--budget-tokens", "0"}).err,
              HasSubstr("  none fits the budget\n"));
  EXPECT_THAT(Fail(1, {"recall", "deploy", "--min-relevance", "2"}),
              HasSubstr("min_relevance must be from 0 to 1 (got 2)"));
}

TEST_F(Cli, RecallReadsRelativeDatesFromTheTimeItIsGiven) {
  Store("deploy window", "tuesday");
  const auto explained = [&](const std::string& now) {
    return Succeed({"recall", "what did we deploy last week", "--explain", "--now", now}).out;
  };
  EXPECT_THAT(explained("2001-01-01T00:00:00Z"), Not(HasSubstr(" date: ")));
  const std::string soon = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now() + absl::Hours(24 * 7),
                                            absl::UTCTimeZone());
  EXPECT_THAT(explained(soon), HasSubstr("   5.000  date: made on "));
  EXPECT_THAT(Fail(1, {"recall", "deploy", "--now", "soon"}),
              HasSubstr("now is not valid RFC3339: 'soon'"));
}

TEST_F(Cli, WordsOfAnyScriptAndIdentifiersAreFound) {
  struct Case {
    std::string content;
    std::vector<std::string> first;  // questions whose first hit it is
    std::vector<std::string> found;  // questions that others answer as well
  };
  const std::vector<Case> cases = {
      {"我们在东京见面", {"东京", "见面", "我们在哪里"}, {}},
      {"会議は月曜日です", {"会議", "月曜"}, {}},
      {"พบกันวันจันทร์", {"วันจันทร์"}, {}},
      {"discuss 日本語 with Müller", {"日本", "muller", "MÜLLER", "discussing"}, {}},
      {"Straße nach Gießen", {"strasse", "STRASSE", "straße", "giessen"}, {}},
      {"ＦＵＬＬ ｗｉｄｔｈ １２３", {"full width", "ｆｕｌｌ"}, {"123"}},
      {"call foo_bar first", {"foo_bar", "FOO_BAR"}, {"foo bar", "bar"}},
      {"edit utils.py please", {"utils.py", "Utils.PY"}, {"utils", "py"}},
      {"release v1.2.3 shipped", {"v1.2.3", "V1.2.3"}, {"v1"}},
      {"mail bob@example.com about it", {"bob@example.com"}, {"bob", "example.com"}},
      {"ticket PROJ-123 is open", {"PROJ-123", "proj-123"}, {"proj 123", "PROJ"}},
      {"use parseHttpHeader", {"parseHttpHeader", "parsehttpheader", "http"}, {"header"}}};
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    ids.push_back(Store("n" + std::to_string(i) + "z", cases[i].content));
  }
  // The same words, or characters, apart.
  Store("decoy 1", "bar then foo, release v1 or v3.2, example of bob and com, ticket 123 of proj");
  Store("decoy 2", "a function of a header, py and util, 京东, 日語本");
  const auto found = [&](const std::string& question) {
    std::vector<std::string> hits;
    const json answer = Json({"recall", question});
    for (const json& hit : answer["memories"]) hits.push_back(hit["id"]);
    return hits;
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    for (const std::string& question : cases[i].first) {
      const std::vector<std::string> hits = found(question);
      ASSERT_THAT(hits, Not(IsEmpty())) << question;
      EXPECT_EQ(hits[0], ids[i]) << question;
    }
    for (const std::string& question : cases[i].found) {
      EXPECT_THAT(found(question), Contains(ids[i])) << question;
    }
  }
}

TEST_F(Cli, RecallSaysHowManyWordsItLeftOut) {
  std::string words;
  for (int i = 0; i < 100; ++i) words += "w" + std::to_string(i) + "x ";
  Store("many", words);
  EXPECT_EQ(Json({"recall", words})["terms_left_out"], 36);
  EXPECT_FALSE(Json({"recall", "w1x"}).contains("terms_left_out"));
  EXPECT_THAT(Succeed({"recall", words, "--explain"}).out,
              HasSubstr("36 frequent word(s) of the question left out: the rarest 64 count\n"));
  for (int i = 100; i < 257; ++i) words += "w" + std::to_string(i) + "x ";
  EXPECT_THAT(Fail(1, {"search", words}), HasSubstr("257 different words, more than 256"));
}

TEST_F(Cli, RecallKeepsToItsBudgetAndItsNamespaces) {
  Succeed({"store", "-n", "org", "-T", "deploy rules", "-c", "of all"});
  Succeed({"store", "-n", "org/web", "-T", "deploy here", "-c", std::string(400, 'x')});
  Succeed({"store", "-n", "org/web/shop", "-T", "deploy below", "-c", "c"});
  const json recalled = Json({"recall", "deploy", "-n", "org/web"});
  EXPECT_EQ(recalled["count"], 2);
  const json budget = Json({"recall", "deploy", "-n", "org/web", "--budget-tokens", "10"});
  EXPECT_EQ(budget["count"], 1);
  EXPECT_EQ(budget["budget_tokens"], 10);
  EXPECT_EQ(budget["memories"][0]["title"], "deploy rules");
  EXPECT_EQ(Json({"recall", "deploy", "--limit", "1"})["count"], 1);
  EXPECT_EQ(Json({"recall", "deploy", "--tier", "Keyword"})["count"], 3);
  EXPECT_EQ(Json({"recall", "deploy", "--as-agent", "org"})["count"], 1);
}

TEST_F(Cli, RecallSaysWhatItCannotUseWithoutVectors) {
  Succeed({"store", "-n", "org", "-T", "deploy rules", "-c", "of all"});
  const Ran ran = Run({"recall", "deploy", "--tier", "semantic", "--context-tokens", "a,b"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.err, HasSubstr("no embedder for tier 'semantic'"));
  EXPECT_THAT(ran.err, HasSubstr("--context-tokens has no effect"));
  EXPECT_EQ(Run({"recall", "deploy", "--tier", "KEYWORD"}).err, "");
}

TEST_F(Cli, DeleteAndPromoteTakePrefixes) {
  const std::string a = Store("a");
  EXPECT_EQ(Json({"promote", a.substr(0, 8)}),
            json({{"promoted", true}, {"id", a}, {"tier", "long"}}));
  EXPECT_EQ(Json({"get", a})["memory"]["tier"], "long");
  EXPECT_EQ(Json({"delete", a.substr(0, 8)}), json({{"deleted", true}, {"id", a}}));
  EXPECT_EQ(Fail(1, {"delete", a}), "not found: " + a + "\n");
  EXPECT_EQ(Json({"archive", "list"})["count"], 0);
  const std::string b = Store("b");
  EXPECT_EQ(Succeed({"promote", b}).out, "promoted to long-term: " + b + "\n");
  EXPECT_EQ(Succeed({"delete", b}).out, "deleted: " + b + "\n");
}

TEST_F(Cli, DeleteErasesForEverIfAskedTo) {
  const std::string id = Store("xyzzyplugh", "content of xyzzyplugh");
  EXPECT_EQ(Fail(1, {"delete", id.substr(0, 8), "--erase"}),
            "not found: " + id.substr(0, 8) + "\n");
  EXPECT_THAT(Run({"delete", id, "--yes"}).err, HasSubstr("--erase"));
  const Ran erased = Succeed({"delete", id, "--erase"});
  EXPECT_EQ(erased.out, "erased: " + id + "\n");
  EXPECT_THAT(erased.err, HasSubstr("Nothing of it is left"));
  EXPECT_THAT(erased.err, HasSubstr("Not covered: memories that were made from it, backups"));
  EXPECT_EQ(Succeed({"delete", id, "--erase", "--yes"}).out, "erased before: " + id + "\n");
  const json again = Json({"delete", id, "--erase"});
  EXPECT_EQ(again["erased"], true);
  EXPECT_EQ(again["erasing"], false);
  EXPECT_EQ(Fail(1, {"get", id}), "not found: " + id + "\n");
  // It was closed: there is no other file.
  for (const auto& entry : std::filesystem::directory_iterator(folder())) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    EXPECT_THAT(bytes, Not(HasSubstr("xyzzyplugh"))) << entry.path();
  }
}

TEST_F(Cli, ErasingAsksAtATerminal) {
  const std::string id = Store("one");
  // `script` gives the command a terminal and hands its input on.
  const auto at_terminal = [&](const std::string& answer, const std::string& more) {
    const std::string command = "cd '" + folder().string() + "' && printf '" + answer +
                                "\\n' | script -qec \"'" + program() + "' --db '" +
                                (folder() / "ai-memory.db").string() + "' delete " + id +
                                " --erase " + more + "\" /dev/null 2>&1";
    std::string said;
    FILE* const pipe = popen(command.c_str(), "r");
    for (int byte = fgetc(pipe); byte != EOF; byte = fgetc(pipe)) said += static_cast<char>(byte);
    pclose(pipe);
    return said;
  };
  EXPECT_THAT(at_terminal("n", ""), HasSubstr("nothing was erased"));
  EXPECT_EQ(Json({"get", id})["memory"]["id"], id);
  EXPECT_THAT(at_terminal("y", ""), HasSubstr("erased: " + id));
  const std::string again = at_terminal("n", "--yes");
  EXPECT_THAT(again, HasSubstr("erased before: " + id));
  EXPECT_THAT(again, Not(HasSubstr("[y/N]")));
}

TEST_F(Cli, PromoteUpwardsCopies) {
  const json stored = Json({"store", "-n", "org/web", "-T", "t", "-c", "c"});
  const std::string id = stored.value("id", "");
  const json promoted = Json({"promote", id.substr(0, 8), "--to-namespace", "org"});
  EXPECT_EQ(promoted["mode"], "vertical");
  EXPECT_EQ(promoted["source_id"], id);
  EXPECT_EQ(promoted["to_namespace"], "org");
  const std::string clone = promoted.value("clone_id", "");
  EXPECT_EQ(Json({"get", clone})["memory"]["namespace"], "org");
  EXPECT_EQ(Json({"get", clone})["links"][0]["relation"], "derived_from");
  EXPECT_THAT(Succeed({"promote", id, "--to-namespace", "org"}).out,
              StartsWith("promoted (vertical): " + id.substr(0, 8) + " → org (clone: "));
  EXPECT_THAT(Fail(1, {"promote", id, "--to-namespace", "elsewhere"}),
              HasSubstr("is not an ancestor of 'org/web'"));
}

TEST_F(Cli, ForgetNeedsASelectorAndAValidOne) {
  Store("one");
  Store("two", "words to match");
  EXPECT_EQ(Fail(1, {"forget"}),
            "error: at least one of namespace, pattern, or tier is required\n");
  EXPECT_THAT(Fail(1, {"forget", "-n", "ns", "-t", "shrt"}), HasSubstr("invalid tier: shrt"));
  EXPECT_EQ(Json({"stats"})["total"], 2);
  EXPECT_EQ(Json({"forget", "-p", "match words"}), json({{"deleted", 1}}));
  EXPECT_EQ(Succeed({"forget", "-n", "ns"}).out, "forgot 1 memories\n");
  EXPECT_EQ(Json({"archive", "list"})["count"], 2);
}

TEST_F(Cli, LinkNamesWhatIsWrong) {
  const std::string a = Store("a");
  const std::string b = Store("b");
  EXPECT_EQ(Json({"link", a, b}), json({{"linked", true}}));
  EXPECT_EQ(Succeed({"link", a, b, "-r", "contradicts"}).out,
            "linked: " + a + " --[contradicts]--> " + b + "\n");
  EXPECT_THAT(Fail(1, {"link", a, "absent"}), HasSubstr("target memory not found: absent"));
  EXPECT_THAT(Fail(1, {"link", "absent", a}), HasSubstr("source memory not found: absent"));
  EXPECT_THAT(Fail(1, {"link", a, a}), HasSubstr("cannot link a memory to itself"));
  EXPECT_THAT(Fail(1, {"link", a, b, "-r", "likes"}), HasSubstr("invalid relation 'likes'"));
}

TEST_F(Cli, ResolveDemotesTheLoser) {
  const std::string a = Store("a", "c", {"-p", "5"});
  const std::string b = Store("b", "c", {"-p", "9"});
  EXPECT_EQ(Json({"resolve", a, b}), json({{"resolved", true}, {"winner", a}, {"loser", b}}));
  EXPECT_EQ(Json({"get", b})["memory"]["priority"], 1);
  EXPECT_EQ(Json({"get", b})["memory"]["confidence"], 0.1);
  EXPECT_EQ(Json({"get", b})["links"][0]["relation"], "supersedes");
  EXPECT_EQ(Json({"get", a})["memory"]["access_count"], 1);
  EXPECT_EQ(Succeed({"resolve", a, b}).out, "resolved: " + a + " supersedes " + b + "\n");
  EXPECT_EQ(Run({"resolve", a, "absent"}).code, 1);
}

TEST_F(Cli, ConsolidatePutsOneInThePlaceOfSeveral) {
  const std::string a = Store("a", "c", {"--tags", "x"});
  const std::string b = Store("b", "c", {"--tags", "y", "-p", "7"});
  const json result =
      Json({"consolidate", a + ", " + b, "-T", "both", "-s", "summary", "-n", "ns"});
  EXPECT_EQ(result["consolidated"], 2);
  const json memory = Json({"get", result.value("id", "")})["memory"];
  EXPECT_EQ(memory["title"], "both");
  EXPECT_EQ(memory["content"], "summary");
  EXPECT_EQ(memory["tier"], "long");
  EXPECT_EQ(memory["source"], "cli");
  EXPECT_EQ(memory["priority"], 7);
  EXPECT_EQ(memory["tags"], json({"x", "y"}));
  EXPECT_EQ(Json({"archive", "list"})["count"], 2);
  EXPECT_THAT(Fail(1, {"consolidate", a, "-T", "t", "-s", "s"}),
              HasSubstr("need at least 2 memory IDs to consolidate"));
  const std::string c = Store("c");
  const std::string d = Store("d");
  EXPECT_THAT(Succeed({"consolidate", c + "," + d, "-T", "t", "-s", "s"}).out,
              StartsWith("consolidated 2 memories into: "));
}

}  // namespace
}  // namespace aimem::testing
