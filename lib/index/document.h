// Document: one live memory as the index knows it, made of its row and of nothing else.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/index/features.h"
#include "lib/model/parts.h"
#include "lib/model/view.h"
#include "lib/text/analysis.h"

namespace aimem::index {

/// Who may see a memory, by its metadata `scope` (model::ScopeVisible). Numbers are stored.
enum class Scope : std::uint8_t {
  kPrivate = 0,  ///< Also where none is set.
  kTeam = 1,
  kUnit = 2,
  kOrg = 3,
  kCollective = 4,
  kUnknown =
      5,  ///< A word, or no word, that is none of these: nobody who asks as somebody sees it.
};
std::string_view ScopeName(Scope scope);
Scope ReadScope(const model::MemoryView& view, std::span<const model::Part> parts);

inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

/// What filters ask of a memory apart from its namespace, agent and tags.
struct Facts {
  Tier tier = Tier::kMid;  ///< As it counts now, touches included. Features::tier is as given.
  Scope scope = Scope::kPrivate;
  std::int64_t expires_at = kNever;  ///< Nanoseconds; the end that counts. kNever: none.
};

/// How a memory holds one term.
struct Occurrence {
  std::string term;
  /// Uses in title, content and tags, as words and identifiers. 0: its speaker is called so, only.
  std::uint32_t count = 0;
  bool speaker = false;  ///< Its speaker is called so.

  friend bool operator==(const Occurrence&, const Occurrence&) = default;
};

/// Counts of one term are cut here: the weight of more is the same to the last digit shown.
inline constexpr std::uint32_t kCountMax = (1u << 24) - 1;

/// Terms of a filter: a byte that no analysed text begins with, and the exact bytes. They count 1,
/// in no length, and no question has them.
std::string TagTerm(std::string_view tag);
std::string AgentTerm(std::string_view agent_id);

/// Whoever changes what MakeDocument makes of any row must raise it (terms:
/// text::kAnalysisVersion), and every store then makes its index anew.
inline constexpr int kDocumentVersion = 1;

struct Document {
  std::string id;
  std::string namespace_;
  std::string talk;  ///< TalkRole::stream.
  Features features;
  Facts facts;
  std::int64_t tokens = 0;        ///< A quarter of the bytes of title and content, rounded down.
  std::vector<Occurrence> terms;  ///< Ascending by bytes, each once; those of filters included.
};

/// `view` (live), read with `analyzer`.
Document MakeDocument(text::Analyzer& analyzer, std::string_view id, const model::MemoryView& view,
                      std::span<const model::Part> parts);

}  // namespace aimem::index
