// Two ends of a transport, and a service that does what a test wants.
#pragma once

#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "aimem/replication/certificates.h"
#include "gtest/gtest.h"
#include "lib/base/mutex.h"
#include "replication/grpc/transport.h"
#include "tests/support/eventually.h"

namespace aimem::replication {

/// Keeps what it is sent. Thread-safe.
class FakeService final : public Service {
 public:
  enum class Mode { kReply, kHold, kDrop };

  void HandleAppend(const Caller& caller, AppendRequest request,
                    absl::AnyInvocable<void(AppendReply) &&> reply) override {
    AppendReply answer;
    answer.header.member = {{9}};
    answer.header.heads = request.header.heads;
    answer.message = "taken";
    {
      MutexLock lock(mutex_);
      caller_ = caller;
      request_ = std::move(request);
      ++count_;
      if (mode_ == Mode::kHold) held_.push_back(std::move(reply));
      changed_.NotifyAll();
      if (mode_ != Mode::kReply) return;
    }
    std::move(reply)(std::move(answer));
  }

  absl::StatusOr<ChangePage> HandleFetch(const Caller& caller,
                                         const FetchRequest& request) override {
    MutexLock lock(mutex_);
    caller_ = caller;
    if (!fetch_error_.ok()) return fetch_error_;
    const auto at = request.cursor.vector.find(1);
    const std::uint64_t index = at == request.cursor.vector.end() ? 0 : at->second;
    ChangePage page;
    page.commits.push_back(absl::StrFormat("commit %d", index) + std::string(page_bytes_, 'x'));
    page.states.push_back({{static_cast<Kind>(200), std::string("k\0\xff", 3)}, "state"});
    page.next = ChangeCursor::After({{1, index + 1}});
    page.end = index + 1 == pages_;
    if (page.end) page.adopt = StreamHeads{{1, {.seq = pages_, .hlc = 7, .hash = {1, 2}}}};
    ++fetched_;
    return page;
  }

  absl::StatusOr<DigestReply> HandleDigest(const Caller&, const DigestRequest& request) override {
    DigestReply reply;
    reply.result.vector = {{3, 4}};
    reply.result.sums.resize(request.ranges.size(), {.sum = {{5}}, .entities = 6});
    return reply;
  }

  void OnTimer() override {
    MutexLock lock(mutex_);
    ++timers_;
    changed_.NotifyAll();
  }

  void SetMode(Mode mode) {
    MutexLock lock(mutex_);
    mode_ = mode;
  }
  void SetPages(std::uint64_t pages, std::size_t bytes) {
    MutexLock lock(mutex_);
    pages_ = pages;
    page_bytes_ = bytes;
  }
  void SetFetchError(absl::Status status) {
    MutexLock lock(mutex_);
    fetch_error_ = std::move(status);
  }
  void Await(int appends) {
    MutexLock lock(mutex_);
    while (count_ < appends) changed_.Wait(mutex_);
  }
  /// Until so many timers were due.
  void AwaitTimers(int count) {
    MutexLock lock(mutex_);
    while (timers_ < count) changed_.Wait(mutex_);
  }
  void ReleaseHeld() {
    std::vector<absl::AnyInvocable<void(AppendReply) &&>> held;
    {
      MutexLock lock(mutex_);
      held = std::exchange(held_, {});
    }
    for (auto& reply : held) std::move(reply)(AppendReply());
  }
  int count() {
    MutexLock lock(mutex_);
    return count_;
  }
  int timers() {
    MutexLock lock(mutex_);
    return timers_;
  }
  int fetched() {
    MutexLock lock(mutex_);
    return fetched_;
  }
  Caller caller() {
    MutexLock lock(mutex_);
    return caller_;
  }
  AppendRequest request() {
    MutexLock lock(mutex_);
    return request_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  Mode mode_ ABSL_GUARDED_BY(mutex_) = Mode::kReply;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
  int timers_ ABSL_GUARDED_BY(mutex_) = 0;
  int fetched_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t pages_ ABSL_GUARDED_BY(mutex_) = 1;
  std::size_t page_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status fetch_error_ ABSL_GUARDED_BY(mutex_);
  Caller caller_ ABSL_GUARDED_BY(mutex_);
  AppendRequest request_ ABSL_GUARDED_BY(mutex_);
  std::vector<absl::AnyInvocable<void(AppendReply) &&>> held_ ABSL_GUARDED_BY(mutex_);
};

/// A transport on a port of its own, with its service.
struct End {
  explicit End(const TransportOptions& options = {}, const std::string& listen = "127.0.0.1:0")
      : transport(*GrpcTransport::Listen(listen, options)) {
    transport->Start(&service);
    transport->Serve();
  }
  ~End() { transport->Shutdown(absl::ZeroDuration()); }

  [[nodiscard]] std::string address() const {
    return absl::StrFormat("127.0.0.1:%d", transport->port());
  }

  /// An Append to `address`, and how it ended.
  AppendOutcome Append(const std::string& to, AppendRequest request = {},
                       absl::Duration deadline = absl::Seconds(60)) {
    return Start(to, std::move(request), deadline).get();
  }
  std::future<AppendOutcome> Start(const std::string& to, AppendRequest request = {},
                                   absl::Duration deadline = absl::Seconds(60)) {
    auto promise = std::make_shared<std::promise<AppendOutcome>>();
    std::future<AppendOutcome> future = promise->get_future();
    transport->Append(to, Lane::kQuorum, std::move(request), deadline,
                      [promise](AppendOutcome outcome) { promise->set_value(std::move(outcome)); });
    return future;
  }
  /// Until it is connected, as a peer does that comes up.
  AppendOutcome AppendUntilConnected(const std::string& to) {
    AppendOutcome outcome;
    (void)testing::Eventually([&] {
      outcome = Append(to);
      return outcome.error == CallError::kNone;
    });
    return outcome;
  }
  /// Until `in` has passed by the transport's own timer: it serves meanwhile.
  void AwaitTimer(absl::Duration in) {
    const int before = service.timers();
    transport->SetTimer(SystemClock().Monotonic() + in);
    service.AwaitTimers(before + 1);
  }

  FakeService service;
  std::unique_ptr<GrpcTransport> transport;
};

inline absl::StatusOr<ChangePage> NextPage(PageStream& stream) {
  auto promise = std::make_shared<std::promise<absl::StatusOr<ChangePage>>>();
  std::future<absl::StatusOr<ChangePage>> future = promise->get_future();
  stream.Next([promise](absl::StatusOr<ChangePage> page) { promise->set_value(std::move(page)); });
  return future.get();
}

inline std::shared_ptr<const std::string> Bytes(std::size_t count) {
  return std::make_shared<const std::string>(count, 'c');
}

}  // namespace aimem::replication
