#include "lib/changes/apply.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/log/grammar.h"
#include "lib/model/parts.h"

namespace aimem::changes {
namespace {

// What a change adds to its commit besides key and body: kind, lengths, nonce.
constexpr std::size_t kChangeOverhead = 64;
constexpr std::size_t kHeaderReserve = 64u << 10;
// Any state that decodes fits into a commit.
static_assert(kHeaderReserve + kChangeOverhead + log::kMaxKeyBytes + log::kMaxStateBytes <=
              log::kMaxCommitBytes);

/// Whether `status` is that of one row, which others need not wait for: it does not decode, or
/// would be larger than what can be read again.
bool IsOfOneRow(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsResourceExhausted(status);
}

// Half of all stamps, the year 6429: from there on one must follow what is known here already, by
// no more than this. A member would have to make two thousand million commits to use up the rest.
constexpr std::uint64_t kRoomEnds = std::uint64_t{1} << 63;
constexpr std::uint64_t kStepMax = std::uint64_t{1} << 32;
// A store that is being filled knows nothing to compare with.
constexpr std::uint64_t kFilledMax = std::uint64_t{3} << 62;

void Saw(std::uint64_t hlc, CheckedPage& page) {
  page.greatest = std::max(page.greatest, hlc);
  if (hlc < kRoomEnds) page.greatest_with_room = std::max(page.greatest_with_room, hlc);
}

void Refuse(const log::Commit& commit, absl::Status status, ApplyResult& result) {
  result.refusals.push_back({commit.header.stream, commit.header.seq, {}, std::move(status)});
}

/// OK if the commit is known, or the next of its stream.
absl::Status Follows(const log::CommitHeader& header, const StreamHead& head) {
  // A last commit that cannot be read blocks its own place, not its stream.
  const bool unknown = head.seq > 0 && head.hash == Hash256{};
  if (header.seq <= head.seq) {
    if (header.seq < head.seq || unknown || header.content_hash == head.hash) {
      return absl::OkStatus();
    }
    return absl::DataLossError(
        absl::StrFormat("forked stream %016x: two commits with seq %d", header.stream, header.seq));
  }
  if (header.seq != head.seq + 1) {
    return absl::OutOfRangeError(absl::StrFormat("gap in stream %016x: seq %d came, %d is next",
                                                 header.stream, header.seq, head.seq + 1));
  }
  if (!unknown && header.prev_hash != head.hash) {
    return absl::DataLossError(absl::StrFormat(
        "forked stream %016x: commit %d does not follow ours", header.stream, header.seq));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CheckedPage> CheckPage(ChangePage page, bool each) {
  CheckedPage checked;
  checked.adopt = std::move(page.adopt);
  checked.install = page.install;
  checked.end = page.end;
  checked.next = std::move(page.next);
  model::Parts parts;
  for (EntityState& state : page.states) {
    if (state.key.key.size() > log::kMaxKeyBytes) {
      return MakeStatus(
          absl::StatusCode::kInvalidArgument,
          absl::StrCat("key of ", state.key.key.size(), " bytes exceeds ", log::kMaxKeyBytes));
    }
    if (absl::Status status = log::DecodeState(state.state, parts); !status.ok()) {
      return Annotate(status, absl::StrCat("state of '", state.key.key, "'"));
    }
    for (const model::Part& part : parts) Saw(part.stamp.hlc, checked);
    checked.states.push_back({std::move(state.key), std::move(state.state)});
  }
  for (std::string& bytes : page.commits) {
    absl::StatusOr<log::Commit> read = log::DecodeCommit(bytes);
    if (!read.ok() && each) {
      const log::Position at = log::PeekPosition(bytes).value_or(log::Position());
      // Not kDataLoss: that is a fork.
      checked.unreadable.push_back(
          {at.stream, at.seq, {}, absl::InvalidArgumentError(read.status().message())});
      continue;
    }
    AIMEM_ASSIGN_OR_RETURN(log::Commit commit, std::move(read));
    Saw(commit.header.hlc, checked);
    for (const log::Change& change : commit.changes) {
      if (change.withheld || change.unreadable) continue;
      AIMEM_RETURN_IF_ERROR(log::DecodeState(change.body, parts));
      for (const model::Part& part : parts) Saw(part.stamp.hlc, checked);
    }
    checked.commits.push_back({std::move(commit), std::move(bytes)});
  }
  return checked;
}

absl::Status CheckRoom(const CheckedPage& page, const StreamHeads& heads) {
  if (page.greatest < kRoomEnds || (page.install && page.greatest < kFilledMax)) {
    return absl::OkStatus();
  }
  std::uint64_t known = page.greatest_with_room;
  for (const auto& [stream, head] : heads) known = std::max(known, head.hlc);
  if (page.greatest <= known || page.greatest - known <= kStepMax) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("a stamp of %016x, far from the greatest one known here, %016x, would leave "
                      "no room for later "
                      "ones: its author's clock or software is broken, or means harm",
                      page.greatest, known));
}

absl::Status ApplyStates(const CheckedPage& page, Rows& rows,
                         absl::FunctionRef<absl::Status(std::vector<log::Change>)> commit,
                         ApplyResult& result) {
  ReadSet reads;
  for (const CheckedPage::State& state : page.states) reads.keys.push_back(state.key);
  AIMEM_RETURN_IF_ERROR(rows.Fetch(reads).status());
  std::vector<log::Change> changes;
  std::size_t bytes = kHeaderReserve;
  model::Parts parts;
  for (const CheckedPage::State& state : page.states) {
    AIMEM_RETURN_IF_ERROR(log::DecodeState(state.bytes, parts));
    const absl::StatusOr<bool> changed = rows.Join(state.key, parts);
    if (IsOfOneRow(changed.status())) {
      result.refusals.push_back({0, 0, state.key, changed.status()});
      continue;
    }
    AIMEM_RETURN_IF_ERROR(changed.status());
    if (!*changed) continue;
    ++result.rows_changed;
    const std::size_t size = state.key.key.size() + state.bytes.size() + kChangeOverhead;
    if (changes.size() == log::kMaxChanges || bytes + size > log::kMaxCommitBytes) {
      AIMEM_RETURN_IF_ERROR(commit(std::move(changes)));
      changes.clear();
      bytes = kHeaderReserve;
    }
    bytes += size;
    log::Change change;
    change.key = state.key;
    change.body = state.bytes;
    changes.push_back(std::move(change));
  }
  return changes.empty() ? absl::OkStatus() : commit(std::move(changes));
}

absl::Status InstallStates(const CheckedPage& page, Rows& rows, ApplyResult& result) {
  ReadSet reads;
  for (const CheckedPage::State& state : page.states) reads.keys.push_back(state.key);
  AIMEM_RETURN_IF_ERROR(rows.Fetch(reads).status());
  model::Parts parts;
  for (const CheckedPage::State& state : page.states) {
    AIMEM_RETURN_IF_ERROR(log::DecodeState(state.bytes, parts));
    const absl::StatusOr<bool> changed = rows.Join(state.key, parts);
    if (IsOfOneRow(changed.status())) {
      result.refusals.push_back({0, 0, state.key, changed.status()});
      continue;
    }
    AIMEM_RETURN_IF_ERROR(changed.status());
    if (*changed) ++result.rows_changed;
  }
  return absl::OkStatus();
}

absl::Status ApplyErased(const ErasedBefore& erased, Rows& rows,
                         absl::FunctionRef<absl::Status(std::vector<log::Change>)> commit) {
  std::vector<log::Change> changes;
  for (const auto& [key, stamp] : erased) {
    if (rows.IsPurged(key)) continue;
    const model::Parts purge{{model::part::kPurged, stamp, ""}};
    const absl::StatusOr<bool> changed = rows.Join(key, purge);
    if (IsOfOneRow(changed.status())) continue;
    AIMEM_RETURN_IF_ERROR(changed.status());
    if (changes.size() == log::kMaxChanges) {
      AIMEM_RETURN_IF_ERROR(commit(std::exchange(changes, {})));
    }
    log::Change& change = changes.emplace_back();
    change.key = key;
    change.body = log::EncodeState(purge);
  }
  return changes.empty() ? absl::OkStatus() : commit(std::move(changes));
}

absl::Status ApplyCommits(const CheckedPage& page, Rows& rows, StreamHeads& heads, WriteSet& set,
                          ApplyResult& result, ErasedBefore& erased) {
  ReadSet reads;
  for (const CheckedPage::CommitBytes& item : page.commits) {
    for (const log::Change& change : item.commit.changes) reads.keys.push_back(change.key);
  }
  AIMEM_RETURN_IF_ERROR(rows.Fetch(reads).status());
  model::Parts parts;
  for (const CheckedPage::CommitBytes& item : page.commits) {
    const log::CommitHeader& header = item.commit.header;
    StreamHead& head = heads[header.stream];
    if (absl::Status refused = Follows(header, head); !refused.ok()) {
      Refuse(item.commit, std::move(refused), result);
      continue;
    }
    // Known: repetition is welcome, above all of a last commit that cannot be read here.
    const bool mends = header.seq == head.seq && head.hash == Hash256{};
    if (header.seq <= head.seq && !mends) continue;
    if (mends) set.log_tails.emplace_back(header.stream, header.seq - 1);
    // The log has it whatever becomes of its changes: one that cannot be applied blocks its own
    // entity and no other.
    for (const log::Change& change : item.commit.changes) {
      if (change.withheld) {
        Stamp& last = erased[change.key];
        last = std::max(last, header.stamp());
        continue;
      }
      if (change.unreadable) {
        result.unapplied.push_back(
            {header.stream, header.seq, change.key, absl::DataLossError("its body is no state")});
        continue;
      }
      AIMEM_RETURN_IF_ERROR(log::DecodeState(change.body, parts));
      const absl::StatusOr<bool> changed = rows.Join(change.key, parts);
      if (IsOfOneRow(changed.status())) {
        result.unapplied.push_back({header.stream, header.seq, change.key, changed.status()});
        continue;
      }
      AIMEM_RETURN_IF_ERROR(changed.status());
      if (*changed) ++result.rows_changed;
    }
    if (item.commit.opaque) {
      ApplyRefusal& unapplied = result.unapplied.emplace_back();
      unapplied.stream = header.stream;
      unapplied.seq = header.seq;
      unapplied.status = absl::UnimplementedError("its version is unknown");
    }
    rows.Saw(header.stamp());
    head = {header.seq, header.hlc, header.content_hash};
    set.log.push_back({header.stream, header.seq, header.operation, item.bytes});
  }
  return absl::OkStatus();
}

absl::Status CheckFollows(const CheckedPage& page, StreamHeads heads) {
  for (const CheckedPage::CommitBytes& item : page.commits) {
    const log::CommitHeader& header = item.commit.header;
    StreamHead& head = heads[header.stream];
    AIMEM_RETURN_IF_ERROR(Follows(header, head));
    if (header.seq > head.seq) head = {header.seq, header.hlc, header.content_hash};
  }
  return absl::OkStatus();
}

}  // namespace aimem::changes
