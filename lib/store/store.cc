// The blocking forms of Store, written once over the asynchronous ones.
#include "aimem/store.h"

#include <utility>

#include "aimem/intents.h"
#include "lib/base/callback.h"
#include "lib/base/rendezvous.h"

namespace aimem {
std::string_view PeerStateName(PeerState state) {
  switch (state) {
    case PeerState::kAway:
      return "away";
    case PeerState::kOnline:
      return "online";
    case PeerState::kLagging:
      return "lagging";
    case PeerState::kFetching:
      return "fetching";
    case PeerState::kDenied:
      return "denied";
  }
  return "unknown";
}

std::string_view WriteOutcomeName(WriteOutcome outcome) {
  switch (outcome) {
    case WriteOutcome::kCommitted:
      return "committed";
    case WriteOutcome::kPending:
      return "pending";
    case WriteOutcome::kRejected:
      return "rejected";
    case WriteOutcome::kUnknown:
      return "unknown";
  }
  return "unknown";
}

bool IsRetryable(const WriteResult& result) {
  if (result.outcome == WriteOutcome::kRejected) {
    return absl::IsUnavailable(result.status) || absl::IsResourceExhausted(result.status);
  }
  return result.in_doubt();
}

WriteResult Store::Write(WriteBatch batch, const WriteOptions& options) {
  if (absl::Status status = CheckMayWait(this); !status.ok()) {
    WriteResult refused;
    refused.outcome = WriteOutcome::kRejected;
    refused.status = std::move(status);
    return refused;
  }
  Rendezvous<WriteResult> answer;
  WriteAsync(std::move(batch), options,
             [answer](WriteResult result) mutable { answer.Put(std::move(result)); });
  return answer.Take();
}

ApplyResult Store::Apply(ChangePage page) {
  ApplyResult refused;
  refused.status = CheckMayWait(this);
  if (!refused.status.ok()) return refused;
  Rendezvous<ApplyResult> answer;
  Apply(std::move(page), [answer](ApplyResult result) mutable { answer.Put(std::move(result)); });
  return answer.Take();
}

absl::StatusOr<Memory> Store::Get(std::string_view id, const ReadOptions& options) {
  const std::string one(id);
  return std::move(Get(std::span<const std::string>(&one, 1), options).front());
}

std::vector<absl::StatusOr<Memory>> Store::Get(std::initializer_list<std::string_view> ids,
                                               const ReadOptions& options) {
  return Get(std::vector<std::string>(ids.begin(), ids.end()), options);
}

absl::StatusOr<SearchResult> Store::Search(std::string_view text) { return Search(Recall(text)); }

}  // namespace aimem
