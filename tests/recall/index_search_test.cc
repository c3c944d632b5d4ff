// A recall from an index is the recall by scan, to the last bit: whatever the memories are, however
// they are split into segments, whatever is asked.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/index/document.h"
#include "lib/index/view.h"
#include "lib/log/grammar.h"
#include "lib/recall/search.h"
#include "lib/text/analysis.h"
#include "tests/recall/rows.h"

namespace aimem::recall {
namespace {

using index::Document;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Chance {
 public:
  explicit Chance(std::uint64_t seed) : random_(seed) {}

  std::size_t Below(std::size_t end) { return random_() % end; }
  bool In(std::size_t of) { return Below(of) == 0; }  // one time of so many
  template <typename Value>
  Value Of(const std::vector<Value>& values) {
    return values[Below(values.size())];
  }
  // The first ones are more frequent.
  const std::string& Word(const std::vector<std::string>& words) {
    return words[std::min(Below(words.size()), Below(words.size()))];
  }

 private:
  std::mt19937_64 random_;
};

// -- Memories -------------------------------------------------------------------------------------

const std::vector<std::string> kWords = {
    "river",   "boat",    "tennis", "sport",  "running",      "Ann",       "Bob",
    "May",     "last",    "2023",   "five",   "painted",      "mountain",  "camp",
    "foo_bar", "PROJ-12", "v1.2.3", "camera", "cameraPerson", "utils.py",  "yesterday",
    "straße",  "東京",    "guitar", "guitar", "violin",       "orchestra", "rare"};
const std::vector<std::string> kNamespaces = {"team",      "team/a",    "team/a/x", "team/a/x/deep",
                                              "team/ab",   "other",     "global",   "_agents",
                                              "team/a/xy", "org/u/t/me"};
const std::vector<std::string> kScopes = {R"("private")",    R"("team")",   R"("unit")", R"("org")",
                                          R"("collective")", R"("secret")", "7",         "null"};
const std::vector<std::string> kTags = {"red", "blue", "session-1", "session:2", "green light"};
const std::vector<std::string> kAgents = {"", "bot", "bot2"};

std::string RareWord(std::size_t number) { return absl::StrFormat("w%dx", number); }

struct WorldKind {
  std::size_t memories = 0;
  bool talks = false;
  bool few_times = false;  // so that many ties are broken by ids
  std::size_t rare_words = 0;
  std::size_t namespaces = 1;
};

class MemoryMaker {
 public:
  MemoryMaker(Chance& chance, const WorldKind& kind) : chance_(chance), kind_(kind) {}

  MemoryRow Make(std::string id) {
    MemoryRow row{.id = std::move(id),
                  .namespace_ = kNamespaces[chance_.Below(kind_.namespaces)],
                  .title = Text(1 + chance_.Below(3)),
                  .content = Text(chance_.Below(chance_.In(20) ? 400 : 12)),
                  .tier = static_cast<Tier>(chance_.Below(3)),
                  .priority = static_cast<int>(chance_.In(2) ? 5 : 1 + chance_.Below(10)),
                  .confidence = chance_.Of<double>({1, 1, 0.5, 0.25, 0}),
                  .source = chance_.Of<std::string>({"api", "api", "import", "hook"}),
                  .agent_id = chance_.Of(kAgents),
                  .access_count = chance_.In(3) ? chance_.Below(100) : 0};
    if (!kind_.talks) row.source = "api";
    SetTimes(row);
    SetTags(row);
    SetMetadata(row);
    if (chance_.In(12)) row.forgotten_at = kNow;
    if (chance_.In(30)) row.deleted = true;
    if (chance_.In(40)) row.purged = true;
    return row;
  }

 private:
  std::string Text(std::size_t words) {
    std::vector<std::string> text;
    for (std::size_t i = 0; i < words; ++i) {
      const bool rare = kind_.rare_words > 0 && chance_.In(2);
      text.push_back(rare ? RareWord(chance_.Below(kind_.rare_words)) : chance_.Word(kWords));
    }
    return absl::StrJoin(text, " ");
  }

