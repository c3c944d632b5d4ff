// What programs do with a store, in one call.
#include "aimem/intents.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/backends/sqlite.h"
#include "aimem/limits.h"
#include "tests/support/eventually.h"
#include "tests/support/temp_dir.h"

namespace aimem {
namespace {

TEST(Intents, ARecallIsASearchForAnyWordThatCounts) {
  const SearchRequest request = Recall("what now?");
  EXPECT_EQ(request.query, "what now?");
  EXPECT_EQ(request.match, Match::kAny);
  EXPECT_TRUE(request.with_ancestors);
  EXPECT_TRUE(request.touch);
  EXPECT_EQ(request.limit, 10);
  EXPECT_FALSE(request.budget_tokens);
}

// Words of which some are in many titles and some in few, none of them a form of another.
constexpr const char* kWords[] = {"harbour", "ferry",  "lantern", "copper", "violin", "meadow",
                                  "glacier", "pepper", "walnut",  "saddle", "anchor", "tunnel"};

// Memories in two namespaces, whose titles have up to three of the words.
std::vector<Memory> PutTitles(Store& store) {
  std::mt19937 random(20);
  std::vector<Memory> stored;
  for (int i = 0; i < 90; ++i) {
    PutMemory put{.title = absl::StrFormat("n%d", i), .content = "said"};
    put.namespace_ = i % 3 == 0 ? "ship" : "shore";
    for (auto n = 1 + random() % 3; n > 0; --n) {
      put.title += absl::StrFormat(" %s", kWords[std::min(random() % 12, random() % 12)]);
    }
    const WriteResult result = store.Write(std::move(put), {.return_memory = true});
    EXPECT_TRUE(result.status.ok()) << result.status;
    if (result.status.ok()) stored.push_back(*result.items[0].memory);
  }
  return stored;
}

std::set<std::string> WordsOf(const Memory& memory) {
  std::set<std::string> words = absl::StrSplit(memory.title, ' ');
  return words;
}

// Who has a word of its title, in its namespace, by looking at all.
std::set<std::string> SharersOf(const Memory& asked, const std::vector<Memory>& all) {
  const std::set<std::string> words = WordsOf(asked);
  std::set<std::string> ids;
  for (const Memory& other : all) {
    if (other.id == asked.id || other.namespace_ != asked.namespace_) continue;
    for (const std::string& word : WordsOf(other)) {
      if (words.contains(word)) ids.insert(other.id);
    }
  }
  return ids;
}

std::vector<std::string> IdsOf(const absl::StatusOr<std::vector<Memory>>& memories) {
  EXPECT_TRUE(memories.ok()) << memories.status();
  std::vector<std::string> ids;
  for (const Memory& memory : memories.value_or(std::vector<Memory>())) ids.push_back(memory.id);
  return ids;
}

TEST(Intents, WhatIsSimilarIsTheSameFromAnIndexAndFromAllRows) {
  const testing::TempDir dir;
  const std::string path = dir.File("m.db");
  auto indexed = OpenSqliteStore(path);
  ASSERT_TRUE(indexed.ok()) << indexed.status();
  const std::vector<Memory> all = PutTitles(**indexed);
  // It is made beside the questions, after the first.
  ASSERT_TRUE(testing::Eventually([&] {
    return FindSimilar(**indexed, all[0]).ok() && (*indexed)->Info()->index.has_value();
  }));
  std::size_t few = 0;
  for (const Memory& asked : all) {
    const std::vector<std::string> ids = IdsOf(FindSimilar(**indexed, asked));

    // One that has just been opened reads the rows for its first question.
    auto scanned = OpenSqliteStore(path);
    ASSERT_TRUE(scanned.ok()) << scanned.status();
    EXPECT_EQ(IdsOf(FindSimilar(**scanned, asked)), ids) << asked.title;
    EXPECT_FALSE((*scanned)->Info()->index) << "that was no scan";
    EXPECT_TRUE((*scanned)->Close().ok());

    const std::set<std::string> sharers = SharersOf(asked, all);
    EXPECT_EQ(ids.size(), std::min<std::size_t>(sharers.size(), limits::kSimilar));
    for (const std::string& id : ids) EXPECT_TRUE(sharers.contains(id)) << asked.title;
    few += ids.size() < limits::kSimilar ? 1 : 0;
  }
  EXPECT_GT(few, 0u) << "nobody was left out of any answer for not sharing a word";
  EXPECT_TRUE((*indexed)->Close().ok());
}

TEST(Intents, TheLoserOfAContradictionStaysAndCountsForLittle) {
  auto store = OpenEphemeralStore();
  const WriteResult put =
      (*store)->Write({{PutMemory{.title = "old", .content = "it is so", .priority = 7},
                        PutMemory{.title = "new", .content = "it is otherwise", .priority = 7}}});
  ASSERT_TRUE(put.status.ok()) << put.status;
  const std::string loser = put.items[0].id;
  const std::string winner = put.items[1].id;
  const WriteResult resolved = (*store)->Write(Resolve(winner, loser));
  ASSERT_TRUE(resolved.status.ok()) << resolved.status;
  EXPECT_EQ(resolved.seq, put.seq + 1) << "one commit";

  EXPECT_EQ((*store)->Get(loser)->priority, 1);
  EXPECT_EQ((*store)->Get(loser)->confidence, 0.1);
  EXPECT_EQ((*store)->Get(winner)->priority, 7);
  EXPECT_EQ((*store)->Get(winner)->access_count, 1);
  const auto links = (*store)->List({.kind = ListKind::kLinks});
  ASSERT_EQ(links->links.size(), 1u);
  EXPECT_EQ(links->links[0].source_id, winner);
  EXPECT_EQ(links->links[0].target_id, loser);
  EXPECT_EQ(links->links[0].relation, "supersedes");

  EXPECT_EQ((*store)->Write(Resolve(winner, "nobody")).status.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE((*store)->Close().ok());
}

}  // namespace
}  // namespace aimem
