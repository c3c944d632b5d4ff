// HTTP/1.1 as Beast parses it. What a client sends while its request is in work stays in the
// kernel's buffer.
#include "services/web/connection.h"

#include <optional>
#include <utility>
// The library forgets these two.
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "services/web/loop.h"
#include "services/web/message.h"

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

class HttpConnection final : public Connection,
                             public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(std::shared_ptr<Loop> loop, tcp::socket socket, ConnectionClosed closed)
      : loop_(std::move(loop)), socket_(std::move(socket)), closed_(std::move(closed)) {
    buffer_.max_size(loop_->options().header_bytes_max + 2 * kReadBytes);
  }

  void Start() override {
    BeginRequest();
    Proceed();
  }

  void Refuse(int status) override {
    phase_ = Phase::kWorking;
    closing_ = linger_ = true;
    Response response = TextAnswer(status, std::string(ToStdView(beast::http::obsolete_reason(
                                               static_cast<beast::http::status>(status)))));
    if (status == 503) response.headers.emplace_back("Retry-After", "1");
    Send(Serialized(response, loop_->options().headers, Form{}));
  }

  void Drain() override {
    closing_ = true;
    if (phase_ == Phase::kIdle && buffer_.size() == 0) Close();
  }

  void Close() override {
    if (phase_ == Phase::kClosed) return;
    phase_ = Phase::kClosed;
    StopWork();
    error_code ignored;
    socket_.close(ignored);
    std::exchange(closed_, nullptr)(shared_from_this());
  }

  void CheckDeadline(Instant now) override {
    if (now < deadline_) return;
    if (phase_ == Phase::kHeader || phase_ == Phase::kBody) {
      error_code ignored;
      socket_.cancel(ignored);  // the read under way must not meet the one that lingers
      Refuse(408);
    } else if (phase_ != Phase::kWorking) {
      Close();
    }
  }

  void StopWork() override { stop_.request_stop(); }

  void CheckClient() override {
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
    explicit Turn(std::shared_ptr<HttpConnection> connection)
        : connection_(std::move(connection)) {}
    Turn(Turn&& other) noexcept = default;
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (connection_ != nullptr) Answer(connection_->loop_->handler().Lost());
    }
    void Answer(Response response) {
      std::exchange(connection_, nullptr)->Answer(std::move(response));
    }

   private:
    std::shared_ptr<HttpConnection> connection_;
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
    form_.keep_alive = form_.keep_alive && !closing_;
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
  ConnectionClosed closed_;
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

}  // namespace

std::shared_ptr<Connection> MakeConnection(std::shared_ptr<Loop> loop, tcp::socket socket,
                                           ConnectionClosed closed) {
  return std::make_shared<HttpConnection>(std::move(loop), std::move(socket), std::move(closed));
}

}  // namespace aimem::web
