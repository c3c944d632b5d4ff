// Manifest: which blocks are the index that is kept beside the rows, and what position it shows.
//
// A kept index is the segments that a manifest names, each under a number of its own, which was
// drawn at random and is never used again; the manifest is kept in blocks itself, and `meta` says
// where. What nothing names is no part of it, whoever wrote it. docs/formats/index.md has the
// grammar.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "aimem/types.h"
#include "lib/index/view.h"

namespace aimem::index {

/// A segment that is kept.
struct KeptSegment {
  std::uint64_t number = 0;      ///< Under which its blocks are.
  std::uint64_t size = 0;        ///< Of SegmentEncoder, in bytes.
  std::vector<Ordinal> deleted;  ///< Documents that are no more, ascending.

  friend bool operator==(const KeptSegment&, const KeptSegment&) = default;
};

struct Manifest {
  std::string reading;  ///< How rows became documents: Reading() of who made it.
  Position position;
  std::vector<KeptSegment> segments;

  friend bool operator==(const Manifest&, const Manifest&) = default;
};

/// How this build makes documents of rows, in `language`: an index that was made in another way
/// is none.
std::string Reading(std::string_view language);

std::string EncodeManifest(const Manifest& manifest);
/// kDataLoss says what is wrong, and at which offset.
absl::StatusOr<Manifest> DecodeManifest(std::string_view bytes);

/// Where a manifest is kept: the value of `meta` that makes it the index of the store.
struct ManifestPlace {
  std::uint64_t number = 0;   ///< Under which its blocks are.
  std::uint64_t size = 0;     ///< In bytes.
  Hash256 hash{};             ///< Of the bytes.
  std::uint64_t commits = 0;  ///< That its position covers: the sum of the heads.
  std::uint64_t made_ms = 0;  ///< When, by the clock of who made it: milliseconds since 1970.

  friend bool operator==(const ManifestPlace&, const ManifestPlace&) = default;
};
std::string EncodeManifestPlace(const ManifestPlace& place);
/// kUnimplemented: of another build. kDataLoss: it is none.
absl::StatusOr<ManifestPlace> DecodeManifestPlace(std::string_view bytes);

/// A value of `meta` that says that there is no index. `fresh`: bytes that were never in it, so
/// that whoever began to write an index before sees that it is another value than it was.
std::string NoPlace(std::string_view fresh);
/// True: `place`, a value of `meta` or nothing, says where an index is, though perhaps none that
/// this build reads.
bool SaysWhere(std::string_view place);

/// How many commits `position` covers.
std::uint64_t CommitsOf(const Position& position);

/// Blocks that are not of the index at `place` (a value of `meta`; empty: there is none), as
/// `transaction` has them: all, if its manifest cannot be read. Errors of the transaction.
absl::StatusOr<std::vector<BlockCount>> FindUnnamed(Transaction& transaction,
                                                    std::string_view place);
/// Into `set` the cuts of the last of `blocks`, at most `max` of them, which are then no more among
/// these.
void CutBlocks(std::vector<BlockCount>& blocks, std::uint64_t max, WriteSet& set);

/// So many blocks hold `size` bytes.
std::uint64_t BlocksOf(std::uint64_t size);
/// The manifest that is kept at `place`. kDataLoss: its blocks are damaged, or not all there.
absl::StatusOr<Manifest> ReadManifest(Transaction& transaction, const ManifestPlace& place);
/// Call `sink` with the `size` bytes that are kept under `number`, in order. kDataLoss: they are
/// not all there. Errors of the transaction and of `sink`.
absl::Status ReadKept(Transaction& transaction, std::uint64_t number, std::uint64_t size,
                      absl::FunctionRef<absl::Status(std::string_view)> sink);

}  // namespace aimem::index
