#include "lib/model/parts.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace aimem::model {
namespace {

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

TEST(Encoding, NumbersAndTimesRoundTripAndOrderByBytes) {
  const std::vector<std::int64_t> times = {kMin, -1'000, -1, 0, 1, 255, 256, kMax};
  for (std::size_t i = 0; i < times.size(); ++i) {
    EXPECT_EQ(DecodeTime(EncodeTime(times[i])), times[i]);
    if (i == 0) continue;
    EXPECT_LT(EncodeTime(times[i - 1]), EncodeTime(times[i]));
  }
  EXPECT_EQ(DecodeU64(EncodeU64(0x0102030405060708)), 0x0102030405060708u);
  EXPECT_EQ(EncodeU64(1), std::string("\0\0\0\0\0\0\0\1", 8));
  EXPECT_LT(EncodeU64(9), EncodeU64(10));
}

TEST(Encoding, BytesOfAnotherLengthDoNotDecode) {
  EXPECT_FALSE(DecodeU64(""));
  EXPECT_FALSE(DecodeU64("1234567"));
  EXPECT_FALSE(DecodeTime("123456789"));
  EXPECT_FALSE(DecodeConfidence("x"));
}

TEST(Encoding, ConfidenceKeepsEveryBitButTheSignOfZero) {
  for (const double value : {0.0, 0.1, 1.0, std::nextafter(1.0, 0.0)}) {
    EXPECT_EQ(DecodeConfidence(EncodeConfidence(value)), value);
  }
  EXPECT_EQ(EncodeConfidence(-0.0), EncodeConfidence(0.0));
}

TEST(Encoding, TagsRoundTrip) {
  for (const std::vector<std::string>& tags :
       {std::vector<std::string>{}, {"a"}, {"b", "a", "b"}, {"ü", "x y"}}) {
    EXPECT_EQ(DecodeTags(EncodeTags(tags)), tags);
  }
}

TEST(Encoding, NameAndExpiryHaveTheirDocumentedBytes) {
  EXPECT_EQ(EncodeName("a/b", "t"), std::string("a/b\0t", 5));
  EXPECT_EQ(EncodeExpiry(Tier::kLong, std::nullopt), "\x02");
  EXPECT_EQ(EncodeExpiry(Tier::kShort, 5), std::string(1, '\0') + EncodeTime(5));
  EXPECT_EQ(MetaPart("k"), " k");
}

TEST(Times, SaturateOutsideInt64Nanoseconds) {
  EXPECT_EQ(ToNanoseconds(absl::InfiniteFuture()), kMax);
  EXPECT_EQ(ToNanoseconds(absl::InfinitePast()), kMin);
  EXPECT_EQ(ToNanoseconds(absl::FromUnixSeconds(1LL << 40)), kMax);
  for (const std::int64_t value : {kMin, std::int64_t{-1}, std::int64_t{0}, kMax}) {
    EXPECT_EQ(ToNanoseconds(FromNanoseconds(value)), value);
  }
}

TEST(Find, LooksUpByName) {
  const Parts parts = {{"\x01", {1, 1}, "a"}, {"\x05", {2, 1}, "b"}, {"\x20k", {3, 1}, "c"}};
  EXPECT_EQ(Find(parts, "\x05"), &parts[1]);
  EXPECT_EQ(Find(parts, "\x20k"), &parts[2]);
  EXPECT_EQ(Find(parts, "\x20"), nullptr);
  EXPECT_EQ(Find({}, "\x01"), nullptr);
}

TEST(Borrowed, AreExactlyTheFiveThatNameAnotherPart) {
  int borrowed = 0;
  for (char c = 1; c < 0x20; ++c) borrowed += IsBorrowed(std::string_view(&c, 1));
  EXPECT_EQ(borrowed, 5);
  EXPECT_TRUE(IsBorrowed(part::kUseUntil));
  EXPECT_FALSE(IsBorrowed(part::kForgotten));
  EXPECT_FALSE(IsBorrowed(MetaPart("a")));
}

TEST(PartsBuilder, SortsByUnsignedBytesAndKeepsTheLastOfEachName) {
  PartsBuilder builder;
  builder.Set("\xff", {1, 0}, "high");
  builder.Set(part::kPut, {2, 0}, "first");
  builder.Set(std::string("\x20z"), {3, 0}, std::string(100, 'z'));
  builder.Set(part::kPut, {4, 0}, "second");
  builder.SetBorrowed(part::kPut, {5, 0}, "third");
  const Parts expected = {{part::kPut, {5, 0}, "third"},
                          {"\x20z", {3, 0}, std::string_view()},
                          {"\xff", {1, 0}, "high"}};
  const Parts& parts = builder.Build();
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0], expected[0]);
  EXPECT_EQ(parts[1].value, std::string(100, 'z'));
  EXPECT_EQ(parts[2], expected[2]);
}

TEST(PartsBuilder, MayBeBuiltAgainAfterMoreIsSet) {
  PartsBuilder builder;
  builder.Set("b", {1, 0}, "1");
  builder.Set("c", {1, 0}, "1");
  EXPECT_EQ(builder.Build().size(), 2u);
  builder.Set("b", {2, 0}, "2");
  builder.Set("a", {2, 0}, "2");
  const Parts& parts = builder.Build();
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].name, "a");
  EXPECT_EQ(parts[1].value, "2");
}

TEST(PartsBuilder, KeepsItsBytesWhenMoved) {
  PartsBuilder first;
  first.Set("x", {1, 0}, "short");
  PartsBuilder second = std::move(first);
  second.Set("a", {1, 0}, "more");
  const Parts& parts = second.Build();
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[1].value, "short");
}

}  // namespace
}  // namespace aimem::model
