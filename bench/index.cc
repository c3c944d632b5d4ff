// Segments of the index, by themselves: how fast they are made, read, and how large they are.
#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "bench/corpus.h"
#include "bench/sections.h"
#include "lib/index/segment.h"

namespace aimem::bench {
namespace {

using index::Document;
using index::Ordinal;
using index::Posting;
using index::Segment;

constexpr int kWords = 20;  // with title and tags about 25 different terms
constexpr std::size_t kFanIn = 4;
constexpr std::int64_t kParts = 16;  // merged twice
constexpr int kRounds = 5;

/// A memory of the corpus, its words as its terms: what analysis costs is no part of this.
Document MakeDocument(const Corpus& corpus, std::int64_t number) {
  const PutMemory memory = corpus.Memory(number);
  Document document;
  Id128 id;  // as random as those of a store
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    const auto mixed = static_cast<std::uint64_t>(number * 16 + std::int64_t(i) + 1) *
                       std::uint64_t{0x9e3779b97f4a7c15};
    id.bytes[i] = static_cast<std::uint8_t>((mixed ^ mixed >> 29) >> 13);
  }
  document.id = id.ToString();
  document.namespace_ = memory.namespace_;
  document.features.created_at =
      absl::FromUnixNanos(1'700'000'000'000'000'000 + number * 1'234'567'891);
  document.features.updated_at = document.features.created_at;
  document.features.priority = static_cast<std::int32_t>(memory.priority);
  document.features.confidence = memory.confidence;
  document.features.tier = document.facts.tier = memory.tier;
  if (memory.tier != Tier::kLong) {
    document.facts.expires_at = absl::ToUnixNanos(document.features.created_at +
                                                  absl::Hours(memory.tier == Tier::kMid ? 168 : 6));
  }
  document.tokens = index::TokenCost(memory.title, memory.content);
  std::map<std::string, std::uint32_t> terms;
  const std::string text = memory.title + ' ' + memory.content + ' ' + memory.tags[0];
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    ++terms[std::string(word)];
    ++document.features.length;
  }
  for (const std::string& tag : memory.tags) ++terms[index::TagTerm(tag)];
  ++terms[index::AgentTerm("agent")];
  for (auto& [term, count] : terms) document.terms.push_back({.term = term, .count = count});
  return document;
}

/// Seconds that `call` takes.
template <typename Call>
double Seconds(Call call) {
  const double begin = MonotonicSeconds();
  call();
  return MonotonicSeconds() - begin;
}

struct Made {
  std::shared_ptr<const Segment> whole;
  double build_s = 0;       // in kParts
  double last_merge_s = 0;  // of all documents
};

Made Make(const Corpus& corpus, std::int64_t size) {
  Made made;
  std::vector<std::shared_ptr<const Segment>> segments;
  for (std::int64_t part = 0; part < kParts; ++part) {
    std::vector<Document> documents;
    for (std::int64_t i = part; i < size; i += kParts) documents.push_back(MakeDocument(corpus, i));
    made.build_s += Seconds([&] { segments.push_back(Segment::Build(documents)); });
  }
  while (segments.size() > 1) {
    std::vector<std::shared_ptr<const Segment>> merged;
    made.last_merge_s = Seconds([&] {
      for (std::size_t i = 0; i < segments.size(); i += kFanIn) {
        std::vector<Segment::Source> sources;
        for (std::size_t j = i; j < std::min(i + kFanIn, segments.size()); ++j) {
          sources.push_back({.segment = segments[j].get(), .deleted = nullptr});
        }
        merged.push_back(Segment::Merge(sources));
      }
    });
    segments = std::move(merged);
  }
  made.whole = segments.front();
  return made;
}

struct Reading {
  double ours_ns = 0;  // a posting
  double bare_ns = 0;
};

std::uint64_t Use(std::span<const Posting> postings) {
  std::uint64_t sum = 0;
  for (const Posting& posting : postings) sum += posting.document ^ posting.count;
  return sum;
}

/// The postings of `terms`, decoded, and as they are in a vector; the median round of each.
Reading Read(const Segment& segment, std::span<const std::size_t> terms) {
  std::vector<std::vector<Posting>> bare(terms.size());
  std::size_t postings = 0;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    index::PostingsReader reader = segment.PostingsOf(terms[i]);
    for (auto run = reader.NextRun(); !run.empty(); run = reader.NextRun()) {
      bare[i].insert(bare[i].end(), run.begin(), run.end());
    }
    postings += bare[i].size();
  }
  std::vector<double> ours_s, bare_s;
  for (int round = 0; round < kRounds; ++round) {
    std::uint64_t ours_sum = 0, bare_sum = 0;
    ours_s.push_back(Seconds([&] {
      for (const std::size_t term : terms) {
        index::PostingsReader reader = segment.PostingsOf(term);
        for (auto run = reader.NextRun(); !run.empty(); run = reader.NextRun()) {
          ours_sum += Use(run);
        }
      }
    }));
    bare_s.push_back(Seconds([&] {
      for (const std::vector<Posting>& list : bare) bare_sum += Use(list);
    }));
    if (ours_sum != bare_sum) throw Failure("postings were read wrong");
  }
  const double each = 1e9 / static_cast<double>(postings);
  return {Median(ours_s) * each, Median(bare_s) * each};
}

