#include "services/wire/requests.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aimem::wire {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

template <typename Result>
absl::StatusCode CodeOf(const Result& result) {
  return result.status().code();
}

TEST(ReadCreate, ReadsEveryMember) {
  const auto body = ReadCreate(
      R"({"title":"t","content":"c","tier":"long","namespace":"n","tags":["a"],"priority":7,)"
      R"("confidence":0.5,"source":"user","expires_at":"2030-01-01T00:00:00Z","ttl_secs":60,)"
      R"("metadata":{"k":[1]},"agent_id":"who","scope":"private","of another version":{}})");
  ASSERT_TRUE(body.ok()) << body.status();
  EXPECT_EQ(body->put.title, "t");
  EXPECT_EQ(body->put.content, "c");
  EXPECT_EQ(body->put.tier, Tier::kLong);
  EXPECT_EQ(body->put.namespace_, "n");
  EXPECT_THAT(body->put.tags, ElementsAre("a"));
  EXPECT_EQ(body->put.priority, 7);
  EXPECT_EQ(body->put.confidence, 0.5);
  EXPECT_EQ(body->put.source, "user");
  EXPECT_EQ(body->expires_at, "2030-01-01T00:00:00Z");
  EXPECT_EQ(body->put.ttl_seconds, 60);
  EXPECT_EQ(body->put.metadata, R"({"k":[1]})");
  EXPECT_EQ(body->agent_id, "who");
  EXPECT_EQ(body->put.scope, "private");
}

TEST(ReadCreate, TellsTextFromShape) {
  EXPECT_EQ(CodeOf(ReadCreate("{")), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(ReadCreate("\"\xFF\"")), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(ReadCreate(std::string(200, '['))), absl::StatusCode::kInvalidArgument)
      << "too deep";
  for (const char* text : {"[]", "3", R"({"title":"t"})", R"({"title":1,"content":"c"})",
                           R"({"title":"t","content":"c","tags":null})",
                           R"({"title":"t","content":"c","priority":9223372036854775808})"}) {
    EXPECT_EQ(CodeOf(ReadCreate(text)), absl::StatusCode::kFailedPrecondition) << text;
  }
}

