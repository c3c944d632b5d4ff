#include "aimem/open.h"

#include <gtest/gtest.h>

namespace aimem {
namespace {

TEST(MaskUrl, HidesThePasswordOfTheAuthority) {
  EXPECT_EQ(MaskUrl("postgres://ann:s3cret@db.example:5433/memories"),
            "postgres://ann:***@db.example:5433/memories");
  EXPECT_EQ(MaskUrl("postgresql://ann:s3cret@a:1,b:2/m?target_session_attrs=read-write"),
            "postgresql://ann:***@a:1,b:2/m?target_session_attrs=read-write");
}

TEST(MaskUrl, HidesPasswordsInTheQuery) {
  EXPECT_EQ(MaskUrl("postgres://db/m?user=ann&password=s3cret&sslmode=require"),
            "postgres://db/m?user=ann&password=***&sslmode=require");
  EXPECT_EQ(MaskUrl("postgres://db/m?PassWord=s3cret"), "postgres://db/m?PassWord=***");
  EXPECT_EQ(MaskUrl("postgres://db/m?sslpassword="), "postgres://db/m?sslpassword=***");
}

TEST(MaskUrl, HidesPasswordsThatAreNotEscaped) {
  EXPECT_EQ(MaskUrl("postgres://ann:s3@cr@db/m"), "postgres://ann:***@db/m");
  EXPECT_EQ(MaskUrl("postgres://ann:s3/cr?t#x@db/m"), "postgres://ann:***@db/m");
}

TEST(MaskUrl, LeavesTheRestAsItIs) {
  for (const char* url : {"", "memory:", "memories.db", "sqlite:///var/lib/memories.db",
                          "sqlite://./memories.db", "postgres://ann@db/m", "postgres://db:5432/m",
                          "postgres:///m?host=/run/postgresql", "a@b:c"}) {
    EXPECT_EQ(MaskUrl(url), url);
  }
}

}  // namespace
}  // namespace aimem
