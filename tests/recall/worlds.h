// Worlds: memories by chance, and an index of them that is split by chance.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "lib/index/document.h"
#include "lib/index/view.h"
#include "lib/log/grammar.h"
#include "lib/text/analysis.h"
#include "tests/recall/rows.h"

namespace aimem::recall {

class Chance {
 public:
  explicit Chance(std::uint64_t seed) : random_(seed) {}

  std::size_t Below(std::size_t end) { return random_() % end; }
  bool In(std::size_t of) { return Below(of) == 0; }  // one time of so many
  template <typename Value>
  Value Of(const std::vector<Value>& values) {
    return values[Below(values.size())];
  }
  // The first ones are more frequent.
  const std::string& Word(const std::vector<std::string>& words) {
    return words[std::min(Below(words.size()), Below(words.size()))];
  }

 private:
  std::mt19937_64 random_;
};

// -- Memories -------------------------------------------------------------------------------------

inline const std::vector<std::string> kWords = {
    "river",   "boat",    "tennis", "sport",  "running",      "Ann",       "Bob",
    "May",     "last",    "2023",   "five",   "painted",      "mountain",  "camp",
    "foo_bar", "PROJ-12", "v1.2.3", "camera", "cameraPerson", "utils.py",  "yesterday",
    "straße",  "東京",    "guitar", "guitar", "violin",       "orchestra", "rare"};
inline const std::vector<std::string> kNamespaces = {
    "team",  "team/a", "team/a/x", "team/a/x/deep", "team/ab",
    "other", "global", "_agents",  "team/a/xy",     "org/u/t/me"};
inline const std::vector<std::string> kScopes = {
    R"("private")",    R"("team")",   R"("unit")", R"("org")",
    R"("collective")", R"("secret")", "7",         "null"};
inline const std::vector<std::string> kTags = {"red", "blue", "session-1", "session:2",
                                               "green light"};
inline const std::vector<std::string> kAgents = {"", "bot", "bot2"};

inline std::string RareWord(std::size_t number) { return absl::StrFormat("w%dx", number); }

struct WorldKind {
  std::size_t memories = 0;
  bool talks = false;
  bool few_times = false;  // so that many ties are broken by ids
  std::size_t rare_words = 0;
  std::size_t namespaces = 1;
};

class MemoryMaker {
 public:
  MemoryMaker(Chance& chance, const WorldKind& kind) : chance_(chance), kind_(kind) {}

  MemoryRow Make(std::string id) {
    MemoryRow row{.id = std::move(id),
                  .namespace_ = kNamespaces[chance_.Below(kind_.namespaces)],
                  .title = Text(1 + chance_.Below(3)),
                  .content = Text(chance_.Below(chance_.In(20) ? 400 : 12)),
                  .tier = static_cast<Tier>(chance_.Below(3)),
                  .priority = static_cast<int>(chance_.In(2) ? 5 : 1 + chance_.Below(10)),
                  .confidence = chance_.Of<double>({1, 1, 0.5, 0.25, 0}),
                  .source = chance_.Of<std::string>({"api", "api", "import", "hook"}),
                  .agent_id = chance_.Of(kAgents),
                  .access_count = chance_.In(3) ? chance_.Below(100) : 0};
    if (!kind_.talks) row.source = "api";
    SetTimes(row);
    SetTags(row);
    SetMetadata(row);
    if (chance_.In(12)) row.forgotten_at = kNow;
    if (chance_.In(30)) row.deleted = true;
    if (chance_.In(40)) row.purged = true;
    return row;
  }

 private:
  std::string Text(std::size_t words) {
    std::vector<std::string> text;
    for (std::size_t i = 0; i < words; ++i) {
      const bool rare = kind_.rare_words > 0 && chance_.In(2);
      text.push_back(rare ? RareWord(chance_.Below(kind_.rare_words)) : chance_.Word(kWords));
    }
    return absl::StrJoin(text, " ");
  }

