// serve as a process: what it says, what ends it, and who else sees what it writes.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <thread>

#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "aimem/backends/sqlite.h"
#include "clients/http/http_client.h"
#include "gmock/gmock.h"
#include "support/process/reserved_port.h"
#include "tests/cli/run.h"

namespace aimem::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Serve : public Cli {
 protected:
  /// The arguments that every server of these tests has, then `more`.
  static std::vector<std::string> Arguments(const std::vector<std::string>& more,
                                            const std::string& port = "0") {
    std::vector<std::string> arguments = {"--db", "m.db", "serve", "--port", port};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  /// Start a server and wait for its line.
  void Begin(const std::vector<std::string>& more = {}, const std::string& port = "0") {
    server_ = std::make_unique<Child>(program(), Arguments(more, port), Start{}, folder());
    line_ = server_->ReadErrorLine("listening on ");
    const std::size_t at = line_.find("listening on 127.0.0.1:");
    ASSERT_NE(at, std::string::npos) << line_;
    port_ = std::atoi(line_.c_str() + at + std::string("listening on 127.0.0.1:").size());
    ASSERT_GT(port_, 0) << line_;
  }

  Ran End(int signal = SIGTERM) {
    server_->Signal(signal);
    Ran ran = server_->Wait();
    server_.reset();
    return ran;
  }

  nlohmann::json Request(const std::string& method, const std::string& target, int expected,
                         const std::string& body = "", const clients::HttpHeaders& headers = {}) {
    clients::HttpClient client("127.0.0.1", port_);
    const auto answer = client.Send(method, target, body, headers, absl::Seconds(60));
    EXPECT_TRUE(answer.ok()) << answer.status();
    if (!answer.ok()) return nlohmann::json::object();
    EXPECT_EQ(answer->status, expected) << answer->body;
    return nlohmann::json::parse(answer->body, nullptr, false);
  }

  std::unique_ptr<Child> server_;
  std::string line_;
  int port_ = 0;
};

// Sockets of a process at which somebody may call.
int CountListeners(pid_t pid) {
  const std::filesystem::path process = "/proc/" + std::to_string(pid);
  std::set<std::string> sockets;
  for (const auto& descriptor : std::filesystem::directory_iterator(process / "fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(descriptor, gone);
    if (target.starts_with("socket:[")) sockets.insert(target.substr(8, target.size() - 9));
  }
  int listeners = 0;
  for (const char* table : {"net/tcp", "net/tcp6"}) {
    std::ifstream in(process / table);
    std::string line;
    while (std::getline(in, line)) {
      const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
      if (words.size() > 9 && words[3] == "0A" && sockets.contains(words[9])) ++listeners;
    }
  }
  return listeners;
}

TEST_F(Serve, AloneItOpensNoPortButThatOfHttpAndSaysSo) {
  Begin();
  EXPECT_THAT(line_, AllOf(HasSubstr("no replication"), HasSubstr("member ")));
  EXPECT_EQ(CountListeners(server_->pid()), 1);
  EXPECT_EQ(Request("GET", "/api/v1/health", 200).value("status", ""), "ok");
  EXPECT_TRUE(Request("GET", "/api/v1/federation", 200).at("federation").is_null());
  EXPECT_EQ(End().code, 0);
}

TEST_F(Serve, RowsThatCannotBeReadAreShownWhereOneLooks) {
  Succeed({"--db", "m.db", "store", "-T", "sound", "-c", "content"});
  EXPECT_THAT(Succeed({"--db", "m.db", "stats"}).out, Not(HasSubstr("cannot be read")));
  {
    auto backend = OpenSqliteBackend((folder() / "m.db").string());
    ASSERT_TRUE(backend.ok()) << backend.status();
    auto damage = (*backend)->BeginWrite();
    ASSERT_TRUE(damage.ok()) << damage.status();
    WriteSet set;
    set.rows = {{{Kind::kMemory, "broken"}, std::nullopt, "\xff"},
                {{Kind::kLink, "broken too"}, std::nullopt, "\xff"}};
    ASSERT_TRUE((*damage)->Put(set).ok());
    ASSERT_EQ((*damage)->Commit().outcome, CommitOutcome::kDurable);
    damage->reset();
    ASSERT_TRUE((*backend)->Close().ok());
  }
  EXPECT_THAT(Succeed({"--db", "m.db", "stats"}).out,
              HasSubstr("\n2 rows cannot be read: run `aimem doctor`\n"));
  EXPECT_EQ(Json({"--db", "m.db", "stats"}).value("unreadable_rows", 0), 2);
  Begin();
  const nlohmann::json stats = Request("GET", "/api/v1/stats", 200);
  EXPECT_EQ(stats.value("total", 0), 1);
  EXPECT_EQ(stats.value("unreadable_rows", 0), 2);
  // Counting reads every row, so it happens beside the scrapes.
  clients::HttpClient client("127.0.0.1", port_);
  std::string page;
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (page.find("aimem_store_unreadable_rows 2\n") == std::string::npos) {
    ASSERT_LT(absl::Now(), deadline) << page;
    const auto answer = client.Send("GET", "/metrics", "", {}, absl::Seconds(60));
    ASSERT_TRUE(answer.ok()) << answer.status();
    page = answer->body;
  }
  EXPECT_THAT(page, HasSubstr("# HELP aimem_store_unreadable_rows "));
  EXPECT_EQ(End().code, 0);
}

TEST_F(Serve, WhoeverNeedsARowThatCannotBeReadIsToldWhichAndWhatToDo) {
  Begin();
  const std::string body = R"({"title":"damaged","content":"c"})";
  const std::string id = Request("POST", "/api/v1/memories", 201, body).value("id", "");
  {
    auto backend = OpenSqliteBackend((folder() / "m.db").string());
    ASSERT_TRUE(backend.ok()) << backend.status();
    auto damage = (*backend)->BeginWrite();
    ASSERT_TRUE(damage.ok()) << damage.status();
    WriteSet set;
    set.rows = {{{Kind::kMemory, id}, std::nullopt, "\xff"}};
    ASSERT_TRUE((*damage)->Put(set).ok());
    ASSERT_EQ((*damage)->Commit().outcome, CommitOutcome::kDurable);
  }
  for (const nlohmann::json& answer :
       {Request("POST", "/api/v1/memories", 409, body),
        Request("GET", "/api/v1/memories/" + id, 409),
        Request("PUT", "/api/v1/memories/" + id, 409, R"({"content":"d"})")}) {
    EXPECT_THAT(answer.value("error", ""), AllOf(HasSubstr(id), HasSubstr("doctor"))) << answer;
  }
  Request("POST", "/api/v1/memories", 201, R"({"title":"sound","content":"c"})");
  EXPECT_EQ(End().code, 0);
}

TEST_F(Serve, ToldToReplicateItSaysWhereWhoItIsAndThatItIsPlaintext) {
  Begin({"--replication-listen", "127.0.0.1:0"});
  EXPECT_THAT(line_, AllOf(HasSubstr("replication on 127.0.0.1:"), HasSubstr("plaintext"),
                           HasSubstr("member "), HasSubstr("W=1 of N=1")));
  EXPECT_EQ(CountListeners(server_->pid()), 2);
  const nlohmann::json health = Request("GET", "/api/v1/health", 200);
  EXPECT_EQ(health.value("voters", 0), 1);
  EXPECT_EQ(health.value("replication", ""), "plaintext");
  EXPECT_EQ(Request("GET", "/api/v1/federation", 200).at("federation").value("replication", ""),
            "plaintext");
  EXPECT_EQ(End().code, 0);
}

TEST_F(Serve, PlaintextReplicationDoesNotStandBesideAKey) {
  std::ofstream(folder() / "key") << "hush\n";
  for (const std::vector<std::string>& more :
       std::vector<std::vector<std::string>>{{"--replication-listen", "127.0.0.1:0"},
                                             {"--quorum-peers", "127.0.0.1:1"},
                                             {"--quorum-peers", "127.0.0.1:1", "--insecure"}}) {
    std::vector<std::string> arguments = Arguments({"--api-key-file", "key"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_THAT(Fail(1, arguments), AllOf(HasSubstr("plaintext"), HasSubstr("--replication-ca"),
                                          HasSubstr("--api-key-file")));
  }
  Succeed({"cert", "init", "certs"});
  Succeed({"cert", "issue", "certs", "a"});
  Begin({"--api-key-file", "key", "--replication-ca", "certs/ca.pem", "--replication-cert",
         "certs/a.pem", "--replication-key", "certs/a.key"});
  EXPECT_THAT(line_, HasSubstr(", TLS,"));
  EXPECT_EQ(Request("GET", "/api/v1/health", 200).value("replication", ""), "tls");
  EXPECT_EQ(End().code, 0);
}

TEST_F(Serve, EitherSignalEndsItWellAndThePortIsFreeAtOnce) {
  const auto reserved = support::ReservedPort::Any();
  ASSERT_TRUE(reserved.ok()) << reserved.status();
  const std::string port = std::to_string(reserved->number());
  Begin({}, port);
  for (const int signal : {SIGTERM, SIGINT, SIGTERM}) {
    Request("POST", "/api/v1/memories", 201,
            R"({"title":"t","content":"c","tier":"long","namespace":"ns"})");
    const Ran ran = End(signal);
    EXPECT_EQ(ran.code, 0) << ran.err;
    Begin({}, port);
  }
  EXPECT_EQ(Request("GET", "/api/v1/memories", 200).value("count", 0), 1);
  EXPECT_EQ(End().code, 0);
  EXPECT_EQ(Json({"--db", "m.db", "list"}).value("count", 0), 1);
}

TEST_F(Serve, SharesItsFileWithThePrograms) {
  Begin();
  Request("POST", "/api/v1/memories", 201,
          R"({"title":"over http","content":"c","namespace":"ns"})");
  Succeed({"--db", "m.db", "store", "-n", "ns", "-T", "by program", "-c", "c"});
  const nlohmann::json seen = Request("GET", "/api/v1/memories?namespace=ns", 200);
  EXPECT_EQ(seen.value("count", 0), 2) << seen;
  EXPECT_EQ(Json({"--db", "m.db", "list", "-n", "ns"}).value("count", 0), 2);
  EXPECT_EQ(End().code, 0);
}

TEST_F(Serve, KilledServerKeepsWhatItAcknowledged) {
  const auto reserved = support::ReservedPort::Any();
  ASSERT_TRUE(reserved.ok()) << reserved.status();
  const std::string port = std::to_string(reserved->number());
  Begin({}, port);
  Request("POST", "/api/v1/memories", 201, R"({"title":"kept","content":"c"})");
  EXPECT_EQ(End(SIGKILL).code, 128 + SIGKILL);
  Begin({}, port);
  EXPECT_EQ(Request("GET", "/api/v1/memories", 200).value("count", 0), 1);
  EXPECT_EQ(End().code, 0);
}

TEST_F(Serve, TakenPortIsAnErrorThatNamesIt) {
  Begin();
  const std::string message =
      Fail(1, {"--db", "other.db", "serve", "--port", std::to_string(port_)});
  EXPECT_THAT(message, AllOf(HasSubstr("--port"), HasSubstr(std::to_string(port_))));
}

TEST_F(Serve, TakenReplicationPortIsAnErrorThatNamesIt) {
  Begin({"--replication-listen", "127.0.0.1:0"});
  const std::size_t at = line_.find("replication on ");
  const std::string listen = line_.substr(at + 15, line_.find(',', at) - at - 15);
  EXPECT_THAT(Fail(1, {"--db", "other.db", "serve", "--port", "0", "--replication-listen", listen}),
              AllOf(HasSubstr("--replication-listen"), HasSubstr(listen.substr(10))));
}

TEST_F(Serve, PeersAndQuorumAreCheckedAtTheStart) {
  const auto refused = [&](const std::vector<std::string>& more) {
    return Fail(1, Arguments(more));
  };
  EXPECT_THAT(refused({"--quorum-peers", "127.0.0.1:1,127.0.0.1:2", "--quorum-writes", "4"}),
              AllOf(HasSubstr("4"), HasSubstr("3")));
  EXPECT_THAT(refused({"--quorum-peers", "127.0.0.1:1,127.0.0.1:2", "--quorum-writes", "0"}),
              AllOf(HasSubstr("0"), HasSubstr("3")));
  EXPECT_THAT(refused({"--quorum-writes", "2"}), HasSubstr("2"));
  EXPECT_THAT(refused({"--quorum-peers", "127.0.0.1:1,127.0.0.1:1"}), HasSubstr("127.0.0.1:1"));
  EXPECT_THAT(refused({"--replication-ca", "ca.pem"}), HasSubstr("--replication-key"));
  EXPECT_THAT(refused({"--similar-timeout-ms", "-5"}), HasSubstr("similar_timeout"));
  EXPECT_THAT(Fail(1, Arguments({}, "65536")), HasSubstr("--port"));
  EXPECT_THAT(Fail(1, Arguments({"--quorum-peers", "127.0.0.1:1"}, "65000")),
              AllOf(HasSubstr("66000"), HasSubstr("--replication-listen")));
}

TEST_F(Serve, BoundOfTheLogIsChecked) {
  EXPECT_THAT(Fail(1, {"--db", "m.db", "serve", "--port", "0", "--log-max-bytes", "1000"}),
              AllOf(HasSubstr("log_max_bytes"), HasSubstr("1000")));
}

TEST_F(Serve, OnlyWithAKeyBeyondThisMachine) {
  EXPECT_THAT(Fail(1, Arguments({"--host", "0.0.0.0"})),
              AllOf(HasSubstr("--api-key-file"), HasSubstr("--insecure")));
  EXPECT_THAT(Fail(1, Arguments({"--api-key-file", "absent"})), HasSubstr("absent"));
}

TEST_F(Serve, KeyIsReadFromItsFile) {
  std::ofstream(folder() / "key") << "hush\n";
  Begin({"--api-key-file", "key"});
  Request("GET", "/api/v1/memories", 401);
  Request("GET", "/api/v1/memories", 200, "", {{"X-API-Key", "hush"}});
  EXPECT_THAT(End().err, Not(HasSubstr("hush")));
}

TEST_F(Serve, AgentsAreServedBesideTheApi) {
  Begin();
  const nlohmann::json opened = Request(
      "POST", "/mcp", 200,
      R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}})");
  EXPECT_EQ(opened.at("result").at("protocolVersion"), "2025-11-25");
  const std::string meta = R"("_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
                           R"("io.modelcontextprotocol/clientCapabilities":{}})";
  const nlohmann::json stored =
      Request("POST", "/mcp", 200,
              R"({"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"memory_store",)"
              R"("arguments":{"title":"t","content":"c"},)" +
                  meta + "}}",
              {{"MCP-Protocol-Version", "2026-07-28"},
               {"Mcp-Method", "tools/call"},
               {"Mcp-Name", "memory_store"},
               {"X-Agent-Id", "alice"}});
  const std::string id = stored.at("result").at("structuredContent").at("id");
  const nlohmann::json seen = Request("GET", "/api/v1/memories/" + id, 200);
  EXPECT_EQ(seen.at("memory").at("metadata").at("agent_id"), "alice") << seen;
  EXPECT_EQ(End().code, 0);
}

TEST_F(Serve, OtherNamesAreServedIfTheyAreAllowed) {
  Begin({"--allow-host", "memory.example", "--allow-host", "other.example"});
  const auto ask = [&](const std::string& header, const std::string& value, int expected) {
    Request("GET", "/api/v1/stats", expected, "", {{header, value}});
  };
  ask("Origin", "http://memory.example", 200);
  ask("Origin", "http://other.example:8080", 200);
  ask("Origin", "http://evil.example", 403);
  EXPECT_EQ(End().code, 0);
  EXPECT_THAT(Fail(1, Arguments({"--allow-host", "http://memory.example"})),
              HasSubstr("http://memory.example"));
}

TEST_F(Serve, BeforeItHasHeardItsPeersAWriteIsRefusedAndSaysSo) {
  Begin({"--quorum-peers", "127.0.0.1:1,127.0.0.1:2", "--quorum-timeout-ms", "100",
         "--replication-listen", "127.0.0.1:0"});
  EXPECT_THAT(line_, HasSubstr("W=2 of N=3"));
  const nlohmann::json refused =
      Request("POST", "/api/v1/memories", 503, R"({"title":"t","content":"c"})");
  EXPECT_THAT(refused.value("reason", ""), HasSubstr("has heard 0 of the others"));
  EXPECT_EQ(Request("GET", "/api/v1/memories", 200).value("count", -1), 0);
  EXPECT_EQ(Request("GET", "/api/v1/health", 200).value("state", ""), "below_quorum");
  EXPECT_EQ(End().code, 0);
}

TEST_F(Serve, SecondSignalEndsItAtOnce) {
  // A write that waits for a peer which is frozen keeps the first signal's drain busy.
  const auto port = support::ReservedPort::Any();
  ASSERT_TRUE(port.ok()) << port.status();
  const std::string address = "127.0.0.1:" + std::to_string(port->number());
  Child peer(program(),
             {"--db", "peer.db", "serve", "--port", "0", "--replication-listen", address}, Start{},
             folder());
  peer.ReadErrorLine("listening on ");
  Begin({"--quorum-peers", address, "--quorum-timeout-ms", "60000", "--replication-listen",
         "127.0.0.1:0"});
  Request("POST", "/api/v1/memories", 201, R"({"title":"before","content":"c"})");
  peer.Signal(SIGSTOP);
  std::thread writing([port = port_] {
    clients::HttpClient client("127.0.0.1", port);
    EXPECT_FALSE(client
                     .Send("POST", "/api/v1/memories", R"({"title":"t","content":"c"})", {},
                           absl::Seconds(60))
                     .ok());
  });
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (absl::Now() < deadline &&
         Request("GET", "/api/v1/federation", 200).at("federation").value("waiting_writes", 0) ==
             0) {
  }
  server_->Signal(SIGTERM);
  clients::HttpClient other("127.0.0.1", port_);
  while (other.Get("/api/v1/health").ok() && absl::Now() < deadline) {
  }
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait().code, 128 + SIGTERM);
  writing.join();
  server_.reset();
  peer.Signal(SIGKILL);
  peer.Wait();
}

