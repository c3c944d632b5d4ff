// The rows that one write transaction reads and changes.
//
// A group of batches shares one Rows: each batch sees what the earlier ones of its group did.
// While a batch executes, its changes are drafts under the stamp kOwnStamp, which is greater than
// every real one; Seal gives them the commit's stamp, or Discard forgets them.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/backends/backend.h"
#include "lib/log/commit.h"
#include "lib/model/parts.h"
#include "lib/model/view.h"

namespace aimem::execute {

/// Stands for the stamp of the commit being made.
inline constexpr Stamp kOwnStamp{~std::uint64_t{0}, ~std::uint64_t{0}};

/// One entity as a batch sees it. `parts` borrow from `state`, or from the draft over it.
struct Entity {
  EntityKey key;
  std::string state;
  model::Parts parts;
  model::MemoryView view;  ///< Of memories.
  absl::Status damage;     ///< Not OK: `state` does not decode, and nothing is known of the entity.

  [[nodiscard]] bool live() const { return view.phase == model::Phase::kLive; }
};

class Rows {
 public:
  explicit Rows(Transaction& transaction) : transaction_(transaction) {}
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;

  [[nodiscard]] Transaction& transaction() { return transaction_; }

  /// Fetch what `set` asks for, keeping rows and names, and return the rest of the answer.
  absl::StatusOr<ReadResult> Fetch(const ReadSet& set);

  /// The entity under `key`, empty parts if there is none. Valid until the batch is sealed,
  /// discarded, or changes this entity. kDataLoss, of this key alone: its row does not decode.
  absl::StatusOr<const Entity*> Get(const EntityKey& key);
  absl::StatusOr<const Entity*> Memory(std::string_view id) {
    return Get({Kind::kMemory, std::string(id)});
  }

  /// Ids of the live memories under this name, ascending.
  absl::StatusOr<std::vector<std::string>> Owners(std::string_view namespace_,
                                                  std::string_view title);

  /// The part names and values to write for `key`, with their stamps; nothing is seen by Get
  /// before Draft returns. kInvalidArgument if the batch deleted or archived this entity before,
  /// or if its metadata would be over a limit; then nothing was drafted.
  struct PartWrite {
    std::string_view name;
    Stamp stamp;
    std::string value;
  };
  absl::Status Draft(const EntityKey& key, std::vector<PartWrite> parts);

  /// What Draft would refuse of `key` whatever is written: it is closed, or cannot be read.
  absl::Status MayDraft(const EntityKey& key);

  /// Forbid further drafts of `key` in this batch: it was deleted or archived.
  void CloseDraft(const EntityKey& key) { closed_.insert(key); }

  /// Count `stamp` as read: the next commit's must exceed it.
  void Saw(Stamp stamp) { seen_ = std::max(seen_, stamp.hlc); }
  [[nodiscard]] std::uint64_t seen() const { return seen_; }

  /// Turn the drafts into the changes of a commit with `stamp`, and into rows. Drafts that change
  /// nothing are left out. kInvalidArgument: a row or body would be larger than what can be read
  /// again; then nothing has changed, and the drafts are still there. kInternal (AIMEM_INVARIANT):
  /// these Rows are good for nothing any more.
  absl::StatusOr<std::vector<log::Change>> Seal(Stamp stamp);
  void Discard();
  [[nodiscard]] std::size_t drafts() const { return drafts_.size(); }
  /// About the bytes that the drafts add to a commit; never fewer.
  [[nodiscard]] std::size_t draft_bytes() const { return draft_bytes_; }

  /// Join `incoming` into the row under `key`, outside of any batch. False: it changed nothing.
  /// The row stays as it is with kDataLoss (it does not decode) and with kResourceExhausted (it
  /// would be larger than what can be read again).
  absl::StatusOr<bool> Join(const EntityKey& key, std::span<const model::Part> incoming);

  /// True: of what is known here, the entity under `key` is erased for ever; drafts do not count.
  [[nodiscard]] bool IsPurged(const EntityKey& key) const { return purged_.contains(key); }
  /// There is one.
  [[nodiscard]] bool any_purged() const { return !purged_.empty(); }
  /// One has become so since the start.
  [[nodiscard]] bool has_purged() const { return has_purged_; }

  /// Keys of `kind` that were changed since the start, by drafts too.
  [[nodiscard]] std::set<std::string> Changed(Kind kind) const;

  /// All rows changed since the start, as the backend keeps them. Call once.
  std::vector<EntityRow> TakeChanged();

 private:
  struct DraftEntity {
    model::PartsBuilder builder;
    std::unique_ptr<Entity> effective;
  };

  void Keep(const EntityKey& key, std::string state);
  absl::Status Replace(Entity& entity, std::string state);
  void NoteName(const EntityKey& key, std::span<const model::Part> parts);

  Transaction& transaction_;
  absl::flat_hash_map<std::string, std::unique_ptr<Entity>> base_;  // by KeyText
  std::map<EntityKey, DraftEntity> drafts_;
  std::set<EntityKey> closed_;
  std::set<EntityKey> changed_;
  std::set<EntityKey> purged_;
  bool has_purged_ = false;
  // Which rows may have a name: what the backend said, and what this group wrote. Candidates
  // only: Owners looks at each.
  std::map<Hash256, std::set<std::string>> named_;
  std::set<Hash256> names_fetched_;
  std::uint64_t seen_ = 0;
  std::size_t draft_bytes_ = 0;
};

}  // namespace aimem::execute
