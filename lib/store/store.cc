// The blocking forms of Store, written once over the asynchronous ones.
#include "aimem/store.h"

#include <optional>
#include <utility>

#include "lib/base/mutex.h"

namespace aimem {
namespace {

/// Where one thread waits for the value that another brings.
template <typename T>
class Rendezvous {
 public:
  void Put(T value) {
    MutexLock lock(mutex_);
    value_ = std::move(value);
    // Under the lock: the waiter destroys this object as soon as it has the value.
    arrived_.NotifyAll();
  }
  T Take() {
    MutexLock lock(mutex_);
    while (!value_) arrived_.Wait(mutex_);
    return *std::move(value_);
  }

 private:
  Mutex mutex_;
  CondVar arrived_;
  std::optional<T> value_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

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

WriteResult Store::Write(WriteBatch batch, const WriteOptions& options) {
  Rendezvous<WriteResult> answer;
  WriteAsync(std::move(batch), options,
             [&answer](WriteResult result) { answer.Put(std::move(result)); });
  return answer.Take();
}

ApplyResult Store::Apply(ChangePage page) {
  Rendezvous<ApplyResult> answer;
  Apply(std::move(page), [&answer](ApplyResult result) { answer.Put(std::move(result)); });
  return answer.Take();
}

absl::StatusOr<Memory> Store::Get(const std::string& id, const ReadOptions& options) {
  return std::move(Get(std::span<const std::string>(&id, 1), options).front());
}

}  // namespace aimem
