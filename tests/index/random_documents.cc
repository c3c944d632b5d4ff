#include "tests/index/random_documents.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <tuple>

#include "absl/strings/str_format.h"
#include "lib/model/parts.h"

namespace aimem::index {
namespace {

constexpr std::int64_t kYear2024 = 1'704'067'200'000'000'000;
constexpr std::int64_t kMinute = 60'000'000'000;

const std::array<std::string, 7>& Namespaces() {
  static const std::array<std::string, 7> names = {
      "", "a", "a/b", "a!", "ab", std::string("a\x01"), "\xc3\xa9t\xc3\xa9"};
  return names;
}

}  // namespace

std::size_t RandomDocuments::Below(std::size_t bound) {
  return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
}

std::string RandomDocuments::Id() {
  const std::size_t number = ++made_;
  std::string uuid =
      absl::StrFormat("%08x-%04x-4%03x-8%03x-%012x", random_() & 0xffffffff, random_() & 0xffff,
                      random_() & 0xfff, random_() & 0xfff, number);
  switch (Below(12)) {
    case 0:
      return absl::StrFormat("turn-%d", number);
    case 1: {
      std::string upper = uuid;
      std::transform(upper.begin(), upper.end(), upper.begin(),
                     [](char c) { return c >= 'a' && c <= 'f' ? static_cast<char>(c - 32) : c; });
      return upper + 'A';  // never the same as one in lower case
    }
    case 2: {
      std::string near = uuid;
      near[Below(23)] = "G-\x80 "[Below(4)];
      return near;
    }
    case 3:
      return absl::StrFormat("%d", number) + std::string("\0\xff", 2);
    case 4:
      return std::string(100, 'x') + absl::StrFormat("%d", number);
    case 5:
      return number == 1 ? "" : absl::StrFormat("%x", number);
    default:
      return uuid;
  }
}

std::int64_t RandomDocuments::Moment() {
  switch (Below(40)) {
    case 0:
      return std::numeric_limits<std::int64_t>::min();
    case 1:
      return std::numeric_limits<std::int64_t>::max();
    case 2:
      return -1;
    default:  // the same one often
      return kYear2024 + static_cast<std::int64_t>(Below(30)) * kMinute;
  }
}

Features RandomDocuments::MakeFeatures() {
  constexpr std::array<double, 6> kConfidences = {1.0, 0.8, 0.0, -0.0, 0.1 + 0.2, 5e-324};
  Features features;
  features.tier = static_cast<Tier>(Below(3));
  features.priority = OneIn(30) ? std::numeric_limits<std::int32_t>::min()
                                : static_cast<std::int32_t>(1 + Below(10));
  features.confidence = kConfidences[Below(kConfidences.size())];
  features.created_at = model::FromNanoseconds(Moment());
  features.updated_at = OneIn(2) ? features.created_at : model::FromNanoseconds(Moment());
  features.access_count = static_cast<std::int64_t>(OneIn(20) ? random_() : Below(3));
  features.length =
      OneIn(50) ? std::numeric_limits<std::uint32_t>::max() : static_cast<std::uint32_t>(Below(40));
  features.time_words = static_cast<std::uint8_t>(Below(kTimeWordsMax + 1));
  return features;
}

std::vector<Occurrence> RandomDocuments::Terms() {
  std::map<std::string, Occurrence> terms;
  for (std::size_t left = Below(30); left > 0; --left) {
    std::string term;
    switch (Below(8)) {
      case 0:  // rare
        term = absl::StrFormat("term%x", Below(5'000));
        break;
      case 1:
        term = TagTerm(OneIn(2) ? "" : std::string(Below(3), '\xff'));
        break;
      case 2:
        term = AgentTerm(absl::StrFormat("%d", Below(4)));
        break;
      case 3:
        term = std::string(OneIn(20) ? 70'000 : 300, 'l') + absl::StrFormat("%d", Below(3));
        break;
      default:  // frequent, and prefixes of one another
        term = std::string(1 + Below(4), 'p') + std::string(Below(3), 'q');
    }
    Occurrence& has = terms[term];
    has.term = term;
    has.count = OneIn(4) ? static_cast<std::uint32_t>(Below(300)) : 1;
    if (term.starts_with("pp")) has.count = static_cast<std::uint32_t>(1 + Below(4));
    if (OneIn(100)) has.count = kCountMax;
    has.speaker = has.count == 0 || OneIn(20);
  }
  std::vector<Occurrence> sorted;
  sorted.reserve(terms.size());
  for (auto& [term, has] : terms) sorted.push_back(std::move(has));
  return sorted;
}

std::vector<Document> RandomDocuments::Make(std::size_t count) {
  std::vector<Document> documents(count);
  const bool calm = OneIn(3);  // nothing odd: columns of one value
  for (Document& document : documents) {
    const std::size_t place = Below(Namespaces().size());
    document.id = Id();
    document.namespace_ = Namespaces()[place];
    if (OneIn(2)) {  // unique in the store, and not in the order of the namespaces
      document.talk = absl::StrFormat("%d of %d", Below(3), Namespaces().size() - place);
    }
    if (!calm) document.features = MakeFeatures();
    document.facts = {.tier = static_cast<Tier>(calm ? 0 : Below(3)),
                      .scope = static_cast<Scope>(calm ? 0 : Below(6)),
                      .expires_at = OneIn(2) || calm ? kNever : Moment()};
    document.tokens = static_cast<std::int64_t>(OneIn(50) ? random_() >> 1 : Below(500));
    document.terms = Terms();
  }
  return documents;
}

std::vector<Document> InOrder(std::vector<Document> documents) {
  std::sort(documents.begin(), documents.end(), [](const Document& a, const Document& b) {
    return std::tie(a.namespace_, a.talk, a.features.created_at, a.id) <
           std::tie(b.namespace_, b.talk, b.features.created_at, b.id);
  });
  return documents;
}

}  // namespace aimem::index
