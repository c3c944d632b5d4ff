// What the outcome and the code of a write say to whoever would try again.
#include <gtest/gtest.h>

#include "absl/status/status.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/store.h"

namespace aimem {
namespace {

WriteResult Result(WriteOutcome outcome, absl::Status status) {
  WriteResult result;
  result.outcome = outcome;
  result.status = std::move(status);
  return result;
}

TEST(WriteResult, IsDurableInDoubtOrNeither) {
  struct Row {
    WriteOutcome outcome;
    bool durable;
    bool in_doubt;
  };
  for (const Row& row :
       {Row{WriteOutcome::kCommitted, true, false}, Row{WriteOutcome::kPending, false, true},
        Row{WriteOutcome::kRejected, false, false}, Row{WriteOutcome::kUnknown, false, true}}) {
    const WriteResult result = Result(row.outcome, absl::OkStatus());
    EXPECT_EQ(result.durable(), row.durable) << WriteOutcomeName(row.outcome);
    EXPECT_EQ(result.in_doubt(), row.in_doubt) << WriteOutcomeName(row.outcome);
  }
}

TEST(WriteResult, IsRetryableIfTheSameCallCanSucceedLater) {
  EXPECT_FALSE(IsRetryable(Result(WriteOutcome::kCommitted, absl::OkStatus())));
  EXPECT_TRUE(IsRetryable(Result(WriteOutcome::kPending, absl::DeadlineExceededError("1 of 2"))));
  EXPECT_TRUE(IsRetryable(Result(WriteOutcome::kUnknown, absl::UnknownError("the disk failed"))));
  for (int code = 1; code <= 16; ++code) {
    const auto status = static_cast<absl::StatusCode>(code);
    EXPECT_EQ(
        IsRetryable(Result(WriteOutcome::kRejected, absl::Status(status, "no"))),
        status == absl::StatusCode::kUnavailable || status == absl::StatusCode::kResourceExhausted)
        << absl::StatusCodeToString(status);
  }
}

TEST(WriteBatch, IsMadeOfAnItemOfSeveralOrOfAList) {
  const PutMemory put{.title = "t", .content = "c"};
  EXPECT_TRUE(WriteBatch().items.empty());
  EXPECT_TRUE(WriteBatch({}).items.empty());
  EXPECT_EQ(WriteBatch(put).items.size(), 1u);
  EXPECT_EQ(WriteBatch{put}.items.size(), 1u);
  EXPECT_EQ(WriteBatch(WriteItem(put)).items.size(), 1u);
  EXPECT_EQ((WriteBatch{put, DeleteMemory{"id"}}).items.size(), 2u);
  std::vector<WriteItem> list(3, put);
  EXPECT_EQ(WriteBatch(list).items.size(), 3u);
  const WriteBatch whole{std::move(list)};
  EXPECT_EQ(WriteBatch{whole}.items.size(), 3u) << "a copy, no batch within a batch";
  EXPECT_TRUE(std::holds_alternative<PutMemory>(whole.items[2]));
}

TEST(WriteBatch, IsWrittenAsItIs) {
  auto store = OpenEphemeralStore(nullptr);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE((*store)->Write(PutMemory{.title = "a", .content = "c"}).durable());
  EXPECT_TRUE((*store)
                  ->Write({PutMemory{.title = "b", .content = "c"},
                           PutMemory{.title = "d", .content = "c"}})
                  .durable());
  WriteOutcome outcome = WriteOutcome::kRejected;
  (*store)->WriteAsync(PutMemory{.title = "e", .content = "c"},
                       [&outcome](const WriteResult& result) { outcome = result.outcome; });
  EXPECT_TRUE((*store)->Close().ok());
  EXPECT_EQ(outcome, WriteOutcome::kCommitted);
}

}  // namespace
}  // namespace aimem
