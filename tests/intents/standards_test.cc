#include "aimem/standards.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "aimem/backends/ephemeral.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aimem {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<NamespaceStandard> Parents(
    const std::vector<std::pair<std::string, std::string>>& parents) {
  std::vector<NamespaceStandard> all;
  all.reserve(parents.size());
  for (const auto& [name, parent] : parents) {
    all.push_back({.namespace_ = name, .memory_id = "of " + name, .parent = parent});
  }
  return all;
}

TEST(StandardChain, GoesFromAllToTheNamespaceItself) {
  EXPECT_THAT(StandardChain({}, "a/b/c"), ElementsAre("*", "a", "a/b", "a/b/c"));
  EXPECT_THAT(StandardChain({}, "*"), ElementsAre("*"));
}

TEST(StandardChain, HasTheParentsAboveTheFirstSegmentOnly) {
  const auto all =
      Parents({{"a", "ours"}, {"ours", "everyone"}, {"everyone", ""}, {"a/b", "elsewhere"}});
  EXPECT_THAT(StandardChain(all, "a/b"), ElementsAre("*", "everyone", "ours", "a", "a/b"));
}

TEST(StandardChain, EndsWhereParentsGoInACircle) {
  EXPECT_THAT(StandardChain(Parents({{"a", "b"}, {"b", "c"}, {"c", "a"}}), "a"),
              ElementsAre("*", "c", "b", "a"));
}

TEST(StandardChain, EndsAfterEightParents) {
  std::vector<std::pair<std::string, std::string>> parents;
  parents.reserve(12);
  for (int i = 0; i < 12; ++i) {
    parents.emplace_back("n" + std::to_string(i), "n" + std::to_string(i + 1));
  }
  EXPECT_THAT(StandardChain(Parents(parents), "n0"),
              ElementsAre("*", "n8", "n7", "n6", "n5", "n4", "n3", "n2", "n1", "n0"));
}

TEST(StandardChain, AllIsGeneralWhoeverNamesItAsAParent) {
  EXPECT_THAT(StandardChain(Parents({{"a", "*"}, {"*", "b"}}), "a"), ElementsAre("*", "b", "a"));
}

TEST(StandardsOf, AreTheMemoriesAlongTheChainEachOnce) {
  auto store = OpenEphemeralStore();
  const WriteResult put =
      (*store)->Write({{PutMemory{.namespace_ = "x", .title = "house", .content = "rules"},
                        PutMemory{.namespace_ = "x", .title = "team", .content = "rules"},
                        PutMemory{.namespace_ = "x", .title = "other", .content = "rules"}}});
  ASSERT_TRUE(put.status.ok()) << put.status;
  EXPECT_THAT(*StandardsOf(**store, "a/b"), IsEmpty());
  const auto set = [&](const std::string& name, std::size_t memory) {
    return SetStandard{.namespace_ = name, .memory_id = put.items[memory].id};
  };
  const WriteResult written =
      (*store)->Write({{set("*", 0), set("a", 1), set("a/b", 1), set("z", 2)}});
  ASSERT_TRUE(written.status.ok()) << written.status;
  const auto standards = StandardsOf(**store, "a/b");
  ASSERT_TRUE(standards.ok()) << standards.status();
  EXPECT_THAT(*standards, ElementsAre(::testing::Field(&Memory::title, "house"),
                                      ::testing::Field(&Memory::title, "team")));
  EXPECT_TRUE((*store)->Close().ok());
}

}  // namespace
}  // namespace aimem
