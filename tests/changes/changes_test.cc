#include "lib/changes/read.h"

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/hash.h"
#include "lib/changes/check.h"
#include "lib/changes/meta.h"
#include "lib/changes/retention.h"
#include "lib/log/commit.h"
#include "lib/log/grammar.h"
#include "lib/merge/join.h"
#include "lib/model/view.h"
#include "tests/recall/rows.h"

namespace aimem::changes {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

// Writes commits of several streams, each one memory, with the rows that they make.
class History {
 public:
  explicit History(Rows& rows) : rows_(rows) {}

  /// The next commit of `stream`: puts the memory `id`.
  void Commit(std::uint64_t stream, const std::string& id, std::string content = "content") {
    model::PartsBuilder builder;
    SetMemoryParts(
        {.id = id, .title = id, .content = std::move(content), .stamp = {++hlc_, stream}}, builder);
    CommitParts(stream, {Kind::kMemory, id}, builder);
  }

  void CommitParts(std::uint64_t stream, const EntityKey& key, model::PartsBuilder& builder) {
    WriteSet set;
    set.rows.push_back(Joined(key, builder.Build()));
    set.log.push_back(NextLogRow(stream, key, log::EncodeState(builder.Build())));
    rows_.Put(set);
  }

  /// The next log row of `stream`, which is not written.
  LogRow NextLogRow(std::uint64_t stream, const EntityKey& key, std::string body) {
    log::Commit commit;
    commit.header.stream = stream;
    commit.header.seq = ++seq_[stream];
    commit.header.hlc = ++hlc_;
    commit.header.operation.bytes[0] = static_cast<std::uint8_t>(stream);
    commit.header.operation.bytes[1] = static_cast<std::uint8_t>(commit.header.seq);
    commit.header.prev_hash = hash_[stream];
    commit.changes.push_back({.key = key, .nonce = {}, .body = std::move(body), .withheld = {}});
    LogRow row{stream, commit.header.seq, commit.header.operation, log::EncodeCommit(commit)};
    hash_[stream] = commit.header.content_hash;
    return row;
  }

  [[nodiscard]] Stamp NextStamp(std::uint64_t stream) { return {++hlc_, stream}; }

 private:
  EntityRow Joined(const EntityKey& key, const model::Parts& parts) {
    std::string& state = states_[key];
    model::Parts before;
    if (!state.empty()) before = *log::DecodeState(state);
    const model::Parts joined = merge::Join(before, parts);
    std::string bytes = log::EncodeState(joined);
    EntityRow row{key, model::IndexedName(key, joined), bytes};
    state = std::move(bytes);
    return row;
  }

