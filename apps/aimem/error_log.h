// The log of a server: lines on standard error, which nobody needs to read for it to go on.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "aimem/environment.h"

namespace aimem::cli {

/// Warnings and errors, a line each, and with `verbose` what else there is. Thread-safe.
///
/// It never waits: where standard error is a pipe or a socket that is full, since nobody reads it,
/// or a terminal that was stopped, lines are dropped, and the next one that goes through says how
/// many. Lines are cut to 4 KiB.
class ErrorLog final : public LogSink {
 public:
  /// `fd` is borrowed.
  ErrorLog(int fd, bool verbose);
  ErrorLog(const ErrorLog&) = delete;
  ErrorLog& operator=(const ErrorLog&) = delete;
  ~ErrorLog() override;

  void Log(LogLevel level, std::string_view message) override;

 private:
  /// False: nobody takes it now.
  [[nodiscard]] bool Write(std::string_view line) const;

  const int fd_;
  const LogLevel least_;
  bool socket_ = false;
  bool terminal_ = false;
  int pipe_ = -1;  ///< The pipe once more, as one that does not block; -1: it is none.
  std::atomic<std::int64_t> dropped_ = 0;
};

}  // namespace aimem::cli
