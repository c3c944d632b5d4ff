// A client at the two ends of a pipe, one message a line.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "aimem/services/mcp.h"
#include "lib/base/callback.h"
#include "lib/base/mutex.h"
#include "lib/base/status.h"
#include "lib/base/thread.h"
#include "lib/model/validate.h"
#include "services/mcp/lines.h"
#include "services/mcp/rpc.h"
#include "services/mcp/server.h"
#include "services/mcp/watch.h"

namespace aimem::mcp {
namespace {

constexpr std::size_t kWaitingMax = 256;  // requests; who sends more waits

/// The other end, to which whole messages go. Thread-safe.
class Writer {
 public:
  /// Writes to `fd` until nobody reads there any more, or `stop`, if it is not -1, can be read
  /// from.
  Writer(int fd, int stop) : fd_(fd), stop_(stop) {}

  void Send(std::string message) ABSL_LOCKS_EXCLUDED(mutex_) {
    message += '\n';
    const MutexLock lock(mutex_);
    std::string_view rest = message;
    while (!rest.empty() && !gone_) {
      if (!AwaitRoom()) continue;
      const ssize_t n = write(fd_, rest.data(), std::min<std::size_t>(rest.size(), PIPE_BUF));
      if (n >= 0) {
        rest.remove_prefix(static_cast<std::size_t>(n));
      } else if (errno != EINTR && errno != EAGAIN) {
        gone_ = true;
      }
    }
  }

  /// Nothing is written any more.
  [[nodiscard]] bool gone() const { return gone_; }

 private:
  /// So that no write waits: a pipe that can be written takes PIPE_BUF bytes at once. False: it was
  /// woken for something else.
  bool AwaitRoom() {
    std::array<pollfd, 2> ready = {{{.fd = fd_, .events = POLLOUT, .revents = 0},
                                    {.fd = stop_, .events = POLLIN, .revents = 0}}};
    if (poll(ready.data(), stop_ < 0 ? 1 : 2, -1) < 0) return false;
    if (ready[1].revents != 0) gone_ = true;
    return ready[0].revents != 0 && !gone_;
  }

  const int fd_;
  const int stop_;
  Mutex mutex_;  // held while a message is written, so that it stays whole
  std::atomic<bool> gone_ = false;
};

/// One batch of what came in one line; mostly one request.
struct Work {
  std::vector<Request> requests;
  std::vector<std::string> answered;  // what needed no work
  bool is_batch = false;
  Speaker speaker;
  std::stop_source stop;
};

/// What waits to be answered, and what is. Thread-safe.
class WorkQueue {
 public:
  /// Waits while it is full. False: the queue has ended.
  bool Push(std::shared_ptr<Work> work) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    while (waiting_.size() >= kWaitingMax && !ended_) changed_.Wait(mutex_);
    if (ended_) return false;
    waiting_.push_back(std::move(work));
    changed_.NotifyAll();
    return true;
  }

  /// The next; null: the queue has ended. What was returned before is done.
  std::shared_ptr<Work> Next() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    current_ = nullptr;
    changed_.NotifyAll();
    while (waiting_.empty() && !ended_) changed_.Wait(mutex_);
    if (waiting_.empty()) return nullptr;
    current_ = std::move(waiting_.front());
    waiting_.pop_front();
    changed_.NotifyAll();
    return current_;
  }

  void AwaitIdle() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    while (current_ || !waiting_.empty()) changed_.Wait(mutex_);
  }

  /// Stop the request of this id, of either type, if it is not answered yet.
  void Cancel(const Json& id) ABSL_LOCKS_EXCLUDED(mutex_) {
    const MutexLock lock(mutex_);
    if (current_) CancelIn(*current_, id);
    for (const std::shared_ptr<Work>& work : waiting_) CancelIn(*work, id);
  }

  /// Nothing more comes. `drop`: nor is anything answered that waits.
  void End(bool drop) ABSL_LOCKS_EXCLUDED(mutex_) {
    const MutexLock lock(mutex_);
    ended_ = true;
    if (drop) {
      waiting_.clear();
      if (current_) current_->stop.request_stop();
    }
    changed_.NotifyAll();
  }

 private:
  static void CancelIn(Work& work, const Json& id) {
    const bool one = work.requests.size() == 1 && work.requests.front().id == id &&
                     work.requests.front().id.type() == id.type();
    if (one) work.stop.request_stop();
  }

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::shared_ptr<Work>> waiting_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<Work> current_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

