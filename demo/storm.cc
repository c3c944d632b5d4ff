#include "demo/storm.h"

#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "lib/base/status.h"
#include "support/process/child_process.h"

namespace aimem::demo {
namespace {

constexpr char kCommand[] = "--writer";
constexpr int kPollMilliseconds = 5;

class Storm {
 public:
  explicit Storm(const StormOptions& options) : options_(options) {}

  absl::StatusOr<StormReport> Run() {
    const absl::Time begin = absl::Now();
    children_.resize(options_.threads.size());
    for (std::size_t i = 0; i < children_.size(); ++i) AIMEM_RETURN_IF_ERROR(Start(i));
    bool killed = false;
    while (true) {
      if (options_.cancel != nullptr && *options_.cancel)
        return absl::CancelledError("interrupted");
      if (!killed) {
        AIMEM_ASSIGN_OR_RETURN(killed, KillIfDue());
      }
      AIMEM_ASSIGN_OR_RETURN(const bool done, AllDone());
      if (done) break;
      poll(nullptr, 0, kPollMilliseconds);
    }
    if (!killed) return absl::InternalError("the writer to be killed ended before that");
    report_.elapsed = absl::Now() - begin;
    for (std::size_t i = 0; i < children_.size(); ++i) {
      AIMEM_ASSIGN_OR_RETURN(Journal journal, ReadJournal(Options(i).journal));
      report_.journals.push_back(std::move(journal));
    }
    CountInFlight();
    return std::move(report_);
  }

 private:
  [[nodiscard]] std::size_t victim() const { return static_cast<std::size_t>(options_.victim - 1); }

  [[nodiscard]] WriterOptions Options(std::size_t i) const {
    return {.writer = static_cast<int>(i) + 1,
            .store = options_.store,
            .journal = absl::StrFormat("%s/writer-%d.journal", options_.folder, i + 1),
            .writes = options_.writes,
            .threads = options_.threads[i]};
  }

  absl::Status Start(std::size_t i) {
    AIMEM_ASSIGN_OR_RETURN(children_[i],
                           support::ChildProcess::Spawn(WriterArguments(Options(i), getpid())));
    return absl::OkStatus();
  }

  absl::StatusOr<bool> KillIfDue() {
    AIMEM_ASSIGN_OR_RETURN(const Journal now, ReadJournal(Options(victim()).journal));
    if (static_cast<std::int64_t>(now.acks.size()) < options_.kill_after) return false;
    const support::ProcessEnd end = children_[victim()].Kill();
    if (end.signal == 0) return absl::InternalError("the writer to be killed ended before that");
    AIMEM_ASSIGN_OR_RETURN(const Journal left, ReadJournal(Options(victim()).journal));
    report_.acknowledged_at_kill = static_cast<std::int64_t>(left.acks.size());
    for (const Intent& intent : Unacknowledged(left)) in_flight_.insert(intent.number);
    AIMEM_RETURN_IF_ERROR(Start(victim()));
    return true;
  }

  absl::StatusOr<bool> AllDone() {
    bool done = true;
    for (std::size_t i = 0; i < children_.size(); ++i) {
      const std::optional<support::ProcessEnd> end = children_[i].Poll();
      if (!end) {
        done = false;
      } else if (!end->ok()) {
        return absl::InternalError(
            absl::StrFormat("writer %d ended with %s", i + 1, end->ToString()));
      }
    }
    return done;
  }

  void CountInFlight() {
    report_.in_flight_at_kill = static_cast<std::int64_t>(in_flight_.size());
    for (const Ack& ack : report_.journals[victim()].acks) {
      if (in_flight_.contains(ack.number) && ack.replayed) ++report_.in_flight_there;
    }
  }

  const StormOptions& options_;
  std::vector<support::ChildProcess> children_;
  std::set<std::int64_t> in_flight_;  // when the victim was killed
  StormReport report_;
};

}  // namespace

absl::StatusOr<StormReport> RunStorm(const StormOptions& options) { return Storm(options).Run(); }

std::vector<std::string> WriterArguments(const WriterOptions& options, int parent) {
  return {kCommand,
          std::to_string(options.writer),
          options.store,
          options.journal,
          std::to_string(options.writes),
          std::to_string(options.threads),
          std::to_string(parent)};
}

std::optional<WriterCommand> ParseWriterArguments(const std::vector<std::string>& arguments) {
  if (arguments.size() != 7 || arguments[0] != kCommand) return std::nullopt;
  return WriterCommand{.options = {.writer = std::atoi(arguments[1].c_str()),
                                   .store = arguments[2],
                                   .journal = arguments[3],
                                   .writes = std::atoll(arguments[4].c_str()),
                                   .threads = std::atoi(arguments[5].c_str())},
                       .parent = std::atoi(arguments[6].c_str())};
}

}  // namespace aimem::demo
