// The oracle itself: that it is not simply silent.
#include "tests/oracle/oracle.h"

#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/oracle/generator.h"

namespace aimem::oracle {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Request Of(WriteItem item) { return {.batch = {{std::move(item)}}, .options = {}}; }

PutMemory Put(const std::string& title, const std::string& content) {
  PutMemory put;
  put.title = title;
  put.content = content;
  return put;
}

TEST(Oracle, FoldsWhatWasAppliedAndNothingThatWasRefused) {
  Oracle oracle;
  const absl::Time now = absl::FromUnixSeconds(1'000'000'000);
  EXPECT_TRUE(oracle.Apply(Of(Put("one", "apple")), now, {}).status.ok());
  EXPECT_EQ(oracle.Apply(Of(Put("", "apple")), now, {}).status.code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(oracle.Apply(Of(DeleteMemory{"nobody"}), now, {}).status.code(),
            absl::StatusCode::kNotFound);
  const World world = oracle.Fold();
  ASSERT_THAT(world.Live(), SizeIs(1));
  EXPECT_EQ(world.Live()[0].id, FirstIdOf("global", "one"));
  EXPECT_THAT(world.Search("apple", Match::kAll, now), SizeIs(1));
  EXPECT_THAT(world.Search("apple brick", Match::kAll, now), IsEmpty());
  EXPECT_THAT(world.Search("apple", Match::kAll, now + absl::Hours(24 * 8)), IsEmpty());
}

TEST(Oracle, RepeatsTheAnswerOfARequestId) {
  Oracle oracle;
  const absl::Time now = absl::FromUnixSeconds(1'000'000'000);
  Request request = Of(Put("one", "apple"));
  request.options.request_id = "key";
  EXPECT_FALSE(oracle.Apply(request, now, {}).replayed);
  oracle.Apply(Of(DeleteMemory{FirstIdOf("global", "one")}), now, {});
  const ExpectedAnswer again = oracle.Apply(request, now, {});
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.items[0].effect, ItemEffect::kCreated);
  EXPECT_THAT(oracle.Fold().Live(), IsEmpty());
}

TEST(Oracle, GeneratedRequestsReachEveryKindEveryEffectAndEveryRefusal) {
  Oracle oracle;
  Generator generator(7);
  absl::Time now = absl::FromUnixSeconds(1'000'000'000);
  std::map<ItemEffect, int> effects;
  std::map<absl::StatusCode, int> codes;
  std::set<std::size_t> kinds;
  for (int i = 0; i < 400; ++i) {
    now += generator.Pause();
    const Request request = generator.Next(oracle.Fold(), now);
    // Without a store, ids that do not follow from a name are made up here.
    std::vector<ItemResult> given(request.batch.items.size());
    for (std::size_t k = 0; k < given.size(); ++k) {
      given[k].id = "made-up-" + std::to_string(i) + "-" + std::to_string(k);
    }
    const ExpectedAnswer answer = oracle.Apply(request, now, given);
    ++codes[answer.status.code()];
    for (const WriteItem& item : request.batch.items) kinds.insert(item.index());
    for (const ItemResult& item : answer.items) ++effects[item.effect];
  }
  EXPECT_THAT(effects, SizeIs(7));
  EXPECT_THAT(kinds, SizeIs(std::variant_size_v<WriteItem>)) << "a kind is compared with nothing";
  for (const auto code :
       {absl::StatusCode::kOk, absl::StatusCode::kInvalidArgument, absl::StatusCode::kNotFound,
        absl::StatusCode::kAlreadyExists, absl::StatusCode::kPermissionDenied}) {
    EXPECT_GT(codes[code], 3) << absl::StatusCodeToString(code);
  }
  EXPECT_GT(codes[absl::StatusCode::kOk], 150);
  EXPECT_EQ(codes[absl::StatusCode::kInternal], 0);
}

}  // namespace
}  // namespace aimem::oracle
