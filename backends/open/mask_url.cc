// MaskUrl: whatever in a URL may be a password becomes "***".
#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

#include "aimem/open.h"

namespace aimem {
namespace {

constexpr std::string_view kMask = "***";

bool IsSecretName(std::string_view name) {
  constexpr std::string_view kNames[] = {"password", "passwd", "sslpassword", "passfile"};
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  return std::find(std::begin(kNames), std::end(kNames), lower) != std::end(kNames);
}

/// user:password@host. A password may hold an '@' that was not escaped, so the last one ends it.
std::string MaskAuthority(std::string_view authority) {
  const std::size_t at = authority.rfind('@');
  if (at == std::string_view::npos) return std::string(authority);
  const std::size_t colon = authority.find(':');
  if (colon == std::string_view::npos || colon > at) return std::string(authority);
  return std::string(authority.substr(0, colon + 1)).append(kMask).append(authority.substr(at));
}

std::string MaskQuery(std::string_view query) {
  std::string masked;
  while (true) {
    const std::size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    const std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos && IsSecretName(pair.substr(0, equals))) {
      masked.append(pair.substr(0, equals + 1)).append(kMask);
    } else {
      masked.append(pair);
    }
    if (end == std::string_view::npos) return masked;
    masked.push_back('&');
    query.remove_prefix(end + 1);
  }
}

}  // namespace

std::string MaskUrl(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::string(url);
  std::string masked(url.substr(0, scheme + 3));
  std::string_view rest = url.substr(scheme + 3);
  // The authority ends at the last '@' even if the password holds '/' or '?': libpq would refuse
  // such a URL, but its error must not show the password.
  std::size_t path = rest.find_first_of("/?#");
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos &&
                                              path != std::string_view::npos && at > path &&
                                              rest.substr(0, path).find(':') != rest.npos) {
    path = rest.find_first_of("/?#", at);
  }
  masked.append(MaskAuthority(rest.substr(0, path)));
  if (path == std::string_view::npos) return masked;
  rest.remove_prefix(path);
  const std::size_t question = rest.find('?');
  if (question == std::string_view::npos) return masked.append(rest);
  masked.append(rest.substr(0, question + 1));
  return masked.append(MaskQuery(rest.substr(question + 1)));
}

}  // namespace aimem
