// The revisions of the protocol, and what each of them has.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace aimem::mcp {

/// In the order of their dates. The first four are stateful and negotiated by `initialize`; in the
/// last each request stands alone.
enum class Revision : std::uint8_t { k2024_11, k2025_03, k2025_06, k2025_11, k2026_07 };

inline constexpr std::array kRevisions = {Revision::k2026_07, Revision::k2025_11,
                                          Revision::k2025_06, Revision::k2025_03,
                                          Revision::k2024_11};  // the newest first
inline constexpr Revision kNewestStateful = Revision::k2025_11;

/// "2024-11-05", …
std::string_view RevisionName(Revision revision);
std::optional<Revision> ParseRevision(std::string_view name);

// What is never sent to, nor accepted from, who speaks an earlier one. The surface of 2024-11-05 is
// that of ai-memory v0.6.0, which had less than the text of that revision.
inline bool IsStateless(Revision revision) { return revision == Revision::k2026_07; }
inline bool HasAnnotations(Revision revision) { return revision >= Revision::k2025_03; }
inline bool HasInstructions(Revision revision) { return revision >= Revision::k2025_03; }
inline bool HasPages(Revision revision) { return revision >= Revision::k2025_03; }
inline bool HasProgress(Revision revision) { return revision >= Revision::k2025_03; }
inline bool HasCompletion(Revision revision) { return revision >= Revision::k2025_03; }
inline bool HasResources(Revision revision) { return revision >= Revision::k2025_03; }
inline bool HasSubscribe(Revision revision) {
  return revision >= Revision::k2025_03 && !IsStateless(revision);
}
inline bool HasBatches(Revision revision) { return revision == Revision::k2025_03; }
inline bool HasReceipts(Revision revision) { return revision >= Revision::k2025_03; }
inline bool HasTitles(Revision revision) { return revision >= Revision::k2025_06; }
inline bool HasStructuredContent(Revision revision) { return revision >= Revision::k2025_06; }
inline bool HasServerDescription(Revision revision) { return revision >= Revision::k2025_11; }
/// An unknown tool is an error of the protocol, and so are arguments that are no object.
inline bool RefusesUnknownTools(Revision revision) { return revision >= Revision::k2025_03; }
/// An error whose request has no id that can be read says `"id":null`.
inline bool SaysNullId(Revision revision) { return revision <= Revision::k2025_06; }

}  // namespace aimem::mcp
