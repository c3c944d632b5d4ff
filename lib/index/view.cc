#include "lib/index/view.h"

namespace aimem::index {

Deleted::OfNamespace Layer::LiveOf(std::size_t namespace_) const {
  const NamespacePart& part = segment->namespaces()[namespace_];
  Deleted::OfNamespace live = {
      .documents = static_cast<std::int64_t>(part.documents.end - part.documents.begin),
      .total_length = part.total_length};
  if (deleted) {
    live.documents -= deleted->namespaces[namespace_].documents;
    live.total_length -= deleted->namespaces[namespace_].total_length;
  }
  return live;
}

TermTotals Layer::TotalsOf(std::size_t term, OrdinalRange range) const {
  if (!deleted || deleted->count == 0) return segment->TotalsOf(term, range);
  TermTotals totals;
  PostingsReader reader = segment->PostingsOf(term);
  reader.SkipTo(range.begin);
  for (auto run = reader.NextRun(); !run.empty(); run = reader.NextRun()) {
    for (const Posting& posting : run) {
      if (posting.document >= range.end) return totals;
      if (!IsLive(posting.document)) continue;
      ++(posting.count > 0 ? totals.used : totals.named_only);
    }
  }
  return totals;
}

std::int64_t View::documents() const {
  std::int64_t sum = 0;
  for (const Layer& layer : layers) sum += layer.live();
  return sum;
}

std::size_t View::ByteSize() const {
  std::size_t bytes = 0;
  for (const Layer& layer : layers) {
    bytes += layer.segment->ByteSize();
    if (!layer.deleted) continue;
    bytes += layer.deleted->documents.size() / 8 +
             layer.deleted->namespaces.size() * sizeof(Deleted::OfNamespace);
  }
  return bytes;
}

}  // namespace aimem::index
