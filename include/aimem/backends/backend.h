// Backend: keeps rows, and knows nothing of memories. A host can bring its own.
//
//   entity(kind, key, name?, state)          unique (kind, key); index on name where not null
//   log(stream, seq, operation, bytes)       unique (stream, seq); unique (operation, stream)
//   meta(key, value)                         unique (key)
//   block(segment, part, bytes)              unique (segment, part)
//
// One write transaction at a time, over all processes that share the data; readers never wait
// for it and see a snapshot. That, durability and these four tables are the whole contract. A
// store over a backend of your own passes the conformance suite of include/aimem/testing/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/types.h"

namespace aimem {

/// One entity. `state` is opaque here.
struct EntityRow {
  EntityKey key = {};
  /// A 32-byte hash under which the row is found besides its key.
  std::optional<Hash256> name = {};
  std::string state = {};
};

/// One commit of the log. `bytes` is opaque here.
struct LogRow {
  std::uint64_t stream = 0;
  std::uint64_t seq = 0;
  OperationId operation = {};
  std::string bytes = {};
};

/// A piece of what a store keeps beside its rows, and can make again of them: a part of an index.
/// `bytes` is opaque here, and at most kBlockBytes.
struct BlockRow {
  std::uint64_t segment = 0;
  std::uint32_t part = 0;
  std::string bytes = {};
};
inline constexpr std::size_t kBlockBytes = 64u << 10;

/// How many blocks a segment has.
struct BlockCount {
  std::uint64_t segment = 0;
  std::uint64_t blocks = 0;
};

/// So much of a commit's bytes tells what it is: a backend may cut ReadResult::heads there.
inline constexpr std::size_t kLogHeadBytes = 128;

/// Questions that are answered together: one round trip.
struct ReadSet {
  std::vector<EntityKey> keys = {};
  std::vector<Hash256> names = {};
  std::vector<OperationId> operations = {};
  bool heads = false;  ///< The last log row of every stream.
  bool meta = false;   ///< All of `meta`.
};

struct ReadResult {
  std::vector<std::optional<EntityRow>> rows = {};  ///< One per key, in order.
  std::vector<EntityRow> named = {};    ///< All rows with one of the names, by (kind, key).
  std::vector<LogRow> operations = {};  ///< All log rows with one of the operations.
  /// The last row of each stream, ascending by stream. `bytes` may end after kLogHeadBytes: a group
  /// must not read whole commits to learn where the log ends.
  std::vector<LogRow> heads = {};
  std::map<std::string, std::string> meta = {};
};

/// A range of entities in (kind, key) order; keys compare as unsigned bytes.
struct ScanRequest {
  std::optional<Kind> kind = {};        ///< Only this kind.
  std::string prefix = {};              ///< Only keys that begin so. Needs `kind`.
  std::optional<EntityKey> after = {};  ///< Only rows greater than this.
  std::size_t max_rows = 1'000;
  std::size_t max_bytes = 4u << 20;  ///< Of states; exceeded by one row at most.
};

/// Everything that a transaction writes.
struct WriteSet {
  std::vector<EntityRow> rows = {};  ///< Upsert on (kind, key). No key twice.
  std::vector<LogRow> log = {};      ///< Insert; (stream, seq) must be new.
  std::vector<std::pair<std::string, std::string>> meta = {};  ///< Upsert on key.
  /// Drop the rows of `first` with seq < `second`.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> log_cuts = {};
  /// Drop the rows of `first` with seq > `second`, before `log` is inserted: a history that is
  /// given up for another one.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> log_tails = {};
  /// Drop the blocks of `first` with part >= `second`, before `blocks` are inserted.
  std::vector<std::pair<std::uint64_t, std::uint32_t>> block_cuts = {};
  std::vector<BlockRow> blocks = {};  ///< Insert; (segment, part) must be new.
  /// Give rows of the log that are there other `bytes`, before `log` is inserted; (stream, seq)
  /// that are not there are left out. `operation` is not looked at. No (stream, seq) twice.
  std::vector<LogRow> log_rewrites = {};
};

/// What became of a COMMIT.
enum class CommitOutcome : std::uint8_t {
  kDurable,  ///< It survives a power cut (as far as the backend's options ask for that).
  kNotDone,  ///< Nothing of it is there, now or later.
  kUnknown,  ///< An I/O error or a lost connection hid it: Recover(), then look.
};

struct CommitResult {
  CommitOutcome outcome = CommitOutcome::kNotDone;
  absl::Status status = {};  ///< OK if durable.
};

/// A read or write transaction. Used by one thread at a time; destroying it rolls back.
class Transaction {
 public:
  virtual ~Transaction() = default;

  /// Answer `set` within the snapshot. In a write transaction after Put: with what it wrote.
  virtual absl::StatusOr<ReadResult> Read(const ReadSet& set) = 0;

  /// Rows in (kind, key) order. Fewer than max_rows and max_bytes: that was all.
  virtual absl::StatusOr<std::vector<EntityRow>> Scan(const ScanRequest& request) = 0;

  /// Log rows of `stream` with seq > `after`, ascending, up to `max_bytes` of bytes (exceeded by
  /// one row at most) and `max_rows`.
  virtual absl::StatusOr<std::vector<LogRow>> ReadLog(std::uint64_t stream, std::uint64_t after,
                                                      std::size_t max_rows,
                                                      std::size_t max_bytes) = 0;

