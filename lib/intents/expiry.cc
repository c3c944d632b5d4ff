// The service that collects what has expired.
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "aimem/intents.h"
#include "lib/base/callback.h"
#include "lib/base/mutex.h"
#include "lib/base/status.h"
#include "lib/base/thread.h"

namespace aimem {
namespace {

constexpr absl::Duration kEveryMin = absl::Seconds(1);
constexpr absl::Duration kEveryMax = absl::Hours(24 * 365);

/// The collection that the store is at: what its answer needs, which may come after the service.
struct Collection {
  explicit Collection(LogSink* log_sink) : log(log_sink) {}

  /// False: one goes on.
  bool Begin() ABSL_LOCKS_EXCLUDED(mutex) {
    MutexLock lock(mutex);
    return !std::exchange(goes_on, true);
  }

  void End(const WriteResult& result) ABSL_LOCKS_EXCLUDED(mutex) {
    const bool failed =
        result.outcome == WriteOutcome::kRejected || result.outcome == WriteOutcome::kUnknown;
    if (failed && log != nullptr) {
      log->Log(LogLevel::kWarning,
               ToStd(absl::StrCat("collecting expired memories: ", result.status.message())));
    }
    MutexLock lock(mutex);
    goes_on = false;
  }

  LogSink* const log;
  Mutex mutex;
  bool goes_on ABSL_GUARDED_BY(mutex) = false;
};

class Expiry final : public ExpiryService {
 public:
  Expiry(Store& store, const ExpiryOptions& options)
      : store_(store),
        options_(options),
        clock_(options.environment.clock ? *options.environment.clock : SystemClock()),
        collection_(std::make_shared<Collection>(options.environment.log)),
        next_(clock_.Monotonic() + options.every) {}
  Expiry(const Expiry&) = delete;
  Expiry& operator=(const Expiry&) = delete;
  ~Expiry() override { End(); }

  absl::Status StartThread() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    try {
      thread_ = aimem::StartThread("aimem-expiry", [this] { Loop(); });
    } catch (const std::system_error& error) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no thread could be started (", error.what(), "): retry later"));
    }
    return absl::OkStatus();
  }

  absl::Duration Poll() override ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      MutexLock lock(mutex_);
      if (stopped_) return absl::InfiniteDuration();
      const absl::Duration now = clock_.Monotonic();
      if (now < next_) return next_ - now;
      next_ = now + options_.every;
    }
    Collect();
    return options_.every;
  }

  void Stop() override { End(); }

 private:
  void Collect() {
    if (!collection_->Begin()) return;
    WriteBatch batch;
    batch.items.emplace_back(ExpireMemories{.archive = options_.archive});
    const absl::Status thrown = Contain([&] {
      store_.WriteAsync(
          std::move(batch), WriteOptions(),
          [collection = collection_](const WriteResult& result) { collection->End(result); });
    });
    if (thrown.ok()) return;
    WriteResult failed;
    failed.status = thrown;
    collection_->End(failed);
  }

  void Loop() ABSL_LOCKS_EXCLUDED(mutex_) {
    for (;;) {
      const absl::Duration left = Poll();
      MutexLock lock(mutex_);
      if (stopped_) return;
      changed_.WaitFor(mutex_, left);
    }
  }

  void End() ABSL_LOCKS_EXCLUDED(mutex_) {
    std::thread thread;
    {
      MutexLock lock(mutex_);
      stopped_ = true;
      changed_.NotifyAll();
      thread = std::move(thread_);
    }
    if (thread.joinable()) thread.join();
  }

  Store& store_;
  const ExpiryOptions options_;
  Clock& clock_;
  const std::shared_ptr<Collection> collection_;

  Mutex mutex_;
  CondVar changed_;
  absl::Duration next_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::Status Validate(const ExpiryOptions& options) {
  if (options.every >= kEveryMin && options.every <= kEveryMax) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("every must be in [%s, %s] (got %s)", absl::FormatDuration(kEveryMin),
                      absl::FormatDuration(kEveryMax), absl::FormatDuration(options.every)));
}

absl::StatusOr<std::unique_ptr<ExpiryService>> StartExpiry(Store& store,
                                                           const ExpiryOptions& options) {
  AIMEM_RETURN_IF_ERROR(Validate(options));
  auto expiry = std::make_unique<Expiry>(store, options);
  if (options.environment.executor == nullptr) AIMEM_RETURN_IF_ERROR(expiry->StartThread());
  return std::unique_ptr<ExpiryService>(std::move(expiry));
}

}  // namespace aimem
