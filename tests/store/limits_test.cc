// What is accepted can be read again, at the limits too, on every member; and what cannot be read
// stands in nobody's way.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/limits.h"
#include "aimem/store.h"
#include "gmock/gmock.h"
#include "lib/base/status.h"
#include "lib/base/trouble.h"
#include "lib/log/commit.h"
#include "lib/log/grammar.h"
#include "lib/model/view.h"
#include "tests/log/random_states.h"
#include "tests/store/manual_executor.h"

namespace aimem {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::SplitMix;

std::unique_ptr<Store> OpenOn(std::shared_ptr<EphemeralDisk> disk,
                              const StoreOptions& options = {}) {
  auto store = OpenEphemeralStore(std::move(disk), options);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

// As the log has them: of a refusal code and message, without its detail.
std::vector<ItemResult> AsStored(std::vector<ItemResult> items) {
  for (ItemResult& item : items) {
    if (!item.status.ok()) item.status = absl::Status(item.status.code(), item.status.message());
  }
  return items;
}

std::string Text(const absl::Status& status) { return std::string(ToStd(status.message())); }

/// An object of `count` short keys that no other `round` has.
std::string ShortKeys(int round, int count) {
  static constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  std::string json = "{";
  for (int i = 0; i < count; ++i) {
    int number = round * count + i;
    if (i > 0) json += ',';
    json += '"';
    for (int digit = 0; digit < 3; ++digit, number /= 64) {
      json += kLetters[static_cast<std::size_t>(number % 64)];
    }
    json += "\":0";
  }
  return json + "}";
}

/// Everything that reads the whole store does so.
void ExpectReadable(Store& store, std::int64_t unreadable = 0) {
  for (const ListKind kind : {ListKind::kMemories, ListKind::kArchived, ListKind::kLinks,
                              ListKind::kNamespaces, ListKind::kStandards, ListKind::kConflicts}) {
    const auto list = store.List({.kind = kind});
    EXPECT_TRUE(list.ok()) << list.status();
  }
  const auto found = store.Search({.query = "content"});
  EXPECT_TRUE(found.ok()) << found.status();
  const auto info = store.Info({.counts = true});
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->counts->unreadable, unreadable);
  for (ChangeCursor cursor = ChangeCursor::Everything();;) {
    const absl::StatusOr<ChangePage> page = store.ReadChanges(cursor);
    ASSERT_TRUE(page.ok()) << page.status();
    cursor = page->next;
    if (page->end) break;
  }
}

/// Every commit of the log decodes, with all its changes.
void ExpectReadableLog(Store& store) {
  for (ChangeCursor cursor = ChangeCursor::After({});;) {
    const absl::StatusOr<ChangePage> page = store.ReadChanges(cursor);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const std::string& bytes : page->commits) {
      const absl::StatusOr<log::Commit> commit = log::DecodeCommit(bytes);
      ASSERT_TRUE(commit.ok()) << commit.status();
      for (const log::Change& change : commit->changes) EXPECT_FALSE(change.unreadable);
    }
    cursor = page->next;
    if (page->end) break;
  }
}

/// Give `to` what it lacks of `from`.
void CatchUp(Store& from, Store& to) {
  const auto info = to.Info({});
  ASSERT_TRUE(info.ok()) << info.status();
  for (ChangeCursor cursor = ChangeCursor::After(info->vector);;) {
    absl::StatusOr<ChangePage> page = from.ReadChanges(cursor);
    ASSERT_TRUE(page.ok()) << page.status();
    cursor = page->next;
    const bool end = page->end;
    const ApplyResult applied = to.Apply(*std::move(page));
    ASSERT_TRUE(applied.status.ok()) << applied.status;
    ASSERT_THAT(applied.refusals, IsEmpty());
    ASSERT_THAT(applied.unapplied, IsEmpty());
    if (end) break;
  }
}

WriteResult Put(Store& store, const std::string& title, std::string metadata = "{}") {
  return store.Write(
      PutMemory{.title = title, .content = "content", .metadata = std::move(metadata)});
}

