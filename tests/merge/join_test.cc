#include "lib/merge/join.h"

#include <gtest/gtest.h>

#include <string>

#include "lib/log/grammar.h"
#include "tests/log/random_states.h"

namespace aimem::merge {
namespace {

using log::EncodeState;
using model::Part;
using model::Parts;
using testing::NarrowState;
using testing::SplitMix;
using testing::WideState;

namespace part = model::part;

constexpr Stamp At(std::uint64_t hlc, std::uint64_t stream = 1) { return {hlc, stream}; }

TEST(Join, IsCommutativeAssociativeAndIdempotent) {
  for (std::uint64_t seed = 0; seed < 50'000; ++seed) {
    SCOPED_TRACE(seed);
    SplitMix random(seed);
    const bool wide = seed % 50 == 0;
    auto make = [&] { return wide ? WideState(random) : NarrowState(random); };
    model::PartsBuilder builders[] = {make(), make(), make()};
    const Parts& a = builders[0].Build();
    const Parts& b = builders[1].Build();
    const Parts& c = builders[2].Build();
    const Parts ab = Join(a, b);
    const std::string abc = EncodeState(Join(ab, c));
    ASSERT_EQ(EncodeState(ab), EncodeState(Join(b, a)));
    ASSERT_EQ(abc, EncodeState(Join(a, Join(b, c))));
    ASSERT_EQ(abc, EncodeState(Join(Join(c, a), b)));
    ASSERT_EQ(Join(ab, ab), ab);
    ASSERT_EQ(Join(ab, a), ab);
    ASSERT_EQ(Join(ab, {}), ab);
    ASSERT_TRUE(log::DecodeState(abc).ok());
  }
}

TEST(Join, AbsorbsIsJoinWithoutChange) {
  std::size_t absorbed = 0;
  for (std::uint64_t seed = 0; seed < 100'000; ++seed) {
    SCOPED_TRACE(seed);
    SplitMix random(seed);
    model::PartsBuilder first = NarrowState(random);
    model::PartsBuilder second = NarrowState(random);
    const Parts& a = first.Build();
    const Parts& b = second.Build();
    const Parts ab = Join(a, b);
    ASSERT_EQ(Absorbs(a, b), ab == a);
    ASSERT_EQ(Absorbs(ab, b), Join(ab, b) == ab);
    ASSERT_TRUE(Absorbs(ab, a));
    ASSERT_EQ(Absorbs(a, {}), Join(a, {}) == a);
    absorbed += Absorbs(a, b) ? 1 : 0;
  }
  EXPECT_GT(absorbed, 500u);
}

TEST(Join, GreaterStampWinsThenGreaterBytes) {
  const Parts older{{part::kContent, At(1), "z"}};
  const Parts newer{{part::kContent, At(2), "a"}};
  const Parts high{{part::kContent, At(2), "\xff"}};
  EXPECT_EQ(Join(older, newer), newer);
  EXPECT_EQ(Join(high, newer), high) << "bytes compare unsigned";
  const Parts other_stream{{part::kContent, At(2, 9), ""}};
  EXPECT_EQ(Join(other_stream, high), other_stream);
}

TEST(Join, PurgedLeavesNothingElse) {
  const Parts purged{{part::kPurged, At(3), ""}};
  const Parts row{{part::kPut, At(9), ""}, {part::kDeleted, At(8), ""}, {" key", At(9), "v"}};
  EXPECT_EQ(Join(row, purged), purged);
  EXPECT_EQ(Join(purged, row), purged);
  const Parts later{{part::kPurged, At(5), ""}};
  EXPECT_EQ(Join(purged, later), later);
  EXPECT_TRUE(Absorbs(later, row));
  EXPECT_FALSE(Absorbs(row, purged));
}

TEST(Join, DeletedErasesWhatIsNotNewer) {
  const Parts row{{part::kPut, At(1), ""}, {part::kContent, At(2), "c"}, {part::kTags, At(3), "t"}};
  const Parts gone{{part::kDeleted, At(2), ""}};
  const Parts left{{part::kDeleted, At(2), ""}, {part::kTags, At(3), "t"}};
  EXPECT_EQ(Join(row, gone), left);
  EXPECT_EQ(Join(gone, row), left);
  EXPECT_TRUE(Absorbs(left, row));
  EXPECT_FALSE(Absorbs(gone, row));
}

TEST(Join, PutErasesOlderMetadata) {
  const Parts row{{part::kPut, At(1), ""}, {part::kContent, At(1), "c"}, {" cleared", At(2), ""},
                  {" early", At(1), "1"},  {" late", At(7), "2"},        {" same", At(5), "3"},
                  {"!unknown", At(1), "4"}};
  const Parts put{{part::kPut, At(5), ""}};
  const Parts left{{part::kPut, At(5), ""},
                   {part::kContent, At(1), "c"},
                   {" late", At(7), "2"},
                   {" same", At(5), "3"},
                   {"!unknown", At(1), "4"}};
  EXPECT_EQ(Join(row, put), left);
  EXPECT_EQ(Join(put, row), left);
  EXPECT_TRUE(Absorbs(left, row));
  EXPECT_FALSE(Absorbs(row, put));
  const Parts unjoined{{part::kPut, At(5), ""}, {" early", At(1), "1"}};
  EXPECT_FALSE(Absorbs(unjoined, {})) << "its own put erases a part of it";
}

TEST(Join, PutThatIsDeletedErasesNothingMore) {
  const Parts gone{{part::kPut, At(3), ""}, {part::kDeleted, At(4), ""}};
  const Parts patch{{" late", At(5), "1"}, {" early", At(2), "2"}};
  const Parts left{{part::kDeleted, At(4), ""}, {" late", At(5), "1"}};
  EXPECT_EQ(Join(gone, patch), left);
  EXPECT_EQ(Join(Join({}, gone), patch), left);
  EXPECT_EQ(Join(patch, gone), left);
}

TEST(Join, ResultBorrowsFromBothInputs) {
  const std::string left = "left";
  const std::string right = "right";
  const Parts joined =
      Join(Parts{{part::kContent, At(1), left}}, Parts{{part::kTags, At(1), right}});
  ASSERT_EQ(joined.size(), 2u);
  EXPECT_EQ(joined[0].value.data(), left.data());
  EXPECT_EQ(joined[1].value.data(), right.data());
}

TEST(Conflict, IsTwoValuesAtOneStampOfAPartThatOwnsIt) {
  const Parts a{
      {part::kPut, At(1), ""}, {part::kContent, At(2), "a"}, {part::kUseCount, At(1), "1"}};
  const Parts b{{part::kContent, At(2), "b"}, {part::kUseCount, At(1), "2"}};
  ASSERT_NE(Conflict(a, b), nullptr);
  EXPECT_EQ(Conflict(a, b)->name, part::kContent);
  const Parts borrowed{{part::kContent, At(2), "a"}, {part::kUseCount, At(1), "2"}};
  EXPECT_EQ(Conflict(a, borrowed), nullptr);
  const Parts newer{{part::kContent, At(3), "b"}};
  EXPECT_EQ(Conflict(a, newer), nullptr);
  EXPECT_EQ(Conflict(a, a), nullptr);
  EXPECT_EQ(Conflict(a, {}), nullptr);
}

}  // namespace
}  // namespace aimem::merge
