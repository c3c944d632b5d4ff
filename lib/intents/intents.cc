#include "aimem/intents.h"

#include <string>
#include <utility>

namespace aimem {

SearchRequest Recall(std::string_view text) {
  SearchRequest request;
  request.query = text;
  request.match = Match::kAny;
  request.with_ancestors = true;
  request.touch = true;
  return request;
}

WriteBatch Resolve(std::string_view winner, std::string_view loser) {
  WriteBatch batch;
  batch.items.emplace_back(AddLink{
      .source_id = std::string(winner), .target_id = std::string(loser), .relation = "supersedes"});
  batch.items.emplace_back(PatchMemory{.id = std::string(loser), .priority = 1, .confidence = 0.1});
  batch.items.emplace_back(TouchMemory{.id = std::string(winner)});
  return batch;
}

}  // namespace aimem
