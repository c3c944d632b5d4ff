// What a change by filter takes is the same by an index as by a scan of the rows.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/execute/execute.h"
#include "lib/recall/find.h"
#include "support/backend/forwarding_backend.h"
#include "tests/recall/rows.h"
#include "tests/recall/worlds.h"

namespace aimem::execute {
namespace {

using recall::Chance;
using recall::WorldKind;

ForgetMemories RandomForget(Chance& chance, const WorldKind& kind) {
  ForgetMemories forget;
  if (chance.In(2)) forget.namespace_ = recall::kNamespaces[chance.Below(kind.namespaces)];
  if (chance.In(20)) forget.namespace_ = "nowhere";
  if (chance.In(3)) forget.tier = static_cast<Tier>(chance.Below(3));
  if (chance.In(2) || (!forget.namespace_ && !forget.tier)) {
    std::string words;
    for (std::size_t i = 1 + chance.Below(3); i > 0; --i) {
      words += chance.Of<std::string>({" ", ", ", "'", "-"}) + chance.Word(recall::kWords);
    }
    forget.pattern = chance.In(20) ? "..." : words;
    if (chance.In(10)) forget.pattern = chance.Of<std::string>({"ran", "STRASSE", "京", "session"});
  }
  return forget;
}

class CountedScans final : public testing::ForwardingTransaction {
 public:
  using ForwardingTransaction::ForwardingTransaction;
  absl::StatusOr<std::vector<EntityRow>> Scan(const ScanRequest& request) override {
    ++scans;
    return ForwardingTransaction::Scan(request);
  }
  int scans = 0;
};

struct Seen {
  int taken = 0;
  int without_scan = 0;
};

void Compare(aimem::Rows& rows, const index::View& view, const WriteItem& item, Seen& seen) {
  const auto rule = FilterOf(item);
  ASSERT_TRUE(rule.ok()) << rule.status();
  ASSERT_TRUE(rule->candidates.has_value());
  const auto takes = [&](const model::MemoryView& memory) { return rule->takes(memory, kNow); };
  CountedScans transaction(rows.Read());
  const auto indexed = recall::SelectIds(transaction, takes, view, *rule->candidates, kNow);
  ASSERT_TRUE(indexed.ok()) << indexed.status();
  if (transaction.scans == 0) {
    ++seen.without_scan;
    seen.taken += static_cast<int>(indexed->size());
  }
  const auto scanned = recall::SelectIds(transaction, takes);
  ASSERT_TRUE(scanned.ok()) << scanned.status();
  EXPECT_EQ(*indexed, *scanned);
}

TEST(Selection, IsTheSameByAnIndexAsByAScan) {
  Seen forgotten;
  Seen expired;
  for (std::uint64_t seed = 1; seed <= 100 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(absl::StrFormat("seed %d", seed));
    Chance chance(seed);
    const WorldKind kind = {.memories = chance.Below(200), .namespaces = 1 + chance.Below(6)};
    recall::MemoryMaker maker(chance, kind);
    std::vector<MemoryRow> memories;
    for (std::size_t i = 0; i < kind.memories; ++i) {
      memories.push_back(maker.Make(absl::StrFormat("%s-%d", chance.Of(recall::kWords), i)));
    }
    const index::View view = MakeView(chance, maker, memories);
    aimem::Rows rows;
    rows.Put(memories);
    for (int i = 0; i < 20; ++i) {
      Compare(rows, view, WriteItem(RandomForget(chance, kind)), forgotten);
    }
    Compare(rows, view, WriteItem(ExpireMemories()), expired);
  }
  EXPECT_GT(forgotten.without_scan, 1'000);
  EXPECT_GT(forgotten.taken, 3'000);
  EXPECT_GT(expired.without_scan, 50);
  EXPECT_GT(expired.taken, 500);
}

// What is in the archive is in no index.
TEST(Selection, OfTheArchiveIsByAScan) {
  const auto rule = FilterOf(WriteItem(PurgeArchive()));
  ASSERT_TRUE(rule.ok()) << rule.status();
  EXPECT_FALSE(rule->candidates.has_value());
}

}  // namespace
}  // namespace aimem::execute
