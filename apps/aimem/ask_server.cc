#include "apps/aimem/ask_server.h"

#include <optional>
#include <string_view>
#include <utility>
// The library forgets this one.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"

namespace aimem::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kAnswerBytesMax = 64u << 20;

struct Place {
  std::string host;
  std::string port;
};

std::optional<Place> ParseUrl(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return std::nullopt;
  url.remove_prefix(kScheme.size());
  if (url.ends_with('/')) url.remove_suffix(1);
  const std::size_t colon = url.rfind(':');
  if (colon == std::string_view::npos || url.find('/') != std::string_view::npos) {
    return std::nullopt;
  }
  std::string_view host = url.substr(0, colon);
  const std::string_view port = url.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty() || port.empty() ||
      port.find_first_not_of("0123456789") != std::string_view::npos) {
    return std::nullopt;
  }
  return Place{std::string(host), std::string(port)};
}

/// One exchange. Beast has timeouts for asynchronous operations only.
class Exchange {
 public:
  explicit Exchange(absl::Duration timeout) : stream_(io_) {
    stream_.expires_after(absl::ToChronoMilliseconds(timeout));
  }

  error_code Connect(const Place& place) {
    error_code error;
    const auto found = tcp::resolver(io_).resolve(place.host, place.port, error);
    if (error) return error;
    stream_.async_connect(found, [&](const error_code& ended, const auto&) { error = ended; });
    Run();
    return error;
  }

  error_code Get(const Place& place, const std::string& target, const std::string& api_key) {
    http::request<http::empty_body> request(http::verb::get, target, 11);
    request.set(http::field::host, place.host + ":" + place.port);
    request.set(http::field::connection, "close");
    if (!api_key.empty()) request.set("X-API-Key", api_key);
    error_code error;
    http::async_write(stream_, request, [&](const error_code& ended, auto) { error = ended; });
    Run();
    if (error) return error;
    answer_.body_limit(kAnswerBytesMax);
    http::async_read(stream_, buffer_, answer_,
                     [&](const error_code& ended, auto) { error = ended; });
    Run();
    return error;
  }

  [[nodiscard]] int status() const { return static_cast<int>(answer_.get().result_int()); }
  [[nodiscard]] const std::string& body() const { return answer_.get().body(); }

 private:
  void Run() {
    io_.restart();
    io_.run();
  }

  asio::io_context io_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  http::response_parser<http::string_body> answer_;
};

absl::StatusCode CodeOf(int status) {
  switch (status) {
    case 401:
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
      return absl::StatusCode::kNotFound;
    case 429:
    case 503:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::Status Failed(const Server& server, const error_code& error) {
  if (error == beast::error::timeout) {
    return MakeStatus(absl::StatusCode::kDeadlineExceeded,
                      absl::StrFormat("the server at %s does not answer", server.url));
  }
  return MakeStatus(absl::StatusCode::kUnavailable,
                    absl::StrFormat("the server at %s cannot be asked: %s", server.url,
                                    std::string(error.message())));
}

}  // namespace

absl::StatusOr<std::string> AskServer(const Server& server, const std::string& target,
                                      absl::Duration timeout) {
  const std::optional<Place> place = ParseUrl(server.url);
  if (!place) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      absl::StrFormat("'%s' is not the URL of a server: it must be "
                                      "http://HOST:PORT",
                                      server.url));
  }
  Exchange exchange(timeout);
  if (const error_code error = exchange.Connect(*place)) return Failed(server, error);
  if (const error_code error = exchange.Get(*place, target, server.api_key)) {
    return Failed(server, error);
  }
  if (exchange.status() == 200) return exchange.body();
  return MakeStatus(CodeOf(exchange.status()),
                    absl::StrFormat("the server at %s answers %d: %s", server.url,
                                    exchange.status(), exchange.body()));
}

}  // namespace aimem::cli