/// Microseconds for one segment of one document.
double OneDocument(const Corpus& corpus, std::int64_t count) {
  std::vector<std::vector<Document>> documents;
  for (std::int64_t i = 0; i < count; ++i) documents.push_back({MakeDocument(corpus, i)});
  const double seconds = Seconds([&] {
    for (const std::vector<Document>& one : documents) {
      if (Segment::Build(one)->size() != 1) throw Failure("a document is lost");
    }
  });
  return seconds * 1e6 / static_cast<double>(count);
}

/// Microseconds to count the documents of one namespace that have one of `terms`.
double CountInNamespace(const Segment& segment, std::span<const std::size_t> terms) {
  std::int64_t calls = 0, found = 0;
  const double seconds = Seconds([&] {
    for (const std::size_t term : terms) {
      for (const index::NamespacePart& part : segment.namespaces()) {
        found += segment.TotalsOf(term, part.documents).used;
        ++calls;
      }
    }
  });
  if (found == 0) throw Failure("no namespace has a frequent term");
  return seconds * 1e6 / static_cast<double>(calls);
}

double FindId(const Segment& segment, std::int64_t calls) {
  std::vector<std::string> ids;
  for (std::int64_t i = 0; i < calls; ++i) {
    ids.push_back(segment.Id(
        static_cast<Ordinal>(static_cast<std::uint64_t>(i) * 2'654'435'761 % segment.size())));
  }
  const double seconds = Seconds([&] {
    for (const std::string& id : ids) {
      if (!segment.Find(id)) throw Failure("an id is not found");
    }
  });
  return seconds * 1e6 / static_cast<double>(calls);
}

}  // namespace

Section MeasureIndex(const Settings& settings) {
  const std::int64_t size = settings.Pick<std::int64_t>(1'000'000, 200'000);
  const Corpus corpus(kWords);
  const Made made = Make(corpus, size);
  const Segment& segment = *made.whole;
  // Frequent terms first.
  std::vector<std::size_t> terms(segment.terms());
  std::iota(terms.begin(), terms.end(), std::size_t{0});
  const auto used = [&](std::size_t term) { return segment.TotalsOf(term).used; };
  std::sort(terms.begin(), terms.end(),
            [&](std::size_t a, std::size_t b) { return used(a) > used(b); });
  const std::span<const std::size_t> all(terms);
  const Reading frequent = Read(segment, all.subspan(0, 10));
  const Reading middling = Read(segment, all.subspan(100, 400));
  const Reading rare = Read(segment, all.subspan(5'000, 10'000));
  std::int64_t postings = 0;
  for (const std::size_t term : terms) postings += used(term);
  const auto documents = static_cast<double>(size);
  Section section;
  section.name = "index";
  section.figures = {
      {"bytes a document", static_cast<double>(segment.ByteSize()) / documents, "B",
       Goal::AtMost(110)},
      {absl::StrFormat("building segments of %d", size / kParts),
       documents / made.build_s,
       "docs/s",
       {}},
      {absl::StrFormat("merging %d into one", kFanIn), documents / made.last_merge_s, "docs/s", {}},
      {"a segment of one document", OneDocument(corpus, 2'000), "us", Goal::AtMost(10)},
      {"decoding, the 10 most frequent terms", frequent.ours_ns, "ns", Goal::AtMost(2)},
      {"the same / a loop over a vector", frequent.ours_ns / frequent.bare_ns, "x", {}},
      {"decoding, terms of ranks 100 to 500", middling.ours_ns, "ns", Goal::AtMost(2)},
      {"decoding, terms of ranks 5,000 to 15,000", rare.ours_ns, "ns", {}},
      {"counting a frequent term in one namespace",
       CountInNamespace(segment, all.subspan(1, 10)),
       "us",
       {}},
      {"finding an id", FindId(segment, 200'000), "us", {}}};
  section.notes.push_back(absl::StrFormat(
      "%d documents, %.1f terms each, %d different ones; analysed before; one thread", size,
      static_cast<double>(postings) / documents, segment.terms()));
  return section;
}

}  // namespace aimem::bench
