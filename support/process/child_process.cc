#include "support/process/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

extern char** environ;

namespace aimem::support {
namespace {

constexpr char kThisProgram[] = "/proc/self/exe";

absl::Status ErrnoStatus(const char* what, int error) {
  return absl::InternalError(absl::StrFormat("%s: %s", what, std::strerror(error)));
}

void CloseIfOpen(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

// Both ends of a pipe, of which no other child may inherit one: a reader would never see its end.
struct Pipe {
  int read = -1;
  int write = -1;

  absl::Status Open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus("pipe", errno);
    read = ends[0];
    write = ends[1];
    return absl::OkStatus();
  }
  ~Pipe() {
    CloseIfOpen(read);
    CloseIfOpen(write);
  }
};

ProcessEnd Decode(int status) {
  if (WIFSIGNALED(status)) return {.exit_code = 0, .signal = WTERMSIG(status)};
  return {.exit_code = WEXITSTATUS(status), .signal = 0};
}

}  // namespace

std::string ProcessEnd::ToString() const {
  return signal != 0 ? absl::StrFormat("signal %d", signal)
                     : absl::StrFormat("exit code %d", exit_code);
}

absl::StatusOr<ChildProcess> ChildProcess::Spawn(const std::vector<std::string>& arguments,
                                                 const ChildOptions& options) {
  Pipe in;
  Pipe out;
  if (options.input) {
    if (absl::Status status = in.Open(); !status.ok()) return status;
  }
  if (options.output) {
    if (absl::Status status = out.Open(); !status.ok()) return status;
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (options.input) {
    posix_spawn_file_actions_adddup2(&actions, in.read, STDIN_FILENO);
  } else {
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  }
  if (options.output) posix_spawn_file_actions_adddup2(&actions, out.write, STDOUT_FILENO);
  std::string name = kThisProgram;
  std::vector<std::string> texts = arguments;
  std::vector<char*> pointers = {name.data()};
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  ChildProcess child;
  const int error =
      posix_spawn(&child.pid_, kThisProgram, &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    child.pid_ = -1;
    return ErrnoStatus("starting a process", error);
  }
  child.input_ = std::exchange(in.write, -1);
  child.output_ = std::exchange(out.read, -1);
  return child;
}

ChildProcess::~ChildProcess() { Release(); }

ChildProcess::ChildProcess(ChildProcess&& other) noexcept { *this = std::move(other); }

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this == &other) return *this;
  Release();
  pid_ = std::exchange(other.pid_, -1);
  input_ = std::exchange(other.input_, -1);
  output_ = std::exchange(other.output_, -1);
  read_ = std::exchange(other.read_, {});
  end_ = other.end_;
  return *this;
}

void ChildProcess::Release() {
  if (running()) Kill();
  CloseIfOpen(input_);
  CloseIfOpen(output_);
}

ProcessEnd ChildProcess::Kill() {
  if (!running()) return end_;
  kill(pid_, SIGKILL);
  return Reap();
}

ProcessEnd ChildProcess::Wait() { return running() ? Reap() : end_; }

ProcessEnd ChildProcess::Reap() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  end_ = Decode(status);
  return end_;
}

std::optional<ProcessEnd> ChildProcess::Poll() {
  if (!running()) return end_;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pid_ = -1;
  end_ = Decode(status);
  return end_;
}

absl::Status ChildProcess::Send(const std::string& text) {
  // A child that has died must not kill us by SIGPIPE.
  const auto previous = signal(SIGPIPE, SIG_IGN);
  std::size_t sent = 0;
  int error = 0;
  while (sent < text.size() && error == 0) {
    const ssize_t count = write(input_, text.data() + sent, text.size() - sent);
    if (count >= 0) {
      sent += static_cast<std::size_t>(count);
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  signal(SIGPIPE, previous);
  if (error == 0) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrFormat("process %d does not read: %s", pid_, std::strerror(error)));
}

void ChildProcess::CloseInput() { CloseIfOpen(input_); }

absl::StatusOr<std::optional<std::string>> ChildProcess::ReadLine(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    if (const std::size_t end = read_.find('\n'); end != std::string::npos) {
      std::string line = read_.substr(0, end);
      read_.erase(0, end + 1);
      return line;
    }
    pollfd waited = {.fd = output_, .events = POLLIN, .revents = 0};
    const auto left = absl::ToInt64Milliseconds(deadline - absl::Now());
    const int ready = left <= 0 ? 0 : poll(&waited, 1, static_cast<int>(left));
    if (ready == 0) {
      return absl::DeadlineExceededError(absl::StrFormat("process %d wrote no line", pid_));
    }
    if (ready < 0) continue;
    char buffer[4096];
    const ssize_t count = read(output_, buffer, sizeof buffer);
    if (count == 0) return std::nullopt;
    if (count > 0) read_.append(buffer, static_cast<std::size_t>(count));
  }
}

void DieWithParent(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
}

}  // namespace aimem::support
