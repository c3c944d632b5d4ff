#include "lib/model/view.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>

#include "lib/base/hash.h"
#include "lib/model/validate.h"

namespace aimem::model {
namespace {

Stamp At(std::uint64_t hlc) { return {hlc, 7}; }

// A whole row, put at stamp 10: mid, ends at 1000.
class Row {
 public:
  Row() {
    Put(10);
    Set(part::kTierMid, 10, "");
    Set(part::kExpiry, 10, EncodeExpiry(Tier::kMid, 1'000));
  }

  Row& Set(std::string_view name, std::uint64_t hlc, std::string value) {
    builder_.Set(name, At(hlc), std::move(value));
    return *this;
  }

  // Every part of a put except tier and expiry.
  Row& Put(std::uint64_t hlc) {
    Set(part::kPut, hlc, "");
    Set(part::kName, hlc, EncodeName("a/b", "title"));
    Set(part::kContent, hlc, "content");
    Set(part::kTags, hlc, EncodeTags(std::vector<std::string>{"x", "y"}));
    Set(part::kPriority, hlc, "\x07");
    Set(part::kConfidence, hlc, EncodeConfidence(0.25));
    Set(part::kSource, hlc, "cli");
    Set(part::kCreatedAt, hlc, EncodeTime(100));
    Set(part::kUpdatedAt, hlc, EncodeTime(200));
    Set(part::kUseCount, hlc, EncodeU64(3));
    return Set(part::kUseLast, hlc, EncodeTime(300));
  }

  const Parts& parts() { return builder_.Build(); }
  MemoryView View() { return ViewMemory(builder_.Build()); }

 private:
  PartsBuilder builder_;
};

Parts Without(const Parts& parts, std::string_view name) {
  Parts rest;
  for (const Part& part : parts) {
    if (part.name != name) rest.push_back(part);
  }
  return rest;
}

TEST(ViewMemory, ReadsEveryFieldOfALiveRow) {
  Row row;
  row.Set(part::kAgentId, 10, "me").Set(MetaPart("k"), 10, "1");
  const MemoryView view = row.View();
  EXPECT_EQ(view.phase, Phase::kLive);
  EXPECT_EQ(view.put, At(10));
  EXPECT_EQ(view.content_stamp, At(10));
  EXPECT_EQ(view.expiry_stamp, At(10));
  EXPECT_EQ(view.name_stamp, At(10));
  EXPECT_EQ(view.deleted, Stamp());
  Memory expected;
  expected.id = "id";
  expected.tier = Tier::kMid;
  expected.namespace_ = "a/b";
  expected.title = "title";
  expected.content = "content";
  expected.tags = {"x", "y"};
  expected.priority = 7;
  expected.confidence = 0.25;
  expected.source = "cli";
  expected.access_count = 3;
  expected.created_at = FromNanoseconds(100);
  expected.updated_at = FromNanoseconds(200);
  expected.last_accessed_at = FromNanoseconds(300);
  expected.expires_at = FromNanoseconds(1'000);
  expected.metadata = R"({"agent_id":"me","k":1})";
  EXPECT_EQ(ToMemory("id", row.parts(), view), expected);
}

TEST(ViewMemory, NeedsPutNameContentAndExpiry) {
  Row row;
  EXPECT_EQ(ViewMemory({}).phase, Phase::kGone);
  for (const std::string_view name : {part::kPut, part::kName, part::kContent, part::kExpiry}) {
    EXPECT_EQ(ViewMemory(Without(row.parts(), name)).phase, Phase::kGone);
  }
  EXPECT_EQ(Row().Set(part::kExpiry, 10, "").View().phase, Phase::kGone);
  EXPECT_EQ(Row().Set(part::kExpiry, 10, "\x03").View().phase, Phase::kGone);
  EXPECT_EQ(Row().Set(part::kExpiry, 10, "\x01x").View().phase, Phase::kGone);
  EXPECT_EQ(Row().Set(part::kName, 10, "no separator").View().phase, Phase::kGone);
}

TEST(ViewMemory, ReadsDefaultsForPartsThatAreMissingOrDoNotDecode) {
  Row row;
  for (const std::string_view name :
       {part::kPriority, part::kConfidence, part::kCreatedAt, part::kUseCount, part::kUseLast}) {
    row.Set(name, 11, "some bytes");
  }
  const MemoryView view = ViewMemory(Without(row.parts(), part::kTags));
  EXPECT_EQ(view.phase, Phase::kLive);
  EXPECT_EQ(view.priority, 5);
  EXPECT_EQ(view.confidence, 1.0);
  EXPECT_EQ(view.created_at, 0);
  EXPECT_EQ(view.access_count, 0);
  EXPECT_FALSE(view.last_accessed_at);
  EXPECT_EQ(view.tags, "");
}

TEST(ViewMemory, RefusesNumbersOutOfRange) {
  const MemoryView view =
      Row()
          .Set(part::kPriority, 11, "\xff")
          .Set(part::kConfidence, 11, EncodeConfidence(std::numeric_limits<double>::quiet_NaN()))
          .Set(part::kUseCount, 11, EncodeU64(std::numeric_limits<std::uint64_t>::max()))
          .View();
  EXPECT_EQ(view.priority, 5);
  EXPECT_EQ(view.confidence, 1.0);
  EXPECT_EQ(view.access_count, 1'000'000);
}

TEST(ViewMemory, IsTotalOnRandomParts) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20'000; ++i) {
    Row row;
    for (auto changes = random() % 6; changes > 0; --changes) {
      std::string value(random() % 10, '\0');
      for (char& c : value) c = static_cast<char>(random() % 4 == 0 ? random() : 0);
      const char name = static_cast<char>(1 + random() % 0x22);
      row.Set(std::string(1, name), 5 + random() % 10, value);
    }
    const MemoryView view = row.View();
    EXPECT_GE(view.priority, 1);
    EXPECT_LE(view.priority, 10);
    ToMemory("id", row.parts(), view);
    IndexedName({Kind::kMemory, "id"}, row.parts());
  }
}

// -- Phase ---------------------------------------------------------------------------------------

TEST(Phase, PurgedIsBeforeEverything) {
  Row row;
  row.Set(part::kPurged, 1, "").Set(part::kDeleted, 20, "");
  EXPECT_EQ(row.View().phase, Phase::kPurged);
  EXPECT_EQ(row.View().purged, At(1));
}

TEST(Phase, ADeleteIsUndoneOnlyByALaterPut) {
  EXPECT_EQ(Row().Set(part::kDeleted, 9, "").View().phase, Phase::kLive);
  EXPECT_EQ(Row().Set(part::kDeleted, 10, "").View().phase, Phase::kGone);
  EXPECT_EQ(Row().Set(part::kDeleted, 11, "").View().phase, Phase::kGone);
  EXPECT_EQ(Row().Set(part::kDeleted, 11, "").View().deleted, At(11));
}

TEST(Phase, ForgottenHoldsUntilALaterPut) {
  Row row;
  const MemoryView view = row.Set(part::kForgotten, 12, EncodeU64(42)).View();
  EXPECT_EQ(view.phase, Phase::kArchived);
  EXPECT_EQ(view.reason, ArchiveReason::kForget);
  EXPECT_EQ(view.archived_at, 42'000'000);
  EXPECT_EQ(view.content, "content") << "the content stays";
  EXPECT_EQ(Row().Set(part::kForgotten, 10, EncodeU64(42)).View().phase, Phase::kArchived)
      << "equal stamps: archived as imported";
  EXPECT_EQ(Row().Set(part::kForgotten, 9, EncodeU64(42)).View().phase, Phase::kLive);
}

TEST(Phase, ExpiredHoldsForTheExpiryItJudgedOnly) {
  const MemoryView view = Row().Set(part::kExpired, 10, EncodeTime(1'000)).View();
  EXPECT_EQ(view.phase, Phase::kArchived);
  EXPECT_EQ(view.reason, ArchiveReason::kTtlExpired);
  EXPECT_EQ(view.archived_at, 1'000);
  EXPECT_EQ(Row().Set(part::kExpired, 10, EncodeTime(999)).View().phase, Phase::kLive)
      << "judged before the end";
  EXPECT_EQ(Row()
                .Set(part::kExpired, 10, EncodeTime(2'000))
                .Set(part::kExpiry, 12, EncodeExpiry(Tier::kMid, 1'500))
                .View()
                .phase,
            Phase::kLive)
      << "the TTL was edited since";
  EXPECT_EQ(Row()
                .Set(part::kExpired, 10, EncodeTime(2'000))
                .Set(part::kUseUntil, 10, EncodeTime(2'001))
                .View()
                .phase,
            Phase::kLive)
      << "extended by a touch";
  EXPECT_EQ(Row()
                .Set(part::kExpired, 10, EncodeTime(2'000))
                .Set(part::kExpiry, 10, EncodeExpiry(Tier::kMid, std::nullopt))
                .View()
                .phase,
            Phase::kLive)
      << "never ends";
  EXPECT_EQ(
      Row().Set(part::kExpired, 10, EncodeTime(2'000)).Set(part::kTierLong, 12, "").View().phase,
      Phase::kLive)
      << "promoted";
  EXPECT_EQ(Row().Set(part::kExpired, 10, "bad").View().phase, Phase::kLive);
}

TEST(Phase, ConsolidatedHoldsForTheContentItReadOnly) {
  const MemoryView view = Row().Set(part::kConsolidated, 10, EncodeU64(42)).View();
  EXPECT_EQ(view.phase, Phase::kArchived);
  EXPECT_EQ(view.reason, ArchiveReason::kConsolidated);
  EXPECT_EQ(view.archived_at, 42'000'000);
  EXPECT_EQ(Row()
                .Set(part::kConsolidated, 10, EncodeU64(42))
                .Set(part::kContent, 11, "edited")
                .View()
                .phase,
            Phase::kLive);
}

TEST(Phase, TheFirstJudgementThatHoldsDecides) {
  Row row;
  row.Set(part::kConsolidated, 10, EncodeU64(1));
  EXPECT_EQ(row.View().reason, ArchiveReason::kConsolidated);
  row.Set(part::kExpired, 10, EncodeTime(5'000));
  EXPECT_EQ(row.View().reason, ArchiveReason::kTtlExpired);
  row.Set(part::kForgotten, 11, EncodeU64(1));
  EXPECT_EQ(row.View().reason, ArchiveReason::kForget);
}

TEST(Phase, AnArchiveTimeBeyondNanosecondsSaturates) {
  const auto most = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(Row().Set(part::kForgotten, 12, EncodeU64(most)).View().archived_at,
            std::numeric_limits<std::int64_t>::max());
}

TEST(Phase, AliveIsLiveBeforeTheEnd) {
  Row row;
  EXPECT_TRUE(row.View().AliveAt(999));
  EXPECT_FALSE(row.View().AliveAt(1'000));
  EXPECT_TRUE(Row().Set(part::kTierLong, 11, "").View().AliveAt(5'000));
  EXPECT_FALSE(row.Set(part::kForgotten, 11, EncodeU64(1)).View().AliveAt(0));
}

// -- Tier and expiry -----------------------------------------------------------------------------

TEST(Tier, IsTheHighestMarker) {
  Row row;
  EXPECT_EQ(ViewMemory(Without(row.parts(), part::kTierMid)).tier, Tier::kShort);
  EXPECT_EQ(row.View().tier, Tier::kMid);
  row.Set(part::kTierLong, 3, "");
  EXPECT_EQ(row.View().tier, Tier::kLong);
}

TEST(Tier, MarkersAreReadWhateverThePhase) {
  Row row;
  row.Set(part::kTierLong, 30, "").Set(part::kDeleted, 20, "");
  EXPECT_EQ(row.View().phase, Phase::kGone);
  EXPECT_EQ(MarkedTier(row.parts()), Tier::kLong);
  EXPECT_EQ(MarkedTier({}), Tier::kShort);
}

TEST(Expiry, IsExtendedByTouchesThatSawIt) {
  EXPECT_EQ(Row().Set(part::kUseUntil, 10, EncodeTime(2'000)).View().expires_at, 2'000);
  EXPECT_EQ(Row().Set(part::kUseUntil, 10, EncodeTime(500)).View().expires_at, 1'000)
      << "the later of the two";
  EXPECT_EQ(Row().Set(part::kUseUntil, 9, EncodeTime(2'000)).View().expires_at, 1'000)
      << "a touch of an earlier expiry";
  EXPECT_EQ(Row().Set(part::kUseUntil, 11, EncodeTime(2'000)).View().expires_at, 1'000)
      << "a touch of an expiry that is not here yet";
  EXPECT_EQ(Row().Set(part::kUseUntil, 10, "bad").View().expires_at, 1'000);
  EXPECT_FALSE(Row()
                   .Set(part::kExpiry, 10, EncodeExpiry(Tier::kMid, std::nullopt))
                   .Set(part::kUseUntil, 10, EncodeTime(2'000))
                   .View()
                   .expires_at)
      << "a touch gives no end to a row without one";
}

TEST(Expiry, OfAShorterTierIsVoidOnceLong) {
  EXPECT_FALSE(Row()
                   .Set(part::kTierLong, 11, "")
                   .Set(part::kUseUntil, 10, EncodeTime(2'000))
                   .View()
                   .expires_at);
  EXPECT_EQ(Row()
                .Set(part::kTierLong, 11, "")
                .Set(part::kExpiry, 11, EncodeExpiry(Tier::kLong, 3'000))
                .View()
                .expires_at,
            3'000)
      << "a long memory may carry an end of its own";
}

// -- Metadata ------------------------------------------------------------------------------------

TEST(Metadata, HidesClearedKeysAndKeysOlderThanThePut) {
  Row row;
  row.Set(MetaPart("old"), 9, "1").Set(MetaPart("same"), 10, "2").Set(MetaPart("new"), 11, "\"3\"");
  row.Set(MetaPart("cleared"), 11, "");
  EXPECT_EQ(MetadataJson(row.parts(), row.View()), R"({"new":"3","same":2})");
}

TEST(Metadata, ShowsAgentIdInItsPlace) {
  Row row;
  row.Set(part::kAgentId, 5, "ai:x");
  EXPECT_EQ(MetadataJson(row.parts(), row.View()), R"({"agent_id":"ai:x"})");
  row.Set(MetaPart("agent"), 10, "1").Set(MetaPart("agent_ie"), 10, "2");
  EXPECT_EQ(MetadataJson(row.parts(), row.View()), R"({"agent":1,"agent_id":"ai:x","agent_ie":2})");
  row.Set(MetaPart("agent_id"), 11, "\"forged\"");
  EXPECT_EQ(MetadataJson(row.parts(), row.View()), R"({"agent":1,"agent_id":"ai:x","agent_ie":2})");
}

TEST(Metadata, IsCanonical) {
  Row row;
  row.Set(MetaPart("é\"\n"), 10, "{}").Set(MetaPart(""), 10, "[]").Set("\x21x", 10, "9");
  const std::string json = MetadataJson(row.parts(), row.View());
  EXPECT_EQ(json, "{\"\":[],\"é\\\"\\n\":{}}");
  EXPECT_EQ(CanonicalMetadata(json).value(), json);
}

// -- Links and standards -------------------------------------------------------------------------

TEST(LinkKey, RoundTripsAndRefusesOtherForms) {
  const std::string key = MakeLinkKey("a", "b", "related_to");
  EXPECT_EQ(key, std::string("a\0b\0related_to", 14));
  const std::optional<LinkKey> link = ParseLinkKey(key);
  ASSERT_TRUE(link);
  EXPECT_EQ(link->source, "a");
  EXPECT_EQ(link->target, "b");
  EXPECT_EQ(link->relation, "related_to");
  for (const std::string& other :
       {std::string(), std::string("a"), std::string("a\0b", 3), std::string("\0b\0r", 4),
        std::string("a\0\0r", 4), std::string("a\0b\0", 4), std::string("a\0b\0r\0", 6)}) {
    EXPECT_FALSE(ParseLinkKey(other));
  }
}

TEST(Link, IsThereWhileLinkedIsLaterThanDeleted) {
  const auto view = [](std::uint64_t deleted) {
    PartsBuilder builder;
    builder.Set(part::kLinked, At(10), EncodeTime(77));
    if (deleted > 0) builder.Set(part::kDeleted, At(deleted), "");
    return ViewLink(builder.Build());
  };
  ASSERT_TRUE(view(0));
  EXPECT_EQ(view(0)->linked, At(10));
  EXPECT_EQ(view(0)->created_at, 77);
  EXPECT_TRUE(view(9));
  EXPECT_FALSE(view(10));
  EXPECT_FALSE(view(11));
  EXPECT_FALSE(ViewLink({}));
}

TEST(Link, IsShownBetweenLiveEndsOfTheLifeThatItSaw) {
  const LinkView link{At(20), 0};
  const MemoryView live = Row().View();
  EXPECT_TRUE(LinkShown(link, live, live));
  const MemoryView archived = Row().Set(part::kForgotten, 11, EncodeU64(1)).View();
  EXPECT_FALSE(LinkShown(link, live, archived));
  EXPECT_FALSE(LinkShown(link, archived, live));
  const auto reborn = [](std::uint64_t deleted) {
    Row row;
    return row.Put(30).Set(part::kDeleted, deleted, "").View();
  };
  ASSERT_EQ(reborn(20).phase, Phase::kLive);
  EXPECT_FALSE(LinkShown(link, live, reborn(20))) << "the link is of an earlier life";
  EXPECT_FALSE(LinkShown(link, reborn(20), live));
  EXPECT_TRUE(LinkShown(link, live, reborn(19)));
}

TEST(Standard, ReadsIdParentAndPolicy) {
  PartsBuilder builder;
  builder.Set(part::kStandardMemory, At(10), "id");
  builder.Set(part::kStandardParent, At(10), "root");
  builder.Set(part::kStandardPolicy, At(10), "{}");
  EXPECT_EQ(ViewStandard("a/b", builder.Build()), (NamespaceStandard{"a/b", "id", "root", "{}"}));
  builder.Set(part::kDeleted, At(10), "");
  EXPECT_FALSE(ViewStandard("a/b", builder.Build()));
  builder.Set(part::kStandardMemory, At(11), "id2");
  EXPECT_EQ(ViewStandard("a/b", builder.Build()), (NamespaceStandard{"a/b", "id2", "", ""}))
      << "parts that the delete covers do not come back";
  EXPECT_FALSE(ViewStandard("a/b", {}));
}

// -- Ids -----------------------------------------------------------------------------------------

TEST(Ids, FollowFromTheNameAsVersion8Uuids) {
  const std::string id = FirstId("global", "title");
  const Hash256 hash = Sha256({std::string_view("global\0title", 12)});
  Id128 expected = Cut(hash);
  EXPECT_EQ(id.substr(0, 13), expected.ToString().substr(0, 13));
  EXPECT_EQ(id[14], '8');
  EXPECT_NE(std::string("89ab").find(id[19]), std::string::npos);
  EXPECT_EQ(id.substr(20), expected.ToString().substr(20));
  EXPECT_NE(FirstId("a", "b/c"), FirstId("a/b", "c"));
  ASSERT_TRUE(Id128::Parse(id));
}

TEST(Ids, TheNextIdDependsOnIdAndStamp) {
  const std::string first = FirstId("a", "t");
  const std::string next = NextId(first, {1, 2});
  EXPECT_EQ(next, NextId(first, {1, 2}));
  EXPECT_NE(next, first);
  EXPECT_NE(next, NextId(first, {2, 1}));
  EXPECT_NE(next, NextId(first, {1, 3}));
  EXPECT_NE(next, NextId(next, {1, 2}));
  EXPECT_EQ(next[14], '8');
}

// Stored ids: a change here would split every member's memories from the others'.
TEST(Ids, NeverChange) {
  EXPECT_EQ(FirstId("global", "title"), "9f882341-6114-87ad-9684-13301da9ba7a");
  EXPECT_EQ(NextId("a", {1, 2}), "ab9b6412-deb0-83a7-a7e3-48f1a37b940f");
}

TEST(IndexedName, IsKeptOnlyWhereTheIdDoesNotSayIt) {
  Row row;
  const std::string own = FirstId("a/b", "title");
  EXPECT_FALSE(IndexedName({Kind::kMemory, own}, row.parts()));
  EXPECT_EQ(IndexedName({Kind::kMemory, "imported"}, row.parts()), NameHash("a/b", "title"));
  row.Set(part::kName, 11, EncodeName("a/b", "renamed"));
  EXPECT_EQ(IndexedName({Kind::kMemory, own}, row.parts()), NameHash("a/b", "renamed"));
  row.Set(part::kForgotten, 12, EncodeU64(1));
  EXPECT_FALSE(IndexedName({Kind::kMemory, own}, row.parts())) << "not live";
}

TEST(IndexedName, OfALinkIsItsTarget) {
  PartsBuilder builder;
  builder.Set(part::kLinked, At(10), EncodeTime(77));
  const EntityKey key{Kind::kLink, MakeLinkKey("a", "b", "related_to")};
  EXPECT_EQ(IndexedName(key, builder.Build()), LinkTargetHash("b"));
  EXPECT_FALSE(IndexedName({Kind::kLink, "broken"}, builder.Build()));
  builder.Set(part::kDeleted, At(11), "");
  EXPECT_FALSE(IndexedName(key, builder.Build()));
  EXPECT_FALSE(IndexedName({Kind::kNamespaceStandard, "a"}, builder.Build()));
  EXPECT_NE(LinkTargetHash("b"), LinkTargetHash("a"));
}

}  // namespace
}  // namespace aimem::model
