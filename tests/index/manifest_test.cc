// What a manifest and its place say is read back, and nothing else is read as one.
#include "lib/index/manifest.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace aimem::index {
namespace {

Manifest Example() {
  Manifest manifest{.reading = "english/2/1"};
  manifest.position.heads[7] = {.seq = 300, .hash = {1, 2, 3}};
  manifest.position.heads[~std::uint64_t{0}] = {.seq = 1, .hash = {4}};
  manifest.position.rows_version = std::string("\0\1rows", 6);
  manifest.segments.push_back({.number = ~std::uint64_t{0}, .size = 1u << 30, .deleted = {}});
  manifest.segments.push_back(
      {.number = 3, .size = 17, .deleted = {0, 1, 200, 0xfffffffdu, 0xfffffffeu}});
  return manifest;
}

TEST(Manifest, IsReadBack) {
  for (const Manifest& manifest : {Manifest(), Example()}) {
    const auto read = DecodeManifest(EncodeManifest(manifest));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, manifest);
  }
}

TEST(Manifest, WhatIsCutOrLongerIsNone) {
  const std::string bytes = EncodeManifest(Example());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_TRUE(absl::IsDataLoss(DecodeManifest(bytes.substr(0, size)).status())) << size;
  }
  EXPECT_TRUE(absl::IsDataLoss(DecodeManifest(bytes + '\0').status()));
}

TEST(Manifest, WhateverBytesAreChangedItIsReadAsItIsWrittenOrNot) {
  const std::string sound = EncodeManifest(Example());
  for (std::size_t at = 0; at < sound.size(); ++at) {
    for (const int byte : {0, 1, 0x7f, 0x80, 0xff}) {
      std::string bytes = sound;
      bytes[at] = static_cast<char>(byte);
      const auto read = DecodeManifest(bytes);
      if (!read.ok()) continue;
      EXPECT_EQ(EncodeManifest(*read), bytes) << at << " is " << byte;
    }
  }
}

TEST(Manifest, ADocumentThatNoSegmentMayHaveIsRefused) {
  Manifest manifest{.segments = {{.number = 1, .size = 1, .deleted = {0xfffffffeu}}}};
  ASSERT_TRUE(DecodeManifest(EncodeManifest(manifest)).ok());
  manifest.segments[0].deleted = {0xffffffffu};
  EXPECT_TRUE(absl::IsDataLoss(DecodeManifest(EncodeManifest(manifest)).status()));
}

TEST(ManifestPlace, IsReadBackAndNothingElseIs) {
  const ManifestPlace place{.number = ~std::uint64_t{0},
                            .size = 70'000,
                            .hash = {9, 8, 7},
                            .commits = 1'000'000,
                            .made_ms = 1'800'000'000'000};
  const std::string bytes = EncodeManifestPlace(place);
  const auto read = DecodeManifestPlace(bytes);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, place);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeManifestPlace(bytes.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(DecodeManifestPlace(bytes + '\0').ok());
  std::string later = bytes;
  later[0] = 2;
  EXPECT_FALSE(DecodeManifestPlace(later).ok());
}

TEST(ManifestPlace, NoManifestIsLargerThanAny) {
  EXPECT_FALSE(DecodeManifestPlace(EncodeManifestPlace({.size = (1u << 30) + 1})).ok());
}

TEST(Blocks, HoldWhatTheyAreToHold) {
  EXPECT_EQ(BlocksOf(0), 0u);
  EXPECT_EQ(BlocksOf(1), 1u);
  EXPECT_EQ(BlocksOf(kBlockBytes), 1u);
  EXPECT_EQ(BlocksOf(kBlockBytes + 1), 2u);
}

}  // namespace
}  // namespace aimem::index
