#include "lib/store/index_check.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/status.h"
#include "lib/changes/meta.h"
#include "lib/changes/position.h"
#include "lib/index/compare.h"
#include "lib/index/follower.h"
#include "lib/index/kept.h"
#include "lib/text/analysis.h"

namespace aimem::store {
namespace {

constexpr std::size_t kNamesMax = 10;
constexpr char kAdvice[] =
    "questions may miss memories until it is made anew: run `aimem doctor --reindex`";

absl::StatusOr<std::optional<index::Kept>> Load(Transaction& transaction, std::string_view place) {
  const absl::StatusOr<index::ManifestPlace> at = index::DecodeManifestPlace(place);
  if (absl::IsUnimplemented(at.status())) return std::nullopt;
  AIMEM_RETURN_IF_ERROR(at.status());
  return index::LoadKept(transaction, *at, index::Reading(text::kDefaultLanguage), {});
}

/// Of an index that can be read, at `position`.
absl::StatusOr<std::vector<std::string>> Compare(Transaction& transaction, index::Kept kept,
                                                 const index::Position& position) {
  std::vector<std::string> problems;
  index::Follower follower;
  follower.Adopt(std::move(kept.view));
  AIMEM_ASSIGN_OR_RETURN(const index::Follower::Covered covered,
                         follower.CatchUp(transaction, position));
  if (!covered.view) return problems;  // the log does not lead on from it, so nobody uses it
  AIMEM_ASSIGN_OR_RETURN(std::vector<std::string> names,
                         index::FindDifferences(transaction, *covered.view));
  for (const std::string& name : names) {
    if (problems.size() == kNamesMax) break;
    problems.push_back(absl::StrCat("the index of namespace '", name,
                                    "' does not say what its rows say; ", kAdvice));
  }
  return problems;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> CheckKeptIndex(Transaction& transaction) {
  std::vector<std::string> problems;
  AIMEM_ASSIGN_OR_RETURN(const ReadResult read, transaction.Read({.heads = true, .meta = true}));
  const auto place = read.meta.find(changes::kMetaIndex);
  if (place == read.meta.end() || !index::SaysWhere(place->second)) return problems;
  absl::StatusOr<std::optional<index::Kept>> kept = Load(transaction, place->second);
  if (absl::IsDataLoss(kept.status())) {
    problems.push_back(absl::StrCat("the index that is kept beside the rows is damaged (",
                                    kept.status().message(),
                                    "): no question uses it; the next process that is asked twice "
                                    "makes it anew, or run `aimem doctor --reindex`"));
    return problems;
  }
  AIMEM_RETURN_IF_ERROR(kept.status());
  AIMEM_ASSIGN_OR_RETURN(const std::optional<index::Position> position, changes::PositionOf(read));
  if (!*kept || !position) return problems;
  return Compare(transaction, **std::move(kept), *position);
}

}  // namespace aimem::store
