#include "tests/backends/backend_contract.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"

namespace aimem {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

namespace {

ReadSet Everything() {
  ReadSet set;
  set.heads = true;
  set.meta = true;
  return set;
}

ReadSet NamesOf(std::vector<Hash256> names) {
  ReadSet set;
  set.names = std::move(names);
  return set;
}

ReadSet OperationsOf(std::vector<std::uint64_t> numbers) {
  ReadSet set;
  for (const std::uint64_t number : numbers) set.operations.push_back(MakeOperation(number));
  return set;
}

WriteSet RowsOf(std::vector<EntityRow> rows) {
  WriteSet set;
  set.rows = std::move(rows);
  return set;
}

WriteSet LogOf(std::vector<LogRow> rows) {
  WriteSet set;
  set.log = std::move(rows);
  return set;
}

std::vector<std::string> KeysIn(const absl::StatusOr<std::vector<EntityRow>>& rows) {
  if (!rows.ok()) return {std::string(ToStd(rows.status().message()))};
  std::vector<std::string> keys;
  for (const EntityRow& row : *rows) {
    const int kind = static_cast<int>(row.key.kind);
    keys.push_back(absl::StrFormat("%d:%s", kind, ShowBytes(row.key.key)));
  }
  return keys;
}

/// The bytes of the last commit of `stream`.
absl::StatusOr<std::string> LogBytesOf(Backend& backend, std::uint64_t stream) {
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> read, backend.BeginRead());
  AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> log, read->ReadLog(stream, 0, 1'000, 1u << 30));
  return log.empty() ? std::string() : log.back().bytes;
}

std::vector<std::uint64_t> SeqsIn(const absl::StatusOr<std::vector<LogRow>>& rows) {
  std::vector<std::uint64_t> seqs;
  if (!rows.ok()) return {999'999'999};
  for (const LogRow& row : *rows) seqs.push_back(row.seq);
  return seqs;
}

}  // namespace

// -- What is written is there ---------------------------------------------------------------------

TEST_P(BackendContract, EmptyStoreAnswersNothing) {
  ReadSet set = Everything();
  set.keys = {{Kind::kMemory, "a"}, {Kind::kLink, ""}};
  set.names = {MakeName(1)};
  set.operations = {MakeOperation(1)};
  const absl::StatusOr<ReadResult> result = ReadOnce(*backend_, set);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_THAT(result->rows, SizeIs(2));
  EXPECT_FALSE(result->rows[0].has_value() || result->rows[1].has_value());
  EXPECT_THAT(result->named, IsEmpty());
  EXPECT_THAT(result->operations, IsEmpty());
  EXPECT_THAT(result->heads, IsEmpty());
  EXPECT_THAT(result->meta, IsEmpty());
  const auto rows = ScanAll(*backend_);
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_THAT(*rows, IsEmpty());
}

TEST_P(BackendContract, CommittedWriteSurvivesReopen) {
  WriteSet set;
  set.rows = {MakeRow(Kind::kMemory, "a", "state a", MakeName(1)), MakeRow("b", "state b")};
  set.log = {MakeLogRow(7, 1, 70, "commit")};
  set.meta = {{"member", std::string("x\0y", 3)}, {"empty", ""}};
  ASSERT_TRUE(PutAndCommit(*backend_, set).ok());
  for (int time = 0; time < 2; ++time) {
    ReadSet question = Everything();
    question.keys = {
        {Kind::kMemory, "b"}, {Kind::kMemory, "c"}, {Kind::kMemory, "a"}, {Kind::kMemory, "b"}};
    question.names = {MakeName(1)};
    question.operations = {MakeOperation(70)};
    const absl::StatusOr<ReadResult> result = ReadOnce(*backend_, question);
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_THAT(result->rows, SizeIs(4));
    EXPECT_EQ(Describe(*result->rows[0]), Describe(set.rows[1]));
    EXPECT_FALSE(result->rows[1].has_value());
    EXPECT_EQ(Describe(*result->rows[2]), Describe(set.rows[0]));
    EXPECT_EQ(Describe(*result->rows[3]), Describe(set.rows[1]));
    EXPECT_EQ(Describe(result->named), Describe(std::vector<EntityRow>{set.rows[0]}));
    EXPECT_EQ(Describe(result->operations), Describe(set.log));
    EXPECT_EQ(Describe(result->heads), Describe(set.log));
    EXPECT_THAT(result->meta,
                ElementsAre(Pair("empty", ""), Pair("member", std::string("x\0y", 3))));
    Reopen();
  }
}

TEST_P(BackendContract, CommitSaysDurable) {
  auto transaction = backend_->BeginWrite();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  ASSERT_TRUE((*transaction)->Put(RowsOf({MakeRow("a", "1")})).ok());
  const CommitResult result = (*transaction)->Commit();
  EXPECT_EQ(result.outcome, CommitOutcome::kDurable);
  EXPECT_TRUE(result.status.ok()) << result.status;
  // Over, whatever comes: neither again nor anything else.
  EXPECT_EQ((*transaction)->Commit().outcome, CommitOutcome::kNotDone);
  EXPECT_FALSE((*transaction)->Read(KeysOf({"a"})).ok());
}

TEST_P(BackendContract, CommitWithoutPutIsDurable) {
  auto write = backend_->BeginWrite();
  ASSERT_TRUE(write.ok()) << write.status();
  EXPECT_EQ((*write)->Commit().outcome, CommitOutcome::kDurable);
  auto read = backend_->BeginRead();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)->Commit().outcome, CommitOutcome::kDurable);
}

TEST_P(BackendContract, DroppedTransactionLeavesNothing) {
  {
    auto transaction = backend_->BeginWrite();
    ASSERT_TRUE(transaction.ok()) << transaction.status();
    ASSERT_TRUE((*transaction)->Put(RowsOf({MakeRow("a", "1")})).ok());
  }
  EXPECT_THAT(StatesOf(*backend_, {"a"}), ElementsAre("-"));
  Reopen();
  EXPECT_THAT(StatesOf(*backend_, {"a"}), ElementsAre("-"));
  EXPECT_TRUE(PutAndCommit(*backend_, RowsOf({MakeRow("a", "2")})).ok());
  EXPECT_THAT(StatesOf(*backend_, {"a"}), ElementsAre("2"));
}

TEST_P(BackendContract, WriterReadsWhatItPut) {
  ASSERT_TRUE(PutAndCommit(*backend_, RowsOf({MakeRow("a", "1")})).ok());
  auto transaction = backend_->BeginWrite();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  auto before = (*transaction)->Read(KeysOf({"a", "b"}));
  ASSERT_TRUE(before.ok()) << before.status();
  EXPECT_EQ(before->rows[0]->state, "1");
  WriteSet set = RowsOf({MakeRow("a", "2"), MakeRow("b", "3")});
  set.log = {MakeLogRow(1, 1, 1, "x")};
  ASSERT_TRUE((*transaction)->Put(set).ok());
  ReadSet question = KeysOf({"a", "b"});
  question.heads = true;
  auto after = (*transaction)->Read(question);
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->rows[0]->state, "2");
  EXPECT_EQ(after->rows[1]->state, "3");
  EXPECT_THAT(after->heads, SizeIs(1));
  EXPECT_THAT(StatesOf(*backend_, {"a", "b"}), ElementsAre("1", "-"));
}

TEST_P(BackendContract, PutReplacesStateAndName) {
  ASSERT_TRUE(
      PutAndCommit(*backend_, RowsOf({MakeRow(Kind::kMemory, "a", "1", MakeName(1))})).ok());
  ASSERT_TRUE(
      PutAndCommit(*backend_, RowsOf({MakeRow(Kind::kMemory, "a", "2", MakeName(2))})).ok());
  auto result = ReadOnce(*backend_, NamesOf({MakeName(1)}));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->named, IsEmpty());
  result = ReadOnce(*backend_, NamesOf({MakeName(2)}));
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_THAT(result->named, SizeIs(1));
  EXPECT_EQ(result->named[0].state, "2");
  ASSERT_TRUE(PutAndCommit(*backend_, RowsOf({MakeRow("a", "")})).ok());
  result = ReadOnce(*backend_, NamesOf({MakeName(2)}));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->named, IsEmpty());
  EXPECT_THAT(StatesOf(*backend_, {"a"}), ElementsAre(""));
}

