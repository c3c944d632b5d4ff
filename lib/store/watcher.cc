#include "lib/store/watcher.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/status.h"

namespace aimem::store {
namespace {

constexpr absl::Duration kBlindPollInterval = absl::Milliseconds(200);

}  // namespace

bool Watcher::HasNews(const changes::Streams& streams) const {
  return base_.hooks.listener != nullptr && streams.State() != told_;
}

void Watcher::Notify(log::StoreState state, std::vector<log::DurableCommit> commits) {
  if (base_.hooks.listener == nullptr || (commits.empty() && state == told_)) return;
  told_ = std::move(state);
  CommitListener& listener = *base_.hooks.listener;
  const log::StoreState* const told = &told_;
  base_.Guard("the listener", [&] { listener.OnDurable(*told, std::move(commits)); });
}

void Watcher::NotifyOfGroup(GroupLog& log) {
  unreadable_.NoteWritten(log.set.log);
  eraser_.Note(log.streams.erasing);
  if (base_.hooks.listener == nullptr) return;
  std::vector<log::DurableCommit> commits;
  if (!log.streams.installing) {
    commits.reserve(log.set.log.size());
    for (LogRow& row : log.set.log) {
      commits.push_back({log.own.contains({row.stream, row.seq}), row.stream, row.seq,
                         row.operation, std::make_shared<const std::string>(std::move(row.bytes))});
    }
  }
  Notify(log.streams.State(), std::move(commits));
}

void Watcher::Poll() {
  if (!health_.readable()) return;
  const absl::StatusOr<bool> polled = PollIfDue();
  if (polled.ok() && !*polled) return;
  if (!polled.ok() && !poll_failed_) {
    base_.Log(LogLevel::kWarning,
              absl::StrCat("looking for commits of other processes: ", polled.status().message()));
  }
  poll_failed_ = !polled.ok();
}

absl::StatusOr<bool> Watcher::PollIfDue() {
  AIMEM_ASSIGN_OR_RETURN(const std::optional<std::uint64_t> foreign,
                         base_.backend->ForeignCommits());
  const absl::Duration now = base_.clock.Monotonic();
  const bool due = foreign ? foreign_ != foreign : now >= next_blind_poll_;
  if (polled_ && !due) return false;
  next_blind_poll_ = now + kBlindPollInterval;
  AIMEM_RETURN_IF_ERROR(PollHeads());
  polled_ = true;
  foreign_ = foreign;
  return true;
}

absl::Status Watcher::PollHeads() {
  AIMEM_RETURN_IF_ERROR(recovery_.RecoverIfInDoubt());
  changes::Streams streams;
  {
    AIMEM_ASSIGN_OR_RETURN(const Readers::Snapshot read, readers_.Begin());
    AIMEM_ASSIGN_OR_RETURN(const ReadResult found, read->Read({.heads = true, .meta = true}));
    AIMEM_ASSIGN_OR_RETURN(streams, recovery_.ReadStreams(found, *read));
  }
  eraser_.Note(streams.erasing);
  log::StoreState state = streams.State();
  // What others of the federation are told has to be durable, whoever wrote it.
  if (state != told_) {
    AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> write, base_.backend->BeginWrite());
    AIMEM_RETURN_IF_ERROR(recovery_.CommitSettled(*write));
  }
  Notify(std::move(state), {});
  return absl::OkStatus();
}

}  // namespace aimem::store
