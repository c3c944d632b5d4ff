#include "demo/writer.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "aimem/open.h"
#include "demo/check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aimem::demo {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class WriterTest : public ::testing::Test {
 protected:
  WriterTest()
      : folder_(std::filesystem::path(::testing::TempDir()) /
                ("aimem_writer_" + std::to_string(getpid()))) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    options_ = {.writer = 2,
                .store = folder_ / "m.db",
                .journal = folder_ / "j",
                .writes = 60,
                .threads = 3};
  }
  ~WriterTest() override { std::filesystem::remove_all(folder_); }

  Journal ReadBack() {
    absl::StatusOr<Journal> journal = ReadJournal(options_.journal);
    EXPECT_TRUE(journal.ok()) << journal.status();
    return journal.ok() ? *std::move(journal) : Journal{};
  }

  std::vector<StoredRow> Rows() {
    std::vector<StoredRow> rows;
    const auto store = OpenStore(options_.store);
    EXPECT_TRUE(store.ok()) << store.status();
    const auto list = (*store)->List({.limit = 1'000});
    EXPECT_TRUE(list.ok()) << list.status();
    for (const Memory& m : list->memories) rows.push_back({m.namespace_, m.title, m.id, m.content});
    EXPECT_TRUE((*store)->Close().ok());
    return rows;
  }

  std::filesystem::path folder_;
  WriterOptions options_;
};

TEST(PlanWrites, IsTheSameEveryTimeAndAnotherForEveryWriter) {
  const std::vector<PlannedWrite> one = PlanWrites(1, 200, 4);
  const std::vector<PlannedWrite> again = PlanWrites(1, 200, 4);
  ASSERT_THAT(one, SizeIs(200));
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one[i].title, again[i].title);
    EXPECT_EQ(one[i].content, again[i].content);
  }
  EXPECT_NE(one[0].title, PlanWrites(2, 200, 4)[0].title);
}

TEST(PlanWrites, UpdatesATenthDeletesAFewAndKeepsThreadsApart) {
  constexpr int kThreads = 8;
  std::map<std::string, std::size_t> owner;
  std::set<std::string> live;
  int updates = 0;
  int deletes = 0;
  const std::vector<PlannedWrite> plan = PlanWrites(4, 500, kThreads);
  for (std::size_t n = 0; n < plan.size(); ++n) {
    const PlannedWrite& write = plan[n];
    const auto [at, fresh] = owner.emplace(write.title, n % kThreads);
    EXPECT_EQ(at->second, n % kThreads) << write.title;
    if (write.verb == Verb::kDelete) {
      EXPECT_EQ(live.erase(write.title), 1u) << write.title;
      ++deletes;
    } else if (!live.insert(write.title).second) {
      ++updates;
    } else {
      EXPECT_TRUE(fresh) << write.title;
    }
  }
  EXPECT_GT(updates, 25);
  EXPECT_LT(updates, 75);
  EXPECT_GT(deletes, 4);
}

TEST_F(WriterTest, WritesItsPlanAndJournalsIt) {
  ASSERT_TRUE(RunWriter(options_).ok());
  const std::vector<Journal> journals = {ReadBack()};
  EXPECT_THAT(journals[0].acks, SizeIs(60));
  const Findings found = CheckStore(journals, Rows());
  EXPECT_TRUE(found.ok()) << ::testing::PrintToString(found.problems);
  EXPECT_EQ(found.acknowledged, 60);
}

TEST_F(WriterTest, GoesOnAfterAnyLineOfItsJournal) {
  ASSERT_TRUE(RunWriter(options_).ok());
  std::ifstream in(options_.journal);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line + "\n");
  const std::vector<StoredRow> before = Rows();
  ASSERT_THAT(lines, SizeIs(120));
  // The store is ahead of the journal, as after a kill: nothing may be done a second time.
  for (const std::size_t kept : {0u, 1u, 2u, 37u, 64u, 119u, 120u}) {
    std::ofstream out(options_.journal, std::ios::trunc);
    for (std::size_t i = 0; i < kept; ++i) out << lines[i];
    out.close();
    ASSERT_TRUE(RunWriter(options_).ok()) << kept;
    const std::vector<Journal> journals = {ReadBack()};
    EXPECT_THAT(journals[0].acks, SizeIs(60)) << kept;
    EXPECT_THAT(Unacknowledged(journals[0]), IsEmpty()) << kept;
    const std::vector<StoredRow> rows = Rows();
    EXPECT_EQ(rows.size(), before.size()) << kept;
    Findings found = CheckStore(journals, rows);
    // Writes that happened earlier than the journal says are the point of this test.
    found.out_of_order = 0;
    EXPECT_TRUE(found.ok()) << kept << ::testing::PrintToString(found.problems);
  }
}

TEST_F(WriterTest, RefusedWriteEndsItWithAnError) {
  std::ofstream(options_.store) << std::string(4096, 'x');
  EXPECT_FALSE(RunWriter(options_).ok());
}

}  // namespace
}  // namespace aimem::demo
