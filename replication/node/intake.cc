#include "replication/node/intake.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_format.h"
#include "lib/execute/request.h"

namespace aimem::replication {
namespace {

/// Of writes that wait until this member may execute any: as many as a store's queue takes.
constexpr std::int64_t kEarlyBytesMax = 64 << 20;

std::int64_t BytesOf(const PendingWrite& write) {
  return static_cast<std::int64_t>(execute::ApproximateBytes(write.batch));
}

}  // namespace

absl::Status Intake::CheckRoom(std::int64_t callers) const {
  const std::int64_t waiting = counted_ + callers;
  if (waiting < counted_max_) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrFormat(
      "%d writes wait for the other members (limit %d): retry later", waiting, counted_max_));
}

void Intake::WaitForCompany(absl::Duration now, PendingWrite write) {
  gate_.Hold(now, BytesOf(write));
  at_gate_.push_back(std::move(write));
}

absl::Status Intake::WaitToExecute(PendingWrite& write, const absl::Status& why) {
  const std::int64_t bytes = BytesOf(write);
  if (early_bytes_ > 0 && early_bytes_ + bytes > kEarlyBytesMax) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("%d bytes of writes wait already (limit %d): %s", early_bytes_,
                        kEarlyBytesMax, why.message()));
  }
  early_bytes_ += bytes;
  early_.push_back(std::move(write));
  return absl::OkStatus();
}

bool Intake::Reconsider(absl::Duration now, const Ready& ready,
                        std::vector<std::pair<PendingWrite, absl::Status>>& refused) {
  bool any = false;
  std::deque<PendingWrite> early;
  early.swap(early_);
  early_bytes_ = 0;
  for (PendingWrite& write : early) {
    if (!ready.clock.ok()) {
      refused.emplace_back(std::move(write), ready.clock);
    } else if (ready.may_execute.ok()) {
      WaitForCompany(now, std::move(write));
      any = true;
    } else if (ready.refuse_others || write.deadline <= now) {
      refused.emplace_back(std::move(write), ready.may_execute);
    } else {
      early_bytes_ += BytesOf(write);
      early_.push_back(std::move(write));
    }
  }
  return any;
}

bool Intake::MayLetThrough(absl::Duration now, std::int64_t callers, bool opened) const {
  if (letting_through_ || at_gate_.empty()) return false;
  return opened || gate_.Open(now, executing() + callers);
}

std::deque<PendingWrite> Intake::LetThrough(absl::Duration now, std::int64_t callers) {
  gate_.LetThrough(now, executing() + callers);
  letting_through_ = true;
  return std::exchange(at_gate_, {});
}

void Intake::TurnBack(absl::Duration now, std::int64_t callers) {
  gate_.LetThrough(now, executing() + callers);
  for (const PendingWrite& write : at_gate_) early_bytes_ += BytesOf(write);
  std::move(at_gate_.begin(), at_gate_.end(), std::back_inserter(early_));
  at_gate_.clear();
}

absl::Duration Intake::NextTimer(std::int64_t callers) const {
  absl::Duration next = gate_.OpensAt(executing() + callers);
  for (const PendingWrite& write : early_) next = std::min(next, write.deadline);
  return next;
}

}  // namespace aimem::replication
