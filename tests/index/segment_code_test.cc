// The bytes of a segment: they are read back, and whatever other bytes come, nothing is read that
// is not there.
#include "lib/index/segment_code.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "lib/base/hash.h"
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

}  // namespace
}  // namespace aimem::index
