#include "apps/aimem/ask_server.h"

#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "clients/http/http_client.h"
#include "lib/base/status.h"

namespace aimem::cli {
namespace {

using clients::HttpAnswer;
using clients::HttpClient;

constexpr std::size_t kAnswerBytesMax = 64u << 20;

struct Place {
  std::string host;
  int port = 0;
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
  const std::string_view digits = url.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  Place place{.host = std::string(host), .port = 0};
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), place.port);
  if (host.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    return std::nullopt;
  }
  if (place.port < 1 || place.port > 65'535) return std::nullopt;
  return place;
}

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

absl::Status Failed(const Server& server, const absl::Status& status) {
  if (absl::IsDeadlineExceeded(status)) {
    return MakeStatus(absl::StatusCode::kDeadlineExceeded,
                      absl::StrFormat("the server at %s does not answer", server.url));
  }
  return MakeStatus(
      absl::StatusCode::kUnavailable,
      absl::StrFormat("the server at %s cannot be asked: %s", server.url, ToStd(status.message())));
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
  clients::HttpHeaders headers;
  if (!server.api_key.empty()) headers.emplace_back("X-API-Key", server.api_key);
  HttpClient client(place->host, place->port, kAnswerBytesMax);
  absl::StatusOr<HttpAnswer> answer = client.Send("GET", target, "", headers, timeout);
  if (!answer.ok()) return Failed(server, answer.status());
  if (answer->status == 200) return std::move(answer->body);
  return MakeStatus(
      CodeOf(answer->status),
      absl::StrFormat("the server at %s answers %d: %s", server.url, answer->status, answer->body));
}

}  // namespace aimem::cli
