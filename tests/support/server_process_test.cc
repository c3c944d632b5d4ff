#include "support/federation/server_process.h"

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aimem::support {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Programs written in shell stand for the server.
class ServerProcessTest : public ::testing::Test {
 protected:
  ServerProcessTest()
      : folder_(std::filesystem::path(::testing::TempDir()) /
                // A child of an earlier test's shell may outlive it for a moment.
                ("aimem_server_process_" + std::to_string(getpid()) + "_" +
                 ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~ServerProcessTest() override {
    // The shell's last child may outlive it too, and make its file while the folder is emptied.
    std::error_code error;
    do {
      std::filesystem::remove_all(folder_, error);
    } while (error == std::errc::directory_not_empty);
  }

  ServerOptions Program(const std::string& script) {
    const std::filesystem::path path = folder_ / "program";
    std::ofstream(path) << "#!/bin/sh\n" << script << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return {.program = path, .store = "the store", .log = folder_ / "log"};
  }

  std::filesystem::path folder_;
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
  const std::string path = ::testing::TempDir() + "aimem_tail_" + std::to_string(getpid());
  std::ofstream(path) << "one\ntwo\nthree\n";
  EXPECT_EQ(TailOf(path, 2), "two\nthree\n");
  EXPECT_EQ(TailOf(path, 9), "one\ntwo\nthree\n");
  EXPECT_EQ(TailOf(path, 9, 4), "two\nthree\n");
  EXPECT_EQ(TailOf(path + ".absent", 2), "");
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace aimem::support
