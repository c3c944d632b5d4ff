// One member over PostgreSQL, two over files.
#include <string>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "support/postgres/postgres_server.h"
#include "tests/federation/federation.h"

namespace aimem::federation {
namespace {

using ::testing::SizeIs;

TEST(FederationOnPostgres, MembersOverFilesAndOverPostgresEndEqual) {
  auto server = support::PostgresServer::Start();
  ASSERT_TRUE(server.ok()) << server.status();
  ASSERT_EQ((*server)->CreateDatabase("member"), absl::OkStatus());
  Federation federation({.stores = {{1, (*server)->Url("member")}}});
  federation.StartAll();
  for (int i = 0; i < 60; ++i) federation.MustPut(i % 3, absl::StrFormat("row %d", i));
  // The member that is away, and the one whose sessions are killed, miss nothing.
  federation.Terminate(2);
  for (int i = 0; i < 20; ++i) federation.MustPut(i % 2, absl::StrFormat("away %d", i));
  federation.Kill(1);
  federation.Start(2);
  for (int i = 0; i < 20; ++i) federation.MustPut(0, absl::StrFormat("killed %d", i));
  federation.Start(1);
  EXPECT_EQ((*server)->KillBackends(), absl::OkStatus());
  federation.CheckSettled();
  federation.MustPut(1, "through the database");
  federation.CheckSettled();
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(101));
}

}  // namespace
}  // namespace aimem::federation
