// What examples/embed_federation says of each outcome.
#include "examples/embed_federation/outcome.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace embed_federation {
namespace {

using aimem::WriteOutcome;
using ::testing::HasSubstr;

aimem::WriteResult Result(WriteOutcome outcome, absl::Status status) {
  aimem::WriteResult result;
  result.operation = *aimem::Id128::Parse("01890a5d-ac96-774b-bcce-b302099a8057");
  result.outcome = outcome;
  result.status = std::move(status);
  return result;
}

TEST(EmbedFederationOutcome, OnlyWhatIsDurableIsOk) {
  EXPECT_TRUE(StatusOf(Result(WriteOutcome::kCommitted, absl::OkStatus())).ok());
  EXPECT_TRUE(StatusOf(Result(WriteOutcome::kPending, absl::DeadlineExceededError("1 of 2"))).ok());
  const grpc::Status refused =
      StatusOf(Result(WriteOutcome::kRejected, absl::UnavailableError("the store is closed")));
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(refused.error_message(), "the store is closed");
}

TEST(EmbedFederationOutcome, UnknownIsNeitherOkNorARefusalAndNamesTheOperation) {
  const grpc::Status unknown =
      StatusOf(Result(WriteOutcome::kUnknown, absl::UnknownError("the disk failed")));
  EXPECT_EQ(unknown.error_code(), grpc::StatusCode::UNKNOWN);
  EXPECT_THAT(unknown.error_message(), HasSubstr("01890a5d-ac96-774b-bcce-b302099a8057"));
  EXPECT_THAT(unknown.error_message(), HasSubstr("the disk failed"));
}

}  // namespace
}  // namespace embed_federation
