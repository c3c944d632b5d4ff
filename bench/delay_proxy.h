// DelayProxy: a TCP port of 127.0.0.1 that passes on to another, later.
#pragma once

#include <atomic>
#include <thread>

namespace aimem::bench {

/// Bytes arrive `one_way_ms` after they were sent, in both directions; nothing else is changed.
/// Works on a thread of its own until it is destroyed.
class DelayProxy {
 public:
  DelayProxy(int target_port, int one_way_ms);
  ~DelayProxy();
  DelayProxy(const DelayProxy&) = delete;
  DelayProxy& operator=(const DelayProxy&) = delete;

  [[nodiscard]] int port() const { return port_; }

 private:
  void Work();

  int target_port_;
  double delay_s_;
  int port_ = 0;
  int listener_ = -1;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace aimem::bench
