#include "lib/text/identifiers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "lib/text/analysis.h"

namespace aimem::text {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Strings = std::vector<std::string>;

Strings Wholes(std::string_view text) {
  Strings found;
  ForEachIdentifier(text, [&](std::string_view whole) { found.emplace_back(whole); });
  return found;
}

Strings Parts(std::string_view text) {
  Strings found;
  ForEachCamelPart(text, [&](std::string_view part) { found.emplace_back(part); });
  return found;
}

TEST(Identifiers, AreRunsThatSignsJoin) {
  EXPECT_THAT(Wholes("call foo_bar() in utils.py, v1.2.3"),
              ElementsAre("foo_bar", "utils.py", "v1.2.3"));
  EXPECT_THAT(Wholes("mail <bob@example.com>. See PROJ-123: done"),
              ElementsAre("bob@example.com", "PROJ-123"));
  EXPECT_THAT(Wholes("__init__.py x86-64 2023-05-25 10.5"),
              ElementsAre("init__.py", "x86-64", "2023-05-25", "10.5"));
  EXPECT_THAT(Wholes("在utils.py中"), ElementsAre("utils.py"));
}

TEST(Identifiers, WordsAndSentencesAreNone) {
  EXPECT_THAT(Wholes("well-known e.g. state-of-the-art"), IsEmpty());
  EXPECT_THAT(Wholes("wait...what -- no_ _ . @ - a--b9"), IsEmpty());
  EXPECT_THAT(Wholes(""), IsEmpty());
}

TEST(Identifiers, CamelCaseHasParts) {
  EXPECT_THAT(Parts("fooBar and HTTPServer"), ElementsAre("foo", "Bar", "HTTP", "Server"));
  EXPECT_THAT(Parts("parseJSON2Text sha256Sum"),
              ElementsAre("parse", "JSON2", "Text", "sha256", "Sum"));
  EXPECT_THAT(Parts("iPhone eBay"), ElementsAre("Phone", "Bay"));
  EXPECT_THAT(Parts("plain Words URLs APIs HTTP B2B x"), IsEmpty());
}

TEST(Identifiers, AreAnalysedBesideTheWords) {
  auto analyzer = Analyzer::Create();
  ASSERT_TRUE(analyzer.ok()) << analyzer.status();
  const auto identifiers = [&](std::string_view text) {
    Strings terms;
    analyzer->AnalyzeIdentifiers(text, [&](std::string_view term) { terms.emplace_back(term); });
    return terms;
  };
  EXPECT_THAT(identifiers("Foo_Bar getHeaders PROJ-7"),
              ElementsAre("foo_bar", "proj-7", "get", "header"));
  EXPECT_THAT(identifiers("theYouTube"), ElementsAre("tube")) << "stop words are no parts";
  EXPECT_THAT(identifiers("a_" + std::string(100, 'x')), ElementsAre("a_" + std::string(62, 'x')));
  Strings words;
  analyzer->Analyze("Foo_Bar getHeaders", words);
  EXPECT_THAT(words, ElementsAre("foo", "bar", "gethead")) << "words are what they are without";
}

TEST(TimeTerms, AreTermsThatTellWhen) {
  auto analyzer = Analyzer::Create();
  ASSERT_TRUE(analyzer.ok()) << analyzer.status();
  const auto count = [&](std::string_view text) {
    int found = 0;
    analyzer->Analyze(text, [&](std::string_view term) { found += analyzer->IsTimeTerm(term); });
    return found;
  };
  EXPECT_EQ(count("Yesterday, today, tomorrow, tonight"), 4);
  EXPECT_EQ(count("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"), 7);
  EXPECT_EQ(count("January February March April June July August September October November "
                  "December"),
            11);
  EXPECT_EQ(count("last week, next months, two years ago, recently, that weekend"), 8);
  EXPECT_EQ(count("on the 3rd and the 21st of 1999 and 2023"), 4);
  EXPECT_EQ(count("it may be 3000 or 12 or 1st2 or th"), 0);
}

}  // namespace
}  // namespace aimem::text
