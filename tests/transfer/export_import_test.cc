#include <atomic>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "aimem/limits.h"
#include "aimem/transfer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/transfer/stores.h"

namespace aimem {
namespace {

using nlohmann::json;
using testing::AddLinkBetween;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Interposed;
using testing::Opened;
using testing::OpenEphemeral;
using testing::OpenSqlite;
using testing::Put;
using ::testing::SizeIs;
using testing::TempDir;
using testing::WriteAll;

std::string Export(Store& store, absl::Time now = absl::Now()) {
  std::ostringstream out;
  const absl::Status status = ExportJson(store, now, out);
  EXPECT_TRUE(status.ok()) << status;
  return out.str();
}

absl::Status Import(Store& store, const std::string& text, ImportReport& report,
                    ImportOptions options = {.write = {.agent_id = "importer"}}) {
  std::istringstream in(text);
  return ImportJson(in, store, options, report);
}

json MemoryJson(const std::string& id, const std::string& title) {
  return {{"id", id},
          {"tier", "mid"},
          {"namespace", "web"},
          {"title", title},
          {"content", "content of " + title},
          {"tags", json::array({"t"})},
          {"priority", 5},
          {"confidence", 1.0},
          {"source", "cli"},
          {"access_count", 2},
          {"created_at", "2026-01-02T03:04:05.123456789+00:00"},
          {"updated_at", "2026-01-02T03:04:06+00:00"},
          {"metadata", {{"agent_id", "author"}, {"k", 1}}}};
}

std::string Document(const json& memories, const json& links = json::array()) {
  return json{{"memories", memories}, {"links", links}}.dump();
}

std::int64_t Live(Store& store) {
  auto info = store.Info({.counts = true});
  EXPECT_TRUE(info.ok()) << info.status();
  return info->counts->live;
}

TEST(Export, HoldsAliveMemoriesByCreationAndTheLinksBetweenThem) {
  const Opened store = OpenEphemeral();
  const std::string a = Put(*store, "web", "first");
  const std::string b = Put(*store, "web", "second");
  PutMemory put;
  put.title = "short-lived";
  put.content = "soon gone";
  put.ttl_seconds = 60;
  const std::string c = WriteAll(*store, {put}).at(0).id;
  AddLinkBetween(*store, b, a, "supersedes");
  AddLinkBetween(*store, a, c);
  WriteAll(*store, {DeleteMemory{Put(*store, "web", "deleted")}});

  const json later = json::parse(Export(*store, absl::Now() + absl::Hours(1)));
  EXPECT_EQ(later["count"], 2);
  ASSERT_EQ(later["memories"].size(), 2u);
  EXPECT_EQ(later["memories"][0]["id"], a);
  EXPECT_EQ(later["memories"][1]["id"], b);
  ASSERT_EQ(later["links"].size(), 1u);
  EXPECT_EQ(later["links"][0]["source_id"], b);
  EXPECT_EQ(later["links"][0]["relation"], "supersedes");
  EXPECT_TRUE(later["exported_at"].is_string());
  const json now = json::parse(Export(*store));
  EXPECT_EQ(now["count"], 3);
  EXPECT_EQ(now["links"].size(), 2u);
}

TEST(Export, EmptyStoreIsAnEmptyDocument) {
  const Opened store = OpenEphemeral();
  const json document = json::parse(Export(*store));
  EXPECT_EQ(document["count"], 0);
  EXPECT_EQ(document["memories"], json::array());
  EXPECT_EQ(document["links"], json::array());
}

TEST(Export, FullDiskIsTold) {
  const Opened store = OpenEphemeral();
  testing::Fill(*store, 10);
  class FullBuffer final : public std::streambuf {
    int_type overflow(int_type) override { return traits_type::eof(); }
  } buffer;
  std::ostream out(&buffer);
  EXPECT_TRUE(absl::IsUnavailable(ExportJson(*store, absl::Now(), out)));
}

TEST(ExportImport, RoundTripIsEqual) {
  TempDir folder;
  const Opened from = OpenSqlite(folder, "from.db");
  const Opened to = OpenEphemeral();
  testing::Fill(*from, 30);
  PutMemory odd;
  odd.title = "odd \"characters\" \\ \u00e9 \u2028";
  odd.content = "line\n\ttab";
  odd.confidence = 0.1;
  odd.metadata = R"({"nested":{"a":[1,2.5,null,true,"x"]},"big":18446744073709551615})";
  WriteAll(*from, {odd}, {.agent_id = "writer"});
  const absl::Time now = absl::Now();
  const std::string text = Export(*from, now);
  ImportReport report;
  const absl::Status status = Import(*to, text, report, {.trust_source = true});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(report.errors, SizeIs(0));
  EXPECT_EQ(report.restamped, 0);
  EXPECT_EQ(json::parse(Export(*to, now)), json::parse(text));
  EXPECT_EQ(report.imported, json::parse(text)["count"].get<std::int64_t>());
  // And once more: the same document, the same store.
  ASSERT_TRUE(Import(*to, text, report, {.trust_source = true}).ok());
  EXPECT_EQ(json::parse(Export(*to, now)), json::parse(text));
}

TEST(Import, RestampsWhoStoredItUnlessTheSourceIsTrusted) {
  const Opened to = OpenEphemeral();
  json anonymous = MemoryJson("b", "B");
  anonymous["metadata"].erase("agent_id");
  json own = MemoryJson("c", "C");
  own["metadata"]["agent_id"] = "importer";
  ImportReport report;
  ASSERT_TRUE(
      Import(*to, Document(json::array({MemoryJson("a", "A"), anonymous, own})), report).ok());
  EXPECT_EQ(report.imported, 3);
  EXPECT_EQ(report.restamped, 1);
  EXPECT_EQ(to->Get("a")->metadata,
            R"({"agent_id":"importer","imported_from_agent_id":"author","k":1})");
  EXPECT_EQ(to->Get("b")->metadata, R"({"agent_id":"importer","k":1})");
  EXPECT_EQ(to->Get("c")->metadata, R"({"agent_id":"importer","k":1})");

  const Opened trusting = OpenEphemeral();
  ASSERT_TRUE(Import(*trusting, Document(json::array({MemoryJson("a", "A")})), report,
                     {.trust_source = true, .write = {.agent_id = "importer"}})
                  .ok());
  EXPECT_EQ(trusting->Get("a")->metadata, R"({"agent_id":"author","k":1})");
  EXPECT_EQ(report.restamped, 0);
}

TEST(Import, NormalisesWhatOtherProgramsWrite) {
  const Opened to = OpenEphemeral();
  json memory = MemoryJson("a", "  A title  ");
  memory["created_at"] = "2026-01-02T03:04:05+09:00";
  memory["content"] = "one\r\ntwo";
  memory["source"] = "mine-claude";
  memory["embedding"] = json::array({0.1, 0.2});
  ImportReport report;
  ASSERT_TRUE(Import(*to, Document(json::array({memory})), report).ok());
  EXPECT_THAT(report.errors, SizeIs(0));
  const auto stored = to->Get("a");
  ASSERT_TRUE(stored.ok());
  EXPECT_EQ(stored->title, "A title");
  EXPECT_EQ(stored->content, "one\ntwo");
  EXPECT_EQ(stored->source, "mine-claude");
  EXPECT_EQ(stored->created_at,
            absl::FromCivil(absl::CivilSecond(2026, 1, 1, 18, 4, 5), absl::UTCTimeZone()));
}

TEST(Import, ItemsThatCannotBeAreNamedAndTheOthersWritten) {
  const Opened to = OpenEphemeral();
  const std::string owner = Put(*to, "web", "taken");
  json blank = MemoryJson("blank", "B");
  blank["content"] = "  ";
  json tier = MemoryJson("tier", "T");
  tier["tier"] = "longish";
  json metadata = MemoryJson("metadata", "M");
  metadata["metadata"] = nullptr;
  json source = MemoryJson("source", "S");
  source["source"] = "elsewhere";
  const json memories = {MemoryJson("good", "G"),    blank, tier, metadata, source,
                         MemoryJson("name", "taken")};
  const json links = {{{"source_id", "good"}, {"target_id", owner}},
                      {{"source_id", "good"}, {"target_id", "blank"}},
                      {{"source_id", "good"}, {"target_id", "good"}},
                      7};
  ImportReport report;
  const absl::Status status = Import(*to, Document(memories, links), report);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(report.imported, 1);
  EXPECT_EQ(report.links, 1);
  EXPECT_TRUE(to->Get("good").ok());
  const std::string all = ::testing::PrintToString(report.errors);
  EXPECT_THAT(all, HasSubstr("blank: content cannot be empty"));
  EXPECT_THAT(all, HasSubstr("tier: invalid tier: longish (use short, mid, long)"));
  EXPECT_THAT(all, HasSubstr("metadata: metadata must be a JSON object"));
  EXPECT_THAT(all, HasSubstr("source: invalid source 'elsewhere'"));
  EXPECT_THAT(all, HasSubstr("name: title 'taken' already exists in namespace 'web' (memory " +
                             owner + ")"));
  EXPECT_THAT(all, HasSubstr("link good -> blank: target memory not found: blank"));
  EXPECT_THAT(all, HasSubstr("cannot link a memory to itself"));
  EXPECT_THAT(all, HasSubstr("1 entries are not links"));
  EXPECT_THAT(report.errors, SizeIs(8));
}

TEST(Import, AnExpiryThatCannotBeStoredIsNoneWithAWarning) {
  const Opened to = OpenEphemeral();
  json memory = MemoryJson("a", "A");
  memory["expires_at"] = "9999-12-31T23:59:59Z";
  ImportReport report;
  ASSERT_TRUE(Import(*to, Document(json::array({memory})), report).ok());
  EXPECT_EQ(report.imported, 1);
  ASSERT_THAT(report.warnings, SizeIs(1));
  EXPECT_THAT(report.warnings[0], HasSubstr("a: expires_at"));
  EXPECT_FALSE(to->Get("a")->expires_at.has_value());
}

TEST(Import, MalformedDocumentWritesNothing) {
  const Opened to = OpenEphemeral();
  json memories = json::array();
  for (int i = 0; i < 700; ++i) {
    memories.push_back(MemoryJson(absl::StrFormat("m%d", i), absl::StrFormat("title %d", i)));
  }
  memories.back().erase("title");
  ImportReport report;
  const absl::Status status = Import(*to, Document(memories), report);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("memory 700: field \"title\" is missing"));
  EXPECT_EQ(Live(*to), 0);
  EXPECT_EQ(to->Info()->stream, 0u);
}

class LargeImport : public ::testing::Test {
 protected:
  static constexpr int kMemories = 1'300;

