// Store: the one interface to a memory store, whatever holds the data.
#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/changes.h"
#include "aimem/memory.h"
#include "aimem/requests.h"
#include "aimem/types.h"
#include "aimem/write_batch.h"

namespace aimem {

/// Called once, with no lock held, on a thread of the store or of a caller that waits in Write.
/// Must not block, and must not throw: what it throws is logged and goes no further. Null: nobody
/// wants to know. May call whatever does not wait for the store: not Write, the Apply that returns
/// its result, or Close, which answer kFailedPrecondition there, and it may not destroy the store.
using WriteCallback = absl::AnyInvocable<void(WriteResult) &&>;

/// A durable set of memories and the links between them.
///
/// Thread-safe: any method, any thread, no locking by the caller. Close() before the end.
///
/// A store lives in the process that opened it. In the child of a fork every call answers
/// kFailedPrecondition, and destroying it touches neither the data nor the parent's store: open it
/// again there, over SQLite after the child has executed a program. (SQLite counts the locks of a
/// file in memory, which a child inherits without having the locks; and a forked child of a process
/// with threads may do little before it executes another program anyway.)
class Store {
 public:
  /// Closes, and waits for calls in progress as long as they take, since they use the object.
  virtual ~Store() = default;

  // -- Change -----------------------------------------------------------------------------------

  /// Apply `batch` atomically, then call `done` exactly once.
  ///
  /// The batch is taken over: the caller may end before `done` runs. Two batches from one thread
  /// are applied in the order of the calls, but for changes by filter: those first look for what
  /// they are to change, in the background, and may or may not see what is not answered yet.
  /// Batches that wait together share one fsync.
  /// WriteResult says how it ended and which errors there are.
  virtual void WriteAsync(WriteBatch batch, const WriteOptions& options, WriteCallback done) = 0;
  /// The same with the default options.
  void WriteAsync(WriteBatch batch, WriteCallback done) {
    WriteAsync(std::move(batch), {}, std::move(done));
  }

  /// Blocking form of WriteAsync. In a callback of the store: kFailedPrecondition, since it would
  /// wait for itself; use WriteAsync there. A thread that would only wait may do the store's work
  /// meanwhile.
  [[nodiscard]] virtual WriteResult Write(WriteBatch batch, const WriteOptions& options);
  [[nodiscard]] WriteResult Write(WriteBatch batch) { return Write(std::move(batch), {}); }

  /// Join what another store's ReadChanges returned, then call `done` exactly once.
  ///
  /// Idempotent and safe in any order. States that change a row are written as commits of this
  /// store's own stream, with the stamps they have; commits are kept as they are.
  virtual void Apply(ChangePage page, ApplyCallback done) = 0;

  /// Blocking form of Apply. In a callback of the store: kFailedPrecondition.
  [[nodiscard]] ApplyResult Apply(ChangePage page);

  // -- Find -------------------------------------------------------------------------------------

  /// Return the memories that `ids` name: full ids or unique prefixes, one result each.
  ///
  /// Errors: kNotFound; kInvalidArgument if several ids begin with it ("ambiguous ID prefix");
  /// kUnavailable (retry); kDataLoss (the stored row does not decode); kDeadlineExceeded and
  /// kCancelled, as for every read that is given bounds (ReadBounds).
  virtual std::vector<absl::StatusOr<Memory>> Get(std::span<const std::string> ids,
                                                  const ReadOptions& options = {}) = 0;
  /// Get for one id.
  [[nodiscard]] absl::StatusOr<Memory> Get(std::string_view id, const ReadOptions& options = {});
  /// Get for a list in braces, one result each: Get({"id", "another"}).
  [[nodiscard]] std::vector<absl::StatusOr<Memory>> Get(std::initializer_list<std::string_view> ids,
                                                        const ReadOptions& options = {});

  /// List memories, archive, links, namespaces … a page at a time. kInvalidArgument names the
  /// field; kUnavailable: retry.
  virtual absl::StatusOr<ListResult> List(const ListRequest& request) = 0;

  /// Find memories by their words, best first. No word in the query: an empty result.
  virtual absl::StatusOr<SearchResult> Search(const SearchRequest& request) = 0;
  /// What `text` brings to mind: Search(Recall(text)), see intents.h. Counts as a use of each
  /// memory returned.
  [[nodiscard]] absl::StatusOr<SearchResult> Search(std::string_view text);

  /// What became of a write. Waits up to `wait` for it to be committed (a federation; a single
  /// store answers at once). kNotFound: no such operation is durable here.
  virtual absl::StatusOr<OperationInfo> GetOperation(OperationId operation,
                                                     absl::Duration wait) = 0;

  // -- Follow, compare --------------------------------------------------------------------------

  /// One page of what a reader at `cursor` lacks. No long transaction stands behind it.
  /// What a program wants to know of it, change_feed.h tells.
  virtual absl::StatusOr<ChangePage> ReadChanges(const ChangeCursor& cursor,
                                                 const ReadChangesLimit& limit = {},
                                                 const ReadBounds& bounds = {}) = 0;

  /// Sums of version hashes over ranges of entities; no range: one over everything, the root.
  /// Equal vectors mean equal sums. Reads every row.
  virtual absl::StatusOr<DigestResult> Digest(std::span<const DigestRange> ranges = {},
                                              const ReadBounds& bounds = {}) = 0;

  // -- Look after -------------------------------------------------------------------------------

  virtual absl::StatusOr<StoreInfo> Info(const InfoOptions& options = {}) = 0;

  /// Verify file, log, hash chains, rows and digests. A report with problems is not an error.
  virtual absl::StatusOr<CheckReport> Check(const CheckOptions& options = {}) = 0;

  /// Make the index anew of all rows, and keep it beside them in the place of what is there, if
  /// that outlives the process. Questions are answered meanwhile. Only for who does not trust what
  /// is there (Check): a store makes its index by itself. Answers what came of it. kUnavailable:
  /// the store is being filled by others, or takes no writes; kAborted: another process has kept an
  /// index meanwhile. kFailedPrecondition: an executor drives the store. kUnimplemented: it has no
  /// index.
  virtual absl::StatusOr<IndexInfo> Reindex(const ReindexOptions& /*options*/ = {}) {
    return absl::UnimplementedError("this store has no index");
  }

  /// Take no more work and no more reads, finish what was taken (lazy touches and reads in progress
  /// too), release everything. Blocks. Idempotent. Returns an error that nobody has been told, such
  /// as of a lost touch; that a store that is only read counts none is not one.
  ///
  /// kDeadlineExceeded: something has not ended within StoreOptions::close_grace, such as a read
  /// that a server does not answer. The data is then still open and no call is cut off; call it
  /// again. kFailedPrecondition: called in a callback of the store, or in the child of a fork;
  /// nothing was done.
  virtual absl::Status Close() = 0;
};

}  // namespace aimem
