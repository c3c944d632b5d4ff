// examples/embed_federation, as a host would run it.
#include <cstdlib>
#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "support/process/reserved_port.h"
#include "tests/cli/run.h"
#include "tests/federation/federation.h"

namespace aimem::federation {
namespace {

using ::testing::HasSubstr;

TEST(EmbedFederationExample, WhatOneMemberWasToldAnotherAnswersNowAndAfterARestart) {
  const testing::TempDir dir;
  const std::filesystem::path folder = dir.path();
  for (int run = 0; run < 2; ++run) {
    std::vector<std::string> arguments = {folder.string()};
    const auto ports = support::ReservePorts(3);
    ASSERT_TRUE(ports.ok()) << ports.status();
    for (const auto& port : *ports) arguments.push_back(std::to_string(port.number()));
    const testing::Ran ran =
        testing::Child(std::getenv("AIMEM_EXAMPLE"), arguments, {}, folder).Wait();
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_THAT(ran.out, HasSubstr("told the first member; 3 hold it"));
    EXPECT_THAT(ran.out, HasSubstr("asked the third member: Mia must not eat walnuts."));
  }
}

}  // namespace
}  // namespace aimem::federation
