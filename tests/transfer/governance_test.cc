// Governance as it travels: policies that this version cannot read, and what waits for approval.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "aimem/transfer.h"
#include "lib/base/status.h"
#include "lib/model/parts.h"
#include "tests/transfer/stores.h"

namespace aimem {
namespace {

using ::testing::HasSubstr;
using testing::Opened;
using testing::OpenEphemeral;
using ::testing::SizeIs;

constexpr char kApprove[] =
    R"({"write":"approve","promote":"any","delete":"any","approver":"human"})";

SetStandard Standard(const std::string& namespace_, const std::string& id, std::string policy) {
  return {.namespace_ = namespace_, .memory_id = id, .parent = "", .policy = std::move(policy)};
}

PutMemory Note(const std::string& namespace_) {
  PutMemory put;
  put.namespace_ = namespace_;
  put.title = "title";
  put.content = "content";
  return put;
}

TEST(GovernanceUnreadable, PolicyOfANewerVersionLetsNothingBeChanged) {
  const Opened store = OpenEphemeral();
  const std::string id = testing::Put(*store, "rules", "of a");
  testing::WriteAll(*store, {Standard("a", id, "")});
  testing::ApplyState(
      *store, testing::StateOfOnePart(Kind::kNamespaceStandard, "a", model::part::kStandardPolicy,
                                      R"({"write":"by-moonlight"})"));
  for (const WriteItem& item : {WriteItem(Note("a")), WriteItem(Note("a/b"))}) {
    const WriteResult refused = store->Write(item, {.agent_id = "ai:x"});
    EXPECT_EQ(refused.status.code(), absl::StatusCode::kPermissionDenied) << refused.status;
    EXPECT_THAT(std::string(ToStd(refused.status.message())),
                HasSubstr("the policy of namespace 'a' cannot be read"));
  }
  // Nor does a place below it get rid of it by itself; it is mended where it stands.
  EXPECT_EQ(store->Write(Standard("a/b", id, kApprove)).status.code(),
            absl::StatusCode::kPermissionDenied);
  testing::WriteAll(*store, {Standard("a", id, kApprove)});
  const WriteResult queued = store->Write(Note("a"), {.agent_id = "ai:x"});
  ASSERT_THAT(queued.items, SizeIs(1)) << queued.status;
  EXPECT_EQ(queued.items[0].effect, ItemEffect::kQueued);
  // What waits cannot be decided by a policy that cannot be read, either.
  testing::ApplyState(*store, [] {
    model::PartsBuilder builder;
    builder.Set(model::part::kStandardPolicy, {.hlc = ~std::uint64_t{0} >> 2, .stream = 7}, "[]");
    return EntityState{{Kind::kNamespaceStandard, "a"}, log::EncodeState(builder.Build())};
  }());
  for (const bool approve : {true, false}) {
    const WriteResult decided = store->Write(DecidePending{queued.items[0].id, approve});
    EXPECT_EQ(decided.status.code(), absl::StatusCode::kPermissionDenied) << decided.status;
  }
}

TEST(GovernanceMigrated, PolicyAndWhatWaitsAreInForceWhereTheyArrive) {
  const Opened from = OpenEphemeral();
  const Opened to = OpenEphemeral();
  testing::WriteAll(*from, {Standard("a", testing::Put(*from, "rules", "of a"), kApprove)});
  const WriteResult queued = from->Write(Note("a"), {.agent_id = "ai:x"});
  ASSERT_THAT(queued.items, SizeIs(1)) << queued.status;
  MigrateReport report;
  const absl::Status status = Migrate(*from, *to, {.verify = true}, report);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(to->Write(Note("a"), {.agent_id = "ai:y"}).items.at(0).effect, ItemEffect::kQueued);
  const WriteResult made =
      to->Write(DecidePending{queued.items[0].id, true}, {.agent_id = "person"});
  ASSERT_THAT(made.items, SizeIs(1)) << made.status;
  EXPECT_EQ(made.items[0].effect, ItemEffect::kCreated);
  EXPECT_EQ(testing::States(*to).size(), testing::States(*from).size() + 2);
}

TEST(GovernanceMigrated, OfOneNamespaceWhatWaitsInItGoesAlong) {
  const Opened from = OpenEphemeral();
  const Opened to = OpenEphemeral();
  const std::string id = testing::Put(*from, "rules", "of both");
  testing::WriteAll(*from, {Standard("a", id, kApprove), Standard("b", id, kApprove)});
  const WriteResult queued = from->Write({Note("a"), Note("b")}, {.agent_id = "ai:x"});
  ASSERT_THAT(queued.items, SizeIs(2)) << queued.status;
  MigrateReport report;
  const absl::Status status = Migrate(*from, *to, {.namespace_ = "a"}, report);
  ASSERT_TRUE(status.ok()) << status;
  const auto list = to->List({.kind = ListKind::kPending});
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_THAT(list->pending, SizeIs(1));
  EXPECT_EQ(list->pending[0].id, queued.items[0].id);
}

}  // namespace
}  // namespace aimem
