#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <string>

#include "aimem/limits.h"
#include "lib/base/utf8.h"
#include "lib/model/validate.h"

namespace aimem::model {
namespace {

using Members = std::vector<std::pair<std::string, std::string>>;

std::string Canonical(std::string_view json) {
  const absl::StatusOr<std::string> canonical = CanonicalJson(json);
  return canonical.ok() ? *canonical : "error: " + std::string(canonical.status().message());
}

std::string Nested(int depth) {
  const auto levels = static_cast<std::size_t>(depth - 1);
  std::string text = "{\"a\":";
  text += std::string(levels, '[') + "1" + std::string(levels, ']');
  return text + "}";
}

TEST(CanonicalJson, SortsKeysByBytesAndDropsSpaces) {
  EXPECT_EQ(Canonical(" { \"b\" : [ 1 , true , null ] ,\n\"a\" : { } } "),
            R"({"a":{},"b":[1,true,null]})");
  // U+FFFF sorts below U+10000 by bytes, above it by UTF-16 units.
  EXPECT_EQ(Canonical("{\"\U00010000\":1,\"\uffff\":2,\"Z\":3,\"\":4}"),
            "{\"\":4,\"Z\":3,\"\uffff\":2,\"\U00010000\":1}");
}

TEST(CanonicalJson, KeepsTheLastOfDuplicateKeys) {
  EXPECT_EQ(Canonical(R"({"a":1,"b":2,"a":{"x":1,"x":2},"\u0061":4})"), R"({"a":4,"b":2})");
}

TEST(CanonicalJson, KeepsIntegersOf64Bits) {
  EXPECT_EQ(Canonical("[0,-0,-9223372036854775808,18446744073709551615]"),
            "[0,0,-9223372036854775808,18446744073709551615]");
}

TEST(CanonicalJson, WritesOtherNumbersAsShortestDoubles) {
  EXPECT_EQ(Canonical("[1.0,-0.0,1.50,1e2,0.1,1E30,1e-7,5e-324,1e-999]"),
            "[1.0,0.0,1.5,100.0,0.1,1e+30,1e-07,5e-324,0.0]");
  EXPECT_EQ(Canonical("18446744073709551616"), "18446744073709551616.0");
  EXPECT_EQ(Canonical("-9223372036854775809"), "-9223372036854775808.0");
}

TEST(CanonicalJson, RefusesNumbersBeyondDouble) {
  EXPECT_EQ(Canonical("1e999"),
            "error: the value is not valid JSON: number out of range near byte 5");
  EXPECT_EQ(Canonical("[" + std::string(400, '9') + "]").substr(0, 6), "error:");
}

TEST(CanonicalJson, EscapesOnlyWhatJsonDemands) {
  EXPECT_EQ(Canonical(R"("\u0041\/\u00e9\ud83d\ude00\u007f\"\\\b\f\n\r\t\u0000\u001F")"),
            "\"A/é😀\x7f\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\"");
}

TEST(CanonicalJson, SaysWhereTextIsInvalid) {
  EXPECT_EQ(Canonical("[1 2]"),
            "error: the value is not valid JSON: syntax error, invalid UTF-8 or lone surrogate "
            "near byte 4");
}

TEST(CanonicalJson, RefusesInvalidText) {
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("[1,]"), std::string("{\"a\" 1}"),
        std::string("01"), std::string("nul"), std::string("NaN"), std::string("1 2"),
        std::string("{}\0", 3), std::string("\"a\nb\""), std::string("\"\xff\""),
        std::string("\"\xed\xa0\x80\""), std::string(R"("\ud800")"), std::string(R"("\udc00")"),
        std::string(R"("\ud800\u0041")"), std::string(R"("\x41")"), std::string("/*c*/1"),
        std::string("{a:1}"), std::string("'a'")}) {
    EXPECT_EQ(CanonicalJson(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(CanonicalJson, SurvivesHostileDepth) {
  const std::string open(1'000'000, '[');
  EXPECT_FALSE(CanonicalJson(open).ok());
  EXPECT_EQ(Canonical(open + std::string(1'000'000, ']')),
            "error: JSON nesting depth exceeds limit of 64 (got 1000000)");
}

TEST(CanonicalMetadata, ChecksDepthSizeAndKind) {
  EXPECT_EQ(CanonicalMetadata("{}").value(), "{}");
  EXPECT_EQ(CanonicalMetadata(Nested(32)).value(), Nested(32));
  EXPECT_EQ(CanonicalMetadata(Nested(33)).status().message(),
            "metadata nesting depth exceeds limit of 32 (got 33)");
  for (const char* other : {"[]", "null", "1", "\"{}\"", "[{}]"}) {
    EXPECT_EQ(CanonicalMetadata(other).status().message(), "metadata must be a JSON object");
  }
  // {"a":"…"} has 8 bytes besides the text.
  const std::string most = "{\"a\":\"" + std::string(limits::kMetadataBytes - 8, 'x') + "\"}";
  EXPECT_EQ(CanonicalMetadata(most).value(), most);
  EXPECT_EQ(CanonicalMetadata("{\"a\":\"x" + most.substr(6)).status().message(),
            "metadata exceeds max size of 65536 bytes (got 65537)");
}

TEST(CanonicalMetadata, MeasuresTheCanonicalText) {
  const std::string spaces = "{" + std::string(100'000, ' ') + "}";
  EXPECT_EQ(CanonicalMetadata(spaces).value(), "{}");
}

// Random values, written carelessly: with spaces, long escapes and repeated keys.
class RandomJson {
 public:
  explicit RandomJson(unsigned seed) : random_(seed) {}

  std::string Value(int depth) {
    const int kind = Below(depth > 0 ? 8 : 6);
    if (kind == 0) return "null";
    if (kind == 1) return "true ";
    if (kind == 2) return std::to_string(static_cast<std::int64_t>(random_()) >> Below(64));
    if (kind == 3) return Double();
    if (kind <= 5) return String();
    std::string text = kind == 6 ? "[" : "{ ";
    for (int i = Below(5); i > 0; --i) {
      if (kind == 7) text += String() + ": ";
      text += Value(depth - 1) + (i > 1 ? " ," : "");
    }
    return text + (kind == 6 ? "]" : "}");
  }

  std::string Object(int depth) {
    std::string text = "{";
    for (int i = Below(6); i > 0; --i) text += String() + ":" + Value(depth) + (i > 1 ? "," : "");
    return text + "}";
  }

 private:
  int Below(int limit) { return static_cast<int>(random_() % static_cast<unsigned>(limit)); }

  std::string Double() {
    double value = std::bit_cast<double>(random_());
    if (!std::isfinite(value)) value = 0.5;
    if (Below(3) == 0) value = std::floor(std::ldexp(0.7, Below(100)));
    char buffer[400];
    std::snprintf(buffer, sizeof(buffer), Below(2) == 0 ? "%.17e" : "%.3f", value);
    return buffer;
  }

  std::string String() {
    static const std::vector<std::string> kPieces = {
        "a",    "b", "é", "😀", "\\n", "\\u0041", "\\u0007", "\\/", "\\\"",
        "\\\\", "{", "}", "[", "]",   ",",       ":",       " ",   "\\ud83d\\ude00"};
    std::string text = "\"";
    for (int i = Below(5); i > 0; --i) text += kPieces[random_() % kPieces.size()];
    return text + "\"";
  }

  std::mt19937_64 random_;
};

TEST(CanonicalJson, IsAFixedPoint) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  RandomJson random(seed);
  for (int i = 0; i < 5'000; ++i) {
    const std::string text = random.Value(4);
    const absl::StatusOr<std::string> once = CanonicalJson(text);
    ASSERT_TRUE(once.ok()) << text << once.status();
    ASSERT_EQ(CanonicalJson(*once).value(), *once) << text;
  }
}

TEST(MetadataMembers, TakenApartAndPutTogetherGiveTheSameText) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  RandomJson random(seed);
  for (int i = 0; i < 5'000; ++i) {
    const std::string canonical = CanonicalMetadata(random.Object(4)).value();
    const Members members = MetadataMembers(canonical);
    std::vector<std::pair<std::string_view, std::string_view>> views(members.begin(),
                                                                     members.end());
    ASSERT_EQ(MetadataFromMembers(views), canonical);
    for (const auto& [key, value] : members) ASSERT_EQ(CanonicalJson(value).value(), value);
  }
}

TEST(MetadataMembers, GivesDecodedKeysAndCanonicalValues) {
  EXPECT_EQ(MetadataMembers("{}"), Members());
  EXPECT_EQ(MetadataMembers(R"({"a\"b":{"x":[1,"}"]},"c":"\\","d":-1.5})"),
            (Members{{"a\"b", R"({"x":[1,"}"]})"}, {"c", R"("\\")"}, {"d", "-1.5"}}));
}

TEST(MetadataMembers, StaysInsideTextThatIsNotCanonical) {
  const std::string canonical = R"({"a\"b":{"x":[1,"}"]},"c":"\\","d":-1.5})";
  for (std::size_t length = 0; length <= canonical.size(); ++length) {
    EXPECT_LE(MetadataMembers(canonical.substr(0, length)).size(), 3u);
  }
  EXPECT_TRUE(MetadataMembers("{\"a\":]]]]").empty());
  EXPECT_TRUE(MetadataMembers("{\"a\\").empty());
}

TEST(JsonString, RoundTripsEveryCharacterBelow256) {
  std::string text;
  for (int i = 0; i < 128; ++i) text.push_back(static_cast<char>(i));
  text += "é😀";
  const std::string literal = JsonString(text);
  EXPECT_EQ(CanonicalJson(literal).value(), literal);
  EXPECT_EQ(JsonStringValue(literal), text);
}

TEST(JsonStringValue, RefusesWhatIsNotACanonicalLiteral) {
  for (const std::string_view literal :
       {"", "\"", "a", "1", "null", "\"a", "a\"", "\"a\"b\"", "\"\\\"", "\"\\/\"", "\"\\u0041\"",
        "\"\\u000a\"", "\"\\u001F\"", "\"\\u00\"", "\"\n\"", "\"\xff\""}) {
    EXPECT_FALSE(JsonStringValue(literal)) << literal;
  }
  EXPECT_EQ(JsonStringValue("\"\""), "");
}

}  // namespace
}  // namespace aimem::model
