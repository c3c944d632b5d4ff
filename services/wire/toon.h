// TOON: memories as lines of columns, which cost a model fewer tokens than JSON.
//
//   count:N[|mode:WORD][|tokens_used:N][|budget_tokens:N]
//   standards[id|title|content]:        only if there are any; a row each follows
//   memories[COLUMN|…]:                 always; a row each follows
//
// A row is its values joined by '|'. Each line ends with LF. In values `\`, `|`, `:`, LF and CR are
// escaped by a `\`; what is missing is empty; tags are joined by ','; an empty object is empty.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "aimem/memory.h"

namespace aimem::wire {

enum class ToonColumns : std::uint8_t {
  kCompact,  ///< id, title, tier, namespace, priority, score, tags, agent_id.
  /// Without agent_id, but with confidence, access_count, source, created_at, updated_at, metadata.
  kFull,
};

struct ToonRow {
  const Memory* memory = nullptr;
  std::optional<double> score = {};  ///< Written with 3 decimals at most.
};

/// What is to be written. Memories are borrowed.
struct ToonDocument {
  std::string mode = {};  ///< Empty: none.
  std::optional<std::int64_t> tokens_used = {}, budget_tokens = {};
  std::vector<const Memory*> standards = {};  ///< General to specific.
  std::vector<ToonRow> rows = {};             ///< `count` is how many.
};

std::string ToToon(const ToonDocument& document, ToonColumns columns);

}  // namespace aimem::wire
