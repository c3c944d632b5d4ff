#include "bench/observed_backend.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "bench/measure.h"
#include "support/backend/forwarding_backend.h"

namespace aimem::bench {
namespace {

class Timed {
 public:
  explicit Timed(std::atomic<double>& sum) : sum_(sum), begin_(MonotonicSeconds()) {}
  ~Timed() { sum_ += MonotonicSeconds() - begin_; }

 private:
  std::atomic<double>& sum_;
  double begin_;
};

class ObservedWrite : public testing::ForwardingTransaction {
 public:
  ObservedWrite(std::unique_ptr<Transaction> inner, Observations& seen)
      : ForwardingTransaction(std::move(inner)), seen_(seen) {}

  absl::StatusOr<ReadResult> Read(const ReadSet& set) override {
    const Timed timed(seen_.read_s);
    return inner_->Read(set);
  }
  absl::Status Put(const WriteSet& set) override {
    const Timed timed(seen_.put_s);
    seen_.rows += static_cast<std::int64_t>(set.rows.size());
    // What the store writes for itself (how old its log is) is no rival's work.
    if (seen_.record && !set.log.empty()) seen_.sets.push_back(set);
    return inner_->Put(set);
  }
  CommitResult Commit() override {
    const Timed timed(seen_.commit_s);
    ++seen_.commits;
    return inner_->Commit();
  }

 private:
  Observations& seen_;
};

class ObservedBackend : public testing::ForwardingBackend {
 public:
  ObservedBackend(std::unique_ptr<Backend> inner, std::shared_ptr<Observations> seen)
      : ForwardingBackend(std::move(inner)), seen_(std::move(seen)) {}

  absl::StatusOr<std::unique_ptr<Transaction>> BeginWrite() override {
    const Timed timed(seen_->begin_s);
    absl::StatusOr<std::unique_ptr<Transaction>> begun = inner_->BeginWrite();
    if (!begun.ok()) return begun.status();
    return std::make_unique<ObservedWrite>(*std::move(begun), *seen_);
  }
  absl::Status Maintain(bool idle) override {
    const Timed timed(seen_->maintain_s);
    return inner_->Maintain(idle);
  }

 private:
  std::shared_ptr<Observations> seen_;
};

}  // namespace

std::unique_ptr<Backend> Observe(std::unique_ptr<Backend> backend,
                                 std::shared_ptr<Observations> seen) {
  return std::make_unique<ObservedBackend>(std::move(backend), std::move(seen));
}

double MeanUs(double seconds, std::int64_t puts) {
  return seconds * 1e6 / static_cast<double>(puts);
}

std::string Shares(const Observations& seen, double total_s, std::int64_t puts) {
  const double parts = seen.begin_s + seen.read_s + seen.put_s + seen.commit_s + seen.maintain_s;
  return absl::StrFormat(
      "aimem (mean us a put): begin %.1f, look-ups %.1f, insert %.1f, commit and fsync %.1f, "
      "checkpoints %.1f, the rest (validate, encode, hash, hand over) %.1f",
      MeanUs(seen.begin_s, puts), MeanUs(seen.read_s, puts), MeanUs(seen.put_s, puts),
      MeanUs(seen.commit_s, puts), MeanUs(seen.maintain_s, puts), MeanUs(total_s - parts, puts));
}

}  // namespace aimem::bench
