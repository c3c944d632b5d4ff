// World: memories, links and standards in plain lists, changed by one item after the other.
//
// It is written from the documentation of write_batch.h and spec 01 alone, knows neither parts nor
// stamps nor backends, and shares no code with the store: where the two differ, one of them is
// wrong.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/memory.h"
#include "aimem/requests.h"
#include "aimem/write_batch.h"

namespace aimem::oracle {

enum class Phase { kGone, kErased, kArchived, kLive };

struct Row {
  /// Without metadata, which is below.
  Memory memory;
  std::map<std::string, std::string> metadata;  // key -> JSON text; without agent_id
  std::string agent_id;
  bool endless = false;  // while it is stored: without an expiry, whatever it replaces
  Phase phase = Phase::kLive;
  absl::Time archived_at;
  ArchiveReason reason = ArchiveReason::kForget;

  [[nodiscard]] bool live() const { return phase == Phase::kLive; }
  /// The memory as a reader sees it.
  [[nodiscard]] Memory Seen() const;
};

/// What policies are made of here, so that nothing has to be read of JSON.
struct KnownPolicy {
  std::string json;  // canonical
  std::string write, promote, remove;
  std::string agent;  // that approves; empty: none
  std::size_t quorum = 0;
};
const std::vector<KnownPolicy>& Policies();

/// A change that waits for approval, or waited.
struct Waiting {
  PendingAction action;
  Row row;  // that a store is to write
};

/// Runs the items of batches, and answers by looking from one end to the other.
class World {
 public:
  /// Apply `batch` as of `now`. OK: committed, with one result an item in `results`; else it was
  /// refused and this world is spoiled: run what may be refused on a copy. `given` is what the
  /// store answered: the ids of new memories that do not follow from their name alone are taken
  /// from it.
  absl::Status Run(const WriteBatch& batch, const WriteOptions& options, absl::Time now,
                   const std::vector<ItemResult>& given, std::vector<ItemResult>& results);

  [[nodiscard]] const std::vector<Row>& rows() const { return rows_; }
  [[nodiscard]] std::vector<Memory> Live() const;                  // by id
  [[nodiscard]] std::vector<ArchivedMemory> Archived() const;      // by id
  [[nodiscard]] std::vector<Link> Links() const;                   // by key
  [[nodiscard]] std::vector<NamespaceStandard> Standards() const;  // by namespace
  [[nodiscard]] const std::vector<Waiting>& waiting() const { return waiting_; }
  [[nodiscard]] std::vector<PendingAction> Pending() const;  // by id
  /// Ids of the live memories, not expired at `now`, that have all (any) of the words of `query`.
  [[nodiscard]] std::vector<std::string> Search(const std::string& query, Match match,
                                                absl::Time now) const;

 private:
  using LinkKey = std::tuple<std::string, std::string, std::string>;
  /// What holds for one batch only.
  struct BatchState {
    absl::Time now;
    const WriteOptions* options = nullptr;
    std::string given_id;          // of the item that runs
    bool approved = false;         // what runs was approved
    std::set<std::string> closed;  // ids of memories
    std::set<LinkKey> closed_links;
    std::set<std::string> closed_standards;
    std::vector<std::tuple<std::string, std::string, std::string>> renames;  // ns, title, id
  };
  using Result = absl::StatusOr<ItemResult>;

  Result Do(const PutMemory& item);
  Result Do(const ImportMemory& item);
  Result Do(const PatchMemory& item);
  Result Do(const DeleteMemory& item);
  Result Do(const EraseMemory& item);
  Result Do(const PromoteMemory& item);
  Result Do(const AddLink& item);
  Result Do(const RemoveLink& item);
  Result Do(const TouchMemory& item);
  Result Do(const ForgetMemories& item);
  Result Do(const ExpireMemories& item);
  Result Do(const RestoreMemory& item);
  Result Do(const PurgeArchive& item);
  Result Do(const ConsolidateMemories& item);
  Result Do(const SetStandard& item);
  Result Do(const ClearStandard& item);
  Result Do(const RegisterAgent& item);
  Result Do(const DecidePending& item);

  /// Governance: the policy that is in force, whether a change has to wait, and what is then left.
  struct InForce {
    const KnownPolicy* policy = nullptr;  // null: none
    std::string standard_id;
  };
  enum class What { kWrite, kPromote, kDelete };
  NamespaceStandard* StandardOf(const std::string& namespace_);
  InForce PolicyIn(const std::string& namespace_);
  [[nodiscard]] bool IsRegistered(const std::string& agent_id) const;
  /// `owner`: of the memory; null: that of the standard counts.
  absl::StatusOr<bool> Waits(What what, const std::string& namespace_, const std::string* owner);
  absl::Status MayChange(What what, const std::string& namespace_, const std::string* owner);
  absl::Status MayGovern(const std::string& namespace_);
  absl::Status MayDecide(const InForce& in_force, const PendingAction& action, bool approve);
  Result Queue(PendingAction action, Row row);
  /// `waits` asks for what `action` with `row` would.
  bool IsTheSame(const Waiting& waits, const PendingAction& action, const Row& row);
  /// `waiting` says something of the memory `id`, or has this id; `row`: of that memory.
  static bool Quotes(const Waiting& waiting, const std::string& id, const Row* row);
  Result EraseWhatWaits(const std::string& id);
  Result Make(const Waiting& waiting);

  Row* Find(std::string_view id);
  Row* FindLive(std::string_view id);
  std::vector<Row*> Owners(std::string_view namespace_, std::string_view title);
  /// The rule of the upsert. `row.memory.expires_at` is that of a new memory, default included.
  Result Upsert(Row row);
  absl::Status CheckName(std::string_view namespace_, std::string_view title, std::string_view id);
  void Archive(Row& row, ArchiveReason reason, absl::Time at);
  void Delete(Row& row, Phase to = Phase::kGone);
  [[nodiscard]] bool IsLive(std::string_view id) const;

  std::vector<Row> rows_;
  std::vector<Link> links_;
  std::vector<NamespaceStandard> standards_;
  std::vector<Waiting> waiting_;
  BatchState batch_;
};

/// Lower-case words of letters and digits.
std::set<std::string> WordsOf(std::string_view text);
/// Those of title, content and tags.
std::set<std::string> WordsOf(const Memory& memory);
/// The id of a name that is stored for the first time.
std::string FirstIdOf(const std::string& namespace_, const std::string& title);

}  // namespace aimem::oracle
