// What a defect of ours comes to: the end of a process that is built with tests, else a status.
#include "lib/base/invariant.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/status/statusor.h"

namespace aimem {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

absl::Status Check(bool holds) {
  AIMEM_INVARIANT(holds, "one is one");
  return absl::OkStatus();
}

absl::StatusOr<int> Get(bool holds) {
  AIMEM_INVARIANT(holds, "one is one");
  return 1;
}

TEST(Invariant, ThatHoldsIsPassed) {
  EXPECT_TRUE(Check(true).ok());
  EXPECT_EQ(*Get(true), 1);
}

TEST(InvariantDeathTest, ThatIsBrokenEndsAProcessThatIsBuiltWithTests) {
  EXPECT_DEATH(Check(false).IgnoreError(), "a defect of aimem.*invariant_test.cc:.*one is one");
}

TEST(Invariant, ThatIsBrokenIsInternalElsewhereAndSaysWhere) {
  EndAtBrokenInvariants(false);
  for (const absl::Status& status : {Check(false), Get(false).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("at invariant_test.cc:"), HasSubstr("one is one")));
  }
  EndAtBrokenInvariants(true);
}

}  // namespace
}  // namespace aimem
