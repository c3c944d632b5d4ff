#include "lib/recall/first_pass.h"

#include <algorithm>
#include <utility>

#include "lib/recall/rank.h"

namespace aimem::recall {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

// -- BestEntries ----------------------------------------------------------------------------------

bool BestEntries::Before(const Entry& a, const Entry& b) const {
  if (a.score != b.score) return a.score > b.score;
  if (a.features.updated_at != b.features.updated_at) {
    return a.features.updated_at > b.features.updated_at;
  }
  const index::Segment& other = *view_.layers[b.at.layer].segment;
  return view_.layers[a.at.layer].segment->CompareIds(a.at.document, other, b.at.document) < 0;
}

void BestEntries::Select() {
  const auto last = entries_.begin() + static_cast<std::ptrdiff_t>(capacity_) - 1;
  std::nth_element(entries_.begin(), last, entries_.end(),
                   [this](const Entry& a, const Entry& b) { return Before(a, b); });
}

void BestEntries::Sort() {
  std::sort(entries_.begin(), entries_.end(),
            [this](const Entry& a, const Entry& b) { return Before(a, b); });
}

// -- FirstPass ------------------------------------------------------------------------------------

struct FirstPass::Layer {
  std::uint32_t number = 0;
  const index::Layer& layer;
  const index::Segment& segment;
  std::span<const std::uint32_t> lengths;
};

FirstPass::FirstPass(const index::View& view, const AskedDocuments& asked, const Question& question,
                     Match match, const MemoryFilter& filter, const HitsWanted& wanted,
                     const Collected& counted, absl::Time now)
    : view_(view),
      asked_(asked),
      question_(question),
      match_(match),
      filter_(filter),
      wanted_(wanted),
      filter_terms_(filter.Terms()),
      scorer_(ScorerOf(counted, question, now)),
      weights_(scorer_),
      relevance_(recall::RelevanceOf(counted, question)),
      // A second look changes nothing where nobody talks. A floor may leave out all of the first.
      twice_(view, asked.may_talk() ? kSecondPass : 0),
      rest_(view, !asked.may_talk() || wanted.min_relevance > 0
                      ? wanted.hits
                      : wanted.hits - std::min(wanted.hits, kSecondPass)) {
  for (std::uint32_t length = 0; length + 1 < Reach::kLengths; ++length) {
    reach_.headroom[length] = scorer_.Headroom(length, false);
  }
  reach_.headroom.back() = kInfinity;  // longer ones have no bound here
  reach_.least = -kInfinity;
}

FirstPass::Result FirstPass::Run() {
  for (std::size_t layer = 0; layer < view_.layers.size(); ++layer) RunLayer(layer);
  std::vector<Entry> twice = twice_.Take([this](Entry entry) { OfferRest(entry); });
  // Who does not talk stands where it stood, so that of these no more are wanted than of the rest.
  std::size_t silent = 0;
  for (Entry& entry : twice) {
    if (!InTalk(entry)) {
      if (entry.relevance < wanted_.min_relevance) {
        LeaveOut(entry.relevance);
        continue;
      }
      if (++silent > wanted_.hits) continue;
    }
    result_.entries.push_back(entry);
  }
  result_.second_pass = result_.entries.size();
  for (Entry& entry : rest_.Take([](const Entry&) {})) {
    result_.entries.push_back(entry);
  }
  return std::move(result_);
}

void FirstPass::RunLayer(std::size_t number) {
  const std::vector<AskedRange>& ranges = asked_.ranges(number);
  if (ranges.empty()) return;
  const index::Layer& in_view = view_.layers[number];
  const Layer layer{.number = static_cast<std::uint32_t>(number),
                    .layer = in_view,
                    .segment = *in_view.segment,
                    .lengths = in_view.segment->lengths()};
  WindowReader windows(layer.segment, question_, match_, weights_, filter_terms_,
                       wanted_.min_relevance > 0);
  for (const AskedRange& range : ranges) {
    reach_.proximity = range.proximity;
    windows.ForEach(range.documents, reach_,
                    [&](const Found& found) { Consider(layer, found, range.proximity); });
  }
}

void FirstPass::Consider(const Layer& layer, const Found& found, double proximity) {
  const double most =
      (found.sum + HeadroomOf(layer.lengths[found.document], found.speaker_named)) * proximity;
  const bool has_floor = wanted_.min_relevance > 0;
  const double relevance = has_floor ? RelevanceOf(found.words) : 1;
  if (has_floor) {
    const bool relevant = relevance >= wanted_.min_relevance;
    const bool may_rank = twice_.may_take(most) || (relevant && rest_.may_take(most));
    const bool tells = !relevant && relevance > result_.relevance_left_out.value_or(-1);
    if (!may_rank && !tells) return;
  } else if (most < reach_.least) {
    return;
  }
  const index::Features features = layer.segment.FeaturesOf(found.document);
  if (!Admit(layer, found, features)) return;
  Offer({.at = {layer.number, found.document},
         .score = scorer_.ScoreOfSum(features, found.sum, found.speaker_named, proximity),
         .relevance = relevance,
         .proximity = proximity,
         .features = features});
}

bool FirstPass::Admit(const Layer& layer, const Found& found, const index::Features& features) {
  if (!layer.layer.IsLive(found.document)) return false;
  const index::Facts facts = layer.segment.FactsOf(found.document);
  if (!filter_.Visible(facts, layer.segment, found.document)) return false;
  if (found.has_terms &&
      filter_.Holds(facts, features.priority, layer.segment.CreatedAt(found.document))) {
    return true;
  }
  result_.filtered_out = true;
  reach_.needs_terms = true;  // there is nothing more to tell of the others
  return false;
}

void FirstPass::Offer(Entry entry) {
  twice_.Offer(entry, [this](Entry other) { OfferRest(other); });
  // Who can rank nowhere, can tell nothing either: there are candidates.
  if (wanted_.min_relevance > 0) return;
  reach_.least = rest_.capacity() > 0 ? rest_.threshold() : twice_.threshold();
}

void FirstPass::OfferRest(Entry entry) {
  if (entry.relevance < wanted_.min_relevance) {
    LeaveOut(entry.relevance);
    return;
  }
  rest_.Offer(entry, [](const Entry&) {});
}

void FirstPass::LeaveOut(double relevance) {
  result_.relevance_left_out = std::max(result_.relevance_left_out.value_or(0), relevance);
}

double FirstPass::HeadroomOf(std::uint32_t length, bool speaker_named) const {
  const bool known = !speaker_named && length + 1 < Reach::kLengths;
  return known ? reach_.headroom[length] : scorer_.Headroom(length, speaker_named);
}

double FirstPass::RelevanceOf(std::uint64_t words) {
  // Of Match::kAll a candidate holds each.
  const std::uint64_t key = match_ == Match::kAll ? 0 : words;
  const auto [found, is_new] = relevances_.try_emplace(key, 0);
  if (is_new) {
    std::vector<bool> held(question_.words, match_ == Match::kAll);
    for (std::size_t word = 0; match_ == Match::kAny && word < held.size(); ++word) {
      held[word] = ((words >> word) & 1) != 0;
    }
    found->second = relevance_.Of(held);
  }
  return found->second;
}

bool FirstPass::InTalk(const Entry& entry) const {
  return view_.layers[entry.at.layer].segment->TalkOf(entry.at.document).has_value();
}

}  // namespace aimem::recall
