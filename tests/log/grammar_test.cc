#include "lib/log/grammar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <string>

#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "tests/log/random_states.h"

namespace aimem::log {
namespace {

using model::Part;
using model::Parts;
using ::testing::HasSubstr;
using testing::RandomBytes;
using testing::SplitMix;
using testing::WideState;

std::string Message(const absl::Status& status) { return std::string(ToStd(status.message())); }

// Refused, or the one encoding of what it decodes to.
void ExpectCanonical(std::string_view bytes) {
  Parts parts;
  const absl::Status status = DecodeState(bytes, parts);
  if (status.ok()) {
    ASSERT_EQ(ToHex(EncodeState(parts)), ToHex(bytes));
  } else {
    ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss);
    ASSERT_TRUE(parts.empty());
  }
}

TEST(Grammar, RandomStatesSurviveEncodingUnchanged) {
  for (std::uint64_t seed = 0; seed < 3'000; ++seed) {
    SCOPED_TRACE(seed);
    SplitMix random(seed);
    model::PartsBuilder builder = WideState(random);
    const std::string bytes = EncodeState(builder.Build());
    const absl::StatusOr<Parts> decoded = DecodeState(bytes);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    ASSERT_EQ(*decoded, builder.Build());
    ASSERT_EQ(EncodeState(*decoded), bytes);
  }
}

TEST(Grammar, EverySingleByteMutationIsRefusedOrCanonical) {
  std::size_t accepted = 0;
  const std::uint64_t seeds = std::getenv("AIMEM_SOAK") != nullptr ? 60 : 10;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    SCOPED_TRACE(seed);
    SplitMix random(seed);
    model::PartsBuilder builder = WideState(random);
    std::string bytes = EncodeState(builder.Build());
    if (bytes.size() > 400) continue;
    for (char& byte : bytes) {
      const char original = byte;
      for (int value = 0; value < 256; ++value) {
        byte = static_cast<char>(value);
        ExpectCanonical(bytes);
        accepted += byte != original && DecodeState(bytes).ok() ? 1 : 0;
      }
      byte = original;
    }
  }
  EXPECT_GT(accepted, 1'000u) << "values may change: else this test looks at refusals only";
}

TEST(Grammar, RandomMutationsAreRefusedOrCanonical) {
  for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
    SCOPED_TRACE(seed);
    SplitMix random(seed);
    model::PartsBuilder builder = testing::NarrowState(random);
    std::string bytes = EncodeState(builder.Build());
    for (std::uint64_t i = 0; i < 3; ++i) {
      const std::size_t at = random.Below(bytes.size());
      switch (random.Below(3)) {
        case 0:
          bytes[at] = static_cast<char>(random.Below(4));
          break;
        case 1:
          bytes.erase(at, 1 + random.Below(4));
          break;
        default:
          bytes.insert(at, bytes.substr(random.Below(bytes.size()), 1 + random.Below(8)));
      }
      if (bytes.empty()) break;
    }
    ExpectCanonical(bytes);
  }
}

TEST(Grammar, TruncatedStateIsRefusedAtEveryOffset) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(seed);
    SplitMix random(seed);
    model::PartsBuilder builder = testing::NarrowState(random);
    const std::string bytes = EncodeState(builder.Build());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const absl::Status status = DecodeState(bytes.substr(0, size)).status();
      ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss) << size;
      ASSERT_THAT(Message(status), HasSubstr("at byte")) << size;
    }
    EXPECT_FALSE(DecodeState(bytes + '\0').ok());
  }
}

TEST(Grammar, TheEmptyStateIsTwoZeros) {
  EXPECT_EQ(EncodeState({}), std::string(2, '\0'));
  EXPECT_TRUE(DecodeState(std::string(2, '\0')).ok());
}

