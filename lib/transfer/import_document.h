// Parsing a document that an export wrote. No store is involved: form only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/memory.h"
#include "aimem/write_batch.h"

namespace aimem::transfer {

inline constexpr std::size_t kDocumentBytesMax = 1u << 30;
/// Deeper than any document that can be imported: metadata ends at 32 levels.
inline constexpr int kDocumentDepthMax = 64;

/// A memory of the document. `memory.metadata` is JSON text as it was found, not yet canonical.
struct DocumentMemory {
  Memory memory;
  /// Not OK: a value cannot be that of a memory; the others of the document stand.
  absl::Status status;
};

struct DocumentLink {
  AddLink link;
  absl::Status status;
};

struct ImportDocument {
  std::vector<DocumentMemory> memories;
  std::vector<DocumentLink> links;
  /// Entries of "links" that name no two memories.
  std::int64_t malformed_links = 0;
};

/// Parse all of `in`, event by event. kInvalidArgument with line and column: not JSON, not this
/// kind of document, a memory without a field that each has, a field of another type, too large,
/// too deep. kUnavailable: `in` failed.
absl::StatusOr<ImportDocument> ParseImportDocument(std::istream& in);

}  // namespace aimem::transfer
