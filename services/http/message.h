// Request and response as handlers see them: plain values without a library's types.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"

namespace aimem::http {

struct Request {
  std::string method;  ///< "GET"
  std::string path;    ///< As it came, percent-encoded, without the query.
  std::string query;   ///< Likewise; without the '?'.
  std::string body;

  // -- Headers that mean something here; empty: absent -------------------------------------------
  std::string content_type;
  std::string agent_id;    ///< X-Agent-Id
  std::string api_key;     ///< X-API-Key
  std::string request_id;  ///< Idempotency-Key
  std::string prefer;
};

inline constexpr char kJson[] = "application/json";
inline constexpr char kText[] = "text/plain; charset=utf-8";

struct Response {
  int status = 200;
  std::string content_type;  ///< Empty: none, as for an empty body.
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// Answers one request: called once, on any thread.
using Respond = absl::AnyInvocable<void(Response) &&>;

/// Where handlers run what they must not do on the thread that calls them.
class Threads : public std::enable_shared_from_this<Threads> {
 public:
  using Work = absl::AnyInvocable<void() &&>;

  virtual ~Threads() = default;
  /// On the network thread, soon. Work that is posted together costs one wake-up.
  virtual void Post(Work work) = 0;
  /// The same, in a while. Not after the server's end.
  virtual void PostLater(absl::Duration delay, Work work) = 0;
  /// On one of the threads that may block on the store.
  virtual void Read(Work work) = 0;
  /// The same, in a while.
  virtual void ReadLater(absl::Duration delay, Work work) = 0;
};

}  // namespace aimem::http
