// A list from an index is the list by scan, page by page and token by token: whatever the memories
// are, however they are split into segments, whatever is asked.
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/hash.h"
#include "lib/index/view.h"
#include "lib/recall/list.h"
#include "support/backend/forwarding_backend.h"
#include "tests/recall/rows.h"
#include "tests/recall/worlds.h"

namespace aimem::recall {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<std::string> IdsOf(const ListResult& result) {
  std::vector<std::string> ids;
  for (const Memory& memory : result.memories) ids.push_back(memory.id);
  return ids;
}

void ExpectSame(const ListResult& indexed, const ListResult& scanned) {
  EXPECT_EQ(IdsOf(indexed), IdsOf(scanned));
  EXPECT_EQ(indexed.memories, scanned.memories);
  ASSERT_EQ(indexed.namespaces.size(), scanned.namespaces.size());
  for (std::size_t i = 0; i < scanned.namespaces.size(); ++i) {
    EXPECT_EQ(indexed.namespaces[i].namespace_, scanned.namespaces[i].namespace_);
    EXPECT_EQ(indexed.namespaces[i].count, scanned.namespaces[i].count);
  }
  EXPECT_EQ(indexed.next_page_token, scanned.next_page_token);
}

ListRequest RandomList(Chance& chance, const WorldKind& kind) {
  ListRequest request;
  request.kind = chance.Of<ListKind>({ListKind::kMemories, ListKind::kMemories, ListKind::kMemories,
                                      ListKind::kNamespaces, ListKind::kAgents});
  request.order =
      chance.Of<ListOrder>({ListOrder::kPriority, ListOrder::kCreated, ListOrder::kNewest});
  if (!chance.In(3)) request.filter = RandomFilter(chance, kind);
  request.limit = chance.Of<std::int64_t>({0, 1, 2, 3, 7, 20, 20, 1'000'000});
  if (chance.In(3)) request.offset = static_cast<std::int64_t>(chance.Below(40));
  if (chance.In(30)) request.offset = std::int64_t{1} << 60;
  return request;
}

std::string Describe(const ListRequest& request) {
  const Filter& filter = request.filter;
  return absl::StrFormat("kind %d, order %d, ns '%s', as '%s', tags %d, limit %d, offset %d, '%s'",
                         static_cast<int>(request.kind), static_cast<int>(request.order),
                         filter.namespace_.value_or("-"), filter.as_agent.value_or("-"),
                         filter.tags.size(), request.limit, request.offset, request.page_token);
}

// What it is asked for, to be counted.
class WatchedTransaction final : public testing::ForwardingTransaction {
 public:
  using ForwardingTransaction::ForwardingTransaction;
  absl::StatusOr<ReadResult> Read(const ReadSet& set) override {
    for (const EntityKey& key : set.keys) read.push_back(key.key);
    return ForwardingTransaction::Read(set);
  }
  absl::StatusOr<std::vector<EntityRow>> Scan(const ScanRequest& request) override {
    ++scans;
    return ForwardingTransaction::Scan(request);
  }

  std::vector<std::string> read;
  int scans = 0;
};

class IndexListTest : public ::testing::Test {
 protected:
  struct Seen {
    int pages = 0;
    int memories = 0;
    int agents = 0;
    int namespaces = 0;
    int next_pages = 0;
  };

  void Compare(Transaction& transaction, const index::View& view, ListRequest request) {
    // All pages: a token of the one is as good as a token of the other, since they are equal.
    for (int page = 0; page < 30 && !HasFailure(); ++page) {
      SCOPED_TRACE(absl::StrFormat("page %d: %s", page, Describe(request)));
      const auto scanned = List(transaction, request, kNow);
      const auto indexed = List(transaction, request, kNow, &view);
      ASSERT_TRUE(scanned.ok()) << scanned.status();
      ASSERT_TRUE(indexed.ok()) << indexed.status();
      ExpectSame(*indexed, *scanned);
      ++seen_.pages;
      (request.kind == ListKind::kAgents ? seen_.agents : seen_.memories) +=
          static_cast<int>(scanned->memories.size());
      seen_.namespaces += static_cast<int>(scanned->namespaces.size());
      if (scanned->next_page_token.empty()) return;
      ++seen_.next_pages;
      request.page_token = scanned->next_page_token;
    }
  }

