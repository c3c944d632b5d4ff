// Agenda: what the writer does besides writing, and when.
#pragma once

#include <array>
#include <cstddef>

#include "absl/time/time.h"
#include "lib/store/turn.h"

namespace aimem::store {

/// A task has a time, which whoever wants it sets, and then is done once; what it is for, the
/// agenda does not know. Times are on the clock's Monotonic. Not thread-safe: of whoever gives the
/// turn.
class Agenda {
 public:
  /// `polls`: others may write, and somebody is to be told.
  explicit Agenda(bool polls);

  /// The next time for `task`; infinite: none.
  void Set(Task task, absl::Duration at);
  /// A group was written: nothing has to be looked for or looked after for a while.
  void NoteWritten(absl::Duration now);
  /// Who closes the store does what has to be done of the rest itself.
  void Close() { closing_ = true; }

  /// What the turn is for, which is then off the agenda. `work`: writes wait, and go before all but
  /// kPlan, kRenew and kErase, which take no time of the turn and would else wait for a queue that
  /// never empties, and a part of what goes from the log or of an index; of these none follows
  /// another while something waits. kNone: there is nothing to do.
  Task Take(absl::Duration now, bool work);
  /// When there will be something to do.
  [[nodiscard]] absl::Duration NextTime() const;

 private:
  [[nodiscard]] absl::Duration TimeOf(Task task) const;
  /// The one of kRetain and kKeep that is due first; kNone: none is.
  [[nodiscard]] Task PartDue(absl::Duration now) const;

  const bool polls_;
  bool closing_ = false;
  bool part_last_ = false;
  std::array<absl::Duration, static_cast<std::size_t>(Task::kNone)> times_;
};

}  // namespace aimem::store
