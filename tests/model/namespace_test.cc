#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/model/validate.h"

namespace aimem::model {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Namespace, AncestorsComeNearestFirst) {
  EXPECT_THAT(Ancestors("a/b/c"), ElementsAre("a/b/c", "a/b", "a"));
  EXPECT_THAT(Ancestors("a"), ElementsAre("a"));
  EXPECT_THAT(Ancestors(""), IsEmpty());
  EXPECT_EQ(Depth("a/b/c"), 3u);
  EXPECT_EQ(Depth("*"), 1u);
}

TEST(ScopeVisible, FollowsTheTable) {
  const struct {
    std::string_view scope, namespace_, as_agent;
    bool visible;
  } kCases[] = {
      {"collective", "x", "a/b/c/d", true},
      {"collective", "x", "a", true},
      {"private", "a/b/c/d", "a/b/c/d", true},
      {"private", "a/b/c", "a/b/c/d", false},
      {"private", "a/b/c/d/e", "a/b/c/d", false},
      {"team", "a/b/c", "a/b/c/d", true},
      {"team", "a/b/c/x/y", "a/b/c/d", true},
      {"team", "a/b/cx", "a/b/c/d", false},
      {"team", "a/b", "a/b/c/d", false},
      {"team", "a", "a", false},
      {"unit", "a/b", "a/b/c/d", true},
      {"unit", "a/b/z", "a/b/c/d", true},
      {"unit", "a", "a/b/c/d", false},
      {"unit", "a", "a/b", false},
      {"org", "a", "a/b/c/d", true},
      {"org", "a/q/r", "a/b/c/d", true},
      {"org", "ab", "a/b/c/d", false},
      {"org", "a", "a/b/c", false},
      {"team", "a_b", "a%b/c", false},
      {"secret", "a", "a", false},
      {"", "a", "a", false},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(ScopeVisible(c.scope, c.namespace_, c.as_agent), c.visible)
        << c.scope << " memory in " << c.namespace_ << " as " << c.as_agent;
  }
}

}  // namespace
}  // namespace aimem::model
