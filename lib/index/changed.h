// Changed: what the log and the rows say of the memories that an index does not know yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "lib/index/view.h"

namespace aimem::index {

/// Where one position is, seen from another.
enum class Order : std::uint8_t {
  kSame,
  kBefore,  ///< It may have led to the other: no stream has more, and none something else.
  kAfter,   ///< The other may have led to it.
  kApart,   ///< Neither.
};
Order OrderOf(const Position& position, const Position& other);

/// How much of the log may be read.
struct LogReach {
  std::size_t changes = 0;  ///< Commits, and keys that these name.
  std::size_t bytes = 0;    ///< Of commits; passed by one page at most.
};

/// The memories that the commits between `from` and `to` (kBefore it) name, each once, ascending.
/// nullopt: the log has not all of these commits, or one that cannot be read, or they do not follow
/// `from`, or there are more of them than `reach`.
absl::StatusOr<std::optional<std::vector<std::string>>> ReadChanged(Transaction& transaction,
                                                                    const Position& from,
                                                                    const Position& to,
                                                                    const LogReach& reach);

/// Call `sink` with a document of each of the memories `ids` that is live and whose row decodes.
absl::Status ReadDocuments(Transaction& transaction, std::span<const std::string> ids,
                           absl::FunctionRef<void(Document)> sink);
/// The same, of all memories that there are. `next_page` is called before each page of rows is
/// read, with how many rows were.
absl::Status ScanDocuments(
    Transaction& transaction, absl::FunctionRef<void(Document)> sink,
    absl::FunctionRef<void(std::int64_t)> next_page = [](std::int64_t) {});

}  // namespace aimem::index
