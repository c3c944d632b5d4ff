#include "campaign/member_api.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "services/wire/answers.h"
#include "services/wire/requests.h"

namespace aimem::campaign {
namespace {

using clients::HttpAnswer;

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

}  // namespace

absl::StatusOr<std::vector<StoredRow>> ParseRows(const std::string& body) {
  const absl::StatusOr<std::vector<Memory>> memories = wire::ReadMemories(body);
  if (!memories.ok()) return OtherShape("a list of memories", body);
  std::vector<StoredRow> rows;
  for (const Memory& memory : *memories) {
    rows.push_back({.namespace_ = memory.namespace_,
                    .title = memory.title,
                    .id = memory.id,
                    .content = memory.content});
  }
  return rows;
}

absl::StatusOr<FederationView> ParseFederation(const std::string& body) {
  const absl::StatusOr<StoreInfo> info = wire::ReadFederation(body);
  if (!info.ok() || !info->federation) return OtherShape("a view of a federation", body);
  const FederationInfo& federation = *info->federation;
  return FederationView{.needed = federation.needed,
                        .voters = federation.voters,
                        .reachable = federation.reachable,
                        .stragglers_finished = federation.stragglers_finished,
                        .stragglers_failed = federation.stragglers_failed};
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
  wire::RecallBody request;
  request.context = std::string(question);
  request.limit = limit;
  if (!namespace_.empty()) request.namespace_ = std::string(namespace_);
  AIMEM_ASSIGN_OR_RETURN(
      const std::string body,
      BodyOf(http_.Post("/api/v1/recall", wire::RecallBodyJson(request)), "recall"));
  const absl::StatusOr<SearchResult> found = wire::ReadHits(body);
  if (!found.ok()) return OtherShape("an answer of recall", body);
  std::vector<Recalled> hits;
  for (const SearchHit& hit : found->hits) {
    hits.push_back({.title = hit.memory.title,
                    .namespace_ = hit.memory.namespace_,
                    .content = hit.memory.content,
                    .score = hit.score});
  }
  return hits;
}

absl::StatusOr<FederationView> MemberApi::Federation() {
  AIMEM_ASSIGN_OR_RETURN(const std::string body,
                         BodyOf(http_.Get("/api/v1/federation"), "the view of the federation"));
  return ParseFederation(body);
}

}  // namespace aimem::campaign
