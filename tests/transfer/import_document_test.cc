#include "lib/transfer/import_document.h"

#include <random>
#include <sstream>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aimem::transfer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr std::string_view kMemory = R"({"id": "m1", "tier": "long", "namespace": "web",
  "title": "T", "content": "C", "tags": ["x", "y"], "priority": 7, "confidence": 0.5,
  "source": "cli", "access_count": 3, "created_at": "2026-01-02T03:04:05+09:00",
  "updated_at": "2026-01-02T03:04:05Z", "last_accessed_at": null,
  "metadata": {"b": [1, 2.5, {"c": "d\n"}], "a": null}, "later": {"unknown": [[]]}})";

absl::StatusOr<ImportDocument> Parse(std::string text) {
  std::istringstream in(std::move(text));
  return ParseImportDocument(in);
}

std::string Document(std::string_view memory) {
  return "{\"count\": 1,\n\"memories\": [" + std::string(memory) + "], \"links\": []}";
}

std::string With(std::string_view from, std::string_view to) {
  std::string memory(kMemory);
  const std::size_t at = memory.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return Document(memory.replace(at, from.size(), to));
}

TEST(ImportDocument, ReadsEveryField) {
  const auto document = Parse(Document(kMemory));
  ASSERT_TRUE(document.ok()) << document.status();
  ASSERT_THAT(document->memories, SizeIs(1));
  EXPECT_TRUE(document->memories[0].status.ok());
  const Memory& memory = document->memories[0].memory;
  EXPECT_EQ(memory.id, "m1");
  EXPECT_EQ(memory.tier, Tier::kLong);
  EXPECT_EQ(memory.namespace_, "web");
  EXPECT_EQ(memory.title, "T");
  EXPECT_EQ(memory.content, "C");
  EXPECT_THAT(memory.tags, ElementsAre("x", "y"));
  EXPECT_EQ(memory.priority, 7);
  EXPECT_EQ(memory.confidence, 0.5);
  EXPECT_EQ(memory.source, "cli");
  EXPECT_EQ(memory.access_count, 3);
  EXPECT_EQ(memory.updated_at - memory.created_at, absl::Hours(9));
  EXPECT_FALSE(memory.last_accessed_at.has_value());
  EXPECT_FALSE(memory.expires_at.has_value());
  EXPECT_EQ(memory.metadata, R"({"b":[1,2.5,{"c":"d\n"}],"a":null})");
}

TEST(ImportDocument, ReadsLinksAndCountsWhatIsNone) {
  const auto document = Parse(R"({"links": [
      {"source_id": "a", "target_id": "b", "relation": "supersedes",
       "created_at": "2026-01-02T03:04:05Z", "note": {"x": [1]}},
      {"source_id": "a", "target_id": "c"}, 7, [["deep"]], {}, {"source_id": {"x": 1}},
      {"source_id": "a", "target_id": "d", "created_at": "yesterday"}]})");
  ASSERT_TRUE(document.ok()) << document.status();
  ASSERT_THAT(document->links, SizeIs(3));
  EXPECT_EQ(document->links[0].link.relation, "supersedes");
  EXPECT_TRUE(document->links[0].link.created_at.has_value());
  EXPECT_EQ(document->links[1].link.relation, "related_to");
  EXPECT_FALSE(document->links[2].status.ok());
  EXPECT_EQ(document->malformed_links, 4);
}

TEST(ImportDocument, LinksOfAnotherTypeAreNone) {
  for (const char* links : {"null", "7", "\"x\"", "{\"a\": [1]}"}) {
    const auto document = Parse(absl::StrFormat(R"({"memories": [], "links": %s})", links));
    ASSERT_TRUE(document.ok()) << links << ": " << document.status();
    EXPECT_THAT(document->links, SizeIs(0));
  }
}

TEST(ImportDocument, ValuesThatCannotBeSpareTheOthers) {
  for (const auto& [from, to, message] :
       std::vector<std::tuple<std::string, std::string, std::string>>{
           {"\"long\"", "\"longer\"", "invalid tier: longer (use short, mid, long)"},
           {"2026-01-02T03:04:05Z", "yesterday", "updated_at is not valid RFC3339: 'yesterday'"},
           {"\"priority\": 7", "\"priority\": 11", "priority must be between 1 and 10 (got 11)"},
           {"\"priority\": 7", "\"priority\": 18446744073709551615", "priority must be between"}}) {
    const auto document = Parse(With(from, to));
    ASSERT_TRUE(document.ok()) << document.status();
    EXPECT_THAT(std::string(document->memories.at(0).status.message()), HasSubstr(message));
  }
}

