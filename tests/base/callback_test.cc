#include "lib/base/callback.h"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>
#include <thread>

namespace aimem {
namespace {

TEST(Contain, TellsWhatWasThrown) {
  EXPECT_TRUE(Contain([] {}).ok());
  const absl::Status said = Contain([] { throw std::runtime_error("what it says"); });
  EXPECT_EQ(said.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(said.message(), "what it says");
  EXPECT_EQ(Contain([] { throw std::bad_alloc(); }).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Contain([] { throw 1; }).code(), absl::StatusCode::kInternal);
}

TEST(CallbackScope, IsKnownToItsThreadHoweverDeep) {
  int owner = 0;
  int other = 0;
  EXPECT_FALSE(CallbackScope::Within(&owner));
  {
    const CallbackScope outer(&owner);
    const CallbackScope inner(&other);
    EXPECT_TRUE(CallbackScope::Within(&owner));
    EXPECT_TRUE(CallbackScope::Within(&other));
    EXPECT_EQ(CheckMayWait(&owner).code(), absl::StatusCode::kFailedPrecondition);
    std::thread([&] { EXPECT_FALSE(CallbackScope::Within(&owner)); }).join();
  }
  EXPECT_TRUE(CheckMayWait(&owner).ok());
}

TEST(CallbackScope, EndsWithWhatIsThrown) {
  int owner = 0;
  EXPECT_FALSE(Contain([&] {
                 const CallbackScope scope(&owner);
                 throw std::runtime_error("thrown");
               }).ok());
  EXPECT_FALSE(CallbackScope::Within(&owner));
}

}  // namespace
}  // namespace aimem
