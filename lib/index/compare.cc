#include "lib/index/compare.h"

#include <bit>
#include <cstdint>
#include <map>
#include <string_view>

#include "absl/hash/hash.h"
#include "lib/base/status.h"
#include "lib/index/changed.h"
#include "lib/model/parts.h"

namespace aimem::index {
namespace {

/// For each namespace the sum of what its documents say, modulo 2^64: in whatever order they come.
using Sums = std::map<std::string, std::uint64_t>;

std::uint64_t HashOfText(std::string_view text) { return absl::HashOf(ToAbsl(text)); }

std::uint64_t HashOfUse(std::uint64_t id, std::uint64_t term, std::uint32_t count, bool speaker) {
  return absl::HashOf(id, term, count, speaker);
}

std::uint64_t HashOfHead(std::uint64_t id, std::string_view talk, const Features& features,
                         const Facts& facts, std::int64_t tokens) {
  return absl::HashOf(id, HashOfText(talk), static_cast<int>(features.tier), features.priority,
                      std::bit_cast<std::uint64_t>(features.confidence),
                      model::ToNanoseconds(features.created_at),
                      model::ToNanoseconds(features.updated_at), features.access_count,
                      features.length, features.time_words, static_cast<int>(facts.tier),
                      static_cast<int>(facts.scope), facts.expires_at, tokens);
}

void Add(const Document& document, Sums& sums) {
  std::uint64_t& sum = sums[document.namespace_];
  const std::uint64_t id = HashOfText(document.id);
  sum += HashOfHead(id, document.talk, document.features, document.facts, document.tokens);
  for (const Occurrence& term : document.terms) {
    sum += HashOfUse(id, HashOfText(term.term), term.count, term.speaker);
  }
}

class LayerSums {
 public:
  LayerSums(const Layer& layer, Sums& sums)
      : layer_(layer), segment_(*layer.segment), documents_(segment_.size()) {
    std::size_t place = 0;
    for (const NamespacePart& part : segment_.namespaces()) {
      sums_.push_back(&sums[part.name]);
      for (Ordinal i = part.documents.begin; i < part.documents.end; ++i) {
        documents_[i] = {.id = HashOfText(segment_.Id(i)), .place = place};
      }
      ++place;
    }
  }

  void AddHeads() {
    for (Ordinal i = 0; i < segment_.size(); ++i) {
      if (!layer_.IsLive(i)) continue;
      const auto talk = segment_.TalkOf(i);
      Of(i) += HashOfHead(documents_[i].id, talk ? talk->stream : std::string_view(),
                          segment_.FeaturesOf(i), segment_.FactsOf(i), segment_.TokensOf(i));
    }
  }

  void AddTerms() {
    for (std::size_t term = 0; term < segment_.terms(); ++term) {
      const std::uint64_t hash = HashOfText(segment_.Term(term));
      PostingsReader postings = segment_.PostingsOf(term);
      for (auto run = postings.NextRun(); !run.empty(); run = postings.NextRun()) {
        for (const Posting& one : run) {
          if (!layer_.IsLive(one.document)) continue;
          Of(one.document) +=
              HashOfUse(documents_[one.document].id, hash, one.count, one.speaker != 0);
        }
      }
    }
  }

 private:
  struct Known {
    std::uint64_t id = 0;
    std::size_t place = 0;  // of its namespace
  };
  std::uint64_t& Of(Ordinal document) { return *sums_[documents_[document].place]; }

  const Layer& layer_;
  const Segment& segment_;
  std::vector<Known> documents_;
  std::vector<std::uint64_t*> sums_;
};

}  // namespace

absl::StatusOr<std::vector<std::string>> FindDifferences(Transaction& transaction,
                                                         const View& view) {
  Sums rows;
  AIMEM_RETURN_IF_ERROR(
      ScanDocuments(transaction, [&](const Document& document) { Add(document, rows); }));
  Sums known;
  for (const Layer& layer : view.layers) {
    LayerSums sums(layer, known);
    sums.AddHeads();
    sums.AddTerms();
  }
  std::vector<std::string> differing;
  Sums all = rows;
  all.insert(known.begin(), known.end());
  for (const auto& [name, sum] : all) {
    if (rows[name] != known[name]) differing.push_back(name);
  }
  return differing;
}

}  // namespace aimem::index