TEST_F(Serve, NobodyNeedsToReadItsLog) {
  const auto port = support::ReservedPort::Any();
  ASSERT_TRUE(port.ok()) << port.status();
  const std::string address = "127.0.0.1:" + std::to_string(port->number());
  Begin({"--verbose", "--quorum-peers", address, "--quorum-timeout-ms", "60000",
         "--replication-listen", "127.0.0.1:0"});
  // Its standard error is full from here on.
  const int pipe = open(("/proc/" + std::to_string(server_->pid()) + "/fd/2").c_str(),
                        O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(pipe, 0) << std::strerror(errno);
  const std::string line(999, '-');
  while (write(pipe, (line + "\n").data(), line.size() + 1) > 0) {
  }
  EXPECT_EQ(errno, EAGAIN);
  close(pipe);
  // What it says of a peer that comes is said by those who answer writes.
  Child peer(program(),
             {"--db", "peer.db", "serve", "--port", "0", "--replication-listen", address}, Start{},
             folder());
  peer.ReadErrorLine("listening on ");
  Request("POST", "/api/v1/memories", 201, R"({"title":"t","content":"c"})");
  server_->Signal(SIGTERM);
  // Ended before anybody reads what it said.
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  siginfo_t ended = {};
  while (ended.si_pid == 0 && absl::Now() < deadline) {
    ASSERT_EQ(waitid(P_PID, static_cast<id_t>(server_->pid()), &ended, WEXITED | WNOHANG | WNOWAIT),
              0);
  }
  EXPECT_EQ(ended.si_pid, server_->pid()) << "it waits for a reader of its log";
  if (ended.si_pid == 0) server_->Signal(SIGKILL);
  EXPECT_EQ(server_->Wait().code, 0);
  server_.reset();
  peer.Signal(SIGTERM);
  EXPECT_EQ(peer.Wait().code, 0);
}

}  // namespace
}  // namespace aimem::testing
