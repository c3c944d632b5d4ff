#include "campaign/member_api.h"

#include "campaign/figures.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aimem::campaign {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(ParseRows, ReadsAPage) {
  const auto rows = ParseRows(
      R"({"count":1,"memories":[{"id":"i","namespace":"n","title":"t","content":"c","tier":"mid"}]})");
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_THAT(*rows, SizeIs(1));
  EXPECT_EQ(rows->front().id, "i");
  EXPECT_EQ(rows->front().namespace_, "n");
  EXPECT_EQ(rows->front().title, "t");
  EXPECT_EQ(rows->front().content, "c");
  EXPECT_THAT(*ParseRows(R"({"memories":[]})"), IsEmpty());
}

TEST(ParseRows, RefusesAnotherShape) {
  for (const char* body : {"", "null", "{}", R"({"memories":3})", R"({"memories":[3]})",
                           R"({"memories":[{"id":"i","namespace":"n","title":"t"}]})"}) {
    EXPECT_EQ(ParseRows(body).status().code(), absl::StatusCode::kDataLoss) << body;
  }
}

TEST(ParseFederation, ReadsTheNumbers) {
  const auto view =
      ParseFederation(R"({"member":null,"federation":{"needed":2,"voters":3,"reachable":1,)"
                      R"("stragglers_finished":4,"stragglers_failed":5,"peers":[]}})");
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->needed, 2);
  EXPECT_EQ(view->voters, 3);
  EXPECT_EQ(view->reachable, 1);
  EXPECT_EQ(view->stragglers_finished, 4);
  EXPECT_EQ(view->stragglers_failed, 5);
}

TEST(ParseFederation, RefusesAnotherShape) {
  for (const char* body : {"", "[]", "{}", R"({"federation":null})", R"({"federation":[1]})",
                           R"({"federation":{"needed":"2"}})"}) {
    EXPECT_EQ(ParseFederation(body).status().code(), absl::StatusCode::kDataLoss) << body;
  }
}

TEST(PercentilesOf, AreOfTheSortedLatencies) {
  std::vector<std::int64_t> latencies;
  for (std::int64_t i = 200; i > 0; --i) latencies.push_back(i * 1'000);
  const Percentiles percentiles = PercentilesOf(latencies);
  EXPECT_EQ(percentiles.p50_ms, 100);
  EXPECT_EQ(percentiles.p99_ms, 198);
  EXPECT_EQ(percentiles.max_ms, 200);
  EXPECT_EQ(PercentilesOf({}).max_ms, 0);
}

TEST(OneLine, CutsAtAWord) {
  EXPECT_EQ(OneLine("short", 10), "short");
  EXPECT_EQ(OneLine("some longer text", 12), "some longer ...");
}

}  // namespace
}  // namespace aimem::campaign
