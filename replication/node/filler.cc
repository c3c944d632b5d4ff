#include "replication/node/filler.h"

#include <utility>

namespace aimem::replication {
namespace {

/// How far back a member that fetched states remembers requests.
constexpr absl::Duration kFetchedLog = absl::Hours(24);

}  // namespace

void Filler::Fill(std::size_t peer, WorkInProgress::Token work) {
  const absl::StatusOr<StoreInfo> info = driver_.store().Info();
  FetchRequest request;
  request.header = driver_.MakeHeader();
  request.cursor = Begin(info);
  if (!info.ok()) return End(info.status());
  // Also of one that turns to a scan when the log was cut.
  if (!request.cursor.after) request.cursor.log_from = driver_.clock().Now() - kFetchedLog;
  auto filling = std::make_shared<Filling>(Filling{std::move(work), nullptr});
  filling->stream = driver_.transport().Fetch(driver_.AddressOf(peer), std::move(request));
  NextPage(std::move(filling));
}

ChangeCursor Filler::Begin(const absl::StatusOr<StoreInfo>& info) {
  MutexLock lock(mutex_);
  const bool anew = std::exchange(anew_, false);
  // A store that was being filled when it was closed knows where it stopped; a store with a
  // history of its own goes on where this process stopped.
  if (info.ok() && info->installing && !anew) return *info->installing;
  return from_.value_or(ChangeCursor::Everything());
}

void Filler::NextPage(std::shared_ptr<Filling> filling) {
  PageStream& stream = *filling->stream;
  stream.Next([this, filling = std::move(filling)](absl::StatusOr<ChangePage> page) mutable {
    if (!page.ok()) return End(page.status());
    TakePage(std::move(filling), *std::move(page));
  });
}

void Filler::TakePage(std::shared_ptr<Filling> filling, ChangePage page) {
  std::optional<ChangeCursor> next;
  if (!page.end) next = page.next;
  page.install = true;
  driver_.HandleEvent(
      [&](Member& member, const Member::Now&, Actions&) { member.Arriving(page.commits); });
  driver_.store().Apply(std::move(page),
                        [this, next = std::move(next),
                         filling = std::move(filling)](const ApplyResult& result) mutable {
                          if (!result.status.ok()) return End(result.status);
                          const bool end = !next.has_value();
                          {
                            MutexLock lock(mutex_);
                            from_ = std::move(next);
                          }
                          if (end) return End(absl::OkStatus());
                          NextPage(std::move(filling));
                        });
}

void Filler::End(const absl::Status& status) {
  // It cannot go on from there: from the start next time.
  if (absl::IsFailedPrecondition(status)) {
    MutexLock lock(mutex_);
    from_.reset();
    anew_ = true;
  }
  driver_.HandleEvent([&](Member& member, const Member::Now& now, Actions& actions) {
    member.OnFetchEnded(now, status, actions);
  });
}

}  // namespace aimem::replication
