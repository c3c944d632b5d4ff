// The checker must be able to fail: every kind of damage, in journals and rows made by hand.
#include "campaign/check.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aimem::campaign {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A history of writes on a clock that goes on by one with every line, and the rows that it leaves.
class History {
 public:
  explicit History(std::string name = "writer") { journal.name = std::move(name); }

  // `number` of the write that is announced.
  std::int64_t Announce(const std::string& title, const std::string& content,
                        Verb verb = Verb::kPut) {
    const auto number = static_cast<std::int64_t>(journal.intents.size());
    journal.intents.push_back({.number = number,
                               .verb = verb,
                               .namespace_ = "ns",
                               .title = title,
                               .content_hash = verb == Verb::kPut ? HashContent(content) : "",
                               .at = ++now_});
    return number;
  }
  void Acknowledge(std::int64_t number, std::uint64_t seq) {
    const Intent& intent = journal.intents[static_cast<std::size_t>(number)];
    journal.acks.push_back({.number = number,
                            .id = "id of " + intent.title,
                            .content_hash = intent.content_hash,
                            .stream = 7,
                            .seq = seq,
                            .at = ++now_});
  }
  void Write(const std::string& title, const std::string& content, Verb verb = Verb::kPut) {
    Acknowledge(Announce(title, content, verb), ++seq_);
  }

  Journal journal;

 private:
  std::int64_t now_ = 0;
  std::uint64_t seq_ = 0;
};

StoredRow Row(const std::string& title, const std::string& content) {
  return {.namespace_ = "ns", .title = title, .id = "id of " + title, .content = content};
}

Findings Check(const History& history, const std::vector<StoredRow>& rows) {
  return CheckStore(std::vector<Journal>{history.journal}, rows);
}

TEST(CheckStore, FindsNothingInAStoreThatHoldsWhatWasAcknowledged) {
  History history;
  history.Write("a", "1");
  history.Write("b", "1");
  history.Write("a", "2");
  history.Write("b", "", Verb::kDelete);
  const Findings found = Check(history, {Row("a", "2")});
  EXPECT_TRUE(found.ok());
  EXPECT_THAT(found.problems, IsEmpty());
  EXPECT_EQ(found.acknowledged, 4);
  EXPECT_EQ(found.unacknowledged, 0);
}

TEST(CheckStore, FindsALostRow) {
  History history;
  history.Write("a", "1");
  history.Write("b", "1");
  const Findings found = Check(history, {Row("a", "1")});
  EXPECT_EQ(found.missing, 1);
  EXPECT_FALSE(found.ok());
  EXPECT_THAT(found.problems, ElementsAre(HasSubstr("'b' in ns is missing")));
}

TEST(CheckStore, FindsALostUpdate) {
  History history;
  history.Write("a", "1");
  history.Write("a", "2");
  EXPECT_EQ(Check(history, {Row("a", "1")}).wrong, 1);
}

TEST(CheckStore, FindsADoubledRow) {
  History history;
  history.Write("a", "1");
  StoredRow twin = Row("a", "1");
  twin.id = "another id";
  const Findings found = Check(history, {Row("a", "1"), twin});
  EXPECT_EQ(found.doubled, 1);
  EXPECT_FALSE(found.ok());
}

TEST(CheckStore, FindsAWriteThatWasCarriedOutTwice) {
  History history;
  history.Write("a", "1");
  history.Acknowledge(0, 2);
  EXPECT_EQ(Check(history, {Row("a", "1")}).doubled, 1);
}

TEST(CheckStore, AcceptsTheSameAnswerGivenAgain) {
  History history;
  history.Write("a", "1");
  history.Acknowledge(0, 1);
  history.journal.acks.back().replayed = true;
  EXPECT_TRUE(Check(history, {Row("a", "1")}).ok());
}

TEST(CheckStore, FindsWrongContent) {
  History history;
  history.Write("a", "1");
  EXPECT_EQ(Check(history, {Row("a", "1 and a half")}).wrong, 1);
}

TEST(CheckStore, FindsAnotherIdThanTheOneAnswered) {
  History history;
  history.Write("a", "1");
  StoredRow row = Row("a", "1");
  row.id = "another id";
  EXPECT_EQ(Check(history, {row}).wrong, 1);
}

TEST(CheckStore, FindsADeletedRowThatCameBack) {
  History history;
  history.Write("a", "1");
  history.Write("a", "", Verb::kDelete);
  EXPECT_EQ(Check(history, {Row("a", "1")}).unexpected, 1);
}

TEST(CheckStore, FindsARowThatNobodyWrote) {
  History history;
  EXPECT_EQ(Check(history, {Row("a", "1")}).unexpected, 1);
}

TEST(CheckStore, AllowsAnUnansweredWriteToBeThereOrNot) {
  History history;
  history.Write("a", "1");
  history.Announce("a", "2");
  history.Announce("b", "1");
  const Findings without = Check(history, {Row("a", "1")});
  EXPECT_TRUE(without.ok());
  EXPECT_EQ(without.unacknowledged, 2);
  EXPECT_EQ(without.unacknowledged_there, 0);
  const Findings with = Check(history, {Row("a", "2"), Row("b", "1")});
  EXPECT_TRUE(with.ok());
  EXPECT_EQ(with.unacknowledged_there, 2);
}

