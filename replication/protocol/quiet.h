// Streams that nobody has written for long are not named in every header.
//
// Each restore and each move of a member to another place ends one stream and begins another; what
// ended is held by everybody after a while, and would be told for ever. Instead a header names the
// streams that are alive, and one hash of all the others: whoever holds the same ones knows what
// it was not told, and whoever does not asks for all of them (AppendRequest::all_heads). Nothing
// is decided by what was not told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "aimem/types.h"
#include "replication/protocol/messages.h"

namespace aimem::replication {

/// A stream whose last commit has a stamp of at most this has been quiet for a day or two. It is
/// the same for a whole day, so that the hash of these streams seldom changes.
std::uint64_t QuietUntil(std::int64_t wall_ms);

/// The streams that are quiet, as one hash. Remembers the last one that was asked for. Not
/// thread-safe.
class QuietStreams {
 public:
  /// Of those of `heads` up to `until`; all zero if there are none.
  const Hash256& Digest(const StreamHeads& heads, std::uint64_t until);
  /// A stream of those that are digested went from `before`, if it was there, to `after`, if it is.
  void Changed(const StreamHead* before, const StreamHead* after);

 private:
  std::uint64_t until_ = 0;
  Hash256 digest_{};
};

/// Take the quiet ones out of `header`, whose heads are all.
void LeaveOutQuiet(std::uint64_t until, QuietStreams& quiet, Header& header);

/// All heads of whoever says `header`, if `ours` has those that it leaves out.
std::optional<StreamHeads> AllHeads(const Header& header, const StreamHeads& ours,
                                    QuietStreams& quiet);

}  // namespace aimem::replication
