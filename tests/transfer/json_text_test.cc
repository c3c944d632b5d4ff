#include "lib/transfer/json_text.h"

#include <nlohmann/json.hpp>

#include "aimem/transfer.h"
#include "gtest/gtest.h"

namespace aimem::transfer {
namespace {

TEST(JsonText, NumbersReadBackAndKeepTheirForm) {
  EXPECT_EQ(JsonNumber(1.0), "1.0");
  EXPECT_EQ(JsonNumber(0.0), "0.0");
  EXPECT_EQ(JsonNumber(0.1), "0.1");
  EXPECT_EQ(JsonNumber(0.7 + 0.1), "0.7999999999999999");
  EXPECT_EQ(nlohmann::json::parse(JsonNumber(1e-9)).get<double>(), 1e-9);
}

TEST(JsonText, PrettyPutsMembersOnLinesAndLeavesStringsAlone) {
  EXPECT_EQ(PrettyJson(R"({"a":[],"b":{},"c":[1,"x{,:}\"\\"],"d":{"e":null}})"),
            "{\n  \"a\": [],\n  \"b\": {},\n  \"c\": [\n    1,\n    \"x{,:}\\\"\\\\\"\n  ],\n"
            "  \"d\": {\n    \"e\": null\n  }\n}");
}

TEST(JsonText, PrettyIndentsEveryLineButTheFirst) {
  EXPECT_EQ(PrettyJson(R"({"a":1})", 4), "{\n      \"a\": 1\n    }");
}

TEST(JsonText, PrettyKeepsTheValue) {
  const std::string text =
      R"({"a":[[[]],{"b":[1.5,-2,"\u0000\n"]},true],"":"","c":{"d":{"e":[{},{"f":false}]}}})";
  EXPECT_EQ(nlohmann::json::parse(PrettyJson(text)), nlohmann::json::parse(text));
}

TEST(JsonText, MemoryHasTheKeysOfTheDataModelAndOmitsAbsentTimes) {
  Memory memory;
  memory.id = "id";
  memory.title = "a \"title\"";
  memory.content = "line\nline";
  memory.tags = {"x"};
  memory.metadata = R"({"k":[1]})";
  const nlohmann::json object = nlohmann::json::parse(MemoryToJson(memory));
  EXPECT_EQ(object, nlohmann::json::parse(R"({
    "id": "id", "tier": "mid", "namespace": "global", "title": "a \"title\"",
    "content": "line\nline", "tags": ["x"], "priority": 5, "confidence": 1.0, "source": "api",
    "access_count": 0, "created_at": "1970-01-01T00:00:00+00:00",
    "updated_at": "1970-01-01T00:00:00+00:00", "metadata": {"k": [1]}})"));
  EXPECT_EQ(MemoryToJson(memory).find('\n'), std::string::npos);
  memory.expires_at = absl::FromUnixSeconds(60);
  memory.last_accessed_at = absl::FromUnixSeconds(61);
  const nlohmann::json with_times = nlohmann::json::parse(MemoryToJson(memory));
  EXPECT_EQ(with_times["expires_at"], "1970-01-01T00:01:00+00:00");
  EXPECT_EQ(with_times["last_accessed_at"], "1970-01-01T00:01:01+00:00");
}

}  // namespace
}  // namespace aimem::transfer
