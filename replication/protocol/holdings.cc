#include "replication/protocol/holdings.h"

#include <algorithm>
#include <set>
#include <utility>

#include "lib/log/commit.h"
#include "replication/protocol/vectors.h"

namespace aimem::replication {
namespace {

bool Names(const std::vector<std::uint64_t>& streams, std::uint64_t stream) {
  return std::find(streams.begin(), streams.end(), stream) != streams.end();
}

}  // namespace

std::vector<std::uint64_t> Holdings::BrokenBy(
    const log::StoreState& state, const std::vector<log::DurableCommit>& commits) const {
  std::set<std::pair<std::uint64_t, std::uint64_t>> told;
  for (const log::DurableCommit& commit : commits) told.emplace(commit.stream, commit.seq);
  std::vector<std::uint64_t> broke;
  for (const auto& [stream, head] : state_.heads) {
    const auto now = state.heads.find(stream);
    if (now == state.heads.end() || now->second.seq < head.seq ||
        (now->second.seq == head.seq && now->second.hash != head.hash)) {
      broke.push_back(stream);
      continue;
    }
    // What this store does not write grows by commits that are told. Otherwise its head was
    // adopted, and nothing says that it continues what was here.
    const bool grew = now->second.seq > head.seq && stream != state.stream;
    if (grew && !told.contains({stream, head.seq + 1})) broke.push_back(stream);
  }
  return broke;
}

Holdings::Change Holdings::Take(const log::StoreState& state,
                                const std::vector<log::DurableCommit>& commits) {
  Change change{.grew = {}, .broke = BrokenBy(state, commits)};
  for (const auto& [stream, head] : state.heads) {
    const auto before = state_.heads.find(stream);
    if (before != state_.heads.end() && before->second == head) continue;
    change.grew.push_back(stream);
    quiet_.Changed(before == state_.heads.end() ? nullptr : &before->second, &head);
    See(head.hlc);
    // The head that it was is what peers may name for a while.
    if (before != state_.heads.end() && !known_.Find(stream, before->second.seq)) {
      known_.Add(stream, before->second.seq, before->second.hash);
    }
  }
  for (const std::uint64_t stream : change.broke) {
    quiet_.Changed(&state_.heads.at(stream), nullptr);
  }
  state_ = state;
  vector_ = VectorOf(state_.heads);
  return change;
}

std::uint64_t Holdings::KeepCommon(std::uint64_t stream) {
  const std::uint64_t seq = SeqOf(vector_, stream);
  if (seq > 0 && known_.Find(stream, seq) == state_.heads.at(stream).hash) {
    known_.DropAfter(stream, seq);
    return seq;
  }
  known_.Drop(stream);
  return 0;
}

void Holdings::Remember(const std::vector<log::DurableCommit>& commits) {
  for (const log::DurableCommit& commit : commits) {
    if (const auto head = log::PeekHead(*commit.bytes)) {
      known_.Add(commit.stream, commit.seq, head->hash);
    }
  }
}

void Holdings::See(std::uint64_t hlc) { hlc_ = std::max(hlc_, hlc); }

std::optional<Hash256> Holdings::HashAt(std::uint64_t stream, std::uint64_t seq) const {
  const auto head = state_.heads.find(stream);
  const std::optional<Hash256> hash = head != state_.heads.end() && head->second.seq == seq
                                          ? std::optional(head->second.hash)
                                          : known_.Find(stream, seq);
  return hash == Hash256{} ? std::nullopt : hash;
}

bool Holdings::Own(std::uint64_t stream) const { return stream == state_.stream || Lost(stream); }

bool Holdings::Yielded(std::uint64_t stream) const { return Names(state_.yielded, stream); }

bool Holdings::Lost(std::uint64_t stream) const { return Names(state_.lost, stream); }

}  // namespace aimem::replication