/// Reads on the caller's thread, answers on another: so a cancellation is heard while the request
/// runs that it is about.
class Conversation {
 public:
  Conversation(Store& store, const McpOptions& options, int out, int stop)
      : server_(store, options, /*tells=*/true),
        out_(out),
        writer_(out, stop),
        watch_(store, [this](std::string message) { writer_.Send(std::move(message)); }) {}

  absl::Status Run(int in, int stop) {
    std::thread worker;
    AIMEM_RETURN_IF_ERROR(
        Contain([&] { worker = StartThread("aimem-mcp", [this] { Answer(); }); }));
    absl::StatusOr<LineReader::End> end = LineReader::End::kStopped;
    if (absl::Status thrown = Contain([&] { end = Read(in, stop); }); !thrown.ok()) end = thrown;
    queue_.End(/*drop=*/!end.ok() || *end != LineReader::End::kClosed);
    worker.join();
    return end.status();
  }

 private:
  absl::StatusOr<LineReader::End> Read(int in, int stop) {
    LineReader reader({.in = in, .out = out_, .stop = stop}, server_.options().message_bytes_max);
    std::string line;
    for (;;) {
      AIMEM_ASSIGN_OR_RETURN(const LineReader::End end, reader.Next(&line));
      if (writer_.gone()) return LineReader::End::kStopped;
      if (end == LineReader::End::kTooLong) {
        RefuseLine();
      } else if (end != LineReader::End::kLine) {
        return end;
      } else if (line.find_first_not_of(" \t\r") != std::string::npos) {
        Take(line);
      }
    }
  }

  void RefuseLine() {
    const std::string message = absl::StrFormat(
        "parse error: a message may have %d bytes, and this one has more: it is "
        "skipped",
        server_.options().message_bytes_max);
    writer_.Send(ErrorText(nullptr, {kParseError, message}, speaker_.revision));
  }

  void Take(const std::string& line) {
    auto work = std::make_shared<Work>();
    work->speaker = speaker_;
    for (Message& message : ReadMessages(line, speaker_.revision, &work->is_batch)) {
      if (auto* request = std::get_if<Request>(&message)) {
        TakeRequest(std::move(*request), *work);
      } else if (auto* notification = std::get_if<Notification>(&message)) {
        TakeNotification(*notification);
      } else if (auto* bad = std::get_if<Unreadable>(&message)) {
        work->answered.push_back(ErrorText(bad->id, bad->error, speaker_.revision));
      }
    }
    if (work->requests.empty() && !work->is_batch) {
      for (std::string& text : work->answered) writer_.Send(std::move(text));
    } else if (!work->requests.empty() || !work->answered.empty()) {
      queue_.Push(std::move(work));
    }
  }

  void TakeRequest(Request request, Work& work) {
    const bool stateless = Server::IsStateless(request);
    if (!stateless && request.method == "initialize" && !work.is_batch) {
      queue_.AwaitIdle();  // what came before is of who it was then
      const Json result = server_.Initialize(request.params, speaker_);
      work.answered.push_back(ResultText(request.id, result));
    } else if (!stateless && request.method == "initialize") {
      work.answered.push_back(ErrorText(request.id,
                                        {kInvalidRequest, "initialize must not be part of a batch"},
                                        speaker_.revision));
    } else if (!stateless && request.method == "ping" && !work.is_batch &&
               speaker_.revision != Revision::k2024_11) {
      work.answered.push_back(ResultText(request.id, Json::object()));
    } else {
      work.requests.push_back(std::move(request));
    }
  }

  void TakeNotification(const Notification& notification) {
    if (notification.method == "notifications/cancelled" && notification.params.is_object()) {
      const Json id = notification.params.value("requestId", Json());
      queue_.Cancel(id);
      watch_.Cancel(id);
    } else if (notification.method == "initialize" && speaker_.revision == Revision::k2024_11) {
      Speaker named = speaker_;  // upstream takes the name, and nothing else
      static_cast<void>(server_.Initialize(notification.params, named));
      speaker_.client = named.client;
    }
  }

