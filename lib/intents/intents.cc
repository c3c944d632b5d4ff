#include "aimem/intents.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "aimem/limits.h"
#include "lib/base/status.h"

namespace aimem {

SearchRequest Recall(std::string_view text) {
  SearchRequest request;
  request.query = text;
  request.match = Match::kAny;
  request.with_ancestors = true;
  request.touch = true;
  return request;
}

absl::StatusOr<std::vector<Memory>> FindSimilar(Store& store, const Memory& memory,
                                                const ReadBounds& bounds) {
  SearchRequest request;
  request.query = memory.title;
  request.filter.namespace_ = memory.namespace_;
  request.limit = limits::kSimilar + 1;  // it finds `memory`, too
  request.bounds = bounds;
  AIMEM_ASSIGN_OR_RETURN(SearchResult result, store.Search(request));
  std::vector<Memory> similar;
  for (SearchHit& hit : result.hits) {
    if (hit.memory.id != memory.id) similar.push_back(std::move(hit.memory));
  }
  if (similar.size() > limits::kSimilar) similar.pop_back();
  return similar;
}

absl::StatusOr<std::vector<NamespaceCount>> CountArchive(Store& store, const ReadBounds& bounds) {
  std::map<std::string, std::int64_t> counts;
  ListRequest request;
  request.kind = ListKind::kArchived;
  request.limit = 10'000;
  request.bounds = bounds;
  do {
    AIMEM_ASSIGN_OR_RETURN(ListResult page, store.List(request));
    for (const ArchivedMemory& row : page.archived) ++counts[row.memory.namespace_];
    request.page_token = std::move(page.next_page_token);
  } while (!request.page_token.empty());
  std::vector<NamespaceCount> by_namespace;
  for (const auto& [name, count] : counts) by_namespace.push_back({name, count});
  std::stable_sort(
      by_namespace.begin(), by_namespace.end(),
      [](const NamespaceCount& a, const NamespaceCount& b) { return a.count > b.count; });
  return by_namespace;
}

WriteBatch Resolve(std::string_view winner, std::string_view loser) {
  WriteBatch batch;
  batch.items.emplace_back(AddLink{
      .source_id = std::string(winner), .target_id = std::string(loser), .relation = "supersedes"});
  batch.items.emplace_back(PatchMemory{.id = std::string(loser), .priority = 1, .confidence = 0.1});
  batch.items.emplace_back(TouchMemory{.id = std::string(winner)});
  return batch;
}

absl::StatusOr<PendingAction> GetPending(Store& store, std::string id, const ReadBounds& bounds) {
  ListRequest request;
  request.kind = ListKind::kPending;
  request.of_id = std::move(id);
  request.limit = 1;
  request.bounds = bounds;
  AIMEM_ASSIGN_OR_RETURN(ListResult result, store.List(request));
  if (!result.pending.empty()) return std::move(result.pending.front());
  return absl::NotFoundError("pending action not found: " + request.of_id);
}

}  // namespace aimem
