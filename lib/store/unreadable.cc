#include "lib/store/unreadable.h"

#include <cstdint>

#include "absl/strings/str_format.h"

namespace aimem::store {

VersionVector Unreadable::Get() const {
  MutexLock lock(mutex_);
  return met_;
}

bool Unreadable::Note(const VersionVector& met) {
  bool any = false;
  for (const auto& [stream, seq] : met) {
    {
      MutexLock lock(mutex_);
      std::uint64_t& known = met_[stream];
      if (seq <= known) continue;
      known = seq;
    }
    any = true;
    base_.Log(
        LogLevel::kError,
        absl::StrFormat("commit %d of stream %016x cannot be read: nobody is sent it, and whoever "
                        "lacks it is given states in its place if there are later ones; run doctor",
                        seq, stream));
  }
  return any;
}

void Unreadable::NoteWritten(const std::vector<LogRow>& written) {
  MutexLock lock(mutex_);
  for (const LogRow& row : written) {
    const auto found = met_.find(row.stream);
    if (found != met_.end() && found->second == row.seq) met_.erase(found);
  }
}

}  // namespace aimem::store
