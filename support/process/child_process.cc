#include "support/process/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace aimem::support {
namespace {

constexpr char kThisProgram[] = "/proc/self/exe";

absl::Status ErrnoStatus(const std::string& what, int error) {
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

// Between fork and exec, where only calls that are safe in a signal handler are allowed: the
// parent has other threads. What fails is told through `failure`, which a successful exec closes.
[[noreturn]] void BecomeChild(const ChildOptions& options, int in, int out, int failure,
                              pid_t parent, const std::vector<char*>& arguments) {
  bool good = true;
  if (options.die_with_parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
  }
  if (in < 0) in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  good = dup2(in, STDIN_FILENO) >= 0;
  if (good && out >= 0) good = dup2(out, STDOUT_FILENO) >= 0;
  if (good && !options.log_file.empty()) {
    const int log = open(options.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    good = dup2(log, STDERR_FILENO) >= 0 && (out >= 0 || dup2(log, STDOUT_FILENO) >= 0);
  }
  if (good) execv(arguments[0], arguments.data());
  const int error = errno;
  [[maybe_unused]] const ssize_t told = write(failure, &error, sizeof error);
  _exit(127);
}

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
  Pipe failure;
  if (options.input) {
    if (absl::Status status = in.Open(); !status.ok()) return status;
  }
  if (options.output) {
    if (absl::Status status = out.Open(); !status.ok()) return status;
  }
  if (absl::Status status = failure.Open(); !status.ok()) return status;
  std::string program = options.program.empty() ? kThisProgram : options.program;
  std::vector<std::string> texts = arguments;
  std::vector<char*> pointers = {program.data()};
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  const pid_t parent = getpid();
  ChildProcess child;
  child.pid_ = fork();
  if (child.pid_ == 0) BecomeChild(options, in.read, out.write, failure.write, parent, pointers);
  if (child.pid_ < 0) return ErrnoStatus("fork", errno);
  CloseIfOpen(failure.write);
  int error = 0;
  ssize_t count = 0;
  while ((count = read(failure.read, &error, sizeof error)) < 0 && errno == EINTR) {
  }
  if (count > 0) {
    child.Reap();
    return ErrnoStatus(absl::StrFormat("starting %s", program), error);
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
