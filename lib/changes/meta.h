// What a store keeps in its table `meta`, besides rows and log.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "aimem/changes.h"
#include "aimem/types.h"

namespace aimem::changes {

inline constexpr char kMetaMember[] = "member";      ///< 16 bytes.
inline constexpr char kMetaStream[] = "stream";      ///< 8 bytes: the stream that is written now.
inline constexpr char kMetaIdentity[] = "identity";  ///< Where the stream was begun.
/// The streams that were written before, oldest first: 8 bytes each, and one for what became of it
/// (FormerStream).
inline constexpr char kMetaFormer[] = "former";
inline constexpr char kMetaQuorum[] = "quorum";  ///< 8 bytes: W of the federation.
/// The cursor of an unfinished install; empty once it is finished, since a key is never removed.
inline constexpr char kMetaInstall[] = "install";
inline constexpr char kMetaLogMarks[] = "log_marks";  ///< How old the log is (retention.h).

/// Random bytes, written anew by a transaction that has nothing to write and whose answers rest on
/// what it saw: once that is durable, so is what it saw.
inline constexpr char kMetaSettled[] = "settled";
/// Random bytes, written anew by a transaction that changes rows of which no new commit of the log
/// tells: a page of an install, a commit that is mended, one whose stream is cut behind it at once.
/// Whoever keeps something that follows from the rows compares them.
inline constexpr char kMetaRows[] = "rows";
/// Random bytes while bodies of what was purged may still stand in the log, or in what the engine
/// keeps of it: written anew by each transaction that makes it so. Empty: they are gone.
inline constexpr char kMetaErasing[] = "erasing";
/// Where the index is that is kept beside the rows (index::ManifestPlace).
inline constexpr char kMetaIndex[] = "index";
/// "head/" and 16 hexadecimal digits: the last commit of a stream whose commits are not all here,
/// as it was adopted: seq, hlc, hash. Counts while the log has no later one.
inline constexpr char kMetaHead[] = "head/";

using Meta = std::map<std::string, std::string>;

/// Zero if the store has none.
Id128 MemberOf(const Meta& meta);
/// W; 0 if the data belongs to no federation.
std::uint64_t QuorumOf(const Meta& meta);
/// Where an unfinished install goes on; nullopt: there is none. kDataLoss: unreadable.
absl::StatusOr<std::optional<ChangeCursor>> InstallingOf(const Meta& meta);

}  // namespace aimem::changes
