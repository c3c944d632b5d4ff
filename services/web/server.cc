// The network side: connections, limits, timeouts, threads. The only file here that knows Boost.
//
// One thread ("aimem-http") runs all connections. A connection has one request in work; what a
// client sends meanwhile stays in the kernel's buffer. Answers that come from other threads are
// left on a list, and whoever finds it empty wakes the network thread: the answers of one group
// commit cost one wake-up.
#include "services/web/server.h"

#include <optional>
#include <utility>
// The library forgets these two.
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <chrono>
#include <deque>
#include <exception>
#include <set>
#include <stop_token>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/mutex.h"
#include "lib/base/status.h"
#include "lib/base/thread.h"

namespace aimem::web {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;
using Parser = beast::http::request_parser<beast::http::string_body>;
using Instant = std::chrono::steady_clock::time_point;

constexpr char kContinue[] = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::size_t kReadBytes = 64 << 10;
// A connection that is being closed is read for so long, that its last answer is not torn away by
// a reset.
constexpr std::chrono::milliseconds kLinger{1'000};
// How long whoever has closed its sending side is taken to wait for its answer.
constexpr std::chrono::seconds kSentAllPatience(5);
// Connections above the limit that are told so; beyond these they are just closed.
constexpr std::size_t kRefusedMax = 64;

std::string_view ToStdView(beast::string_view text) { return {text.data(), text.size()}; }

std::chrono::nanoseconds ToChrono(absl::Duration duration) {
  return absl::ToChronoNanoseconds(duration);
}

std::string HeaderOf(const Parser::value_type& message, const char* name) {
  const auto found = message.find(name);
  return found == message.end() ? "" : std::string(ToStdView(found->value()));
}

// How an answer goes out.
struct Form {
  bool keep_alive = false;
  bool head = false;  // without its body
  bool old = false;   // HTTP/1.0, where keeping alive must be said
};

std::string Serialized(const Response& response, const Headers& common, const Form& form) {
  const beast::string_view reason =
      beast::http::obsolete_reason(static_cast<beast::http::status>(response.status));
  std::string text = absl::StrFormat("HTTP/1.1 %d %s\r\n", response.status, ToStdView(reason));
  text.reserve(text.size() + 300 + response.body.size());
  if (!response.content_type.empty()) text += "Content-Type: " + response.content_type + "\r\n";
  text += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
  for (const Headers* headers : {&common, &response.headers}) {
    for (const auto& [name, value] : *headers) absl::StrAppend(&text, name, ": ", value, "\r\n");
  }
  if (!form.keep_alive) text += "Connection: close\r\n";
  if (form.keep_alive && form.old) text += "Connection: keep-alive\r\n";
  text += "\r\n";
  if (!form.head) text += response.body;
  return text;
}

class Connection;

/// Everything that runs. Owned by the server, by its connections, and by work of the handler that
/// is under way.
class Loop final : public Threads {
 public:
  explicit Loop(const ServerOptions& options) : options_(options), acceptor_(io_), sweep_(io_) {}

  /// Before all else.
  void Own(std::unique_ptr<Handler> handler) { handler_ = std::move(handler); }
  absl::Status Listen();
  void Start();
  void Shutdown(absl::Duration grace);

  // -- Threads: from any thread -------------------------------------------------------------------
  void Post(Work work) override;
  void PostLater(absl::Duration delay, Work work) override;
  void Read(Work work) override;
  void ReadLater(absl::Duration delay, Work work) override;

  // -- For connections: on the network thread -----------------------------------------------------
  [[nodiscard]] const ServerOptions& options() const { return options_; }
  [[nodiscard]] bool draining() const { return draining_; }
  [[nodiscard]] bool OnNetworkThread() const { return std::this_thread::get_id() == network_id_; }
  Handler& handler() { return *handler_; }
  void Remove(const std::shared_ptr<Connection>& connection);
  void Log(LogLevel level, std::string_view message) const {
    if (options_.log != nullptr) options_.log->Log(level, message);
  }

  [[nodiscard]] int port() const { return port_; }

 private:
  void RunNetwork();
  void RunReader();
  void RunPosted();
  void Accept();
  void Accepted(tcp::socket socket);
  void Sweep();
  void BeginDrain();
  void StopAll();
  void CloseAll();

  const ServerOptions options_;
  asio::io_context io_{1};
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> running_;
  std::unique_ptr<Handler> handler_;

  // -- Network thread -----------------------------------------------------------------------------
  tcp::acceptor acceptor_;
  asio::steady_timer sweep_;
  std::set<std::shared_ptr<Connection>> connections_;
  std::set<std::shared_ptr<asio::steady_timer>> timers_;  // of PostLater
  std::chrono::nanoseconds sweep_every_{};
  bool draining_ = false;

  int port_ = 0;
  std::thread network_;
  std::thread::id network_id_;
  std::vector<std::thread> readers_;
  Mutex shutdown_mutex_;  // one Shutdown at a time

  Mutex mutex_;
  CondVar read_ready_;
  CondVar drained_;
  std::vector<Work> posted_ ABSL_GUARDED_BY(mutex_);
  std::deque<Work> reads_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;      // no more work is taken
  bool drain_over_ ABSL_GUARDED_BY(mutex_) = false;  // the last connection is gone
};

/// One client. All methods run on the network thread.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Loop> loop, tcp::socket socket)
      : loop_(std::move(loop)), socket_(std::move(socket)) {
    buffer_.max_size(loop_->options().header_bytes_max + 2 * kReadBytes);
  }

  /// Read requests until the end.
  void Start() {
    BeginRequest();
    Proceed();
  }

  /// Answer with `status` whatever comes, and close.
  void Refuse(int status) {
    phase_ = Phase::kWorking;
    closing_ = linger_ = true;
    Response response = TextAnswer(status, std::string(ToStdView(beast::http::obsolete_reason(
                                               static_cast<beast::http::status>(status)))));
    if (status == 503) response.headers.emplace_back("Retry-After", "1");
    Send(Serialized(response, loop_->options().headers, Form{}));
  }

  /// The server is ending: no further request.
  void Drain() {
    closing_ = true;
    if (phase_ == Phase::kIdle && buffer_.size() == 0) Close();
  }

  void Close() {
    if (phase_ == Phase::kClosed) return;
    phase_ = Phase::kClosed;
    StopWork();
    error_code ignored;
    socket_.close(ignored);
    loop_->Remove(shared_from_this());
  }

  void CheckDeadline(Instant now) {
    if (now < deadline_) return;
    if (phase_ == Phase::kHeader || phase_ == Phase::kBody) {
      error_code ignored;
      socket_.cancel(ignored);  // the read under way must not meet the one that lingers
      Refuse(408);
    } else if (phase_ != Phase::kWorking) {
      Close();
    }
  }

  /// Nobody waits for the answer to the request in work.
  void StopWork() { stop_.request_stop(); }

  /// The same if its client has hung up, which is looked at now and then.
  void CheckClient() {
    if (phase_ != Phase::kWorking) return;
    char byte = 0;
    error_code error;
    socket_.receive(asio::buffer(&byte, 1), asio::socket_base::message_peek, error);
    if (!error || error == asio::error::would_block || error == asio::error::try_again) return;
    // It has sent all it has to send, or is gone: that is one thing until something is sent to it.
    const Instant now = std::chrono::steady_clock::now();
    if (error == asio::error::eof && !sent_all_at_) sent_all_at_ = now;
    if (error != asio::error::eof || now - *sent_all_at_ >= kSentAllPatience) StopWork();
  }

 private:
  enum class Phase { kIdle, kHeader, kBody, kWorking, kWriting, kLingering, kClosed };

  // The right to answer one request. Lost without an answer, as by an exception: the handler says
  // what that is.
  class Turn {
   public:
    explicit Turn(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
    Turn(Turn&& other) noexcept = default;
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (connection_ != nullptr) Answer(connection_->loop_->handler().Lost());
    }
    void Answer(Response response) {
      std::exchange(connection_, nullptr)->Answer(std::move(response));
    }

   private:
    std::shared_ptr<Connection> connection_;
  };

  void SetDeadline(absl::Duration timeout) {
    deadline_ = std::chrono::steady_clock::now() + ToChrono(timeout);
  }

  void BeginRequest() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(loop_->options().header_bytes_max));
    parser_->body_limit(loop_->options().body_bytes_max);
    phase_ = Phase::kIdle;
    SetDeadline(loop_->options().idle_timeout);
  }

  // Handle what has been read, request by request, then read more.
  void Proceed() {
    while (phase_ == Phase::kIdle || phase_ == Phase::kHeader || phase_ == Phase::kBody) {
      if (!Parse()) return;
      Dispatch();
      if (phase_ != Phase::kWorking || !early_answer_) return;
      const Response response = *std::move(early_answer_);
      early_answer_.reset();
      Finish(response);
    }
  }

  // True: a whole request is in the parser. False: more is being read, or this is the end.
  bool Parse() {
    while (!parser_->is_done()) {
      if (buffer_.size() == 0) return ReadMore();
      if (phase_ == Phase::kIdle) {
        phase_ = Phase::kHeader;
        SetDeadline(loop_->options().header_timeout);
      }
      const bool in_header = !parser_->is_header_done();
      error_code error;
      buffer_.consume(parser_->put(buffer_.data(), error));
      if (error == beast::http::error::need_more) return ReadMore();
      if (error) return ParseFailed(error);
      if (in_header && parser_->is_header_done() && !BeginBody()) return false;
    }
    return true;
  }

  bool ParseFailed(const error_code& error) {
    if (error == beast::http::error::header_limit || error == beast::http::error::buffer_overflow) {
      Refuse(431);
    } else if (error == beast::http::error::body_limit) {
      Refuse(413);
    } else {
      Refuse(400);
    }
    return false;
  }

  bool BeginBody() {
    phase_ = Phase::kBody;
    SetDeadline(loop_->options().body_timeout);
    const std::string expect = HeaderOf(parser_->get(), "Expect");
    if (expect.empty() || parser_->is_done()) return true;
    if (!absl::EqualsIgnoreCase(expect, "100-continue")) {
      Refuse(417);
      return false;
    }
    // A few bytes on an idle connection: they fit, or the client is gone.
    error_code ignored;
    socket_.write_some(asio::buffer(kContinue, sizeof kContinue - 1), ignored);
    return true;
  }

  bool ReadMore() {
    const std::size_t room = std::min(kReadBytes, buffer_.max_size() - buffer_.size());
    if (room == 0) return ParseFailed(beast::http::error::buffer_overflow);
    if (closing_ && phase_ == Phase::kIdle) {
      Close();
      return false;
    }
    socket_.async_read_some(buffer_.prepare(room), [self = shared_from_this()](
                                                       const error_code& error, std::size_t count) {
      self->ReadDone(error, count);
    });
    return false;
  }

  void ReadDone(const error_code& error, std::size_t count) {
    if (phase_ != Phase::kIdle && phase_ != Phase::kHeader && phase_ != Phase::kBody) return;
    if (error) return Close();
    buffer_.commit(count);
    Proceed();
  }

  void Dispatch() {
    phase_ = Phase::kWorking;
    Parser::value_type message = parser_->release();
    form_ = Form{.keep_alive = message.keep_alive(),
                 .head = message.method() == beast::http::verb::head,
                 .old = message.version() < 11};
    Request request;
    request.method = std::string(ToStdView(message.method_string()));
    const std::string_view target = ToStdView(message.target());
    const std::size_t question = std::min(target.find('?'), target.size());
    request.path = target.substr(0, question);
    request.query = target.substr(std::min(question + 1, target.size()));
    request.body = std::move(message.body());
    for (const auto& field : message) {
      request.headers.emplace_back(ToStdView(field.name_string()), ToStdView(field.value()));
    }
    stop_ = std::stop_source();
    sent_all_at_.reset();
    request.stop = stop_.get_token();
    dispatching_ = true;
    try {
      loop_->handler().Handle(std::move(request),
                              [turn = Turn(shared_from_this())](Response response) mutable {
                                turn.Answer(std::move(response));
                              });
    } catch (const std::exception& error) {
      loop_->Log(LogLevel::kError, absl::StrFormat("http: a handler failed: %s", error.what()));
    }
    dispatching_ = false;
  }

  // From any thread.
  void Answer(Response response) {
    if (!loop_->OnNetworkThread()) {
      loop_->Post([self = shared_from_this(), response = std::move(response)]() mutable {
        self->Answer(std::move(response));
      });
    } else if (phase_ != Phase::kWorking) {
      return;  // closed meanwhile
    } else if (dispatching_) {
      early_answer_ = std::move(response);
    } else {
      Finish(response);
      Proceed();
    }
  }

  void Finish(const Response& response) {
    form_.keep_alive = form_.keep_alive && !closing_ && !loop_->draining();
    closing_ = !form_.keep_alive;
    Send(Serialized(response, loop_->options().headers, form_));
  }

  // Most answers fit into the kernel's buffer at once.
  void Send(std::string text) {
    phase_ = Phase::kWriting;
    SetDeadline(loop_->options().body_timeout);
    output_ = std::move(text);
    error_code error;
    const std::size_t sent = socket_.write_some(asio::buffer(output_), error);
    if (error && error != asio::error::would_block && error != asio::error::try_again) {
      return Close();
    }
    if (sent == output_.size()) return Sent();
    asio::async_write(socket_, asio::buffer(output_.data() + sent, output_.size() - sent),
                      [self = shared_from_this()](const error_code& failed, std::size_t) {
                        if (self->phase_ != Phase::kWriting) return;
                        if (failed) return self->Close();
                        self->Sent();
                        self->Proceed();
                      });
  }

  void Sent() {
    output_ = std::string();
    if (!closing_) return BeginRequest();
    if (!linger_) return Close();
    error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    phase_ = Phase::kLingering;
    deadline_ = std::chrono::steady_clock::now() + kLinger;
    Linger();
  }

  void Linger() {
    buffer_.clear();
    socket_.async_read_some(buffer_.prepare(kReadBytes),
                            [self = shared_from_this()](const error_code& error, std::size_t) {
                              if (self->phase_ != Phase::kLingering) return;
                              if (error) return self->Close();
                              self->Linger();
                            });
  }

  std::shared_ptr<Loop> loop_;  // outlives the socket
  tcp::socket socket_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::string output_;
  Phase phase_ = Phase::kIdle;
  Instant deadline_;
  Form form_;
  bool closing_ = false;
  bool linger_ = false;
  bool dispatching_ = false;
  std::optional<Response> early_answer_;     // given while the handler was being called
  std::stop_source stop_{std::nostopstate};  // of the request in work
  std::optional<Instant> sent_all_at_;       // when that was seen of its client
};