TEST(SetExpiry, TakesTheTimeThatTheBodyNames) {
  CreateBody body;
  EXPECT_TRUE(SetExpiry(body).ok());
  EXPECT_EQ(body.put.expires_at, std::nullopt);
  body.expires_at = "2030-01-01T00:00:00Z";
  EXPECT_TRUE(SetExpiry(body).ok());
  EXPECT_EQ(body.put.expires_at, absl::FromUnixSeconds(1'893'456'000));
  body.expires_at = "soon";
  EXPECT_EQ(SetExpiry(body).message(), "expires_at is not valid RFC3339: 'soon'");
}

TEST(SetAuthors, OneBatchHasOneAuthorOrNone) {
  std::vector<CreateBody> bodies(2);
  std::string author = "sender";
  EXPECT_TRUE(SetAuthors(bodies, author).ok());
  EXPECT_EQ(author, "sender");
  EXPECT_EQ(bodies[0].put.metadata, CreateBody().put.metadata);

  bodies[1].agent_id = "other";
  EXPECT_TRUE(SetAuthors(bodies, author).ok());
  EXPECT_THAT(author, IsEmpty());
  EXPECT_EQ(bodies[0].put.metadata, R"({"agent_id":"sender"})");
  EXPECT_EQ(bodies[1].put.metadata, R"({"agent_id":"other"})");
}

TEST(SearchOf, IsTheSearchThatARecallIs) {
  const auto body =
      ReadRecall(R"({"context":"what","namespace":"a/b","tags":"x","limit":500,"budget_tokens":9,)"
                 R"("since":"2020-01-01T00:00:00Z","as_agent":"a","min_relevance":0.5,)"
                 R"("now":"2020-01-02T00:00:00Z","explain":true})");
  ASSERT_TRUE(body.ok()) << body.status();
  const auto search = SearchOf(*body);
  ASSERT_TRUE(search.ok()) << search.status();
  EXPECT_EQ(search->query, "what");
  EXPECT_EQ(search->match, Match::kAny);
  EXPECT_TRUE(search->with_ancestors);
  EXPECT_FALSE(search->touch);
  EXPECT_EQ(search->limit, 50);
  EXPECT_EQ(search->budget_tokens, 9);
  EXPECT_EQ(search->filter.namespace_, "a/b");
  EXPECT_THAT(search->filter.tags, ElementsAre("x"));
  EXPECT_EQ(search->filter.since, absl::FromUnixSeconds(1'577'836'800));
  EXPECT_EQ(search->filter.as_agent, "a");
  EXPECT_EQ(search->min_relevance, 0.5);
  EXPECT_EQ(search->asked_at, absl::FromUnixSeconds(1'577'923'200));
  EXPECT_TRUE(search->explain);

  EXPECT_EQ(SearchOf({.context = "what"})->limit, 10);
  EXPECT_EQ(SearchOf({.context = "what"})->min_relevance, 0);
  EXPECT_EQ(SearchOf({.context = "what"})->asked_at, std::nullopt);
  EXPECT_FALSE(SearchOf({.context = "what"})->explain);
  EXPECT_EQ(SearchOf({.context = "what", .now = "soon"}).status().message(),
            "now is not valid RFC3339: 'soon'");
  const auto east = SearchOf({.context = "what", .now = "2020-01-02T01:00:00+09:00"});
  EXPECT_EQ(east->asked_at, absl::FromUnixSeconds(1'577'894'400));
  EXPECT_EQ(absl::ToCivilHour(*east->asked_at, east->time_zone), absl::CivilHour(2020, 1, 2, 1));
  EXPECT_EQ(SearchOf({.context = " \n"}).status().message(), "context is required");
  EXPECT_EQ(CodeOf(SearchOf({.context = "what", .until = "soon"})),
            absl::StatusCode::kInvalidArgument);
}

TEST(CreateJson, IsReadBack) {
  CreateBody body;
  body.put.title = "a \"title\"";
  body.put.content = "c";
  EXPECT_EQ(CreateJson(body), R"({"title":"a \"title\"","content":"c"})");
  body.put.tier = Tier::kShort;
  body.put.namespace_ = "n";
  body.put.tags = {"a", "b"};
  body.put.priority = 9;
  body.put.confidence = 0.25;
  body.put.source = "user";
  body.put.ttl_seconds = 60;
  body.put.metadata = R"({"k":[1]})";
  body.put.scope = "team";
  body.put.expires_at = absl::FromUnixSeconds(1'893'456'000);
  body.agent_id = "who";
  auto read = ReadCreate(CreateJson(body));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_TRUE(SetExpiry(*read).ok());
  EXPECT_EQ(read->put.expires_at, body.put.expires_at);
  EXPECT_EQ(CreateJson(*read), CreateJson(body));
  EXPECT_EQ(read->agent_id, "who");
  EXPECT_EQ(read->put.tier, Tier::kShort);
  EXPECT_THAT(read->put.tags, ElementsAre("a", "b"));
  EXPECT_EQ(read->put.confidence, 0.25);
  EXPECT_EQ(read->put.metadata, body.put.metadata);
}

TEST(PatchJson, IsReadBack) {
  PatchBody body;
  EXPECT_EQ(PatchJson(body), "{}");
  body.patch.content = "c";
  body.patch.tags = std::vector<std::string>();
  body.patch.priority = 0;
  body.expires_at = "";
  EXPECT_EQ(PatchJson(body), R"({"content":"c","tags":[],"priority":0,"expires_at":""})");
  auto read = ReadPatch(PatchJson(body));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_TRUE(SetExpiry(*read).ok());
  EXPECT_EQ(read->patch.content, "c");
  EXPECT_EQ(read->patch.tags, body.patch.tags);
  EXPECT_EQ(read->patch.priority, 0);
  EXPECT_EQ(read->patch.title, std::nullopt);
  EXPECT_EQ(read->patch.expires_at, absl::InfiniteFuture()) << "the expiry is cleared";
  PatchBody same;
  same.patch.expires_at = read->patch.expires_at;
  EXPECT_EQ(PatchJson(same), R"({"expires_at":""})");
  same.patch.expires_at = absl::UnixEpoch();
  EXPECT_EQ(PatchJson(same), R"({"expires_at":"1970-01-01T00:00:00+00:00"})");
}

TEST(RecallBodyJson, IsReadBack) {
  RecallBody body;
  body.context = "what";
  EXPECT_EQ(RecallBodyJson(body), R"({"context":"what"})");
  body.namespace_ = "n";
  body.tags = "t";
  body.since = "2020-01-01T00:00:00Z";
  body.until = "2021-01-01T00:00:00Z";
  body.as_agent = "a";
  body.limit = 3;
  body.budget_tokens = 0;
  body.min_relevance = 0.25;
  body.now = "2022-01-01T00:00:00Z";
  body.explain = true;
  const auto read = ReadRecall(RecallBodyJson(body));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(RecallBodyJson(*read), RecallBodyJson(body));
  EXPECT_EQ(read->context, "what");
  EXPECT_EQ(read->until, body.until);
  EXPECT_EQ(read->budget_tokens, 0);
  EXPECT_EQ(read->min_relevance, 0.25);
  EXPECT_EQ(read->now, body.now);
  EXPECT_TRUE(read->explain);
}

}  // namespace
}  // namespace aimem::wire
