#include "services/web/url.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "lib/base/hash.h"
#include "lib/base/utf8.h"

namespace aimem::web {
namespace {

std::optional<std::string> Decoded(std::string_view text, bool plus_is_space) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '%') {
      const std::optional<std::string> byte = FromHex(text.substr(at + 1, 2));
      if (!byte || byte->size() != 1) return std::nullopt;
      decoded += *byte;
      at += 2;
    } else {
      decoded += plus_is_space && text[at] == '+' ? ' ' : text[at];
    }
  }
  if (!IsUtf8(decoded)) return std::nullopt;
  return decoded;
}

}  // namespace

std::optional<std::string> DecodeSegment(std::string_view segment) {
  return Decoded(segment, false);
}

Query::Query(std::string_view query) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    std::optional<std::string> key = Decoded(pair.substr(0, equals), true);
    std::optional<std::string> value =
        Decoded(pair.substr(std::min(equals + 1, pair.size())), true);
    if (!key || !value) {
      Refuse("a percent escape that is not one, or not UTF-8");
    } else if (!values_.emplace(*key, *std::move(value)).second) {
      Refuse(absl::StrFormat("duplicate field `%s`", *key));
    }
  }
}

void Query::Refuse(std::string_view why) {
  if (error_.empty()) error_ = absl::StrFormat("Failed to deserialize query string: %s", why);
}

std::optional<std::string> Query::Text(const std::string& key) {
  const auto found = values_.find(key);
  if (found == values_.end()) return std::nullopt;
  return found->second;
}

std::optional<std::int64_t> Query::Integer(const std::string& key) {
  const std::optional<std::string> text = Text(key);
  if (!text) return std::nullopt;
  std::int64_t value = 0;
  if (!absl::SimpleAtoi(*text, &value)) {
    Refuse(absl::StrFormat("%s: invalid digit found in string", key));
    return std::nullopt;
  }
  return value;
}

std::optional<bool> Query::Flag(const std::string& key) {
  const std::optional<std::string> text = Text(key);
  if (!text) return std::nullopt;
  if (*text == "true") return true;
  if (*text != "false") {
    Refuse(absl::StrFormat("%s: provided string was not `true` or `false`", key));
  }
  return false;
}

std::optional<std::int64_t> Query::Unsigned(const std::string& key) {
  const std::optional<std::int64_t> value = Integer(key);
  if (value && *value < 0) {
    Refuse(absl::StrFormat("%s: invalid digit found in string", key));
    return std::nullopt;
  }
  return value;
}

}  // namespace aimem::web