TEST(Grammar, EachRuleIsNamedWithItsOffset) {
  const std::string one = "00000000000000010000000000000002";  // a stamp
  const std::string two = "00000000000000010000000000000003";
  const auto refuse = [](const std::string& hex, const char* why) {
    const absl::Status status = DecodeState(FromHex(hex).value()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << hex;
    EXPECT_THAT(Message(status), HasSubstr(why)) << hex;
  };
  refuse("", "the bytes end inside a number, at byte 0");
  refuse("05" + one, "more stamps are announced than bytes follow, at byte 1");
  refuse("02" + two + one + "0101010001010200", "stamps are not ascending, at byte 33");
  refuse("02" + one + one + "0101010001010200", "stamps are not ascending, at byte 33");
  refuse("01" + one + "0501010000", "more parts are announced than bytes follow");
  refuse("01" + one + "0201020000" + "01010000", "parts are not ascending by name");
  refuse("01" + one + "0201010000" + "01010000", "parts are not ascending by name");
  refuse("01" + one + "0101010100", "a part names a stamp that is not there");
  refuse(
      "0001"
      "01010000",
      "a part names a stamp that is not there");
  refuse("02" + one + two + "0101010000", "a stamp is not used by any part");
  refuse("01" + one + "00", "a stamp is not used by any part");
  refuse("01" + one + "0100000000", "a part has no name");
  refuse("01" + one + "0101010000" + "00", "bytes follow the last part");
  refuse("01" + one + "0101010005", "the bytes end too early");
  refuse("8000", "a number is not in its shortest form");
  refuse("ffffffffffffffffff02", "a number has more than 64 bits");
  refuse(
      "00"
      "ffff7f",
      "parts are over the limit of 600000");
}

TEST(Grammar, LimitsHold) {
  const std::string value(100, 'v');
  const auto state = [&](std::size_t count) {
    Parts parts;
    std::vector<std::string> names(count);
    for (std::size_t i = 0; i < count; ++i) {
      AppendU64(i, names[i]);
      parts.push_back({names[i], {1, 1}, {}});
    }
    return EncodeState(parts);
  };
  EXPECT_TRUE(DecodeState(state(kMaxParts)).ok());
  EXPECT_THAT(Message(DecodeState(state(kMaxParts + 1)).status()),
              HasSubstr("600001 parts are over the limit of 600000"));

  const std::string longest(kMaxPartName, 'n');
  const std::string too_long(kMaxPartName + 1, 'n');
  EXPECT_TRUE(DecodeState(EncodeState(Parts{{longest, {1, 1}, "v"}})).ok());
  EXPECT_FALSE(DecodeState(EncodeState(Parts{{too_long, {1, 1}, "v"}})).ok());

  const std::string large(kMaxStateBytes, 'x');
  const std::string over = EncodeState(Parts{{"n", {1, 1}, large}});
  EXPECT_THAT(Message(DecodeState(over).status()), HasSubstr("over the limit of 7340032"));
  const std::string_view fits = std::string_view(large).substr(30);
  EXPECT_TRUE(DecodeState(EncodeState(Parts{{"n", {1, 1}, fits}})).ok());

  // What is to be kept is refused by the same limits before it is written.
  EXPECT_EQ(*EncodeBounded(Parts{{"n", {1, 1}, fits}}), EncodeState(Parts{{"n", {1, 1}, fits}}));
  for (const Parts& parts : {Parts{{"n", {1, 1}, large}}, Parts{{too_long, {1, 1}, "v"}},
                             Parts(kMaxParts + 1, Part{"n", {1, 1}, ""})}) {
    const absl::Status refused = EncodeBounded(parts).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(Message(refused), HasSubstr("over the limit of"));
  }
}

TEST(Grammar, DecodingReusesItsVectorAndBorrowsItsBytes) {
  const std::string bytes = EncodeState(Parts{{"a", {1, 1}, "x"}, {"b", {2, 1}, "y"}});
  Parts parts;
  ASSERT_TRUE(DecodeState(bytes, parts).ok());
  const Part* data = parts.data();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(DecodeState(bytes, parts).ok());
  EXPECT_EQ(parts.data(), data);
  for (const Part& part : parts) {
    EXPECT_GE(part.name.data(), bytes.data());
    EXPECT_LT(part.value.data(), bytes.data() + bytes.size());
  }
}

TEST(Varint, RoundTripsInShortestForm) {
  const auto round_trip = [](std::uint64_t value) {
    std::string bytes;
    AppendVarint(value, bytes);
    Reader reader(bytes);
    EXPECT_EQ(reader.Varint(), value);
    EXPECT_TRUE(reader.ok() && reader.AtEnd());
    std::size_t groups = 1;
    for (std::uint64_t rest = value >> 7; rest != 0; rest >>= 7) ++groups;
    EXPECT_EQ(bytes.size(), groups);
  };
  for (int bit = 0; bit < 64; ++bit) {
    const std::uint64_t power = std::uint64_t{1} << bit;
    round_trip(power - 1);
    round_trip(power);
    round_trip(power + 1);
  }
  round_trip(std::numeric_limits<std::uint64_t>::max());
}

TEST(Varint, LongerFormsAndMoreThan64BitsAreRefused) {
  for (const char* hex : {"8000", "ff00", "80", "ffffffffffffffffff02", "808080808080808080808000",
                          "ffffffffffffffffffff01"}) {
    const std::string bytes = FromHex(hex).value();
    Reader reader(bytes);
    EXPECT_EQ(reader.Varint(), 0u) << hex;
    EXPECT_FALSE(reader.ok()) << hex;
  }
}

TEST(Reader, FirstFaultStaysAndFurtherReadsGiveZeros) {
  Reader reader("\x01\x02");
  EXPECT_EQ(reader.Byte(), 1);
  EXPECT_EQ(reader.U64(), 0u);
  EXPECT_EQ(reader.Byte(), 0);
  EXPECT_EQ(reader.Varint(), 0u);
  EXPECT_EQ(reader.Bytes(10), "");
  reader.Fail("another fault");
  EXPECT_EQ(Message(reader.status()), "the bytes end too early, at byte 1");
}

TEST(Vector, RoundTripsAndLeavesOutStreamsAtZero) {
  std::string bytes;
  AppendVector({{3, 700}, {9, 0}, {~std::uint64_t{0}, 1}}, bytes);
  Reader reader(bytes);
  EXPECT_EQ(ReadVector(reader), (VersionVector{{3, 700}, {~std::uint64_t{0}, 1}}));
  EXPECT_TRUE(reader.ok() && reader.AtEnd());
}

TEST(Vector, OtherFormsAreRefused) {
  const std::string three = "0000000000000003";
  const std::string four = "0000000000000004";
  for (const std::string& hex :
       {"02" + four + "01" + three + "01", "02" + three + "01" + three + "01", "01" + three + "00",
        "02" + three + "01", std::string("ffffffff0f")}) {
    const std::string bytes = FromHex(hex).value();
    Reader reader(bytes);
    EXPECT_TRUE(ReadVector(reader).empty()) << hex;
    EXPECT_FALSE(reader.ok()) << hex;
  }
}

TEST(Hashes, AddIsAdditionModulo2To128) {
  const auto id = [](const char* hex) {
    Id128 out;
    const std::string bytes = FromHex(hex).value();
    std::copy(bytes.begin(), bytes.end(), out.bytes.begin());
    return out;
  };
  const Id128 one = id("00000000000000000000000000000001");
  const Id128 two = id("00000000000000000000000000000002");
  EXPECT_EQ(AddHashes(id("000000000000000000000000000000ff"), one),
            id("00000000000000000000000000000100"));
  EXPECT_EQ(AddHashes(id("ffffffffffffffffffffffffffffffff"), two), one);
}

TEST(Hashes, CoverKindKeyAndState) {
  EXPECT_EQ(VersionHash("abc"), Cut(Sha256({"abc"})));
  EXPECT_EQ(KeyHash({Kind::kLink, "abc"}), Sha256({"\x02", "abc"}));
  EXPECT_NE(KeyHash({Kind::kLink, "abc"}), KeyHash({Kind::kMemory, "abc"}));
}

}  // namespace
}  // namespace aimem::log
