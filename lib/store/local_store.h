// LocalStore: the one writer over a backend, as wiring over the nouns that do the work.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/backends/backend.h"
#include "aimem/local_store.h"
#include "aimem/store.h"
#include "lib/store/hooks.h"
#include "lib/store/prepare.h"
#include "lib/store/turn.h"

namespace aimem::store {

/// What is brought (Intake) waits in a queue (WriteQueue); whoever has the turn takes a group of it
/// and writes that (GroupWriter), and callbacks run on its thread. What may take long before it can
/// be queued, the selection of a change by filter (FilterRun) and the decoding of a large page, has
/// threads of its own. Questions need no turn (Readers).
class LocalStore final : public MemberStore {
 public:
  LocalStore(std::unique_ptr<Backend> backend, const StoreOptions& options, Hooks hooks,
             PreparedMember prepared);
  ~LocalStore() override;

  void WriteAsync(WriteBatch batch, const WriteOptions& options, WriteCallback done) override;
  using Store::Write;
  WriteResult Write(WriteBatch batch, const WriteOptions& options) override;
  using Store::Apply;
  void Apply(ChangePage page, ApplyCallback done) override;
  void ApplyEach(ChangePage page, ApplyCallback done) override;
  using Store::Get;
  std::vector<absl::StatusOr<Memory>> Get(std::span<const std::string> ids,
                                          const ReadOptions& options) override;
  absl::StatusOr<ListResult> List(const ListRequest& request) override;
  using Store::Search;
  absl::StatusOr<SearchResult> Search(const SearchRequest& request) override;
  absl::StatusOr<OperationInfo> GetOperation(OperationId operation, absl::Duration wait) override;
  absl::StatusOr<ChangePage> ReadChanges(const ChangeCursor& cursor, const ReadChangesLimit& limit,
                                         const ReadBounds& bounds) override;
  absl::StatusOr<DigestResult> Digest(std::span<const DigestRange> ranges,
                                      const ReadBounds& bounds) override;
  absl::StatusOr<StoreInfo> Info(const InfoOptions& options) override;
  absl::StatusOr<CheckReport> Check(const CheckOptions& options) override;
  absl::StatusOr<IndexInfo> Reindex(const ReindexOptions& options) override;
  absl::Status Close() override;
  void Refresh(StreamCallback done) override;
  void ForsakeStream(std::uint64_t stream, const StreamHead& claimed, StreamCallback done) override;
  void YieldStream(std::uint64_t stream, const StreamHead& common, StreamCallback done) override;

 private:
  /// The nouns, each over those before it. Together, since the child of a fork must not destroy
  /// what threads of its parent were in the middle of: there they are left as they are.
  struct Nouns;

  // -- The turn: by the writer thread, by who brings a write, and on the executor -----------------
  void WriterLoop();
  void Do(Task task) ABSL_EXCLUSIVE_LOCKS_REQUIRED(kTurn);
  void Lead();
  void RunPosted();

  // -- The end ------------------------------------------------------------------------------------
  absl::Status CloseWithin(absl::Duration grace);
  [[nodiscard]] absl::Status StillInUse(absl::Duration grace) const;
  /// Close what is used by nobody any more.
  absl::Status Release();

  std::unique_ptr<Nouns> nouns_;
};

}  // namespace aimem::store
