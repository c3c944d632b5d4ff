#include "lib/recall/beside.h"

#include <iterator>
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
                 absl::FunctionRef<void(const TurnRef&)> visit) {
  for (std::size_t i = 0; i < kTurnsEitherWay; ++i) {
    std::optional<TurnRef> next;
    for (std::uint32_t layer = 0; layer < left.size(); ++layer) {
      LookIn(layer, forwards, turn, left[layer], next);
    }
    if (!next) return;
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

void Talks::LookIn(std::uint32_t layer, bool forwards, const TurnRef& turn, OrdinalRange& left,
                   std::optional<TurnRef>& next) {
  while (!left.empty()) {
    const TurnRef at = RefOf({layer, forwards ? left.begin : left.end - 1}, turn.talk);
    // Shown or hidden: what comes after it in this layer is no nearer.
    const bool goes_on =
        forwards ? GoesOn(turn.created_at, at.created_at) : GoesOn(at.created_at, turn.created_at);
    if (!goes_on) return;
    if (next && (forwards ? Before(*next, at) : Before(at, *next))) return;
    if (Shown(at.at)) {
      next = at;
      return;
    }
    const OrdinalRange hidden = Hide(at.at);
    if (forwards) {
      left.begin = hidden.end;
    } else {
      left.end = hidden.begin;
    }
  }
}

OrdinalRange Talks::Hide(DocumentRef at) {
  const auto after = hidden_.upper_bound(at);
  auto run = after == hidden_.begin() ? hidden_.end() : std::prev(after);
  if (run == hidden_.end() || run->first.layer != at.layer || run->second < at.document) {
    run = hidden_.emplace_hint(after, at, at.document);
  }
  if (run->second > at.document) return {run->first.document, run->second};
  ++run->second;
  if (after != hidden_.end() && after->first == DocumentRef{at.layer, run->second}) {
    run->second = after->second;
    hidden_.erase(after);
  }
  return {run->first.document, run->second};
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
