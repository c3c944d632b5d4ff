// Talk: which memories are turns of one conversation, and who said them.
#pragma once

#include <span>
#include <string>

#include "lib/model/parts.h"
#include "lib/model/view.h"

namespace aimem::index {

/// How a memory takes part in talk.
struct TalkRole {
  /// The conversation, unique in the store; empty: it is no turn of one. Of one namespace, and of
  /// one session tag (`session-7`, `session:7` …), else metadata `session_id`, else one agent whose
  /// source is import, hook or mine-…
  std::string stream;
  /// Who said it, in talk or not: the leading `Name:` of the content, else metadata `author`.
  /// Empty: nobody says. A leading name is a word of the content all the same: what looks like a
  /// name may be none, and turns do better to borrow it, too (docs/performance.md).
  std::string speaker;
};
TalkRole ReadTalk(const model::MemoryView& view, std::span<const model::Part> parts);

}  // namespace aimem::index
