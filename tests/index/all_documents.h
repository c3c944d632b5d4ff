// All documents of a snapshot, as its rows say, and as a view of the index says.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "gtest/gtest.h"
#include "lib/changes/position.h"
#include "lib/index/document.h"
#include "lib/index/view.h"
#include "lib/log/grammar.h"
#include "lib/model/view.h"
#include "lib/text/analysis.h"

namespace aimem::index {

/// By id, all that can be seen of it; by "namespace NAME", how many and how long.
using AllDocuments = std::map<std::string, std::string>;

inline std::string Show(const Document& document) {
  const Features& f = document.features;
  std::string text = absl::StrFormat(
      "in '%s' talk '%s' given %d counts as %d scope %d priority %d confidence %.17g created %d "
      "updated %d used %d length %d time words %d expires %d tokens %d:",
      document.namespace_, document.talk, static_cast<int>(f.tier),
      static_cast<int>(document.facts.tier), static_cast<int>(document.facts.scope), f.priority,
      f.confidence, absl::ToUnixNanos(f.created_at), absl::ToUnixNanos(f.updated_at),
      f.access_count, f.length, static_cast<int>(f.time_words), document.facts.expires_at,
      document.tokens);
  for (const Occurrence& term : document.terms) {
    absl::StrAppend(&text, " ", term.term, "*", term.count, term.speaker ? "!" : "");
  }
  return text;
}

inline AllDocuments Shown(const std::vector<Document>& documents) {
  AllDocuments shown;
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> namespaces;
  for (const Document& document : documents) {
    EXPECT_TRUE(shown.emplace(document.id, Show(document)).second) << "twice: " << document.id;
    auto& [count, length] = namespaces[document.namespace_];
    ++count;
    length += document.features.length;
  }
  for (const auto& [name, totals] : namespaces) {
    shown["namespace " + name] = absl::StrCat(totals.first, " of ", totals.second);
  }
  return shown;
}

inline AllDocuments DocumentsOfRows(Transaction& transaction) {
  text::Analyzer analyzer = *text::Analyzer::Create();
  std::vector<Document> documents;
  ScanRequest request;
  request.max_rows = 7;
  for (bool more = true; more;) {
    const auto rows = transaction.Scan(request);
    EXPECT_TRUE(rows.ok()) << rows.status();
    if (!rows.ok()) return {};
    more = rows->size() == request.max_rows;
    for (const EntityRow& row : *rows) {
      request.after = row.key;
      const auto parts = log::DecodeState(row.state);
      if (row.key.kind != Kind::kMemory || !parts.ok()) continue;
      const model::MemoryView view = model::ViewMemory(*parts);
      if (view.phase != model::Phase::kLive) continue;
      documents.push_back(MakeDocument(analyzer, row.key.key, view, *parts));
    }
  }
  return Shown(documents);
}

/// Those of one layer, deleted ones too.
inline std::vector<Document> DocumentsOf(const Segment& segment) {
  std::vector<Document> documents(segment.size());
  for (Ordinal i = 0; i < segment.size(); ++i) {
    const auto talk = segment.TalkOf(i);
    documents[i] = {.id = segment.Id(i),
                    .namespace_ = segment.namespaces()[segment.NamespaceOf(i)].name,
                    .talk = talk ? std::string(talk->stream) : std::string(),
                    .features = segment.FeaturesOf(i),
                    .facts = segment.FactsOf(i),
                    .tokens = segment.TokensOf(i)};
  }
  for (std::size_t term = 0; term < segment.terms(); ++term) {
    PostingsReader postings = segment.PostingsOf(term);
    for (auto run = postings.NextRun(); !run.empty(); run = postings.NextRun()) {
      for (const Posting& one : run) {
        documents[one.document].terms.push_back(
            {std::string(segment.Term(term)), one.count, one.speaker != 0});
      }
    }
  }
  return documents;
}

inline AllDocuments DocumentsOfView(const View& view) {
  std::vector<Document> live;
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> totals;
  for (const Layer& layer : view.layers) {
    EXPECT_GT(layer.live(), 0u);
    std::vector<Document> documents = DocumentsOf(*layer.segment);
    for (Ordinal i = 0; i < layer.segment->size(); ++i) {
      if (layer.IsLive(i)) live.push_back(std::move(documents[i]));
    }
    for (std::size_t i = 0; i < layer.segment->namespaces().size(); ++i) {
      const DocumentTotals of = layer.LiveOf(i);
      auto& [count, length] = totals[layer.segment->namespaces()[i].name];
      count += of.documents;
      length += of.total_length;
    }
  }
  EXPECT_EQ(view.documents(), static_cast<std::int64_t>(live.size()));
  AllDocuments shown = Shown(live);
  for (const auto& [name, of] : totals) {
    if (of.first == 0 && of.second == 0) continue;
    EXPECT_EQ(shown["namespace " + name], absl::StrCat(of.first, " of ", of.second));
  }
  return shown;
}

/// Where the snapshot is; nullopt: no index holds there.
inline std::optional<Position> PositionOf(Transaction& transaction) {
  const auto read = transaction.Read({.heads = true, .meta = true});
  EXPECT_TRUE(read.ok()) << read.status();
  if (!read.ok()) return std::nullopt;
  auto position = changes::PositionOf(*read);
  EXPECT_TRUE(position.ok()) << position.status();
  return position.ok() ? *std::move(position) : std::nullopt;
}

}  // namespace aimem::index
