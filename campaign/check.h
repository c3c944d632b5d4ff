// Comparing what writers were told with what a store holds.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "campaign/journal.h"

namespace aimem::campaign {

/// A live memory, as the store shows it.
struct StoredRow {
  std::string namespace_;
  std::string title;
  std::string id;
  std::string content;
};

/// What the comparison found. What is counted after `live` must be 0.
struct Findings {
  std::int64_t acknowledged = 0;    ///< Writes.
  std::int64_t unacknowledged = 0;  ///< Sent, never answered: may be there or not.
  std::int64_t unacknowledged_there = 0;
  std::int64_t live = 0;  ///< Memories that the acknowledged writes leave.

  std::int64_t missing = 0;       ///< Acknowledged memories that are not there.
  std::int64_t doubled = 0;       ///< Memories of a name too many, and writes carried out twice.
  std::int64_t wrong = 0;         ///< Another content or id than the last acknowledged one.
  std::int64_t unexpected = 0;    ///< There, though deleted, or never written.
  std::int64_t out_of_order = 0;  ///< Logged before a write that was answered before it was sent.
  /// The first 20, each a sentence.
  std::vector<std::string> problems;

  [[nodiscard]] bool ok() const {
    return missing + doubled + wrong + unexpected + out_of_order == 0;
  }
};

/// Compare the journals of all who wrote with all live memories of the namespaces they wrote to.
///
/// Several writers may write one name: the order of the store's log decides who was last. Where
/// the answers do not tell a place in the log, the last to be answered was last: then each name
/// must be written by one writer, one write at a time. Touches and links count for the order of
/// the log alone.
Findings CheckStore(std::span<const Journal> journals, std::span<const StoredRow> rows);

}  // namespace aimem::campaign
