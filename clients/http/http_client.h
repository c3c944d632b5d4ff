// HttpClient: one keep-alive connection to an HTTP/1.1 server.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace aimem::clients {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< Names in lower case.
  std::string body;
};

/// Not thread-safe; movable. Connects at the first request, and again after a failure.
class HttpClient {
 public:
  /// The longest body that is read, unless it is said otherwise.
  static constexpr std::size_t kBodyBytesMax = 256u << 20;

  /// `host`: a name, an IPv4 address, or an IPv6 address without brackets. Nothing is opened.
  HttpClient(std::string host, int port, std::size_t body_bytes_max = kBodyBytesMax)
      : host_(std::move(host)), port_(port), body_bytes_max_(body_bytes_max) {}
  ~HttpClient() { Close(); }
  HttpClient(HttpClient&& other) noexcept
      : host_(std::move(other.host_)),
        port_(other.port_),
        body_bytes_max_(other.body_bytes_max_),
        socket_(std::exchange(other.socket_, -1)) {}
  HttpClient& operator=(HttpClient&&) = delete;

  /// Send one request and read the answer. A body is sent as application/json. `timeout` bounds all
  /// of it but the look-up of a name, which takes what the system takes.
  ///
  /// kInvalidArgument: no host or port. kUnavailable: the name is not known, nobody listens, or
  /// there is no connection within `timeout` (nothing was executed). kAborted: the connection broke
  /// after the request had begun to be sent (it may have been executed). kDeadlineExceeded: no
  /// whole answer within `timeout` (likewise). kDataLoss: what came is not an answer, or one with
  /// more than 64 KiB of headers or body_bytes_max of body. The connection is closed after each of
  /// these. The message says why, not whom. A kept connection that the server has closed meanwhile
  /// is opened anew, once, before anything is sent on it.
  absl::StatusOr<HttpAnswer> Send(const std::string& method, const std::string& target,
                                  const std::string& body, const HttpHeaders& headers,
                                  absl::Duration timeout);

  absl::StatusOr<HttpAnswer> Get(const std::string& target,
                                 absl::Duration timeout = absl::Seconds(10)) {
    return Send("GET", target, "", {}, timeout);
  }
  absl::StatusOr<HttpAnswer> Post(const std::string& target, const std::string& body,
                                  const HttpHeaders& headers = {},
                                  absl::Duration timeout = absl::Seconds(10)) {
    return Send("POST", target, body, headers, timeout);
  }

  void Close();

 private:
  std::string host_;
  int port_;
  std::size_t body_bytes_max_;
  int socket_ = -1;
};

}  // namespace aimem::clients
