// PutMemory: creating, updating column by column, normalising, refusing.
#include <algorithm>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "aimem/limits.h"
#include "gmock/gmock.h"
#include "testing/support.h"

namespace aimem {
namespace conformance {
void LinkPutTests() {}
}  // namespace conformance

namespace {

using conformance::Note;
using conformance::Text;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_P(StoreConformance, PutCreatesAMemoryWithAllItsFields) {
  PutMemory put = Note("title", "content");
  put.tier = Tier::kShort;
  put.tags = {"red", "green"};
  put.priority = 7;
  put.confidence = 0.25;
  put.source = "hook";
  put.expires_at = Now() + absl::Hours(3) + absl::Nanoseconds(7);
  put.metadata = R"({"b": 2, "a": {"z": [1, null], "y": true}})";
  const ItemResult result = Do(put, {.agent_id = "ai:tester"});
  EXPECT_EQ(result.effect, ItemEffect::kCreated);

  const Memory memory = Stored(result.id);
  EXPECT_EQ(memory.id, result.id);
  EXPECT_EQ(memory.tier, Tier::kShort);
  EXPECT_EQ(memory.namespace_, "notes");
  EXPECT_EQ(memory.title, "title");
  EXPECT_EQ(memory.content, "content");
  EXPECT_THAT(memory.tags, ElementsAre("red", "green"));
  EXPECT_EQ(memory.priority, 7);
  EXPECT_EQ(memory.confidence, 0.25);
  EXPECT_EQ(memory.source, "hook");
  EXPECT_EQ(memory.access_count, 0);
  EXPECT_EQ(memory.created_at, Now());
  EXPECT_EQ(memory.updated_at, Now());
  EXPECT_EQ(memory.last_accessed_at, std::nullopt);
  EXPECT_EQ(memory.expires_at, put.expires_at);
  EXPECT_EQ(memory.metadata, R"({"a":{"y":true,"z":[1,null]},"agent_id":"ai:tester","b":2})");
}

TEST_P(StoreConformance, PutUsesTheDocumentedDefaults) {
  PutMemory put;
  put.title = "t";
  put.content = "c";
  const Memory memory = Stored(Id(put));
  EXPECT_EQ(memory.namespace_, "global");
  EXPECT_EQ(memory.tier, Tier::kMid);
  EXPECT_EQ(memory.priority, 5);
  EXPECT_EQ(memory.confidence, 1.0);
  EXPECT_EQ(memory.source, "api");
  EXPECT_THAT(memory.tags, IsEmpty());
  EXPECT_EQ(memory.metadata, "{}");
}

TEST_P(StoreConformance, PutLivesAsLongAsItsTierUnlessTold) {
  PutMemory put = Note("short");
  put.tier = Tier::kShort;
  EXPECT_EQ(Stored(Id(put)).expires_at, Now() + absl::Hours(6));
  put = Note("mid");
  EXPECT_EQ(Stored(Id(put)).expires_at, Now() + absl::Hours(7 * 24));
  put = Note("long");
  put.tier = Tier::kLong;
  EXPECT_EQ(Stored(Id(put)).expires_at, std::nullopt);
  put = Note("by seconds");
  put.ttl_seconds = 90;
  EXPECT_EQ(Stored(Id(put)).expires_at, Now() + absl::Seconds(90));
  put = Note("by time, which wins");
  put.ttl_seconds = 90;
  put.expires_at = Now() + absl::Hours(1);
  EXPECT_EQ(Stored(Id(put)).expires_at, put.expires_at);
  put = Note("long with an end");
  put.tier = Tier::kLong;
  put.expires_at = Now() + absl::Hours(1);
  EXPECT_EQ(Stored(Id(put)).expires_at, put.expires_at);
}

TEST_P(StoreConformance, PutOnATakenNameUpdatesItByTheRuleOfEachColumn) {
  PutMemory put = Note("title", "old");
  put.tags = {"old"};
  put.priority = 8;
  put.confidence = 0.4;
  put.source = "cli";
  put.expires_at = Now() + absl::Hours(2);
  put.metadata = R"({"kept":"no","other":1})";
  const std::string id = Id(put, {.agent_id = "ai:first"});
  const absl::Time created = Now();

  clock().Advance(absl::Minutes(1));
  put = Note("title", "new");
  put.tags = {"new", "tags"};
  put.priority = 3;
  put.confidence = 0.9;
  put.source = "hook";
  put.expires_at = Now() + absl::Hours(1);
  put.metadata = R"({"other":2})";
  const ItemResult result = Do(put, {.agent_id = "ai:second"});
  EXPECT_EQ(result.effect, ItemEffect::kUpdated);
  EXPECT_EQ(result.id, id);

  const Memory memory = Stored(id);
  EXPECT_EQ(memory.content, "new");
  EXPECT_THAT(memory.tags, ElementsAre("new", "tags"));
  EXPECT_EQ(memory.priority, 8) << "the greater of old and new";
  EXPECT_EQ(memory.confidence, 0.9) << "the greater of old and new";
  EXPECT_EQ(memory.source, "hook");
  EXPECT_EQ(memory.created_at, created);
  EXPECT_EQ(memory.updated_at, Now());
  EXPECT_EQ(memory.expires_at, Now() + absl::Hours(1));
  EXPECT_EQ(memory.metadata, R"({"agent_id":"ai:first","other":2})");
}

TEST_P(StoreConformance, PutNeverLowersTheTier) {
  const Tier tiers[] = {Tier::kShort, Tier::kMid, Tier::kLong};
  for (const Tier before : tiers) {
    for (const Tier after : tiers) {
      PutMemory put = Note(std::string(TierName(before)) + " then " + std::string(TierName(after)));
      put.tier = before;
      const std::string id = Id(put);
      put.tier = after;
      EXPECT_EQ(Id(put), id);
      EXPECT_EQ(Stored(id).tier, std::max(before, after)) << put.title;
    }
  }
}

TEST_P(StoreConformance, PutOnAnExistingMemoryGivesItTheEndOfANewOne) {
  PutMemory put = Note("title");
  put.expires_at = Now() + absl::Hours(1);
  const std::string id = Id(put);
  clock().Advance(absl::Minutes(1));
  put.expires_at.reset();
  Do(put);
  EXPECT_EQ(Stored(id).expires_at, Now() + absl::Hours(7 * 24)) << "the default of its tier";
  put.ttl_seconds = 60;
  Do(put);
  EXPECT_EQ(Stored(id).expires_at, Now() + absl::Seconds(60));
  // Beyond what can be stored means never, and not: the one before.
  put.expires_at = absl::FromCivil(absl::CivilYear(9000), absl::UTCTimeZone());
  Do(put);
  EXPECT_EQ(Stored(id).expires_at, std::nullopt);
}

TEST_P(StoreConformance, PutForgetsTheMetadataBeforeIt) {
  PutMemory put = Note("title");
  put.metadata = R"({"old":1,"kept":2})";
  const std::string id = Id(put);
  Do(PatchMemory{.id = id, .metadata = R"({"kept":2,"patched":3})"});
  put.metadata = R"({"new":4})";
  Do(put);
  EXPECT_EQ(Stored(id).metadata, R"({"new":4})");
  Store& other = OpenOther();
  conformance::CatchUp(store(), other);
  EXPECT_EQ(other.Get(id)->metadata, R"({"new":4})");
}

TEST_P(StoreConformance, PutThatMakesAMemoryLongEndsItsExpiry) {
  PutMemory put = Note("title");
  const std::string id = Id(put);
  EXPECT_NE(Stored(id).expires_at, std::nullopt);
  put.tier = Tier::kLong;
  EXPECT_EQ(Id(put), id);
  EXPECT_EQ(Stored(id).expires_at, std::nullopt);
}

TEST_P(StoreConformance, PutKeepsTheAccessCount) {
  const std::string id = Id(Note("title"));
  Do(TouchMemory{id});
  clock().Advance(absl::Minutes(1));
  Do(Note("title", "new"));
  const Memory memory = Stored(id);
  EXPECT_EQ(memory.content, "new");
  EXPECT_EQ(memory.access_count, 1);
  EXPECT_EQ(memory.last_accessed_at, Now() - absl::Minutes(1));
}

TEST_P(StoreConformance, PutTrimsWhatNamesAMemory) {
  PutMemory put = Note(" \t title ", " content keeps its spaces ");
  put.namespace_ = " a/b ";
  put.tags = {" tag "};
  const std::string id = Id(put);
  const Memory memory = Stored(id);
  EXPECT_EQ(memory.title, "title");
  EXPECT_EQ(memory.namespace_, "a/b");
  EXPECT_THAT(memory.tags, ElementsAre("tag"));
  put.title = "title";
  put.namespace_ = "a/b";
  EXPECT_EQ(Id(put), id);
}

TEST_P(StoreConformance, PutTurnsEveryLineBreakIntoLineFeed) {
  EXPECT_EQ(Stored(Id(Note("t", "a\r\nb\rc\nd\te"))).content, "a\nb\nc\nd\te");
}

TEST_P(StoreConformance, PutWritesMetadataInCanonicalForm) {
  PutMemory put = Note("t");
  put.metadata =
      "{ \"b\":1, \"\\u0061\" : \"\\u00e9\\/\", \"b\" : 1.50,\n"
      "\"big\":18446744073709551615 }";
  EXPECT_EQ(Stored(Id(put)).metadata,
            "{\"a\":\"\xc3\xa9/\",\"b\":1.5,\"big\":18446744073709551615}");
}

TEST_P(StoreConformance, PutWritesTheScopeIntoTheMetadata) {
  PutMemory put = Note("t");
  put.metadata = R"({"scope":"private"})";
  put.scope = "team";
  EXPECT_EQ(Stored(Id(put)).metadata, R"({"scope":"team"})");
}

TEST_P(StoreConformance, PutTakesTheAgentFromTheOptionsBeforeTheMetadata) {
  PutMemory put = Note("a");
  put.metadata = R"({"agent_id":"ai:inline"})";
  EXPECT_EQ(Stored(Id(put, {.agent_id = "ai:options"})).metadata, R"({"agent_id":"ai:options"})");
  put = Note("b");
  put.metadata = R"({"agent_id":"ai:inline"})";
  EXPECT_EQ(Stored(Id(put)).metadata, R"({"agent_id":"ai:inline"})");
}

TEST_P(StoreConformance, DeletedNameIsStoredAgainUnderTheSameId) {
  const std::string id = Id(Note("title", "first life"));
  Do(TouchMemory{id});
  Do(DeleteMemory{id});
  EXPECT_FALSE(Live(id));
  clock().Advance(absl::Minutes(1));
  PutMemory put = Note("title", "second life");
  put.priority = 1;
  const ItemResult result = Do(put, {.agent_id = "ai:second"});
  EXPECT_EQ(result.effect, ItemEffect::kCreated);
  EXPECT_EQ(result.id, id);
  const Memory memory = Stored(id);
  EXPECT_EQ(memory.content, "second life");
  EXPECT_EQ(memory.priority, 1);
  EXPECT_EQ(memory.access_count, 0);
  EXPECT_EQ(memory.created_at, Now());
  EXPECT_EQ(memory.metadata, R"({"agent_id":"ai:second"})");
}

TEST_P(StoreConformance, SameNameGivesTheSameIdInEveryStore) {
  Store& other = OpenOther();
  const std::string id = Id(Note("title"));
  const WriteResult result = other.Write(Note("title", "elsewhere"));
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.items[0].id, id);
  EXPECT_EQ(id.size(), 36u);
  EXPECT_EQ(id[14], '8') << "a version 8 UUID: " << id;
}

// -- Refusals -------------------------------------------------------------------------------------

struct BadPut {
  std::string what;
  std::string message;
  std::function<void(PutMemory&)> spoil;
};

std::string Nested(int depth) {
  std::string text = "{\"a\":";
  for (int i = 1; i < depth; ++i) text += "[";
  text += "1";
  for (int i = 1; i < depth; ++i) text += "]";
  return text + "}";
}

std::vector<BadPut> BadTexts() {
  return {
      {"no title", "title cannot be empty", [](auto& p) { p.title = " "; }},
      {"long title", "title exceeds max length of 512 characters",
       [](auto& p) { p.title = std::string(513, 't'); }},
      {"LF in title", "title contains invalid characters", [](auto& p) { p.title = "a\nb"; }},
      {"TAB in title", "title contains invalid characters", [](auto& p) { p.title = "a\tb"; }},
      {"no content", "content cannot be empty", [](auto& p) { p.content = " \n "; }},
      {"long content", "content exceeds max size of 65536 bytes",
       [](auto& p) { p.content = std::string(65'537, 'c'); }},
      {"control in content", "content contains invalid characters",
       [](auto& p) { p.content = "a\x01"; }},
      {"no namespace", "namespace cannot be empty", [](auto& p) { p.namespace_ = " "; }},
      {"backslash", "namespace cannot contain backslashes or null bytes",
       [](auto& p) { p.namespace_ = "a\\b"; }},
      {"space", "namespace cannot contain spaces (use hyphens or underscores)",
       [](auto& p) { p.namespace_ = "a b"; }},
      {"control in namespace", "namespace contains invalid control characters",
       [](auto& p) { p.namespace_ = "a\x7f"; }},
      {"leading slash", "namespace cannot start with '/' (normalize input first)",
       [](auto& p) { p.namespace_ = "/a"; }},
      {"trailing slash", "namespace cannot end with '/' (normalize input first)",
       [](auto& p) { p.namespace_ = "a/"; }},
      {"empty segment", "namespace cannot contain empty segments (e.g. '//')",
       [](auto& p) { p.namespace_ = "a//b"; }},
      {"dots", "namespace segments '.' and '..' are not allowed",
       [](auto& p) { p.namespace_ = "a/../b"; }},
      {"deep", "namespace depth 9 exceeds max of 8",
       [](auto& p) { p.namespace_ = "1/2/3/4/5/6/7/8/9"; }},
  };
}

std::vector<BadPut> BadValues() {
  return {
      {"no source", "source cannot be empty", [](auto& p) { p.source = ""; }},
      {"long source", "source exceeds max length of 64 bytes",
       [](auto& p) { p.source = std::string(65, 's'); }},
      {"internal source",
       "invalid source 'mine-claude' — must be one of: user, claude, hook, api, cli, import, "
       "consolidation, system, chaos",
       [](auto& p) { p.source = "mine-claude"; }},
      {"many tags", "too many tags (max 50)",
       [](auto& p) { p.tags = std::vector<std::string>(51, "tag"); }},
      {"empty tag", "tags cannot contain empty strings",
       [](auto& p) {
         p.tags = {"a", " "};
       }},
      {"long tag", "tag 'tttttttttttttttttttt...' exceeds max length of 128 bytes",
       [](auto& p) { p.tags = {std::string(129, 't')}; }},
      {"LF in tag", "tag contains invalid characters", [](auto& p) { p.tags = {"a\nb"}; }},
      {"low priority", "priority must be between 1 and 10 (got 0)",
       [](auto& p) { p.priority = 0; }},
      {"high priority", "priority must be between 1 and 10 (got 4294967301)",
       [](auto& p) { p.priority = 4'294'967'301; }},
      {"confidence", "confidence must be between 0.0 and 1.0 (got 1.5)",
       [](auto& p) { p.confidence = 1.5; }},
      {"no number", "confidence must be a finite number",
       [](auto& p) { p.confidence = std::numeric_limits<double>::quiet_NaN(); }},
      {"ttl", "ttl_secs must be positive (got 0)", [](auto& p) { p.ttl_seconds = 0; }},
      {"long ttl", "ttl_secs exceeds maximum of 1 year",
       [](auto& p) { p.ttl_seconds = 31'536'001; }},
      {"metadata", "metadata must be a JSON object", [](auto& p) { p.metadata = "[1]"; }},
      {"metadata depth", "metadata nesting depth exceeds limit of 32 (got 33)",
       [](auto& p) { p.metadata = Nested(33); }},
      {"metadata size", "metadata exceeds max size of 65536 bytes (got 65537)",
       [](auto& p) { p.metadata = "{\"a\":\"" + std::string(65'529, 'm') + "\"}"; }},
  };
}

void ExpectRefused(const std::vector<BadPut>& cases,
                   const std::function<absl::Status(PutMemory)>& refusal) {
  for (const BadPut& bad : cases) {
    PutMemory put = Note("title");
    bad.spoil(put);
    const absl::Status status = refusal(put);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.what;
    EXPECT_EQ(Text(status), bad.message) << bad.what;
  }
}

TEST_P(StoreConformance, PutRefusesBadTextsAndSaysWhy) {
  ExpectRefused(BadTexts(), [this](PutMemory put) { return Refusal(std::move(put)); });
  // The limits themselves are allowed.
  PutMemory put = Note(std::string(512, 't'), std::string(65'536, 'c'));
  put.namespace_ = "1/2/3/4/5/6/7/8";
  EXPECT_TRUE(Live(Id(put)));
}

TEST_P(StoreConformance, PutRefusesBadValuesAndSaysWhy) {
  ExpectRefused(BadValues(), [this](PutMemory put) { return Refusal(std::move(put)); });
  PutMemory put = Note("limits");
  put.tags = std::vector<std::string>(50, std::string(128, 't'));
  put.priority = 10;
  put.ttl_seconds = 31'536'000;
  put.metadata = Nested(32);
  EXPECT_TRUE(Live(Id(put)));
}

TEST_P(StoreConformance, PutRefusesAnExpiryInThePast) {
  PutMemory put = Note("title");
  put.expires_at = Now() - absl::Nanoseconds(1);
  EXPECT_EQ(Text(Refusal(put)), "expires_at is in the past");
}

TEST_P(StoreConformance, PutRefusesTextThatIsNotUtf8) {
  PutMemory put = Note("title \xff");
  EXPECT_EQ(Refusal(put).code(), absl::StatusCode::kInvalidArgument);
  put = Note("title", "content \xc3");
  EXPECT_EQ(Refusal(put).code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(StoreConformance, PutRefusesABadAgentAndABadScope) {
  EXPECT_EQ(Text(Refusal(Note("t"), {.agent_id = "ai:a b"})),
            "agent_id contains invalid character ' ' (allowed: alphanumeric, _-:@./)");
  PutMemory put = Note("t");
  put.scope = "everybody";
  EXPECT_EQ(Refusal(put).code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(StoreConformance, PutReportsTheFirstOfSeveralFaults) {
  PutMemory put = Note("", "");
  put.namespace_ = "";
  put.priority = 0;
  EXPECT_EQ(Text(Refusal(put)), "title cannot be empty");
  put.title = "t";
  EXPECT_EQ(Text(Refusal(put)), "content cannot be empty");
  put.content = "c";
  EXPECT_EQ(Text(Refusal(put)), "namespace cannot be empty");
  put.namespace_ = "notes";
  EXPECT_EQ(Text(Refusal(put)), "priority must be between 1 and 10 (got 0)");
}

}  // namespace
}  // namespace aimem
