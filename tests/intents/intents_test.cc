// What programs do with a store, in one call.
#include "aimem/intents.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "aimem/backends/ephemeral.h"

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