  Rows& rows_;
  std::uint64_t hlc_ = 100;
  std::map<std::uint64_t, std::uint64_t> seq_;
  std::map<std::uint64_t, Hash256> hash_;
  std::map<EntityKey, std::string> states_;
};

std::string Describe(const std::string& commit) {
  const absl::StatusOr<log::CommitHeader> header = log::DecodeCommitHeader(commit);
  EXPECT_TRUE(header.ok()) << header.status();
  return std::to_string(header->stream) + ":" + std::to_string(header->seq);
}

std::vector<std::string> Describe(const std::vector<std::string>& commits) {
  std::vector<std::string> described;
  for (const std::string& commit : commits) described.push_back(Describe(commit));
  return described;
}

class Changes : public ::testing::Test {
 protected:
  ChangePage Read(const ChangeCursor& cursor, const ReadChangesLimit& limit = {}) {
    auto page = ReadChanges(*rows_.Read(), cursor, limit);
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? *std::move(page) : ChangePage{.end = true};
  }
  CheckReport RunCheck(bool deep = true) {
    auto report = changes::Check(*rows_.Read(), {.deep = deep});
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *std::move(report) : CheckReport();
  }
  void CutLog(std::uint64_t stream, std::uint64_t below) {
    WriteSet set;
    set.log_cuts.emplace_back(stream, below);
    rows_.Put(set);
  }
  std::vector<EntityRow> AllRows() { return *rows_.Read()->Scan({}); }
  std::vector<LogRow> LogOf(std::uint64_t stream) {
    return *rows_.Read()->ReadLog(stream, 0, 1'000, 1u << 20);
  }

  Rows rows_;
  History history_{rows_};
};

// -- ReadChanges --------------------------------------------------------------------------------

TEST_F(Changes, AnEmptyStoreHasNothingToSend) {
  const ChangePage after = Read(ChangeCursor::After({}));
  EXPECT_TRUE(after.end);
  EXPECT_THAT(after.commits, IsEmpty());
  const ChangePage everything = Read(ChangeCursor::Everything());
  EXPECT_TRUE(everything.end);
  ASSERT_TRUE(everything.adopt.has_value());
  EXPECT_THAT(*everything.adopt, IsEmpty());
  EXPECT_FALSE(everything.next.scanning);
}

TEST_F(Changes, CommitsAfterAVectorComeAscendingPerStream) {
  history_.Commit(1, "a");
  history_.Commit(2, "b");
  history_.Commit(1, "c");
  history_.Commit(2, "d");
  history_.Commit(1, "e");
  const ChangePage all = Read(ChangeCursor::After({}));
  EXPECT_THAT(Describe(all.commits), ElementsAre("1:1", "1:2", "1:3", "2:1", "2:2"));
  EXPECT_TRUE(all.end);
  EXPECT_FALSE(all.adopt.has_value());
  EXPECT_EQ(all.next.vector, (VersionVector{{1, 3}, {2, 2}}));
  const ChangePage some = Read(ChangeCursor::After({{1, 2}, {3, 9}}));
  EXPECT_THAT(Describe(some.commits), ElementsAre("1:3", "2:1", "2:2"));
  EXPECT_EQ(some.next.vector, (VersionVector{{1, 3}, {2, 2}, {3, 9}}));
  const ChangePage none = Read(all.next);
  EXPECT_THAT(none.commits, IsEmpty());
  EXPECT_TRUE(none.end);
  EXPECT_EQ(none.next.vector, all.next.vector);
}

TEST_F(Changes, PagesOfCommitsAreBoundedAndGoOn) {
  for (int i = 0; i < 7; ++i)
    history_.Commit(static_cast<std::uint64_t>(1 + i % 2), "m" + std::to_string(i));
  for (const ReadChangesLimit& limit :
       {ReadChangesLimit{.items = 1}, ReadChangesLimit{.items = 3}, ReadChangesLimit{.bytes = 1},
        ReadChangesLimit{.bytes = 700}, ReadChangesLimit()}) {
    std::vector<std::string> seen;
    ChangeCursor cursor = ChangeCursor::After({});
    bool end = false;
    for (int pages = 0; !end && pages < 20; ++pages) {
      ChangePage page = Read(cursor, limit);
      EXPECT_LE(page.commits.size(), limit.items);
      std::size_t bytes = 0;
      for (const std::string& commit : page.commits) bytes += commit.size();
      if (page.commits.size() > 1) {
        EXPECT_LE(bytes - page.commits.back().size(), limit.bytes);
      }
      for (std::string& text : Describe(page.commits)) seen.push_back(std::move(text));
      cursor = page.next;
      end = page.end;
    }
    EXPECT_TRUE(end);
    EXPECT_THAT(seen, ElementsAre("1:1", "1:2", "1:3", "1:4", "2:1", "2:2", "2:3"));
  }
}

TEST_F(Changes, AScanSendsEveryKindThenTheHeads) {
  history_.Commit(1, "a");
  history_.Commit(2, "b");
  history_.Commit(1, "c");
  model::PartsBuilder unknown;
  unknown.Set("\x7fnew", {200, 1}, "value");
  rows_.Put({MakeRow({.id = "gone", .deleted = true}), MakeLink("a", "b"),
             RowOf({static_cast<Kind>(200), "later"}, unknown)});
  const ChangePage page = Read(ChangeCursor::Everything());
  std::vector<std::string> keys;
  for (const EntityState& state : page.states) keys.push_back(state.key.key);
  EXPECT_THAT(keys, ElementsAre("a", "b", "c", "gone", model::MakeLinkKey("a", "b", "related_to"),
                                "later"));
  EXPECT_THAT(page.commits, IsEmpty());
  ASSERT_TRUE(page.adopt.has_value());
  EXPECT_EQ(VectorOf(*page.adopt), (VersionVector{{1, 2}, {2, 1}}));
  for (const auto& [stream, head] : *page.adopt) {
    const log::Commit last = *log::DecodeCommit(LogOf(stream).back().bytes);
    EXPECT_EQ(head.hash, last.header.content_hash);
    EXPECT_EQ(head.hlc, last.header.hlc);
  }
  EXPECT_TRUE(page.end);
  EXPECT_FALSE(page.next.scanning);
  EXPECT_EQ(page.next.vector, VectorOf(*page.adopt));
  EXPECT_EQ(page.next.seen, page.next.vector);
}

// The reader of a store whose pages it joins into its own rows.
class Copy {
 public:
  void Take(const ChangePage& page) {
    for (const EntityState& state : page.states) Join(state.key, state.state);
    for (const std::string& bytes : page.commits) {
      const log::Commit commit = *log::DecodeCommit(bytes);
      for (const log::Change& change : commit.changes) Join(change.key, change.body);
    }
  }
  [[nodiscard]] const std::map<EntityKey, std::string>& states() const { return states_; }

