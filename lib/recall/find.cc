#include "lib/recall/find.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/errors.h"
#include "aimem/limits.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "lib/recall/filter.h"
#include "lib/recall/indexed.h"
#include "lib/recall/links.h"
#include "lib/recall/scan.h"
#include "lib/text/analysis.h"

namespace aimem::recall {
namespace {

using model::MemoryView;
using model::Part;
using model::Phase;

// How many of the ids that a prefix could mean are named in the error.
constexpr std::size_t kAmbiguousShown = kErrorIds;
// How many rows are looked at for a prefix: a writer does so while others wait.
constexpr std::size_t kPrefixRows = 2'000;
// A row that is read by id costs so many times what one of a scan does, or somewhat less.
constexpr std::int64_t kScannedMeanwhile = 4;

absl::Status NotFound(const std::string& id) {
  return WithDetail(absl::NotFoundError(absl::StrFormat("not found: %s", id)),
                    {.field = "id", .value = id});
}

absl::Status Ambiguous(const std::string& prefix, std::string_view how,
                       std::vector<std::string> ids) {
  std::string message = absl::StrFormat("ambiguous ID prefix '%s': %s", prefix, how);
  for (const std::string& id : ids) message.append("\n").append(id);
  return WithDetail(absl::InvalidArgumentError(message),
                    {.field = "id", .value = prefix, .ids = std::move(ids)});
}

using Wanted = absl::FunctionRef<bool(const MemoryView&)>;

// What an id turned out to mean; `make` builds it while the row is at hand.
template <typename T>
using Make = absl::FunctionRef<T(const std::string& id, std::span<const Part>, const MemoryView&)>;

template <typename T>
absl::StatusOr<T> ResolvePrefix(Transaction& transaction, const std::string& prefix, Wanted wanted,
                                Make<T> make) {
  std::optional<T> found;
  std::size_t matches = 0;
  std::vector<std::string> shown;
  model::Parts parts;
  ScanRequest request;
  request.kind = Kind::kMemory;
  request.prefix = prefix;
  for (std::size_t looked_at = 0;;) {
    AIMEM_ASSIGN_OR_RETURN(std::vector<EntityRow> rows, transaction.Scan(request));
    if (rows.empty()) break;
    looked_at += rows.size();
    for (const EntityRow& row : rows) {
      if (!DecodeRow(row, parts).ok()) continue;
      const MemoryView view = model::ViewMemory(parts);
      if (!wanted(view)) continue;
      if (++matches == 1) found = make(row.key.key, parts, view);
      if (shown.size() < kAmbiguousShown) shown.push_back(row.key.key);
    }
    if (looked_at >= kPrefixRows) {
      return Ambiguous(prefix,
                       absl::StrFormat("it begins %d ids or more: give more of it", kPrefixRows),
                       std::move(shown));
    }
    request.after = std::move(rows.back().key);
  }
  if (matches == 0) return NotFound(prefix);
  if (matches > 1) {
    return Ambiguous(prefix, absl::StrFormat("%d matches", matches), std::move(shown));
  }
  return *std::move(found);
}

// The exact look-ups of all ids in one round trip, then a scan for each that was none.
template <typename T>
std::vector<absl::StatusOr<T>> Resolve(Transaction& transaction, std::span<const std::string> ids,
                                       Wanted wanted, Make<T> make) {
  std::vector<absl::StatusOr<T>> results;
  results.reserve(ids.size());
  ReadSet set;
  for (const std::string& id : ids) {
    absl::Status valid = model::CheckId(id);
    if (valid.ok()) {
      set.keys.push_back({Kind::kMemory, id});
      valid = absl::NotFoundError("not looked for yet");
    }
    results.emplace_back(std::move(valid));
  }
  if (set.keys.empty()) return results;
  const absl::StatusOr<ReadResult> read = transaction.Read(set);
  model::Parts parts;
  std::size_t asked = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (results[i].status().code() != absl::StatusCode::kNotFound) continue;
    if (!read.ok()) {
      results[i] = read.status();
      continue;
    }
    const std::optional<EntityRow>& row = read->rows[asked++];
    if (row) {
      if (const absl::Status status = DecodeRow(*row, parts); !status.ok()) {
        results[i] = status;
        continue;
      }
      const MemoryView view = model::ViewMemory(parts);
      if (wanted(view)) {
        results[i] = make(row->key.key, parts, view);
        continue;
      }
    }
    results[i] = ResolvePrefix<T>(transaction, ids[i], wanted, make);
  }
  return results;
}

void CountMemory(const MemoryView& view, std::int64_t now, StoreCounts& counts,
                 std::map<std::string, std::int64_t, std::less<>>& namespaces) {
  constexpr std::int64_t kHour = std::int64_t{3'600} * 1'000'000'000;
  if (view.phase == Phase::kArchived) ++counts.archived;
  if (view.phase == Phase::kGone || view.phase == Phase::kPurged) ++counts.gone;
  if (view.phase != Phase::kLive) return;
  ++counts.live;
  ++counts.by_tier[static_cast<std::size_t>(view.tier)];
  // Compared without adding to `now`, which may be the last representable time.
  if (view.expires_at && *view.expires_at > now && *view.expires_at - kHour <= now) {
    ++counts.expiring_soon;
  }
  const auto found = namespaces.find(view.namespace_);
  if (found != namespaces.end()) {
    ++found->second;
  } else {
    namespaces.emplace(view.namespace_, 1);
  }
}

}  // namespace

std::vector<absl::StatusOr<std::string>> ResolveIds(Transaction& transaction,
                                                    std::span<const std::string> ids,
                                                    Wanted wanted) {
  return Resolve<std::string>(
      transaction, ids, wanted,
      [](const std::string& id, std::span<const Part>, const MemoryView&) { return id; });
}

std::vector<absl::StatusOr<Memory>> Get(Transaction& transaction, std::span<const std::string> ids,
                                        const ReadOptions& options) {
  return Resolve<Memory>(
      transaction, ids,
      [&](const MemoryView& view) {
        return view.phase == Phase::kLive || (options.archived && view.phase == Phase::kArchived);
      },
      model::ToMemory);
}

absl::StatusOr<StoreCounts> Count(Transaction& transaction, absl::Time now) {
  StoreCounts counts;
  std::map<std::string, std::int64_t, std::less<>> namespaces;
  const std::int64_t nanoseconds = model::ToNanoseconds(now);
  model::Parts parts;
  AIMEM_RETURN_IF_ERROR(ForEachStored(transaction, ScanRequest(), [&](const EntityRow& row) {
    if (!DecodeRow(row, parts).ok()) {
      ++counts.unreadable;
    } else if (row.key.kind == Kind::kMemory) {
      CountMemory(model::ViewMemory(parts), nanoseconds, counts, namespaces);
    }
    return absl::OkStatus();
  }));
  for (const auto& [name, count] : namespaces) counts.namespaces.push_back({name, count});
  std::stable_sort(counts.namespaces.begin(), counts.namespaces.end(),
                   [](const auto& a, const auto& b) { return a.count > b.count; });
  AIMEM_RETURN_IF_ERROR(ForEachShownLink(transaction, {}, [&](const ShownLink&) {
    ++counts.links;
    return true;
  }));
  return counts;
}

ForgetMatcher::ForgetMatcher(const ForgetMemories& selector)
    : namespace_(selector.namespace_),
      tier_(selector.tier),
      has_pattern_(selector.pattern.has_value()) {
  if (!has_pattern_) return;
  // Words are not stemmed, and the language "none" needs no stemmer that could be missing.
  absl::StatusOr<text::Analyzer> analyzer = text::Analyzer::Create("none");
  if (!analyzer.ok()) return;
  analyzer_ = std::make_shared<text::Analyzer>(*std::move(analyzer));
  words_ = analyzer_->Words(*selector.pattern);
  std::sort(words_.begin(), words_.end());
  words_.erase(std::unique(words_.begin(), words_.end()), words_.end());
}

bool ForgetMatcher::Matches(const MemoryView& view) const {
  if (view.phase != Phase::kLive) return false;
  if (!namespace_ && !tier_ && !has_pattern_) return false;
  if (namespace_ && view.namespace_ != *namespace_) return false;
  if (tier_ && view.tier != *tier_) return false;
  if (!has_pattern_) return true;
  if (words_.empty()) return false;
  std::vector<bool> present(words_.size());
  std::size_t missing = words_.size();
  const auto look_in = [&](std::string_view text) {
    for (const std::string& word : analyzer_->Words(text)) {
      const auto found = std::lower_bound(words_.begin(), words_.end(), word);
      if (found == words_.end() || *found != word) continue;
      const auto index = static_cast<std::size_t>(found - words_.begin());
      missing -= present[index] ? 0 : 1;
      present[index] = true;
    }
    return missing == 0;
  };
  // NUL separates the tags, and words.
  return look_in(view.title) || look_in(view.content) || look_in(view.tags);
}

// Whoever has a word of the pattern as it is written has the term that this word makes, since words
// are told apart in the same way (and the stemmer sees them without accents, as English does).
Candidates CandidatesOf(const ForgetMemories& forget) {
  Candidates candidates;
  candidates.filter.namespace_ = forget.namespace_;
  candidates.filter.tier = forget.tier;
  if (!forget.pattern) return candidates;
  absl::StatusOr<text::Analyzer> analyzer = text::Analyzer::Create();
  if (!analyzer.ok()) return candidates;
  candidates.terms = analyzer->AnalyzeQuestion(*forget.pattern, text::QuestionKind::kSearch);
  if (candidates.terms.size() > limits::kRecallTerms) candidates.terms.resize(limits::kRecallTerms);
  return candidates;
}

absl::StatusOr<std::vector<std::string>> SelectIds(Transaction& transaction, Wanted wanted) {
  std::vector<std::string> ids;
  AIMEM_RETURN_IF_ERROR(ForEachRow(transaction, Kind::kMemory,
                                   [&](const EntityRow& row, std::span<const Part> parts) {
                                     if (wanted(model::ViewMemory(parts))) {
                                       ids.push_back(row.key.key);
                                     }
                                     return absl::OkStatus();
                                   }));
  return ids;
}

absl::StatusOr<std::vector<std::string>> SelectIds(Transaction& transaction, Wanted wanted,
                                                   const index::View& view,
                                                   const Candidates& candidates, absl::Time now) {
  AIMEM_ASSIGN_OR_RETURN(const MemoryFilter filter,
                         MemoryFilter::Create(candidates.filter,
                                              /*with_ancestors=*/false, now));
  const std::optional<absl::Time> ended_by = candidates.ended ? std::optional(now) : std::nullopt;
  const std::vector<std::string> asked = IndexedIds(view, filter, candidates.terms, ended_by);
  if (static_cast<std::int64_t>(asked.size()) > view.documents() / kScannedMeanwhile) {
    return SelectIds(transaction, wanted);
  }
  std::vector<std::string> ids;
  AIMEM_RETURN_IF_ERROR(ForEachMemory(
      transaction, asked, [&](const std::string& id, std::span<const Part>, const MemoryView& one) {
        if (wanted(one)) ids.push_back(id);
      }));
  return ids;
}

}  // namespace aimem::recall
