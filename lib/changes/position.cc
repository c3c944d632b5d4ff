#include "lib/changes/position.h"

#include <string>
#include <string_view>

#include "lib/base/status.h"
#include "lib/changes/meta.h"
#include "lib/changes/streams.h"
#include "lib/log/grammar.h"

namespace aimem::changes {

absl::StatusOr<std::optional<index::Position>> PositionOf(const ReadResult& read) {
  AIMEM_ASSIGN_OR_RETURN(const Streams streams, StreamsOf(read));
  if (streams.installing) return std::nullopt;
  index::Position position;
  for (const auto& [stream, head] : streams.heads) {
    if (head.seq > 0) position.heads[stream] = {head.seq, head.hash};
  }
  const auto add = [&](std::string_view key, std::string_view value) {
    log::AppendBytes(key, position.rows_version);
    log::AppendBytes(value, position.rows_version);
  };
  if (const auto rows = read.meta.find(kMetaRows); rows != read.meta.end()) {
    add(rows->first, rows->second);
  }
  constexpr std::string_view kPrefix = kMetaHead;
  for (auto it = read.meta.lower_bound(kMetaHead); it != read.meta.end(); ++it) {
    if (!it->first.starts_with(kPrefix)) break;
    add(it->first, it->second);
  }
  return position;
}

void NoteRows(Random& random, WriteSet& set) { SetMeta(set, kMetaRows, FreshBytes(random)); }

}  // namespace aimem::changes