TEST(CheckStore, AllowsAnUnansweredDeleteToBeThereOrNot) {
  History history;
  history.Write("a", "1");
  history.Announce("a", "", Verb::kDelete);
  EXPECT_TRUE(Check(history, {Row("a", "1")}).ok());
  const Findings gone = Check(history, {});
  EXPECT_TRUE(gone.ok());
  EXPECT_EQ(gone.unacknowledged_there, 1);
}

TEST(CheckStore, AnUnansweredUpdateDoesNotExcuseALostRow) {
  History history;
  history.Write("a", "1");
  history.Announce("a", "2");
  EXPECT_EQ(Check(history, {}).missing, 1);
}

TEST(CheckStore, TheLogDecidesWhichOfTwoWritersWasLast) {
  History one("one");
  History two("two");
  one.Acknowledge(one.Announce("a", "of one"), 2);
  two.Acknowledge(two.Announce("a", "of two"), 1);
  const std::vector<Journal> journals = {one.journal, two.journal};
  EXPECT_TRUE(CheckStore(journals, std::vector<StoredRow>{Row("a", "of one")}).ok());
  EXPECT_EQ(CheckStore(journals, std::vector<StoredRow>{Row("a", "of two")}).wrong, 1);
}

TEST(CheckStore, FindsTwoWritesAtOnePlaceOfTheLog) {
  History history;
  history.Acknowledge(history.Announce("a", "1"), 5);
  history.Acknowledge(history.Announce("b", "1"), 5);
  EXPECT_EQ(Check(history, {Row("a", "1"), Row("b", "1")}).wrong, 1);
}

TEST(CheckStore, FindsALogThatContradictsTheOrderOfTheAnswers) {
  History history;
  history.Acknowledge(history.Announce("a", "1"), 2);
  history.Acknowledge(history.Announce("b", "1"), 1);
  EXPECT_EQ(Check(history, {Row("a", "1"), Row("b", "1")}).out_of_order, 1);
}

TEST(CheckStore, AllowsAnyOrderOfWritesThatOverlapped) {
  History history;
  const std::int64_t first = history.Announce("a", "1");
  const std::int64_t second = history.Announce("b", "1");
  history.Acknowledge(first, 2);
  history.Acknowledge(second, 1);
  EXPECT_TRUE(Check(history, {Row("a", "1"), Row("b", "1")}).ok());
}

// -- Answers that do not tell a place in the log, as over HTTP

class OverHttp : public History {
 public:
  void Write(const std::string& title, const std::string& content, Verb verb = Verb::kPut) {
    Acknowledge(Announce(title, content, verb), 0);
  }
};

TEST(CheckStoreWithoutPlaces, TheLastAnswerDecides) {
  OverHttp history;
  history.Write("a", "1");
  history.Write("a", "2");
  history.Write("b", "1");
  history.Write("b", "", Verb::kDelete);
  const Findings found = Check(history, {Row("a", "2")});
  EXPECT_TRUE(found.ok()) << ::testing::PrintToString(found.problems);
  EXPECT_EQ(found.acknowledged, 4);
  EXPECT_EQ(found.live, 1);
}

TEST(CheckStoreWithoutPlaces, FindsALostAcknowledgedRow) {
  OverHttp history;
  history.Write("a", "1");
  history.Write("b", "1");
  const Findings found = Check(history, {Row("b", "1")});
  EXPECT_EQ(found.missing, 1);
  EXPECT_EQ(found.live, 2);
  EXPECT_FALSE(found.ok());
}

TEST(CheckStoreWithoutPlaces, FindsAnOlderOrForeignContent) {
  OverHttp history;
  history.Write("a", "1");
  history.Write("a", "2");
  EXPECT_EQ(Check(history, {Row("a", "1")}).wrong, 1);
  EXPECT_EQ(Check(history, {Row("a", "of nobody")}).wrong, 1);
}

TEST(CheckStoreWithoutPlaces, FindsADeletedRowThatCameBack) {
  OverHttp history;
  history.Write("a", "1");
  history.Write("a", "", Verb::kDelete);
  EXPECT_EQ(Check(history, {Row("a", "1")}).unexpected, 1);
}

TEST(CheckStoreWithoutPlaces, FindsTwoRowsOfOneName) {
  OverHttp history;
  history.Write("a", "1");
  StoredRow twin = Row("a", "1");
  twin.id = "another id";
  EXPECT_EQ(Check(history, {Row("a", "1"), twin}).doubled, 1);
}

TEST(CheckStoreWithoutPlaces, UnansweredWriteIsCountedAndMayBeThereOrNot) {
  OverHttp history;
  history.Write("a", "1");
  history.Announce("a", "2");
  for (const char* content : {"1", "2"}) {
    const Findings found = Check(history, {Row("a", content)});
    EXPECT_TRUE(found.ok());
    EXPECT_EQ(found.unacknowledged, 1);
  }
}

TEST(CheckStore, NamesTheFirstTwentyProblemsAndCountsAll) {
  History history;
  for (int i = 0; i < 30; ++i) history.Write("title " + std::to_string(i), "x");
  const Findings found = Check(history, {});
  EXPECT_EQ(found.missing, 30);
  EXPECT_THAT(found.problems, SizeIs(20));
}

}  // namespace
}  // namespace aimem::campaign