// -- Start ----------------------------------------------------------------------------------------

absl::Status Loop::Listen() {
  const std::string where = absl::StrFormat("%s:%d", options_.host, options_.port);
  error_code error;
  tcp::resolver resolver(io_);
  const auto found =
      resolver.resolve(options_.host, std::to_string(options_.port), tcp::resolver::passive, error);
  if (error || found.empty()) {
    return absl::UnavailableError(absl::StrFormat("host %s: %s", options_.host, error.message()));
  }
  const tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return absl::UnavailableError(absl::StrFormat("listening on %s: %s", where, error.message()));
  }
  port_ = acceptor_.local_endpoint(error).port();
  return absl::OkStatus();
}

void Loop::Start() {
  const absl::Duration shortest =
      std::min({options_.header_timeout, options_.body_timeout, options_.idle_timeout});
  sweep_every_ =
      ToChrono(std::clamp(shortest / 4, absl::Milliseconds(10), absl::Milliseconds(500)));
  running_.emplace(io_.get_executor());
  asio::post(io_, [this] {
    Accept();
    Sweep();
  });
  network_ = StartThread("aimem-http", [this] { RunNetwork(); });
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const int readers = options_.reader_threads > 0 ? options_.reader_threads : cores;
  for (int i = 0; i < readers; ++i) {
    readers_.push_back(StartThread("aimem-http-read", [this] { RunReader(); }));
  }
}

