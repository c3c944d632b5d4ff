// A member whose data was put back to an earlier state, in place: what it then acknowledges is on W
// disks at that moment, what had been acknowledged stays, and all become equal again.
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "gtest/gtest.h"
#include "tests/cli/run.h"
#include "tests/federation/federation.h"

namespace aimem::federation {
namespace {

constexpr int kWrites = 40;

/// What the network does while the member begins again.
enum class Links {
  kWhole,
  kNobodyCallsIt,          ///< It reaches the others, their calls to it lead nowhere.
  kItsCallsLeadNowhere,    ///< They reach it; what it sends by itself is lost.
  kItHearsNoReplies,       ///< What it sends arrives, the replies are lost.
  kOneOfThemIsOutOfReach,  ///< And that is the one that holds all of what was lost.
};

struct Case {
  Links links = Links::kWhole;
  bool command_line = false;  ///< Something writes into the data before the server starts.
};

std::string NameOf(const Case& put_back) {
  const char* links[] = {"Whole", "NobodyCallsIt", "ItsCallsLeadNowhere", "ItHearsNoReplies",
                         "OneOutOfReach"};
  return std::string(links[static_cast<int>(put_back.links)]) +
         (put_back.command_line ? "AfterACommand" : "");
}

class FederationPutBack : public ::testing::TestWithParam<Case> {
 protected:
  void Cut(Links links) {
    using Direction = testing::TcpProxy::Direction;
    for (int peer = 1; peer < 3; ++peer) {
      switch (links) {
        case Links::kWhole:
          break;
        case Links::kNobodyCallsIt:
          federation_.link(peer, 0).BlackHole();
          break;
        case Links::kItsCallsLeadNowhere:
          federation_.link(0, peer).BlackHole(Direction::kToServer);
          break;
        case Links::kItHearsNoReplies:
          federation_.link(0, peer).BlackHole(Direction::kToClient);
          break;
        case Links::kOneOfThemIsOutOfReach:
          if (peer == 1) federation_.Isolate(1, true);
          break;
      }
    }
  }

  void Heal() {
    for (int from = 0; from < 3; ++from) {
      for (int to = 0; to < 3; ++to) {
        if (from != to) federation_.link(from, to).Heal();
      }
    }
  }

  /// Members that show this memory now.
  int Holders(const std::string& id, const std::string& content) {
    int holders = 0;
    for (int member = 0; member < 3; ++member) {
      const Answer answer = federation_.Get(member, "/api/v1/memories/" + id);
      if (answer.code != 200) continue;
      const nlohmann::json& memory =
          answer.body.contains("memory") ? answer.body["memory"] : answer.body;
      if (memory.value("content", "") == content) ++holders;
    }
    return holders;
  }

  /// A row that only this test's member is asked for: its answer must be true when it comes.
  void WriteAndLook(const std::string& title) {
    const Answer answer = federation_.Put(0, title, title);
    if (answer.code == 201) {
      ++told_;
      const int holders = Holders(answer.Text("id"), title);
      if (holders < 2) {
        ++false_;
        ADD_FAILURE() << title << " was answered with 201 and is on " << holders << " of 3 disks";
      }
    } else {
      EXPECT_EQ(answer.code, 503) << answer.ToString();
      if (!answer.body.is_object() || !answer.body.value("durable_locally", false)) return;
    }
    durable_.insert(title);
  }

  void StoreByCommand(const std::string& title) {
    const testing::Ran ran = testing::Child(Program(),
                                            {"--db", federation_.store(0), "store", "-n",
                                             kNamespace, "-T", title, "-c", title, "-t", "long"},
                                            {}, federation_.folder())
                                 .Wait();
    EXPECT_EQ(ran.code, 0) << ran.err;
    durable_.insert(title);
  }

  void CheckAllIsThere() {
    const Data data = federation_.CheckEqualOnDisk();
    std::set<std::string> titles;
    for (const auto& [id, title] : data.titles) titles.insert(title);
    for (const std::string& title : durable_) {
      EXPECT_EQ(titles.count(title), 1u) << title << " was said to be durable, and is lost";
    }
  }

  Federation federation_{{.quorum_timeout = absl::Milliseconds(300),
                          .proxies = true,
                          .more = {"--shutdown-grace-secs", "1"}}};
  std::set<std::string> durable_;  // titles that somebody was told to be
  int told_ = 0, false_ = 0;
};

TEST_P(FederationPutBack, AcknowledgesNothingFalselyAndLosesNothing) {
  const Case& put_back = GetParam();
  federation_.StartConnected();
  const auto must_put = [&](const std::string& title) {
    federation_.MustPut(0, title, title);
    durable_.insert(title);
  };
  for (int i = 0; i < 5; ++i) must_put(absl::StrFormat("before %d", i));
  federation_.CheckSettled();
  federation_.Terminate(0);
  federation_.Keep(0);
  federation_.Start(0);
  // More than is written into the earlier state before it is heard of: numbers are used twice.
  const bool one_away = put_back.links == Links::kOneOfThemIsOutOfReach;
  if (one_away) federation_.Isolate(2, true);
  for (int i = 0; i < kWrites + 10; ++i) must_put(absl::StrFormat("then %d", i));
  federation_.Terminate(0);
  federation_.PutBack(0);
  if (put_back.command_line) {
    for (int i = 0; i < 3; ++i) StoreByCommand(absl::StrFormat("by a command %d", i));
  }
  if (one_away) federation_.Isolate(2, false);
  Cut(put_back.links);
  federation_.Start(0);
  for (int i = 0; i < kWrites; ++i) WriteAndLook(absl::StrFormat("again %d", i));
  EXPECT_EQ(false_, 0) << "of " << told_ << " answers with 201";
  if (HasFailure()) return;  // what follows waits for what will not come

  Heal();
  must_put("at last");
  federation_.CheckSettled();
  for (int i = 0; i < 3; ++i) must_put(absl::StrFormat("afterwards %d", i));
  federation_.CheckSettled();
  CheckAllIsThere();
}

INSTANTIATE_TEST_SUITE_P(Data, FederationPutBack,
                         ::testing::Values(Case{Links::kWhole, false}, Case{Links::kWhole, true},
                                           Case{Links::kNobodyCallsIt, false},
                                           Case{Links::kItsCallsLeadNowhere, true},
                                           Case{Links::kItHearsNoReplies, true},
                                           Case{Links::kOneOfThemIsOutOfReach, true}),
                         [](const auto& one) { return NameOf(one.param); });

/// It need not be restarted by anybody: what its peers hold of it is heard by a member that has
/// nothing to write.
TEST(FederationPutBackAtRest, TakesWhatTheOthersHoldOfItsOwn) {
  Federation federation({});
  federation.StartConnected();
  federation.Terminate(0);
  federation.Keep(0);
  federation.Start(0);
  for (int i = 0; i < 10; ++i) federation.MustPut(0, absl::StrFormat("row %d", i));
  federation.CheckSettled();
  federation.Terminate(0);
  federation.PutBack(0);
  federation.Start(0);
  federation.CheckSettled();
  EXPECT_EQ(federation.Rows(0).size(), 11u);
  federation.MustPut(0, "afterwards");
  federation.CheckSettled();
  EXPECT_EQ(federation.CheckEqualOnDisk().contents.size(), 12u);
}

}  // namespace
}  // namespace aimem::federation
