// Every kind of entity travels: the tests are made from the table that the migration works by.
#include "lib/transfer/kinds.h"

#include <algorithm>

#include "gtest/gtest.h"
#include "tests/transfer/stores.h"

namespace aimem::transfer {
namespace {

using testing::Opened;
using testing::OpenEphemeral;

// A kind of a newer version.
constexpr auto kLaterKind = static_cast<Kind>(200);

struct Made {
  EntityKey key;
  Counted counted = Counted::kOther;
};

// Make one entity of `kind` in `store`. No default: a kind that nobody can make does not build.
Made Make(Store& store, Kind kind) {
  switch (kind) {
    case Kind::kMemory:
      return {{kind, testing::Put(store, "team", "title")}, Counted::kLive};
    case Kind::kLink: {
      const std::string a = testing::Put(store, "team", "a");
      const std::string b = testing::Put(store, "team", "b");
      testing::AddLinkBetween(store, a, b, "supersedes");
      return {{kind, a + '\0' + b + '\0' + "supersedes"}, Counted::kLink};
    }
    case Kind::kNamespaceStandard:
      testing::WriteAll(store, {SetStandard{.namespace_ = "team",
                                            .memory_id = testing::Put(store, "team", "rules"),
                                            .parent = "",
                                            .policy = ""}});
      return {{kind, "team"}, Counted::kStandard};
    case Kind::kPendingAction:
    case Kind::kSubscription:
    case Kind::kMember:
      break;
  }
  testing::ApplyState(store, testing::StateOfOnePart(kind, "key of it", "\x7f", "its value"));
  return {{kind, "key of it"}, Counted::kOther};
}

std::int64_t Written(const MigrateReport& report, Counted counted) {
  switch (counted) {
    case Counted::kLive:
      return report.memories_written;
    case Counted::kArchived:
      return report.archived.written;
    case Counted::kGone:
      return report.gone.written;
    case Counted::kLink:
      return report.links.written;
    case Counted::kStandard:
      return report.standards.written;
    case Counted::kOther:
      break;
  }
  return report.others.written;
}

class EveryKind : public ::testing::TestWithParam<Kind> {};

TEST_P(EveryKind, TravelsWithItsState) {
  const Opened from = OpenEphemeral();
  const Opened to = OpenEphemeral();
  const Made made = Make(*from, GetParam());
  MigrateReport report;
  const absl::Status status = Migrate(*from, *to, {.verify = true}, report);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_GE(Written(report, made.counted), 1);

  const auto find = [&](const std::vector<EntityState>& states) {
    const auto found = std::find_if(states.begin(), states.end(), [&](const EntityState& state) {
      return state.key == made.key;
    });
    return found == states.end() ? std::string() : found->state;
  };
  const std::string expected = find(testing::States(*from));
  ASSERT_FALSE(expected.empty());
  EXPECT_EQ(find(testing::States(*to)), expected);
  EXPECT_EQ(report.verify->missing + report.verify->different, 0);
}

std::vector<Kind> KindsOfTheTable() {
  std::vector<Kind> kinds;
  for (const KindRule& rule : kKinds) kinds.push_back(rule.kind);
  kinds.push_back(kLaterKind);
  return kinds;
}

INSTANTIATE_TEST_SUITE_P(Table, EveryKind, ::testing::ValuesIn(KindsOfTheTable()),
                         [](const auto& tested) {
                           return "Kind" + std::to_string(static_cast<int>(tested.param));
                         });

}  // namespace
}  // namespace aimem::transfer
