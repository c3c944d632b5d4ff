// HttpClient: one keep-alive connection to an HTTP/1.1 server on this machine; for tests, the
// demonstration and measurements.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace aimem::support {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< Names in lower case.
  std::string body;
};

/// Not thread-safe; movable. Connects at the first request, and again after a failure.
class HttpClient {
 public:
  /// `host`: an IPv4 address. Nothing is opened.
  HttpClient(std::string host, int port) : host_(std::move(host)), port_(port) {}
  ~HttpClient();
  HttpClient(HttpClient&& other) noexcept;
  HttpClient& operator=(HttpClient&&) = delete;

  /// Send one request and read the answer. A body is sent as application/json.
  ///
  /// kUnavailable: nobody listens, or the connection was refused (nothing was executed).
  /// kAborted: the connection broke after the request had begun to be sent (it may have been
  /// executed). kDeadlineExceeded: no whole answer within `timeout` (likewise). kDataLoss: what
  /// came is not an answer. The connection is closed after each of these. A kept connection that
  /// the server has closed meanwhile is opened anew, once, before anything is sent on it.
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
  int socket_ = -1;
  std::string read_;  // beyond the last answer
};

}  // namespace aimem::support
