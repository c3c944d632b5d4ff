// Two who have one file open: one checkpoints, and while it stands between reading where the log
// ends and acting on it, the other one commits. SQLite 3.7.0 to 3.51.2 loses commits then, if the
// commit begins the log anew (https://www.sqlite.org/wal.html#walresetbug). Nothing is lost if one
// of the two is ours.
#include <sqlite3.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "aimem/backends/sqlite.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/backends/backend_contract.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/temp_dir.h"

namespace aimem {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

bool LinkedSqliteIsAffected() {
  const int version = sqlite3_libversion_number();
  const bool mended = (version >= 3044006 && version < 3045000) ||
                      (version >= 3050007 && version < 3051000) || version >= 3051003;
  return version >= 3007000 && !mended;
}

/// How a backend comes to checkpoint.
enum class Occasion { kMaintain, kClose, kRecover };

/// Who writes into the file: ours, or a program with nothing but SQLite.
class Party {
 public:
  virtual ~Party() = default;
  virtual void Put(const std::string& key) = 0;
  virtual void Checkpoint(Occasion occasion) = 0;
  virtual void Close() = 0;
};

class OurParty final : public Party {
 public:
  OurParty(const std::string& path, const std::string& vfs, bool syncs) {
    SqliteOptions options;
    options.vfs = vfs;
    options.sync_writes = syncs;
    auto backend = OpenSqliteBackend(path, options);
    EXPECT_TRUE(backend.ok()) << backend.status();
    if (backend.ok()) backend_ = *std::move(backend);
  }
  void Put(const std::string& key) override {
    WriteSet set;
    set.rows = {MakeRow(key, std::string(3'000, 'x'))};
    const absl::Status status = PutAndCommit(*backend_, set);
    EXPECT_TRUE(status.ok()) << status;
  }
  void Checkpoint(Occasion occasion) override {
    absl::Status status;
    if (occasion == Occasion::kMaintain) status = backend_->Maintain(/*idle=*/true);
    if (occasion == Occasion::kClose) status = backend_->Close();
    if (occasion == Occasion::kRecover) status = backend_->Recover();
    EXPECT_TRUE(status.ok()) << status;
  }
  void Close() override { EXPECT_TRUE(backend_->Close().ok()); }

 private:
  std::unique_ptr<Backend> backend_;
};

class BareParty final : public Party {
 public:
  BareParty(const std::string& path, const std::string& vfs) {
    const int flags = SQLITE_OPEN_READWRITE;
    EXPECT_EQ(sqlite3_open_v2(path.c_str(), &handle_, flags, vfs.empty() ? nullptr : vfs.c_str()),
              SQLITE_OK);
    Run("PRAGMA wal_autocheckpoint = 0");
    Run("PRAGMA synchronous = FULL");
  }
  ~BareParty() override { sqlite3_close(handle_); }
  void Put(const std::string& key) override {
    Run(absl::StrCat("INSERT INTO entity (kind, key, state) VALUES (1, CAST('", key,
                     "' AS BLOB), zeroblob(3000))"));
  }
  void Checkpoint(Occasion) override {
    EXPECT_EQ(
        sqlite3_wal_checkpoint_v2(handle_, "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr),
        SQLITE_OK);
  }
  void Close() override {
    EXPECT_EQ(sqlite3_close(handle_), SQLITE_OK);
    handle_ = nullptr;
  }

 private:
  void Run(const std::string& sql) {
    EXPECT_EQ(sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sql << ": " << sqlite3_errmsg(handle_);
  }

  sqlite3* handle_ = nullptr;
};

class SqliteWalResetTest : public ::testing::Test {
 protected:
  SqliteWalResetTest() { OurParty(path(), "", true).Close(); }

  std::string path() const { return folder_.path() + "/m.db"; }
  std::unique_ptr<Party> Ours(const std::string& vfs = "", bool syncs = true) {
    return std::make_unique<OurParty>(path(), vfs, syncs);
  }
  std::unique_ptr<Party> Bare(const std::string& vfs = "") {
    return std::make_unique<BareParty>(path(), vfs);
  }
  void Put(Party& party, const std::string& key) {
    party.Put(key);
    keys_.push_back(key);
  }

  /// Let `committer` commit in the window of the checkpoint of `checkpointer`, which is opened on
  /// vfs_, and a few times more. Both stay open.
  void Meet(Party& checkpointer, Party& committer, Occasion occasion) {
    for (int i = 0; i < 20; ++i) Put(committer, absl::StrCat("early ", i));
    // Ours checkpoints what it has written itself.
    Put(checkpointer, "its own");
    const auto bring_all_home = [&] {
      Put(committer, absl::StrCat("last of a log ", keys_.size()));
      committer.Checkpoint(Occasion::kMaintain);
    };
    bring_all_home();
    if (occasion == Occasion::kRecover) {
      // It reads the index while it rewrites the log: have it change once more.
      vfs_.At(FaultVfs::Moment::kWriteLockReleased, bring_all_home);
    }
    bool reached = false;
    vfs_.At(FaultVfs::Moment::kCheckpointHasReadTheIndex, [&] {
      reached = true;
      Put(committer, "in the window");
    });
    checkpointer.Checkpoint(occasion);
    EXPECT_TRUE(reached) << "the checkpoint did not come to the window";
    for (int i = 0; i < 5; ++i) Put(committer, absl::StrCat("afterwards ", i));
  }

  /// What was acknowledged and is not in the file at `path`.
  std::vector<std::string> Missing(const std::string& path) {
    std::vector<std::string> missing;
    auto backend = OpenSqliteBackend(path);
    if (!backend.ok()) return {backend.status().ToString()};
    const std::vector<std::string> states = StatesOf(**backend, keys_);
    if (states.size() != keys_.size()) return states;
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      if (states[i] == "-") missing.push_back(keys_[i]);
    }
    const auto verified = (*backend)->Verify();
    if (!verified.ok()) return {verified.status().ToString()};
    missing.insert(missing.end(), verified->begin(), verified->end());
    return missing;
  }

  FaultVfs vfs_{"window"};
  testing::TempDir folder_;
  std::vector<std::string> keys_;  ///< Whose commits were acknowledged.
};

TEST_F(SqliteWalResetTest, TwoThatAreNotOursLoseWhatTheLinkedSqliteLoses) {
  const auto checkpointer = Bare(vfs_.name());
  const auto committer = Bare();
  Meet(*checkpointer, *committer, Occasion::kMaintain);
  checkpointer->Close();
  committer->Close();
  if (LinkedSqliteIsAffected()) {
    EXPECT_THAT(Missing(path()), Not(IsEmpty()));
  } else {
    EXPECT_THAT(Missing(path()), IsEmpty());
  }
}

TEST_F(SqliteWalResetTest, ACommitOfAnotherProgramIsNotLostByOurCheckpoint) {
  const auto checkpointer = Ours(vfs_.name());
  const auto committer = Bare();
  Meet(*checkpointer, *committer, Occasion::kMaintain);
  checkpointer->Close();
  committer->Close();
  EXPECT_THAT(Missing(path()), IsEmpty());
}

TEST_F(SqliteWalResetTest, OurCommitIsNotLostByACheckpointOfAnotherProgram) {
  for (const bool syncs : {true, false}) {
    const auto checkpointer = Bare(vfs_.name());
    const auto committer = Ours("", syncs);
    keys_.clear();
    Meet(*checkpointer, *committer, Occasion::kMaintain);
    checkpointer->Close();
    committer->Close();
    EXPECT_THAT(Missing(path()), IsEmpty()) << "syncs: " << syncs;
    std::filesystem::remove(path());
    OurParty(path(), "", true).Close();
  }
}

struct BothOurs {
  bool syncs = true;
  Occasion occasion = Occasion::kMaintain;
};

class SqliteWalResetBothOurs : public SqliteWalResetTest,
                               public ::testing::WithParamInterface<BothOurs> {};

TEST_P(SqliteWalResetBothOurs, LoseNothing) {
  const auto checkpointer = Ours(vfs_.name(), GetParam().syncs);
  const auto committer = Ours("", GetParam().syncs);
  Meet(*checkpointer, *committer, GetParam().occasion);
  checkpointer->Close();
  committer->Close();
  EXPECT_THAT(Missing(path()), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    Sqlite, SqliteWalResetBothOurs,
    ::testing::Values(BothOurs{true, Occasion::kMaintain}, BothOurs{true, Occasion::kClose},
                      BothOurs{true, Occasion::kRecover}, BothOurs{false, Occasion::kMaintain},
                      BothOurs{false, Occasion::kClose}, BothOurs{false, Occasion::kRecover}));

/// Make the index of the log of `path` say what it says after a meeting of two that are not ours.
void DamageLogIndex(const std::string& path) {
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &handle), SQLITE_OK);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  ASSERT_EQ(sqlite3_exec(handle, "SELECT count(*) FROM meta", nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_file* file = nullptr;
  sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  void volatile* memory = nullptr;
  ASSERT_EQ(file->pMethods->xShmMap(file, 0, 32 << 10, 0, &memory), SQLITE_OK);
  auto* words = static_cast<volatile std::uint32_t*>(memory);
  words[24] = words[4] + 7;  // nBackfill, mxFrame
  EXPECT_EQ(sqlite3_close(handle), SQLITE_OK);
}

TEST_F(SqliteWalResetTest, ADamagedIndexStopsWritesAndTheCopySavesTheRows) {
  auto writer = OpenSqliteBackend(path());
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (int i = 0; i < 5; ++i) {
    keys_.push_back(absl::StrCat("row ", i));
    WriteSet set;
    set.rows = {MakeRow(keys_.back(), "kept")};
    ASSERT_TRUE(PutAndCommit(**writer, set).ok());
  }
  DamageLogIndex(path());
  {
    SqliteOptions options;
    options.read_only = true;
    auto doctor = OpenSqliteBackend(path(), options);
    ASSERT_TRUE(doctor.ok()) << doctor.status();
    const auto sentences = (*doctor)->Verify();
    ASSERT_TRUE(sentences.ok()) << sentences.status();
    EXPECT_THAT(*sentences, ::testing::ElementsAre(HasSubstr("not '" + path() + "-shm'")));
    EXPECT_TRUE((*doctor)->Close().ok());
  }
  for (int time = 0; time < 2; ++time) {
    const absl::Status refused = (*writer)->BeginWrite().status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("Copy '" + path() + "'"));
  }
  EXPECT_EQ((*writer)->Recover().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE((*writer)->Close().ok());
  // Even the last one that closes leaves the log where it is.
  const std::string copy = folder_.path() + "/copy.db";
  std::filesystem::copy_file(path(), copy);
  std::filesystem::copy_file(path() + "-wal", copy + "-wal");
  EXPECT_THAT(Missing(copy), IsEmpty());
}

}  // namespace
}  // namespace aimem
