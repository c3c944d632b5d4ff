// An agent's client of `aimem mcp`, as small as one can be.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "support/process/child_process.h"

namespace aimem::campaign {

/// `aimem mcp` on a file, beside whoever else uses it. Killed when the thread that started it ends.
/// Not thread-safe.
class Agent {
 public:
  /// Run `program` on the database at `path`, and agree with it on a revision. `name`: what the
  /// client calls itself. kInternal: it cannot be run; else as Ask.
  static absl::StatusOr<Agent> Start(const std::string& program, const std::string& path,
                                     std::string_view name);

  /// Send a request, one line of JSON: the line that answers it. kUnavailable: it has ended;
  /// kDeadlineExceeded: there was no answer within 10 s.
  absl::StatusOr<std::string> Ask(const std::string& request);

  /// Say that nothing more comes, and wait for its end.
  support::ProcessEnd End();

 private:
  explicit Agent(support::ChildProcess child) : child_(std::move(child)) {}

  support::ChildProcess child_;
};

}  // namespace aimem::campaign