TEST(ImportDocument, AnotherFormIsRefusedWithLineAndColumn) {
  struct Case {
    std::string text, message;
  };
  const std::vector<Case> cases = {
      {"", "line 1, column"},
      {"   ", "line 1, column"},
      {"nonsense", "line 1, column"},
      {"[]", "must be a JSON object"},
      {"7", "must be a JSON object"},
      {"{}", "no export of memories"},
      {R"({"hello": [1, {"memories": []}]})", "no export of memories"},
      {R"({"memories": {}})", "\"memories\" must be an array"},
      {R"({"memories": 7})", "\"memories\" must be an array"},
      {R"({"memories": [7]})", "a memory must be an object"},
      {R"({"memories": [[]]})", "a memory must be an object"},
      {"{\"memories\":\n\n [{\"id\": \"x\"}]}", "line 3, column 13: memory 1: field \"tier\""},
      {With("\"title\": \"T\"", "\"title\": 7"), "field \"title\" has another type"},
      {With("\"title\": \"T\"", "\"title\": [\"T\"]"), "field \"title\" has another type"},
      {With("[\"x\", \"y\"]", "\"x,y\""), "field \"tags\" has another type"},
      {With("[\"x\", \"y\"]", "[\"x\", 7]"), "a tag must be a string"},
      {With("[\"x\", \"y\"]", "[[\"x\"]]"), "a tag must be a string"},
      {With("\"priority\": 7", "\"priority\": 7.5"), "field \"priority\" has another type"},
      {With("0.5", "1e999"), "number overflow"},
      {With("\"C\"", "\"\xff\""), "invalid string"},
      {Document(kMemory) + "x", "line"},
      {Document(kMemory).substr(0, 100), "line"},
      {"{\"memories\": [], \"x\": " + std::string(100, '[') + std::string(100, ']') + "}",
       "nested deeper than 64 levels"},
      {std::string(1'000'000, '['), "must be a JSON object"},
      {"{\"x\":" + std::string(1'000'000, '['), "nested deeper"},
  };
  for (const Case& c : cases) {
    const auto document = Parse(c.text);
    ASSERT_FALSE(document.ok()) << c.text.substr(0, 200);
    EXPECT_TRUE(absl::IsInvalidArgument(document.status())) << document.status();
    EXPECT_THAT(std::string(document.status().message()), HasSubstr(c.message));
    EXPECT_LT(document.status().message().size(), 400u);
  }
}

TEST(ImportDocument, EveryFieldThatAMemoryHasIsAskedFor) {
  for (const std::string name :
       {"id", "tier", "namespace", "title", "content", "tags", "priority", "confidence", "source",
        "access_count", "created_at", "updated_at"}) {
    const auto document = Parse(With("\"" + name + "\":", "\"other\":"));
    ASSERT_FALSE(document.ok()) << name;
    EXPECT_THAT(std::string(document.status().message()),
                HasSubstr("field \"" + name + "\" is missing"));
  }
  for (const std::string name : {"metadata", "last_accessed_at"}) {
    EXPECT_TRUE(Parse(With("\"" + name + "\":", "\"other\":")).ok()) << name;
  }
}

TEST(ImportDocument, ByteOrderMarkAndLaterDuplicatesAreTaken) {
  const auto document = Parse("\xef\xbb\xbf" + With("\"C\"", "\"first\", \"content\": \"last\""));
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ(document->memories.at(0).memory.content, "last");
}

TEST(ImportDocument, CutAnywhereItIsRefused) {
  const std::string text = Document(kMemory);
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(Parse(text.substr(0, size)).ok()) << size;
  }
}

TEST(ImportDocument, FailingStreamIsTold) {
  std::istringstream in(Document(kMemory));
  in.exceptions(std::ios::goodbit);
  in.setstate(std::ios::badbit);
  EXPECT_TRUE(absl::IsUnavailable(ParseImportDocument(in).status()));
}

TEST(ImportDocument, DamagedBytesAreRefusedOrReadNeverMore) {
  constexpr unsigned kSeed = 17;
  std::minstd_rand random(kSeed);
  const std::string text = Document(kMemory);
  for (int i = 0; i < 3'000; ++i) {
    std::string damaged = text;
    for (auto n = 1 + random() % 3; n > 0; --n) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    const auto document = Parse(damaged);
    EXPECT_TRUE(document.ok() || absl::IsInvalidArgument(document.status()))
        << "seed " << kSeed << ", run " << i << ": " << document.status();
  }
}

}  // namespace
}  // namespace aimem::transfer
