#include "lib/model/validate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "aimem/limits.h"

namespace aimem::model {
namespace {

// The message of an error, "" for OK; every error of this room has the same code.
std::string Message(const absl::Status& status) {
  if (status.ok()) return "";
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

std::string Title(std::string text) { return Message(CheckTitle(text)); }
std::string Content(std::string text) { return Message(CheckContent(text)); }
std::string Namespace(std::string text) { return Message(CheckNamespace(text)); }
std::string Tags(std::vector<std::string> tags) { return Message(CheckTags(tags)); }
std::string Repeat(std::string_view text, std::size_t count) {
  std::string repeated;
  for (std::size_t i = 0; i < count; ++i) repeated += text;
  return repeated;
}

TEST(CheckTitle, CountsCharactersAfterTrimming) {
  EXPECT_EQ(Title(" \u00a0 "), "title cannot be empty");
  EXPECT_EQ(Title(" " + Repeat("é", 512) + " "), "");
  EXPECT_EQ(Title(Repeat("é", 513)), "title exceeds max length of 512 characters");
  for (const char* bad : {"a\tb", "a\nb", "a\rb", "a\u0085b", "a\x7f"}) {
    EXPECT_EQ(Title(bad), "title contains invalid characters");
  }
  EXPECT_EQ(Title("a\xff"), "title is not valid UTF-8");
  std::string title = "\t a b\u3000\n";
  EXPECT_TRUE(CheckTitle(title).ok());
  EXPECT_EQ(title, "a b");
}

TEST(CheckContent, NormalisesLineBreaksAndKeepsSpaces) {
  std::string content = " a\r\nb\rc\r\r\n\td ";
  EXPECT_TRUE(CheckContent(content).ok());
  EXPECT_EQ(content, " a\nb\nc\n\n\td ");
  EXPECT_EQ(Content("\r\n \t"), "content cannot be empty");
  EXPECT_EQ(Content(std::string(65'536, 'x')), "");
  EXPECT_EQ(Content(std::string(65'537, 'x')), "content exceeds max size of 65536 bytes");
  EXPECT_EQ(Content(std::string("a\0b", 3)), "content contains invalid characters");
  EXPECT_EQ(Content("\xc3"), "content is not valid UTF-8");
}

TEST(CheckNamespace, GivesTheFirstBrokenRule) {
  EXPECT_EQ(Namespace(" "), "namespace cannot be empty");
  EXPECT_EQ(Namespace(std::string(513, 'a')), "namespace exceeds max length of 512 characters");
  EXPECT_EQ(Namespace("a\\b c"), "namespace cannot contain backslashes or null bytes");
  EXPECT_EQ(Namespace(std::string("a\0b", 3)),
            "namespace cannot contain backslashes or null bytes");
  EXPECT_EQ(Namespace("a b\tc"), "namespace cannot contain spaces (use hyphens or underscores)");
  EXPECT_EQ(Namespace("/a\tb"), "namespace contains invalid control characters");
  EXPECT_EQ(Namespace("/a//b/"), "namespace cannot start with '/' (normalize input first)");
  EXPECT_EQ(Namespace("a//b/"), "namespace cannot end with '/' (normalize input first)");
  EXPECT_EQ(Namespace("../a//b"), "namespace cannot contain empty segments (e.g. '//')");
  EXPECT_EQ(Namespace("1/2/3/4/5/6/7/8/.."), "namespace segments '.' and '..' are not allowed");
  EXPECT_EQ(Namespace("1/2/3/4/5/6/7/8/9"), "namespace depth 9 exceeds max of 8");
  EXPECT_EQ(Namespace("\xff"), "namespace is not valid UTF-8");
  for (const char* good : {"*", "1/2/3/4/5/6/7/8", "_messages/ai:x@y", "…/a.b"}) {
    EXPECT_EQ(Namespace(good), "") << good;
  }
  std::string trimmed = " a/b\n";
  EXPECT_TRUE(CheckNamespace(trimmed).ok());
  EXPECT_EQ(trimmed, "a/b");
}

TEST(CheckTags, ChecksCountThenEachTag) {
  EXPECT_EQ(Tags(std::vector<std::string>(51, "")), "too many tags (max 50)");
  EXPECT_EQ(Tags(std::vector<std::string>(50, "a")), "");
  EXPECT_EQ(Tags({"a", "  "}), "tags cannot contain empty strings");
  EXPECT_EQ(Tags({std::string(128, 'a')}), "");
  EXPECT_EQ(Tags({Repeat("é", 65)}),
            "tag '" + Repeat("é", 20) + "...' exceeds max length of 128 bytes");
  EXPECT_EQ(Tags({"a\tb"}), "tag contains invalid characters");
  EXPECT_EQ(Tags({"\xff"}), "tag is not valid UTF-8");
  std::vector<std::string> tags = {" a ", "b"};
  EXPECT_TRUE(CheckTags(tags).ok());
  EXPECT_EQ(tags, (std::vector<std::string>{"a", "b"}));
}

TEST(CheckSource, TakesInternalSourcesOnlyFromImports) {
  EXPECT_EQ(Message(CheckSource(" ", Sources::kStore)), "source cannot be empty");
  EXPECT_EQ(Message(CheckSource(std::string(65, 'a'), Sources::kStore)),
            "source exceeds max length of 64 bytes");
  EXPECT_EQ(Message(CheckSource("notify", Sources::kStore)),
            "invalid source 'notify' — must be one of: user, claude, hook, api, cli, import, "
            "consolidation, system, chaos");
  for (const char* internal : {"mine-claude", "mine-chatgpt", "mine-slack", "auto-consolidate",
                               "notify", "ai-memory curator (autonomy)"}) {
    EXPECT_FALSE(CheckSource(internal, Sources::kStore).ok()) << internal;
    EXPECT_TRUE(CheckSource(internal, Sources::kImport).ok()) << internal;
  }
  EXPECT_FALSE(CheckSource("other", Sources::kImport).ok());
  EXPECT_TRUE(CheckSource("chaos", Sources::kStore).ok());
}

TEST(CheckNumbers, NameTheValueThatIsOutOfRange) {
  EXPECT_EQ(Message(CheckPriority(0)), "priority must be between 1 and 10 (got 0)");
  EXPECT_EQ(Message(CheckPriority(11)), "priority must be between 1 and 10 (got 11)");
  EXPECT_TRUE(CheckPriority(1).ok());
  EXPECT_TRUE(CheckPriority(10).ok());
  EXPECT_EQ(Message(CheckConfidence(std::nan(""))), "confidence must be a finite number");
  EXPECT_EQ(Message(CheckConfidence(-INFINITY)), "confidence must be a finite number");
  EXPECT_EQ(Message(CheckConfidence(1.5)), "confidence must be between 0.0 and 1.0 (got 1.5)");
  EXPECT_EQ(Message(CheckConfidence(-2)), "confidence must be between 0.0 and 1.0 (got -2)");
  EXPECT_EQ(Message(CheckConfidence(-std::numeric_limits<double>::denorm_min())).substr(0, 50),
            "confidence must be between 0.0 and 1.0 (got -0.000");
  EXPECT_EQ(Message(CheckConfidence(1e21)),
            "confidence must be between 0.0 and 1.0 (got 1000000000000000000000)");
  EXPECT_TRUE(CheckConfidence(0).ok());
  EXPECT_TRUE(CheckConfidence(1).ok());
  EXPECT_EQ(Message(CheckTtlSeconds(0)), "ttl_secs must be positive (got 0)");
  EXPECT_EQ(Message(CheckTtlSeconds(31'536'001)), "ttl_secs exceeds maximum of 1 year");
  EXPECT_TRUE(CheckTtlSeconds(31'536'000).ok());
}

TEST(CheckId, IsBlankLongOrUnclean) {
  EXPECT_EQ(Message(CheckId(" ")), "id cannot be empty");
  EXPECT_EQ(Message(CheckId(std::string(129, 'a'))), "id exceeds max length of 128 bytes");
  EXPECT_EQ(Message(CheckId(std::string("a\0", 2))), "id contains invalid characters");
  EXPECT_EQ(Message(CheckId("\xff")), "id is not valid UTF-8");
  EXPECT_TRUE(CheckId(std::string(128, 'a')).ok());
}

TEST(CheckLink, ChecksIdsThenRelationThenSelf) {
  EXPECT_EQ(Message(CheckLink("", "b", "x")), "id cannot be empty");
  EXPECT_EQ(Message(CheckLink("a", "", "x")), "id cannot be empty");
  EXPECT_EQ(Message(CheckLink("a", "a", "x")),
            "invalid relation 'x' — must be one of: related_to, supersedes, contradicts, "
            "derived_from");
  EXPECT_EQ(Message(CheckLink("a", "a", "supersedes")), "cannot link a memory to itself");
  EXPECT_EQ(Message(CheckRelation("")), "relation cannot be empty");
  EXPECT_EQ(Message(CheckRelation(std::string(65, 'a'))),
            "relation exceeds max length of 64 bytes");
  EXPECT_TRUE(CheckLink("a", "b", "derived_from").ok());
}

TEST(CheckAgentId, NamesTheFirstBadCharacter) {
  EXPECT_EQ(Message(CheckAgentId("")), "agent_id cannot be empty");
  EXPECT_EQ(Message(CheckAgentId(std::string(129, 'a'))),
            "agent_id exceeds max length of 128 bytes");
  EXPECT_EQ(Message(CheckAgentId("aé b")),
            "agent_id contains invalid character 'é' (allowed: alphanumeric, _-:@./)");
  EXPECT_EQ(Message(CheckAgentId("\xff")), "agent_id is not valid UTF-8");
  EXPECT_TRUE(CheckAgentId("ai:Claude-4.7@host_1:pid-9/x").ok());
}

TEST(CheckAgentType, TakesCuratedAndNamedAiTypes) {
  EXPECT_EQ(Message(CheckAgentType(" ")), "agent_type cannot be empty");
  EXPECT_EQ(Message(CheckAgentType(std::string(65, 'a'))),
            "agent_type exceeds max length of 64 bytes");
  EXPECT_EQ(Message(CheckAgentType("ai:")),
            "agent_type 'ai:' must include a name (e.g. 'ai:claude-opus-4.7')");
  EXPECT_EQ(Message(CheckAgentType("ai:a b")),
            "agent_type 'ai:a b' contains invalid characters in the ai: name part (allowed: "
            "alphanumeric, _-.)");
  EXPECT_EQ(Message(CheckAgentType("robot")),
            "invalid agent_type 'robot' — must be one of: ai:claude-opus-4.6, "
            "ai:claude-opus-4.7, ai:codex-5.4, ai:grok-4.2, human, system (or any ai:<name> form)");
  EXPECT_TRUE(CheckAgentType("human").ok());
  EXPECT_TRUE(CheckAgentType("ai:x_1.2-b").ok());
}

TEST(CheckScope, IsAClosedSet) {
  EXPECT_TRUE(CheckScope("collective").ok());
  EXPECT_EQ(Message(CheckScope("Team")),
            "invalid scope 'Team' — must be one of: private, team, unit, org, collective");
  EXPECT_EQ(Message(CheckScope("")), "scope cannot be empty");
}

TEST(CheckConsolidateIds, ChecksCountThenRepeats) {
  const auto check = [](const std::vector<std::string>& ids) {
    return Message(CheckConsolidateIds(ids));
  };
  EXPECT_EQ(check({"a"}), "need at least 2 memory IDs to consolidate");
  EXPECT_EQ(check(std::vector<std::string>(101, "a")),
            "cannot consolidate more than 100 memories at once");
  EXPECT_EQ(check({"a", "b", "a"}), "duplicate memory ID: a");
  EXPECT_EQ(check({"a", "b"}), "");
}

Memory ValidMemory() {
  Memory memory;
  memory.id = "id";
  memory.title = "title";
  memory.content = "content";
  memory.source = "notify";
  return memory;
}

TEST(CheckMemory, ChecksInTheDocumentedOrder) {
  Memory memory;
  memory.namespace_ = memory.source = "";
  memory.tags = {""};
  memory.priority = 0;
  memory.confidence = 2;
  memory.access_count = -1;
  memory.created_at = memory.updated_at = absl::InfinitePast();
  memory.last_accessed_at = memory.expires_at = absl::InfinitePast();
  memory.metadata = "[]";
  const auto next = [&] { return Message(CheckMemory(memory, Sources::kImport)); };
  EXPECT_EQ(next(), "id cannot be empty");
  memory.id = "id";
  EXPECT_EQ(next(), "title cannot be empty");
  memory.title = "title";
  EXPECT_EQ(next(), "content cannot be empty");
  memory.content = "content";
  EXPECT_EQ(next(), "namespace cannot be empty");
  memory.namespace_ = "a";
  EXPECT_EQ(next(), "source cannot be empty");
  memory.source = "notify";
  EXPECT_EQ(next(), "tags cannot contain empty strings");
  memory.tags.clear();
  EXPECT_EQ(next(), "priority must be between 1 and 10 (got 0)");
  memory.priority = 5;
  EXPECT_EQ(next(), "confidence must be between 0.0 and 1.0 (got 2)");
  memory.confidence = 1;
  EXPECT_EQ(next(), "access_count cannot be negative");
  memory.access_count = 0;
  EXPECT_EQ(next().substr(0, 18), "created_at must be");
  memory.created_at = absl::UnixEpoch();
  EXPECT_EQ(next().substr(0, 18), "updated_at must be");
  memory.updated_at = absl::UnixEpoch();
  EXPECT_EQ(next().substr(0, 24), "last_accessed_at must be");
  memory.last_accessed_at.reset();
  EXPECT_EQ(next().substr(0, 18), "expires_at must be");
  memory.expires_at.reset();
  EXPECT_EQ(next(), "metadata must be a JSON object");
  memory.metadata = R"({"agent_id":7})";
  EXPECT_EQ(next(), "metadata.agent_id must be a string");
  memory.metadata = R"({"agent_id":"a b"})";
  EXPECT_EQ(next(), "agent_id contains invalid character ' ' (allowed: alphanumeric, _-:@./)");
  memory.metadata = R"({"b":1, "agent_id":"me"})";
  EXPECT_EQ(next(), "");
  EXPECT_EQ(memory.metadata, R"({"agent_id":"me","b":1})");
}

TEST(CheckMemory, NormalisesInPlace) {
  Memory memory = ValidMemory();
  memory.title = " title ";
  memory.content = "a\r\nb";
  memory.confidence = -0.0;
  memory.access_count = limits::kAccessCount + 1;
  memory.expires_at = *ParseTime("2262-01-01T00:00:00Z");
  ASSERT_TRUE(CheckMemory(memory, Sources::kImport).ok());
  EXPECT_EQ(memory.title, "title");
  EXPECT_EQ(memory.content, "a\nb");
  EXPECT_FALSE(std::signbit(memory.confidence));
  EXPECT_EQ(memory.access_count, limits::kAccessCount);
  EXPECT_FALSE(memory.expires_at) << "an end beyond 2261 is as good as none";
}

TEST(CheckMemory, OfAStoreLeavesIdCountsAndTimesToTheStore) {
  Memory memory = ValidMemory();
  EXPECT_FALSE(CheckMemory(memory, Sources::kStore).ok()) << "internal source";
  memory.source = "api";
  memory.id = "";
  memory.access_count = -1;
  EXPECT_TRUE(CheckMemory(memory, Sources::kStore).ok());
}

TEST(Names, OfTiersAndReasonsRoundTrip) {
  for (const Tier tier : {Tier::kShort, Tier::kMid, Tier::kLong}) {
    EXPECT_EQ(ParseTier(TierName(tier)), tier);
  }
  EXPECT_EQ(TierName(Tier::kLong), "long");
  EXPECT_FALSE(ParseTier("Long"));
  EXPECT_FALSE(ParseTier(""));
  EXPECT_EQ(ArchiveReasonName(ArchiveReason::kForget), "forget");
  EXPECT_EQ(ArchiveReasonName(ArchiveReason::kTtlExpired), "ttl_expired");
  EXPECT_EQ(ArchiveReasonName(ArchiveReason::kConsolidated), "consolidated");
}

}  // namespace
}  // namespace aimem::model
