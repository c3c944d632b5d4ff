#include "campaign/journal.h"

#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace aimem::campaign {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kIntent[] = "intent\t1\tput\tns\ta title\tabcd\t10\n";
constexpr char kAck[] = "ack\t1\tid\tabcd\t7\t3\t250\t0\t20\n";

class JournalTest : public ::testing::Test {
 protected:
  const testing::TempDir dir_;
  const std::string path_ = dir_.File("journal");
};

TEST_F(JournalTest, ReadsBackWhatWasAppended) {
  {
    absl::StatusOr<JournalWriter> out = JournalWriter::Open(path_, true);
    ASSERT_TRUE(out.ok()) << out.status();
    ASSERT_TRUE(out->Append(Intent{.number = 4,
                                   .verb = Verb::kDelete,
                                   .namespace_ = "ns",
                                   .title = "a title",
                                   .content_hash = "",
                                   .at = 12})
                    .ok());
    ASSERT_TRUE(out->Append(Ack{.number = 4,
                                .id = "the id",
                                .content_hash = "",
                                .stream = ~std::uint64_t{0},
                                .seq = 9,
                                .latency = 33,
                                .replayed = true,
                                .at = 50})
                    .ok());
  }
  const absl::StatusOr<Journal> journal = ReadJournal(path_);
  ASSERT_TRUE(journal.ok()) << journal.status();
  ASSERT_THAT(journal->intents, SizeIs(1));
  const Intent& intent = journal->intents[0];
  EXPECT_EQ(intent.number, 4);
  EXPECT_EQ(intent.verb, Verb::kDelete);
  EXPECT_EQ(intent.namespace_, "ns");
  EXPECT_EQ(intent.title, "a title");
  EXPECT_EQ(intent.content_hash, "");
  EXPECT_EQ(intent.at, 12);
  ASSERT_THAT(journal->acks, SizeIs(1));
  const Ack& ack = journal->acks[0];
  EXPECT_EQ(ack.number, 4);
  EXPECT_EQ(ack.id, "the id");
  EXPECT_EQ(ack.stream, ~std::uint64_t{0});
  EXPECT_EQ(ack.seq, 9u);
  EXPECT_EQ(ack.latency, 33);
  EXPECT_TRUE(ack.replayed);
  EXPECT_EQ(ack.at, 50);
}

TEST_F(JournalTest, AbsentFileIsAnEmptyJournal) {
  const absl::StatusOr<Journal> journal = ReadJournal(path_);
  ASSERT_TRUE(journal.ok()) << journal.status();
  EXPECT_THAT(journal->intents, IsEmpty());
}

TEST_F(JournalTest, UnfinishedLastLineCountsAsNeverWrittenAndIsCutOff) {
  std::ofstream(path_) << kIntent << "ack\t1\tid\tab";
  absl::StatusOr<Journal> journal = ReadJournal(path_);
  ASSERT_TRUE(journal.ok()) << journal.status();
  EXPECT_THAT(journal->acks, IsEmpty());
  EXPECT_THAT(Unacknowledged(*journal), SizeIs(1));
  {
    absl::StatusOr<JournalWriter> out = JournalWriter::Open(path_, false);
    ASSERT_TRUE(out.ok()) << out.status();
    ASSERT_TRUE(out->Append(Ack{.number = 1, .id = "id"}).ok());
  }
  journal = ReadJournal(path_);
  ASSERT_TRUE(journal.ok()) << journal.status();
  EXPECT_THAT(journal->acks, SizeIs(1));
  EXPECT_THAT(Unacknowledged(*journal), IsEmpty());
}

TEST(ParseJournal, RefusesWhatIsNoJournal) {
  const std::string intent = kIntent;
  const std::string ack = kAck;
  EXPECT_TRUE(ParseJournal("j", intent + ack).ok());
  for (const std::string& text : {ack, intent + intent, std::string("hello\n"), std::string("\n"),
                                  std::string("intent\t1\tput\tns\ttitle\tabcd\n"),
                                  std::string("intent\tone\tput\tns\ttitle\tabcd\t10\n"),
                                  std::string("intent\t1\tread\tns\ttitle\tabcd\t10\n"),
                                  std::string("intent\t1\tput\tns\ttitle\tabcd\t10\textra\n"),
                                  intent + "ack\t1\tid\tabcd\t7\t-3\t250\t0\t20\n"}) {
    EXPECT_EQ(ParseJournal("j", text).status().code(), absl::StatusCode::kDataLoss) << text;
  }
}

}  // namespace
}  // namespace aimem::campaign
