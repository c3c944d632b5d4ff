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

TEST(FederationOnPostgres, WhatIsErasedIsInNoTable) {
  auto server = support::PostgresServer::Start();
  ASSERT_TRUE(server.ok()) << server.status();
  ASSERT_EQ((*server)->CreateDatabase("member"), absl::OkStatus());
  Federation federation({.stores = {{1, (*server)->Url("member")}}});
  federation.StartConnected();
  const std::string marker = "xyzzyplugh";
  const std::string id = federation.MustPut(1, marker, "put " + marker);
  const std::string path = "/api/v1/memories/" + id;
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(Eventually(kPatience, [&] {
      return Send(federation.client(i % 3), "PUT", path,
                  {{"content", absl::StrFormat("%d %s %s", i, marker, std::string(5'000, 'x'))}})
                 .code == 200;
    }));
  }
  federation.CheckSettled();
  const auto rows_with_marker = [&] {
    const auto counted = (*server)->Execute(
        "member",
        "SELECT (SELECT count(*) FROM aimem.entity WHERE position('xyzzyplugh'::bytea in state) > "
        "0)"
        " + (SELECT count(*) FROM aimem.log WHERE position('xyzzyplugh'::bytea in bytes) > 0)"
        " + (SELECT count(*) FROM aimem.meta WHERE position('xyzzyplugh'::bytea in value) > 0)");
    EXPECT_TRUE(counted.ok()) << counted.status();
    return counted.ok() && counted->size() == 1 ? std::stoi(counted->front()) : -1;
  };
  ASSERT_GT(rows_with_marker(), 5);
  // By another member: it is erased when the purge reaches this one.
  const Answer erased = Send(federation.client(0), "DELETE", path + "?erase=true");
  ASSERT_EQ(erased.code, 200) << erased.ToString();
  EXPECT_TRUE(Eventually(kPatience, [&] { return rows_with_marker() == 0; }));
  const std::string other = federation.MustPut(1, "other " + marker, marker);
  ASSERT_GT(rows_with_marker(), 0);
  // By this one, it is when it says so.
  const Answer here =
      Send(federation.client(1), "DELETE", "/api/v1/memories/" + other + "?erase=true");
  ASSERT_EQ(here.code, 200) << here.ToString();
  EXPECT_EQ(here.body.value("erasing", true), false);
  EXPECT_EQ(rows_with_marker(), 0);
  federation.CheckSettled();
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(1));
}

}  // namespace
}  // namespace aimem::federation
