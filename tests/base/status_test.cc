#include "lib/base/status.h"

#include <gtest/gtest.h>

namespace aimem {
namespace {

TEST(Annotate, PutsThePrefixBeforeTheMessageAndKeepsCodeAndPayloads) {
  absl::Status status = MakeStatus(absl::StatusCode::kUnavailable, "disk is full");
  status.SetPayload("aimem/test", absl::Cord("42"));
  const absl::Status annotated = Annotate(status, "opening 'x.db'");
  EXPECT_EQ(annotated.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ToStd(annotated.message()), "opening 'x.db': disk is full");
  EXPECT_EQ(annotated.GetPayload("aimem/test"), absl::Cord("42"));
}

TEST(Annotate, LeavesOkAlone) { EXPECT_TRUE(Annotate(absl::OkStatus(), "opening").ok()); }

absl::StatusOr<int> Half(int value) {
  if (value % 2 != 0) return MakeStatus(absl::StatusCode::kInvalidArgument, "odd");
  return value / 2;
}

absl::StatusOr<int> Quarter(int value) {
  AIMEM_ASSIGN_OR_RETURN(const int half, Half(value));
  AIMEM_RETURN_IF_ERROR(Half(half).status());
  return half / 2;
}

TEST(Macros, ReturnTheFirstError) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_EQ(ToStd(Quarter(6).status().message()), "odd");
  EXPECT_EQ(ToStd(Quarter(3).status().message()), "odd");
}

}  // namespace
}  // namespace aimem
