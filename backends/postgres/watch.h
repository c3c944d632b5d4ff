// The bound on calls of libpqxx, which has none of its own.
#pragma once

#include <string>
#include <string_view>
#include <thread>

#include "absl/time/time.h"
#include "lib/base/mutex.h"

namespace aimem::postgres {

/// Shuts a connection down when its server owes an answer for too long: whoever waits for that is
/// then told that the connection is lost. One thread of its own.
class Watch {
 public:
  /// `socket` is the connection's, which outlives the watch. So does `hung`: it is set, once, to
  /// what was given up and after how long, and may be read when the watch has ended.
  Watch(int socket, std::string& hung);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// From now on the server has `patience` for `what`, "making the tables" for one.
  void Await(std::string_view what, absl::Duration patience);

 private:
  void Run();

  const int socket_;
  std::string& hung_;
  Mutex mutex_;
  CondVar changed_;
  std::string what_ ABSL_GUARDED_BY(mutex_);
  absl::Duration patience_ ABSL_GUARDED_BY(mutex_);
  absl::Duration deadline_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteDuration();
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace aimem::postgres
