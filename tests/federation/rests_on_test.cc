// What an answer rests on: one that wrote nothing, or wrote it long ago, waits for its quorum too.
#include <functional>
#include <string>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/federation/federation.h"

namespace aimem::federation {
namespace {

const clients::HttpHeaders kKey = {{"Idempotency-Key", "once"}};

class FederationRestsOn : public ::testing::Test {
 protected:
  void StartAndKillPeers() {
    federation_.StartConnected();
    first_ = federation_.MustPut(0, "first");
    second_ = federation_.MustPut(0, "second");
    federation_.CheckSettled();
    federation_.Kill(1);
    federation_.Kill(2);
  }

  Answer Post(const std::string& target, const nlohmann::json& body,
              const clients::HttpHeaders& headers = {}) {
    return Send(federation_.client(0), "POST", target, body, headers);
  }

  /// Whatever it is asked for, and how often: one disk holds it, and nobody is told otherwise. Then
  /// a peer comes back.
  void ExpectPendingUntilAPeerIsBack(const std::function<Answer()>& ask, int success) {
    for (int i = 0; i < 3; ++i) {
      const Answer answer = ask();
      EXPECT_EQ(answer.code, 503) << "attempt " << i + 1 << ": " << answer.ToString();
      EXPECT_EQ(answer.Text("outcome"), "PENDING") << answer.ToString();
      EXPECT_EQ(answer.body.is_object() ? answer.body.value("got", 0) : 0, 1) << answer.ToString();
    }
    federation_.Start(1);
    Answer answer;
    EXPECT_TRUE(Eventually(kPatience, [&] {
      answer = ask();
      return answer.code != 503;
    }));
    EXPECT_EQ(answer.code, success) << answer.ToString();
  }

  Federation federation_{{.quorum_timeout = absl::Milliseconds(200)}};
  std::string first_, second_;
};

TEST_F(FederationRestsOn, ALinkThatIsThereAlready) {
  StartAndKillPeers();
  ExpectPendingUntilAPeerIsBack(
      [&] {
        return Post("/api/v1/links", {{"source_id", first_}, {"target_id", second_}});
      },
      201);
  EXPECT_EQ(federation_.Get(1, "/api/v1/links/" + first_).body.at("links").size(), 1u);
}

TEST_F(FederationRestsOn, AForgetWithAKey) {
  StartAndKillPeers();
  ExpectPendingUntilAPeerIsBack(
      [&] {
        return Post("/api/v1/forget", {{"namespace", kNamespace}}, kKey);
      },
      200);
  EXPECT_TRUE(federation_.Rows(1).empty()) << "it was told to be on two disks";
}

TEST_F(FederationRestsOn, AForgetThatFindsNothingMore) {
  StartAndKillPeers();
  ExpectPendingUntilAPeerIsBack(
      [&] {
        return Post("/api/v1/forget", {{"namespace", kNamespace}});
      },
      200);
  EXPECT_TRUE(federation_.Rows(1).empty()) << "it was told to be on two disks";
}

TEST_F(FederationRestsOn, AnOperationOfManyCommits) {
  federation_.StartConnected();
  constexpr int kRows = 2'500;
  for (int begin = 0; begin < kRows; begin += 500) {
    nlohmann::json rows = nlohmann::json::array();
    for (int i = begin; i < begin + 500; ++i) rows.push_back(Memory(absl::StrFormat("row %d", i)));
    const std::string key = absl::StrFormat("rows from %d", begin);
    Answer answer;
    EXPECT_TRUE(Eventually(kPatience, [&] {
      answer = Post("/api/v1/memories/bulk", rows, {{"Idempotency-Key", key}});
      return answer.code != 503;
    })) << answer.ToString();
    ASSERT_EQ(answer.code / 100, 2) << answer.ToString();
  }
  federation_.CheckSettled();
  federation_.Kill(1);
  federation_.Kill(2);
  const auto forget = [&] { return Post("/api/v1/forget", {{"namespace", kNamespace}}, kKey); };
  const Answer pending = forget();
  ASSERT_EQ(pending.code, 503) << pending.ToString();
  const std::string operation = "/api/v1/operations/" + pending.Text("operation_id");
  EXPECT_EQ(federation_.Get(0, operation).Text("outcome"), "PENDING");
  EXPECT_EQ(forget().code, 503);
  federation_.Start(1);
  EXPECT_EQ(federation_.Get(0, operation + "?wait_ms=30000").Text("outcome"), "COMMITTED");
  EXPECT_TRUE(federation_.Rows(1).empty()) << "a part of it was committed, it says";
  EXPECT_EQ(forget().code, 200);
}

}  // namespace
}  // namespace aimem::federation
