// What a kind says of itself, asked of all kinds.
#include "lib/execute/kinds.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "lib/execute/execute.h"
#include "lib/execute/rows.h"

namespace aimem::execute {
namespace {

/// An empty store, whose reads are counted.
class NothingThere final : public Transaction {
 public:
  absl::StatusOr<ReadResult> Read(const ReadSet& set) override {
    ++reads;
    ReadResult result;
    result.rows.resize(set.keys.size());
    return result;
  }
  absl::StatusOr<std::vector<EntityRow>> Scan(const ScanRequest&) override {
    return std::vector<EntityRow>();
  }
  absl::StatusOr<std::vector<LogRow>> ReadLog(std::uint64_t, std::uint64_t, std::size_t,
                                              std::size_t) override {
    return std::vector<LogRow>();
  }
  absl::StatusOr<std::vector<BlockRow>> ReadBlocks(std::uint64_t, std::uint32_t,
                                                   std::size_t) override {
    return std::vector<BlockRow>();
  }
  absl::StatusOr<std::vector<BlockCount>> CountBlocks() override {
    return std::vector<BlockCount>();
  }
  absl::Status Put(const WriteSet&) override { return absl::UnimplementedError("not written to"); }
  CommitResult Commit() override { return {}; }

  int reads = 0;
};

/// How often executing `item` over an empty store reads once more what CollectReads did not name.
int ReadsMore(const WriteItem& item) {
  NothingThere transaction;
  Rows rows(transaction);
  const WriteBatch batch = item;
  ReadSet reads;
  CollectReads(batch, reads);
  EXPECT_TRUE(rows.Fetch(reads).ok());
  const int before = transaction.reads;
  const Lifetimes lifetimes;
  const WriteOptions options;
  const ExecuteContext context{rows, lifetimes, options, absl::FromUnixSeconds(1'700'000'000)};
  std::vector<ItemResult> results;
  Execute(batch, context, results).IgnoreError();  // what is not there may well be refused
  return transaction.reads - before;
}

TEST(Kinds, WhatIsCertainlyReadIsReadInOneRoundTrip) {
  EXPECT_EQ(ReadsMore(PutMemory{.title = "t", .content = "c"}), 0);
  ImportMemory import;
  import.memory.id = "m1";
  import.memory.title = "t";
  import.memory.content = "c";
  EXPECT_EQ(ReadsMore(import), 0);
  EXPECT_EQ(ReadsMore(TouchMemory{"m1"}), 0);
  EXPECT_EQ(ReadsMore(AddLink{.source_id = "a", .target_id = "b"}), 0);
  EXPECT_EQ(ReadsMore(RemoveLink{.source_id = "a", .target_id = "b"}), 0);
  EXPECT_EQ(ReadsMore(EraseMemory{"m1"}), 0);
  EXPECT_EQ(ReadsMore(RestoreMemory{"m1"}), 0);
  EXPECT_EQ(ReadsMore(ConsolidateMemories{.ids = {"a", "b"}, .title = "t", .summary = "s"}), 0);
  EXPECT_EQ(ReadsMore(SetStandard{.namespace_ = "kitchen", .memory_id = "m1"}), 0);
  EXPECT_EQ(ReadsMore(ClearStandard{"kitchen"}), 0);
  EXPECT_EQ(ReadsMore(DecidePending{"p1", true}), 0);
  EXPECT_EQ(ReadsMore(RegisterAgent{.agent_id = "bot", .agent_type = "human"}), 0);
}

TEST(Kinds, ChangesByFilterAreThoseThatHaveARule) {
  for (const WriteItem& item : {WriteItem(ForgetMemories{.namespace_ = "kitchen"}),
                                WriteItem(ExpireMemories{}), WriteItem(PurgeArchive{})}) {
    EXPECT_TRUE(SelectsByFilter(item));
    EXPECT_TRUE(FilterOf(item).ok()) << FilterOf(item).status();
  }
  EXPECT_FALSE(SelectsByFilter(RestoreMemory{"m1"}));
  EXPECT_FALSE(SelectsByFilter(DeleteMemory{"m1"}));
  EXPECT_EQ(FilterOf(DeleteMemory{"m1"}).status().code(), absl::StatusCode::kInternal);
}

TEST(Kinds, FilterThatMakesNoSenseIsRefused) {
  EXPECT_EQ(FilterOf(ForgetMemories{}).status().message(),
            "at least one of namespace, pattern, or tier is required");
  EXPECT_EQ(FilterOf(PurgeArchive{-1}).status().message(),
            "older_than_days must be non-negative (got -1)");
}

TEST(Kinds, RulesTellWhatIsTakenAndWhatTheItemDid) {
  const absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  model::MemoryView live;
  live.phase = model::Phase::kLive;
  live.namespace_ = "kitchen";
  live.expires_at = absl::ToUnixNanos(now - absl::Seconds(1));
  model::MemoryView archived = live;
  archived.phase = model::Phase::kArchived;
  archived.archived_at = absl::ToUnixNanos(now - absl::Hours(24 * 10));

  const auto forget = FilterOf(ForgetMemories{.namespace_ = "kitchen"});
  EXPECT_TRUE(forget->takes(live, now));
  EXPECT_FALSE(forget->takes(archived, now));
  EXPECT_EQ(forget->effect, ItemEffect::kArchived);
  EXPECT_EQ(forget->end(live, now).name, model::part::kForgotten);

  const auto expire = FilterOf(ExpireMemories{});
  EXPECT_TRUE(expire->takes(live, now));
  EXPECT_FALSE(expire->takes(live, now - absl::Seconds(2)));
  EXPECT_FALSE(expire->takes(archived, now));
  EXPECT_EQ(expire->effect, ItemEffect::kArchived);
  EXPECT_EQ(expire->end(live, now).name, model::part::kExpired);
  const auto collect = FilterOf(ExpireMemories{.archive = false});
  EXPECT_EQ(collect->effect, ItemEffect::kDeleted);
  EXPECT_EQ(collect->end(live, now).name, model::part::kDeleted);

  const auto purge = FilterOf(PurgeArchive{9});
  EXPECT_TRUE(purge->takes(archived, now));
  EXPECT_FALSE(purge->takes(archived, now - absl::Hours(48)));
  EXPECT_FALSE(purge->takes(live, now));
  EXPECT_TRUE(FilterOf(PurgeArchive{})->takes(archived, now - absl::Hours(480)));
  EXPECT_EQ(purge->effect, ItemEffect::kDeleted);
}

}  // namespace
}  // namespace aimem::execute
