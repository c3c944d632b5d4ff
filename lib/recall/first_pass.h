// First pass: of all documents that have a term of a question, those that can be among the hits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "aimem/requests.h"
#include "lib/index/view.h"
#include "lib/recall/asked.h"
#include "lib/recall/best.h"
#include "lib/recall/collect.h"
#include "lib/recall/filter.h"
#include "lib/recall/question.h"
#include "lib/recall/relevance.h"
#include "lib/recall/score.h"
#include "lib/recall/window.h"

namespace aimem::recall {

/// A candidate, before anything is read of it but its features.
struct Entry {
  DocumentRef at;
  double score = 0;
  double relevance = 1;  ///< Where a floor asks for it.
  double proximity = 1;
  index::Features features;
};

/// The best so many of the entries that are offered. Keeps up to twice as many meanwhile.
class BestEntries {
 public:
  BestEntries(const index::View& view, std::size_t capacity) : view_(view), capacity_(capacity) {}

  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  /// No entry whose score is less can be among the best any more.
  [[nodiscard]] double threshold() const { return threshold_; }
  /// Whether one whose score is `most` at most can be among the best.
  [[nodiscard]] bool may_take(double most) const { return capacity_ > 0 && most >= threshold_; }

  /// `displace` takes entries that are not among the best, now or later.
  template <typename Displace>
  void Offer(Entry entry, const Displace& displace) {
    if (capacity_ == 0 || entry.score < threshold_) {
      displace(entry);
      return;
    }
    entries_.push_back(entry);
    if (entries_.size() >= 2 * capacity_) Cut(displace);
  }

  /// Best first; nothing is kept.
  template <typename Displace>
  std::vector<Entry> Take(const Displace& displace) {
    if (entries_.size() > capacity_) Cut(displace);
    Sort();
    return std::move(entries_);
  }

 private:
  template <typename Displace>
  void Cut(const Displace& displace) {
    Select();
    for (std::size_t i = capacity_; i < entries_.size(); ++i) displace(entries_[i]);
    entries_.resize(capacity_);
    threshold_ = entries_.back().score;
  }
  /// The best `capacity_` first, the last of them at its place.
  void Select();
  void Sort();
  [[nodiscard]] bool Before(const Entry& a, const Entry& b) const;

  const index::View& view_;
  const std::size_t capacity_;
  double threshold_ = -std::numeric_limits<double>::infinity();
  std::vector<Entry> entries_;
};

/// One question over one view, both of which must outlive it.
class FirstPass {
 public:
  /// `counted`: what is counted in it, see ScorerOf.
  FirstPass(const index::View& view, const AskedDocuments& asked, const Question& question,
            Match match, const MemoryFilter& filter, const HitsWanted& wanted,
            const Collected& counted, absl::Time now);

  struct Result {
    std::vector<Entry> entries;   ///< Best first.
    std::size_t second_pass = 0;  ///< As in Collected, as the others.
    bool filtered_out = false;
    std::optional<double> relevance_left_out;
  };
  Result Run();

 private:
  struct Layer;  // what is looked at

  void RunLayer(std::size_t number);
  void Consider(const Layer& layer, const Found& found, double proximity);
  /// Whether the document is one that is asked for and may be shown.
  bool Admit(const Layer& layer, const Found& found, const index::Features& features);
  void Offer(Entry entry);
  void OfferRest(Entry entry);
  void LeaveOut(double relevance);
  [[nodiscard]] double HeadroomOf(std::uint32_t length, bool speaker_named) const;
  double RelevanceOf(std::uint64_t words);
  [[nodiscard]] bool InTalk(const Entry& entry) const;

  const index::View& view_;
  const AskedDocuments& asked_;
  const Question& question_;
  const Match match_;
  const MemoryFilter& filter_;
  const HitsWanted wanted_;
  const std::vector<std::string> filter_terms_;
  const Scorer scorer_;
  const TermWeights weights_;
  const Relevance relevance_;
  absl::flat_hash_map<std::uint64_t, double> relevances_;  // by words
  BestEntries twice_;                                      // looked at again
  BestEntries rest_;
  Reach reach_;  // without a floor: who reaches less is nothing
  Result result_;
};

}  // namespace aimem::recall
