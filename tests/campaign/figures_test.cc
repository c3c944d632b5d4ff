#include "campaign/figures.h"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace aimem::campaign {
namespace {

using nlohmann::ordered_json;

TEST(Figures, StandWhereTheirPointersSayInTheOrderOfTheirSetting) {
  Figures figures;
  EXPECT_EQ(figures.Json(), "{}");
  figures.Set("/seconds", 0.5);
  figures.Set("/faults/replayed", 3);
  figures.Set("/faults/missing", std::int64_t{0});
  figures.Set("/roots/-", "ab");
  figures.Set("/roots/-", std::string("cd"));
  figures.Set("/seconds", 1.5);
  EXPECT_EQ(ordered_json::parse(figures.Json()).dump(),
            R"({"seconds":1.5,"faults":{"replayed":3,"missing":0},"roots":["ab","cd"]})");
}

TEST(Figures, OfSeveralPhasesAreAddedUp) {
  Figures all;
  all.Set("/a", 1);
  Figures more;
  more.Set("/b/c", 2);
  all.Add(more);
  EXPECT_EQ(ordered_json::parse(all.Json()).dump(), R"({"a":1,"b":{"c":2}})");
}

TEST(Figures, AreSavedOrSayWhereNot) {
  Figures figures;
  figures.Set("/a", 1);
  const testing::TempDir dir;
  const std::string path = dir.File("figures.json");
  ASSERT_TRUE(figures.Save(path).ok());
  std::ifstream in(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), figures.Json() + "\n");
  const absl::Status nowhere = figures.Save("/nowhere/figures.json");
  EXPECT_EQ(nowhere.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(nowhere.message()), ::testing::HasSubstr("/nowhere/figures.json"));
}

TEST(Percentiles, AreThoseOfTheSortedLatencies) {
  std::vector<std::int64_t> latencies;
  for (int i = 100; i >= 0; --i) latencies.push_back(i * 1'000);
  const Percentiles found = PercentilesOf(latencies);
  EXPECT_EQ(found.p50_ms, 50);
  EXPECT_EQ(found.p99_ms, 99);
  EXPECT_EQ(found.max_ms, 100);
  EXPECT_EQ(PercentilesOf({}).max_ms, 0);
}

TEST(Grouped, PutsACommaBeforeEveryThirdDigit) {
  EXPECT_EQ(Grouped(0), "0");
  EXPECT_EQ(Grouped(999), "999");
  EXPECT_EQ(Grouped(12'345), "12,345");
  EXPECT_EQ(Grouped(-1'234'567), "-1,234,567");
}

}  // namespace
}  // namespace aimem::campaign
