#include "lib/index/segment.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace aimem::index {
namespace {

auto PlaceOf(const Document& document) {
  return std::tuple<std::string_view, std::string_view, absl::Time, std::string_view>(
      document.namespace_, document.talk, document.features.created_at, document.id);
}

}  // namespace

std::span<const Posting> PostingsReader::NextRun() {
  const std::span<const Posting> run = rest_.first(std::min(kRun, rest_.size()));
  rest_ = rest_.subspan(run.size());
  return run;
}

void PostingsReader::SkipTo(Ordinal document) {
  const auto first = std::lower_bound(
      rest_.begin(), rest_.end(), document,
      [](const Posting& posting, Ordinal wanted) { return posting.document < wanted; });
  rest_ = rest_.subspan(static_cast<std::size_t>(first - rest_.begin()));
}

std::shared_ptr<const Segment> Segment::Build(std::vector<Document> documents) {
  std::shared_ptr<Segment> segment(new Segment());
  std::sort(documents.begin(), documents.end(),
            [](const Document& a, const Document& b) { return PlaceOf(a) < PlaceOf(b); });
  segment->documents_ = std::move(documents);
  segment->AddPlaces();
  segment->AddTerms();
  return segment;
}

void Segment::AddPlaces() {
  for (Ordinal i = 0; i < size(); ++i) {
    const Document& document = documents_[i];
    lengths_.push_back(document.features.length);
    ids_[document.id] = i;
    if (namespaces_.empty() || namespaces_.back().name != document.namespace_) {
      namespaces_.push_back({.name = document.namespace_, .documents = {i, i}});
    }
    namespaces_.back().documents.end = i + 1;
    namespaces_.back().total_length += document.features.length;
    if (document.talk.empty()) continue;
    talks_.try_emplace(document.talk, OrdinalRange{i, i}).first->second.end = i + 1;
  }
}

void Segment::AddTerms() {
  std::map<std::string_view, std::vector<Posting>> postings;
  for (Ordinal i = 0; i < size(); ++i) {
    for (const Occurrence& has : documents_[i].terms) {
      postings[has.term].push_back({.document = i,
                                    .count = std::min(has.count, kCountMax) & kCountMax,
                                    .speaker = has.speaker});
    }
  }
  for (auto& [term, list] : postings) {
    terms_.emplace_back(term);
    postings_.push_back(std::move(list));
  }
}

std::shared_ptr<const Segment> Segment::Merge(std::span<const Source> sources) {
  std::vector<Document> documents;
  for (const Source& source : sources) {
    for (Ordinal i = 0; i < source.segment->size(); ++i) {
      if (source.deleted && (*source.deleted)[i]) continue;
      documents.push_back(source.segment->documents_[i]);
    }
  }
  return Build(std::move(documents));
}

Segment::~Segment() = default;

Ordinal Segment::size() const { return static_cast<Ordinal>(documents_.size()); }

std::size_t Segment::ByteSize() const {
  std::size_t bytes = documents_.size() * (sizeof(Document) + sizeof(std::uint32_t));
  for (const Document& document : documents_) {
    bytes += 2 * document.id.size() + document.namespace_.size() + document.talk.size();
    for (const Occurrence& has : document.terms) bytes += sizeof(has) + has.term.size();
  }
  for (const std::vector<Posting>& list : postings_) bytes += list.size() * sizeof(Posting);
  return bytes;
}

std::string Segment::Id(Ordinal document) const { return documents_[document].id; }

std::strong_ordering Segment::CompareIds(Ordinal document, const Segment& other,
                                         Ordinal theirs) const {
  return documents_[document].id.compare(other.documents_[theirs].id) <=> 0;
}

std::optional<Ordinal> Segment::Find(std::string_view id) const {
  const auto found = ids_.find(id);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

Features Segment::FeaturesOf(Ordinal document) const { return documents_[document].features; }
Facts Segment::FactsOf(Ordinal document) const { return documents_[document].facts; }
std::int64_t Segment::TokensOf(Ordinal document) const { return documents_[document].tokens; }
std::span<const std::uint32_t> Segment::lengths() const { return lengths_; }

std::span<const NamespacePart> Segment::namespaces() const { return namespaces_; }

std::size_t Segment::NamespaceOf(Ordinal document) const {
  const auto after = std::upper_bound(
      namespaces_.begin(), namespaces_.end(), document,
      [](Ordinal wanted, const NamespacePart& part) { return wanted < part.documents.begin; });
  return static_cast<std::size_t>(after - namespaces_.begin()) - 1;
}

std::optional<Segment::Talk> Segment::TalkOf(Ordinal document) const {
  const std::string& stream = documents_[document].talk;
  if (stream.empty()) return std::nullopt;
  return Talk{stream, TurnsOf(stream)};
}

OrdinalRange Segment::TurnsOf(std::string_view stream) const {
  const auto found = talks_.find(stream);
  return found == talks_.end() ? OrdinalRange{} : found->second;
}

std::int64_t Segment::CreatedAt(Ordinal document) const {
  return absl::ToUnixNanos(documents_[document].features.created_at);
}

std::size_t Segment::terms() const { return terms_.size(); }

std::optional<std::size_t> Segment::FindTerm(std::string_view term) const {
  const auto found = std::lower_bound(terms_.begin(), terms_.end(), term);
  if (found == terms_.end() || *found != term) return std::nullopt;
  return static_cast<std::size_t>(found - terms_.begin());
}

std::string_view Segment::Term(std::size_t term) const { return terms_[term]; }

TermTotals Segment::TotalsOf(std::size_t term) const { return TotalsOf(term, {0, size()}); }

TermTotals Segment::TotalsOf(std::size_t term, OrdinalRange range) const {
  TermTotals totals;
  for (const Posting& posting : postings_[term]) {
    if (posting.document < range.begin || posting.document >= range.end) continue;
    ++(posting.count > 0 ? totals.used : totals.named_only);
  }
  return totals;
}

PostingsReader Segment::PostingsOf(std::size_t term) const {
  return PostingsReader(postings_[term]);
}

}  // namespace aimem::index
