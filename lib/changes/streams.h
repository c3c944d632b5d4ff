// A stream's life: which stream a store writes, which ones it wrote, and where each stream stands.
//
// docs/decisions/0013-a-streams-life.md tells the rules. What is kept of it is in `meta`; every
// write transaction reads it, and nothing of it is remembered between two of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "aimem/changes.h"
#include "aimem/environment.h"
#include "aimem/types.h"
#include "lib/changes/apply.h"
#include "lib/changes/meta.h"
#include "lib/log/durable.h"

namespace aimem::changes {

/// So many streams are remembered that a store wrote and writes no more; the newest.
inline constexpr std::size_t kFormerStreamsMax = 64;

/// A stream that the store wrote before.
struct FormerStream {
  /// The numbers are kept: never change them.
  enum class Fate : std::uint8_t {
    kLeft = 0,
    kLost = 1,     ///< Others may hold more of it, or something else.
    kYielded = 2,  ///< Lost, and the own end of it is given up, or is there to stay.
  };
  std::uint64_t stream = 0;
  Fate fate = Fate::kLeft;

  [[nodiscard]] bool lost() const { return fate != Fate::kLeft; }
};

/// What a snapshot says of the streams.
struct Streams {
  Id128 member;
  std::uint64_t stream = 0;          ///< The one that is written; 0: none yet.
  std::vector<FormerStream> former;  ///< Oldest first.
  StreamHeads heads;                 ///< The last commit of each, also while the store is filled.
  StreamHeads adopted;               ///< Those that were adopted without their commits.
  /// Of streams whose last commit cannot be read (its hash is zeros): the last one that can, which
  /// is all that anybody is told of; seq 0 if there is none.
  StreamHeads readable;
  std::optional<ChangeCursor> installing;  ///< The store is being filled, and this is where.
  std::string erasing;                     ///< kMetaErasing.

  /// What others are told: nothing is held until all of it is here.
  [[nodiscard]] log::StoreState State() const;
  /// The last commit of each stream that can be given to others.
  [[nodiscard]] StreamHeads Readable() const;
  [[nodiscard]] VersionVector Vector() const;
  /// True: this store writes `stream`, or wrote it.
  [[nodiscard]] bool Ours(std::uint64_t stream) const;
};

/// Of a read with heads and meta. kDataLoss says what does not decode.
absl::StatusOr<Streams> StreamsOf(const ReadResult& read);
/// The same, and what is readable where the last commit is not: that shows where it does not begin
/// as one, or was found before (`unreadable`: stream and seq).
absl::StatusOr<Streams> StreamsOf(const ReadResult& read, const VersionVector& unreadable,
                                  Transaction& transaction);

/// Write `value` under `key`, whatever `set` had for it.
void SetMeta(WriteSet& set, std::string_view key, std::string value);

/// Bodies of what was purged may stand in the log once `set` is there.
void NoteErasing(Random& random, Streams& streams, WriteSet& set);

/// A value that no other transaction writes: the same again would be no change to some engines.
std::string FreshBytes(Random& random);

/// Make sure that a transaction with `set` writes something.
void Settle(Random& random, WriteSet& set);

/// A stream that this store writes or wrote, and has not lost, of which `page` names
/// more than it holds, or something else; 0: none.
std::uint64_t FindStreamToForsake(const Streams& streams, const CheckedPage& page);

/// Join `other` into `vector`.
void JoinInto(VersionVector& vector, const VersionVector& other);

/// Keep `head` as the last commit of `stream`, which the log does not hold.
void SetHead(std::uint64_t stream, const StreamHead& head, WriteSet& set);

/// Make the store write a stream that is its own on the data it lies on, drawing one if there is
/// none or if `identity` is not the one that the stream was begun on: then that one is lost, since
/// the data may be older than what was written. Returns what happened to the data, as a sentence;
/// empty: nothing.
absl::StatusOr<std::string> ChooseStream(const Meta& meta, const std::string& identity,
                                         Streams& streams, Random& random, WriteSet& set);

/// Write `stream` no more: others hold another history of it. False: it is not ours, or lost
/// already, and nothing is to be written.
bool ForsakeStream(std::uint64_t stream, Streams& streams, Random& random, WriteSet& set);

/// Note that the own end of `stream` is given up, or for good: others decide by it. False: this
/// store did not write it before, or that was noted.
bool NoteYielded(std::uint64_t stream, Streams& streams, WriteSet& set);

/// kFailedPrecondition if `streams` are not those of `member`, the store that this process opened.
absl::Status CheckMember(const Streams& streams, const Id128& member);

}  // namespace aimem::changes