void Loop::RunNetwork() {
  network_id_ = std::this_thread::get_id();
  while (true) {
    try {
      io_.run();
      return;
    } catch (const std::exception& error) {
      Log(LogLevel::kError, absl::StrFormat("http: %s", error.what()));
    }
  }
}

// -- Work -----------------------------------------------------------------------------------------

void Loop::Post(Work work) {
  bool wake = false;
  {
    MutexLock lock(mutex_);
    if (closed_) return;
    wake = posted_.empty();
    posted_.push_back(std::move(work));
  }
  if (wake) asio::post(io_, [this] { RunPosted(); });
}

void Loop::RunPosted() {
  std::vector<Work> work;
  {
    MutexLock lock(mutex_);
    work.swap(posted_);
  }
  for (Work& one : work) {
    try {
      std::move(one)();
    } catch (const std::exception& error) {
      Log(LogLevel::kError, absl::StrFormat("http: an answer failed: %s", error.what()));
    }
  }
}

void Loop::Read(Work work) {
  MutexLock lock(mutex_);
  if (closed_) return;
  reads_.push_back(std::move(work));
  read_ready_.NotifyOne();
}

void Loop::PostLater(absl::Duration delay, Work work) {
  Post([this, delay, work = std::move(work)]() mutable {
    auto timer = std::make_shared<asio::steady_timer>(io_, ToChrono(delay));
    timers_.insert(timer);
    timer->async_wait([this, timer, work = std::move(work)](const error_code& error) mutable {
      timers_.erase(timer);
      if (!error) std::move(work)();
    });
  });
}

