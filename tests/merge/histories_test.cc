#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>

#include "absl/base/config.h"
#include "lib/merge/join.h"
#include "tests/merge/history.h"

namespace aimem::testing {
namespace {

using model::Part;
using model::Parts;

namespace part = model::part;

// AIMEM_HISTORIES raises the number for a soak.
std::uint64_t HistoryCount() {
#if defined(ABSL_HAVE_ADDRESS_SANITIZER) || defined(ABSL_HAVE_THREAD_SANITIZER)
  constexpr std::uint64_t kDefault = 20'000;
#else
  constexpr std::uint64_t kDefault = 100'000;
#endif
  const char* text = std::getenv("AIMEM_HISTORIES");
  const std::uint64_t count = text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
  return count == 0 ? kDefault : count;
}

TEST(Histories, ConvergeAndKeepWhatWasDone) {
  const std::uint64_t count = HistoryCount();
  Tally tally;
  for (std::uint64_t seed = 0; seed < count; ++seed) {
    const std::string failure = RunHistory(seed, merge::Join, tally);
    ASSERT_EQ(failure, "");
  }
  // The generator still makes all that the checks are about.
  EXPECT_EQ(tally.histories, count);
  EXPECT_GT(tally.commits, 4 * count);
  for (const std::uint64_t seen :
       {tally.permuted, tally.two_rows, tally.healed, tally.purged, tally.gone, tally.revived,
        tally.links_shown, tally.links_hidden, tally.late_touches, tally.archived[1],
        tally.archived[2], tally.archived[3], tally.tiers[0], tally.tiers[1], tally.tiers[2]}) {
    EXPECT_GT(seen, count / 200);
  }
}

// -- Wrong joins, each of which the histories must find ------------------------------------------

enum class Mistake {
  kNone,
  kFirstOfEqualStamps,
  kDeletedOfOneSide,
  kPurgedAsDeleted,
  kPutOfOneSide
};

template <Mistake mistake>
Parts WrongJoin(std::span<const Part> a, std::span<const Part> b) {
  std::map<std::string_view, Part> joined;
  for (const Part& part : a) joined[part.name] = part;
  for (const Part& part : b) {
    const auto [at, fresh] = joined.try_emplace(part.name, part);
    if (fresh || part.stamp < at->second.stamp) continue;
    const bool greater = part.stamp > at->second.stamp ||
                         (mistake != Mistake::kFirstOfEqualStamps && part.value > at->second.value);
    if (greater) at->second = part;
  }
  const auto purged = joined.find(part::kPurged);
  if (purged != joined.end() && mistake != Mistake::kPurgedAsDeleted) return {purged->second};
  const auto found = joined.find(part::kDeleted);
  const Part* deleted = found == joined.end() ? nullptr : &found->second;
  if (mistake == Mistake::kDeletedOfOneSide) deleted = model::Find(b, part::kDeleted);
  if (mistake == Mistake::kPurgedAsDeleted && purged != joined.end()) deleted = &purged->second;
  const auto found_put = joined.find(part::kPut);
  const Part* put = found_put == joined.end() ? nullptr : &found_put->second;
  if (mistake == Mistake::kPutOfOneSide) put = model::Find(b, part::kPut);
  Parts parts;
  for (const auto& [name, part] : joined) {
    const bool erases = name == part::kDeleted || name == part::kPurged;
    const bool deleted_too = !erases && deleted != nullptr && part.stamp <= deleted->stamp;
    const bool old_metadata = put != nullptr && model::IsMetadata(name) && part.stamp < put->stamp;
    if (!deleted_too && !old_metadata) parts.push_back(part);
  }
  return parts;
}

// The first failure within the seeds given; empty if there is none.
std::string FirstFailure(JoinFunction join, std::uint64_t seeds) {
  Tally tally;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    std::string failure = RunHistory(seed, join, tally);
    if (!failure.empty()) return failure;
  }
  return "";
}

constexpr std::uint64_t kMutantSeeds = 3'000;

TEST(Mutants, TheJoinThatTheyAreMadeOfIsRight) {
  EXPECT_EQ(FirstFailure(WrongJoin<Mistake::kNone>, kMutantSeeds), "");
}

TEST(Mutants, KeepingTheFirstOfEqualStampsIsFound) {
  EXPECT_NE(FirstFailure(WrongJoin<Mistake::kFirstOfEqualStamps>, kMutantSeeds), "");
}

TEST(Mutants, DeletingWithTheMarkOfOneSideIsFound) {
  EXPECT_NE(FirstFailure(WrongJoin<Mistake::kDeletedOfOneSide>, kMutantSeeds), "");
}

TEST(Mutants, ClearingMetadataWithThePutOfOneSideIsFound) {
  EXPECT_NE(FirstFailure(WrongJoin<Mistake::kPutOfOneSide>, kMutantSeeds), "");
}

TEST(Mutants, PurgingOnlyWhatIsOlderIsFound) {
  EXPECT_NE(FirstFailure(WrongJoin<Mistake::kPurgedAsDeleted>, kMutantSeeds), "");
}

}  // namespace
}  // namespace aimem::testing
