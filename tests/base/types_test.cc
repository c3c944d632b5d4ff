#include "aimem/types.h"

#include <gtest/gtest.h>

namespace aimem {
namespace {

TEST(Id128, RoundTripsItsText) {
  const std::string text = "01890a5d-ac96-774b-bcce-b302099a8057";
  const std::optional<Id128> id = Id128::Parse(text);
  ASSERT_TRUE(id);
  EXPECT_EQ(id->bytes[0], 0x01);
  EXPECT_EQ(id->bytes[15], 0x57);
  EXPECT_EQ(id->ToString(), text);
  EXPECT_EQ(Id128().ToString(), "00000000-0000-0000-0000-000000000000");
}

TEST(Id128, IgnoresCaseWhenParsing) {
  EXPECT_EQ(Id128::Parse("01890A5D-AC96-774B-BCCE-B302099A8057"),
            Id128::Parse("01890a5d-ac96-774b-bcce-b302099a8057"));
}

TEST(Id128, RefusesOtherTexts) {
  for (const std::string_view text :
       {"", "01890a5dac96774bbcceb302099a8057", "01890a5d-ac96-774b-bcce-b302099a805",
        "01890a5d-ac96-774b-bcce-b302099a80570", "01890a5d-ac96-774b-bcceb-302099a8057",
        "01890a5d-ac96-774b-bcce-b302099a805g", "{1890a5d-ac96-774b-bcce-b302099a8057",
        "01890a5d+ac96-774b-bcce-b302099a8057"}) {
    EXPECT_FALSE(Id128::Parse(text)) << text;
  }
}

TEST(Stamp, OrdersByClockThenStream) {
  EXPECT_LT((Stamp{1, 9}), (Stamp{2, 0}));
  EXPECT_LT((Stamp{1, 1}), (Stamp{1, 2}));
  EXPECT_LT(Stamp(), (Stamp{0, 1}));
}

TEST(Covers, HoldsWhenEveryStreamIsAsFar) {
  EXPECT_TRUE(Covers({}, {}));
  EXPECT_TRUE(Covers({{1, 5}, {2, 3}}, {{1, 5}}));
  EXPECT_TRUE(Covers({{1, 5}}, {{1, 4}, {7, 0}}));
  EXPECT_FALSE(Covers({{1, 5}}, {{1, 6}}));
  EXPECT_FALSE(Covers({{1, 5}}, {{2, 1}}));
}

TEST(VersionVector, PrintsStreamsInHexadecimal) {
  EXPECT_EQ(ToString(VersionVector{}), "");
  EXPECT_EQ(ToString(VersionVector{{1, 7}, {0xfedcba9876543210, 12}}),
            "0000000000000001:7, fedcba9876543210:12");
}

}  // namespace
}  // namespace aimem
