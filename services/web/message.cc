#include "services/web/message.h"

#include "absl/strings/match.h"
#include "lib/base/status.h"

namespace aimem::web {

std::string_view Request::Header(std::string_view name) const {
  for (const auto& [known, value] : headers) {
    if (absl::EqualsIgnoreCase(known, ToAbsl(name))) return value;
  }
  return "";
}

Response JsonAnswer(int status, std::string body) {
  return Response{.status = status, .content_type = kJson, .body = std::move(body), .headers = {}};
}

Response TextAnswer(int status, std::string text) {
  return Response{.status = status, .content_type = kText, .body = std::move(text), .headers = {}};
}

}  // namespace aimem::web
