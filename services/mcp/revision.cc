#include "services/mcp/revision.h"

namespace aimem::mcp {

std::string_view RevisionName(Revision revision) {
  switch (revision) {
    case Revision::k2024_11:
      return "2024-11-05";
    case Revision::k2025_03:
      return "2025-03-26";
    case Revision::k2025_06:
      return "2025-06-18";
    case Revision::k2025_11:
      return "2025-11-25";
    case Revision::k2026_07:
      break;
  }
  return "2026-07-28";
}

std::optional<Revision> ParseRevision(std::string_view name) {
  for (const Revision revision : kRevisions) {
    if (RevisionName(revision) == name) return revision;
  }
  return std::nullopt;
}

}  // namespace aimem::mcp