  /// Blocks of `segment` with part >= `first`, ascending, up to `max_bytes` of bytes (exceeded by
  /// one block at most).
  virtual absl::StatusOr<std::vector<BlockRow>> ReadBlocks(std::uint64_t segment,
                                                           std::uint32_t first,
                                                           std::size_t max_bytes) = 0;

  /// All segments of which there are blocks, ascending. Reads no bytes of blocks.
  virtual absl::StatusOr<std::vector<BlockCount>> CountBlocks() = 0;

  /// Write. Only in a write transaction, once. kAlreadyExists if a (stream, seq) or a
  /// (segment, part) is taken.
  virtual absl::Status Put(const WriteSet& set) = 0;

  /// Commit; the transaction is then over whatever the outcome. Where nothing was put this is the
  /// end of a read: kDurable; or kNotDone if what a write transaction has read does not hold, since
  /// the data was moved away after it was opened. kUnknown only if something was put.
  virtual CommitResult Commit() = 0;
};

/// Thread-safe, except Close(), during which nothing else may be called. Recover() is called
/// by one thread at a time, without a write transaction open.
class Backend {
 public:
  virtual ~Backend() = default;

  /// A snapshot. Errors: kUnavailable (retry), kDataLoss.
  virtual absl::StatusOr<std::unique_ptr<Transaction>> BeginRead() = 0;

  /// Take the write lock, waiting up to a bound that the backend's options set, and only then
  /// look at the data. kUnavailable if the lock did not come or the server is away;
  /// kResourceExhausted if the disk is full, here and in Put and Commit, and for nothing else.
  virtual absl::StatusOr<std::unique_ptr<Transaction>> BeginWrite() = 0;

  /// After kUnknown: bring the store to a state in which all that is seen is durable (reopen,
  /// checkpoint, reconnect, Settle). Until it returns OK nothing may be concluded from what is
  /// seen. Reads may go on meanwhile, or wait, no longer than the backend's options let them, or
  /// fail with kUnavailable. kUnavailable: not now (reads that it has to wait for do not end, the
  /// server is away): call it again.
  virtual absl::Status Recover() = 0;

  /// Make durable all that a read has shown so far, where what is visible need not be durable yet:
  /// a server that waits for its standbys (commit something, and wait for that), a file that was
  /// found with the log of a process that had not closed it. Never inside a write transaction. May
  /// wait as long as BeginWrite() and a commit do. kUnavailable: not now; kFailedPrecondition: this
  /// backend may only read, so nobody can tell. Default: what is visible is durable.
  virtual absl::Status Settle() { return absl::OkStatus(); }

  /// Integrity of file or tables, by the engine's own means: sentences, empty if sound.
  virtual absl::StatusOr<std::vector<std::string>> Verify() = 0;

  /// OK until the engine has said that its own structures are damaged (not: a row that a store
  /// cannot decode); then kDataLoss with what happened and what to do, until the backend is opened
  /// again. From then on BeginWrite() and Recover() answer with it and no Commit() succeeds; reads
  /// go on as far as they can. Cheap, and never waits.
  virtual absl::Status Damaged() const { return absl::OkStatus(); }

  /// Work that may be done while no writes wait (checkpoint). Called by the writer, when a group
  /// is done and when it becomes idle.
  virtual absl::Status Maintain(bool idle) = 0;

  /// See that nothing of what was overwritten or dropped before is left in the data: as far as the
  /// engine can, beside reads and writes, by one thread at a time and without a transaction of that
  /// thread. kUnavailable: somebody still reads it, or writes just then: call it again.
  /// kFailedPrecondition: it can never be done here, and why. Default: nothing is kept of it.
  virtual absl::Status Scrub() { return absl::OkStatus(); }

  /// A number that changes whenever somebody else (another process, another connection that is not
  /// this backend's) has committed since the last call; nullopt: this backend cannot tell. Cheap:
  /// asked every 20 ms. Called by one thread at a time.
  virtual absl::StatusOr<std::optional<std::uint64_t>> ForeignCommits() { return std::nullopt; }

  /// OK if what Commit() calls durable survives a power cut; kFailedPrecondition names the setting
  /// that spares the disk. Asked before a member of a federation, or anybody beside it, writes into
  /// its data: others count what is said to be there.
  virtual absl::Status CheckDurable() = 0;

  /// Whether the data is there for other processes, now or later: where not, nobody keeps there
  /// what follows from its rows. Default true.
  virtual bool OutlivesProcess() const { return true; }

  /// What this data lies on: changes when file or database were copied elsewhere (device and
  /// inode; system identifier and timeline). Compared, never parsed. Cheap: asked in every write
  /// transaction, and true of the session (file descriptor, connection) that this one runs on.
  virtual absl::StatusOr<std::string> PhysicalIdentity() = 0;

  /// Bytes that it takes on disk.
  virtual absl::StatusOr<std::int64_t> SizeBytes() = 0;

  /// How to open it again; passwords masked.
  virtual std::string Url() const = 0;

  virtual absl::Status Close() = 0;
};

}  // namespace aimem
