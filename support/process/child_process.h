// ChildProcess: this program again, or another, as a process of its own, to be killed at will.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace aimem::support {

/// How a process ended.
struct ProcessEnd {
  int exit_code = 0;  ///< If it ended by itself.
  int signal = 0;     ///< Not 0: the signal that killed it.

  [[nodiscard]] bool ok() const { return exit_code == 0 && signal == 0; }
  /// "exit code 1" or "signal 9".
  [[nodiscard]] std::string ToString() const;
};

struct ChildOptions {
  /// A pipe to its standard input; closed by CloseInput() and by the destructor. Default:
  /// nothing to read.
  bool input = false;
  /// A pipe from its standard output. Default: that of this process.
  bool output = false;
  /// Path of the program. Default: the one of this process.
  std::string program;
  /// File that its standard error is appended to, made if absent, and its standard output unless
  /// that is a pipe. Default: those of this process.
  std::string log_file;
  /// It is killed when the thread that spawned it ends, even by SIGKILL: for programs that do not
  /// call DieWithParent.
  bool die_with_parent = false;
};

/// One child. Killed and reaped by the destructor. Not thread-safe; movable.
class ChildProcess {
 public:
  /// Run `options.program` with `arguments` (without argv[0]). kInternal: it cannot be run.
  static absl::StatusOr<ChildProcess> Spawn(const std::vector<std::string>& arguments,
                                            const ChildOptions& options = {});
  ChildProcess() = default;
  ~ChildProcess();
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;

  /// True until its end has been seen by Wait, Poll or Kill.
  [[nodiscard]] bool running() const { return pid_ > 0; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Readable end of its standard output; -1 without one.
  [[nodiscard]] int output() const { return output_; }

  /// SIGKILL, and wait for its end: an end before that is what is returned.
  ProcessEnd Kill();
  /// Wait for its end.
  ProcessEnd Wait();
  /// Its end, if it has come.
  std::optional<ProcessEnd> Poll();

  /// Write all of `text` to its standard input. kUnavailable: it does not read any more.
  absl::Status Send(const std::string& text);
  void CloseInput();
  /// The next line of its standard output, without the newline; nullopt at the end of it.
  /// kDeadlineExceeded after `timeout`.
  absl::StatusOr<std::optional<std::string>> ReadLine(absl::Duration timeout);

 private:
  ProcessEnd Reap();
  void Release();

  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  std::string read_;  // Of the output, not yet returned.
  ProcessEnd end_;
};

/// For the child: be killed when `parent` dies, even now. The thread of the parent that called
/// Spawn counts as the parent.
void DieWithParent(pid_t parent);

}  // namespace aimem::support
