// examples/embed_postgres, as a host would run it.
#include <cstdlib>
#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "support/postgres/postgres_server.h"
#include "tests/cli/run.h"
#include "tests/federation/federation.h"

namespace aimem::federation {
namespace {

using ::testing::HasSubstr;

TEST(EmbedPostgresExample, MemberOverPostgresDeliversToTheMemberOverAFile) {
  auto server = support::PostgresServer::Start();
  ASSERT_TRUE(server.ok()) << server.status();
  ASSERT_EQ((*server)->CreateDatabase("example"), absl::OkStatus());
  const testing::TempDir dir;
  const std::filesystem::path folder = dir.path();
  const testing::Ran ran =
      testing::Child(std::getenv("AIMEM_EXAMPLE"),
                     {(*server)->Url("example"), (folder / "memories.db").string()}, {}, folder)
          .Wait();
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("written to PostgreSQL: committed on 2 members"));
  EXPECT_THAT(ran.out, HasSubstr("read from the file: The oven runs twenty degrees hot."));
}

}  // namespace
}  // namespace aimem::federation
