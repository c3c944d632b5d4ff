#include "tests/cli/run.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace aimem::testing {
namespace {

std::array<int, 2> Pipe() {
  std::array<int, 2> ends{};
  EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  return ends;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

void CloseFd(int& descriptor) {
  if (descriptor >= 0) close(descriptor);
  descriptor = -1;
}

// False: the end was reached.
bool ReadSome(int descriptor, std::string& text) {
  std::array<char, 1u << 14> buffer;
  const ssize_t n = read(descriptor, buffer.data(), buffer.size());
  if (n > 0) text.append(buffer.data(), static_cast<std::size_t>(n));
  return n > 0 || (n < 0 && errno == EINTR);
}

}  // namespace

Child::Child(const std::string& program, const std::vector<std::string>& arguments,
             const Start& start, const std::filesystem::path& folder) {
  std::array<int, 2> in = Pipe();
  std::array<int, 2> out = Pipe();
  std::array<int, 2> err = Pipe();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  if (start.output_file.empty()) {
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  } else {
    posix_spawn_file_actions_addopen(&actions, 1, start.output_file.c_str(), O_WRONLY, 0);
  }
  posix_spawn_file_actions_adddup2(&actions, err[1], 2);
  std::vector<std::string> words = {program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> environment = {"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"};
  for (const auto& [name, value] : start.environment) environment.push_back(name + "=" + value);
  // A parent may have gone on ignoring signals; the program must not inherit that.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigfillset(&defaults);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  EXPECT_EQ(posix_spawn(&pid_, program.c_str(), &actions, &attributes, Pointers(words).data(),
                        Pointers(environment).data()),
            0)
      << program;
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  close(err[1]);
  in_ = in[1];
  out_ = out[0];
  err_ = err[0];
  if (start.close_output) CloseFd(out_);
}

Child::~Child() {
  CloseFd(in_);
  CloseFd(out_);
  CloseFd(err_);
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
}

void Child::Input(const std::string& text, bool close_it) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = write(in_, text.data() + done, text.size() - done);
    if (n < 0 && errno != EINTR) break;  // it did not want all of it
    if (n > 0) done += static_cast<std::size_t>(n);
  }
  if (close_it) CloseFd(in_);
}

void Child::AwaitWatchFor(int signal) const {
  for (;;) {
    std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
    std::string line;
    unsigned long long blocked = 0;
    while (std::getline(status, line)) {
      if (line.starts_with("SigBlk:")) blocked = std::stoull(line.substr(7), nullptr, 16);
    }
    if (((blocked >> (signal - 1)) & 1u) != 0) return;
    int state = 0;
    ASSERT_EQ(waitpid(pid_, &state, WNOHANG), 0) << "it ended before it watched for the signal";
  }
}

void Child::Signal(int signal) const {
  ASSERT_GT(pid_, 0) << "it was not started";
  kill(pid_, signal);
  if (signal != SIGSTOP) return;
  // On another core it may go on for a while.
  siginfo_t stopped = {};
  waitid(P_PID, static_cast<id_t>(pid_), &stopped, WSTOPPED | WEXITED | WNOWAIT);
}

std::string Child::ReadErrorLine(const std::string& part) {
  for (;;) {
    for (std::size_t begin = 0, end = 0; (end = err_read_.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
      std::string line = err_read_.substr(begin, end - begin);
      if (line.find(part) != std::string::npos) return line;
    }
    if (!ReadSome(err_, err_read_)) {
      ADD_FAILURE() << "it ended without a line that has \"" << part << "\": " << err_read_;
      return "";
    }
  }
}

Ran Child::Wait() {
  Ran ran;
  ran.err = err_read_;
  while (out_ >= 0 || err_ >= 0) {
    std::array<pollfd, 2> waiting = {pollfd{out_, POLLIN, 0}, pollfd{err_, POLLIN, 0}};
    if (poll(waiting.data(), waiting.size(), -1) < 0) continue;
    if (waiting[0].revents != 0 && !ReadSome(out_, ran.out)) CloseFd(out_);
    if (waiting[1].revents != 0 && !ReadSome(err_, ran.err)) CloseFd(err_);
  }
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = 0;
  ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ran;
}

Cli::Cli() {
  std::signal(SIGPIPE, SIG_IGN);
  const char* program = std::getenv("AIMEM_PROGRAM");
  EXPECT_NE(program, nullptr) << "AIMEM_PROGRAM must name the program under test";
  program_ = program == nullptr ? "" : program;
}

Ran Cli::Run(const std::vector<std::string>& arguments, const Start& start) {
  Start with_identity = start;
  with_identity.environment.try_emplace("AI_MEMORY_AGENT_ID", "tester");
  Child child(start.program == "aimem" ? program_ : start.program, arguments, with_identity,
              start.folder.empty() ? folder_ : start.folder);
  child.Input(start.input, /*close_it=*/true);
  return child.Wait();
}

Ran Cli::Succeed(const std::vector<std::string>& arguments, const Start& start) {
  Ran ran = Run(arguments, start);
  EXPECT_EQ(ran.code, 0) << ::testing::PrintToString(arguments) << "\n" << ran.err;
  return ran;
}

nlohmann::json Cli::Json(std::vector<std::string> arguments, const Start& start) {
  arguments.emplace_back("--json");
  const Ran ran = Succeed(arguments, start);
  nlohmann::json value = nlohmann::json::parse(ran.out, nullptr, false);
  EXPECT_FALSE(value.is_discarded()) << ran.out;
  return value;
}

std::string Cli::Fail(int code, const std::vector<std::string>& arguments, const Start& start) {
  const Ran ran = Run(arguments, start);
  EXPECT_EQ(ran.code, code) << ::testing::PrintToString(arguments) << "\n" << ran.err;
  EXPECT_EQ(ran.out, "");
  return ran.err;
}

std::string Cli::Store(const std::string& title, const std::string& content,
                       std::vector<std::string> more) {
  std::vector<std::string> arguments = {"store", "-n", "ns", "-T", title, "-c", content};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return Json(arguments).value("id", "");
}

}  // namespace aimem::testing