 private:
  void Join(const EntityKey& key, std::string_view incoming) {
    std::string& state = states_[key];
    model::Parts before;
    if (!state.empty()) before = *log::DecodeState(state);
    std::string joined = log::EncodeState(merge::Join(before, *log::DecodeState(incoming)));
    state = std::move(joined);
  }
  std::map<EntityKey, std::string> states_;
};

TEST_F(Changes, AScanGoesOnFromEveryPageWhileWritesComeIn) {
  for (int i = 100; i < 120; ++i) history_.Commit(1, "m" + std::to_string(i));
  for (const std::size_t items : {1u, 2u, 3u, 7u, 1'000u}) {
    SCOPED_TRACE(items);
    Copy copy;
    ChangeCursor cursor = ChangeCursor::Everything();
    std::optional<VersionVector> adopted;
    bool end = false;
    for (int pages = 0; !end && pages < 100; ++pages) {
      const ChangePage page = Read(cursor, {.items = items});
      copy.Take(page);
      // A page that got lost is read again from the same cursor.
      copy.Take(Read(cursor, {.items = items}));
      if (page.adopt) {
        EXPECT_FALSE(adopted.has_value());
        EXPECT_THAT(page.commits, IsEmpty());
        adopted = VectorOf(*page.adopt);
        EXPECT_TRUE(Covers(page.next.seen, *adopted));
      }
      if (page.next.scanning && pages < 5) {
        history_.Commit(2, "m100", "seen before, written again " + std::to_string(pages));
        history_.Commit(1, "z" + std::to_string(items) + std::to_string(pages));
      }
      cursor = page.next;
      end = page.end;
    }
    ASSERT_TRUE(end);
    ASSERT_TRUE(adopted.has_value());
    std::map<EntityKey, std::string> expected;
    for (const EntityRow& row : AllRows()) expected[row.key] = row.state;
    EXPECT_EQ(copy.states(), expected);
  }
}

TEST_F(Changes, ATruncatedLogTurnsIntoAScan) {
  for (int i = 0; i < 5; ++i) history_.Commit(1, "m" + std::to_string(i));
  history_.Commit(2, "n");
  CutLog(1, 4);
  EXPECT_THAT(Describe(Read(ChangeCursor::After({{1, 3}})).commits),
              ElementsAre("1:4", "1:5", "2:1"));
  const ChangePage page = Read(ChangeCursor::After({{1, 2}, {2, 1}}), {.items = 2});
  EXPECT_THAT(page.states, SizeIs(2));
  EXPECT_THAT(page.commits, IsEmpty());
  EXPECT_TRUE(page.next.scanning);
  EXPECT_EQ(page.next.vector, (VersionVector{{1, 5}, {2, 1}}));
  EXPECT_FALSE(page.end);
}

TEST_F(Changes, AScanWhoseVectorWasCutFromTheLogStartsAgain) {
  for (int i = 0; i < 3; ++i) history_.Commit(1, "m" + std::to_string(i));
  const ChangePage first = Read(ChangeCursor::Everything(), {.items = 2});
  ASSERT_TRUE(first.next.scanning);
  history_.Commit(1, "a");
  history_.Commit(1, "b");
  CutLog(1, 5);
  const ChangePage again = Read(first.next, {.items = 2});
  EXPECT_TRUE(again.next.scanning);
  EXPECT_EQ(again.next.vector, (VersionVector{{1, 5}}));
  ASSERT_THAT(again.states, SizeIs(2));
  EXPECT_EQ(again.states[0].key.key, "a");
}

TEST_F(Changes, AScanOfAnotherStoreGoesOnOnlyWhereItsVectorIsCovered) {
  history_.Commit(1, "a");
  history_.Commit(1, "b");
  const ChangeCursor covered{
      .vector = {{1, 1}}, .scanning = true, .after = EntityKey{Kind::kMemory, "a"}};
  EXPECT_THAT(Read(covered).states, SizeIs(1));
  for (const VersionVector& vector : {VersionVector{{9, 9}, {1, 1}}, VersionVector{{1, 3}}}) {
    ChangeCursor ahead = covered;
    ahead.vector = vector;
    const auto page = ReadChanges(*rows_.Read(), ahead, {});
    EXPECT_EQ(page.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(page.status().message()), HasSubstr("start again"));
  }
}

TEST_F(Changes, AScanCutFromTheLogStartsAgain) {
  for (const char* id : {"a", "b", "c"}) history_.Commit(1, id);
  CutLog(1, 3);
  const ChangePage page =
      Read({.vector = {{1, 2}}, .scanning = true, .after = EntityKey{Kind::kMemory, "c"}});
  EXPECT_THAT(page.states, SizeIs(3));
  EXPECT_EQ(VectorOf(page.adopt.value()), (VersionVector{{1, 3}}));
}

TEST_F(Changes, AScanNotesTheVectorOfAnEarlierTime) {
  for (const char* id : {"a", "b", "c"}) history_.Commit(1, id);
  const auto at = [](int hours) { return absl::UnixEpoch() + absl::Hours(hours); };
  const auto read_from = [&](absl::Time time) {
    ChangeCursor cursor = ChangeCursor::Everything();
    cursor.log_from = time;
    return Read(cursor);
  };
  // Nothing is known of when they came.
  EXPECT_EQ(VectorOf(read_from(at(9)).adopt.value()), (VersionVector{{1, 1}}));
  WriteSet marks;
  marks.meta.emplace_back(kMetaLogMarks,
                          EncodeLogMarks({.counted_from = at(3),
                                          .marks = {{.at = at(1), .moved = {{1, 1}}},
                                                    {.at = at(2), .moved = {{1, 2}}},
                                                    {.at = at(3), .moved = {{1, 3}}}}}));
  rows_.Put(marks);
  const ChangePage some = read_from(at(2) + absl::Minutes(1));
  EXPECT_EQ(VectorOf(some.adopt.value()), (VersionVector{{1, 2}}));
  EXPECT_FALSE(some.end);
  EXPECT_THAT(Describe(Read(some.next).commits), ElementsAre("1:3"));
  EXPECT_EQ(VectorOf(read_from(at(9)).adopt.value()), (VersionVector{{1, 3}}));
  EXPECT_EQ(VectorOf(read_from(at(0)).adopt.value()), (VersionVector{{1, 1}}));
  // As far back as the log reaches.
  CutLog(1, 2);
  EXPECT_EQ(VectorOf(read_from(at(0)).adopt.value()), (VersionVector{{1, 2}}));
}

TEST_F(Changes, AScanFromATimeWhoseCommitIsMissingEndsWithoutIt) {
  for (const char* id : {"a", "b", "c", "d"}) history_.Commit(1, id);
  const absl::Time at = absl::UnixEpoch() + absl::Hours(1);
  WriteSet damage;
  damage.meta.emplace_back(
      kMetaLogMarks,
      EncodeLogMarks({.counted_from = at, .marks = {{.at = at, .moved = {{1, 2}}}}}));
  damage.log_tails.emplace_back(1, 1);
  damage.log = LogOf(1);
  std::erase_if(damage.log, [](const LogRow& row) { return row.seq <= 2; });
  rows_.Put(damage);
  for (const std::size_t items : {2u, 100u}) {
    ChangeCursor cursor = ChangeCursor::Everything();
    cursor.log_from = at + absl::Minutes(1);
    ChangePage page = Read(cursor, {.items = items});
    for (int pages = 1; !page.end && pages < 20; ++pages) page = Read(page.next, {.items = items});
    EXPECT_TRUE(page.end) << items;
    EXPECT_EQ(VectorOf(page.adopt.value_or(StreamHeads())), (VersionVector{{1, 4}})) << items;
  }
}

TEST_F(Changes, LimitsOfPagesAreChecked) {
  for (const ReadChangesLimit& limit :
       {ReadChangesLimit{.bytes = 0}, ReadChangesLimit{.bytes = (64u << 20) + 1},
        ReadChangesLimit{.items = 0}, ReadChangesLimit{.items = 100'001}}) {
    EXPECT_EQ(ReadChanges(*rows_.Read(), ChangeCursor::After({}), limit).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

// -- Digest -------------------------------------------------------------------------------------

TEST_F(Changes, DigestsDoNotDependOnTheOrderOfWrites) {
  std::vector<MemoryRow> memories;
  for (int i = 0; i < 50; ++i)
    memories.push_back({.id = std::to_string(i), .title = std::to_string(i)});
  rows_.Put(memories);
  Rows other;
  std::reverse(memories.begin(), memories.end());
  for (const MemoryRow& memory : memories) other.Put(std::vector<MemoryRow>{memory});
  const DigestResult here = *Digest(*rows_.Read(), {});
  const DigestResult there = *Digest(*other.Read(), {});
  ASSERT_THAT(here.sums, SizeIs(1));
  EXPECT_EQ(here.sums[0].entities, 50);
  EXPECT_EQ(here.sums[0].sum, there.sums[0].sum);
  other.Put(std::vector<MemoryRow>{{.id = "7", .title = "7", .content = "changed"}});
  EXPECT_NE(here.sums[0].sum, Digest(*other.Read(), {})->sums[0].sum);
}

TEST_F(Changes, RangesSumUpToTheRoot) {
  for (int i = 0; i < 100; ++i) history_.Commit(1, "m" + std::to_string(i));
  const auto at = [](std::uint8_t byte) {
    Hash256 hash{};
    hash[0] = byte;
    return hash;
  };
  const std::vector<DigestRange> ranges = {{at(0), at(64)},
                                           {at(64), at(200)},
                                           {at(200), std::nullopt},
                                           {at(10), at(10)},
                                           {at(90), at(20)},
                                           {at(32), at(128)},
                                           {}};
  const absl::StatusOr<DigestResult> digest = Digest(*rows_.Read(), ranges);
  ASSERT_TRUE(digest.ok()) << digest.status();
  EXPECT_EQ(digest->vector, (VersionVector{{1, 100}}));
  ASSERT_THAT(digest->sums, SizeIs(7));
  const auto& sums = digest->sums;
  EXPECT_EQ(log::AddHashes(log::AddHashes(sums[0].sum, sums[1].sum), sums[2].sum), sums[6].sum);
  EXPECT_EQ(sums[0].entities + sums[1].entities + sums[2].entities, 100);
  EXPECT_EQ(sums[6].entities, 100);
  EXPECT_EQ(sums[3].entities, 0);
  EXPECT_EQ(sums[4].entities, 0);
  DigestResult::Sum naive;
  for (const EntityRow& row : AllRows()) {
    const Hash256 place = log::KeyHash(row.key);
    if (place < at(32) || place >= at(128)) continue;
    naive.sum = log::AddHashes(naive.sum, log::VersionHash(row.state));
    ++naive.entities;
  }
  EXPECT_GT(naive.entities, 0);
  EXPECT_EQ(sums[5].sum, naive.sum);
  EXPECT_EQ(sums[5].entities, naive.entities);
}

// -- Check --------------------------------------------------------------------------------------

TEST_F(Changes, ASoundStoreHasNoProblems) {
  history_.Commit(1, "a");
  history_.Commit(2, "a", "again");
  history_.Commit(1, "b");
  model::PartsBuilder deleted;
  deleted.Set(model::part::kDeleted, history_.NextStamp(1), "");
  history_.CommitParts(1, {Kind::kMemory, "b"}, deleted);
  model::PartsBuilder linked;
  linked.Set(model::part::kLinked, history_.NextStamp(2), model::EncodeTime(0));
  history_.CommitParts(2, {Kind::kLink, model::MakeLinkKey("a", "b", "related_to")}, linked);
  model::PartsBuilder unknown;
  unknown.Set("\x7fnew", history_.NextStamp(2), "value");
  history_.CommitParts(2, {static_cast<Kind>(200), "later"}, unknown);
  const CheckReport report = RunCheck();
  EXPECT_THAT(report.problems, IsEmpty());
  EXPECT_TRUE(report.folded);
  EXPECT_EQ(report.rows, 4);
  EXPECT_EQ(report.commits, 6);
  EXPECT_EQ(report.streams, 2);
  EXPECT_EQ(report.root, Digest(*rows_.Read(), {})->sums[0].sum);
  EXPECT_FALSE(RunCheck(/*deep=*/false).folded);
}

TEST_F(Changes, ALogThatWasCutIsSoundButNotFolded) {
  for (int i = 0; i < 3; ++i) history_.Commit(1, "m" + std::to_string(i));
  CutLog(1, 3);
  const CheckReport report = RunCheck();
  EXPECT_THAT(report.problems, IsEmpty());
  EXPECT_FALSE(report.folded);
  EXPECT_EQ(report.commits, 1);
}

TEST_F(Changes, DamagedRowsAreNamed) {
  EntityRow name = MakeRow({.id = "name", .title = "1"});
  name.name.reset();
  EntityRow extra = MakeRow({.id = model::FirstId("global", "2"), .title = "2"});
  extra.name = Hash256{};
  model::PartsBuilder erased;
  SetMemoryParts({.id = "erased", .title = "3", .stamp = {10, 1}}, erased);
  erased.Set(model::part::kDeleted, {11, 1}, "");
  rows_.Put(
      {name, extra, RowOf({Kind::kMemory, "erased"}, erased),
       EntityRow{{Kind::kMemory, "bytes"}, std::nullopt, "junk"},
       EntityRow{{Kind::kMemory, "empty"}, std::nullopt, ""},
       EntityRow{{Kind::kLink, "no link"}, std::nullopt, log::EncodeState({})},
       EntityRow{{Kind::kMemory, std::string("a\0z", 3)}, std::nullopt, log::EncodeState({})}});
  const CheckReport report = RunCheck(/*deep=*/false);
  const auto problem = [&](const std::string& key, const std::string& what) {
    return std::count_if(
        report.problems.begin(), report.problems.end(), [&](const std::string& text) {
          return text.find("'" + key + "'") != text.npos && text.find(what) != text.npos;
        });
  };
  EXPECT_EQ(problem("name", "not found under the name"), 1);
  EXPECT_EQ(problem(extra.key.key, "not found under the name"), 1);
  EXPECT_EQ(problem("erased", "erases"), 1);
  EXPECT_EQ(problem("bytes", "state:"), 1);
  EXPECT_EQ(problem("empty", "state:"), 1);
  EXPECT_EQ(problem("no link", "source, target and relation"), 1);
  EXPECT_EQ(problem("a\\x00z", "not an id"), 1);
  EXPECT_THAT(report.problems, SizeIs(7));
}

TEST_F(Changes, RowsThatAreNotTheFoldOfTheLogAreNamed) {
  history_.Commit(1, "a");
  history_.Commit(1, "b");
  rows_.Put({MakeRow({.id = "a", .title = "a", .content = "altered"}), MakeRow({.id = "c"})});
  WriteSet lost;
  model::PartsBuilder put;
  SetMemoryParts({.id = "d", .title = "d", .stamp = history_.NextStamp(1)}, put);
  lost.log.push_back(history_.NextLogRow(1, {Kind::kMemory, "d"}, log::EncodeState(put.Build())));
  rows_.Put(lost);
  const CheckReport report = RunCheck();
  EXPECT_TRUE(report.folded);
  EXPECT_THAT(report.problems,
              ElementsAre(AllOf(HasSubstr("'a'"), HasSubstr("not what the commits")),
                          AllOf(HasSubstr("'c'"), HasSubstr("no commit")),
                          AllOf(HasSubstr("'d'"), HasSubstr("no row"))));
}

TEST_F(Changes, AFoldLargerThanItsMemoryTakesMorePasses) {
  for (int i = 0; i < 40; ++i) {
    history_.Commit(static_cast<std::uint64_t>(1 + i % 3), "m" + std::to_string(i % 20),
                    std::string(200, 'c'));
  }
  for (const std::size_t fold_bytes : {std::size_t{1}, std::size_t{2'000}, std::size_t{1} << 20}) {
    const absl::StatusOr<CheckReport> report = changes::Check(*rows_.Read(), {}, fold_bytes);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_THAT(report->problems, IsEmpty());
    EXPECT_TRUE(report->folded);
    EXPECT_EQ(report->rows, 20);
    EXPECT_EQ(report->commits, 40);
    EXPECT_EQ(report->root, Digest(*rows_.Read(), {})->sums[0].sum);
  }
  rows_.Put({MakeRow({.id = "m3", .content = "altered"}), MakeRow({.id = "m99"})});
  WriteSet lost;
  model::PartsBuilder put;
  SetMemoryParts({.id = "m55", .title = "m55", .stamp = history_.NextStamp(1)}, put);
  lost.log.push_back(history_.NextLogRow(1, {Kind::kMemory, "m55"}, log::EncodeState(put.Build())));
  rows_.Put(lost);
  for (const std::size_t fold_bytes : {std::size_t{1}, std::size_t{2'000}, std::size_t{1} << 20}) {
    EXPECT_THAT(changes::Check(*rows_.Read(), {}, fold_bytes)->problems,
                UnorderedElementsAre(AllOf(HasSubstr("'m3'"), HasSubstr("not what the commits")),
                                     AllOf(HasSubstr("'m55'"), HasSubstr("no row")),
                                     AllOf(HasSubstr("'m99'"), HasSubstr("no commit"))))
        << fold_bytes;
  }
}

TEST_F(Changes, RowsThatDoNotDecodeAreLeftOutOfPages) {
  history_.Commit(1, "a");
  history_.Commit(1, "c");
  rows_.Put({EntityRow{{Kind::kMemory, "b"}, std::nullopt, "junk"},
             EntityRow{{Kind::kMemory, "d"}, std::nullopt, "junk"}});
  for (const std::size_t items : {1u, 2u, 100u}) {
    std::vector<std::string> ids;
    ChangeCursor cursor = ChangeCursor::Everything();
    for (bool end = false; !end;) {
      const absl::StatusOr<ChangePage> page = ReadChanges(*rows_.Read(), cursor, {.items = items});
      ASSERT_TRUE(page.ok()) << page.status();
      for (const EntityState& state : page->states) ids.push_back(state.key.key);
      cursor = page->next;
      end = page->end;
    }
    EXPECT_THAT(ids, ElementsAre("a", "c"));
  }
}

TEST_F(Changes, DamagedCommitsAreNamed) {
  const EntityKey key{Kind::kMemory, "a"};
  const std::string body = log::EncodeState({});
  const auto check = [&](std::vector<LogRow> log) {
    Rows rows;
    WriteSet set;
    set.log = std::move(log);
    rows.Put(set);
    return *changes::Check(*rows.Read(), {.deep = false});
  };
  std::vector<LogRow> sound;
  for (int i = 0; i < 4; ++i) sound.push_back(history_.NextLogRow(5, key, body));
  EXPECT_THAT(check(sound).problems, IsEmpty());

  std::vector<LogRow> gap = {sound[0], sound[1], sound[3]};
  EXPECT_THAT(check(gap).problems, ElementsAre(HasSubstr("commit 4: the commits after 2 are")));

  std::vector<LogRow> flipped = sound;
  flipped[2].bytes.back() = static_cast<char>(flipped[2].bytes.back() ^ 1);
  EXPECT_THAT(check(flipped).problems,
              ElementsAre(HasSubstr("stream 0000000000000005, commit 3: commit:")));

  std::vector<LogRow> moved = sound;
  moved[1].operation = sound[2].operation;
  moved[1].operation.bytes[5] = 9;
  EXPECT_THAT(check(moved).problems, ElementsAre(HasSubstr("commit 2: its bytes are those of")));

  log::Commit changed = *log::DecodeCommit(sound[2].bytes);
  changed.header.results = "other";
  LogRow fork = sound[2];
  fork.bytes = log::EncodeCommit(changed);
  EXPECT_THAT(check({sound[0], sound[1], fork, sound[3]}).problems,
              ElementsAre(HasSubstr("commit 4: it does not name the hash")));

  log::Commit late = *log::DecodeCommit(sound[3].bytes);
  late.header.hlc = 1;
  LogRow back = sound[3];
  back.bytes = log::EncodeCommit(late);
  EXPECT_THAT(check({sound[0], sound[1], sound[2], back}).problems,
              ElementsAre(HasSubstr("commit 4: its clock 1 is not after")));
}

TEST_F(Changes, WithheldBodiesAreComparedOnlyWhereAnErasureTellsTheRow) {
  const EntityKey key{Kind::kMemory, "a"};
  LogRow first = history_.NextLogRow(1, key, log::EncodeState({}));
  log::Commit commit = *log::DecodeCommit(first.bytes);
  commit.changes[0].withheld = Sha256({AsBytes(commit.changes[0].nonce), commit.changes[0].body});
  commit.changes[0].body.clear();
  first.bytes = log::EncodeCommit(commit);
  WriteSet set;
  set.log.push_back(first);
  rows_.Put(set);
  rows_.Put({MakeRow({.id = "a"})});
  EXPECT_THAT(RunCheck().problems, IsEmpty()) << "what the row must be cannot be told";

  model::PartsBuilder purged;
  purged.Set(model::part::kPurged, history_.NextStamp(1), "");
  history_.CommitParts(1, key, purged);
  EXPECT_THAT(RunCheck().problems, IsEmpty());
  EXPECT_TRUE(RunCheck().folded);
  rows_.Put({MakeRow({.id = "a"})});
  EXPECT_THAT(RunCheck().problems, ElementsAre(HasSubstr("not what the commits")));
}

TEST_F(Changes, ProblemsAreBounded) {
  std::vector<EntityRow> junk;
  for (int i = 0; i < 150; ++i) {
    junk.push_back({{Kind::kMemory, std::to_string(i)}, std::nullopt, "junk"});
  }
  rows_.Put(junk);
  EXPECT_THAT(RunCheck().problems, SizeIs(100));
}

TEST_F(Changes, RandomDamageIsReportedAndNeverCrashes) {
  for (int i = 0; i < 6; ++i)
    history_.Commit(static_cast<std::uint64_t>(1 + i % 2), "m" + std::to_string(i % 4));
  const std::vector<EntityRow> sound_rows = AllRows();
  std::vector<LogRow> sound_log = LogOf(1);
  for (LogRow& row : LogOf(2)) sound_log.push_back(std::move(row));
  const auto seed = static_cast<std::uint32_t>(::testing::UnitTest::GetInstance()->random_seed());
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    WriteSet set;
    set.rows = sound_rows;
    set.log = sound_log;
    const bool in_row = random() % 2 == 0;
    std::string& bytes = in_row ? set.rows[random() % set.rows.size()].state
                                : set.log[random() % set.log.size()].bytes;
    if (random() % 4 == 0) {
      bytes.resize(random() % bytes.size());
    } else {
      char& byte = bytes[random() % bytes.size()];
      byte = static_cast<char>(byte ^ (1 << random() % 8));
    }
    Rows damaged;
    damaged.Put(set);
    const absl::StatusOr<CheckReport> report = changes::Check(*damaged.Read(), {});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_FALSE(report->problems.empty()) << "seed " << seed << ", round " << round;
    EXPECT_TRUE(ReadChanges(*damaged.Read(), ChangeCursor::Everything(), {}).ok());
  }
}

}  // namespace
}  // namespace aimem::changes