TEST_P(BackendContract, RowsOfOneNameComeInKeyOrder) {
  ASSERT_TRUE(PutAndCommit(*backend_, RowsOf({MakeRow(Kind::kLink, "a", "4", MakeName(1)),
                                              MakeRow(Kind::kMemory, "z", "3", MakeName(1)),
                                              MakeRow(Kind::kMemory, "b", "2", MakeName(2)),
                                              MakeRow(Kind::kMemory, "a", "1", MakeName(1)),
                                              MakeRow(Kind::kMemory, "c", "0", MakeName(3))}))
                  .ok());
  const auto result =
      ReadOnce(*backend_, NamesOf({MakeName(2), MakeName(1), MakeName(2), MakeName(9)}));
  ASSERT_TRUE(result.ok()) << result.status();
  std::vector<std::string> states;
  for (const EntityRow& row : result->named) states.push_back(row.state);
  EXPECT_THAT(states, ElementsAre("1", "2", "3", "4"));
}

TEST_P(BackendContract, AnyBytesAreAKeyAndAState) {
  const std::string all_bytes = [] {
    std::string bytes;
    for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
    return bytes;
  }();
  const std::string link("a\0b\0about", 9);
  const std::string cut_link("a\0b", 3);
  ASSERT_TRUE(PutAndCommit(
                  *backend_,
                  RowsOf({MakeRow(Kind::kLink, link, all_bytes), MakeRow(Kind::kLink, cut_link, ""),
                          MakeRow(Kind::kLink, "a", "short"), MakeRow(Kind::kLink, "", "no key"),
                          MakeRow(Kind::kLink, all_bytes, "all")}))
                  .ok());
  Reopen();
  ReadSet set;
  for (const std::string& key : {link, cut_link, std::string("a"), std::string(), all_bytes}) {
    set.keys.push_back({Kind::kLink, key});
  }
  const auto result = ReadOnce(*backend_, set);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_TRUE(result->rows[0] && result->rows[1] && result->rows[2] && result->rows[3] &&
              result->rows[4]);
  EXPECT_EQ(result->rows[0]->state, all_bytes);
  EXPECT_EQ(result->rows[1]->state, "");
  EXPECT_EQ(result->rows[2]->state, "short");
  EXPECT_EQ(result->rows[3]->state, "no key");
  EXPECT_EQ(result->rows[4]->state, "all");
  EXPECT_EQ(result->rows[4]->key.key, all_bytes);
}

TEST_P(BackendContract, LargeValuesAreKept) {
  const std::string state(3u << 20, 's');
  const std::string commit(5u << 20, 'c');
  WriteSet set = RowsOf({MakeRow("big", state)});
  set.log = {MakeLogRow(1, 1, 1, commit)};
  set.meta = {{"big", state}};
  ASSERT_TRUE(PutAndCommit(*backend_, set).ok());
  Reopen();
  ReadSet question = Everything();
  question.keys = {{Kind::kMemory, "big"}};
  const auto result = ReadOnce(*backend_, question);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->rows[0].has_value() && result->rows[0]->state == state);
  EXPECT_TRUE(result->heads.size() == 1 && result->heads[0].bytes.size() >= kLogHeadBytes &&
              commit.starts_with(result->heads[0].bytes));
  EXPECT_EQ(*LogBytesOf(*backend_, 1), commit);
  EXPECT_TRUE(result->meta.at("big") == state);
}

TEST_P(BackendContract, MetaIsUpserted) {
  WriteSet first;
  first.meta = {{"a", "1"}, {"b", "2"}};
  ASSERT_TRUE(PutAndCommit(*backend_, first).ok());
  WriteSet second;
  second.meta = {{"b", "3"}, {"c", "4"}};
  ASSERT_TRUE(PutAndCommit(*backend_, second).ok());
  const auto result = ReadOnce(*backend_, Everything());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->meta, ElementsAre(Pair("a", "1"), Pair("b", "3"), Pair("c", "4")));
}

// -- Scan -----------------------------------------------------------------------------------------

TEST_P(BackendContract, ScanGoesByKindThenUnsignedBytes) {
  const auto strange = static_cast<Kind>(200);  // Of a newer version; kept all the same.
  ASSERT_TRUE(PutAndCommit(*backend_,
                           RowsOf({MakeRow(strange, "a", ""), MakeRow(Kind::kLink, "\x80", ""),
                                   MakeRow(Kind::kLink, "\x7f", ""), MakeRow(Kind::kLink, "", ""),
                                   MakeRow(Kind::kLink, std::string("\0", 1), ""),
                                   MakeRow(Kind::kLink, "b", ""), MakeRow(Kind::kLink, "a", ""),
                                   MakeRow(Kind::kLink, std::string("a\0", 2), ""),
                                   MakeRow(Kind::kLink, "aa", ""), MakeRow(Kind::kMemory, "z", ""),
                                   MakeRow(Kind::kLink, "\xff\xff", "")}))
                  .ok());
  const std::vector<std::string> expected = {"1:z",     "2:",         "2:\\00", "2:a",
                                             "2:a\\00", "2:aa",       "2:b",    "2:\\7f",
                                             "2:\\80",  "2:\\ff\\ff", "200:a"};
  for (const std::size_t page : {1000u, 1u, 2u, 3u, 5u, 11u}) {
    EXPECT_EQ(KeysIn(ScanAll(*backend_, page)), expected) << "pages of " << page;
  }
}

