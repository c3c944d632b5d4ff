#include <signal.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "aimem/backends/sqlite.h"
#include "aimem/open.h"
#include "aimem/transfer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/hash.h"
#include "tests/process/keyed.h"
#include "tests/process/storm.h"
#include "tests/process/worker.h"
#include "tests/support/eventually.h"
#include "tests/support/temp_dir.h"

namespace aimem::process {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class SqliteProcess : public ::testing::Test {
 protected:
  [[nodiscard]] std::string File(const std::string& name) const { return dir_.File(name); }

  const testing::TempDir dir_;
};

TEST_F(SqliteProcess, StormOfKilledWritersLosesDoublesAndReordersNothing) {
  RunStorm({.url = File("m.db"),
            .folder = dir_.path(),
            .duration = StormDuration(),
            .seed = StormSeed()});
}

TEST_F(SqliteProcess, SameKeySentByTwoAtOnceHasOneEffectAndOneAnswer) {
  CheckKeysSentByTwoAtOnce(File("m.db"));
}

TEST_F(SqliteProcess, KeysSentAgainAfterKillsHaveOneEffectAndOneAnswer) {
  CheckKeysSentAgainAfterKills(File("m.db"));
}

TEST_F(SqliteProcess, FileMadeByManyAtOnceIsOneStore) {
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE(round);
    CheckCreatedByManyAtOnce(File(absl::StrFormat("m%d.db", round)));
  }
}

// -- Killed at every step
// --------------------------------------------------------------------------

// What the doomed process had been told is there, each of its batches is there whole or not at
// all, and the file goes on working.
void CheckAfterDeath(const std::string& path, std::size_t acknowledged) {
  const auto store = OpenSqliteStore(path, {.sync_writes = false});
  ASSERT_TRUE(store.ok()) << store.status();
  for (int batch = 0; batch < kDoomedBatches; ++batch) {
    const auto memories = ReadAll(**store, DoomedNamespace(batch));
    ASSERT_TRUE(memories.ok()) << memories.status();
    if (static_cast<std::size_t>(batch) < acknowledged || !memories->empty()) {
      EXPECT_THAT(*memories, SizeIs(kDoomedPuts)) << "batch " << batch;
    }
  }
  for (const bool written : {false, true}) {
    const auto report = (*store)->Check();
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_THAT(report->problems, IsEmpty());
    if (written) break;
    const WriteResult result = (*store)->Write(PutBatch("after", "death", "life goes on"));
    EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
  }
  EXPECT_TRUE((*store)->Close().ok());
}

