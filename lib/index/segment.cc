#include "lib/index/segment.h"

#include <algorithm>
#include <numeric>

namespace aimem::index {
namespace {

// The last of `parts`, which begin one after the other, that begins with `document` or before.
template <typename Parts, typename BeginOf>
std::size_t LastUpTo(const Parts& parts, Ordinal document, BeginOf begin_of) {
  const auto after =
      std::upper_bound(parts.begin(), parts.end(), document,
                       [&](Ordinal wanted, const auto& part) { return wanted < begin_of(part); });
  return static_cast<std::size_t>(after - parts.begin()) - 1;
}

}  // namespace

Segment::~Segment() = default;

void Segment::SortTalks() {
  talks_by_name_.resize(talks_.size());
  std::iota(talks_by_name_.begin(), talks_by_name_.end(), std::uint32_t{0});
  std::sort(talks_by_name_.begin(), talks_by_name_.end(),
            [this](std::uint32_t a, std::uint32_t b) { return talks_[a] < talks_[b]; });
}

Ordinal Segment::size() const { return static_cast<Ordinal>(lengths_.size()); }

std::size_t Segment::ByteSize() const {
  std::size_t bytes = ids_.ByteSize() + rows_.ByteSize() + talks_.ByteSize() + terms_.ByteSize() +
                      postings_.ByteSize() + lengths_.size() * sizeof(std::uint32_t) +
                      turns_.size() * (sizeof(OrdinalRange) + sizeof(std::uint32_t));
  for (const NamespacePart& part : namespaces_) bytes += sizeof part + part.name.size();
  return bytes;
}

std::string Segment::Id(Ordinal document) const { return ids_.At(document); }

std::strong_ordering Segment::CompareIds(Ordinal document, const Segment& other,
                                         Ordinal theirs) const {
  return ids_.Compare(document, other.ids_, theirs);
}

std::optional<Ordinal> Segment::Find(std::string_view id) const { return ids_.Find(id); }

Features Segment::FeaturesOf(Ordinal document) const {
  Features features = rows_.FeaturesOf(document);
  features.length = lengths_[document];
  return features;
}

Facts Segment::FactsOf(Ordinal document) const { return rows_.FactsOf(document); }

std::int64_t Segment::TokensOf(Ordinal document) const { return rows_.TokensOf(document); }

std::int32_t Segment::PriorityOf(Ordinal document) const { return rows_.PriorityOf(document); }

std::int64_t Segment::UpdatedAt(Ordinal document) const { return rows_.UpdatedAt(document); }

std::span<const std::uint32_t> Segment::lengths() const { return lengths_; }

std::int64_t Segment::total_length() const { return total_length_; }

std::span<const NamespacePart> Segment::namespaces() const { return namespaces_; }

std::size_t Segment::NamespaceOf(Ordinal document) const {
  return LastUpTo(namespaces_, document,
                  [](const NamespacePart& part) { return part.documents.begin; });
}

std::optional<Segment::Talk> Segment::TalkOf(Ordinal document) const {
  const std::size_t talk =
      LastUpTo(turns_, document, [](const OrdinalRange& turns) { return turns.begin; });
  if (talk >= turns_.size() || document >= turns_[talk].end) return std::nullopt;
  return Talk{.stream = talks_[talk], .turns = turns_[talk]};
}

bool Segment::has_turns() const { return !turns_.empty(); }

OrdinalRange Segment::TurnsOf(std::string_view stream) const {
  const auto found = std::lower_bound(
      talks_by_name_.begin(), talks_by_name_.end(), stream,
      [this](std::uint32_t talk, std::string_view wanted) { return talks_[talk] < wanted; });
  if (found == talks_by_name_.end() || talks_[*found] != stream) return {};
  return turns_[*found];
}

std::int64_t Segment::CreatedAt(Ordinal document) const { return rows_.CreatedAt(document); }

std::size_t Segment::terms() const { return terms_.size(); }

std::optional<std::size_t> Segment::FindTerm(std::string_view term) const {
  std::size_t begin = 0;
  for (std::size_t end = terms(); begin < end;) {
    const std::size_t middle = begin + (end - begin) / 2;
    if (terms_[middle] < term) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  if (begin == terms() || terms_[begin] != term) return std::nullopt;
  return begin;
}

std::string_view Segment::Term(std::size_t term) const { return terms_[term]; }

TermTotals Segment::TotalsOf(std::size_t term) const { return postings_.TotalsOf(term); }

TermTotals Segment::TotalsOf(std::size_t term, OrdinalRange range) const {
  if (range.begin == 0 && range.end >= size()) return TotalsOf(term);
  return postings_.TotalsOf(term, range);
}

PostingsReader Segment::PostingsOf(std::size_t term) const { return postings_.ReaderOf(term); }

}  // namespace aimem::index