TEST_P(BackendContract, ScanKeepsToKindPrefixAndAfter) {
  std::vector<EntityRow> rows;
  for (const char* key : {"", "a", "ab", "abc", "abd", "ac", "b", "\xff", "\xff\x01", "\xff\xff"}) {
    rows.push_back(MakeRow(Kind::kMemory, key, "m"));
  }
  rows.push_back(MakeRow(Kind::kLink, "abx", "l"));
  rows.push_back(MakeRow(Kind::kPendingAction, "abx", "p"));
  ASSERT_TRUE(PutAndCommit(*backend_, RowsOf(rows)).ok());
  auto transaction = backend_->BeginRead();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  const auto scan = [&](std::optional<Kind> kind, const std::string& prefix,
                        std::optional<EntityKey> after) {
    ScanRequest request;
    request.kind = kind;
    request.prefix = prefix;
    request.after = std::move(after);
    return KeysIn((*transaction)->Scan(request));
  };
  const auto key = [](Kind kind, const std::string& text) { return EntityKey{kind, text}; };
  EXPECT_THAT(scan(Kind::kLink, "", {}), ElementsAre("2:abx"));
  EXPECT_THAT(scan(Kind::kMember, "", {}), IsEmpty());
  EXPECT_THAT(scan(Kind::kMemory, "ab", {}), ElementsAre("1:ab", "1:abc", "1:abd"));
  EXPECT_THAT(scan(Kind::kMemory, "abz", {}), IsEmpty());
  EXPECT_THAT(scan(Kind::kMemory, "\xff", {}), ElementsAre("1:\\ff", "1:\\ff\\01", "1:\\ff\\ff"));
  EXPECT_THAT(scan(Kind::kMemory, "\xff\xff", {}), ElementsAre("1:\\ff\\ff"));
  EXPECT_THAT(scan(Kind::kMemory, "ab", key(Kind::kMemory, "abc")), ElementsAre("1:abd"));
  EXPECT_THAT(scan(Kind::kMemory, "ab", key(Kind::kMemory, "a")),
              ElementsAre("1:ab", "1:abc", "1:abd"));
  EXPECT_THAT(scan(Kind::kMemory, "ab", key(Kind::kMemory, "b")), IsEmpty());
  EXPECT_THAT(scan(Kind::kMemory, "", key(Kind::kMemory, "ac")),
              ElementsAre("1:b", "1:\\ff", "1:\\ff\\01", "1:\\ff\\ff"));
  EXPECT_THAT(scan(Kind::kLink, "", key(Kind::kMemory, "zzz")), ElementsAre("2:abx"));
  EXPECT_THAT(scan(Kind::kMemory, "", key(Kind::kLink, "")), IsEmpty());
  EXPECT_THAT(scan({}, "", key(Kind::kMemory, "\xff\x01")),
              ElementsAre("1:\\ff\\ff", "2:abx", "4:abx"));
  EXPECT_THAT(scan({}, "", key(Kind::kPendingAction, "abx")), IsEmpty());
  ScanRequest no_kind;
  no_kind.prefix = "ab";
  EXPECT_EQ((*transaction)->Scan(no_kind).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(BackendContract, ScanStopsAtItsBounds) {
  std::vector<EntityRow> rows;
  for (int i = 0; i < 10; ++i) rows.push_back(MakeRow(std::to_string(i), std::string(100, 'x')));
  ASSERT_TRUE(PutAndCommit(*backend_, RowsOf(rows)).ok());
  auto transaction = backend_->BeginRead();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  ScanRequest request;
  request.max_rows = 4;
  EXPECT_THAT(KeysIn((*transaction)->Scan(request)), SizeIs(4));
  request.max_rows = 1000;
  request.max_bytes = 250;
  EXPECT_THAT(KeysIn((*transaction)->Scan(request)), SizeIs(3));
  request.max_bytes = 300;
  EXPECT_THAT(KeysIn((*transaction)->Scan(request)), SizeIs(3));
  request.max_bytes = 1;
  EXPECT_THAT(KeysIn((*transaction)->Scan(request)), SizeIs(1));
}

// -- The log --------------------------------------------------------------------------------------

TEST_P(BackendContract, HeadsAreTheLastRowsByUnsignedStream) {
  const std::uint64_t middle = std::uint64_t{1} << 63;
  const std::uint64_t most = ~std::uint64_t{0};
  ASSERT_TRUE(
      PutAndCommit(*backend_,
                   LogOf({MakeLogRow(most, 1, 1, "m1"), MakeLogRow(0, 1, 2, "z1"),
                          MakeLogRow(middle, 1, 3, "h1"), MakeLogRow(middle - 1, 9, 4, "l9"),
                          MakeLogRow(most, 2, 5, "m2"), MakeLogRow(5, 1, 6, "f1"),
                          MakeLogRow(5, 2, 7, "f2"), MakeLogRow(5, 11, 8, "f11")}))
          .ok());
  Reopen();
  const auto result = ReadOnce(*backend_, Everything());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(
      Describe(result->heads),
      Describe(std::vector<LogRow>{MakeLogRow(0, 1, 2, "z1"), MakeLogRow(5, 11, 8, "f11"),
                                   MakeLogRow(middle - 1, 9, 4, "l9"),
                                   MakeLogRow(middle, 1, 3, "h1"), MakeLogRow(most, 2, 5, "m2")}));
}

TEST_P(BackendContract, OperationsAreFoundInEveryStream) {
  ASSERT_TRUE(PutAndCommit(*backend_, LogOf({MakeLogRow(2, 1, 7, "b"), MakeLogRow(1, 4, 7, "a"),
                                             MakeLogRow(1, 5, 8, "c")}))
                  .ok());
  const auto result = ReadOnce(*backend_, OperationsOf({7, 9, 7}));
  ASSERT_TRUE(result.ok()) << result.status();
  std::vector<std::string> found = Describe(result->operations);
  std::sort(found.begin(), found.end());
  EXPECT_EQ(found,
            Describe(std::vector<LogRow>{MakeLogRow(1, 4, 7, "a"), MakeLogRow(2, 1, 7, "b")}));
}

TEST_P(BackendContract, ReadLogGoesUpFromAfter) {
  std::vector<LogRow> rows;
  for (std::uint64_t seq = 1; seq <= 12; ++seq) {
    rows.push_back(MakeLogRow(~std::uint64_t{0}, seq, seq, std::string(100, 'x')));
  }
  rows.push_back(MakeLogRow(3, 5, 99, "other"));
  std::reverse(rows.begin(), rows.end());
  ASSERT_TRUE(PutAndCommit(*backend_, LogOf(rows)).ok());
  auto transaction = backend_->BeginRead();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  const auto read = [&](std::uint64_t stream, std::uint64_t after, std::size_t max_rows,
                        std::size_t max_bytes) {
    return SeqsIn((*transaction)->ReadLog(stream, after, max_rows, max_bytes));
  };
  const std::uint64_t most = ~std::uint64_t{0};
  EXPECT_THAT(read(most, 0, 100, 1u << 20), SizeIs(12));
  EXPECT_THAT(read(most, 9, 100, 1u << 20), ElementsAre(10, 11, 12));
  EXPECT_THAT(read(most, 12, 100, 1u << 20), IsEmpty());
  EXPECT_THAT(read(most, most, 100, 1u << 20), IsEmpty());
  EXPECT_THAT(read(most, 2, 3, 1u << 20), ElementsAre(3, 4, 5));
  EXPECT_THAT(read(most, 2, 100, 150), ElementsAre(3, 4));
  EXPECT_THAT(read(most, 2, 100, 1), ElementsAre(3));
  EXPECT_THAT(read(3, 0, 100, 1u << 20), ElementsAre(5));
  EXPECT_THAT(read(4, 0, 100, 1u << 20), IsEmpty());
}

TEST_P(BackendContract, TakenSequenceNumberIsRefusedWhole) {
  ASSERT_TRUE(PutAndCommit(*backend_, LogOf({MakeLogRow(1, 1, 1, "first")})).ok());
  auto transaction = backend_->BeginWrite();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  WriteSet set = RowsOf({MakeRow("a", "1")});
  set.log = {MakeLogRow(1, 2, 2, "new"), MakeLogRow(1, 1, 3, "taken")};
  set.meta = {{"m", "1"}};
  EXPECT_EQ((*transaction)->Put(set).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ((*transaction)->Commit().outcome, CommitOutcome::kNotDone);
  transaction->reset();
  EXPECT_THAT(StatesOf(*backend_, {"a"}), ElementsAre("-"));
  const auto result = ReadOnce(*backend_, Everything());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Describe(result->heads), Describe(std::vector<LogRow>{MakeLogRow(1, 1, 1, "first")}));
  EXPECT_THAT(result->meta, IsEmpty());
}

TEST_P(BackendContract, OneStreamHasAnOperationOnce) {
  ASSERT_TRUE(PutAndCommit(*backend_, LogOf({MakeLogRow(1, 1, 1, "first")})).ok());
  EXPECT_EQ(PutAndCommit(*backend_, LogOf({MakeLogRow(1, 2, 1, "again")})).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(PutAndCommit(*backend_, LogOf({MakeLogRow(2, 1, 1, "elsewhere")})).ok());
}

TEST_P(BackendContract, CutsDropTheBeginningOfAStream) {
  std::vector<LogRow> rows;
  for (std::uint64_t seq = 1; seq <= 9; ++seq) {
    rows.push_back(MakeLogRow(~std::uint64_t{0}, seq, seq, "x"));
    rows.push_back(MakeLogRow(2, seq, 100 + seq, "y"));
  }
  ASSERT_TRUE(PutAndCommit(*backend_, LogOf(rows)).ok());
  WriteSet cut;
  cut.log_cuts = {{~std::uint64_t{0}, 7}, {3, 100}};
  ASSERT_TRUE(PutAndCommit(*backend_, cut).ok());
  Reopen();
  auto transaction = backend_->BeginRead();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  EXPECT_THAT(SeqsIn((*transaction)->ReadLog(~std::uint64_t{0}, 0, 100, 1000)),
              ElementsAre(7, 8, 9));
  EXPECT_THAT(SeqsIn((*transaction)->ReadLog(2, 0, 100, 1000)), SizeIs(9));
  const auto result = (*transaction)->Read(OperationsOf({6, 7}));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->operations, SizeIs(1));
}

TEST_P(BackendContract, HeadsBeginAsTheirCommitsDo) {
  std::string commit;
  for (int i = 0; i < 20'000; ++i) commit += static_cast<char>(i % 251);
  WriteSet set;
  std::uint64_t stream = 0;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kLogHeadBytes - 1, kLogHeadBytes,
                                 kLogHeadBytes + 1, std::size_t{4'000}, commit.size()}) {
    ++stream;
    set.log.push_back(MakeLogRow(stream, 1, 2 * stream, "before"));
    set.log.push_back(MakeLogRow(stream, 2, 2 * stream + 1, commit.substr(0, size)));
  }
  const auto expect_heads = [&](const absl::StatusOr<ReadResult>& result) {
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_EQ(result->heads.size(), stream);
    for (std::size_t i = 0; i < stream; ++i) {
      const std::string& whole = set.log[2 * i + 1].bytes;
      const std::string& head = result->heads[i].bytes;
      EXPECT_EQ(result->heads[i].seq, 2u);
      EXPECT_TRUE(whole.starts_with(head)) << whole.size();
      EXPECT_GE(head.size(), std::min(whole.size(), kLogHeadBytes));
    }
  };
  auto transaction = backend_->BeginWrite();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  ASSERT_TRUE((*transaction)->Put(set).ok());
  expect_heads((*transaction)->Read({.heads = true}));
  ASSERT_EQ((*transaction)->Commit().outcome, CommitOutcome::kDurable);
  transaction->reset();
  expect_heads(ReadOnce(*backend_, {.heads = true}));
}

TEST_P(BackendContract, TailsDropTheEndOfAStreamBeforeTheLogIsInserted) {
  const std::uint64_t most = ~std::uint64_t{0};
  std::vector<LogRow> rows;
  for (std::uint64_t seq = 1; seq <= 6; ++seq) {
    rows.push_back(MakeLogRow(most, seq, seq, "old"));
    rows.push_back(MakeLogRow(2, seq, 100 + seq, "other"));
  }
  ASSERT_TRUE(PutAndCommit(*backend_, LogOf(rows)).ok());
  WriteSet set;
  set.log_tails = {{most, 3}, {5, 0}, {2, most}};
  // Its places and its operations are free again.
  set.log = {MakeLogRow(most, 4, 40, "new"), MakeLogRow(most, 5, 6, "new")};
  {
    // A set that is refused drops nothing, nor does one that is not committed.
    WriteSet refused = set;
    refused.log.push_back(MakeLogRow(2, 6, 41, "taken"));
    EXPECT_EQ(PutAndCommit(*backend_, refused).code(), absl::StatusCode::kAlreadyExists);
    auto transaction = backend_->BeginWrite();
    ASSERT_TRUE(transaction.ok()) << transaction.status();
    ASSERT_TRUE((*transaction)->Put(set).ok());
    EXPECT_THAT(SeqsIn((*transaction)->ReadLog(most, 0, 100, 1000)), ElementsAre(1, 2, 3, 4, 5));
  }
  auto before = backend_->BeginRead();
  ASSERT_TRUE(before.ok()) << before.status();
  ASSERT_TRUE(PutAndCommit(*backend_, set).ok());
  EXPECT_THAT(SeqsIn((*before)->ReadLog(most, 0, 100, 1000)), SizeIs(6));
  before->reset();
  const auto after = backend_->BeginRead();
  ASSERT_TRUE(after.ok()) << after.status();
  const auto log = (*after)->ReadLog(most, 2, 100, 1000);
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_EQ(Describe(*log), Describe(std::vector<LogRow>{MakeLogRow(most, 3, 3, "old"),
                                                         MakeLogRow(most, 4, 40, "new"),
                                                         MakeLogRow(most, 5, 6, "new")}));
  EXPECT_THAT(SeqsIn((*after)->ReadLog(2, 0, 100, 1000)), SizeIs(6));
  const auto result = (*after)->Read(OperationsOf({4, 5, 6, 40}));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->operations, SizeIs(2));
}

TEST_P(BackendContract, RowsOfTheLogAreGivenOtherBytesAndNothingElse) {
  const std::uint64_t most = ~std::uint64_t{0};
  ASSERT_TRUE(PutAndCommit(*backend_,
                           LogOf({MakeLogRow(most, 1, 1, "first"),
                                  MakeLogRow(most, 2, 2, std::string(9'000, 'x')),
                                  MakeLogRow(most, 3, 3, "third"), MakeLogRow(2, 1, 4, "other")}))
                  .ok());
  WriteSet set;
  // Another operation than the row's is not looked at; what is not there is left out.
  set.log_rewrites = {MakeLogRow(most, 2, 77, "less"), MakeLogRow(most, 4, 5, "not there"),
                      MakeLogRow(3, 1, 6, "no stream"), MakeLogRow(most, most, 7, "no seq")};
  set.log = {MakeLogRow(most, 4, 8, "new")};
  auto before = backend_->BeginRead();
  ASSERT_TRUE(before.ok()) << before.status();
  ASSERT_TRUE(PutAndCommit(*backend_, set).ok());
  const auto earlier = (*before)->ReadLog(most, 1, 1, 100'000);
  ASSERT_TRUE(earlier.ok()) << earlier.status();
  EXPECT_EQ(earlier->front().bytes.size(), 9'000u) << "a snapshot stands";
  before->reset();
  const auto after = backend_->BeginRead();
  ASSERT_TRUE(after.ok()) << after.status();
  const auto log = (*after)->ReadLog(most, 0, 100, 100'000);
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_EQ(Describe(*log), Describe(std::vector<LogRow>{
                                MakeLogRow(most, 1, 1, "first"), MakeLogRow(most, 2, 2, "less"),
                                MakeLogRow(most, 3, 3, "third"), MakeLogRow(most, 4, 8, "new")}));
  const auto result = (*after)->Read(OperationsOf({2, 77}));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->operations, SizeIs(1));
}

TEST_P(BackendContract, ScrubLosesNothing) {
  WriteSet set = RowsOf({MakeRow("a", "1")});
  set.log = {MakeLogRow(1, 1, 1, std::string(9'000, 'x'))};
  ASSERT_TRUE(PutAndCommit(*backend_, set).ok());
  WriteSet less = RowsOf({MakeRow("a", "2")});
  less.log_rewrites = {MakeLogRow(1, 1, 1, "less")};
  ASSERT_TRUE(PutAndCommit(*backend_, less).ok());
  const absl::Status scrubbed = backend_->Scrub();
  EXPECT_TRUE(scrubbed.ok()) << scrubbed;
  const auto result = ReadOnce(*backend_, Everything());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Describe(result->heads), Describe(std::vector<LogRow>{MakeLogRow(1, 1, 1, "less")}));
  ASSERT_TRUE(PutAndCommit(*backend_, LogOf({MakeLogRow(1, 2, 2, "next")})).ok());
  EXPECT_TRUE(backend_->Scrub().ok());
}

TEST_P(BackendContract, AStreamCanBeDroppedWhole) {
  ASSERT_TRUE(
      PutAndCommit(*backend_, LogOf({MakeLogRow(1, 1, 1, "a"), MakeLogRow(2, 1, 2, "b")})).ok());
  WriteSet set;
  set.log_tails = {{1, 0}};
  ASSERT_TRUE(PutAndCommit(*backend_, set).ok());
  const auto result = ReadOnce(*backend_, Everything());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Describe(result->heads), Describe(std::vector<LogRow>{MakeLogRow(2, 1, 2, "b")}));
  ASSERT_TRUE(PutAndCommit(*backend_, LogOf({MakeLogRow(1, 1, 1, "again")})).ok());
}

// -- Blocks ---------------------------------------------------------------------------------------

constexpr std::uint64_t kHighSegment = (std::uint64_t{1} << 63) + 5;

WriteSet BlocksOf(std::vector<BlockRow> rows) {
  WriteSet set;
  set.blocks = std::move(rows);
  return set;
}

WriteSet BlockCut(std::uint64_t segment, std::uint32_t first) {
  WriteSet set;
  set.block_cuts = {{segment, first}};
  return set;
}

TEST_P(BackendContract, StoreWithoutBlocksHasNone) {
  EXPECT_THAT(CountsOf(*backend_), IsEmpty());
  EXPECT_THAT(BlocksOfSegment(*backend_, 1), IsEmpty());
  EXPECT_TRUE(PutAndCommit(*backend_, BlockCut(1, 0)).ok()) << "what is absent can be dropped";
}

TEST_P(BackendContract, BlocksAreThereAgainAndCountedBySegment) {
  ASSERT_TRUE(PutAndCommit(*backend_, BlocksOf({{~std::uint64_t{0}, 0, "most"},
                                                {kHighSegment, 1, "h1"},
                                                {kHighSegment, 0, "h0"},
                                                {7, 0xffffffff, "last part"},
                                                {7, 0x80000000, std::string("a\0b\xff", 4)},
                                                {7, 3, ""},
                                                {0, 0, "zero"}}))
                  .ok());
  for (int time = 0; time < 2; ++time) {
    // Segments are unsigned: those above 2^63 come last.
    EXPECT_THAT(CountsOf(*backend_),
                ElementsAre("0:1", "7:3", "9223372036854775813:2", "18446744073709551615:1"));
    EXPECT_THAT(BlocksOfSegment(*backend_, 7),
                ElementsAre("3=", "2147483648=a\\00b\\ff", "4294967295=last\\20part"));
    EXPECT_THAT(BlocksOfSegment(*backend_, kHighSegment), ElementsAre("0=h0", "1=h1"));
    EXPECT_THAT(BlocksOfSegment(*backend_, ~std::uint64_t{0}), ElementsAre("0=most"));
    EXPECT_THAT(BlocksOfSegment(*backend_, 8), IsEmpty());
    Reopen();
  }
}

TEST_P(BackendContract, BlocksAreReadByPagesOfBytes) {
  WriteSet set;
  for (std::uint32_t part = 0; part < 10; ++part) {
    set.blocks.push_back({kHighSegment, part, std::string(100, static_cast<char>('a' + part))});
  }
  set.blocks.push_back({kHighSegment + 1, 0, "another segment"});
  ASSERT_TRUE(PutAndCommit(*backend_, set).ok());
  const auto read = backend_->BeginRead();
  ASSERT_TRUE(read.ok()) << read.status();
  const auto parts = [&](std::uint32_t first, std::size_t max_bytes) {
    std::vector<std::uint32_t> found;
    const auto rows = (*read)->ReadBlocks(kHighSegment, first, max_bytes);
    if (!rows.ok()) ADD_FAILURE() << rows.status();
    for (const BlockRow& row : rows.ok() ? *rows : std::vector<BlockRow>()) {
      EXPECT_EQ(row.segment, kHighSegment);
      found.push_back(row.part);
    }
    return found;
  };
  EXPECT_THAT(parts(0, 1'000), SizeIs(10));
  EXPECT_THAT(parts(0, 1), ElementsAre(0));
  EXPECT_THAT(parts(0, 100), ElementsAre(0));
  EXPECT_THAT(parts(0, 101), ElementsAre(0, 1));
  EXPECT_THAT(parts(4, 250), ElementsAre(4, 5, 6));
  EXPECT_THAT(parts(9, 1'000), ElementsAre(9));
  EXPECT_THAT(parts(10, 1'000), IsEmpty());
  EXPECT_THAT(parts(0xffffffff, 1'000), IsEmpty());
}

TEST_P(BackendContract, ManySmallBlocksAreReadToTheirEnd) {
  WriteSet set;
  for (std::uint32_t part = 0; part < 5'000; ++part) set.blocks.push_back({1, part, ""});
  set.blocks.push_back({1, 5'000, "end"});
  ASSERT_TRUE(PutAndCommit(*backend_, set).ok());
  const auto read = backend_->BeginRead();
  ASSERT_TRUE(read.ok()) << read.status();
  const auto rows = (*read)->ReadBlocks(1, 0, 1);
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_THAT(*rows, SizeIs(5'001));
  for (std::uint32_t part = 0; part <= 5'000; ++part) ASSERT_EQ((*rows)[part].part, part);
  EXPECT_EQ(rows->back().bytes, "end");
}

TEST_P(BackendContract, BlocksOfEverySizeUpToTheLimitAreKept) {
  WriteSet set;
  std::uint32_t part = 0;
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{2'000}, kBlockBytes - 1, kBlockBytes}) {
    std::string bytes;
    std::mt19937_64 random(size);
    for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(random() & 0xff);
    set.blocks.push_back({1, part++, std::move(bytes)});
  }
  ASSERT_TRUE(PutAndCommit(*backend_, set).ok());
  Reopen();
  EXPECT_EQ(BlocksOfSegment(*backend_, 1), BlocksIn(set.blocks));
}

TEST_P(BackendContract, CutsDropTheEndOfASegmentOrTheWhole) {
  WriteSet set;
  for (std::uint32_t part = 0; part < 6; ++part) {
    for (const std::uint64_t segment : {std::uint64_t{1}, std::uint64_t{2}, kHighSegment}) {
      set.blocks.push_back({segment, part, "x"});
    }
  }
  ASSERT_TRUE(PutAndCommit(*backend_, set).ok());
  WriteSet cuts;
  cuts.block_cuts = {{kHighSegment, 4}, {1, 0}, {1, 3}, {2, 6}, {3, 0}};
  ASSERT_TRUE(PutAndCommit(*backend_, cuts).ok());
  for (int time = 0; time < 2; ++time) {
    EXPECT_THAT(CountsOf(*backend_), ElementsAre("2:6", "9223372036854775813:4"));
    EXPECT_THAT(BlocksOfSegment(*backend_, kHighSegment), ElementsAre("0=x", "1=x", "2=x", "3=x"));
    EXPECT_THAT(BlocksOfSegment(*backend_, 1), IsEmpty());
    Reopen();
  }
}

TEST_P(BackendContract, BlocksAreCutBeforeOthersAreInserted) {
  ASSERT_TRUE(PutAndCommit(*backend_, BlocksOf({{1, 0, "a"}, {1, 1, "b"}, {1, 2, "c"}})).ok());
  WriteSet set = BlocksOf({{1, 1, "new"}, {1, 5, "far"}});
  set.block_cuts = {{1, 1}};
  auto transaction = backend_->BeginWrite();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  ASSERT_TRUE((*transaction)->Put(set).ok());
  EXPECT_THAT(BlocksIn((*transaction)->ReadBlocks(1, 0, 1'000)),
              ElementsAre("0=a", "1=new", "5=far"));
  EXPECT_THAT(CountsIn((*transaction)->CountBlocks()), ElementsAre("1:3"));
  ASSERT_EQ((*transaction)->Commit().outcome, CommitOutcome::kDurable);
  EXPECT_FALSE((*transaction)->ReadBlocks(1, 0, 1'000).ok());
  EXPECT_FALSE((*transaction)->CountBlocks().ok());
  transaction->reset();
  EXPECT_THAT(BlocksOfSegment(*backend_, 1), ElementsAre("0=a", "1=new", "5=far"));
}

TEST_P(BackendContract, TakenBlockIsRefusedWithTheWholeSet) {
  WriteSet first = BlocksOf({{kHighSegment, 0, "first"}, {kHighSegment, 1, "second"}});
  first.log = {MakeLogRow(1, 1, 1, "first")};
  ASSERT_TRUE(PutAndCommit(*backend_, first).ok());
  for (const bool twice_in_the_set : {false, true}) {
    WriteSet set = RowsOf({MakeRow("a", "1")});
    set.log = {MakeLogRow(1, 2, 2, "new")};
    set.meta = {{"m", "1"}};
    set.block_cuts = {{kHighSegment, 1}};
    set.blocks = {{9, 0, "new"}, {kHighSegment, 0, "taken"}};
    if (twice_in_the_set) set.blocks[1] = {9, 0, "again"};
    auto transaction = backend_->BeginWrite();
    ASSERT_TRUE(transaction.ok()) << transaction.status();
    EXPECT_EQ((*transaction)->Put(set).code(), absl::StatusCode::kAlreadyExists);
    EXPECT_EQ((*transaction)->Commit().outcome, CommitOutcome::kNotDone);
    transaction->reset();
    EXPECT_THAT(StatesOf(*backend_, {"a"}), ElementsAre("-"));
    const auto result = ReadOnce(*backend_, Everything());
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(Describe(result->heads), Describe(first.log));
    EXPECT_THAT(result->meta, IsEmpty());
    EXPECT_THAT(CountsOf(*backend_), ElementsAre("9223372036854775813:2"));
    EXPECT_THAT(BlocksOfSegment(*backend_, kHighSegment), ElementsAre("0=first", "1=second"));
  }
}

TEST_P(BackendContract, RefusedCommitLeavesNoBlocks) {
  ASSERT_TRUE(PutAndCommit(*backend_, LogOf({MakeLogRow(1, 1, 1, "first")})).ok());
  WriteSet set = BlocksOf({{1, 0, "new"}});
  set.log = {MakeLogRow(1, 1, 2, "taken")};
  EXPECT_EQ(PutAndCommit(*backend_, set).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(CountsOf(*backend_), IsEmpty());
}

TEST_P(BackendContract, BlocksLieBesideRowsAndLogOfTheirSet) {
  WriteSet set = RowsOf({MakeRow("a", "1")});
  set.log = {MakeLogRow(1, 1, 1, "commit")};
  set.meta = {{"m", "1"}};
  set.blocks = {{1, 0, "block"}};
  ASSERT_TRUE(PutAndCommit(*backend_, set).ok());
  Reopen();
  EXPECT_THAT(StatesOf(*backend_, {"a"}), ElementsAre("1"));
  const auto result = ReadOnce(*backend_, Everything());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Describe(result->heads), Describe(set.log));
  EXPECT_THAT(result->meta, ElementsAre(Pair("m", "1")));
  EXPECT_THAT(BlocksOfSegment(*backend_, 1), ElementsAre("0=block"));
}

TEST_P(BackendContract, DroppedTransactionLeavesBlocksAsTheyWere) {
  ASSERT_TRUE(PutAndCommit(*backend_, BlocksOf({{1, 0, "a"}, {1, 1, "b"}})).ok());
  {
    WriteSet set = BlocksOf({{1, 0, "new"}, {2, 0, "new"}});
    set.block_cuts = {{1, 0}};
    auto transaction = backend_->BeginWrite();
    ASSERT_TRUE(transaction.ok()) << transaction.status();
    ASSERT_TRUE((*transaction)->Put(set).ok());
    EXPECT_THAT(CountsIn((*transaction)->CountBlocks()), ElementsAre("1:1", "2:1"));
    EXPECT_THAT(CountsOf(*backend_), ElementsAre("1:2")) << "nobody else sees it";
  }
  EXPECT_THAT(CountsOf(*backend_), ElementsAre("1:2"));
  EXPECT_THAT(BlocksOfSegment(*backend_, 1), ElementsAre("0=a", "1=b"));
}

TEST_P(BackendContract, ReaderReadsAllOfASegmentThatWasDroppedMeanwhile) {
  WriteSet set;
  for (std::uint32_t part = 0; part < 20; ++part) {
    set.blocks.push_back({1, part, std::string(kBlockBytes, static_cast<char>('a' + part))});
  }
  ASSERT_TRUE(PutAndCommit(*backend_, set).ok());
  auto reader = backend_->BeginRead();
  ASSERT_TRUE(reader.ok()) << reader.status();
  // Nothing has been read yet, and yet the snapshot stands.
  WriteSet next = BlocksOf({{1, 0, "new"}, {2, 0, "new"}});
  next.block_cuts = {{1, 0}};
  ASSERT_TRUE(PutAndCommit(*backend_, next).ok());
  ASSERT_TRUE(backend_->Maintain(true).ok());
  EXPECT_THAT(CountsIn((*reader)->CountBlocks()), ElementsAre("1:20"));
  std::vector<BlockRow> all;
  while (all.size() < set.blocks.size()) {
    const auto page =
        (*reader)->ReadBlocks(1, static_cast<std::uint32_t>(all.size()), 3 * kBlockBytes);
    ASSERT_TRUE(page.ok()) << page.status();
    ASSERT_FALSE(page->empty());
    all.insert(all.end(), page->begin(), page->end());
  }
  EXPECT_EQ(BlocksIn(all), BlocksIn(set.blocks));
  EXPECT_THAT(BlocksIn((*reader)->ReadBlocks(2, 0, 1'000)), IsEmpty());
  reader->reset();
  EXPECT_THAT(CountsOf(*backend_), ElementsAre("1:1", "2:1"));
}

// -- Transactions ---------------------------------------------------------------------------------

TEST_P(BackendContract, SnapshotIsThatOfBeginRead) {
  WriteSet first = RowsOf({MakeRow("a", "1")});
  first.log = {MakeLogRow(1, 1, 1, "x")};
  ASSERT_TRUE(PutAndCommit(*backend_, first).ok());
  auto reader = backend_->BeginRead();
  ASSERT_TRUE(reader.ok()) << reader.status();
  // Nothing has been read yet, and yet the snapshot stands.
  WriteSet second = RowsOf({MakeRow("a", "2"), MakeRow("b", "2")});
  second.log = {MakeLogRow(1, 2, 2, "y")};
  second.meta = {{"m", "2"}};
  ASSERT_TRUE(PutAndCommit(*backend_, second).ok());
  for (int time = 0; time < 2; ++time) {
    ReadSet question = Everything();
    question.keys = KeysOf({"a", "b"}).keys;
    const auto old = (*reader)->Read(question);
    ASSERT_TRUE(old.ok()) << old.status();
    EXPECT_EQ(old->rows[0]->state, "1");
    EXPECT_FALSE(old->rows[1].has_value());
    ASSERT_THAT(old->heads, SizeIs(1));
    EXPECT_EQ(old->heads[0].seq, 1u);
    EXPECT_THAT(old->meta, IsEmpty());
    EXPECT_THAT(KeysIn((*reader)->Scan({})), ElementsAre("1:a"));
    EXPECT_THAT(SeqsIn((*reader)->ReadLog(1, 0, 10, 1000)), ElementsAre(1));
    ASSERT_TRUE(PutAndCommit(*backend_, RowsOf({MakeRow("c", "3")})).ok());
    ASSERT_TRUE(backend_->Maintain(true).ok());
  }
  reader->reset();
  EXPECT_THAT(StatesOf(*backend_, {"a", "b", "c"}), ElementsAre("2", "2", "3"));
}

TEST_P(BackendContract, UncommittedIsSeenByNobodyElse) {
  const std::unique_ptr<Backend> other = Open();
  ASSERT_NE(other, nullptr);
  auto transaction = backend_->BeginWrite();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  ASSERT_TRUE((*transaction)->Put(RowsOf({MakeRow("a", "1")})).ok());
  EXPECT_THAT(StatesOf(*backend_, {"a"}), ElementsAre("-"));
  EXPECT_THAT(StatesOf(*other, {"a"}), ElementsAre("-"));
  EXPECT_EQ((*transaction)->Commit().outcome, CommitOutcome::kDurable);
  EXPECT_THAT(StatesOf(*backend_, {"a"}), ElementsAre("1"));
  EXPECT_THAT(StatesOf(*other, {"a"}), ElementsAre("1"));
  transaction->reset();
  EXPECT_TRUE(other->Close().ok());
}

TEST_P(BackendContract, PutIsRefusedInAReadAndTwice) {
  auto reader = backend_->BeginRead();
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_FALSE((*reader)->Put(RowsOf({MakeRow("a", "1")})).ok());
  reader->reset();
  auto writer = backend_->BeginWrite();
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE((*writer)->Put(RowsOf({MakeRow("b", "1")})).ok());
  EXPECT_FALSE((*writer)->Put(RowsOf({MakeRow("c", "1")})).ok());
  writer->reset();
  EXPECT_THAT(StatesOf(*backend_, {"a", "b", "c"}), ElementsAre("-", "-", "-"));
}

TEST_P(BackendContract, WriterWaitsAndThenSeesWhatCameBefore) {
  auto first = backend_->BeginWrite();
  ASSERT_TRUE(first.ok()) << first.status();
  std::atomic<bool> done = false;
  std::string seen;
  std::thread second([&] {
    auto transaction = backend_->BeginWrite();
    done = true;
    if (!transaction.ok()) return;
    const auto result = (*transaction)->Read(KeysOf({"a"}));
    if (result.ok() && result->rows[0].has_value()) seen = result->rows[0]->state;
  });
  EXPECT_TRUE((*first)->Put(RowsOf({MakeRow("a", "1")})).ok());
  EXPECT_FALSE(done);
  EXPECT_EQ((*first)->Commit().outcome, CommitOutcome::kDurable);
  second.join();
  EXPECT_EQ(seen, "1");
}

TEST_P(BackendContract, WriteLockIsWaitedForNoLongerThanAsked) {
  if (!GetParam().open_impatient) GTEST_SKIP() << "has no lock timeout";
  auto opened = GetParam().open_impatient(dir());
  ASSERT_TRUE(opened.ok()) << opened.status();
  const std::unique_ptr<Backend> impatient = *std::move(opened);
  ASSERT_TRUE(PutAndCommit(*impatient, RowsOf({MakeRow("a", "1")})).ok());
  {
    auto held = backend_->BeginWrite();
    ASSERT_TRUE(held.ok()) << held.status();
    EXPECT_EQ(impatient->BeginWrite().status().code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(StatesOf(*impatient, {"a"}), ElementsAre("1"));
  }
  {
    // The same within one backend.
    auto held = impatient->BeginWrite();
    ASSERT_TRUE(held.ok()) << held.status();
    EXPECT_EQ(impatient->BeginWrite().status().code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_TRUE(PutAndCommit(*impatient, RowsOf({MakeRow("a", "2")})).ok());
  EXPECT_TRUE(impatient->Close().ok());
}

/// Read a counter and write it one higher, `times` times; the failures.
int CountUp(Backend& backend, int times) {
  int failures = 0;
  for (int i = 0; i < times; ++i) {
    auto transaction = backend.BeginWrite();
    if (!transaction.ok()) {
      ADD_FAILURE() << transaction.status();
      ++failures;
      continue;
    }
    const auto result = (*transaction)->Read(KeysOf({"counter"}));
    if (!result.ok()) return times;
    const int value = result->rows[0] ? std::stoi(result->rows[0]->state) : 0;
    const bool put =
        (*transaction)->Put(RowsOf({MakeRow("counter", std::to_string(value + 1))})).ok();
    if (!put || (*transaction)->Commit().outcome != CommitOutcome::kDurable) ++failures;
  }
  return failures;
}

TEST_P(BackendContract, SeveralWritersLoseNothing) {
  constexpr int kTimes = 25;
  std::vector<std::unique_ptr<Backend>> others;
  others.push_back(Open());
  others.push_back(Open());
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (Backend* backend : {backend_.get(), backend_.get(), others[0].get(), others[1].get()}) {
    threads.emplace_back([&failures, backend] { failures += CountUp(*backend, kTimes); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_THAT(StatesOf(*backend_, {"counter"}), ElementsAre(std::to_string(4 * kTimes)));
  for (auto& other : others) EXPECT_TRUE(other->Close().ok());
}

TEST_P(BackendContract, ManyReadersGoOnBesideAWriter) {
  ASSERT_TRUE(PutAndCommit(*backend_, RowsOf({MakeRow("a", "0"), MakeRow("b", "0")})).ok());
  std::atomic<bool> stop = false;
  std::atomic<int> torn = 0;
  std::atomic<int> reads = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 8; ++i) {
    readers.emplace_back([&] {
      do {
        const std::vector<std::string> states = StatesOf(*backend_, {"a", "b"});
        if (states.size() != 2 || states[0] != states[1]) ++torn;
        ++reads;
      } while (!stop);
    });
  }
  for (int i = 1; i <= 50; ++i) {
    const std::string value = std::to_string(i);
    EXPECT_TRUE(PutAndCommit(*backend_, RowsOf({MakeRow("a", value), MakeRow("b", value)})).ok());
    EXPECT_TRUE(backend_->Maintain(false).ok());
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(torn, 0);
  EXPECT_GE(reads, 8);
}

// -- Looking after --------------------------------------------------------------------------------

TEST_P(BackendContract, RecoverAndMaintainKeepEverything) {
  ASSERT_TRUE(PutAndCommit(*backend_, RowsOf({MakeRow("a", "1")})).ok());
  EXPECT_TRUE(backend_->Maintain(false).ok());
  EXPECT_TRUE(backend_->Maintain(true).ok());
  EXPECT_TRUE(backend_->Maintain(true).ok());
  EXPECT_THAT(StatesOf(*backend_, {"a"}), ElementsAre("1"));
  const absl::Status recovered = backend_->Recover();
  ASSERT_TRUE(recovered.ok()) << recovered;
  EXPECT_THAT(StatesOf(*backend_, {"a"}), ElementsAre("1"));
  EXPECT_TRUE(PutAndCommit(*backend_, RowsOf({MakeRow("a", "2")})).ok());
  Reopen();
  EXPECT_THAT(StatesOf(*backend_, {"a"}), ElementsAre("2"));
}

TEST_P(BackendContract, SoundStoreVerifies) {
  ASSERT_TRUE(PutAndCommit(*backend_, RowsOf({MakeRow("a", "1")})).ok());
  const auto sentences = backend_->Verify();
  ASSERT_TRUE(sentences.ok()) << sentences.status();
  EXPECT_THAT(*sentences, IsEmpty());
}

TEST_P(BackendContract, CommitsOfOthersChangeTheirNumber) {
  const auto first = backend_->ForeignCommits();
  ASSERT_TRUE(first.ok()) << first.status();
  if (!first->has_value()) GTEST_SKIP() << "this backend cannot tell";
  EXPECT_EQ(*backend_->ForeignCommits(), *first);
  ASSERT_TRUE(ReadOnce(*backend_, {.heads = true}).ok());
  EXPECT_EQ(*backend_->ForeignCommits(), *first);
  const auto other = Open();
  std::uint64_t known = **first;
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(PutAndCommit(*other, RowsOf({MakeRow("a", std::to_string(i))})).ok());
    const auto now = backend_->ForeignCommits();
    ASSERT_TRUE(now.ok()) << now.status();
    EXPECT_NE(**now, known);
    known = **now;
    // What is seen in between takes nothing away.
    EXPECT_TRUE(PutAndCommit(*other, RowsOf({MakeRow("b", "1")})).ok());
    ASSERT_TRUE(ReadOnce(*backend_, {.heads = true}).ok());
    EXPECT_TRUE(PutAndCommit(*backend_, RowsOf({MakeRow("c", "1")})).ok());
  }
  // Nor does a recovery.
  ASSERT_TRUE(PutAndCommit(*other, RowsOf({MakeRow("d", "1")})).ok());
  ASSERT_TRUE(backend_->Recover().ok());
  EXPECT_NE(**backend_->ForeignCommits(), known);
  EXPECT_TRUE(other->Close().ok());
}

TEST_P(BackendContract, IdentityStaysAndSizeAndUrlAreSaid) {
  ASSERT_TRUE(PutAndCommit(*backend_, RowsOf({MakeRow("a", "1")})).ok());
  const auto identity = backend_->PhysicalIdentity();
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_FALSE(identity->empty());
  const auto size = backend_->SizeBytes();
  ASSERT_TRUE(size.ok()) << size.status();
  EXPECT_GT(*size, 0);
  const std::string url = backend_->Url();
  EXPECT_NE(url.find(':'), std::string::npos) << url;
  Reopen();
  EXPECT_EQ(*backend_->PhysicalIdentity(), *identity);
  EXPECT_EQ(backend_->Url(), url);
}

TEST_P(BackendContract, ClosedBackendRefuses) {
  ASSERT_TRUE(backend_->Close().ok());
  EXPECT_FALSE(backend_->BeginRead().ok());
  EXPECT_FALSE(backend_->BeginWrite().ok());
  EXPECT_TRUE(backend_->Close().ok());
}

// -- Against a model ------------------------------------------------------------------------------

/// What a backend should hold, kept naively.
struct Model {
  std::map<EntityKey, EntityRow> rows;
  std::map<std::pair<std::uint64_t, std::uint64_t>, LogRow> log;
  std::map<std::string, std::string> meta;
  std::map<std::pair<std::uint64_t, std::uint32_t>, BlockRow> blocks;

  void Apply(const WriteSet& set) {
    for (const EntityRow& row : set.rows) rows[row.key] = row;
    for (const auto& [stream, seq] : set.log_tails) {
      std::erase_if(log, [&, stream = stream, seq = seq](const auto& item) {
        return item.first.first == stream && item.first.second > seq;
      });
    }
    for (const LogRow& row : set.log_rewrites) {
      const auto found = log.find({row.stream, row.seq});
      if (found != log.end()) found->second.bytes = row.bytes;
    }
    for (const LogRow& row : set.log) log[{row.stream, row.seq}] = row;
    for (const auto& [key, value] : set.meta) meta[key] = value;
    for (const auto& [stream, seq] : set.log_cuts) {
      std::erase_if(log, [&, stream = stream, seq = seq](const auto& item) {
        return item.first.first == stream && item.first.second < seq;
      });
    }
    for (const auto& [segment, part] : set.block_cuts) {
      std::erase_if(blocks, [&, segment = segment, part = part](const auto& item) {
        return item.first.first == segment && item.first.second >= part;
      });
    }
    for (const BlockRow& row : set.blocks) blocks[{row.segment, row.part}] = row;
  }
};

std::string Describe(const BlockRow& row) {
  return absl::StrFormat("%016x|%d %s", row.segment, row.part, ShowBytes(row.bytes));
}

std::vector<std::string> Describe(const Model& model) {
  std::vector<std::string> lines;
  for (const auto& [key, row] : model.rows) lines.push_back(Describe(row));
  for (const auto& [key, row] : model.log) lines.push_back(Describe(row));
  for (const auto& [key, value] : model.meta) lines.push_back(key + "=" + value);
  for (const auto& [key, row] : model.blocks) lines.push_back(Describe(row));
  return lines;
}

std::vector<std::string> Describe(Backend& backend) {
  const auto result = ReadOnce(backend, Everything());
  const auto rows = ScanAll(backend, 7);
  if (!result.ok() || !rows.ok()) return {"cannot be read"};
  std::vector<std::string> lines = Describe(*rows);
  for (const LogRow& head : result->heads) {
    auto transaction = backend.BeginRead();
    if (!transaction.ok()) return {"cannot be read"};
    const auto log = (*transaction)->ReadLog(head.stream, 0, 1'000'000, 1u << 30);
    if (!log.ok()) return {"cannot be read"};
    for (const LogRow& row : *log) lines.push_back(Describe(row));
  }
  for (const auto& [key, value] : result->meta) lines.push_back(key + "=" + value);
  const auto transaction = backend.BeginRead();
  if (!transaction.ok()) return {"cannot be read"};
  const auto counts = (*transaction)->CountBlocks();
  if (!counts.ok()) return {"cannot be read"};
  for (const BlockCount& count : *counts) {
    const auto blocks = (*transaction)->ReadBlocks(count.segment, 0, 1u << 30);
    if (!blocks.ok() || blocks->size() != count.blocks) return {"is not what it counts"};
    for (const BlockRow& row : *blocks) lines.push_back(Describe(row));
  }
  return lines;
}

/// A segment that goes on from some part, or is written anew from there.
void AddRandomBlocks(std::mt19937_64& random, WriteSet& set) {
  const std::uint64_t segment = random() % 4 << 62;
  auto part = static_cast<std::uint32_t>(random() % 5);
  set.block_cuts.emplace_back(segment, part);
  for (std::uint64_t i = random() % 4; i > 0; --i) {
    set.blocks.push_back({segment, part++, std::string(random() % 5'000, 'b')});
  }
}

WriteSet RandomWrite(std::mt19937_64& random, std::map<std::uint64_t, std::uint64_t>& next_seq) {
  const auto below = [&](std::uint64_t bound) { return random() % bound; };
  WriteSet set;
  std::set<EntityKey> used;
  for (std::uint64_t i = below(6); i > 0; --i) {
    EntityRow row;
    row.key.kind = static_cast<Kind>(1 + below(3));
    for (std::uint64_t length = below(4); length > 0; --length) {
      row.key.key += "\0a\x7f\x80\xff"[below(5)];
    }
    if (below(2) == 0) row.name = MakeName(below(5));
    row.state.assign(below(300), static_cast<char>(below(256)));
    if (used.insert(row.key).second) set.rows.push_back(std::move(row));
  }
  for (std::uint64_t i = below(4); i > 0; --i) {
    const std::uint64_t stream = below(4) << 62;
    const std::uint64_t seq = ++next_seq[stream];
    set.log.push_back(MakeLogRow(stream, seq, stream ^ seq, std::string(below(200), 'l')));
  }
  if (below(3) == 0) set.meta.emplace_back(std::to_string(below(4)), std::to_string(below(1000)));
  if (below(8) == 0) {
    const std::uint64_t stream = below(4) << 62;
    // Never the last row.
    set.log_cuts.emplace_back(stream, next_seq[stream] > 3 ? next_seq[stream] - 3 : 0);
  }
  if (below(3) == 0) AddRandomBlocks(random, set);
  return set;
}

TEST_P(BackendContract, RandomHistoryEqualsTheModel) {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    SCOPED_TRACE(absl::StrFormat("seed %d", seed));
    std::mt19937_64 random(seed);
    const std::string names = dir() + "/" + std::to_string(seed);
    std::filesystem::create_directory(names);
    auto opened = GetParam().open(names);
    ASSERT_TRUE(opened.ok()) << opened.status();
    std::unique_ptr<Backend> backend = *std::move(opened);
    Model model;
    std::map<std::uint64_t, std::uint64_t> next_seq;
    for (int step = 0; step < 60; ++step) {
      const WriteSet set = RandomWrite(random, next_seq);
      auto transaction = backend->BeginWrite();
      ASSERT_TRUE(transaction.ok()) << transaction.status();
      ASSERT_TRUE((*transaction)->Put(set).ok());
      if (random() % 5 == 0) {
        transaction->reset();  // Rolled back.
        for (const LogRow& row : set.log) next_seq[row.stream] -= 1;
      } else {
        ASSERT_EQ((*transaction)->Commit().outcome, CommitOutcome::kDurable);
        model.Apply(set);
      }
      transaction->reset();
      if (random() % 10 == 0) {
        ASSERT_TRUE(backend->Maintain(random() % 2 == 0).ok());
      }
      if (step % 10 == 9) {
        ASSERT_EQ(Describe(*backend), Describe(model)) << "step " << step;
      }
      if (step % 20 == 19) {
        ASSERT_TRUE(backend->Close().ok());
        opened = GetParam().open(names);
        ASSERT_TRUE(opened.ok()) << opened.status();
        backend = *std::move(opened);
      }
    }
    EXPECT_EQ(Describe(*backend), Describe(model));
    EXPECT_TRUE(backend->Close().ok());
    if (GetParam().drop) GetParam().drop(names);
  }
}

}  // namespace aimem