  LargeImport() : to_(OpenEphemeral()) {
    json memories = json::array();
    json links = json::array();
    for (int i = 0; i < kMemories; ++i) {
      memories.push_back(MemoryJson(absl::StrFormat("m%d", i), absl::StrFormat("title %d", i)));
      if (i > 0) {
        links.push_back({{"source_id", absl::StrFormat("m%d", i)}, {"target_id", "m0"}});
      }
    }
    document_ = Document(memories, links);
  }

  Opened to_;
  std::string document_;
  ImportReport report_;
};

TEST_F(LargeImport, IsWrittenInBatches) {
  Interposed counting(*to_);
  int writes = 0;
  counting.before_write = [&](int) {
    ++writes;
    return absl::OkStatus();
  };
  const absl::Status status = Import(counting, document_, report_);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(report_.imported, kMemories);
  EXPECT_EQ(report_.links, kMemories - 1);
  EXPECT_EQ(writes, 6);
  EXPECT_EQ(Live(*to_), kMemories);
}

TEST_F(LargeImport, StoppedBetweenBatchesItIsCompletedByRunningItAgain) {
  std::atomic<bool> cancel{false};
  ImportOptions options{.write = {.agent_id = "importer"}};
  options.cancel = &cancel;
  int batches = 0;
  options.progress = [&](const TransferProgress& progress) {
    EXPECT_EQ(progress.total, 2 * kMemories - 1);
    if (++batches == 2) cancel = true;
  };
  EXPECT_TRUE(absl::IsCancelled(Import(*to_, document_, report_, options)));
  EXPECT_EQ(Live(*to_), 1'000);
  cancel = false;
  ASSERT_TRUE(Import(*to_, document_, report_, options).ok());
  EXPECT_EQ(report_.imported, kMemories);
  EXPECT_THAT(report_.errors, SizeIs(0));
  EXPECT_EQ(Live(*to_), kMemories);
}

TEST_F(LargeImport, WaitsForABusyStoreAndTellsABrokenOne) {
  Interposed store(*to_);
  store.before_write = [](int call) {
    return call % 2 == 1 ? absl::UnavailableError("locked") : absl::OkStatus();
  };
  ASSERT_TRUE(Import(store, document_, report_).ok());
  EXPECT_EQ(report_.imported, kMemories);
  store.before_write = [](int) { return absl::FailedPreconditionError("fenced"); };
  const absl::Status status = Import(store, document_, report_);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
}

TEST_F(LargeImport, RequestIdGivesTheAnswerThatWasGivenBefore) {
  ImportOptions options{.write = {.agent_id = "importer", .request_id = "import of monday"}};
  ASSERT_TRUE(Import(*to_, document_, report_, options).ok());
  const VersionVector vector = to_->Info()->vector;
  ASSERT_TRUE(Import(*to_, document_, report_, options).ok());
  EXPECT_EQ(report_.imported, kMemories);
  EXPECT_EQ(to_->Info()->vector, vector);
}

TEST(Import, BatchesAreBoundedByBytesToo) {
  const Opened to = OpenEphemeral();
  json memories = json::array();
  for (int i = 0; i < 200; ++i) {
    memories.push_back(MemoryJson(absl::StrFormat("m%d", i), absl::StrFormat("title %d", i)));
    memories.back()["content"] = std::string(limits::kContentBytes, 'x');
  }
  ImportReport report;
  const absl::Status status = Import(*to, Document(memories), report);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(report.imported, 200);
}

}  // namespace
}  // namespace aimem
