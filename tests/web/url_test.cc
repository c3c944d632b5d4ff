#include "services/web/url.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aimem::web {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(DecodeSegment, ReadsEscapes) {
  EXPECT_EQ(DecodeSegment("a+b%20c%2Fd"), "a+b c/d");
  EXPECT_EQ(DecodeSegment("%C3%A4"), "\xC3\xA4");
  for (const char* text : {"%", "%2", "%zz", "%FF"}) {
    EXPECT_EQ(DecodeSegment(text), std::nullopt) << text;
  }
}

TEST(Query, ReadsItsParameters) {
  Query query("a=1&b=x+y%21&&flag&n=-3");
  EXPECT_EQ(query.Text("b"), "x y!");
  EXPECT_EQ(query.Text("flag"), "");
  EXPECT_EQ(query.Text("absent"), std::nullopt);
  EXPECT_EQ(query.Unsigned("a"), 1);
  EXPECT_EQ(query.Integer("n"), -3);
  EXPECT_EQ(Query("f=true").Flag("f"), true);
  EXPECT_EQ(Query("f=false").Flag("f"), false);
  EXPECT_EQ(query.Flag("f"), std::nullopt);
  EXPECT_THAT(query.error(), IsEmpty());
}

TEST(Query, KeepsTheFirstError) {
  Query twice("a=1&a=2");
  EXPECT_THAT(twice.error(), HasSubstr("duplicate field `a`"));
  EXPECT_EQ(twice.Integer("a"), 1);

  Query query("n=-3&m=many");
  EXPECT_EQ(query.Unsigned("n"), std::nullopt);
  EXPECT_EQ(query.Integer("m"), std::nullopt);
  query.Refuse("of a reader");
  EXPECT_EQ(query.error(), "Failed to deserialize query string: n: invalid digit found in string");
  EXPECT_THAT(Query("%=1").error(), HasSubstr("percent escape"));
}

}  // namespace
}  // namespace aimem::web
