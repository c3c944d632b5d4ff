#include "lib/recall/indexed.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "lib/recall/asked.h"
#include "lib/recall/least.h"
#include "lib/recall/window.h"

namespace aimem::recall {
namespace {

using index::Layer;
using index::Ordinal;
using index::Segment;

// The documents of a segment that have all of some terms: of none, all documents.
class TermHolders {
 public:
  static constexpr Ordinal kEnd = TermCursor::kEnd;

  TermHolders(const Segment& segment, std::span<const std::string> terms) {
    for (const std::string& term : terms) cursors_.emplace_back(segment, term);
  }

  // The first one that is not before `document`; it never goes back. kEnd: there is none.
  Ordinal From(Ordinal document) {
    for (std::size_t agreed = 0, next = 0; agreed < cursors_.size();
         next = (next + 1) % cursors_.size()) {
      TermCursor& cursor = cursors_[next];
      cursor.SkipTo(document);
      const Ordinal front = cursor.Front();
      if (front == kEnd) return kEnd;
      agreed = front == document ? agreed + 1 : 1;
      document = front;
    }
    return document;
  }

 private:
  std::deque<TermCursor> cursors_;
};

// Call `visit` with the place and the segment of each live document that has all of `more_terms`,
// and the namespace, the tags and the agent that `filter` asks for.
template <typename Visit>
void ForEachNamed(const index::View& view, const MemoryFilter& filter,
                  std::span<const std::string> more_terms, const Visit& visit) {
  const AskedDocuments asked(view, filter);
  std::vector<std::string> terms = filter.Terms();
  terms.insert(terms.end(), more_terms.begin(), more_terms.end());
  for (std::uint32_t number = 0; number < view.layers.size(); ++number) {
    const Layer& layer = view.layers[number];
    TermHolders holders(*layer.segment, terms);
    for (const AskedRange& range : asked.ranges(number)) {
      const Ordinal end = range.documents.end;
      for (Ordinal i = holders.From(range.documents.begin); i < end; i = holders.From(i + 1)) {
        if (layer.IsLive(i)) visit(DocumentRef{number, i}, *layer.segment);
      }
    }
  }
}

// All other conditions.
bool Matches(const MemoryFilter& filter, const Segment& segment, Ordinal document) {
  const index::Facts facts = segment.FactsOf(document);
  return filter.Holds(facts, segment.PriorityOf(document), segment.CreatedAt(document)) &&
         filter.Visible(facts, segment, document);
}

bool AliveAt(const Segment& segment, Ordinal document, std::int64_t now) {
  const std::int64_t end = segment.FactsOf(document).expires_at;
  return end == index::kNever || end > now;
}

struct Listed {
  Rank rank;
  DocumentRef at;
};

// As positions compare, without making any.
class ListedBefore {
 public:
  ListedBefore(const index::View& view, const MemoryOrder& order) : view_(view), order_(order) {}

  bool operator()(const Listed& a, const Listed& b) const {
    if (a.rank != b.rank) return a.rank < b.rank;
    const Segment& other = *view_.layers[b.at.layer].segment;
    return order_.IdComesFirst(
        view_.layers[a.at.layer].segment->CompareIds(a.at.document, other, b.at.document));
  }

 private:
  const index::View& view_;
  const MemoryOrder& order_;
};

}  // namespace

void OfferIndexed(const index::View& view, const MemoryFilter& filter, const MemoryOrder& order,
                  Page& page) {
  const auto position = [&](const Listed& listed) {
    return order.Position(listed.rank,
                          view.layers[listed.at.layer].segment->Id(listed.at.document));
  };
  const std::optional<Rank> after = order.RankAt(page.after());
  const auto is_after = [&](const Listed& listed) {
    if (page.after().empty()) return true;
    return after && listed.rank != *after ? listed.rank > *after : page.IsAfter(position(listed));
  };
  Least<Listed, ListedBefore> least(page.wanted(), ListedBefore(view, order));
  ForEachNamed(view, filter, {}, [&](DocumentRef at, const Segment& segment) {
    const Listed listed{order.RankOf({.priority = segment.PriorityOf(at.document),
                                      .created_at = segment.CreatedAt(at.document),
                                      .updated_at = segment.UpdatedAt(at.document)}),
                        at};
    if (least.MayTake(listed) && is_after(listed) && Matches(filter, segment, at.document)) {
      least.Offer(listed);
    }
  });
  for (const Listed& listed : least.Take()) page.Offer(position(listed));
}

NamespaceCounts CountIndexedNamespaces(const index::View& view, const MemoryFilter& filter,
                                       std::int64_t now) {
  NamespaceCounts counts;
  for (const Layer& layer : view.layers) {
    for (const index::NamespacePart& part : layer.segment->namespaces()) {
      if (!filter.InNamespace(part.name)) continue;
      std::int64_t alive = 0;
      for (Ordinal i = part.documents.begin; i < part.documents.end; ++i) {
        if (layer.IsLive(i) && AliveAt(*layer.segment, i, now)) ++alive;
      }
      if (alive > 0) counts[part.name] += alive;
    }
  }
  return counts;
}

std::vector<std::string> IndexedIds(const index::View& view, const MemoryFilter& filter,
                                    std::span<const std::string> terms,
                                    std::optional<absl::Time> ended_by) {
  std::vector<std::string> ids;
  ForEachNamed(view, filter, terms, [&](DocumentRef at, const Segment& segment) {
    if (ended_by && AliveAt(segment, at.document, model::ToNanoseconds(*ended_by))) return;
    if (Matches(filter, segment, at.document)) ids.push_back(segment.Id(at.document));
  });
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace aimem::recall
