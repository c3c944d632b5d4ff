// The main job: a federation of three members, put to the test step by step.
#pragma once

#include <atomic>
#include <string>

#include "absl/status/status.h"

namespace aimem::demo {

struct DemoOptions {
  std::string program;  ///< Path of the `aimem` binary.
  std::string folder;   ///< To work in; empty: a temporary one.
  bool keep = false;    ///< Leave the folder behind.
  std::string json;     ///< Where to write the figures as JSON; empty: nowhere.
  const std::atomic<bool>* cancel = nullptr;  ///< Stops it between two pieces of work: kCancelled.
};

/// Run it and tell on standard output. No process that it started is left when it returns. OK: all
/// went through and nothing is missing. kFailedPrecondition: a check failed. Others: it could not
/// go on.
absl::Status RunDemo(const DemoOptions& options);

}  // namespace aimem::demo
