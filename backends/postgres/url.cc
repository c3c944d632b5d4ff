#include "backends/postgres/url.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "backends/postgres/errors.h"
#include "lib/base/status.h"
#include "libpq-fe.h"

namespace aimem::postgres {
namespace {

constexpr std::string_view kMask = "****";

// A part of a URL, [begin, end).
struct Part {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// The passwords of a URL, in order. Of several '@' the last counts: a password that should have
// been percent-encoded is masked as a whole.
std::vector<Part> PasswordsOf(std::string_view url) {
  std::vector<Part> parts;
  const std::size_t scheme = url.find("://");
  const std::size_t start = scheme == std::string_view::npos ? 0 : scheme + 3;
  const std::size_t query = std::min(url.find('?', start), url.size());
  const std::size_t at = url.substr(0, query).rfind('@');
  if (at != std::string_view::npos && at >= start) {
    const std::size_t colon = url.find(':', start);
    if (colon < at) parts.push_back({colon + 1, at});
  }
  for (std::size_t begin = query; begin < url.size();) {
    const std::size_t end = std::min(url.find('&', begin + 1), url.size());
    const std::string_view pair = url.substr(begin + 1, end - begin - 1);
    const std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals).ends_with("password")) {
      parts.push_back({begin + 1 + equals + 1, end});
    }
    begin = end;
  }
  return parts;
}

// libpq ends the user's part at the first '@' or '/': what follows would be taken for a host, and
// named as such in its messages.
bool HasUnencodedPassword(std::string_view url) {
  const std::size_t start = url.find("://") + 3;
  const std::size_t query = std::min(url.find('?', start), url.size());
  const std::string_view body = url.substr(start, query - start);
  const std::size_t first = body.find('@');
  if (first == std::string_view::npos) return false;
  return first != body.rfind('@') || body.find('/') < first;
}

std::string Quoted(std::string_view value) {
  return absl::StrCat("'", absl::StrReplaceAll(ToAbsl(value), {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

std::map<std::string, std::string> Defaults(const PostgresOptions& options) {
  const std::int64_t seconds =
      absl::ToInt64Seconds(absl::Ceil(options.connect_timeout, absl::Seconds(1)));
  return {
      {"connect_timeout", absl::StrFormat("%d", seconds)},
      {"fallback_application_name", "aimem"},
      // A machine that is gone is noticed within half a minute.
      {"keepalives_count", "3"},
      {"keepalives_idle", "15"},
      {"keepalives_interval", "5"},
      {"target_session_attrs", options.read_only ? "any" : "primary"},
      {"tcp_user_timeout", "30000"},
  };
}

// What libpq makes of it. A text that is no number it refuses itself.
absl::Duration ConnectTimeout(const std::string& value) {
  int seconds = 0;
  if (!absl::SimpleAtoi(value, &seconds) || seconds <= 0) return absl::ZeroDuration();
  return absl::Seconds(std::max(seconds, 2));
}

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

}  // namespace

std::string ConnectionInfo::Scrub(std::string_view text) const {
  std::string clean(text);
  for (const std::string& secret : secrets) {
    clean = absl::StrReplaceAll(clean, {{secret, ToAbsl(kMask)}});
  }
  clean = absl::StrReplaceAll(clean, {{"\r", ""}, {"\n\t", " "}, {"\n", " "}, {"\t", " "}});
  while (clean.ends_with(' ')) clean.pop_back();
  return clean;
}

absl::Status ConnectionInfo::ConnectError(std::string_view text) const {
  // libpq says that it has waited, and not how long.
  const std::string waited =
      absl::StrFormat("no answer for %s while connecting", absl::FormatDuration(connect_timeout));
  return MakeStatus(
      CodeOfConnectError(text),
      absl::StrFormat("PostgreSQL: %s",
                      absl::StrReplaceAll(Scrub(text), {{"timeout expired", waited}})));
}

std::string MaskUrl(std::string_view url) {
  std::string masked;
  std::size_t copied = 0;
  for (const Part& part : PasswordsOf(url)) {
    masked.append(url.substr(copied, part.begin - copied)).append(kMask);
    copied = part.end;
  }
  return masked.append(url.substr(copied));
}

absl::StatusOr<ConnectionInfo> ParseUrl(const std::string& url, const PostgresOptions& options) {
  ConnectionInfo info;
  info.masked_url = MaskUrl(url);
  if (!url.starts_with("postgres://") && !url.starts_with("postgresql://")) {
    return absl::InvalidArgumentError(
        absl::StrFormat("'%s' is not a PostgreSQL URL: expected postgres://user@host:port/database",
                        info.masked_url));
  }
  if (url.find('\0') != std::string::npos || HasUnencodedPassword(url)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "'%s': a '/' or '@' in a user name, password or database must be written %%2F or %%40",
        info.masked_url));
  }
  for (const Part& part : PasswordsOf(url)) {
    info.secrets.push_back(url.substr(part.begin, part.end - part.begin));
  }

  char* reason = nullptr;
  const std::unique_ptr<PQconninfoOption, FreeOptions> parsed(
      PQconninfoParse(url.c_str(), &reason));
  if (parsed == nullptr) {
    const std::string text =
        absl::StrReplaceAll(reason == nullptr ? "out of memory" : reason, {{url, info.masked_url}});
    PQfreemem(reason);
    std::erase(info.secrets, "");
    return absl::InvalidArgumentError(
        absl::StrFormat("'%s' is not a PostgreSQL URL: %s", info.masked_url, info.Scrub(text)));
  }

  std::map<std::string, std::string> values = Defaults(options);
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    values[option->keyword] = option->val;
    if (std::string_view(option->keyword).ends_with("password")) {
      info.secrets.push_back(option->val);
    }
  }
  values["client_encoding"] = "UTF8";
  info.connect_timeout = ConnectTimeout(values["connect_timeout"]);
  for (const auto& [keyword, value] : values) {
    info.conninfo.append(keyword).append("=").append(Quoted(value)).append(" ");
  }
  // A password that is also the name of the user or database is no secret that hiding it in
  // messages would keep.
  std::erase_if(info.secrets, [&values](const std::string& secret) {
    return secret.empty() || secret == values["user"] || secret == values["dbname"];
  });
  return info;
}

}  // namespace aimem::postgres
