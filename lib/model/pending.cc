#include "lib/model/pending.h"

#include <algorithm>
#include <array>
#include <utility>

#include "lib/model/view.h"

namespace aimem::model {
namespace {

constexpr std::size_t kTimeBytes = 8;

// The first texts with NUL between them; what follows the last is its own.
template <std::size_t count>
std::array<std::string_view, count> Split(std::string_view bytes) {
  std::array<std::string_view, count> texts;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t nul = i + 1 < count ? bytes.find('\0') : bytes.npos;
    texts[i] = bytes.substr(0, nul);
    bytes = nul == bytes.npos ? std::string_view() : bytes.substr(nul + 1);
  }
  return texts;
}

// A time and what follows it; nullopt if there is none.
struct Timed {
  absl::Time at;
  std::string_view rest;
};
std::optional<Timed> ReadTimed(std::span<const Part> parts, std::string_view name) {
  const Part* part = Find(parts, name);
  if (!part) return std::nullopt;
  const std::optional<std::int64_t> at = DecodeTime(part->value.substr(0, kTimeBytes));
  if (!at) return std::nullopt;
  return Timed{FromNanoseconds(*at), part->value.substr(kTimeBytes)};
}

void ReadDecision(std::span<const Part> parts, PendingAction& action) {
  std::optional<Timed> decision = ReadTimed(parts, part::kApproved);
  if (decision) {
    action.status = PendingStatus::kApproved;
  } else if ((decision = ReadTimed(parts, part::kRejected))) {
    action.status = PendingStatus::kRejected;
  } else {
    return;
  }
  const auto [agent_id, memory_id] = Split<2>(decision->rest);
  action.decided_at = decision->at;
  action.decided_by = agent_id;
  if (!memory_id.empty()) action.memory_id = memory_id;
}

void ReadVotes(std::span<const Part> parts, PendingAction& action) {
  Stamp last;
  for (const Part& part : parts) {
    if (part.name.empty() || part.name.front() != part::kVotePrefix) continue;
    const std::optional<std::int64_t> at = DecodeTime(part.value.substr(0, kTimeBytes));
    if (!at) continue;
    action.approvals.push_back({std::string(part.name.substr(1)), FromNanoseconds(*at)});
    if (part.stamp < last) continue;
    last = part.stamp;
    action.quorum = static_cast<std::int64_t>(
        DecodeU64(part.value.substr(std::min(kTimeBytes, part.value.size()))).value_or(0));
  }
}

std::string Timed64(std::int64_t at, std::string_view rest) { return EncodeTime(at).append(rest); }

}  // namespace

std::optional<PendingAction> ViewRequest(std::string_view id, std::span<const Part> parts) {
  const std::optional<Timed> requested = ReadTimed(parts, part::kRequested);
  if (!requested) return std::nullopt;
  PendingAction action;
  action.id = id;
  action.requested_at = requested->at;
  const auto [by, type, namespace_, memory_id, to_namespace, title] = Split<6>(requested->rest);
  action.requested_by = by;
  action.action_type = type;
  action.namespace_ = namespace_;
  action.memory_id = memory_id;
  action.to_namespace = to_namespace;
  action.title = title;
  ReadDecision(parts, action);
  return action;
}

std::optional<PendingAction> ViewPending(std::string_view id, std::span<const Part> parts) {
  std::optional<PendingAction> action = ViewRequest(id, parts);
  if (!action) return std::nullopt;
  if (Find(parts, part::kName)) {
    const MemoryView view = ViewProposed(parts);
    action->memory = ToMemory(FirstId(view.namespace_, view.title), parts, view);
  }
  ReadVotes(parts, *action);
  return action;
}

std::string EncodeRequested(std::int64_t at, const PendingAction& action) {
  std::string rest = action.requested_by;
  for (const std::string* text : {&action.action_type, &action.namespace_, &action.memory_id,
                                  &action.to_namespace, &action.title}) {
    rest.append(1, '\0').append(*text);
  }
  return Timed64(at, rest);
}

std::string EncodeApproved(std::int64_t at, std::string_view agent_id, std::string_view memory_id) {
  return Timed64(at, agent_id).append(1, '\0').append(memory_id);
}

std::string EncodeRejected(std::int64_t at, std::string_view agent_id) {
  return Timed64(at, agent_id);
}

std::string VotePart(std::string_view agent_id) {
  return std::string(1, part::kVotePrefix).append(agent_id);
}

std::string EncodeVote(std::int64_t at, std::int64_t quorum) {
  return Timed64(at, EncodeU64(static_cast<std::uint64_t>(quorum)));
}

}  // namespace aimem::model
