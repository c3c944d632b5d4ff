#include "aimem/transfer.h"
#include "gtest/gtest.h"
#include "tests/transfer/stores.h"

namespace aimem {
namespace {

using testing::AddLinkBetween;
using testing::Interposed;
using testing::Opened;
using testing::OpenEphemeral;
using testing::Put;
using testing::WriteAll;

class NamespaceFilter : public ::testing::Test {
 protected:
  NamespaceFilter() : from_(OpenEphemeral()), to_(OpenEphemeral()) {
    options_.namespace_ = "web";
    options_.batch = 3;
  }

  void Run(Store& from, Store& to) {
    const absl::Status status = Migrate(from, to, options_, report_);
    ASSERT_TRUE(status.ok()) << status;
  }

  std::int64_t Links(Store& store) {
    ListRequest request;
    request.kind = ListKind::kLinks;
    const auto result = store.List(request);
    EXPECT_TRUE(result.ok()) << result.status();
    return static_cast<std::int64_t>(result->links.size());
  }

  Opened from_;
  Opened to_;
  MigrateOptions options_;
  MigrateReport report_;
};

TEST_F(NamespaceFilter, CopiesItsMemoriesTheLinksWithinAndItsStandard) {
  const std::string a = Put(*from_, "web", "a");
  const std::string b = Put(*from_, "web", "b");
  const std::string below = Put(*from_, "web/shop", "c");
  const std::string other = Put(*from_, "ops", "d");
  AddLinkBetween(*from_, a, b);
  AddLinkBetween(*from_, a, other);
  WriteAll(*from_,
           {SetStandard{.namespace_ = "web", .memory_id = a, .parent = "", .policy = ""},
            SetStandard{.namespace_ = "ops", .memory_id = other, .parent = "", .policy = ""}});
  const std::string archived = Put(*from_, "web", "archived one");
  WriteAll(*from_, {ForgetMemories{.namespace_ = {}, .pattern = "archived", .tier = {}}});

  Run(*from_, *to_);
  EXPECT_TRUE(to_->Get(a).ok());
  EXPECT_TRUE(to_->Get(b).ok());
  EXPECT_TRUE(to_->Get(archived, {.archived = true}).ok());
  EXPECT_TRUE(absl::IsNotFound(to_->Get(below).status()));
  EXPECT_TRUE(absl::IsNotFound(to_->Get(other).status()));
  EXPECT_EQ(Links(*to_), 1);
  EXPECT_EQ(report_.memories_written, 2);
  EXPECT_EQ(report_.archived.written, 1);
  EXPECT_EQ(report_.links.written, 1);
  EXPECT_EQ(report_.standards.written, 1);
  // It does not know all that the source knows.
  EXPECT_FALSE(Covers(to_->Info()->vector, from_->Info()->vector));
  // So a full migration afterwards brings the rest.
  MigrateReport rest;
  ASSERT_TRUE(Migrate(*from_, *to_, {}, rest).ok());
  EXPECT_EQ(testing::Root(*from_), testing::Root(*to_));
}

TEST_F(NamespaceFilter, SecondRunChangesNothing) {
  testing::Fill(*from_, 20);
  options_.namespace_ = "team/web";
  options_.verify = true;
  Run(*from_, *to_);
  EXPECT_GT(report_.memories_written, 3);
  const std::int64_t written = report_.memories_written;
  Run(*from_, *to_);
  EXPECT_EQ(report_.rows_changed, 0);
  EXPECT_EQ(report_.memories_written, written);
  EXPECT_EQ(report_.verify->missing + report_.verify->different + report_.verify->extra, 0);
}

TEST_F(NamespaceFilter, DeletionReachesTheCopy) {
  const std::string a = Put(*from_, "web", "a");
  const std::string other = Put(*from_, "ops", "b");
  Run(*from_, *to_);
  WriteAll(*from_, {DeleteMemory{a}, DeleteMemory{other}});
  Run(*from_, *to_);
  EXPECT_EQ(report_.gone.written, 1);
  EXPECT_TRUE(absl::IsNotFound(to_->Get(a, {.archived = true}).status()));
}

TEST_F(NamespaceFilter, WritesBesideItAreFilteredToo) {
  for (int i = 0; i < 12; ++i) Put(*from_, "web", absl::StrFormat("memory %d", i));
  const std::string touched = Put(*from_, "web", "to be changed");
  Interposed writing(*from_);
  std::vector<std::string> inside;
  std::vector<std::string> outside;
  writing.before_read = [&](int page) {
    if (page > 4) return absl::OkStatus();
    inside.push_back(Put(*from_, "web", absl::StrFormat("new %d", page)));
    outside.push_back(Put(*from_, "ops", absl::StrFormat("new %d", page)));
    PatchMemory patch;
    patch.id = touched;
    patch.content = absl::StrFormat("content %d", page);
    WriteAll(*from_, {std::move(patch)});
    return absl::OkStatus();
  };
  Run(writing, *to_);
  for (const std::string& id : inside) EXPECT_TRUE(to_->Get(id).ok()) << id;
  for (const std::string& id : outside) EXPECT_FALSE(to_->Get(id).ok()) << id;
  ASSERT_TRUE(to_->Get(touched).ok());
  EXPECT_EQ(to_->Get(touched)->content, "content 4");
}

TEST_F(NamespaceFilter, LinkToWhatOnlyBeginsLikeAMemoryIsLeftOut) {
  const std::string a = Put(*from_, "web", "a");
  const std::string b = Put(*from_, "web", "b");
  const std::string key = a + '\0' + b.substr(0, 30) + '\0' + "related_to";
  testing::ApplyState(*from_, testing::StateOfOnePart(Kind::kLink, key, model::part::kLinked,
                                                      model::EncodeTime(1)));
  Run(*from_, *to_);
  EXPECT_EQ(report_.links.read, 0);
  EXPECT_EQ(report_.memories_written, 2);
}

TEST_F(NamespaceFilter, DryRunCountsOnlyWhatBelongs) {
  testing::Fill(*from_, 20);
  options_.namespace_ = "team/web";
  options_.dry_run = true;
  Run(*from_, *to_);
  const MigrateReport dry = report_;
  options_.dry_run = false;
  Run(*from_, *to_);
  EXPECT_EQ(dry.rows_changed, report_.rows_changed);
  EXPECT_EQ(dry.memories_read, report_.memories_read);
}

}  // namespace
}  // namespace aimem
