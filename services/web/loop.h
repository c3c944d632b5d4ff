// The threads of a server. One ("aimem-http") runs all connections; the readers run what may block.
// Answers that come from other threads are left on a list, and whoever finds it empty wakes the
// network thread: the answers of one group commit cost one wake-up.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "aimem/environment.h"
#include "lib/base/mutex.h"
#include "services/web/handler.h"
#include "services/web/server.h"

namespace aimem::web {

/// Everything that runs. Owned by the listener, by its connections, and by work of the handler that
/// is under way. Ends in three steps, each from outside of its threads: CloseIntake, JoinReaders,
/// JoinNetwork.
class Loop final : public Threads {
 public:
  explicit Loop(const ServerOptions& options) : options_(options) {}

  /// Before all else.
  void Own(std::unique_ptr<Handler> handler) { handler_ = std::move(handler); }
  void Start();
  /// False: not started, or the network thread has been joined.
  [[nodiscard]] bool running() const { return network_.joinable(); }
  /// Take no more work, and drop what has not begun.
  void CloseIntake();
  void JoinReaders();
  /// Let the network thread end when everything that is under way on it has ended.
  void JoinNetwork();

  // -- Threads: from any thread -------------------------------------------------------------------
  void Post(Work work) override;
  void PostLater(absl::Duration delay, Work work) override;
  void Read(Work work) override;
  void Wait(Work work) override;
  void ReadLater(absl::Duration delay, Work work) override;

  // -- For listener and connections ---------------------------------------------------------------
  [[nodiscard]] const ServerOptions& options() const { return options_; }
  [[nodiscard]] bool OnNetworkThread() const { return std::this_thread::get_id() == network_id_; }
  boost::asio::io_context& io() { return io_; }
  Handler& handler() { return *handler_; }
  void Log(LogLevel level, std::string_view message) const {
    if (options_.log != nullptr) options_.log->Log(level, message);
  }

 private:
  void RunNetwork();
  void RunReader();
  void RunWaiter();
  void Run(Work work) const;
  void RunPosted();

  const ServerOptions options_;
  boost::asio::io_context io_{1};
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> guard_;
  std::unique_ptr<Handler> handler_;
  std::set<std::shared_ptr<boost::asio::steady_timer>> timers_;  // of PostLater; network thread

  std::thread network_;
  std::thread::id network_id_;
  std::vector<std::thread> readers_;

  Mutex mutex_;
  CondVar read_ready_;
  std::vector<Work> posted_ ABSL_GUARDED_BY(mutex_);
  std::deque<Work> reads_ ABSL_GUARDED_BY(mutex_);
  CondVar wait_ready_;
  std::deque<Work> waits_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> waiters_ ABSL_GUARDED_BY(mutex_);  // started when there is work for them
  std::size_t idle_waiters_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;  // no more work is taken
};

}  // namespace aimem::web
