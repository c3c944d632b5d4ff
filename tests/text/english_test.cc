#include "lib/text/english.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "lib/text/analysis.h"

namespace aimem::text {
namespace {

TEST(EnglishBase, MapsIrregularFormsAndSmallNumbers) {
  EXPECT_EQ(EnglishBase("went"), "go");
  EXPECT_EQ(EnglishBase("bought"), "buy");
  EXPECT_EQ(EnglishBase("children"), "child");
  EXPECT_EQ(EnglishBase("are"), "be");  // the first of the table
  EXPECT_EQ(EnglishBase("zero"), "0");  // the last
  EXPECT_EQ(EnglishBase("twelve"), "12");
}

TEST(EnglishBase, LeavesOtherWordsAlone) {
  for (const std::string_view word : {"", "a", "going", "thirteen", "zz", "wentx", "wen"}) {
    EXPECT_EQ(EnglishBase(word), word);
  }
}

// A base that is itself an entry would give two terms to one word.
TEST(EnglishBase, BasesAreFinal) {
  for (const std::string_view form :
       {"ate",   "became", "began",   "bent",  "broke", "brought", "came", "did",  "fell", "felt",
        "found", "gave",   "had",     "held",  "laid",  "left",    "lost", "made", "met",  "saw",
        "shot",  "stole",  "thought", "threw", "told",  "took",    "tore", "was",  "woke", "won"}) {
    const std::string_view base = EnglishBase(form);
    EXPECT_NE(base, form);
    EXPECT_EQ(EnglishBase(base), base) << form;
  }
}

TEST(EnglishStopWord, HoldsQuestionWordsButNoNamesOfThings) {
  for (const std::string_view word : {"a", "what", "when", "did", "the", "your", "t"}) {
    EXPECT_TRUE(IsEnglishStopWord(word)) << word;
  }
  for (const std::string_view word : {"", "may", "not", "go", "1", "zebra", "us"}) {
    EXPECT_FALSE(IsEnglishStopWord(word)) << word;
  }
}

}  // namespace
}  // namespace aimem::text
