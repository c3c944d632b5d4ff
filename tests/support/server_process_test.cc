#include "support/federation/server_process.h"

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace aimem::support {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Programs written in shell stand for the server.
class ServerProcessTest : public ::testing::Test {
 protected:
  ServerOptions Program(const std::string& script) {
    const std::filesystem::path path = folder_ / "program";
    std::ofstream(path) << "#!/bin/sh\n" << script << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return {.program = path, .store = "the store", .log = folder_ / "log"};
  }

  const testing::TempDir dir_;
  const std::filesystem::path folder_ = dir_.path();
};

constexpr char kListening[] =
    "echo 'aimem: listening on 127.0.0.1:8123, replication on 127.0.0.1:9123' >&2\n";
// A shell that waits in a way that a signal interrupts, and leaves no child behind.
constexpr char kWaiting[] = "mkfifo \"$0.pipe\"; read -r word <\"$0.pipe\"";

TEST_F(ServerProcessTest, TellsThePortsThatItsServerTold) {
  const auto server = ServerProcess::Start(Program(std::string(kListening) + kWaiting));
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ(server->http_port(), 8123);
  EXPECT_EQ(server->replication_port(), 9123);
}

TEST_F(ServerProcessTest, PassesItsOptionsOn) {
  ServerOptions options = Program("echo \"$@\" >&2\n" + std::string(kListening) + kWaiting);
  options.http_port = 8123;
  options.replication_port = 9123;
  options.peers = {"127.0.0.1:1", "127.0.0.1:2"};
  options.quorum = 2;
  options.quorum_timeout = absl::Seconds(2);
  options.certificates = "certs";
  options.name = "a";
  options.more = {"--more"};
  ASSERT_TRUE(ServerProcess::Start(options).ok());
  EXPECT_THAT(TailOf(options.log, 2),
              HasSubstr("--db the store serve --host 127.0.0.1 --port 8123 --replication-listen "
                        "127.0.0.1:9123 --quorum-peers 127.0.0.1:1,127.0.0.1:2 --quorum-writes 2 "
                        "--quorum-timeout-ms 2000 --replication-ca certs/ca.pem --replication-cert "
                        "certs/a.pem --replication-key certs/a.key --more\n"));
}

TEST_F(ServerProcessTest, ServerThatEndsIsUnavailableAndItsLogIsTold) {
  ServerOptions options = Program("echo 'the port is taken' >&2; exit 3");
  std::ofstream(options.log) << "of an earlier run\n";
  const absl::Status status = ServerProcess::Start(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("exit code 3"), HasSubstr("the port is taken"),
                    Not(HasSubstr("earlier run"))));
}

TEST_F(ServerProcessTest, ProgramThatIsNotThereIsAnError) {
  ServerOptions options = Program("");
  options.program = folder_ / "absent";
  const absl::Status status = ServerProcess::Start(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("absent"));
}

TEST_F(ServerProcessTest, TerminatedServerTellsItsOwnExitCode) {
  auto server = ServerProcess::Start(Program("trap 'exit 5' TERM\n" + std::string(kListening) +
                                             "while :; do " + "sleep 0.01; done"));
  ASSERT_TRUE(server.ok()) << server.status();
  const auto end = server->Terminate();
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->ToString(), "exit code 5");
}

TEST_F(ServerProcessTest, FrozenServerDoesNotEndUntilItIsReleased) {
  auto server = ServerProcess::Start(Program(std::string(kListening) + kWaiting));
  ASSERT_TRUE(server.ok()) << server.status();
  server->Freeze();
  EXPECT_EQ(server->Terminate(absl::Milliseconds(50)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  server->Release();
  const auto end = server->Terminate();
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->signal, SIGTERM);
}

TEST_F(ServerProcessTest, KilledServerIsGone) {
  auto server = ServerProcess::Start(Program(std::string(kListening) + kWaiting));
  ASSERT_TRUE(server.ok()) << server.status();
  const pid_t pid = server->pid();
  EXPECT_EQ(server->Kill().signal, SIGKILL);
  EXPECT_NE(kill(pid, 0), 0);
}

TEST(TailOf, HasTheLastLines) {
  const testing::TempDir dir;
  const std::string path = dir.File("log");
  std::ofstream(path) << "one\ntwo\nthree\n";
  EXPECT_EQ(TailOf(path, 2), "two\nthree\n");
  EXPECT_EQ(TailOf(path, 9), "one\ntwo\nthree\n");
  EXPECT_EQ(TailOf(path, 9, 4), "two\nthree\n");
  EXPECT_EQ(TailOf(path + ".absent", 2), "");
}

}  // namespace
}  // namespace aimem::support
