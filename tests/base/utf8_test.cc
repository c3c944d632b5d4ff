#include "lib/base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace aimem {
namespace {

using namespace std::string_view_literals;

TEST(Utf8, AcceptsTheBoundariesOfEveryLength) {
  for (const std::string_view text :
       {""sv, "\0"sv, "\x7f"sv, "\xc2\x80"sv, "\xdf\xbf"sv, "\xe0\xa0\x80"sv, "\xed\x9f\xbf"sv,
        "\xee\x80\x80"sv, "\xef\xbf\xbf"sv, "\xf0\x90\x80\x80"sv, "\xf4\x8f\xbf\xbf"sv}) {
    EXPECT_TRUE(IsUtf8(text));
  }
}

TEST(Utf8, RefusesOverlongFormsSurrogatesAndTruncation) {
  for (const std::string_view text :
       {"\x80"sv, "\xc0\x80"sv, "\xc1\xbf"sv, "\xc2"sv, "\xc2\x20"sv, "\xe0\x9f\xbf"sv,
        "\xed\xa0\x80"sv, "\xe2\x82"sv, "\xf0\x8f\xbf\xbf"sv, "\xf4\x90\x80\x80"sv, "\xf5\x80"sv,
        "\xff"sv, "a\xf0\x90\x80"sv}) {
    EXPECT_FALSE(IsUtf8(text));
  }
}

TEST(Utf8, DecodesEveryCodePointItEncodes) {
  EXPECT_EQ(DecodeUtf8("A").value, U'A');
  EXPECT_EQ(DecodeUtf8("é").value, U'é');
  EXPECT_EQ(DecodeUtf8("€").value, U'€');
  EXPECT_EQ(DecodeUtf8("😀").value, U'😀');
  EXPECT_EQ(DecodeUtf8("😀").length, 4u);
}

TEST(Utf8, CountsAndCutsCharactersNotBytes) {
  EXPECT_EQ(CountCharacters("aé€😀"), 4u);
  EXPECT_EQ(FirstCharacters("aé€😀", 2), "aé");
  EXPECT_EQ(FirstCharacters("aé", 9), "aé");
  EXPECT_EQ(CountCharacters("\xff\xff"), 2u);
}

TEST(Trim, RemovesUnicodeWhitespaceAtBothEnds) {
  EXPECT_EQ(TrimWhitespace("\t\r\n \u0085\u00a0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000"),
            "");
  EXPECT_EQ(TrimWhitespace(" \u3000a\u00a0b \u2003"), "a\u00a0b");
}

TEST(Trim, KeepsCharactersThatOnlyLookBlank) {
  // Zero width space, word joiner and the byte order mark are not White_Space.
  EXPECT_EQ(TrimWhitespace("\u200b"), "\u200b");
  EXPECT_EQ(TrimWhitespace("\u2060a\ufeff"), "\u2060a\ufeff");
}

TEST(Control, IsTheCategoryCc) {
  EXPECT_TRUE(IsControl(0));
  EXPECT_TRUE(IsControl(0x1f));
  EXPECT_FALSE(IsControl(0x20));
  EXPECT_TRUE(IsControl(0x7f));
  EXPECT_TRUE(IsControl(0x9f));
  EXPECT_FALSE(IsControl(0xa0));
}

}  // namespace
}  // namespace aimem
