#include "lib/text/unicode.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace aimem::text {
namespace {

std::string Normalized(std::string_view utf8, bool keep_accents = false) {
  std::vector<char32_t> code_points;
  Normalize(utf8, keep_accents, code_points);
  std::string result;
  for (const char32_t code_point : code_points) AppendUtf8(code_point, result);
  return result;
}

TEST(Normalize, DropsAccentsAndCase) {
  EXPECT_EQ(Normalized("ÀÉÎõü"), "aeiou");
  EXPECT_EQ(Normalized("Zoe\u0308"), "zoe");
  EXPECT_EQ(Normalized("Straße"), "strasse");
  EXPECT_EQ(Normalized("İstanbul"), "istanbul");
  EXPECT_EQ(Normalized("Ελλάδα"), "ελλαδα");
}

TEST(Normalize, KeepsAccentsOnDemandAndComposesThem) {
  EXPECT_EQ(Normalized("E\u0301cole", true), "école");
  EXPECT_EQ(Normalized("КРАСНЫЙ", true), "красный");
  EXPECT_EQ(Normalized("КРАСНЫЙ", false), "красныи");
}

TEST(Normalize, UnfoldsCompatibilityForms) {
  EXPECT_EQ(Normalized("ＡＢＣ１"), "abc1");
  EXPECT_EQ(Normalized("ﬁne"), "fine");
  EXPECT_EQ(Normalized("𝐁old"), "bold");
  EXPECT_EQ(Normalized("ｶﾞ"), "ガ");
  EXPECT_EQ(Normalized("x²"), "x2");
}

TEST(Normalize, DropsInvisibleCharacters) {
  EXPECT_EQ(Normalized("a\u00ADb\u200Bc\u200Dd\uFEFFe\uFE0Ff\u202Eg\u2066h\u034Fi\u061Cj\u180Ek"),
            "abcdefghijk");
}

TEST(Normalize, KeepsMarksThatSpell) {
  EXPECT_EQ(Normalized("が"), "が");
  EXPECT_EQ(Normalized("हिन्दी"), "हिन्दी");
  EXPECT_EQ(Normalized("한국어"), "한국어");
  EXPECT_EQ(Normalized("กุ"), "กุ");
}

TEST(Normalize, TurnsInvalidBytesIntoSpaces) {
  EXPECT_EQ(Normalized("é\xff\xfe"), "e  ");
  EXPECT_EQ(Normalized("a\xc3"), "a ");
  EXPECT_EQ(Normalized("\xed\xa0\x80x"), "   x");  // a surrogate
  EXPECT_EQ(Normalized(""), "");
}

TEST(Normalize, HandlesTextThatGrows) {
  // U+FDFA is one code point of 3 bytes and decomposes into 18.
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "\uFDFA";
  std::vector<char32_t> code_points;
  Normalize(text, false, code_points);
  EXPECT_EQ(code_points.size(), 18'000u);
}

TEST(IsUnspaced, KnowsTheScripts) {
  for (const char32_t code_point : U"漢々ひカーไທကក\U00020000") {
    if (code_point != 0) {
      EXPECT_TRUE(IsUnspaced(code_point)) << static_cast<unsigned>(code_point);
    }
  }
  for (const char32_t code_point : U"a1éж한अ\u0e50\u3000\U0010FFFF") {
    EXPECT_FALSE(IsUnspaced(code_point)) << static_cast<unsigned>(code_point);
  }
}

TEST(IsWordCharacter, TellsLettersFromTheRest) {
  for (const char32_t code_point : {U'a', U'7', U'é', U'漢', U'٣', U'Ⅷ', U'\u093F'}) {
    EXPECT_TRUE(IsWordCharacter(code_point)) << static_cast<unsigned>(code_point);
  }
  for (const char32_t code_point : {U' ', U'_', U'-', U'・', U'€', U'😀', U'\u20E3', U'\u00A0'}) {
    EXPECT_FALSE(IsWordCharacter(code_point)) << static_cast<unsigned>(code_point);
  }
}

TEST(CutUtf8, CutsBetweenCodePoints) {
  EXPECT_EQ(CutUtf8("abc", 3), "abc");
  EXPECT_EQ(CutUtf8("abc", 2), "ab");
  EXPECT_EQ(CutUtf8("aé", 2), "a");
  EXPECT_EQ(CutUtf8("漢字", 5), "漢");
  EXPECT_EQ(CutUtf8("漢", 2), "");
}

}  // namespace
}  // namespace aimem::text