void Loop::ReadLater(absl::Duration delay, Work work) {
  PostLater(delay, [this, work = std::move(work)]() mutable { Read(std::move(work)); });
}

void Loop::RunReader() {
  while (true) {
    Work work;
    {
      MutexLock lock(mutex_);
      while (reads_.empty() && !closed_) read_ready_.Wait(mutex_);
      if (closed_) return;
      work = std::move(reads_.front());
      reads_.pop_front();
    }
    try {
      std::move(work)();
    } catch (const std::exception& error) {
      Log(LogLevel::kError, absl::StrFormat("http: a reader failed: %s", error.what()));
    }
  }
}

// -- Connections ----------------------------------------------------------------------------------

void Loop::Accept() {
  acceptor_.async_accept([this](const error_code& error, tcp::socket socket) {
    if (draining_ || !acceptor_.is_open()) return;
    if (!error) Accepted(std::move(socket));
    if (!error || error == asio::error::connection_aborted) return Accept();
    // Out of descriptors or memory: the next sweep may have freed some.
    Log(LogLevel::kWarning, absl::StrFormat("http: accepting: %s", error.message()));
    auto pause = std::make_shared<asio::steady_timer>(io_, sweep_every_);
    pause->async_wait([this, pause](const error_code&) {
      if (!draining_) Accept();
    });
  });
}

