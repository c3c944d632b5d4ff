// Holdings: what is durable here, and which commits it is made of.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "aimem/changes.h"
#include "aimem/types.h"
#include "lib/log/durable.h"
#include "replication/protocol/known_commits.h"
#include "replication/protocol/quiet.h"

namespace aimem::replication {

/// Not thread-safe.
class Holdings {
 public:
  struct Change {
    std::vector<std::uint64_t> grew;   ///< Streams with another head than before.
    std::vector<std::uint64_t> broke;  ///< Those that need not hold what they held: see KeepCommon.
  };
  /// Take over where the store stands now, `commits` being what became durable since. The hashes of
  /// these are known from Remember on.
  Change Take(const log::StoreState& state, const std::vector<log::DurableCommit>& commits);
  /// Of a stream that broke: the seq up to which all that was held is held still; 0 if that is not
  /// known of any. The hashes of the others are forgotten.
  std::uint64_t KeepCommon(std::uint64_t stream);
  void Remember(const std::vector<log::DurableCommit>& commits);
  /// A stamp that somebody has seen.
  void See(std::uint64_t hlc);

  [[nodiscard]] const log::StoreState& state() const { return state_; }
  /// Of the heads.
  [[nodiscard]] const VersionVector& vector() const { return vector_; }
  /// The greatest stamp that was seen.
  [[nodiscard]] std::uint64_t hlc() const { return hlc_; }
  QuietStreams& quiet() { return quiet_; }
  /// The hash of our commit, if it is known.
  [[nodiscard]] std::optional<Hash256> HashAt(std::uint64_t stream, std::uint64_t seq) const;
  /// This member writes it, or did and lost it.
  [[nodiscard]] bool Own(std::uint64_t stream) const;
  /// It wrote it, and gave up its own end of it.
  [[nodiscard]] bool Yielded(std::uint64_t stream) const;
  [[nodiscard]] bool Lost(std::uint64_t stream) const;

 private:
  [[nodiscard]] std::vector<std::uint64_t> BrokenBy(
      const log::StoreState& state, const std::vector<log::DurableCommit>& commits) const;

  log::StoreState state_;
  VersionVector vector_;
  KnownCommits known_;
  QuietStreams quiet_;
  std::uint64_t hlc_ = 0;
};

}  // namespace aimem::replication
