// Segments against brute force over the documents that they were made of.
#include "lib/index/segment.h"

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <utility>

#include "absl/strings/str_format.h"
#include "gtest/gtest.h"
#include "tests/index/random_documents.h"

namespace aimem::index {
namespace {

constexpr std::array<std::size_t, 9> kSizes = {0, 1, 2, 3, 30, 128, 129, 500, 3'000};

/// By term, in order.
using Lists = std::map<std::string, std::vector<Posting>>;

Lists ListsOf(const std::vector<Document>& in_order) {
  Lists lists;
  for (Ordinal i = 0; i < in_order.size(); ++i) {
    for (const Occurrence& has : in_order[i].terms) {
      lists[has.term].push_back(
          {.document = i, .count = has.count & kCountMax, .speaker = has.speaker});
    }
  }
  return lists;
}

TermTotals TotalsOf(const std::vector<Posting>& list, OrdinalRange range) {
  TermTotals totals;
  for (const Posting& posting : list) {
    if (posting.document < range.begin || posting.document >= range.end) continue;
    ++(posting.count > 0 ? totals.used : totals.named_only);
  }
  return totals;
}

std::string Shown(const Posting& posting) {
  return absl::StrFormat("%d x%d%s", posting.document, posting.count,
                         posting.speaker != 0 ? " said" : "");
}

std::vector<std::string> Shown(const std::vector<Posting>& postings) {
  std::vector<std::string> shown;
  for (const Posting& posting : postings) shown.push_back(Shown(posting));
  return shown;
}

/// What is left of a reader; that its runs are as long as is said, too.
std::vector<Posting> Read(PostingsReader reader) {
  std::vector<Posting> all;
  for (auto run = reader.NextRun(); !run.empty(); run = reader.NextRun()) {
    EXPECT_LE(run.size(), PostingsReader::kRun);
    all.insert(all.end(), run.begin(), run.end());
  }
  EXPECT_TRUE(reader.NextRun().empty());
  return all;
}

void ExpectDocument(const Segment& segment, Ordinal at, const Document& document) {
  ASSERT_EQ(segment.Id(at), document.id);
  EXPECT_EQ(segment.Find(document.id), at);
  const Features features = segment.FeaturesOf(at);
  EXPECT_EQ(features.tier, document.features.tier);
  EXPECT_EQ(features.priority, document.features.priority);
  EXPECT_EQ(std::bit_cast<std::uint64_t>(features.confidence),
            std::bit_cast<std::uint64_t>(document.features.confidence));
  EXPECT_EQ(features.created_at, document.features.created_at);
  EXPECT_EQ(features.updated_at, document.features.updated_at);
  EXPECT_EQ(features.access_count, document.features.access_count);
  EXPECT_EQ(features.length, document.features.length);
  EXPECT_EQ(features.time_words, document.features.time_words);
  const Facts facts = segment.FactsOf(at);
  EXPECT_EQ(facts.tier, document.facts.tier);
  EXPECT_EQ(facts.scope, document.facts.scope);
  EXPECT_EQ(facts.expires_at, document.facts.expires_at);
  EXPECT_EQ(segment.TokensOf(at), document.tokens);
  EXPECT_EQ(segment.lengths()[at], document.features.length);
  EXPECT_EQ(segment.CreatedAt(at), absl::ToUnixNanos(document.features.created_at));
  EXPECT_EQ(segment.namespaces()[segment.NamespaceOf(at)].name, document.namespace_);
}

void ExpectPlaces(const Segment& segment, const std::vector<Document>& in_order) {
  std::map<std::string, NamespacePart> namespaces;
  std::map<std::string, OrdinalRange> talks;
  for (Ordinal i = 0; i < in_order.size(); ++i) {
    const Document& document = in_order[i];
    NamespacePart& part =
        namespaces.try_emplace(document.namespace_, document.namespace_, OrdinalRange{i, i}, 0)
            .first->second;
    part.documents.end = i + 1;
    part.total_length += document.features.length;
    if (document.talk.empty()) continue;
    talks.try_emplace(document.talk, OrdinalRange{i, i}).first->second.end = i + 1;
  }
  ASSERT_EQ(segment.namespaces().size(), namespaces.size());
  auto expected = namespaces.begin();
  std::int64_t total_length = 0;
  for (const NamespacePart& part : segment.namespaces()) {
    EXPECT_EQ(part.name, expected->second.name);
    EXPECT_EQ(part.documents, expected->second.documents);
    EXPECT_EQ(part.total_length, expected->second.total_length);
    total_length += expected->second.total_length;
    ++expected;
  }
  EXPECT_EQ(segment.total_length(), total_length);
  EXPECT_EQ(segment.has_turns(), !talks.empty());
  for (const auto& [stream, turns] : talks) EXPECT_EQ(segment.TurnsOf(stream), turns) << stream;
  for (const std::string absent : {"", "0", "0 of 99", "zz"}) {
    EXPECT_TRUE(segment.TurnsOf(absent).empty()) << absent;
  }
  for (Ordinal i = 0; i < in_order.size(); ++i) {
    const std::optional<Segment::Talk> talk = segment.TalkOf(i);
    ASSERT_EQ(talk.has_value(), !in_order[i].talk.empty());
    if (!talk) continue;
    EXPECT_EQ(talk->stream, in_order[i].talk);
    EXPECT_EQ(talk->turns, talks[in_order[i].talk]);
  }
}

void ExpectTerms(const Segment& segment, const Lists& lists) {
  ASSERT_EQ(segment.terms(), lists.size());
  std::size_t term = 0;
  for (const auto& [text, list] : lists) {
    ASSERT_EQ(segment.Term(term), text);
    EXPECT_EQ(segment.FindTerm(text), term);
    EXPECT_EQ(segment.TotalsOf(term), TotalsOf(list, {0, segment.size()}));
    EXPECT_EQ(Shown(Read(segment.PostingsOf(term))), Shown(list));
    for (const std::string& absent : {text + '\0', text.substr(0, text.size() - 1), text + 'z'}) {
      if (lists.contains(absent)) continue;
      EXPECT_EQ(segment.FindTerm(absent), std::nullopt);
    }
    ++term;
  }
}

/// Whatever can be seen of `segment` is as brute force over `documents` says.
void ExpectHolds(const Segment& segment, std::vector<Document> documents) {
  const std::vector<Document> in_order = InOrder(std::move(documents));
  ASSERT_EQ(segment.size(), in_order.size());
  ASSERT_EQ(segment.lengths().size(), in_order.size());
  for (Ordinal i = 0; i < in_order.size(); ++i) ExpectDocument(segment, i, in_order[i]);
  ExpectPlaces(segment, in_order);
  ExpectTerms(segment, ListsOf(in_order));
}

TEST(Segment, HoldsWhatItWasMadeOf) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    RandomDocuments random(seed);
    for (const std::size_t size : kSizes) {
      SCOPED_TRACE(absl::StrFormat("seed %d, %d documents", seed, size));
      const std::vector<Document> documents = random.Make(size);
      ExpectHolds(*Segment::Build(documents), documents);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Segment, FindsNoIdThatItDoesNotHave) {
  RandomDocuments random(7);
  const auto segment = Segment::Build(random.Make(500));
  for (const Document& other : random.Make(500)) {
    EXPECT_EQ(segment->Find(other.id), std::nullopt) << other.id;
  }
  EXPECT_EQ(Segment::Build({})->Find("a"), std::nullopt);
  EXPECT_EQ(Segment::Build({})->FindTerm("a"), std::nullopt);
}

TEST(Segment, IdsCompareAsTheirBytes) {
  RandomDocuments random(8);
  const auto one = Segment::Build(random.Make(200));
  const auto other = Segment::Build(random.Make(200));
  for (int i = 0; i < 20'000; ++i) {
    const auto a = static_cast<Ordinal>(random.Below(one->size()));
    const auto b = static_cast<Ordinal>(random.Below(other->size()));
    EXPECT_EQ(one->CompareIds(a, *other, b), one->Id(a).compare(other->Id(b)) <=> 0)
        << one->Id(a) << " and " << other->Id(b);
    EXPECT_EQ(one->CompareIds(a, *one, a), std::strong_ordering::equal);
  }
}

TEST(Segment, CountsInRangesAsBruteForce) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    RandomDocuments random(seed);
    const std::vector<Document> documents = InOrder(random.Make(2'000));
    const auto segment = Segment::Build(documents);
    const Lists lists = ListsOf(documents);
    for (const auto& [text, list] : lists) {
      const std::size_t term = segment->FindTerm(text).value();
      for (int i = 0; i < 20; ++i) {
        const OrdinalRange range = {static_cast<Ordinal>(random.Below(2'001)),
                                    static_cast<Ordinal>(random.Below(2'001))};
        ASSERT_EQ(segment->TotalsOf(term, range), TotalsOf(list, range))
            << "seed " << seed << ", '" << text << "' in " << range.begin << ", " << range.end;
      }
    }
  }
}

TEST(PostingsReader, SkipsToWhateverComesNext) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    RandomDocuments random(seed);
    const std::vector<Document> documents = InOrder(random.Make(2'000));
    const auto segment = Segment::Build(documents);
    for (const auto& [text, list] : ListsOf(documents)) {
      SCOPED_TRACE(absl::StrFormat("seed %d, '%s'", seed, text.substr(0, 20)));
      PostingsReader reader = segment->PostingsOf(segment->FindTerm(text).value());
      std::size_t next = 0;  // of `list`
      while (next < list.size()) {
        if (random.OneIn(2)) {
          const auto to = static_cast<Ordinal>(
              random.OneIn(2) ? list[next].document + random.Below(300) : random.Below(2'100));
          reader.SkipTo(to);
          if (random.OneIn(4)) reader.SkipTo(to / 2);  // does not go back
          while (next < list.size() && list[next].document < to) ++next;
        }
        const PostingsReader copy = reader;
        const std::vector<Posting> rest(list.begin() + static_cast<std::ptrdiff_t>(next),
                                        list.end());
        const auto run = reader.NextRun();
        const std::vector<Posting> read(run.begin(), run.end());
        ASSERT_EQ(read.empty(), rest.empty());
        ASSERT_LE(read.size(), rest.size());
        ASSERT_EQ(Shown(read), Shown({rest.begin(), rest.begin() + std::ssize(read)}));
        if (random.OneIn(20)) {
          ASSERT_EQ(Shown(Read(copy)), Shown(rest));
        }
        next += read.size();
      }
      EXPECT_TRUE(reader.NextRun().empty());
      reader.SkipTo(0);
      EXPECT_TRUE(reader.NextRun().empty());
    }
  }
  EXPECT_TRUE(PostingsReader().NextRun().empty());
}

TEST(Segment, MergeIsBuildOfWhatIsLeft) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(absl::StrFormat("seed %d", seed));
    RandomDocuments random(seed);
    std::vector<std::shared_ptr<const Segment>> segments;
    std::vector<std::vector<bool>> deleted;
    std::vector<Document> left;
    for (std::size_t parts = random.Below(6); parts > 0; --parts) {
      const std::vector<Document> documents =
          InOrder(random.Make(kSizes[random.Below(kSizes.size() - 1)]));
      segments.push_back(Segment::Build(documents));
      const std::size_t odds = std::array<std::size_t, 4>{1, 2, 20, 1'000'000}[random.Below(4)];
      std::vector<bool>& gone = deleted.emplace_back(documents.size());
      for (std::size_t i = 0; i < documents.size(); ++i) {
        gone[i] = random.OneIn(odds);
        if (!gone[i]) left.push_back(documents[i]);
      }
    }
    std::vector<Segment::Source> sources;
    for (std::size_t i = 0; i < segments.size(); ++i) {
      const bool any = std::find(deleted[i].begin(), deleted[i].end(), true) != deleted[i].end();
      sources.push_back({.segment = segments[i].get(),
                         .deleted = any || random.OneIn(2) ? &deleted[i] : nullptr});
    }
    const auto merged = Segment::Merge(sources);
    ExpectHolds(*merged, left);
    EXPECT_EQ(merged->ByteSize(), Segment::Build(left)->ByteSize());
    if (HasFailure()) return;
  }
}

std::size_t SizeOfTerm(std::size_t documents, std::uint32_t count) {
  std::vector<Document> all(documents);
  for (std::size_t i = 0; i < documents; ++i) {
    all[i].id = absl::StrFormat("00000000-0000-4000-8000-%012x", i);
    all[i].terms = {{.term = "t", .count = count}};
  }
  return Segment::Build(all)->ByteSize();
}

TEST(Segment, PostingsTakeLittleRoom) {
  constexpr std::size_t kMany = 128'000;
  const std::size_t once = SizeOfTerm(kMany, 1);
  EXPECT_LE(once, kMany * 27);                            // ids, the places of ids, lengths
  EXPECT_LE(SizeOfTerm(kMany, 5) - once, kMany * 6 / 8);  // four bits, less often a byte
}

}  // namespace
}  // namespace aimem::index