TEST(Limits, MetadataThatIsReplacedForWeeksLeavesTheStoreReadable) {
  const auto store = OpenOn(nullptr);
  const WriteResult put = Put(*store, "busy");
  ASSERT_TRUE(put.status.ok()) << put.status;
  const std::string id = put.items[0].id;
  int accepted = 0;
  for (int round = 0; round < 11; ++round) {
    const WriteResult patched =
        store->Write(PatchMemory{.id = id, .metadata = ShortKeys(round, 7'000)});
    if (patched.status.ok()) {
      ++accepted;
      continue;
    }
    EXPECT_EQ(patched.outcome, WriteOutcome::kRejected);
    EXPECT_EQ(patched.status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(Text(patched.status), HasSubstr("metadata of memory"));
    EXPECT_THAT(Text(patched.status), HasSubstr("20000"));
  }
  EXPECT_EQ(accepted, 2) << "as many as the keys that are kept";
  ExpectReadable(*store);
  EXPECT_TRUE(store->Get(id).ok());
  // What only clears is always taken, and a store begins anew.
  EXPECT_TRUE(store->Write(PatchMemory{.id = id, .metadata = "{}"}).status.ok());
  EXPECT_FALSE(store->Write(PatchMemory{.id = id, .metadata = ShortKeys(20, 7'000)}).status.ok());
  EXPECT_TRUE(Put(*store, "busy").status.ok());
  EXPECT_TRUE(store->Write(PatchMemory{.id = id, .metadata = ShortKeys(21, 7'000)}).status.ok());
  ExpectReadable(*store);
  EXPECT_THAT(store->Check()->problems, IsEmpty());
}

TEST(Limits, LongNamesOfKeysCountAsBytes) {
  const auto store = OpenOn(nullptr);
  const std::string id = Put(*store, "busy").items[0].id;
  absl::Status refused;
  for (int round = 0; round < 10 && refused.ok(); ++round) {
    const std::string key = std::to_string(round) + std::string(60'000, 'k');
    refused = store->Write(PatchMemory{.id = id, .metadata = "{\"" + key + "\":1}"}).status;
  }
  EXPECT_THAT(Text(refused), HasSubstr("262144"));
  ExpectReadable(*store);
}

TEST(Limits, AnItemThatIsRefusedLeavesTheRestOfItsBatch) {
  const auto store = OpenOn(nullptr);
  const std::string id = Put(*store, "busy", ShortKeys(0, 7'000)).items[0].id;
  ASSERT_TRUE(store->Write(PatchMemory{.id = id, .metadata = ShortKeys(1, 7'000)}).status.ok());
  const WriteResult result =
      store->Write({PatchMemory{.id = id, .content = "one"},
                    PatchMemory{.id = id, .content = "two", .metadata = ShortKeys(2, 7'000)}},
                   {.allow_partial = true});
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_TRUE(result.items[0].status.ok());
  EXPECT_EQ(result.items[1].status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store->Get(id)->content, "one");
}

TEST(Limits, WhatMembersWriteAtOnceJoinsIntoWhatCanBeRead) {
  constexpr std::size_t kMembers = 24;
  std::vector<std::unique_ptr<Store>> members;
  for (std::size_t i = 0; i < kMembers; ++i) members.push_back(OpenOn(nullptr));
  const std::string id = Put(*members[0], "shared").items[0].id;
  for (std::size_t i = 1; i < kMembers; ++i) CatchUp(*members[0], *members[i]);
  for (std::size_t i = 0; i < kMembers; ++i) {
    // Each fills what one member may keep, with keys that no other has.
    for (int round = 0; round < 2; ++round) {
      const int keys = static_cast<int>(i) * 2 + round;
      const WriteResult patched =
          members[i]->Write(PatchMemory{.id = id, .metadata = ShortKeys(keys, 5'000)});
      ASSERT_TRUE(patched.status.ok()) << patched.status;
    }
  }
  for (std::size_t i = 1; i < kMembers; ++i) CatchUp(*members[i], *members[0]);
  CatchUp(*members[0], *members[1]);
  for (const std::size_t i : {0u, 1u}) {
    ExpectReadable(*members[i]);
    ExpectReadableLog(*members[i]);
    EXPECT_EQ(members[i]->Digest()->sums[0].sum, members[0]->Digest()->sums[0].sum);
  }
  // The whole row travels as one state, into a store that has a history of its own.
  const auto other = OpenOn(nullptr);
  Put(*other, "own");
  for (ChangeCursor cursor = ChangeCursor::Everything();;) {
    absl::StatusOr<ChangePage> page = members[0]->ReadChanges(cursor);
    ASSERT_TRUE(page.ok()) << page.status();
    cursor = page->next;
    const bool end = page->end;
    const ApplyResult applied = other->Apply(*std::move(page));
    ASSERT_TRUE(applied.status.ok()) << applied.status;
    ASSERT_THAT(applied.refusals, IsEmpty());
    if (end) break;
  }
  EXPECT_EQ(other->Get(id)->metadata, members[0]->Get(id)->metadata);
  ExpectReadableLog(*other);
  // Far over what one member may write, it can still be cleared, archived, or begun anew.
  EXPECT_TRUE(other->Write(PatchMemory{.id = id, .metadata = "{}"}).status.ok());
  EXPECT_TRUE(members[0]->Write(PatchMemory{.id = id, .content = "new"}).status.ok());
  EXPECT_TRUE(Put(*members[0], "shared").status.ok());
  EXPECT_TRUE(members[1]->Write(DeleteMemory{.id = id}).status.ok());
}

/// Random batches that are as large as they may be, or larger.
class LargeBatches {
 public:
  explicit LargeBatches(std::uint64_t seed) : random_(seed) {}

  WriteBatch Next() {
    WriteBatch batch;
    const std::size_t items = random_.Chance(20) ? 300 : 1 + random_.Below(4);
    for (std::size_t i = 0; i < items; ++i) batch.items.push_back(Item());
    return batch;
  }
  std::size_t Below(std::size_t n) { return random_.Below(n); }

 private:
  WriteItem Item() {
    const std::string title = "title " + std::to_string(random_.Below(3));
    switch (random_.Below(8)) {
      case 0:
        return PutMemory{.title = title, .content = Content(), .metadata = Metadata()};
      case 1:
        return PutMemory{.title = title + std::string(500, 't'),
                         .content = Content(),
                         .tags = std::vector<std::string>(limits::kTags, std::string(128, 'g'))};
      case 2:
        return DeleteMemory{.id = IdOf(title)};
      case 3:
        return TouchMemory{.id = IdOf(title)};
      case 4:
        return PutMemory{.title = title,
                         .content = "content",
                         .metadata = "{\"agent_id\":[\"" + std::string(65'500, 'a') + "\"]}"};
      default:
        return PatchMemory{.id = IdOf(title), .metadata = Metadata()};
    }
  }
  static std::string IdOf(const std::string& title) { return model::FirstId("global", title); }
  std::string Content() { return std::string(limits::kContentBytes - random_.Below(2), 'c'); }
  std::string Metadata() {
    if (random_.Chance(30)) {
      return "{\"" + std::to_string(random_.Next()) + std::string(65'000, 'k') + "\":1}";
    }
    return ShortKeys(static_cast<int>(random_.Below(30)), 5'000);
  }

  SplitMix random_;
};

TEST(Limits, WhatIsAcceptedCanBeReadOnEveryMember) {
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    SCOPED_TRACE(seed);
    LargeBatches batches(seed);
    std::vector<std::unique_ptr<Store>> members;
    for (int i = 0; i < 3; ++i) members.push_back(OpenOn(nullptr));
    for (int step = 0; step < 40; ++step) {
      Store& member = *members[batches.Below(members.size())];
      const WriteBatch batch = batches.Next();
      const WriteOptions options{.request_id = absl::StrFormat("%d-%d", seed, step),
                                 .allow_partial = batches.Below(2) == 0};
      const WriteResult first = member.Write(batch, options);
      if (first.status.ok()) {
        const WriteResult again = member.Write(batch, options);
        EXPECT_TRUE(again.replayed) << again.status;
        EXPECT_EQ(again.items, AsStored(first.items));
      } else {
        EXPECT_THAT(first.status.code(),
                    AnyOf(absl::StatusCode::kInvalidArgument, absl::StatusCode::kNotFound));
        EXPECT_LT(first.status.message().size(), limits::kMessageBytes + 20);
      }
      if (batches.Below(5) == 0) {
        const std::size_t from = batches.Below(members.size());
        CatchUp(*members[from], *members[(from + 1) % members.size()]);
      }
    }
    for (int round = 0; round < 2; ++round) {
      for (std::size_t i = 0; i < members.size(); ++i) {
        CatchUp(*members[i], *members[(i + 1) % members.size()]);
      }
    }
    for (const auto& member : members) {
      ExpectReadable(*member);
      ExpectReadableLog(*member);
      EXPECT_THAT(member->Check()->problems, IsEmpty());
      EXPECT_EQ(member->Digest()->sums[0].sum, members[0]->Digest()->sums[0].sum);
    }
  }
}

TEST(Limits, AnAnswerWithALongMessageIsReadBack) {
  const auto store = OpenOn(nullptr);
  const std::string metadata = "{\"agent_id\":[\"" + std::string(65'519, 'a') + "\"]}";
  ASSERT_EQ(metadata.size(), limits::kMetadataBytes);
  const WriteBatch batch{PutMemory{.title = "good", .content = "content"},
                         PutMemory{.title = "bad", .content = "content", .metadata = metadata}};
  const WriteOptions options{.request_id = "key", .allow_partial = true};
  const WriteResult first = store->Write(batch, options);
  ASSERT_TRUE(first.status.ok()) << first.status;
  EXPECT_EQ(first.items[1].status.message().size(), limits::kMessageBytes);
  EXPECT_THAT(Text(first.items[1].status), HasSubstr("metadata.agent_id must be a string"));
  const auto detail = DetailOf(first.items[1].status);
  ASSERT_TRUE(detail);
  EXPECT_EQ(detail->item, 1);
  EXPECT_EQ(detail->field, "metadata.agent_id");
  EXPECT_EQ(detail->value.size(), kErrorValueBytes);
  const WriteResult again = store->Write(batch, options);
  ASSERT_TRUE(again.status.ok()) << again.status;
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.items, AsStored(first.items));
  EXPECT_TRUE(store->GetOperation(first.operation, absl::ZeroDuration()).ok());
}

// -- What cannot be read --------------------------------------------------------------------------

class BadRow : public ::testing::Test {
 protected:
  BadRow() : disk_(std::make_shared<EphemeralDisk>()), store_(OpenOn(disk_)) {
    bad_ = Put(*store_, "bad").items[0].id;
    good_ = Put(*store_, "good").items[0].id;
    const WriteResult linked = store_->Write(AddLink{.source_id = good_, .target_id = bad_});
    EXPECT_TRUE(linked.status.ok()) << linked.status;
    other_ = OpenOn(nullptr);
    CatchUp(*store_, *other_);
    WriteSet junk;
    junk.rows.push_back({{Kind::kMemory, bad_}, std::nullopt, "junk"});
    Damage(junk);
  }

  void Damage(const WriteSet& set) {
    const std::unique_ptr<Backend> backend = OpenEphemeralBackend(disk_);
    auto transaction = backend->BeginWrite();
    ASSERT_TRUE(transaction.ok()) << transaction.status();
    ASSERT_TRUE((*transaction)->Put(set).ok());
    ASSERT_EQ((*transaction)->Commit().outcome, CommitOutcome::kDurable);
  }

  std::shared_ptr<EphemeralDisk> disk_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Store> other_;
  std::string bad_, good_;
};

TEST_F(BadRow, IsLeftOutByEveryScan) {
  ExpectReadable(*store_, 1);
  EXPECT_THAT(store_->List({.kind = ListKind::kMemories})->memories, SizeIs(1));
  EXPECT_THAT(store_->Search({.query = "content"})->hits, SizeIs(1));
  EXPECT_TRUE(store_->Get(good_).ok());
  const absl::Status unreadable = store_->Get(bad_).status();
  EXPECT_EQ(unreadable.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Text(unreadable), AllOf(HasSubstr(bad_), HasSubstr("doctor")));
  EXPECT_TRUE(store_->Write(ForgetMemories{.namespace_ = "global"}).status.ok());
  EXPECT_THAT(store_->List({.kind = ListKind::kArchived})->archived, SizeIs(1));
}

TEST_F(BadRow, BlocksTheWritesThatReadItAndNoOther) {
  store_.reset();
  ManualExecutor executor;
  StoreOptions options;
  options.environment.executor = &executor;
  store_ = OpenOn(disk_, options);
  std::vector<WriteResult> results(4);
  const auto write = [&](std::size_t i, WriteItem item) {
    store_->WriteAsync(std::move(item), {},
                       [&results, i](WriteResult result) { results[i] = std::move(result); });
  };
  write(0, PutMemory{.title = "before", .content = "content"});
  write(1, PatchMemory{.id = bad_, .content = "new"});
  write(2, PutMemory{.title = "bad", .content = "content"});
  write(3, PatchMemory{.id = good_, .content = "new"});
  executor.RunAll();
  for (const std::size_t i : {0u, 3u}) EXPECT_TRUE(results[i].status.ok()) << results[i].status;
  for (const std::size_t i : {1u, 2u}) {
    EXPECT_EQ(results[i].outcome, WriteOutcome::kRejected);
    EXPECT_EQ(results[i].status.code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(TroubleOf(results[i].status), Trouble::kRowUnreadable);
    EXPECT_THAT(Text(results[i].status), AllOf(HasSubstr(bad_), HasSubstr("doctor")));
  }
  write(0, TouchMemory{.id = good_});
  executor.RunAll();
  EXPECT_TRUE(results[0].status.ok()) << results[0].status;
  EXPECT_TRUE(store_->Close().ok());
  store_.reset();  // before its executor
}

TEST_F(BadRow, StopsNeitherAStreamNorACopy) {
  ASSERT_TRUE(other_
                  ->Write({PatchMemory{.id = bad_, .content = "theirs"},
                           PatchMemory{.id = good_, .content = "theirs"}})
                  .status.ok());
  ASSERT_TRUE(Put(*other_, "next").status.ok());
  const VersionVector theirs = other_->Info({})->vector;
  absl::StatusOr<ChangePage> page =
      other_->ReadChanges(ChangeCursor::After(store_->Info({})->vector));
  ASSERT_TRUE(page.ok()) << page.status();
  const ApplyResult applied = store_->Apply(*std::move(page));
  ASSERT_TRUE(applied.status.ok()) << applied.status;
  EXPECT_THAT(applied.refusals, IsEmpty());
  ASSERT_THAT(applied.unapplied, SizeIs(1));
  EXPECT_EQ(applied.unapplied[0].key.key, bad_);
  EXPECT_EQ(applied.durable, theirs) << "what is in the log is held";
  EXPECT_EQ(store_->Get(good_)->content, "theirs");
  // A third store copies what can be read, and everything from the log.
  const auto third = OpenOn(nullptr);
  CatchUp(*store_, *third);
  EXPECT_EQ(third->Get(bad_)->content, "theirs");
  EXPECT_THAT(store_->Check()->problems,
              ::testing::Contains(::testing::AllOf(HasSubstr(bad_), HasSubstr("restore"))));
}

TEST(OpaqueCommit, IsKeptInItsPlaceAndPassedOn) {
  // Two commits of one stream, the first of a version that nobody here knows.
  log::Commit later;
  later.header.stream = 0x77;
  later.header.seq = 1;
  later.header.hlc = 1'000;
  later.header.operation.bytes[0] = 1;
  std::string opaque = log::EncodeCommit(later);
  opaque[0] = 2;
  opaque += "what version 2 adds";
  log::Commit next;
  next.header = later.header;
  next.header.seq = 2;
  next.header.hlc = 1'001;
  next.header.operation.bytes[0] = 2;
  next.header.prev_hash = later.header.content_hash;
  model::PartsBuilder parts;
  parts.Set("\x7fnew", {1'001, 0x77}, "value");
  next.changes.push_back({.key = {Kind::kMemory, "m"},
                          .nonce = {},
                          .body = log::EncodeState(parts.Build()),
                          .withheld = {}});
  ChangePage page;
  page.commits = {opaque, log::EncodeCommit(next)};

  const auto first = OpenOn(nullptr);
  const auto second = OpenOn(nullptr);
  const ApplyResult applied = first->Apply(std::move(page));
  ASSERT_TRUE(applied.status.ok()) << applied.status;
  EXPECT_THAT(applied.refusals, IsEmpty());
  ASSERT_THAT(applied.unapplied, SizeIs(1));
  EXPECT_EQ(applied.unapplied[0].seq, 1u);
  EXPECT_EQ(applied.durable, (VersionVector{{0x77, 2}}));
  EXPECT_EQ(applied.rows_changed, 1);

  absl::StatusOr<ChangePage> relayed = first->ReadChanges(ChangeCursor::After({}));
  ASSERT_TRUE(relayed.ok()) << relayed.status();
  ASSERT_THAT(relayed->commits, SizeIs(2));
  EXPECT_EQ(relayed->commits[0], opaque);
  const ApplyResult again = second->Apply(*std::move(relayed));
  EXPECT_EQ(again.durable, applied.durable);
  EXPECT_TRUE(Put(*second, "own").status.ok());
  EXPECT_THAT(second->Check()->problems, SizeIs(1));
  EXPECT_THAT(second->Check()->problems[0], HasSubstr("does not know its version"));
}

}  // namespace
}  // namespace aimem