void Loop::Accepted(tcp::socket socket) {
  error_code error;
  socket.set_option(tcp::no_delay(true), error);
  socket.non_blocking(true, error);
  if (error) return;
  const auto limit = static_cast<std::size_t>(options_.connections_max);
  if (connections_.size() >= limit + kRefusedMax) return;
  const bool refused = connections_.size() >= limit;
  auto self = std::static_pointer_cast<Loop>(shared_from_this());
  auto connection = std::make_shared<Connection>(std::move(self), std::move(socket));
  connections_.insert(connection);
  if (refused) {
    connection->Refuse(503);
  } else {
    connection->Start();
  }
}

void Loop::Remove(const std::shared_ptr<Connection>& connection) {
  connections_.erase(connection);
  if (!draining_ || !connections_.empty()) return;
  MutexLock lock(mutex_);
  drain_over_ = true;
  drained_.NotifyAll();
}

// One timer for all deadlines: they are seconds long, and a connection does not pay for them.
void Loop::Sweep() {
  const Instant now = std::chrono::steady_clock::now();
  const std::vector<std::shared_ptr<Connection>> all(connections_.begin(), connections_.end());
  for (const std::shared_ptr<Connection>& connection : all) {
    connection->CheckDeadline(now);
    connection->CheckClient();
  }
  sweep_.expires_after(sweep_every_);
  sweep_.async_wait([this](const error_code& error) {
    if (!error && running_) Sweep();
  });
}

