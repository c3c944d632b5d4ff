#include "lib/index/view.h"

#include <algorithm>
#include <span>

namespace aimem::index {
namespace {

// Of the documents `ascending` of `range`: how many have the term.
TermTotals TotalsOfListed(PostingsReader reader, std::span<const Ordinal> ascending,
                          OrdinalRange range) {
  TermTotals totals;
  std::span<const Posting> run;
  const auto first = std::lower_bound(ascending.begin(), ascending.end(), range.begin);
  for (auto document = first; document != ascending.end() && *document < range.end; ++document) {
    if (run.empty() || run.back().document < *document) {
      reader.SkipTo(*document);
      run = reader.NextRun();
      if (run.empty()) break;
    }
    const auto posting =
        std::lower_bound(run.begin(), run.end(), *document,
                         [](const Posting& one, Ordinal wanted) { return one.document < wanted; });
    if (posting->document == *document) totals.Add(*posting);
  }
  return totals;
}

}  // namespace

void Deleted::Add(const Segment& segment, std::span<const Ordinal> more) {
  documents.resize(segment.size());
  namespaces.resize(segment.namespaces().size());
  for (const Ordinal document : more) {
    documents[document] = true;
    DocumentTotals& part = namespaces[segment.NamespaceOf(document)];
    ++part.documents;
    part.total_length += segment.lengths()[document];
    total_length += segment.lengths()[document];
  }
  count += static_cast<Ordinal>(more.size());
  if (count > kListed) {
    listed.clear();
    return;
  }
  const auto before = static_cast<std::ptrdiff_t>(listed.size());
  listed.insert(listed.end(), more.begin(), more.end());
  std::sort(listed.begin() + before, listed.end());
  std::inplace_merge(listed.begin(), listed.begin() + before, listed.end());
}

DocumentTotals Layer::LiveTotals() const {
  return {.documents = live(),
          .total_length = segment->total_length() - (deleted ? deleted->total_length : 0)};
}

DocumentTotals Layer::LiveOf(std::size_t namespace_) const {
  const NamespacePart& part = segment->namespaces()[namespace_];
  DocumentTotals live = {
      .documents = static_cast<std::int64_t>(part.documents.end - part.documents.begin),
      .total_length = part.total_length};
  if (deleted) {
    live.documents -= deleted->namespaces[namespace_].documents;
    live.total_length -= deleted->namespaces[namespace_].total_length;
  }
  return live;
}

TermTotals Layer::TotalsOf(std::size_t term, OrdinalRange range) const {
  if (!deleted || deleted->listed.size() == deleted->count) {
    TermTotals totals = segment->TotalsOf(term, range);
    if (deleted) totals -= TotalsOfListed(segment->PostingsOf(term), deleted->listed, range);
    return totals;
  }
  TermTotals totals;
  PostingsReader reader = segment->PostingsOf(term);
  reader.SkipTo(range.begin);
  for (auto run = reader.NextRun(); !run.empty(); run = reader.NextRun()) {
    for (const Posting& posting : run) {
      if (posting.document >= range.end) return totals;
      if (!IsLive(posting.document)) continue;
      totals.Add(posting);
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
    const Deleted& deleted = *layer.deleted;
    bytes += deleted.documents.size() / 8 + deleted.listed.size() * sizeof(Ordinal) +
             deleted.namespaces.size() * sizeof(DocumentTotals);
  }
  return bytes;
}

}  // namespace aimem::index