  // -- The other thread ---------------------------------------------------------------------------
  void Answer() {
    while (const std::shared_ptr<Work> work = queue_.Next()) {
      // What throws here has run out of memory: that answer is lost, and the next one may be had.
      Contain([&] { AnswerOne(*work); }).IgnoreError();
    }
  }

  void AnswerOne(Work& work) {
    std::vector<std::string> texts = std::move(work.answered);
    for (const Request& request : work.requests) {
      const std::stop_token stop = work.stop.get_token();
      if (stop.stop_requested()) return;  // a cancelled request is not answered
      const Revision revision =
          Server::IsStateless(request) ? Revision::k2026_07 : work.speaker.revision;
      const std::optional<Outcome> followed = Follow(request, revision);
      if (request.method == "subscriptions/listen" && !followed) continue;  // it goes on
      const Outcome outcome = followed ? *followed : server_.Answer(request, work.speaker, stop);
      if (stop.stop_requested()) return;
      texts.push_back(std::holds_alternative<Json>(outcome)
                          ? ResultText(request.id, std::get<Json>(outcome))
                          : ErrorText(request.id, std::get<RpcError>(outcome), revision));
    }
    if (texts.empty()) return;
    if (work.is_batch) return writer_.Send(absl::StrCat("[", absl::StrJoin(texts, ","), "]"));
    for (std::string& text : texts) writer_.Send(std::move(text));
  }

  /// What is subscribed, or no more. nullopt: `request` is about something else, or it listens from
  /// now on.
  std::optional<Outcome> Follow(const Request& request, Revision revision) {
    const std::string& method = request.method;
    if (method == "resources/list" && HasSubscribe(revision)) {
      watch_.WatchList().IgnoreError();  // as subscribed as one that nothing happens to
      return std::nullopt;
    }
    if (method == "subscriptions/listen") return Listen(request);
    const bool subscribes = method == "resources/subscribe";
    if ((!subscribes && method != "resources/unsubscribe") || !HasSubscribe(revision)) {
      return std::nullopt;
    }
    const Json uri = request.params.value("uri", Json());
    if (!uri.is_string()) return RpcError{kInvalidParams, "uri must be a string"};
    if (!subscribes) watch_.Unsubscribe(uri.get<std::string>());
    return Ended(subscribes ? watch_.Subscribe(uri.get<std::string>()) : absl::OkStatus());
  }

  std::optional<Outcome> Listen(const Request& request) {
    // What it must say of itself is seen to with that of all others.
    const Request discover = {request.id, "server/discover", request.params};
    const Outcome stateless = server_.Answer(discover, {}, {});
    if (std::holds_alternative<RpcError>(stateless)) return stateless;
    const absl::Status status = watch_.Listen(request.id, request.params);
    return status.ok() ? std::nullopt : std::optional(Ended(status));
  }

  static Outcome Ended(const absl::Status& status) {
    if (status.ok()) return Json::object();
    return RpcError{absl::IsInvalidArgument(status) ? kInvalidParams : kInternalError,
                    std::string(ToStd(status.message()))};
  }

  const Server server_;
  const int out_;
  Writer writer_;
  ResourceWatch watch_;
  WorkQueue queue_;
  Speaker speaker_;  // of the reading thread
};

}  // namespace
}  // namespace aimem::mcp

namespace aimem {

absl::Status Validate(const McpOptions& options) {
  constexpr std::size_t kLeast = 64u << 10;
  constexpr std::size_t kMost = 64u << 20;
  if (!options.agent_id.empty()) AIMEM_RETURN_IF_ERROR(model::CheckAgentId(options.agent_id));
  AIMEM_RETURN_IF_ERROR(model::CheckAgentId(options.fallback_agent_id));
  if (options.message_bytes_max >= kLeast && options.message_bytes_max <= kMost) {
    return absl::OkStatus();
  }
  return InvalidField("message_bytes_max", absl::StrCat(options.message_bytes_max),
                      absl::StrFormat("message_bytes_max must be in [%d, %d] (got %d)", kLeast,
                                      kMost, options.message_bytes_max),
                      absl::StrFormat("%d..%d", kLeast, kMost));
}

absl::Status ServeMcp(Store& store, const McpOptions& options, int in, int out, int stop) {
  AIMEM_RETURN_IF_ERROR(Validate(options));
  return mcp::Conversation(store, options, out, stop).Run(in, stop);
}

}  // namespace aimem