// -- End ------------------------------------------------------------------------------------------

void Loop::BeginDrain() {
  draining_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  const std::vector<std::shared_ptr<Connection>> all(connections_.begin(), connections_.end());
  for (const std::shared_ptr<Connection>& connection : all) connection->Drain();
  if (!connections_.empty()) return;
  MutexLock lock(mutex_);
  drain_over_ = true;
  drained_.NotifyAll();
}

void Loop::StopAll() {
  for (const std::shared_ptr<Connection>& connection : connections_) connection->StopWork();
}

void Loop::CloseAll() {
  const std::vector<std::shared_ptr<Connection>> all(connections_.begin(), connections_.end());
  for (const std::shared_ptr<Connection>& connection : all) connection->Close();
}

void Loop::Shutdown(absl::Duration grace) {
  MutexLock one(shutdown_mutex_);
  if (!network_.joinable()) return;
  handler_->Drain();
  asio::post(io_, [this] { BeginDrain(); });
  std::vector<Work> posted;
  std::deque<Work> reads;
  {
    MutexLock lock(mutex_);
    const auto begin = std::chrono::steady_clock::now();
    while (!drain_over_) {
      const auto passed = absl::FromChrono(std::chrono::steady_clock::now() - begin);
      if (passed >= grace) break;
      drained_.WaitFor(mutex_, std::min(grace - passed, absl::Minutes(1)));
    }
    closed_ = true;
    posted.swap(posted_);
    reads.swap(reads_);
    read_ready_.NotifyAll();
  }
  // What still reads reads for nobody.
  asio::post(io_, [this] { StopAll(); });
  for (std::thread& reader : readers_) reader.join();
  // The loop ends by itself when every handler has run: those hold connections.
  asio::post(io_, [this] {
    CloseAll();
    sweep_.cancel();
    for (const auto& timer : timers_) timer->cancel();
    running_.reset();
  });
  network_.join();
}

class RunningServer final : public Server {
 public:
  explicit RunningServer(std::shared_ptr<Loop> loop) : loop_(std::move(loop)) {}
  ~RunningServer() override { loop_->Shutdown(absl::ZeroDuration()); }

  [[nodiscard]] int port() const override { return loop_->port(); }
  void Shutdown(absl::Duration grace) override { loop_->Shutdown(grace); }

 private:
  std::shared_ptr<Loop> loop_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> StartServer(const ServerOptions& options,
                                                    MakeHandler make) {
  AIMEM_RETURN_IF_ERROR(Validate(options));
  auto loop = std::make_shared<Loop>(options);
  loop->Own(make(*loop));
  AIMEM_RETURN_IF_ERROR(loop->Listen());
  loop->Start();
  return std::make_unique<RunningServer>(std::move(loop));
}

}  // namespace aimem::web
