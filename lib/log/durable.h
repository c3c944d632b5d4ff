// What is durable of a log: where a store stands, and the commits that brought it there.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "aimem/types.h"

namespace aimem::log {

/// One commit as it became durable.
struct DurableCommit {
  bool own = false;  ///< This process has made it; false: it was applied, others have it.
  std::uint64_t stream = 0;
  std::uint64_t seq = 0;
  OperationId operation = {};
  std::shared_ptr<const std::string> bytes = {};  ///< Encoded, as in ChangePage::commits.
};

/// Where a store stands: what is durable in it, and whose history it writes.
struct StoreState {
  /// The last commit of each stream. Empty while the store is being filled.
  StreamHeads heads = {};
  std::uint64_t stream = 0;  ///< The stream that it writes; 0: none yet.
  /// Streams that it wrote and of which others are known to hold more, or something else: it was
  /// put back to an earlier state. It writes them no more.
  std::vector<std::uint64_t> lost = {};
  /// Those of `lost` of which it gave up its own end, or could not: as it holds them now, everybody
  /// comes to hold them.
  std::vector<std::uint64_t> yielded = {};
  bool installing = false;  ///< It is being filled with another's states.

  friend bool operator==(const StoreState&, const StoreState&) = default;
};

}  // namespace aimem::log