  void SetTimes(MemoryRow& row) {
    const std::size_t minute = kind_.few_times ? chance_.Below(4) : chance_.Below(4'000);
    row.created_at = kNow - absl::Hours(24 * 200) + absl::Minutes(minute * 7);
    if (!kind_.few_times && chance_.In(4)) row.created_at += absl::Nanoseconds(chance_.Below(9));
    row.updated_at = chance_.In(3) ? row.created_at : kNow - absl::Hours(chance_.Below(3) * 24);
    if (chance_.In(20)) row.updated_at = kNow + absl::Hours(1);
    if (chance_.In(5)) {
      row.expires_at = kNow + chance_.Of<absl::Duration>({absl::Nanoseconds(-1), absl::Hours(1),
                                                          absl::ZeroDuration(), -absl::Hours(3)});
    }
  }

  void SetTags(MemoryRow& row) {
    std::set<std::string> tags;
    for (std::size_t i = chance_.Below(3); i > 0; --i) tags.insert(chance_.Of(kTags));
    if (!kind_.talks) {
      std::erase_if(tags, [](const std::string& tag) { return tag.starts_with("session"); });
    }
    row.tags.assign(tags.begin(), tags.end());
  }

  void SetMetadata(MemoryRow& row) {
    if (chance_.In(3)) row.metadata.emplace_back("scope", chance_.Of(kScopes));
    if (chance_.In(4)) row.metadata.emplace_back("author", R"("Ann Lee")");
    if (kind_.talks && chance_.In(6)) row.metadata.emplace_back("session_id", R"("s9")");
    if (chance_.In(5)) row.content.insert(0, chance_.Of<std::string>({"Ann: ", "[Bob]: "}));
  }

  Chance& chance_;
  const WorldKind& kind_;
};

// -- The index of memories ------------------------------------------------------------------------

// What an index makes of a memory; nullopt: it is none of its documents.
inline std::optional<index::Document> DocumentOf(const MemoryRow& memory,
                                                 bool whatever_phase = false) {
  MemoryRow row = memory;
  if (whatever_phase) {
    row.deleted = row.purged = false;
    row.forgotten_at.reset();
  }
  const EntityRow stored = MakeRow(row);
  model::Parts parts;
  EXPECT_TRUE(log::DecodeState(stored.state, parts).ok());
  const model::MemoryView view = model::ViewMemory(parts);
  if (view.phase != model::Phase::kLive) return std::nullopt;
  static text::Analyzer* const analyzer = new text::Analyzer(*text::Analyzer::Create());
  return index::MakeDocument(*analyzer, row.id, view, parts);
}

// Documents of one layer, and which of them are no more.
struct LayerPlan {
  std::vector<index::Document> documents;
  std::set<std::string> deleted;
};

inline index::Layer MakeLayer(const LayerPlan& plan) {
  index::Layer layer;
  layer.segment = index::Segment::Build(plan.documents);
  if (plan.deleted.empty()) return layer;
  const index::Segment& segment = *layer.segment;
  auto deleted = std::make_shared<index::Deleted>();
  std::vector<index::Ordinal> gone;
  for (const std::string& id : plan.deleted) gone.push_back(*segment.Find(id));
  deleted->Add(segment, gone);
  layer.deleted = std::move(deleted);
  return layer;
}

inline index::View MakeView(Chance& chance, MemoryMaker& maker,
                            const std::vector<MemoryRow>& memories) {
  std::vector<LayerPlan> plans(1 + chance.Below(6));
  for (const MemoryRow& memory : memories) {
    const std::size_t home = chance.Below(plans.size());
    if (auto document = DocumentOf(memory)) plans[home].documents.push_back(*std::move(document));
    // An older state of it, in another layer.
    const std::size_t other = chance.Below(plans.size());
    if (other == home || !chance.In(3)) continue;
    auto document = DocumentOf(chance.In(2) ? memory : maker.Make(memory.id), true);
    if (!document) continue;
    plans[other].documents.push_back(*std::move(document));
    plans[other].deleted.insert(memory.id);
  }
  index::View view;
  for (const LayerPlan& plan : plans) view.layers.push_back(MakeLayer(plan));
  return view;
}

// -- What is asked of them ------------------------------------------------------------------------

inline Filter RandomFilter(Chance& chance, const WorldKind& kind) {
  Filter filter;
  if (chance.In(2)) filter.namespace_ = kNamespaces[chance.Below(kind.namespaces)];
  if (chance.In(12)) filter.namespace_ = "team//a/none";
  if (chance.In(6)) filter.tier = static_cast<Tier>(chance.Below(3));
  if (chance.In(6)) filter.min_priority = static_cast<std::int64_t>(chance.Below(8));
  const absl::Time time = kNow - absl::Hours(24 * 200) + absl::Minutes(chance.Below(4'000) * 7) +
                          absl::Nanoseconds(static_cast<double>(chance.Below(12)) / 4);
  if (chance.In(8)) filter.since = time;
  if (chance.In(8)) filter.until = time;
  if (chance.In(5)) {
    for (std::size_t i = 1 + chance.Below(2); i > 0; --i) filter.tags.push_back(chance.Of(kTags));
  }
  if (chance.In(20)) filter.tags.push_back("no such tag");
  if (chance.In(8)) filter.agent_id = chance.Of(kAgents);
  if (chance.In(4)) {
    filter.as_agent = chance.Of<std::string>({"team/a/x/deep", "team/a/x", "team", "org/u/t/me"});
  }
  filter.expired = chance.In(3);
  return filter;
}

}  // namespace aimem::recall
