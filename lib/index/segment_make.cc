// How segments are made: of documents, and of other segments.
#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "lib/index/segment.h"

namespace aimem::index {
namespace {

constexpr Ordinal kGone = std::numeric_limits<Ordinal>::max();

// Call `visit` with what stands next at each of `cursors`, the least first. Each is in order.
template <typename Cursor, typename Visit>
void VisitInOrder(std::vector<Cursor> cursors, Visit visit) {
  const auto comes_after = [](const Cursor& a, const Cursor& b) { return b.IsBefore(a); };
  std::erase_if(cursors, [](const Cursor& cursor) { return cursor.AtEnd(); });
  std::make_heap(cursors.begin(), cursors.end(), comes_after);
  while (!cursors.empty()) {
    std::pop_heap(cursors.begin(), cursors.end(), comes_after);
    Cursor& least = cursors.back();
    do {  // often the same one is next, too
      visit(std::as_const(least));
      least.Next();
    } while (!least.AtEnd() && (cursors.size() == 1 || least.IsBefore(cursors.front())));
    if (least.AtEnd()) {
      cursors.pop_back();
    } else {
      std::push_heap(cursors.begin(), cursors.end(), comes_after);
    }
  }
}

// Lists of postings that become one: each is ascending, and no document is in two.
class PostingsMerger {
 public:
  void BeginList() {
    if (ends_.empty() || ends_.back() < all_.size()) ends_.push_back(all_.size());
  }
  void Add(const Posting& posting) { all_.push_back(posting); }

  // All that were added, ascending; until Clear.
  std::span<const Posting> Merged() {
    BeginList();
    while (ends_.size() > 2 && !InOrder()) MergePairs();
    return all_;
  }
  void Clear() {
    all_.clear();
    ends_.clear();
  }

 private:
  static bool Before(const Posting& a, const Posting& b) { return a.document < b.document; }

  // Whether each list begins after the end of that before it.
  [[nodiscard]] bool InOrder() const {
    return std::all_of(ends_.begin() + 1, ends_.end() - 1,
                       [this](std::size_t end) { return Before(all_[end - 1], all_[end]); });
  }

  void MergePairs() {
    merged_.resize(all_.size());
    std::vector<std::size_t> ends = {0};
    for (std::size_t list = 1; list < ends_.size(); list += 2) {
      const auto at = [this](std::size_t end) {
        return all_.begin() + static_cast<std::ptrdiff_t>(end);
      };
      const std::size_t middle = ends_[list];
      const std::size_t end = ends_[std::min(list + 1, ends_.size() - 1)];
      std::merge(at(ends.back()), at(middle), at(middle), at(end),
                 merged_.begin() + static_cast<std::ptrdiff_t>(ends.back()), Before);
      ends.push_back(end);
    }
    all_.swap(merged_);
    ends_.swap(ends);
  }

  std::vector<Posting> all_;
  std::vector<std::size_t> ends_;  // of each list, after a 0
  std::vector<Posting> merged_;
};

// The terms of documents, as lists of postings.
class TermLists {
 public:
  explicit TermLists(std::span<const Document* const> documents) : documents_(documents) {
    for (const Document* document : documents_) {
      for (const Occurrence& has : document->terms) {
        const auto [found, is_new] =
            numbers_.try_emplace(has.term, static_cast<std::uint32_t>(texts_.size()));
        if (is_new) {
          texts_.push_back(has.term);
          begins_.push_back(0);
        }
        ++begins_[found->second];
        number_of_each_.push_back(found->second);
      }
    }
    std::exclusive_scan(begins_.begin(), begins_.end(), begins_.begin(), std::size_t{0});
    Fill();
  }

  // Call `visit(text, postings)` with each term, ascending.
  template <typename Visit>
  void ForEach(Visit visit) const {
    std::vector<std::uint32_t> order(texts_.size());
    std::iota(order.begin(), order.end(), std::uint32_t{0});
    std::sort(order.begin(), order.end(),
              [this](std::uint32_t a, std::uint32_t b) { return texts_[a] < texts_[b]; });
    for (const std::uint32_t term : order) {
      const std::size_t begin = term == 0 ? 0 : begins_[term - 1];
      visit(texts_[term],
            std::span<const Posting>(postings_).subspan(begin, begins_[term] - begin));
    }
  }