  void SetTimes(MemoryRow& row) {
    const std::size_t minute = kind_.few_times ? chance_.Below(4) : chance_.Below(4'000);
    row.created_at = kNow - absl::Hours(24 * 200) + absl::Minutes(minute * 7);
    if (!kind_.few_times && chance_.In(4)) row.created_at += absl::Nanoseconds(chance_.Below(9));
    row.updated_at = chance_.In(3) ? row.created_at : kNow - absl::Hours(chance_.Below(3) * 24);
    if (chance_.In(20)) row.updated_at = kNow + absl::Hours(1);
    if (chance_.In(5)) {
      row.expires_at = kNow + chance_.Of<absl::Duration>({absl::Nanoseconds(-1), absl::Hours(1),
                                                          absl::ZeroDuration(), -absl::Hours(3)});
    }
  }

  void SetTags(MemoryRow& row) {
    std::set<std::string> tags;
    for (std::size_t i = chance_.Below(3); i > 0; --i) tags.insert(chance_.Of(kTags));
    if (!kind_.talks) {
      std::erase_if(tags, [](const std::string& tag) { return tag.starts_with("session"); });
    }
    row.tags.assign(tags.begin(), tags.end());
  }

  void SetMetadata(MemoryRow& row) {
    if (chance_.In(3)) row.metadata.emplace_back("scope", chance_.Of(kScopes));
    if (chance_.In(4)) row.metadata.emplace_back("author", R"("Ann Lee")");
    if (kind_.talks && chance_.In(6)) row.metadata.emplace_back("session_id", R"("s9")");
    if (chance_.In(5)) row.content.insert(0, chance_.Of<std::string>({"Ann: ", "[Bob]: "}));
  }

  Chance& chance_;
  const WorldKind& kind_;
};

// -- The index of memories ------------------------------------------------------------------------

// What an index makes of a memory; nullopt: it is none of its documents.
std::optional<Document> DocumentOf(const MemoryRow& memory, bool whatever_phase = false) {
  MemoryRow row = memory;
  if (whatever_phase) {
    row.deleted = row.purged = false;
    row.forgotten_at.reset();
  }
  const EntityRow stored = MakeRow(row);
  model::Parts parts;
  EXPECT_TRUE(log::DecodeState(stored.state, parts).ok());
  const model::MemoryView view = model::ViewMemory(parts);
  if (view.phase != model::Phase::kLive) return std::nullopt;
  static text::Analyzer* const analyzer = new text::Analyzer(*text::Analyzer::Create());
  return index::MakeDocument(*analyzer, row.id, view, parts);
}

// Documents of one layer, and which of them are no more.
struct LayerPlan {
  std::vector<Document> documents;
  std::set<std::string> deleted;
};

index::Layer MakeLayer(LayerPlan plan) {
  index::Layer layer;
  layer.segment = index::Segment::Build(plan.documents);
  if (plan.deleted.empty()) return layer;
  const index::Segment& segment = *layer.segment;
  auto deleted = std::make_shared<index::Deleted>();
  std::vector<index::Ordinal> gone;
  for (const std::string& id : plan.deleted) gone.push_back(*segment.Find(id));
  deleted->Add(segment, gone);
  layer.deleted = std::move(deleted);
  return layer;
}

index::View MakeView(Chance& chance, MemoryMaker& maker, const std::vector<MemoryRow>& memories) {
  std::vector<LayerPlan> plans(1 + chance.Below(6));
  for (const MemoryRow& memory : memories) {
    const std::size_t home = chance.Below(plans.size());
    if (auto document = DocumentOf(memory)) plans[home].documents.push_back(*std::move(document));
    // An older state of it, in another layer.
    const std::size_t other = chance.Below(plans.size());
    if (other == home || !chance.In(3)) continue;
    auto document = DocumentOf(chance.In(2) ? memory : maker.Make(memory.id), true);
    if (!document) continue;
    plans[other].documents.push_back(*std::move(document));
    plans[other].deleted.insert(memory.id);
  }
  index::View view;
  for (LayerPlan& plan : plans) view.layers.push_back(MakeLayer(std::move(plan)));
  return view;
}

// -- Questions ------------------------------------------------------------------------------------

std::string RandomQuery(Chance& chance, const WorldKind& kind, Match match) {
  static const std::vector<std::string> kOthers = {
      "absent", "Zanzibar", "When did", "the",       "what date", "in May 2023",
      "Ann's",  "ann",      "5 May",    "last week", "?",         "camera_person"};
  std::vector<std::string> words;
  const bool is_long = kind.rare_words > 0 && match == Match::kAny && chance.In(2);
  const std::size_t count = is_long                ? 300
                            : match == Match::kAll ? chance.Below(4)
                                                   : chance.Below(7);
  if (chance.In(6)) words.push_back("When");
  for (std::size_t i = 0; i < count; ++i) {
    if (kind.rare_words > 0 && (is_long || chance.In(2))) {
      words.push_back(RareWord(chance.Below(2 * kind.rare_words)));
    } else {
      words.push_back(chance.In(5) ? chance.Of(kOthers) : chance.Word(kWords));
    }
  }
  return absl::StrJoin(words, " ");
}

Filter RandomFilter(Chance& chance, const WorldKind& kind) {
  Filter filter;
  if (chance.In(2)) filter.namespace_ = kNamespaces[chance.Below(kind.namespaces)];
  if (chance.In(12)) filter.namespace_ = "team//a/none";
  if (chance.In(6)) filter.tier = static_cast<Tier>(chance.Below(3));
  if (chance.In(6)) filter.min_priority = static_cast<std::int64_t>(chance.Below(8));
  const absl::Time time = kNow - absl::Hours(24 * 200) + absl::Minutes(chance.Below(4'000) * 7) +
                          absl::Nanoseconds(static_cast<double>(chance.Below(12)) / 4);
  if (chance.In(8)) filter.since = time;
  if (chance.In(8)) filter.until = time;
  if (chance.In(5)) {
    for (std::size_t i = 1 + chance.Below(2); i > 0; --i) filter.tags.push_back(chance.Of(kTags));
  }
  if (chance.In(20)) filter.tags.push_back("no such tag");
  if (chance.In(8)) filter.agent_id = chance.Of(kAgents);
  if (chance.In(4)) {
    filter.as_agent = chance.Of<std::string>({"team/a/x/deep", "team/a/x", "team", "org/u/t/me"});
  }
  filter.expired = chance.In(3);
  return filter;
}

SearchRequest RandomRequest(Chance& chance, const WorldKind& kind) {
  SearchRequest request;
  request.match = chance.In(4) ? Match::kAll : Match::kAny;
  request.query = RandomQuery(chance, kind, request.match);
  if (chance.In(2)) request.filter = RandomFilter(chance, kind);
  request.with_ancestors = chance.In(2);
  request.limit = chance.Of<std::int64_t>({0, 1, 2, 3, 10, 10, 10, 50, 399, 401, 450, 10'000});
  if (chance.In(5)) request.budget_tokens = static_cast<std::int64_t>(chance.Below(60));
  if (chance.In(3)) request.min_relevance = chance.Of<double>({0.05, 0.2, 0.4, 0.7, 0.9, 1});
  if (chance.In(3)) request.asked_at = kNow - absl::Hours(24 * (190 + chance.Below(8)));
  request.explain = true;
  return request;
}

std::string Describe(const SearchRequest& request) {
  const Filter& filter = request.filter;
  return absl::StrFormat(
      "'%s' match %d, ns '%s' ancestors %d, as '%s', tags %d, limit %d, floor %g", request.query,
      static_cast<int>(request.match), filter.namespace_.value_or("-"), request.with_ancestors,
      filter.as_agent.value_or("-"), filter.tags.size(), request.limit, request.min_relevance);
}

// -- Equality -------------------------------------------------------------------------------------

void ExpectSameHit(const SearchHit& one, const SearchHit& other) {
  EXPECT_EQ(one.memory, other.memory);
  EXPECT_EQ(one.score, other.score);
  EXPECT_EQ(one.relevance, other.relevance);
  ASSERT_EQ(one.reasons.size(), other.reasons.size());
  for (std::size_t i = 0; i < one.reasons.size(); ++i) {
    EXPECT_EQ(one.reasons[i].name, other.reasons[i].name);
    EXPECT_EQ(one.reasons[i].value, other.reasons[i].value);
    EXPECT_EQ(one.reasons[i].why, other.reasons[i].why);
  }
}

void ExpectSame(const SearchResult& indexed, const SearchResult& scanned) {
  EXPECT_EQ(indexed.tokens_used, scanned.tokens_used);
  EXPECT_EQ(indexed.terms_left_out, scanned.terms_left_out);
  EXPECT_EQ(indexed.nothing, scanned.nothing);
  EXPECT_EQ(indexed.relevance_left_out, scanned.relevance_left_out);
  ASSERT_EQ(indexed.hits.size(), scanned.hits.size());
  for (std::size_t i = 0; i < scanned.hits.size(); ++i) {
    SCOPED_TRACE(absl::StrFormat("hit %d: %s, not %s", i, indexed.hits[i].memory.id,
                                 scanned.hits[i].memory.id));
    ExpectSameHit(indexed.hits[i], scanned.hits[i]);
    if (::testing::Test::HasFailure()) return;
  }
}

class IndexSearchTest : public ::testing::Test {
 protected:
  struct Seen {
    int questions = 0;
    std::map<std::optional<NothingFound>, int> nothing;
    int left_out = 0;  // for their relevance
    int terms_left_out = 0;
    int many = 0;  // more hits than are looked at twice
    int lent = 0;  // hits that a neighbour lends to
  };

  // Makes a world of the seed, and asks it.
  void Ask(std::uint64_t seed, const WorldKind& kind, int questions) {
    SCOPED_TRACE(absl::StrFormat("seed %d", seed));
    Chance chance(seed);
    MemoryMaker maker(chance, kind);
    std::vector<MemoryRow> memories;
    for (std::size_t i = 0; i < kind.memories; ++i) {
      memories.push_back(maker.Make(absl::StrFormat("%s%d", chance.Of(kWords), i)));
    }
    const index::View view = MakeView(chance, maker, memories);
    Rows rows;
    rows.Put(memories);
    const auto transaction = rows.Read();
    for (int i = 0; i < questions && !HasFailure(); ++i) {
      const SearchRequest request = RandomRequest(chance, kind);
      SCOPED_TRACE(absl::StrFormat("question %d: %s", i, Describe(request)));
      Compare(*transaction, view, request);
    }
  }

  void Compare(Transaction& transaction, const index::View& view, const SearchRequest& request) {
    const auto scanned = recall::Search(transaction, request, kNow);
    const auto indexed = recall::Search(transaction, request, kNow, &view);
    ASSERT_EQ(indexed.status(), scanned.status());
    ASSERT_TRUE(scanned.ok()) << scanned.status();
    ExpectSame(*indexed, *scanned);
    ++seen_.questions;
    ++seen_.nothing[scanned->nothing];
    seen_.left_out += scanned->relevance_left_out ? 1 : 0;
    seen_.terms_left_out += scanned->terms_left_out > 0 ? 1 : 0;
    seen_.many += scanned->hits.size() > 400 ? 1 : 0;
    const auto lent = [](const ScoreReason& reason) { return reason.why.starts_with("said "); };
    for (const SearchHit& hit : scanned->hits) {
      seen_.lent += std::any_of(hit.reasons.begin(), hit.reasons.end(), lent) ? 1 : 0;
    }
  }

  Seen seen_;
};

// -- The tests ------------------------------------------------------------------------------------

TEST_F(IndexSearchTest, AnswersAsTheScanDoes) {
  for (std::uint64_t seed = 1; seed <= 160 && !HasFailure(); ++seed) {
    Chance chance(seed);
    Ask(seed,
        {.memories = chance.Below(120),
         .talks = !chance.In(3),
         .few_times = chance.In(2),
         .namespaces = chance.In(3) ? kNamespaces.size() : 1 + chance.Below(4)},
        12);
  }
  EXPECT_EQ(seen_.questions, 160 * 12);
  // Each way in which nothing is found has been seen, and so has what a floor leaves out.
  EXPECT_THAT(seen_.nothing, SizeIs(7));
  EXPECT_GT(seen_.left_out, 50);
}

TEST_F(IndexSearchTest, AnswersAsTheScanDoesOfMoreMemoriesThanAreLookedAtTwice) {
  for (std::uint64_t seed = 1'000; seed < 1'012 && !HasFailure(); ++seed) {
    Chance chance(seed);
    Ask(seed,
        {.memories = 900,
         .talks = seed % 3 != 0,
         .few_times = seed % 2 == 0,
         .namespaces = seed % 4 == 0 ? kNamespaces.size() : 1},
        25);
  }
  EXPECT_GT(seen_.many, 10);
}

TEST_F(IndexSearchTest, AnswersLongQuestionsAsTheScanDoes) {
  for (std::uint64_t seed = 2'000; seed < 2'015 && !HasFailure(); ++seed) {
    Chance chance(seed);
    Ask(seed, {.memories = 150, .talks = chance.In(2), .rare_words = 200, .namespaces = 3}, 20);
  }
  EXPECT_GT(seen_.terms_left_out, 30);
}

// Of a talk in three layers, one in some turns may be seen; many of these were changed, and what
// they were is deleted. Pauses are between turns that may be seen, whatever lies within. Few turns
// are candidates, so that it counts what each of them finds beside itself.
TEST_F(IndexSearchTest, AnswersAsTheScanDoesWhereMostTurnsAreHidden) {
  for (std::uint64_t seed = 3'000; seed < 3'030 && !HasFailure(); ++seed) {
    SCOPED_TRACE(absl::StrFormat("seed %d", seed));
    Chance chance(seed);
    const auto word = [&] { return RareWord(chance.Below(20)); };
    const std::size_t shown_in = chance.Of<std::size_t>({2, 5, 30});
    std::vector<MemoryRow> memories;
    std::vector<LayerPlan> plans(3);
    absl::Time said_at = kNow - absl::Hours(24 * 100);
    for (int i = 0; i < 500; ++i) {
      const bool shown = chance.In(shown_in);
      said_at +=
          chance.Of<absl::Duration>({absl::ZeroDuration(), absl::Seconds(5), absl::Minutes(1),
                                     absl::Minutes(chance.In(10) ? 31 : 5)});
      memories.push_back({.id = absl::StrFormat("%s%d", chance.Of(kWords), i),
                          .namespace_ = "team",
                          .content = word() + " " + word(),
                          .tags = {"session-1"},
                          .priority = chance.In(4) ? 9 : 5,
                          .created_at = said_at,
                          .metadata = {{"scope", shown ? R"("collective")" : R"("private")"}}});
      const MemoryRow& memory = memories.back();
      LayerPlan& home = plans[chance.Below(2)];
      home.documents.push_back(*DocumentOf(memory));
      if (!shown || chance.In(2)) continue;
      home.deleted.insert(memory.id);
      plans[2].documents.push_back(*DocumentOf(memory));
    }
    index::View view;
    for (LayerPlan& plan : plans) view.layers.push_back(MakeLayer(std::move(plan)));
    Rows rows;
    rows.Put(memories);
    const auto transaction = rows.Read();
    for (int i = 0; i < 20 && !HasFailure(); ++i) {
      SearchRequest request{.query = word() + " " + word(), .limit = 50, .explain = true};
      request.filter.as_agent = chance.Of<std::string>({"other", "other", "team"});
      request.filter.min_priority = chance.Of<std::int64_t>({1, 9, 9});
      SCOPED_TRACE(absl::StrFormat("question %d: %s", i, Describe(request)));
      Compare(*transaction, view, request);
    }
  }
  EXPECT_GT(seen_.lent, 500);
}

// A row of which the index knows more than can be read: what is returned is never another memory's.
TEST_F(IndexSearchTest, WhatHasNoRowIsLeftOut) {
  std::vector<MemoryRow> memories;
  for (int i = 0; i < 6; ++i) {
    memories.push_back({.id = absl::StrFormat("m%d", i),
                        .content = absl::StrFormat("tennis %d", i),
                        .priority = 10 - i});
  }
  LayerPlan plan;
  for (const MemoryRow& memory : memories) plan.documents.push_back(*DocumentOf(memory));
  index::View view;
  view.layers.push_back(MakeLayer(std::move(plan)));
  memories.erase(memories.begin());
  memories[1].forgotten_at = kNow;  // m2
  Rows rows;
  rows.Put(memories);
  const auto result = recall::Search(*rows.Read(), {.query = "tennis", .limit = 4}, kNow, &view);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_THAT(result->hits, SizeIs(2));
  EXPECT_EQ(result->hits[0].memory.id, "m1");
  EXPECT_EQ(result->hits[0].memory.content, "tennis 1");
  EXPECT_EQ(result->hits[1].memory.id, "m3");
  EXPECT_EQ(result->tokens_used, 2 * ((5 + 8) / 4));

  const auto none = recall::Search(*rows.Read(), {.query = "tennis", .limit = 1}, kNow, &view);
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_THAT(none->hits, IsEmpty());
  EXPECT_EQ(none->tokens_used, 0);
  EXPECT_EQ(none->nothing, NothingFound::kNoSuchWord);
}

TEST_F(IndexSearchTest, AnEmptyIndexAnswers) {
  Rows rows;
  const index::View view;
  const auto result = recall::Search(*rows.Read(), {.query = "tennis"}, kNow, &view);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->nothing, NothingFound::kNoSuchWord);
}

}  // namespace
}  // namespace aimem::recall
