#include "lib/store/health.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/status.h"
#include "lib/base/trouble.h"

namespace aimem::store {
namespace {

constexpr absl::Duration kTryInterval = absl::Seconds(1);
constexpr absl::Duration kDiskFullStands = absl::Seconds(30);
constexpr std::string_view kRoomAgain = "the disk has room again, writes are taken";

}  // namespace

Health::Health(const Foundation& base, WriteQueue& queue, std::string unwritable,
               const Id128& member)
    : base_(base),
      queue_(queue),
      as_found_(base.hooks.listener != nullptr),
      unwritable_(std::move(unwritable)),
      member_(member) {}

// -- What is found --------------------------------------------------------------------------------

void Health::Fence(const absl::Status& reason) {
  MutexLock lock(mutex_);
  fenced_ = std::string(ToStd(reason.message()));
  ScheduleHealing();
}

absl::Status Health::CheckWhose(const changes::Streams& streams) {
  absl::Status status = changes::CheckMember(streams, member_);
  if (status.ok()) member_ = streams.member;
  bool told = true;
  {
    MutexLock lock(mutex_);
    told = status.ok() || !foreign_data_.empty();
    foreign_data_ = std::string(ToStd(status.message()));
    ScheduleHealing();
  }
  if (!told) base_.Log(LogLevel::kError, ToStd(status.message()));
  return status;
}

absl::Status Health::CheckDamage() {
  absl::Status damaged = base_.backend->Damaged();
  if (damaged.ok()) return damaged;
  bool told = true;
  {
    MutexLock lock(mutex_);
    std::swap(told, damaged_);
    ScheduleHealing();
  }
  if (!told) {
    base_.Log(LogLevel::kError, absl::StrCat("the store is damaged: ", damaged.message()));
  }
  return WithTrouble(std::move(damaged), Trouble::kDamaged);
}

absl::Status Health::Explain(absl::Status failure) {
  if (failure.ok()) return failure;
  AIMEM_RETURN_IF_ERROR(CheckDamage());
  if (!absl::IsResourceExhausted(failure)) return failure;
  bool first = false;
  {
    MutexLock lock(mutex_);
    first = disk_full_.empty();
    disk_full_ = std::string(ToStd(failure.message()));
    disk_full_until_ = base_.clock.Monotonic() + kDiskFullStands;
    ScheduleHealing();
  }
  if (first) {
    base_.Log(LogLevel::kError,
              absl::StrCat("the disk is full, writes are refused: ", failure.message()));
  }
  return WithTrouble(std::move(failure), Trouble::kDiskFull);
}

void Health::NoteWritten(const Id128& member) {
  member_ = member;
  bool was_full = false;
  {
    MutexLock lock(mutex_);
    was_full = !disk_full_.empty();
    disk_full_.clear();
    unwritable_.clear();
    ScheduleHealing();
  }
  if (was_full) base_.Log(LogLevel::kWarning, kRoomAgain);
}

// -- What is done about it ------------------------------------------------------------------------

std::optional<Health::Doubt> Health::doubt() const {
  MutexLock lock(mutex_);
  if (!fenced_.empty()) {
    return Doubt{absl::StrCat("the outcome of a commit is unknown (", fenced_, ")"), as_found_};
  }
  if (!as_found_) return std::nullopt;
  return Doubt{"this member has just been opened, and what is visible need not be durable", true};
}

void Health::NoteRecovered() {
  MutexLock lock(mutex_);
  fenced_.clear();
  ScheduleHealing();
}

void Health::EndDoubt(const Doubt& doubt, const absl::Status& ended) {
  MutexLock lock(mutex_);
  if (ended.ok()) {
    as_found_ = false;
  } else if (fenced_.empty()) {
    fenced_ = doubt.reason;
  }
  ScheduleHealing();
}

void Health::NoteTried(bool written) {
  bool room = false;
  {
    MutexLock lock(mutex_);
    next_try_ = base_.clock.Monotonic() + kTryInterval;
    // A full disk may have had room for this: it stands until a write of somebody's succeeds, or
    // none has been tried for a while.
    room = written && !disk_full_.empty() && base_.clock.Monotonic() >= disk_full_until_;
    if (room) disk_full_.clear();
    ScheduleHealing();
  }
  if (room) base_.Log(LogLevel::kWarning, kRoomAgain);
}

bool Health::Ails() const {
  return !damaged_ && (!fenced_.empty() || !foreign_data_.empty() || !disk_full_.empty());
}

void Health::ScheduleHealing() {
  const absl::Duration at = Ails() ? next_try_ : absl::InfiniteDuration();
  if (at == scheduled_) return;
  scheduled_ = at;
  queue_.Schedule(Task::kHeal, at);
}

// -- How it is ------------------------------------------------------------------------------------

bool Health::well() const {
  MutexLock lock(mutex_);
  return !Ails() && !as_found_ && !damaged_;
}

bool Health::readable() const {
  MutexLock lock(mutex_);
  return fenced_.empty() && foreign_data_.empty() && !damaged_;
}

void Health::Report(StoreInfo& info) {
  const absl::Status damaged = CheckDamage();
  MutexLock lock(mutex_);
  info.unwritable = unwritable_;
  for (const std::string* why : {&foreign_data_, &fenced_, &disk_full_}) {
    if (info.fenced.empty()) info.fenced = *why;
  }
  if (!damaged.ok()) info.fenced = std::string(ToStd(damaged.message()));
}

}  // namespace aimem::store