 private:
  // Moves begins_ to the ends of their lists.
  void Fill() {
    postings_.resize(number_of_each_.size());
    auto number = number_of_each_.begin();
    for (Ordinal i = 0; i < documents_.size(); ++i) {
      for (const Occurrence& has : documents_[i]->terms) {
        postings_[begins_[*number++]++] = {.document = i,
                                           .count = std::min(has.count, kCountMax) & kCountMax,
                                           .speaker = has.speaker};
      }
    }
  }

  std::span<const Document* const> documents_;
  absl::flat_hash_map<absl::string_view, std::uint32_t> numbers_;
  std::vector<std::string_view> texts_;        // by number
  std::vector<std::size_t> begins_;            // by number: of its list in postings_
  std::vector<std::uint32_t> number_of_each_;  // of the terms of all documents, in their order
  std::vector<Posting> postings_;
};

// The terms of a segment, from first to last.
class TermCursor {
 public:
  TermCursor(const Segment& segment, std::size_t number) : segment_(&segment), number_(number) {
    Settle();
  }

  [[nodiscard]] bool AtEnd() const { return term_ == segment_->terms(); }
  void Next() {
    ++term_;
    Settle();
  }
  [[nodiscard]] bool IsBefore(const TermCursor& other) const { return text_ < other.text_; }

  [[nodiscard]] std::size_t number() const { return number_; }
  [[nodiscard]] std::string_view text() const { return text_; }
  [[nodiscard]] PostingsReader postings() const { return segment_->PostingsOf(term_); }

 private:
  void Settle() {
    if (!AtEnd()) text_ = segment_->Term(term_);
  }

  const Segment* segment_;
  std::size_t number_ = 0;  // of the source
  std::size_t term_ = 0;
  std::string_view text_;
};

}  // namespace

// Puts a segment together: documents in order, then terms in order.
class Segment::Maker {
 public:
  Maker(const DocumentRows::Layout& layout, std::size_t documents) {
    made_->rows_ = DocumentRows(layout, documents);
    made_->ids_.Reserve(documents);
    made_->lengths_.reserve(documents);
  }

  void AddDocument(std::string_view namespace_, std::string_view talk,
                   const DocumentRows::Numbers& numbers, std::uint32_t length) {
    const Ordinal document = made_->size();
    std::vector<NamespacePart>& namespaces = made_->namespaces_;
    if (namespaces.empty() || namespaces.back().name != namespace_) {
      namespaces.push_back(
          {.name = std::string(namespace_), .documents = {document, document}, .total_length = 0});
      talk_.clear();
    }
    ++namespaces.back().documents.end;
    namespaces.back().total_length += length;
    if (!talk.empty() && talk_ != talk) {
      talk_ = talk;
      made_->talks_.Add(talk);
      made_->turns_.push_back({document, document});
    }
    if (!talk.empty()) ++made_->turns_.back().end;
    made_->rows_.Add(numbers);
    made_->lengths_.push_back(length);
    made_->total_length_ += length;
  }
  IdTable& ids() { return made_->ids_; }

  void AddTerm(std::string_view text, std::span<const Posting> postings) {
    made_->terms_.Add(text);
    made_->postings_.Add(postings);
  }

  std::shared_ptr<const Segment> Take() {
    made_->ids_.Finish();
    made_->talks_.Finish();
    made_->terms_.Finish();
    made_->postings_.Finish();
    made_->SortTalks();
    return std::move(made_);
  }

 private:
  std::shared_ptr<Segment> made_{new Segment()};
  std::string talk_;  // of the document before
};

std::shared_ptr<const Segment> Segment::Build(const std::vector<Document>& documents) {
  std::vector<const Document*> in_order;
  in_order.reserve(documents.size());
  DocumentRows::Layout layout;
  for (const Document& document : documents) {
    in_order.push_back(&document);
    layout.Fit(DocumentRows::NumbersOf(document));
  }
  std::sort(in_order.begin(), in_order.end(), [](const Document* a, const Document* b) {
    return std::tie(a->namespace_, a->talk, a->features.created_at, a->id) <
           std::tie(b->namespace_, b->talk, b->features.created_at, b->id);
  });
  Maker maker(layout, documents.size());
  for (const Document* document : in_order) {
    maker.AddDocument(document->namespace_, document->talk, DocumentRows::NumbersOf(*document),
                      document->features.length);
    maker.ids().Add(document->id);
  }
  TermLists(in_order).ForEach([&](std::string_view text, std::span<const Posting> postings) {
    maker.AddTerm(text, postings);
  });
  return maker.Take();
}

// The documents of a segment that are left, from first to last.
class Segment::DocumentCursor {
 public:
  DocumentCursor(const Source& source, std::size_t number) : source_(source), number_(number) {
    Settle();
  }

