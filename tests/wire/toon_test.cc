#include "services/wire/toon.h"

#include <string>

#include "gtest/gtest.h"
#include "lib/model/validate.h"

namespace aimem::wire {
namespace {

constexpr char kCompactHeader[] =
    "memories[id|title|tier|namespace|priority|score|tags|agent_id]:\n";
constexpr char kFullHeader[] =
    "memories[id|title|tier|namespace|priority|confidence|score|access_count|tags|source|"
    "created_at|updated_at|metadata]:\n";

Memory Notes() {
  Memory memory;
  memory.id = "c2a1-02";
  memory.title = "A|B test notes";
  memory.namespace_ = "shop/api";
  memory.content = "never shown";
  memory.confidence = 0.9;
  memory.tags = {"exp"};
  memory.source = "claude";
  memory.access_count = 3;
  memory.created_at = *model::ParseTime("2026-04-20T09:00:00Z");
  memory.updated_at = memory.created_at;
  memory.metadata = R"({"agent_id":"alice"})";
  return memory;
}

TEST(Toon, CompactRowsFollowCountsAndStandards) {
  Memory house;
  house.id = "7f0c2d9e-1111-4a5b-9c3d-000000000001";
  house.title = "House rules";
  house.content = "Always run tests: both suites.\nNo force push.";
  Memory cache;
  cache.id = "c2a1-01";
  cache.title = "Cache size";
  cache.tier = Tier::kLong;
  cache.namespace_ = "shop/api";
  cache.priority = 8;
  cache.tags = {"redis", "tuning"};
  cache.metadata = R"({"agent_id":"ai:codex@dev1:pid-77"})";
  Memory notes = Notes();
  notes.tags.clear();
  const ToonDocument document{.mode = "hybrid",
                              .tokens_used = 41,
                              .budget_tokens = 500,
                              .standards = {&house},
                              .rows = {{&cache, 0.9124}, {&notes, 0.4}}};
  EXPECT_EQ(ToToon(document, ToonColumns::kCompact),
            "count:2|mode:hybrid|tokens_used:41|budget_tokens:500\n"
            "standards[id|title|content]:\n"
            "7f0c2d9e-1111-4a5b-9c3d-000000000001|House rules|"
            "Always run tests\\: both suites.\\nNo force push.\n"
            "memories[id|title|tier|namespace|priority|score|tags|agent_id]:\n"
            "c2a1-01|Cache size|long|shop/api|8|0.912|redis,tuning|ai\\:codex@dev1\\:pid-77\n"
            "c2a1-02|A\\|B test notes|mid|shop/api|5|0.4||alice\n");
}

TEST(Toon, FullRowsHaveEveryColumn) {
  const Memory notes = Notes();
  EXPECT_EQ(ToToon({.rows = {{&notes, 0.4}}}, ToonColumns::kFull),
            std::string("count:1\n") + kFullHeader +
                R"(c2a1-02|A\|B test notes|mid|shop/api|5|0.9|0.4|3|exp|claude|)"
                R"(2026-04-20T09\:00\:00+00\:00|2026-04-20T09\:00\:00+00\:00|)"
                R"({"agent_id"\:"alice"})"
                "\n");
}

TEST(Toon, NothingFoundStillHasItsHeader) {
  EXPECT_EQ(ToToon({}, ToonColumns::kCompact), std::string("count:0\n") + kCompactHeader);
  EXPECT_EQ(ToToon({.mode = "session_start"}, ToonColumns::kFull),
            std::string("count:0|mode:session_start\n") + kFullHeader);
}

TEST(Toon, ScoresAreNumbersOfThreeDecimalsAtMost) {
  Memory memory;
  memory.id = "m";
  memory.title = "t";
  const auto row = [&](std::optional<double> score) {
    const std::string text = ToToon({.rows = {{&memory, score}}}, ToonColumns::kCompact);
    return text.substr(text.find("5|"));
  };
  EXPECT_EQ(row({}), "5|||\n");
  EXPECT_EQ(row(0.0), "5|0.0||\n");
  EXPECT_EQ(row(0.7634), "5|0.763||\n");
  EXPECT_EQ(row(0.7635), "5|0.764||\n");
  EXPECT_EQ(row(2.0), "5|2.0||\n");
}

TEST(Toon, ABackslashIsEscapedBeforeWhatItEscapes) {
  Memory memory;
  memory.id = "m";
  memory.title = "a\\|b\\:c\r\nd\\n";
  memory.tags = {"x,y", "p|q", "r:s"};
  memory.metadata = R"({"path":"C:\\x"})";
  EXPECT_EQ(ToToon({.rows = {{&memory, {}}}}, ToonColumns::kCompact),
            std::string("count:1\n") + kCompactHeader +
                R"(m|a\\\|b\\\:c\r\nd\\n|mid|global|5||x,y,p\|q,r\:s|)"
                "\n");
  const std::string full = ToToon({.rows = {{&memory, {}}}}, ToonColumns::kFull);
  EXPECT_TRUE(full.ends_with("|{\"path\"\\:\"C\\:\\\\\\\\x\"}\n")) << full;
}

TEST(Toon, EmptyMetadataIsEmpty) {
  Memory memory;
  memory.id = "m";
  memory.title = "t";
  const std::string full = ToToon({.rows = {{&memory, {}}}}, ToonColumns::kFull);
  EXPECT_TRUE(full.ends_with("+00\\:00|\n")) << full;
}

}  // namespace
}  // namespace aimem::wire
