#include "lib/recall/beside.h"

#include <optional>
#include <utility>

#include "lib/recall/turns.h"

namespace aimem::recall {

using index::Ordinal;
using index::OrdinalRange;
using index::Segment;

void Talks::ForEachAround(DocumentRef document, absl::FunctionRef<void(const TurnRef&)> visit) {
  const std::optional<Segment::Talk> talk =
      view_.layers[document.layer].segment->TalkOf(document.document);
  if (!talk) return;
  const auto next = static_cast<std::uint32_t>(talks_.size());
  const auto [found, is_new] = numbers_.try_emplace(std::string(talk->stream), next);
  if (is_new) {
    TurnsByLayer& turns = talks_.emplace_back();
    for (const index::Layer& layer : view_.layers) {
      turns.push_back(layer.segment->TurnsOf(talk->stream));
    }
  }
  const TurnRef turn = RefOf(document, found->second);
  visit(turn);
  TurnsByLayer before = talks_[turn.talk];
  TurnsByLayer after = before;
  for (std::uint32_t layer = 0; layer < before.size(); ++layer) {
    const Ordinal place = PlaceOf(turn, layer, before[layer]);
    before[layer].end = place;
    after[layer].begin = layer == document.layer ? place + 1 : place;
  }
  Walk(turn, false, std::move(before), visit);
  Walk(turn, true, std::move(after), visit);
}

bool Talks::Before(const TurnRef& a, const TurnRef& b) const {
  if (a.talk != b.talk) return a.talk < b.talk;
  if (a.created_at != b.created_at) return a.created_at < b.created_at;
  if (a.at.layer == b.at.layer) return a.at.document < b.at.document;
  const Segment& other = *view_.layers[b.at.layer].segment;
  return view_.layers[a.at.layer].segment->CompareIds(a.at.document, other, b.at.document) < 0;
}

TurnRef Talks::RefOf(DocumentRef at, std::uint32_t talk) const {
  return {
      .at = at, .talk = talk, .created_at = view_.layers[at.layer].segment->CreatedAt(at.document)};
}

Ordinal Talks::PlaceOf(const TurnRef& turn, std::uint32_t layer, OrdinalRange turns) const {
  if (layer == turn.at.layer) return turn.at.document;
  while (!turns.empty()) {
    const Ordinal middle = turns.begin + (turns.end - turns.begin) / 2;
    if (Before(RefOf({layer, middle}, turn.talk), turn)) {
      turns.begin = middle + 1;
    } else {
      turns.end = middle;
    }
  }
  return turns.begin;
}

void Talks::Walk(TurnRef turn, bool forwards, TurnsByLayer left,
                 absl::FunctionRef<void(const TurnRef&)> visit) const {
  for (std::size_t i = 0; i < kTurnsEitherWay; ++i) {
    std::optional<TurnRef> next;
    for (std::uint32_t layer = 0; layer < left.size(); ++layer) {
      TurnRef nearest{.talk = turn.talk};
      if (!Nearest(layer, forwards, left[layer], nearest)) continue;
      if (!next || (forwards ? Before(nearest, *next) : Before(*next, nearest))) next = nearest;
    }
    if (!next) return;
    const bool goes_on = forwards ? GoesOn(turn.created_at, next->created_at)
                                  : GoesOn(next->created_at, turn.created_at);
    if (!goes_on) return;
    visit(*next);
    turn = *next;
    OrdinalRange& of_layer = left[turn.at.layer];
    if (forwards) {
      of_layer.begin = turn.at.document + 1;
    } else {
      of_layer.end = turn.at.document;
    }
  }
}

bool Talks::Nearest(std::uint32_t layer, bool forwards, OrdinalRange& left,
                    TurnRef& nearest) const {
  while (!left.empty()) {
    const DocumentRef at{layer, forwards ? left.begin : left.end - 1};
    if (Shown(at)) {
      nearest = RefOf(at, nearest.talk);
      return true;
    }
    if (forwards) {
      ++left.begin;
    } else {
      --left.end;
    }
  }
  return false;
}

bool Talks::Shown(DocumentRef at) const {
  const index::Layer& layer = view_.layers[at.layer];
  if (!layer.IsLive(at.document)) return false;
  if (!filter_.has_asker()) return true;
  const Segment& segment = *layer.segment;
  return filter_.Visible(segment.FactsOf(at.document).scope,
                         segment.namespaces()[segment.NamespaceOf(at.document)].name);
}

}  // namespace aimem::recall