TEST_F(SqliteProcess, KilledAtAnyStepOfMakingWritingAndClosingLeavesASoundFile) {
  int deaths_in_writing = 0;
  int step = 0;
  bool survived = false;
  while (!survived && !HasFailure()) {
    SCOPED_TRACE(absl::StrFormat("killed at step %d", ++step));
    ASSERT_LT(step, 2'000);
    const std::string path = File(absl::StrFormat("m%d.db", step));
    support::ChildProcess worker = StartWorker(kDoomed, {path, std::to_string(step)});
    const std::vector<std::string> batches = ReadLines(worker);
    const support::ProcessEnd end = worker.Wait();
    ASSERT_TRUE(end.signal == SIGKILL || end.ok()) << end.ToString();
    survived = end.ok();
    if (!survived && !batches.empty() && batches.size() < kDoomedBatches) ++deaths_in_writing;
    CheckAfterDeath(path, batches.size());
    std::filesystem::remove(path);
  }
  EXPECT_GT(deaths_in_writing, 10) << "the steps of a commit were not met";
}

std::unique_ptr<Store> Opened(const std::string& path) {
  auto store = OpenStore(path);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

StoreInfo InfoOf(Store& store) {
  const auto info = store.Info();
  EXPECT_TRUE(info.ok()) << info.status();
  return info.value_or(StoreInfo{});
}

// -- Erased ---------------------------------------------------------------------------------------

constexpr char kMarker[] = "xyzzyplugh";

/// The files of the store at `path` that hold the marker.
std::vector<std::string> FilesWithMarker(const std::string& path) {
  std::vector<std::string> found;
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    std::ifstream file(path + suffix, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    if (bytes.find(kMarker) != std::string::npos) found.push_back(path + suffix);
  }
  return found;
}

/// A file with a memory that was written often, among others that grow and shrink around it: its
/// id.
std::string MakeMarked(const std::string& path) {
  const auto store = OpenSqliteStore(path, {.sync_writes = false});
  EXPECT_TRUE(store.ok()) << store.status();
  const std::string id =
      (*store)->Write(PutBatch("marked", kMarker, absl::StrCat("put ", kMarker))).items.at(0).id;
  for (int i = 0; i < 400; ++i) {
    // Sizes on a page, and on pages of their own.
    const std::string filler(static_cast<std::size_t>(i % 7 == 0 ? 9'000 : 20 + i), 'x');
    const std::string other = absl::StrFormat("other %d", i % 50);
    EXPECT_TRUE((*store)->Write(PutBatch("others", other, filler)).status.ok());
    if (i % 4 != 0) continue;
    const std::string content = absl::StrCat(kMarker, filler, kMarker);
    EXPECT_TRUE((*store)->Write(PatchMemory{.id = id, .content = content}).status.ok());
  }
  EXPECT_TRUE((*store)->Close().ok());
  return id;
}

TEST_F(SqliteProcess, ErasedTextIsInNoFileWhileTheStoreIsOpen) {
  const std::string path = File("m.db");
  const std::string id = MakeMarked(path);
  ASSERT_THAT(FilesWithMarker(path), SizeIs(1));
  const std::unique_ptr<Store> store = Opened(path);
  ASSERT_NE(store, nullptr);
  ASSERT_TRUE(
      store->Write(PatchMemory{.id = id, .content = absl::StrCat("last ", kMarker)}).status.ok());
  ASSERT_THAT(FilesWithMarker(path), SizeIs(2)) << "the file and its log";
  const WriteResult erased = store->Write(EraseMemory{id});
  EXPECT_EQ(erased.outcome, WriteOutcome::kCommitted) << erased.status;
  EXPECT_FALSE(erased.erasing);
  EXPECT_THAT(FilesWithMarker(path), IsEmpty());
  EXPECT_THAT(store->Check({.deep = true})->problems, IsEmpty());
}

TEST_F(SqliteProcess, EraseSaysThatAReaderHoldsItUpAndEndsWhenThatIsGone) {
  const std::string path = File("m.db");
  const std::string id = MakeMarked(path);
  const std::unique_ptr<Store> store = Opened(path);
  ASSERT_NE(store, nullptr);
  ASSERT_TRUE(
      store->Write(PatchMemory{.id = id, .content = absl::StrCat("last ", kMarker)}).status.ok());
  auto other = OpenSqliteBackend(path);
  ASSERT_TRUE(other.ok()) << other.status();
  auto reader = (*other)->BeginRead();
  ASSERT_TRUE(reader.ok()) << reader.status();
  const WriteResult erased = store->Write(EraseMemory{id});
  EXPECT_EQ(erased.outcome, WriteOutcome::kCommitted) << erased.status;
  EXPECT_TRUE(erased.erasing);
  EXPECT_TRUE(InfoOf(*store).erasing);
  EXPECT_FALSE(store->Get(id).ok());
  // Others write meanwhile.
  EXPECT_TRUE(store->Write(PutBatch("others", "meanwhile", "c")).status.ok());
  reader->reset();
  EXPECT_TRUE(testing::Eventually(kPatience, [&] { return !InfoOf(*store).erasing; }));
  EXPECT_THAT(FilesWithMarker(path), IsEmpty());
}

TEST_F(SqliteProcess, KilledAtAnyStepOfErasingGoesOnAfterwards) {
  const std::string made = File("made.db");
  const std::string id = MakeMarked(made);
  int deaths_in_erasing = 0;
  bool survived = false;
  // A step more each time, and then some more: there are thousands.
  for (int step = 1; !survived && !HasFailure(); step += 1 + step / 12) {
    SCOPED_TRACE(absl::StrFormat("killed at step %d", step));
    const std::string path = File("m.db");
    std::filesystem::copy_file(made, path, std::filesystem::copy_options::overwrite_existing);
    support::ChildProcess worker = StartWorker(kEraser, {path, std::to_string(step), id});
    const std::vector<std::string> said = ReadLines(worker);
    const support::ProcessEnd end = worker.Wait();
    ASSERT_TRUE(end.signal == SIGKILL || end.ok()) << end.ToString();
    survived = end.ok();
    if (!said.empty()) {
      EXPECT_EQ(said[0], "erased");
      EXPECT_THAT(FilesWithMarker(path), IsEmpty());
    }
    const std::unique_ptr<Store> store = Opened(path);
    ASSERT_NE(store, nullptr);
    const bool purged = !store->Get(id).ok();
    if (purged && InfoOf(*store).erasing) ++deaths_in_erasing;
    // Whatever is written next makes it go on.
    ASSERT_TRUE(store->Write(PutBatch("after", "death", "life goes on")).status.ok());
    if (purged) {
      EXPECT_TRUE(testing::Eventually(kPatience, [&] { return !InfoOf(*store).erasing; }));
    } else {
      EXPECT_FALSE(store->Write(EraseMemory{id}).erasing);
    }
    EXPECT_THAT(FilesWithMarker(path), IsEmpty());
    EXPECT_THAT(store->Check({.deep = true})->problems, IsEmpty());
    EXPECT_TRUE(store->Close().ok());
  }
  EXPECT_GT(deaths_in_erasing, 5) << "the steps of a round were not met";
}

// -- Copied files ---------------------------------------------------------------------------------

WriteResult Put(Store& store, const std::string& title) {
  WriteResult result = store.Write(PutBatch("copied", title, "content of " + title));
  EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
  return result;
}

std::string RootOf(Store& store) {
  const auto digest = store.Digest();
  EXPECT_TRUE(digest.ok()) << digest.status();
  return digest.ok() ? ToHex(AsBytes(digest->sums[0].sum)) : "";
}

TEST_F(SqliteProcess, CopiedFileContinuesAsAHistoryOfItsOwn) {
  std::unique_ptr<Store> original = Opened(File("original.db"));
  ASSERT_NE(original, nullptr);
  const WriteResult before = Put(*original, "before");
  ASSERT_TRUE(original->Close().ok());
  std::filesystem::copy_file(File("original.db"), File("copy.db"));

  original = Opened(File("original.db"));
  const std::unique_ptr<Store> copy = Opened(File("copy.db"));
  EXPECT_EQ(InfoOf(*copy).vector, InfoOf(*original).vector);
  const WriteResult in_original = Put(*original, "in the original");
  const WriteResult in_copy = Put(*copy, "in the copy");
  EXPECT_EQ(in_original.stream, before.stream);
  EXPECT_EQ(in_original.seq, before.seq + 1);
  EXPECT_NE(in_copy.stream, before.stream) << "a place of the log would have two meanings";
  EXPECT_EQ(InfoOf(*copy).stream, in_copy.stream);
  EXPECT_EQ(InfoOf(*copy).vector.at(before.stream), before.seq);

  // Nothing stands in the way of bringing them together again.
  const std::pair<Store*, Store*> both_ways[] = {{original.get(), copy.get()},
                                                 {copy.get(), original.get()}};
  for (const auto& [from, to] : both_ways) {
    MigrateReport report;
    ASSERT_TRUE(Migrate(*from, *to, {}, report).ok());
    EXPECT_THAT(report.errors, IsEmpty());
  }
  EXPECT_EQ(RootOf(*original), RootOf(*copy));
  EXPECT_TRUE(copy->Close().ok());
  EXPECT_TRUE(original->Close().ok());
}

TEST_F(SqliteProcess, CopiedFileKeepsItsNewHistoryFromThenOn) {
  std::unique_ptr<Store> store = Opened(File("original.db"));
  ASSERT_NE(store, nullptr);
  Put(*store, "before");
  ASSERT_TRUE(store->Close().ok());
  std::filesystem::copy_file(File("original.db"), File("copy.db"));
  std::set<std::uint64_t> streams;
  for (int i = 0; i < 3; ++i) {
    store = Opened(File("copy.db"));
    ASSERT_NE(store, nullptr);
    streams.insert(Put(*store, absl::StrFormat("title %d", i)).stream);
    ASSERT_TRUE(store->Close().ok());
  }
  EXPECT_THAT(streams, SizeIs(1));
}

}  // namespace
}  // namespace aimem::process
