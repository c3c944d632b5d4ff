// Sockets are waited for with poll: a thread that sends one request at a time needs no event loop.
// Answers are read by the parser of Boost.Beast.
#include "clients/http/http_client.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
// The library forgets the two above.
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "lib/base/status.h"

namespace aimem::clients {
namespace {

namespace beast = boost::beast;
using boost::system::error_code;
using Parser = beast::http::response_parser<beast::http::string_body>;

constexpr std::uint32_t kHeaderBytesMax = 64 << 10;
constexpr std::size_t kReadBytes = 16 << 10;

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

// -- Connecting -----------------------------------------------------------------------------------

struct FreeAddresses {
  void operator()(addrinfo* addresses) const { freeaddrinfo(addresses); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

absl::StatusOr<Addresses> LookUp(const std::string& host, int port) {
  if (host.empty() || port < 1 || port > 65'535) {
    return absl::InvalidArgumentError(absl::StrFormat("no host and port: '%s:%d'", host, port));
  }
  addrinfo wanted = {};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found);
  if (error != 0) return absl::UnavailableError(gai_strerror(error));
  return Addresses(found);
}

absl::StatusOr<int> ConnectTo(const addrinfo& address, absl::Time deadline) {
  const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return absl::UnavailableError(std::strerror(errno));
  int error = 0;
  if (connect(fd, address.ai_addr, address.ai_addrlen) != 0) error = errno;
  if (error == EINPROGRESS) {
    if (!WaitFor(fd, POLLOUT, deadline)) {
      close(fd);
      return absl::UnavailableError("it does not answer");
    }
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error != 0) {
    close(fd);
    return absl::UnavailableError(std::strerror(error));
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

// A name may stand for several addresses: the first that is answered at. The error is the last's.
absl::StatusOr<int> Connect(const std::string& host, int port, absl::Time deadline) {
  AIMEM_ASSIGN_OR_RETURN(const Addresses addresses, LookUp(host, port));
  absl::StatusOr<int> connected = absl::UnavailableError("it has no address");
  for (const addrinfo* one = addresses.get(); one != nullptr; one = one->ai_next) {
    connected = ConnectTo(*one, deadline);
    if (connected.ok()) break;
  }
  return connected;
}

// The peer has closed it, or sent something that nobody asked for.
bool IsStale(int socket) {
  char byte = 0;
  const ssize_t count = recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return count >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

// -- Asking ---------------------------------------------------------------------------------------

std::string RequestText(std::string_view method, std::string_view target, std::string_view host,
                        int port, const std::string& body, const HttpHeaders& headers) {
  const bool brackets = host.find(':') != std::string_view::npos;
  std::string text = absl::StrFormat("%s %s HTTP/1.1\r\nHost: %s%s%s:%d\r\n", method, target,
                                     brackets ? "[" : "", host, brackets ? "]" : "", port);
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
absl::StatusOr<bool> ReadMore(int socket, beast::flat_buffer& read, absl::Time deadline) {
  const auto room = read.prepare(kReadBytes);
  while (true) {
    const ssize_t count = recv(socket, room.data(), room.size(), 0);
    if (count >= 0) {
      read.commit(static_cast<std::size_t>(count));
      return count > 0;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!WaitFor(socket, POLLIN, deadline)) {
        return absl::DeadlineExceededError("no whole answer in time");
      }
    } else if (errno != EINTR) {
      return absl::AbortedError(absl::StrFormat("reading the answer: %s", std::strerror(errno)));
    }
  }
}

absl::Status ReadAnswer(int socket, Parser& parser, beast::flat_buffer& read, absl::Time deadline) {
  error_code error;
  while (!parser.is_done()) {
    if (read.size() == 0 || error == beast::http::error::need_more) {
      AIMEM_ASSIGN_OR_RETURN(const bool more, ReadMore(socket, read, deadline));
      if (!more) {
        error = {};
        if (parser.got_some()) parser.put_eof(error);
        if (parser.is_done()) break;  // a body without a length ends so
        return absl::AbortedError("the server closed the connection before the end of its answer");
      }
    }
    error = {};
    read.consume(parser.put(read.data(), error));
    if (error && error != beast::http::error::need_more) {
      return absl::DataLossError(absl::StrFormat("not an HTTP answer: %s", error.message()));
    }
  }
  return absl::OkStatus();
}

HttpAnswer AnswerOf(Parser::value_type message) {
  HttpAnswer answer;
  answer.status = static_cast<int>(message.result_int());
  for (const auto& field : message) {
    std::string name(field.name_string());
    absl::AsciiStrToLower(&name);
    answer.headers[std::move(name)] = std::string(field.value());
  }
  answer.body = std::move(message.body());
  return answer;
}

}  // namespace

void HttpClient::Close() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
}

absl::StatusOr<HttpAnswer> HttpClient::Send(const std::string& method, const std::string& target,
                                            const std::string& body, const HttpHeaders& headers,
                                            absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  if (socket_ >= 0 && IsStale(socket_)) Close();
  if (socket_ < 0) {
    AIMEM_ASSIGN_OR_RETURN(socket_, Connect(host_, port_, deadline));
  }
  Parser parser;
  parser.header_limit(kHeaderBytesMax);
  parser.body_limit(body_bytes_max_);
  // Not eager: then Beast 1.74 forgets that a body which comes with its headers is too long.
  parser.skip(method == "HEAD");
  beast::flat_buffer read;
  absl::Status status =
      SendAll(socket_, RequestText(method, target, host_, port_, body, headers), deadline);
  if (status.ok()) status = ReadAnswer(socket_, parser, read, deadline);
  // Whoever sends more than was asked for is not listened to.
  if (!status.ok() || !parser.keep_alive() || read.size() > 0) Close();
  if (!status.ok()) return status;
  return AnswerOf(parser.release());
}

}  // namespace aimem::clients
