// Stores for the tests of transfers: open ones, filled ones, ones that misbehave on demand.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/backends/sqlite.h"
#include "aimem/store_decorator.h"
#include "aimem/transfer.h"
#include "gtest/gtest.h"
#include "lib/log/grammar.h"
#include "lib/model/parts.h"
#include "tests/support/temp_dir.h"

namespace aimem::testing {

/// Closes the store it holds.
class Opened {
 public:
  explicit Opened(std::unique_ptr<Store> store) : store_(std::move(store)) {}
  Opened(Opened&&) = default;
  ~Opened() {
    if (store_ == nullptr) return;
    EXPECT_TRUE(store_->Close().ok());
  }
  Store& operator*() const { return *store_; }
  Store* operator->() const { return store_.get(); }

 private:
  std::unique_ptr<Store> store_;
};

inline Opened OpenEphemeral() {
  auto store = OpenEphemeralStore();
  EXPECT_TRUE(store.ok()) << store.status();
  return Opened(*std::move(store));
}

inline Opened OpenSqlite(const TempDir& folder, const std::string& name) {
  SqliteOptions options;
  options.sync_writes = false;
  auto store = OpenSqliteStore(folder.File(name), options);
  EXPECT_TRUE(store.ok()) << store.status();
  return Opened(*std::move(store));
}

inline std::vector<ItemResult> WriteAll(Store& store, std::vector<WriteItem> items,
                                        const WriteOptions& options = {}) {
  WriteResult result = store.Write(std::move(items), options);
  EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
  return result.items;
}

inline std::string Put(Store& store, const std::string& namespace_, const std::string& title,
                       const std::string& content = "some content") {
  PutMemory put;
  put.namespace_ = namespace_;
  put.title = title;
  put.content = content;
  return WriteAll(store, {std::move(put)}, {.agent_id = "writer"}).at(0).id;
}

inline void AddLinkBetween(Store& store, const std::string& source, const std::string& target,
                           const std::string& relation = "related_to") {
  WriteAll(store, {AddLink{source, target, relation, std::nullopt}});
}

/// At least 8 memories: live, archived, restored, deleted, erased and touched memories, links,
/// standards, agents.
inline void Fill(Store& store, int memories = 40) {
  EXPECT_GE(memories, 8);
  std::vector<std::string> ids;
  for (int i = 0; i < memories; ++i) {
    ids.push_back(Put(store, i % 3 == 0 ? "team/web" : "team", absl::StrFormat("memory %d", i),
                      absl::StrFormat("content %d with some words", i)));
  }
  for (int i = 0; i + 1 < memories; i += 4) AddLinkBetween(store, ids[i], ids[i + 1]);
  WriteAll(store, {RemoveLink{ids[0], ids[1], "related_to"}});
  WriteAll(store, {DeleteMemory{ids[2]},
                   PatchMemory{.id = ids[3], .title = "renamed", .tags = {{"a", "b"}}}});
  WriteAll(store, {TouchMemory{ids[5]}, TouchMemory{ids[6]}});
  const std::string forgotten = Put(store, "scratch", "to be forgotten");
  Put(store, "scratch", "to be erased");
  WriteAll(store, {ForgetMemories{.namespace_ = "scratch", .pattern = {}, .tier = {}}});
  WriteAll(store, {RestoreMemory{forgotten}});
  WriteAll(store, {PurgeArchive{}});
  Put(store, "scratch", "to stay in the archive");
  WriteAll(store, {ForgetMemories{.namespace_ = {}, .pattern = "stay archive", .tier = {}}});
  WriteAll(store,
           {SetStandard{.namespace_ = "team", .memory_id = ids[4], .parent = "", .policy = ""}});
  WriteAll(store, {RegisterAgent{"alice", "human", {"review"}}});
}

inline Id128 Root(Store& store) {
  auto digest = store.Digest();
  EXPECT_TRUE(digest.ok()) << digest.status();
  return digest.ok() ? digest->sums.at(0).sum : Id128{};
}

/// Passes everything on; a test puts itself between.
class Interposed final : public StoreDecorator {
 public:
  using Store::Apply;

  explicit Interposed(Store& store) : store_(store) {}

  /// Called before each page is read, with its number from 1.
  std::function<absl::Status(int)> before_read;
  /// Called before each page is applied, with its number from 1; may change the page. Not OK:
  /// the answer, and nothing is applied.
  std::function<absl::Status(int, ChangePage&)> before_apply;
  /// Called with the answer.
  std::function<void(ApplyResult&)> after_apply;
  std::function<absl::Status(int)> before_write;

  void WriteAsync(WriteBatch batch, const WriteOptions& options, WriteCallback done) override {
    const absl::Status status = before_write ? before_write(++writes_) : absl::OkStatus();
    if (status.ok()) return store_.WriteAsync(std::move(batch), options, std::move(done));
    WriteResult result;
    result.status = status;
    std::move(done)(std::move(result));
  }
  void Apply(ChangePage page, ApplyCallback done) override {
    const absl::Status status = before_apply ? before_apply(++applies_, page) : absl::OkStatus();
    ApplyResult result;
    if (status.ok()) {
      result = store_.Apply(std::move(page));
    } else {
      result.status = status;
    }
    if (after_apply) after_apply(result);
    std::move(done)(std::move(result));
  }
  absl::StatusOr<ChangePage> ReadChanges(const ChangeCursor& cursor, const ReadChangesLimit& limit,
                                         const ReadBounds& bounds) override {
    const absl::Status status = before_read ? before_read(++reads_) : absl::OkStatus();
    if (!status.ok()) return status;
    return store_.ReadChanges(cursor, limit, bounds);
  }
  /// The one below stays open.
  absl::Status Close() override { return absl::OkStatus(); }

  [[nodiscard]] int reads() const { return reads_; }
  [[nodiscard]] int applies() const { return applies_; }

 private:
  Store& below() override { return store_; }

  Store& store_;
  int reads_ = 0;
  int applies_ = 0;
  int writes_ = 0;
};

/// A state of one part, for kinds whose parts mean nothing here.
inline EntityState StateOfOnePart(Kind kind, const std::string& key, std::string_view part,
                                  std::string value) {
  model::PartsBuilder builder;
  builder.Set(part, {.hlc = 7, .stream = 7}, std::move(value));
  return {{kind, key}, log::EncodeState(builder.Build())};
}

inline void ApplyState(Store& store, EntityState state) {
  ChangePage page;
  page.states.push_back(std::move(state));
  const ApplyResult result = store.Apply(std::move(page));
  ASSERT_TRUE(result.status.ok()) << result.status;
  ASSERT_TRUE(result.refusals.empty());
}

/// The states of a store in key order.
inline std::vector<EntityState> States(Store& store) {
  std::vector<EntityState> states;
  ChangeCursor cursor = ChangeCursor::Everything();
  while (cursor.scanning) {
    auto page = store.ReadChanges(cursor, {});
    EXPECT_TRUE(page.ok()) << page.status();
    if (!page.ok()) break;
    for (EntityState& state : page->states) states.push_back(std::move(state));
    cursor = page->next;
  }
  return states;
}

}  // namespace aimem::testing