  [[nodiscard]] bool AtEnd() const { return document_ >= source_.segment->size(); }
  void Next() {
    ++document_;
    Settle();
  }
  [[nodiscard]] bool IsBefore(const DocumentCursor& other) const {
    const auto place = [](const DocumentCursor& cursor) {
      return std::tie(cursor.namespace_, cursor.talk_, cursor.created_at_);
    };
    if (place(*this) != place(other)) return place(*this) < place(other);
    return segment().CompareIds(document_, other.segment(), other.document_) < 0;
  }

  [[nodiscard]] const Segment& segment() const { return *source_.segment; }
  [[nodiscard]] std::size_t number() const { return number_; }
  [[nodiscard]] Ordinal document() const { return document_; }
  [[nodiscard]] std::string_view namespace_name() const { return namespace_; }
  [[nodiscard]] std::string_view talk() const { return talk_; }

 private:
  // On to what is left, and reads where it stands.
  void Settle() {
    while (!AtEnd() && source_.deleted && (*source_.deleted)[document_]) ++document_;
    if (AtEnd()) return;
    created_at_ = segment().CreatedAt(document_);
    if (document_ < same_until_) return;
    const std::vector<OrdinalRange>& turns = segment().turns_;
    const NamespacePart& part = segment().namespaces_[segment().NamespaceOf(document_)];
    const auto next_talk = std::upper_bound(
        turns.begin(), turns.end(), document_,
        [](Ordinal document, const OrdinalRange& of_talk) { return document < of_talk.begin; });
    namespace_ = part.name;
    talk_ = {};
    same_until_ = part.documents.end;
    if (next_talk != turns.begin() && document_ < std::prev(next_talk)->end) {
      talk_ = segment().talks_[static_cast<std::size_t>(next_talk - turns.begin()) - 1];
      same_until_ = std::prev(next_talk)->end;
    } else if (next_talk != turns.end()) {
      same_until_ = std::min(same_until_, next_talk->begin);
    }
  }

  Source source_;
  std::size_t number_ = 0;  // of the source
  Ordinal document_ = 0;
  std::int64_t created_at_ = 0;
  std::string_view namespace_;
  std::string_view talk_;
  Ordinal same_until_ = 0;  // namespace and talk are the same before this one
};

std::shared_ptr<const Segment> Segment::Merge(std::span<const Source> sources) {
  DocumentRows::Layout layout;
  std::vector<DocumentCursor> documents;
  std::vector<TermCursor> terms;
  std::vector<std::vector<Ordinal>> moved;  // by source and document: where it is now, or kGone
  std::size_t left = 0;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const Segment& segment = *sources[i].segment;
    documents.emplace_back(sources[i], i);
    terms.emplace_back(segment, i);
    moved.emplace_back(segment.size(), kGone);
    for (DocumentCursor at = documents.back(); !at.AtEnd(); at.Next(), ++left) {
      layout.Fit(segment.rows_.At(at.document()));
    }
  }
  Maker maker(layout, left);
  Ordinal next = 0;
  VisitInOrder(std::move(documents), [&](const DocumentCursor& at) {
    moved[at.number()][at.document()] = next++;
    maker.AddDocument(at.namespace_name(), at.talk(), at.segment().rows_.At(at.document()),
                      at.segment().lengths_[at.document()]);
    maker.ids().Add(at.segment().ids_, at.document());
  });
  PostingsMerger postings;
  std::string_view text;
  const auto add_term = [&] {
    if (!postings.Merged().empty()) maker.AddTerm(text, postings.Merged());
    postings.Clear();
  };
  VisitInOrder(std::move(terms), [&](const TermCursor& at) {
    if (at.text() != text) add_term();
    text = at.text();
    postings.BeginList();
    PostingsReader reader = at.postings();
    for (auto run = reader.NextRun(); !run.empty(); run = reader.NextRun()) {
      for (Posting posting : run) {
        posting.document = moved[at.number()][posting.document];
        if (posting.document != kGone) postings.Add(posting);
      }
    }
  });
  add_term();
  return maker.Take();
}

}  // namespace aimem::index
