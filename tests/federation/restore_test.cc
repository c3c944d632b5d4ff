// A member that is put back from a backup by the command: refused while it runs; then it learns
// before it writes, loses nothing, and its peers' rows come back.
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cli/run.h"
#include "tests/federation/federation.h"

namespace aimem::federation {
namespace {

using ::testing::HasSubstr;

class FederationRestore : public ::testing::Test {
 protected:
  testing::Ran Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--db", federation_.store(0)});
    return testing::Child(Program(), arguments, {}, federation_.folder()).Wait();
  }

  void Put(int member, const std::string& title) {
    federation_.MustPut(member, title, title);
    titles_.insert(title);
  }

  void CheckAllIsThere() {
    const Data data = federation_.CheckEqualOnDisk();
    std::set<std::string> held;
    for (const auto& [id, title] : data.titles) held.insert(title);
    for (const std::string& title : titles_) EXPECT_TRUE(held.contains(title)) << title;
  }

  Federation federation_{{.quorum_timeout = absl::Milliseconds(300),
                          .proxies = true,
                          .more = {"--shutdown-grace-secs", "1"}}};
  std::set<std::string> titles_;
};

TEST_F(FederationRestore, MemberLearnsFirstLosesNothingAndIsGivenBackWhatItsPeersHold) {
  federation_.StartConnected();
  for (int i = 0; i < 5; ++i) Put(0, absl::StrFormat("before %d", i));
  const testing::Ran backup = Run({"backup", "--to", "backups"});
  ASSERT_EQ(backup.code, 0) << backup.err;
  for (int i = 0; i < 20; ++i) Put(0, absl::StrFormat("after %d", i));
  for (int i = 0; i < 5; ++i) Put(1, absl::StrFormat("of a peer %d", i));
  federation_.CheckSettled();

  const testing::Ran running = Run({"restore", "--from", "backups"});
  EXPECT_EQ(running.code, 1);
  EXPECT_THAT(running.err, HasSubstr("is in use"));
  Put(0, "a restore that was refused changed nothing");
  federation_.CheckSettled();

  federation_.Terminate(0);
  const testing::Ran restore = Run({"restore", "--from", "backups"});
  ASSERT_EQ(restore.code, 0) << restore.err;
  federation_.Isolate(0, true);
  federation_.Start(0);
  EXPECT_EQ(federation_.Put(0, "before it has learnt").code, 503);
  federation_.Isolate(0, false);
  federation_.CheckSettled();
  Put(0, "at last");
  federation_.CheckSettled();
  EXPECT_GE(federation_.Rows(0).size(), titles_.size());
  CheckAllIsThere();
}

// All three are put back to backups of different age: what one of them holds, all hold.
TEST_F(FederationRestore, AllMembersGoBackToTheNewestOfTheirBackups) {
  federation_.StartConnected();
  for (int member = 0; member < 3; ++member) {
    Put(member, absl::StrFormat("until the backup of %d", member));
    federation_.CheckSettled();
    const testing::Ran backup = testing::Child(Program(),
                                               {"--db", federation_.store(member), "backup", "--to",
                                                absl::StrFormat("backups-%d", member)},
                                               {}, federation_.folder())
                                    .Wait();
    ASSERT_EQ(backup.code, 0) << backup.err;
  }
  federation_.MustPut(0, "after all backups");
  federation_.CheckSettled();
  for (int member = 0; member < 3; ++member) federation_.Terminate(member);
  for (int member = 0; member < 3; ++member) {
    const testing::Ran restore = testing::Child(Program(),
                                                {"--db", federation_.store(member), "restore",
                                                 "--from", absl::StrFormat("backups-%d", member)},
                                                {}, federation_.folder())
                                     .Wait();
    ASSERT_EQ(restore.code, 0) << restore.err;
  }
  federation_.StartAll();
  Put(1, "afterwards");
  federation_.CheckSettled();
  CheckAllIsThere();
}

}  // namespace
}  // namespace aimem::federation
