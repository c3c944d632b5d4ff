// Request and response as handlers see them: plain values without a library's types.
#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"

namespace aimem::web {

/// Name and value, in their order.
using Headers = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string method;  ///< "GET"
  std::string path;    ///< As it came, percent-encoded, without the query.
  std::string query;   ///< Likewise; without the '?'.
  Headers headers;
  std::string body;
  /// Is stopped when its client has hung up or the server's grace is over: whoever only reads for
  /// the answer may end.
  std::stop_token stop;

  /// The first header of that name, in whatever case; empty: there is none. Points into this.
  [[nodiscard]] std::string_view Header(std::string_view name) const;
};

inline constexpr char kJson[] = "application/json";
inline constexpr char kText[] = "text/plain; charset=utf-8";

struct Response {
  int status = 200;
  std::string content_type;  ///< Empty: none, as for an empty body.
  std::string body;
  Headers headers;
};

Response JsonAnswer(int status, std::string body);
Response TextAnswer(int status, std::string text);

/// Answers one request: called once, on any thread.
using Respond = absl::AnyInvocable<void(Response) &&>;

}  // namespace aimem::web
