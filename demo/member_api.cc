#include "demo/member_api.h"

#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"

namespace aimem::demo {
namespace {

using nlohmann::json;
using support::HttpAnswer;

constexpr std::size_t kPage = 200;  // the most that a list gives

absl::Status OtherShape(std::string_view what, const std::string& body) {
  return absl::DataLossError(absl::StrFormat("not %s: %s", what, body.substr(0, 200)));
}

absl::StatusOr<std::string> BodyOf(absl::StatusOr<HttpAnswer> answer, std::string_view what) {
  if (!answer.ok()) return Annotate(answer.status(), std::string(what));
  if (answer->status == 200) return std::move(answer->body);
  return absl::UnavailableError(
      absl::StrFormat("%s: %d %s", what, answer->status, answer->body.substr(0, 200)));
}

bool HasText(const json& object, const char* key) {
  return object.contains(key) && object[key].is_string();
}

// The objects under "memories", each with the texts of a memory.
std::optional<json> MemoriesOf(const std::string& body) {
  json answer = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.contains("memories") || !answer["memories"].is_array()) {
    return std::nullopt;
  }
  for (const json& memory : answer["memories"]) {
    for (const char* key : {"id", "namespace", "title", "content"}) {
      if (!memory.is_object() || !HasText(memory, key)) return std::nullopt;
    }
  }
  return std::move(answer["memories"]);
}

}  // namespace

absl::StatusOr<std::vector<StoredRow>> ParseRows(const std::string& body) {
  const std::optional<json> memories = MemoriesOf(body);
  if (!memories) return OtherShape("a list of memories", body);
  std::vector<StoredRow> rows;
  for (const json& memory : *memories) {
    rows.push_back({.namespace_ = memory["namespace"].get<std::string>(),
                    .title = memory["title"].get<std::string>(),
                    .id = memory["id"].get<std::string>(),
                    .content = memory["content"].get<std::string>()});
  }
  return rows;
}

absl::StatusOr<FederationView> ParseFederation(const std::string& body) {
  const json answer = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.contains("federation")) {
    return OtherShape("a view of a federation", body);
  }
  const json& federation = answer["federation"];
  const auto number = [&](const char* key) {
    const bool there =
        federation.is_object() && federation.contains(key) && federation[key].is_number_integer();
    return there ? std::optional(federation[key].get<std::int64_t>()) : std::nullopt;
  };
  const auto needed = number("needed");
  const auto voters = number("voters");
  const auto reachable = number("reachable");
  const auto finished = number("stragglers_finished");
  const auto failed = number("stragglers_failed");
  if (!needed || !voters || !reachable || !finished || !failed) {
    return OtherShape("a view of a federation", body);
  }
  return FederationView{.needed = static_cast<int>(*needed),
                        .voters = static_cast<int>(*voters),
                        .reachable = static_cast<int>(*reachable),
                        .stragglers_finished = *finished,
                        .stragglers_failed = *failed};
}

absl::StatusOr<std::vector<StoredRow>> MemberApi::ListAll() {
  std::vector<StoredRow> rows;
  while (true) {
    AIMEM_ASSIGN_OR_RETURN(const std::string body,
                           BodyOf(http_.Get(absl::StrFormat("/api/v1/memories?limit=%d&offset=%d",
                                                            kPage, rows.size())),
                                  "listing memories"));
    AIMEM_ASSIGN_OR_RETURN(std::vector<StoredRow> page, ParseRows(body));
    const bool last = page.size() < kPage;
    rows.insert(rows.end(), std::make_move_iterator(page.begin()),
                std::make_move_iterator(page.end()));
    if (last) return rows;
  }
}

absl::StatusOr<std::vector<Recalled>> MemberApi::Recall(std::string_view question,
                                                        std::string_view namespace_, int limit) {
  json request = {{"context", std::string(question)}, {"limit", limit}};
  if (!namespace_.empty()) request["namespace"] = std::string(namespace_);
  AIMEM_ASSIGN_OR_RETURN(const std::string body,
                         BodyOf(http_.Post("/api/v1/recall", request.dump()), "recall"));
  const std::optional<json> memories = MemoriesOf(body);
  if (!memories) return OtherShape("an answer of recall", body);
  std::vector<Recalled> hits;
  for (const json& memory : *memories) {
    if (!memory.contains("score") || !memory["score"].is_number()) {
      return OtherShape("an answer of recall", body);
    }
    hits.push_back({.title = memory["title"].get<std::string>(),
                    .namespace_ = memory["namespace"].get<std::string>(),
                    .content = memory["content"].get<std::string>(),
                    .score = memory["score"].get<double>()});
  }
  return hits;
}

absl::StatusOr<FederationView> MemberApi::Federation() {
  AIMEM_ASSIGN_OR_RETURN(const std::string body,
                         BodyOf(http_.Get("/api/v1/federation"), "the view of the federation"));
  return ParseFederation(body);
}

}  // namespace aimem::demo