  void Ask(std::uint64_t seed, const WorldKind& kind, int questions) {
    SCOPED_TRACE(absl::StrFormat("seed %d", seed));
    Chance chance(seed);
    MemoryMaker maker(chance, kind);
    std::vector<MemoryRow> memories;
    for (std::size_t i = 0; i < kind.memories; ++i) {
      // Ids that others begin with, UUIDs, and others.
      std::string id = absl::StrFormat("%s%d", chance.Of(kWords), i);
      if (i % 3 == 1) id = memories.back().id + chance.Of<std::string>({"\x01", "-0", "é"});
      if (i % 5 == 4) id = absl::StrFormat("%08x-0000-4000-8000-%012x", chance.Below(1'000), i);
      memories.push_back(maker.Make(std::move(id)));
    }
    const index::View view = MakeView(chance, maker, memories);
    Rows rows;
    rows.Put(memories);
    const auto transaction = rows.Read();
    for (int i = 0; i < questions && !HasFailure(); ++i) {
      Compare(*transaction, view, RandomList(chance, kind));
    }
  }

  // Memories m0 … of falling priority, and one segment of them.
  void MakeSome(int count) {
    LayerPlan plan;
    for (int i = 0; i < count; ++i) {
      memories_.push_back({.id = absl::StrFormat("m%03d", i),
                           .priority = i < count / 2 ? 9 : 5,
                           .created_at = kNow - absl::Hours(i + 1)});
      plan.documents.push_back(*DocumentOf(memories_.back()));
    }
    view_.layers.push_back(MakeLayer(plan));
    rows_.Put(memories_);
  }

  Seen seen_;
  std::vector<MemoryRow> memories_;
  index::View view_;
  Rows rows_;
};

TEST_F(IndexListTest, ListsAsTheScanDoes) {
  for (std::uint64_t seed = 1; seed <= 120 && !HasFailure(); ++seed) {
    Chance chance(seed);
    Ask(seed,
        {.memories = chance.Below(150),
         .few_times = chance.In(2),
         .namespaces = chance.In(3) ? kNamespaces.size() : 1 + chance.Below(4)},
        15);
  }
  EXPECT_GT(seen_.pages, 120 * 15);
  EXPECT_GT(seen_.memories, 10'000);
  EXPECT_GT(seen_.agents, 100);
  EXPECT_GT(seen_.namespaces, 500);
  EXPECT_GT(seen_.next_pages, 1'000);
}

TEST_F(IndexListTest, APageReadsNoRowsButItsOwn) {
  MakeSome(400);
  for (const ListOrder order : {ListOrder::kPriority, ListOrder::kCreated, ListOrder::kNewest}) {
    WatchedTransaction transaction(rows_.Read());
    const auto page = List(transaction, {.order = order, .limit = 20, .offset = 7}, kNow, &view_);
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_THAT(page->memories, SizeIs(20));
    EXPECT_EQ(transaction.read, IdsOf(*page));
    EXPECT_EQ(transaction.scans, 0);
  }
  WatchedTransaction transaction(rows_.Read());
  const auto namespaces = List(transaction, {.kind = ListKind::kNamespaces}, kNow, &view_);
  ASSERT_TRUE(namespaces.ok()) << namespaces.status();
  ASSERT_THAT(namespaces->namespaces, SizeIs(1));
  EXPECT_EQ(namespaces->namespaces[0].count, 400);
  EXPECT_THAT(transaction.read, IsEmpty());
  EXPECT_EQ(transaction.scans, 0);
}

// The index still has it; the scan has the next one in its place.
TEST_F(IndexListTest, ARowThatWasDamagedSinceIsLeftOutAsByAScan) {
  MakeSome(10);
  EntityRow damaged = MakeRow(memories_[1]);
  damaged.state = "damaged";
  WriteSet set;
  set.rows.push_back(damaged);
  rows_.Put(set);
  const ListRequest request = {.order = ListOrder::kNewest, .limit = 3};
  const auto transaction = rows_.Read();
  const auto indexed = List(*transaction, request, kNow, &view_);
  ASSERT_TRUE(indexed.ok()) << indexed.status();
  EXPECT_THAT(IdsOf(*indexed), ElementsAre("m000", "m002", "m003"));
  ExpectSame(*indexed, *List(*transaction, request, kNow));
}

// A token is checked for damage, and whoever makes one may make any.
TEST_F(IndexListTest, ATokenThatNoPageGaveMeansTheSameToBoth) {
  MakeSome(10);
  const auto transaction = rows_.Read();
  for (const ListOrder order : {ListOrder::kPriority, ListOrder::kCreated, ListOrder::kNewest}) {
    for (const std::string& position :
         {std::string(), std::string("\x01"), std::string(8, '\x80'), std::string(9, '\xff'),
          std::string(1, static_cast<char>(255 - 9)), std::string("\xf6\x80") + "a"}) {
      std::string bytes = {static_cast<char>(ListKind::kMemories), static_cast<char>(order)};
      bytes += position;
      bytes += AsBytes(Sha256({bytes})).substr(0, 4);
      Compare(*transaction, view_, {.order = order, .limit = 3, .page_token = ToHex(bytes)});
    }
  }
}

TEST_F(IndexListTest, AnEmptyIndexHasAnEmptyPage) {
  const index::View view;
  for (const ListKind kind : {ListKind::kMemories, ListKind::kNamespaces, ListKind::kAgents}) {
    const auto result = List(*rows_.Read(), {.kind = kind}, kNow, &view);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_THAT(result->memories, IsEmpty());
    EXPECT_THAT(result->namespaces, IsEmpty());
    EXPECT_EQ(result->next_page_token, "");
  }
}

}  // namespace
}  // namespace aimem::recall
