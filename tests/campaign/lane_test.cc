#include "campaign/lane.h"

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace aimem::campaign {
namespace {

using clients::HttpAnswer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kNotMet[] = R"({"error":"quorum_not_met","got":1,"needed":2})";

// A lane whose members answer what the test has written down.
class LaneTest : public ::testing::Test {
 protected:
  struct Sent {
    int member;
    std::string method;
    std::string target;
    std::string body;
    clients::HttpHeaders headers;

    [[nodiscard]] std::string Key() const {
      for (const auto& [name, value] : headers) {
        if (name == "Idempotency-Key") return value;
      }
      return "";
    }
  };

  LaneTest() {
    absl::StatusOr<JournalWriter> journal = JournalWriter::Open(path_, false);
    EXPECT_TRUE(journal.ok()) << journal.status();
    journal_ = std::make_unique<JournalWriter>(*std::move(journal));
    options_.client = "client-1";
    options_.home = 1;
    options_.members = 3;
    options_.journal = journal_.get();
    options_.numbers = &numbers_;
    options_.pause = absl::ZeroDuration();
    options_.send = [this](int member, const std::string& method, const std::string& target,
                           const std::string& body, const clients::HttpHeaders& headers) {
      sent_.push_back({member, method, target, body, headers});
      journal_at_send_ = ReadBack();
      if (answers_.empty()) return absl::StatusOr<HttpAnswer>(absl::AbortedError("no answer left"));
      absl::StatusOr<HttpAnswer> answer = std::move(answers_.front());
      answers_.pop_front();
      return answer;
    };
  }

  Journal ReadBack() const {
    absl::StatusOr<Journal> journal = ReadJournal(path_);
    EXPECT_TRUE(journal.ok()) << journal.status();
    return journal.ok() ? *std::move(journal) : Journal{};
  }

  void Answer(int status, std::string body, std::map<std::string, std::string> headers = {}) {
    answers_.push_back(HttpAnswer{status, std::move(headers), std::move(body)});
  }
  void Break(absl::Status status) { answers_.push_back(std::move(status)); }

  std::vector<int> Members() const {
    std::vector<int> members;
    for (const Sent& sent : sent_) members.push_back(sent.member);
    return members;
  }

  static PlannedWrite Make(Action action) {
    PlannedWrite write;
    write.action = action;
    write.namespace_ = "ns";
    write.title = "a title";
    if (action != Action::kDelete) write.content = "text";
    if (action != Action::kDelete) write.body = R"({"content":"text"})";
    return write;
  }

  const testing::TempDir dir_;
  const std::string path_ = dir_.File("journal");
  std::unique_ptr<JournalWriter> journal_;
  std::atomic<std::int64_t> numbers_{7};
  LaneOptions options_;
  std::deque<absl::StatusOr<HttpAnswer>> answers_;
  std::vector<Sent> sent_;
  Journal journal_at_send_;
};

TEST_F(LaneTest, AnnouncesAWriteBeforeItIsSentAndNotesTheAnswer) {
  Lane lane(options_);
  Answer(201, R"({"id":"the id"})");
  ASSERT_TRUE(lane.Write(Make(Action::kCreate)).ok());
  EXPECT_THAT(journal_at_send_.intents, SizeIs(1));
  EXPECT_THAT(journal_at_send_.acks, IsEmpty());
  ASSERT_THAT(sent_, SizeIs(1));
  EXPECT_EQ(sent_[0].member, 1);
  EXPECT_EQ(sent_[0].method, "POST");
  EXPECT_EQ(sent_[0].target, "/api/v1/memories");
  EXPECT_EQ(sent_[0].Key(), "demo/client-1/7");
  const Journal journal = ReadBack();
  EXPECT_EQ(journal.intents[0].number, 7);
  EXPECT_EQ(journal.intents[0].content_hash, HashContent("text"));
  ASSERT_THAT(journal.acks, SizeIs(1));
  EXPECT_EQ(journal.acks[0].id, "the id");
  EXPECT_FALSE(journal.acks[0].replayed);
}

TEST_F(LaneTest, UpdatesAndDeletesByTheIdThatItWasTold) {
  Lane lane(options_);
  Answer(201, R"({"id":"x1"})");
  Answer(200, R"({"id":"x1"})");
  Answer(200, R"({"deleted":true})");
  for (const Action action : {Action::kCreate, Action::kUpdate, Action::kDelete}) {
    ASSERT_TRUE(lane.Write(Make(action)).ok());
  }
  ASSERT_THAT(sent_, SizeIs(3));
  EXPECT_EQ(sent_[1].method, "PUT");
  EXPECT_EQ(sent_[2].method, "DELETE");
  EXPECT_EQ(sent_[2].target, "/api/v1/memories/x1");
  EXPECT_EQ(sent_[2].body, "");
  const Journal journal = ReadBack();
  EXPECT_EQ(journal.intents[2].verb, Verb::kDelete);
  EXPECT_EQ(journal.acks[2].id, "x1");
}

TEST_F(LaneTest, BrokenConnectionsSendTheSameWriteToTheNextMember) {
  Lane lane(options_);
  Break(absl::AbortedError("broken"));
  Break(absl::UnavailableError("refused"));
  Break(absl::DeadlineExceededError("silent"));
  Answer(201, R"({"id":"x"})", {{"idempotent-replay", "true"}});
  ASSERT_TRUE(lane.Write(Make(Action::kCreate)).ok());
  EXPECT_THAT(Members(), ElementsAre(1, 2, 0, 1));
  for (const Sent& sent : sent_) {
    EXPECT_EQ(sent.Key(), sent_[0].Key());
    EXPECT_EQ(sent.body, sent_[0].body);
  }
  const Journal journal = ReadBack();
  EXPECT_THAT(journal.intents, SizeIs(1));
  ASSERT_THAT(journal.acks, SizeIs(1));
  EXPECT_TRUE(journal.acks[0].replayed);
  EXPECT_EQ(lane.counters().broken, 3);
}

TEST_F(LaneTest, QuorumNotMetIsNoAcknowledgement) {
  Lane lane(options_);
  Answer(503, kNotMet);
  Answer(503, kNotMet);
  Answer(201, R"({"id":"x"})");
  ASSERT_TRUE(lane.Write(Make(Action::kCreate)).ok());
  EXPECT_THAT(Members(), ElementsAre(1, 1, 1));
  EXPECT_EQ(sent_[2].Key(), sent_[0].Key());
  EXPECT_THAT(journal_at_send_.acks, IsEmpty());
  EXPECT_EQ(lane.counters().not_met, 2);
}

TEST_F(LaneTest, MemberThatShutsDownIsLeft) {
  Lane lane(options_);
  Answer(503, R"({"error":"unavailable"})");
  Answer(429, "{}");
  Answer(201, R"({"id":"x"})");
  ASSERT_TRUE(lane.Write(Make(Action::kCreate)).ok());
  EXPECT_THAT(Members(), ElementsAre(1, 2, 2));
}

TEST_F(LaneTest, MemberThatHasNotGotTheMemoryYetIsNotTheLastWord) {
  Lane lane(options_);
  Answer(201, R"({"id":"x"})");
  Answer(404, R"({"error":"not found"})");
  Answer(200, R"({"deleted":true})");
  ASSERT_TRUE(lane.Write(Make(Action::kCreate)).ok());
  ASSERT_TRUE(lane.Write(Make(Action::kDelete)).ok());
  EXPECT_THAT(Members(), ElementsAre(1, 1, 2));
  EXPECT_EQ(lane.counters().not_there_yet, 1);
}

TEST_F(LaneTest, GoesHomeForTheNextWrite) {
  Lane lane(options_);
  Break(absl::UnavailableError("refused"));
  Answer(201, R"({"id":"x"})");
  Answer(200, R"({"id":"x"})");
  ASSERT_TRUE(lane.Write(Make(Action::kCreate)).ok());
  ASSERT_TRUE(lane.Write(Make(Action::kUpdate)).ok());
  EXPECT_THAT(Members(), ElementsAre(1, 2, 1));
}

TEST_F(LaneTest, AnswersThatNothingExplainsAreErrors) {
  for (const int status : {202, 400, 404, 409, 500}) {
    Lane lane(options_);
    Answer(status, "the body");
    const absl::Status written = lane.Write(Make(Action::kCreate));
    EXPECT_EQ(written.code(), absl::StatusCode::kInternal) << status;
    EXPECT_THAT(std::string(written.message()), HasSubstr("the body"));
  }
  Lane lane(options_);
  Answer(201, "no JSON");
  EXPECT_EQ(lane.Write(Make(Action::kCreate)).code(), absl::StatusCode::kInternal);
  EXPECT_THAT(ReadBack().acks, IsEmpty());
}

TEST_F(LaneTest, GivesUpInTheEnd) {
  options_.give_up_after = absl::Milliseconds(5);
  Lane lane(options_);
  EXPECT_EQ(lane.Write(Make(Action::kCreate)).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(Unacknowledged(ReadBack()), SizeIs(1));
}

TEST_F(LaneTest, EndsWhenItIsCancelled) {
  options_.cancelled = [this] { return sent_.size() == 2; };
  Lane lane(options_);
  EXPECT_EQ(lane.Write(Make(Action::kCreate)).code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(sent_, SizeIs(2));
}

}  // namespace
}  // namespace aimem::campaign
