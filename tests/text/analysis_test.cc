#include "lib/text/analysis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/text/unicode.h"

namespace aimem::text {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Strings = std::vector<std::string>;

Analyzer Make(std::string_view language = kDefaultLanguage) {
  auto analyzer = Analyzer::Create(language);
  EXPECT_TRUE(analyzer.ok()) << analyzer.status();
  return std::move(analyzer).value();
}

Strings Terms(std::string_view text, std::string_view language = kDefaultLanguage) {
  Analyzer analyzer = Make(language);
  Strings terms;
  analyzer.Analyze(text, terms);
  return terms;
}

Strings Recall(std::string_view question, std::string_view language = kDefaultLanguage) {
  return Make(language).AnalyzeQuestion(question, QuestionKind::kRecall);
}

Strings Search(std::string_view question) {
  return Make().AnalyzeQuestion(question, QuestionKind::kSearch);
}

TEST(Analyzer, SplitsOnEverythingNotAlphanumeric) {
  EXPECT_THAT(Terms("well-spoken fix_it a.b:c/d"),
              ElementsAre("well", "speak", "fix", "it", "a", "b", "c", "d"));
  EXPECT_THAT(Terms("C++ 2024-05-08T13:56Z"), ElementsAre("c", "2024", "05", "08t13", "56z"));
  EXPECT_THAT(Terms("one…half½ naïve—yes 10€"),
              ElementsAre("1", "half1", "2", "naiv", "yes", "10"));
  EXPECT_THAT(Terms(std::string_view("a\0b", 3)), ElementsAre("a", "b"));
}

TEST(Analyzer, TextWithoutWordsHasNoTerms) {
  EXPECT_THAT(Terms(""), IsEmpty());
  EXPECT_THAT(Terms(" \t\n ... --- ''' ’’ 😀🎉 \u200B"), IsEmpty());
}

TEST(Analyzer, DropsPossessive) {
  EXPECT_THAT(Terms("John's dog, JOHN'S; John’s John\u02BCs Zoë's Zoë’S"),
              ElementsAre("john", "dog", "john", "john", "john", "zoe", "zoe"));
  EXPECT_THAT(Terms("the boys' s 's ''s 漢's"), ElementsAre("the", "boy", "s", "s", "s", "漢"));
  EXPECT_THAT(Terms("don't o’clock x's's"), ElementsAre("don", "t", "o", "clock", "x"));
}

TEST(Analyzer, FormsOfOneWordGiveOneTerm) {
  const std::vector<Strings> words = {{"go", "goes", "going", "went", "gone"},
                                      {"buy", "buys", "buying", "bought"},
                                      {"child", "children", "child's", "CHILDREN"},
                                      {"write", "writes", "writing", "wrote", "written"},
                                      {"have", "has", "had", "having"},
                                      {"leave", "leaves", "leaving", "left"},
                                      {"lose", "loses", "losing", "lost"},
                                      {"running", "ran", "runs", "run"},
                                      {"7", "seven", "Seven"},
                                      {"café", "cafe", "CAFÉ", "cafe\u0301s"},
                                      {"connection", "connections", "connected", "connecting"}};
  for (const Strings& forms : words) {
    const Strings expected = Terms(forms.front());
    ASSERT_EQ(expected.size(), 1u) << forms.front();
    for (const std::string& form : forms) EXPECT_EQ(Terms(form), expected) << form;
  }
}

TEST(Analyzer, DifferentWordsGiveDifferentTerms) {
  EXPECT_NE(Terms("thought"), Terms("though"));
  EXPECT_NE(Terms("6"), Terms("seven"));
  EXPECT_NE(Terms("की"), Terms("का"));
}

TEST(Analyzer, ScriptsWithoutSpacesBecomeBigrams) {
  EXPECT_THAT(Terms("東京都"), ElementsAre("東京", "京都"));
  EXPECT_THAT(Terms("水"), ElementsAre("水"));
  EXPECT_THAT(Terms("iPhone手机壳v2"), ElementsAre("iphon", "手机", "机壳", "v2"));
  EXPECT_THAT(Terms("カード・ゲーム"), ElementsAre("カー", "ード", "ゲー", "ーム"));
  EXPECT_THAT(Terms("我，你好。"), ElementsAre("我", "你好"));
  EXPECT_THAT(Terms("ไทย"), ElementsAre("ไท", "ทย"));
  EXPECT_THAT(Terms("ພາ မြန်"), ElementsAre("ພາ", "မြ", "ြန", "န်"));
}

TEST(Analyzer, ScriptsWithSpacesKeepTheirWords) {
  EXPECT_THAT(Terms("한국어 사전"), ElementsAre("한국어", "사전"));
  EXPECT_THAT(Terms("हिन्दी भाषा", "none"), ElementsAre("हिन्दी", "भाषा"));
  EXPECT_THAT(Terms("كِتَاب", "none"), ElementsAre("كتاب"));
}

TEST(Analyzer, CutsTermsOnACodePointBoundary) {
  EXPECT_THAT(Terms(std::string(100, 'Q')), ElementsAre(std::string(64, 'q')));
  EXPECT_THAT(Terms(std::string(64, 'q')), ElementsAre(std::string(64, 'q')));
  std::string word = "q";
  std::string expected = "q";
  for (int i = 0; i < 50; ++i) word += "ж";
  for (int i = 0; i < 31; ++i) expected += "ж";
  EXPECT_THAT(Terms(word, "none"), ElementsAre(expected));
}

TEST(Analyzer, NoneNeitherStemsNorKnowsEnglish) {
  EXPECT_THAT(Terms("Running went SEVEN Élan's", "none"),
              ElementsAre("running", "went", "seven", "elan"));
  EXPECT_THAT(Recall("what is the", "none"), ElementsAre("what", "is", "the"));
  EXPECT_THAT(Recall("what is running", "none"), ElementsAre("what", "is", "running"));
}

TEST(Analyzer, OtherStemmersSeeAccentsAndTermsHaveNone) {
  EXPECT_EQ(Terms("красный", "russian"), Terms("красного", "russian"));
  EXPECT_EQ(Terms("ёлка", "russian"), Terms("елки", "russian"));
  EXPECT_EQ(Terms("canción", "spanish"), Terms("canciones", "spanish"));
  EXPECT_EQ(Terms("École", "french"), Terms("ecoles", "french"));
  EXPECT_THAT(Terms("Häuser", "german"), ElementsAre("haus"));
  EXPECT_THAT(Terms("the went", "french"), ElementsAre("the", "went"));
}

TEST(Analyzer, LanguagesAreCheckedByName) {
  EXPECT_THAT(Languages(), Contains("english"));
  EXPECT_THAT(Languages(), Contains("none"));
  for (const std::string_view language : Languages()) {
    auto analyzer = Analyzer::Create(language);
    ASSERT_TRUE(analyzer.ok()) << analyzer.status();
    EXPECT_EQ(analyzer->language(), language);
  }
  for (const std::string_view language : {"", "English", "en", "klingon", "english "}) {
    const absl::Status status = Analyzer::Create(language).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << language;
    EXPECT_THAT(std::string(ToStd(status.message())), HasSubstr("'" + std::string(language) + "'"));
    EXPECT_THAT(std::string(ToStd(status.message())), HasSubstr("english"));
  }
}

TEST(AnalyzeQuestion, RecallDropsStopWordsAndRepeats) {
  EXPECT_THAT(Recall("When did Caroline go to the support group?"),
              ElementsAre("carolin", "go", "support", "group"));
  EXPECT_THAT(Recall("go going GONE, dogs and dog"), ElementsAre("go", "dog"));
  EXPECT_THAT(Recall("What's Zoë's plan?"), ElementsAre("zoe", "plan"));
}

TEST(AnalyzeQuestion, OperatorsAreWords) {
  EXPECT_THAT(Search("Hello AND \"world*\""), ElementsAre("hello", "and", "world"));
  EXPECT_THAT(Search("NOT well-known NEAR(x)"), ElementsAre("not", "well", "know", "near", "x"));
}

TEST(AnalyzeQuestion, RecallKeepsStopWordsWhenNothingElseIsThere) {
  EXPECT_THAT(Recall("What did they do?"), ElementsAre("what", "do", "they"));
  EXPECT_THAT(Recall("The Who"), ElementsAre("the", "who"));
}

TEST(AnalyzeQuestion, SearchDropsNothing) {
  EXPECT_THAT(Search("when did the dogs go and go"),
              ElementsAre("when", "do", "the", "dog", "go", "and"));
}

TEST(AnalyzeQuestion, WithoutWordsThereIsNothing) {
  EXPECT_THAT(Recall("  "), IsEmpty());
  EXPECT_THAT(Search("?!"), IsEmpty());
}

TEST(Words, AreNormalisedAndUnstemmed) {
  EXPECT_THAT(Make().Words("Running WENT Zoë's seven-eleven 東京都"),
              ElementsAre("running", "went", "zoe", "seven", "eleven", "東京", "京都"));
  EXPECT_THAT(Make("french").Words("Écoles"), ElementsAre("ecoles"));
}

TEST(Names, AreWordsWithACapitalWithinASentence) {
  const auto names = [](std::string_view text) { return Make().Names(text); };
  EXPECT_THAT(names("What did Caroline's (Émile) say? Then Zoë went"),
              ElementsAre("carolin", "emil", "zoe"));
  EXPECT_THAT(names("Caroline: Hello. Ann"), IsEmpty());
  EXPECT_THAT(names(""), IsEmpty());
  EXPECT_THAT(names("a \xff \"B\""), ElementsAre("b"));
}

TEST(Analyzer, MovesWithItsLanguage) {
  Analyzer first = Make("german");
  Analyzer second = std::move(first);
  EXPECT_EQ(second.language(), "german");
  Strings terms;
  second.Analyze("Häuser", terms);
  EXPECT_THAT(terms, ElementsAre("haus"));
}

// Text of all the kinds that the code tells apart, whole and broken.
std::string RandomText(std::mt19937_64& random, std::size_t pieces) {
  static constexpr std::string_view kPieces[] = {
      "a",      "Dogs",        "went",    "'s",
      "’s",     "'",           " ",       " ",
      "-",      "\n",          "é",       "e\u0301",
      "й",      "漢",          "字",      "カ",
      "ｶﾞ",     "ไ",           "한",      "हिं",
      "\u00AD", "½",           "😀",       "\xff",
      "\xc3",   "\xe4\xb8",    "\u0301",  "ß",
      "İ",      "7",           "running", "\u02BC",
      "\uFDFA", "connections", "_",       "abcdefghijklmnopqrstuvwxyzabcdefghijklmnop"};
  std::string text;
  for (std::size_t i = 0; i < pieces; ++i) text += kPieces[random() % std::size(kPieces)];
  return text;
}

bool IsValidTerm(std::string_view term) {
  if (term.empty() || term.size() > kTermBytesMax) return false;
  std::vector<char32_t> code_points;
  Normalize(term, /*keep_accents=*/true, code_points);
  return std::all_of(code_points.begin(), code_points.end(), IsWordCharacter);
}

TEST(AnalyzerProperties, TermsAreBoundedWordsAndIndependentOfHistory) {
  const std::uint64_t seed = 20'240'501;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (const std::string_view language : {"english", "none", "russian", "french", "hindi"}) {
    Analyzer used = Make(language);
    for (int round = 0; round < 300; ++round) {
      const std::string text = RandomText(random, 1 + random() % 40);
      Strings terms;
      used.Analyze(text, terms);
      EXPECT_EQ(terms, Terms(text, language)) << text;
      for (const std::string& term : terms) EXPECT_TRUE(IsValidTerm(term)) << term;

      Strings distinct;
      for (const std::string& term : terms) {
        if (std::find(distinct.begin(), distinct.end(), term) == distinct.end()) {
          distinct.push_back(term);
        }
      }
      EXPECT_EQ(used.AnalyzeQuestion(text, QuestionKind::kSearch), distinct) << text;
    }
  }
}

TEST(AnalyzerProperties, ASpaceSeparatesWhateverStandsAround) {
  const std::uint64_t seed = 7;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  Analyzer analyzer = Make();
  for (int round = 0; round < 1000; ++round) {
    const std::string left = RandomText(random, random() % 12);
    const std::string right = RandomText(random, random() % 12);
    Strings apart;
    analyzer.Analyze(left, apart);
    analyzer.Analyze(right, apart);
    Strings together;
    analyzer.Analyze(left + " " + right, together);
    EXPECT_EQ(together, apart) << left << " | " << right;
  }
}

// A soft hyphen is invisible but not ASCII, so it sends its chunk down the other path.
TEST(AnalyzerProperties, AsciiAndUnicodePathsAgree) {
  const std::uint64_t seed = 11;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  static constexpr std::string_view kAlphabet = "aBsS'7 '-.xq";
  Analyzer analyzer = Make();
  for (int round = 0; round < 3000; ++round) {
    std::string plain;
    std::string marked;
    for (std::size_t i = 0, size = random() % 20; i < size; ++i) {
      const char byte = kAlphabet[random() % kAlphabet.size()];
      plain.push_back(byte);
      marked.push_back(byte);
      marked += "\u00AD";
    }
    Strings expected;
    analyzer.Analyze(plain, expected);
    Strings actual;
    analyzer.Analyze(marked, actual);
    EXPECT_EQ(actual, expected) << plain;
  }
}

}  // namespace
}  // namespace aimem::text
