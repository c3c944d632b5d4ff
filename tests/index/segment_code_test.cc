// The bytes of a segment: they are read back, and whatever other bytes come, nothing is read that
// is not there.
#include "lib/index/segment_code.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "gtest/gtest.h"
#include "lib/base/hash.h"
#include "lib/log/grammar.h"
#include "tests/index/all_documents.h"
#include "tests/index/ask_everything.h"
#include "tests/index/random_documents.h"

namespace aimem::index {
namespace {

using Made = std::shared_ptr<const Segment>;

std::string BytesOf(const Made& segment, std::size_t piece = 65'536) {
  SegmentEncoder encoder(segment);
  std::string bytes;
  for (std::string next = encoder.Next(piece); !next.empty(); next = encoder.Next(piece)) {
    EXPECT_LE(next.size(), piece);
    bytes += next;
  }
  EXPECT_EQ(bytes.size(), encoder.size());
  return bytes;
}

absl::StatusOr<Made> SegmentOf(const std::string& bytes, std::size_t piece = 65'536) {
  SegmentDecoder decoder(bytes.size());
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    if (absl::Status added = decoder.Add(std::string_view(bytes).substr(at, piece)); !added.ok()) {
      return added;
    }
  }
  return decoder.Take();
}

/// With the hash that these bytes have.
std::string Rehashed(std::string bytes) {
  const std::size_t size = bytes.size() - sizeof(Hash256);
  const Hash256 hash = Sha256({std::string_view(bytes).substr(0, size)});
  bytes.replace(size, sizeof(Hash256), AsBytes(hash));
  return bytes;
}

std::vector<Document> SomeDocuments(std::uint64_t seed, std::size_t count) {
  return RandomDocuments(seed).Make(count);
}

TEST(SegmentCode, IsReadBackInPiecesOfAnySize) {
  for (const std::size_t count : {1u, 2u, 7u, 130u, 1'000u}) {
    const Made segment = Segment::Build(SomeDocuments(count, count));
    const std::string bytes = BytesOf(segment);
    for (const std::size_t piece :
         {std::size_t{1}, std::size_t{7}, std::size_t{4'096}, bytes.size()}) {
      EXPECT_EQ(BytesOf(segment, piece), bytes);
      const absl::StatusOr<Made> read = SegmentOf(bytes, piece);
      ASSERT_TRUE(read.ok()) << read.status();
      EXPECT_EQ(Shown(DocumentsOf(**read)), Shown(DocumentsOf(*segment)));
      EXPECT_EQ((*read)->total_length(), segment->total_length());
      EXPECT_EQ((*read)->ByteSize(), segment->ByteSize());
      EXPECT_EQ(BytesOf(*read), bytes);
      EXPECT_EQ(AskEverything(**read), AskEverything(*segment));
    }
  }
}

TEST(SegmentCode, TheSameDocumentsHaveTheSameBytesHoweverTheyCameTogether) {
  std::vector<Document> documents = SomeDocuments(3, 500);
  const std::string bytes = BytesOf(Segment::Build(documents));
  const std::vector<Document> first(documents.begin(), documents.begin() + 123);
  const std::vector<Document> rest(documents.begin() + 123, documents.end());
  const Made one = Segment::Build(first);
  const Made other = Segment::Build(rest);
  const Segment::Source sources[] = {{.segment = other.get()}, {.segment = one.get()}};
  EXPECT_EQ(BytesOf(Segment::Merge(sources)), bytes);
  std::reverse(documents.begin(), documents.end());
  EXPECT_EQ(BytesOf(Segment::Build(documents)), bytes);
}

TEST(SegmentCode, WhatIsCutOrLongerIsNone) {
  const std::string bytes = BytesOf(Segment::Build(SomeDocuments(1, 3)));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_TRUE(absl::IsDataLoss(SegmentOf(bytes.substr(0, size)).status())) << size;
  }
  EXPECT_TRUE(absl::IsDataLoss(SegmentOf(bytes + '\0').status()));
  SegmentDecoder decoder(bytes.size());
  EXPECT_TRUE(decoder.Add(bytes).ok());
  EXPECT_TRUE(absl::IsDataLoss(decoder.Add("x")));
  EXPECT_TRUE(absl::IsDataLoss(decoder.Take().status()));
}

TEST(SegmentCode, ABitThatChangedIsSeen) {
  const std::string bytes = BytesOf(Segment::Build(SomeDocuments(2, 4)));
  const std::size_t bits = bytes.size() * 8;
  for (std::size_t bit = 0; bit < bits; bit += 1 + bits / 5'000) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    EXPECT_TRUE(absl::IsDataLoss(SegmentOf(damaged).status())) << bit;
  }
}

TEST(SegmentCode, WhoeverWroteTheBytesWhatIsReadOfThemCanBeAskedEverything) {
  std::size_t read = 0;
  std::size_t refused = 0;
  for (const std::size_t count : {3u, 140u}) {
    const std::string bytes = BytesOf(Segment::Build(SomeDocuments(5, count)));
    const std::size_t step = 1 + bytes.size() / 2'000;
    for (std::size_t at = 0; at < bytes.size() - sizeof(Hash256); at += step) {
      for (const int byte : {0, 1, 0x7f, 0x80, 0xff}) {
        std::string forged = bytes;
        forged[at] = static_cast<char>(byte);
        const absl::StatusOr<Made> segment = SegmentOf(Rehashed(std::move(forged)));
        if (!segment.ok()) {
          EXPECT_TRUE(absl::IsDataLoss(segment.status())) << segment.status();
          ++refused;
          continue;
        }
        AskEverything(**segment);
        ++read;
      }
    }
  }
  EXPECT_GT(read, 100u);
  EXPECT_GT(refused, 100u);
}

/// `bytes` with `to` in the place of `from`, which is in them once, and the hash that they have.
std::string Forged(std::string bytes, std::string_view from, std::string_view to) {
  const std::size_t at = bytes.find(from);
  EXPECT_NE(at, std::string::npos);
  EXPECT_EQ(bytes.find(from, at + 1), std::string::npos);
  return Rehashed(bytes.replace(at, from.size(), to));
}

std::string Message(const std::string& bytes) {
  const absl::Status status = SegmentOf(bytes).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  return std::string(status.message());
}

std::string BytesOf(const std::vector<Document>& documents) {
  return BytesOf(Segment::Build(documents));
}

constexpr std::string_view kUuids[] = {"61616161-6161-6161-6161-616161616161",  // as bytes: a, b
                                       "62626262-6262-6262-6262-626262626262"};

TEST(SegmentCode, NoIdIsThereTwice) {
  const std::string bytes =
      BytesOf({{.id = std::string(kUuids[0])}, {.id = std::string(kUuids[1])}});
  EXPECT_NE(Message(Forged(bytes, std::string(16, 'b'), std::string(16, 'a'))).find("there twice"),
            std::string::npos);
  const std::string texts = BytesOf({{.id = "one"}, {.id = "two"}});
  EXPECT_NE(Message(Forged(texts, "onetwo", "oneone")).find("there twice"), std::string::npos);
  std::string near(kUuids[0]);
  near[0] = 'g';
  const std::string text = BytesOf({{.id = near}});
  EXPECT_NE(Message(Forged(text, near, kUuids[0])).find("a UUID as a text"), std::string::npos);
}

TEST(SegmentCode, ManyEqualIdsAreRefusedAsSoonAsTwo) {
  constexpr std::size_t kMany = 1'000'000;
  std::vector<Document> documents(kMany);
  for (std::size_t i = 0; i < kMany; ++i) {
    documents[i].id = absl::StrFormat("00000000-0000-4000-8000-%012x", i);
  }
  std::string bytes = BytesOf(documents);
  const std::size_t ids = 1 + sizeof(std::uint64_t) * 13;  // after the header
  std::fill_n(bytes.begin() + ids, kMany * sizeof(Id128), 'a');
  EXPECT_NE(Message(Rehashed(std::move(bytes))).find("there twice"), std::string::npos);
}

TEST(SegmentCode, DocumentsAreInTheirOrder) {
  const std::string bytes =
      BytesOf({{.id = std::string(kUuids[0])}, {.id = std::string(kUuids[1])}});
  EXPECT_NE(Message(Forged(bytes, std::string(16, 'a') + std::string(16, 'b'),
                           std::string(16, 'b') + std::string(16, 'a')))
                .find("documents out of order"),
            std::string::npos);
  const std::string texts = BytesOf({{.id = "one"}, {.id = "two"}});
  EXPECT_NE(Message(Forged(texts, "onetwo", "twoone")).find("documents out of order"),
            std::string::npos);
}

TEST(SegmentCode, TalksAreInTheirOrderAtTheEndOfTheirNamespace) {
  const std::string bytes = BytesOf({{.id = "0", .namespace_ = "a", .talk = ""},
                                     {.id = "1", .namespace_ = "a", .talk = "one"},
                                     {.id = "2", .namespace_ = "a", .talk = "two"},
                                     {.id = "3", .namespace_ = "b", .talk = "who"}});
  ASSERT_TRUE(SegmentOf(bytes).ok());
  const std::string talks("\3one\1\1\3two\0\1\3who\0\1", 18);
  for (const std::string& other : {
           std::string("\3two\1\1\3one\0\1\3who\0\1", 18),  // not ascending
           std::string("\3one\1\1\3one\0\1\3who\0\1", 18),  // twice
           std::string("\3one\1\1\3two\0\1\3one\0\1", 18),  // twice, in two namespaces
           std::string("\3one\0\1\3two\1\1\3who\0\1", 18),  // a document between two
           std::string("\3one\0\1\3two\0\1\3who\1\1", 18),  // a document after the last
           std::string("\3one\1\1\3two\0\2\3who\0\1", 18),  // more than there are
           std::string("\3one\1\2\3two\0\1\4whom\1", 18),   // in two namespaces
       }) {
    EXPECT_NE(Message(Forged(bytes, talks, other)).find("talks"), std::string::npos);
  }
  const std::string nameless = BytesOf({{.id = "0", .talk = "t"}});
  EXPECT_NE(Message(Forged(nameless, std::string("\1t\0\1", 4), std::string("\0\0\1\0", 4)))
                .find("talks"),
            std::string::npos);
}

TEST(SegmentCode, ConfidencesAreNumbersThatAMemoryMayHave) {
  Document document{.id = "0"};
  document.features.confidence = 0.75;
  const auto bits = [](double confidence) {
    std::string bytes;
    log::AppendU64(std::bit_cast<std::uint64_t>(confidence), bytes);
    return bytes;
  };
  const std::string bytes = BytesOf({document});
  EXPECT_TRUE(SegmentOf(Forged(bytes, bits(0.75), bits(0.5))).ok());
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const double none : {std::nan(""), kInfinity, -0.5, 1.5}) {
    EXPECT_NE(Message(Forged(bytes, bits(0.75), bits(none))).find("layout of rows"),
              std::string::npos);
  }
}

TEST(SegmentCode, MarksAreOfIdsOnly) {
  const std::string bytes = BytesOf({{.id = "0"}, {.id = std::string(kUuids[0])}});
  const std::size_t at = 1 + sizeof(std::uint64_t) * 13 + 2 * sizeof(Id128);
  std::string forged = bytes;
  ASSERT_EQ(forged[at], 1);
  forged[at] = 1 | 4;
  EXPECT_NE(Message(Rehashed(forged)).find("a mark of no id"), std::string::npos);
}

}  // namespace
}  // namespace aimem::index
