#include "support/http/http_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace aimem::support {
namespace {

constexpr std::size_t kAnswerBytesMax = 256 << 20;
constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kHeadEnd = "\r\n\r\n";

// Wait until `socket` is ready for `events`; false: `deadline` came first.
bool WaitFor(int socket, short events, absl::Time deadline) {
  while (true) {
    const std::int64_t left = absl::ToInt64Milliseconds(
        absl::Ceil(std::max(absl::ZeroDuration(), deadline - absl::Now()), absl::Milliseconds(1)));
    pollfd waited = {.fd = socket, .events = events, .revents = 0};
    const int ready = poll(&waited, 1, static_cast<int>(std::min<std::int64_t>(left, 1'000'000)));
    if (ready > 0) return true;
    if (ready == 0 && absl::Now() >= deadline) return false;
  }
}

absl::StatusOr<int> Connect(const std::string& host, int port, absl::Time deadline) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (port < 1 || port > 65'535 || inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    return absl::InvalidArgumentError(absl::StrFormat("no IPv4 address: %s:%d", host, port));
  }
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return absl::UnavailableError(std::strerror(errno));
  int error = 0;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) error = errno;
  if (error == EINPROGRESS) {
    if (!WaitFor(fd, POLLOUT, deadline)) {
      close(fd);
      return absl::UnavailableError(absl::StrFormat("connecting to %s:%d: no answer", host, port));
    }
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error != 0) {
    close(fd);
    return absl::UnavailableError(
        absl::StrFormat("connecting to %s:%d: %s", host, port, std::strerror(error)));
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

// The peer has closed it, or sent something that nobody asked for.
bool IsStale(int socket) {
  char byte = 0;
  const ssize_t count = recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return count >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

std::string Lowered(std::string_view text) {
  std::string lowered(text);
  std::transform(lowered.begin(), lowered.end(), lowered.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lowered;
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

template <typename Number>
bool ParseNumber(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

absl::Status NoAnswer(std::string_view what) {
  return absl::DataLossError(absl::StrFormat("not an HTTP answer: %s", what));
}

// The status line and the headers, without the empty line after them.
absl::StatusOr<HttpAnswer> ParseHead(std::string_view head) {
  HttpAnswer answer;
  const std::size_t first = std::min(head.find(kLineEnd), head.size());
  const std::string_view line = head.substr(0, first);
  if (line.size() < 12 || !line.starts_with("HTTP/1.") || line[8] != ' ' ||
      !ParseNumber(line.substr(9, 3), answer.status) || answer.status < 100) {
    return NoAnswer(line.substr(0, 80));
  }
  head.remove_prefix(std::min(first + kLineEnd.size(), head.size()));
  while (!head.empty()) {
    const std::size_t end = std::min(head.find(kLineEnd), head.size());
    const std::string_view header = head.substr(0, end);
    const std::size_t colon = header.find(':');
    if (colon == std::string_view::npos) return NoAnswer(header.substr(0, 80));
    answer.headers[Lowered(header.substr(0, colon))] =
        std::string(Trimmed(header.substr(colon + 1)));
    head.remove_prefix(std::min(end + kLineEnd.size(), head.size()));
  }
  return answer;
}

// How the end of a body is found.
struct BodyLength {
  std::size_t bytes = 0;
  bool until_closed = false;
};

absl::StatusOr<BodyLength> LengthOf(const HttpAnswer& answer, std::string_view method) {
  if (method == "HEAD" || answer.status == 204 || answer.status == 304) return BodyLength{};
  if (answer.headers.contains("transfer-encoding")) {
    return NoAnswer("a transfer encoding, which this client does not read");
  }
  const auto length = answer.headers.find("content-length");
  if (length == answer.headers.end()) return BodyLength{.until_closed = true};
  BodyLength result;
  if (!ParseNumber(length->second, result.bytes) || result.bytes > kAnswerBytesMax) {
    return NoAnswer("content-length: " + length->second);
  }
  return result;
}

std::string RequestText(std::string_view method, std::string_view target, std::string_view host,
                        int port, const std::string& body, const HttpHeaders& headers) {
  std::string text =
      absl::StrFormat("%s %s HTTP/1.1\r\nHost: %s:%d\r\n", method, target, host, port);
  for (const auto& [name, value] : headers) text += absl::StrFormat("%s: %s\r\n", name, value);
  if (!body.empty()) text += "Content-Type: application/json\r\n";
  if (!body.empty() || (method != "GET" && method != "HEAD")) {
    text += absl::StrFormat("Content-Length: %d\r\n", body.size());
  }
  return text + "\r\n" + body;
}

absl::Status SendAll(int socket, std::string_view text, absl::Time deadline) {
  while (!text.empty()) {
    const ssize_t count = send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!WaitFor(socket, POLLOUT, deadline)) {
        return absl::DeadlineExceededError("the server does not read the request");
      }
    } else if (errno != EINTR) {
      return absl::AbortedError(absl::StrFormat("sending: %s", std::strerror(errno)));
    }
  }
  return absl::OkStatus();
}

// Append what comes next to `read`; false: the server has closed the connection.
absl::StatusOr<bool> ReadMore(int socket, std::string& read, absl::Time deadline) {
  char buffer[16 << 10];
  while (true) {
    const ssize_t count = recv(socket, buffer, sizeof buffer, 0);
    if (count > 0) {
      read.append(buffer, static_cast<std::size_t>(count));
      return true;
    }
    if (count == 0) return false;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!WaitFor(socket, POLLIN, deadline)) {
        return absl::DeadlineExceededError("no whole answer in time");
      }
    } else if (errno != EINTR) {
      return absl::AbortedError(absl::StrFormat("reading the answer: %s", std::strerror(errno)));
    }
  }
}

absl::StatusOr<HttpAnswer> ReadHead(int socket, std::string& read, absl::Time deadline) {
  std::size_t end = 0;
  while ((end = read.find(kHeadEnd)) == std::string::npos) {
    if (read.size() > kAnswerBytesMax) return NoAnswer("headers without end");
    const absl::StatusOr<bool> more = ReadMore(socket, read, deadline);
    if (!more.ok()) return more.status();
    if (!*more) return absl::AbortedError("the server closed the connection before its answer");
  }
  absl::StatusOr<HttpAnswer> answer = ParseHead(std::string_view(read).substr(0, end));
  read.erase(0, end + kHeadEnd.size());
  return answer;
}

absl::Status ReadBody(int socket, std::string& read, const BodyLength& length, absl::Time deadline,
                      HttpAnswer& answer) {
  while (length.until_closed || read.size() < length.bytes) {
    if (read.size() > kAnswerBytesMax) return NoAnswer("a body without end");
    const absl::StatusOr<bool> more = ReadMore(socket, read, deadline);
    if (!more.ok()) return more.status();
    if (*more) continue;
    if (length.until_closed) break;
    return absl::AbortedError(
        absl::StrFormat("the connection broke after %d of %d bytes", read.size(), length.bytes));
  }
  const std::size_t bytes = length.until_closed ? read.size() : length.bytes;
  answer.body = read.substr(0, bytes);
  read.erase(0, bytes);
  return absl::OkStatus();
}

absl::StatusOr<HttpAnswer> Exchange(int socket, std::string& read, std::string_view method,
                                    const std::string& request, absl::Time deadline,
                                    bool& closing) {
  if (absl::Status status = SendAll(socket, request, deadline); !status.ok()) return status;
  absl::StatusOr<HttpAnswer> answer = ReadHead(socket, read, deadline);
  if (!answer.ok()) return answer;
  const absl::StatusOr<BodyLength> length = LengthOf(*answer, method);
  if (!length.ok()) return length.status();
  if (absl::Status status = ReadBody(socket, read, *length, deadline, *answer); !status.ok()) {
    return status;
  }
  const auto connection = answer->headers.find("connection");
  closing = length->until_closed ||
            (connection != answer->headers.end() && Lowered(connection->second) == "close");
  return answer;
}

}  // namespace

HttpClient::~HttpClient() { Close(); }

HttpClient::HttpClient(HttpClient&& other) noexcept
    : host_(std::move(other.host_)),
      port_(other.port_),
      socket_(std::exchange(other.socket_, -1)),
      read_(std::exchange(other.read_, {})) {}

void HttpClient::Close() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
  read_.clear();
}

absl::StatusOr<HttpAnswer> HttpClient::Send(const std::string& method, const std::string& target,
                                            const std::string& body, const HttpHeaders& headers,
                                            absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  if (socket_ >= 0 && (!read_.empty() || IsStale(socket_))) Close();
  if (socket_ < 0) {
    const absl::StatusOr<int> connected = Connect(host_, port_, deadline);
    if (!connected.ok()) return connected.status();
    socket_ = *connected;
  }
  bool closing = false;
  absl::StatusOr<HttpAnswer> answer =
      Exchange(socket_, read_, method, RequestText(method, target, host_, port_, body, headers),
               deadline, closing);
  if (!answer.ok() || closing) Close();
  return answer;
}

}  // namespace aimem::support
