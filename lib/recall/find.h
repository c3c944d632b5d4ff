// Questions about memories by id, counts, and which memories a change by filter is about.
//
// Every function of this room works on one snapshot (a Transaction) and keeps no state.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "aimem/requests.h"
#include "lib/index/view.h"
#include "lib/model/view.h"

namespace aimem::text {
class Analyzer;
}

namespace aimem::recall {

/// Resolve ids or unique prefixes to full ids of memories whose phase `wanted` accepts. Errors per
/// id: kNotFound "not found: {id}"; kInvalidArgument "ambiguous ID prefix '{p}': {n} matches"
/// followed by the first 20 ids, one per line, which DetailOf has too (no number if 2,000 ids or
/// more begin so: no more are looked at); kDataLoss if its row does not decode; CheckId's errors.
std::vector<absl::StatusOr<std::string>> ResolveIds(
    Transaction& transaction, std::span<const std::string> ids,
    absl::FunctionRef<bool(const model::MemoryView&)> wanted);

/// The same for whole memories.
std::vector<absl::StatusOr<Memory>> Get(Transaction& transaction, std::span<const std::string> ids,
                                        const ReadOptions& options);

/// Namespaces are counted over all live memories, expired ones included, as the total is.
absl::StatusOr<StoreCounts> Count(Transaction& transaction, absl::Time now);

/// What every memory that a selection wants is known to be, as far as an index knows it.
struct Candidates {
  Filter filter = {.expired = true};
  std::vector<std::string> terms = {};  ///< That it has, as they are in the index.
  bool ended = false;                   ///< Its end has come.
};

/// Whether a memory is live and one that `forget` selects. Both the selection and the execution
/// of a change by filter ask this. A selector without any condition matches nothing, and so does
/// a pattern without a word. One thread at a time, copies included.
class ForgetMatcher {
 public:
  explicit ForgetMatcher(const ForgetMemories& selector);
  [[nodiscard]] bool Matches(const model::MemoryView& view) const;

 private:
  std::optional<std::string> namespace_;
  std::optional<Tier> tier_;
  bool has_pattern_ = false;
  std::vector<std::string> words_;  // of the pattern: unstemmed, normalised
  std::shared_ptr<text::Analyzer> analyzer_;
};

/// What all are that a ForgetMatcher of `forget` matches.
Candidates CandidatesOf(const ForgetMemories& forget);

/// Ids of the memories for which `wanted` holds, in key order.
absl::StatusOr<std::vector<std::string>> SelectIds(
    Transaction& transaction, absl::FunctionRef<bool(const model::MemoryView&)> wanted);
/// The same, where all of these are `candidates` as of `now`. `view`: of exactly what `transaction`
/// shows; only rows of candidates are read, unless they are many.
absl::StatusOr<std::vector<std::string>> SelectIds(
    Transaction& transaction, absl::FunctionRef<bool(const model::MemoryView&)> wanted,
    const index::View& view, const Candidates& candidates, absl::Time now);

}  // namespace aimem::recall
