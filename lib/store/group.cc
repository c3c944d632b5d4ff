#include "lib/store/group.h"

#include <algorithm>
#include <string>
#include <utility>

namespace aimem::store {

bool GroupLog::Empty() const {
  return set.rows.empty() && set.log.empty() && set.meta.empty() && set.log_cuts.empty() &&
         set.log_tails.empty();
}

void GroupLog::Append(log::CommitHeader header, std::vector<log::Change> changes, Random& random) {
  StreamHead& head = streams.heads[streams.stream];
  std::vector<std::uint8_t> nonces(16 * changes.size());
  random.Fill(nonces);
  for (std::size_t i = 0; i < changes.size(); ++i) {
    std::copy_n(nonces.begin() + static_cast<std::ptrdiff_t>(16 * i), 16,
                changes[i].nonce.bytes.begin());
  }
  log::Commit commit;
  commit.header = std::move(header);
  commit.header.stream = streams.stream;
  commit.header.seq = head.seq + 1;
  commit.header.prev_hash = head.hash;
  commit.changes = std::move(changes);
  std::string bytes = log::EncodeCommit(commit);
  head = {commit.header.seq, commit.header.hlc, commit.header.content_hash};
  own.emplace(streams.stream, commit.header.seq);
  set.log.push_back({streams.stream, commit.header.seq, commit.header.operation, std::move(bytes)});
}

}  // namespace aimem::store
