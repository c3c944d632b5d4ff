// WriteBatch: everything that can change a store, as plain values.
//
// There is one way in for every write: a batch of these, given to Store::WriteAsync. Fields that
// say "validated" follow the rules of limits.h and answer kInvalidArgument with the field, the
// value and the limit (errors.h). Ids of patches, deletes, promotions, links … may be unique
// prefixes only where the comment says so.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "aimem/errors.h"
#include "aimem/federation.h"
#include "aimem/memory.h"
#include "aimem/types.h"

namespace aimem {

class Random;

/// Store a memory: a new one, or an update of the live one under the same namespace and title.
///
/// On an update the id, created_at, agent_id and access count stay; content, tags, source and
/// metadata are replaced; priority, confidence and tier become the greater of old and new;
/// expires_at becomes what a new memory would get (the given one, else the end of `ttl_seconds`,
/// else that of the tier asked for), stays where that is none for want of a default, and is none
/// once the tier is long. Effect: kCreated or kUpdated.
///
/// kInvalidArgument also if what earlier items of the batch wrote to the memory's metadata, with
/// this, exceeds limits::kMetadataKeys or kMetadataStateBytes.
struct PutMemory {
  std::string namespace_ = "global";
  std::string title = {};
  std::string content = {};
  Tier tier = Tier::kMid;
  std::vector<std::string> tags = {};
  std::int64_t priority = 5;
  double confidence = 1.0;
  std::string source = "api";
  /// Must not be in the past; absl::InfiniteFuture(): never. Wins over `ttl_seconds`.
  std::optional<absl::Time> expires_at = {};
  /// 1 to 31,536,000. Neither: the default of the tier (StoreOptions::lifetimes).
  std::optional<std::int64_t> ttl_seconds = {};
  /// A JSON object; its agent_id is overwritten by WriteOptions::agent_id if that is given.
  std::string metadata = "{}";
  /// Becomes metadata.scope if given: private, team, unit, org or collective.
  std::optional<std::string> scope = {};
};

/// Write a whole memory as it is: id, times and counts included (import, mirror of another store).
///
/// A row of that id that is here keeps its created_at and agent_id. kAlreadyExists if another
/// live memory owns the name; kFailedPrecondition if the id was erased for ever.
struct ImportMemory {
  Memory memory = {};
  /// Set: it goes to the archive, as forgotten at this time.
  std::optional<absl::Time> archived_at = {};
};

/// Change the fields that are given; the others stay. `id` may be a unique prefix.
///
/// kNotFound if no live memory has it; kAlreadyExists if the new name is another one's. A tier
/// below the present one is ignored. Tier long clears the expiry unless one is given. Metadata keys
/// that it clears leave their name until the memory is stored as a whole again (PutMemory):
/// kInvalidArgument names keys and bytes if that makes more than limits::kMetadataKeys or
/// kMetadataStateBytes; what only clears is never refused.
struct PatchMemory {
  std::string id = {};
  std::optional<std::string> title = {};
  std::optional<std::string> content = {};
  std::optional<Tier> tier = {};
  std::optional<std::string> namespace_ = {};
  std::optional<std::vector<std::string>> tags = {};
  std::optional<std::int64_t> priority = {};
  std::optional<double> confidence = {};
  /// The new end; absl::InfiniteFuture(): it never expires. May be in the past, but not before the
  /// year 1678; what is later than 2261 is as good as never.
  std::optional<absl::Time> expires_at = {};
  /// Replaces the whole object, except agent_id.
  std::optional<std::string> metadata = {};
};

/// Delete, with its links, without archive. `id` may be a unique prefix. kNotFound if absent.
struct DeleteMemory {
  std::string id = {};
};

/// Erase a memory for ever, and every trace of what it said: text and all else of it go from its
/// row and from the log, here and on every member that holds them, whatever comes later. Exact id,
/// of a memory that is live, archived or deleted, and with it the changes that wait or waited for
/// approval and quote it; or of what such a change is to store, or of the change itself. kNotFound
/// if none was ever here; repeating it changes nothing (kUnchanged), unless more that quotes it has
/// come since or was too much for one commit: that then goes (kDeleted). Its links go with it. A
/// later store of its name makes another memory, with an id of its own. WriteResult::erasing says
/// whether this store is done with it; docs/guarantees.md, what stays all the same.
struct EraseMemory {
  std::string id = {};
};

/// Make it long-term: tier long, no expiry. With `to_namespace`, a proper ancestor of its own:
/// put a copy there instead, linked derived_from to it. `id` may be a unique prefix.
struct PromoteMemory {
  std::string id = {};
  std::string to_namespace = {};  ///< Empty: the tier, not the place.
};

/// Link two live memories; repeating it changes nothing (kUnchanged).
struct AddLink {
  std::string source_id = {};
  std::string target_id = {};
  std::string relation = "related_to";
  std::optional<absl::Time> created_at = {};  ///< Default: now.
};

/// Remove a link; removing what is absent is kUnchanged, not an error.
struct RemoveLink {
  std::string source_id = {};
  std::string target_id = {};
  std::string relation = "related_to";
};

/// Count a use: access count, last access, longer lease; mid becomes long at the fifth.
/// Ids that are not live are ignored. Meant to be written with WriteOptions::lazy.
struct TouchMemory {
  std::string id = {};
};

/// Move matching live memories to the archive. At least one selector is needed. A pattern means
/// every word of it, unstemmed. Alone in its batch; runs as commits of up to 1,000 each.
struct ForgetMemories {
  std::optional<std::string> namespace_ = {};
  std::optional<std::string> pattern = {};
  std::optional<Tier> tier = {};
};

/// Collect memories whose expiry has passed, into the archive. Alone in its batch.
struct ExpireMemories {
  /// False: delete them without archiving.
  bool archive = true;
};

/// Take a memory out of the archive: its tier stays, its expiry is cleared. Exact id.
/// kNotFound if not archived; kAlreadyExists if its name is occupied or it is live.
struct RestoreMemory {
  std::string id = {};
};

/// Delete archived memories for good: all, or those archived more than so many days ago.
/// Alone in its batch.
struct PurgeArchive {
  std::optional<std::int64_t> older_than_days = {};
};

/// Put one memory in the place of 2 to 100 others, which go to the archive. Exact ids.
///
/// It never expires unless an expiry is given it later. The title may be a source's: that memory
/// then becomes the new one, with its id, created_at and agent_id. kAlreadyExists if the title is
/// another live memory's; kNotFound if a source is not live.
struct ConsolidateMemories {
  std::vector<std::string> ids = {};
  std::string title = {};
  std::string summary = {};
  std::string namespace_ = "global";
  Tier tier = Tier::kLong;
  std::string source = "consolidation";
};

/// Set what describes a namespace, what it inherits from, and who may change what lies in it.
///
/// The policy in force in a namespace is its own; else that of the nearest ancestor that has one;
/// else that of the explicit parents of its first segment; else that of the namespace `*`. It
/// outlives its memory, until ClearStandard. It is
///
///   {"write": LEVEL, "promote": LEVEL, "delete": LEVEL, "approver": APPROVER}
///
/// with the levels "any", "registered" (in `_agents`), "owner" (of the memory; of a store: of the
/// standard's memory) and "approve" (the change is queued: ItemEffect::kQueued, DecidePending), and
/// "human", {"agent": id} or {"consensus": n} as approver. Keys besides are ignored. Execution
/// checks it of each store, update, delete, erasure, promotion, forgetting, consolidation and
/// restoring, by WriteOptions::agent_id: kPermissionDenied. Imports, links, touches and what
/// expires are not governed; docs/guarantees.md has the rules. A standard itself may be changed by
/// whom the policy in force there lets decide.
///
/// kNotFound; kInvalidArgument if the policy is none; kPermissionDenied.
struct SetStandard {
  std::string namespace_ = {};
  std::string memory_id = {};  ///< Exact id of a live memory.
  /// Empty: the longest prefix, cut at a '-', that has a standard; none if none has.
  std::string parent = {};
  std::string policy = {};  ///< JSON object; empty: keep the one there.
};

/// Remove the standard of a namespace, policy included. kPermissionDenied as SetStandard.
struct ClearStandard {
  std::string namespace_ = {};
};

/// Register an agent, or refresh its registration: a long memory of namespace `_agents`.
struct RegisterAgent {
  std::string agent_id = {};
  std::string agent_type = {};
  std::vector<std::string> capabilities = {};
};

/// Approve or reject a change that waits for approval (ListKind::kPending), as
/// WriteOptions::agent_id.
///
/// What is approved is done in the same commit: the result is that of the change. An approval that
/// leaves votes to be given is kQueued; of one that is given again, nothing changes. A rejection is
/// kUpdated, and its id the action's. What cannot be done any more is kFailedPrecondition, and goes
/// on waiting.
///
/// kNotFound; kFailedPrecondition: it was decided before; kPermissionDenied: this agent may not
/// decide it. With the approver `human` any agent may but who asked for the change; with an agent,
/// that one; with a consensus, registered agents but who asked, as many as it names. Who asked may
/// always reject.
struct DecidePending {
  std::string action_id = {};  ///< Exact.
  bool approve = false;
};

using WriteItem = std::variant<PutMemory, ImportMemory, PatchMemory, DeleteMemory, PromoteMemory,
                               AddLink, RemoveLink, TouchMemory, ForgetMemories, ExpireMemories,
                               RestoreMemory, PurgeArchive, ConsolidateMemories, SetStandard,
                               ClearStandard, RegisterAgent, DecidePending, EraseMemory>;

namespace internal {
template <typename Item, typename Items>
inline constexpr bool kIsOneOf = false;
template <typename Item, typename... Items>
inline constexpr bool kIsOneOf<Item, std::variant<Items...>> = (std::is_same_v<Item, Items> || ...);
}  // namespace internal

/// An alternative of WriteItem.
template <typename Item>
concept KindOfWriteItem = internal::kIsOneOf<Item, WriteItem>;

/// A list of changes that are applied together, in order, as one commit: all or none, unless
/// WriteOptions::allow_partial. At most 1,000 changes of entities and 8 MiB. Within one batch a
/// memory that was deleted or archived by an earlier item cannot be changed again.
///
///   store.Write(PutMemory{.title = "Oven", .content = "hot"});
///   store.Write({DeleteMemory{id}, AddLink{a, b}});
///   WriteBatch batch;
///   batch.items.push_back(DeleteMemory{id});
struct WriteBatch {
  WriteBatch() = default;
  // Not explicit: what is written is the item, or the list of them.
  template <KindOfWriteItem Item>
  WriteBatch(Item one) {  // NOLINT(google-explicit-constructor)
    items.emplace_back(std::move(one));
  }
  WriteBatch(WriteItem one) {  // NOLINT(google-explicit-constructor)
    items.push_back(std::move(one));
  }
  WriteBatch(std::initializer_list<WriteItem> several) : items(several) {}
  WriteBatch(std::vector<WriteItem> several)  // NOLINT(google-explicit-constructor)
      : items(std::move(several)) {}

  std::vector<WriteItem> items = {};
};

/// How a write ended. These values are stored and sent: never renumber them.
enum class WriteOutcome : std::uint8_t {
  kCommitted = 1,  ///< Durable on W members: survives the loss of any W - 1 of them.
  kPending = 2,    ///< Durable here, fewer than W acks by the deadline; still being delivered.
  /// This call wrote nothing, anywhere; `status` says why. Of a request id that was used before,
  /// kUnavailable and kResourceExhausted do not tell what became of it then: they come before it is
  /// looked up. Retry.
  kRejected = 3,
  kUnknown = 4,  ///< The disk or server failed during the commit: ask with the operation id.
};

/// "committed", "pending", "rejected" or "unknown".
std::string_view WriteOutcomeName(WriteOutcome outcome);

/// What one item did. These values are stored and sent: never renumber them.
enum class ItemEffect : std::uint8_t {
  kUnchanged = 0,  ///< Already so, or nothing matched.
  kCreated = 1,
  kUpdated = 2,
  kDeleted = 3,
  kArchived = 4,
  kRestored = 5,
  /// Not done: it waits for approval, as the pending action that the result's `id` names. Earlier
  /// versions show it as unchanged.
  kQueued = 6,
};

struct ItemResult {
  /// Not OK: this item was refused (the others stand only with allow_partial). DetailOf(status)
  /// (errors.h) says what a program may want to know of it.
  absl::Status status = {};
  ItemEffect effect = ItemEffect::kUnchanged;
  /// The memory that was written: the stored id, the copy of a vertical promotion, the new row
  /// of a consolidation; full where a prefix was given. Empty for links and filters. With kQueued,
  /// the pending action.
  std::string id = {};
  /// Entities changed by this item; for changes by filter their total.
  std::int64_t count = 0;
  /// With WriteOptions::return_memory: the memory that `id` names, as the commit of this batch left
  /// it, read in its transaction; of a replay, as it is now. None: it is not live, or the item was
  /// refused or names none; of a replay also if it could not be read.
  std::optional<Memory> memory = {};

  friend bool operator==(const ItemResult&, const ItemResult&) = default;
};

struct WriteResult {
  /// It is committed: it survives what WriteOutcome::kCommitted says.
  [[nodiscard]] bool durable() const { return outcome == WriteOutcome::kCommitted; }
  /// It may become durable, or may be it already: kPending or kUnknown. Ask with the operation, or
  /// repeat it with the same request id.
  [[nodiscard]] bool in_doubt() const {
    return outcome == WriteOutcome::kPending || outcome == WriteOutcome::kUnknown;
  }

  /// Names this write for ever: found in the log, by Store::GetOperation.
  OperationId operation = {};
  WriteOutcome outcome = WriteOutcome::kRejected;
  /// OK if committed. kPending: kDeadlineExceeded (durable here; ask again, or retry with the same
  /// request id, which waits for the rest). kUnknown: kUnknown (ask with the operation). kRejected:
  /// kInvalidArgument (also a batch, row or commit that is too large), kNotFound, kAlreadyExists,
  /// kPermissionDenied (governance: SetStandard says who may),
  /// kResourceExhausted (a queue or the disk is full: retry later), kUnavailable (fenced, closing,
  /// locked: retry), kAborted (the request id names another request), kFailedPrecondition (what
  /// somebody has to mend first), kDataLoss (a row that it reads cannot be read: run Check; or the
  /// data is damaged: StoreInfo::fenced). DetailOf(status) (errors.h) has the item that was refused
  /// and why.
  absl::Status status = {};
  /// One per item, in order. Empty if the batch was rejected as a whole: `status` then says
  /// which item was the reason.
  std::vector<ItemResult> items = {};
  /// Where the commit stands in the log; 0 if nothing had to be written.
  std::uint64_t stream = 0;
  std::uint64_t seq = 0;
  /// What the answer rests on: the commits that it wrote, or of a replay those that were written
  /// then; where nothing had to be written, all that its transaction could see. A federation
  /// answers kCommitted once W members hold this.
  VersionVector rests_on = {};
  /// True: this request id had been executed before, and this is the answer given then.
  bool replayed = false;
  /// Of a write with EraseMemory. True: what was erased is gone for readers and, durably, for every
  /// member; but bytes of it may still lie in the data of this store, since somebody reads an
  /// earlier state of it, it is closing, or the engine could not be asked. They go as soon as that
  /// is over, also after a restart. False: they are gone from here.
  bool erasing = false;
  /// Where it is durable, if a federation was asked; of a single store: none.
  std::optional<QuorumReport> quorum = {};
};

/// True if repeating the same call, with the same request id where one was used, can succeed
/// although its caller has changed nothing: the outcome is in doubt, or it was rejected for want of
/// something that comes back by itself (kUnavailable, kResourceExhausted).
///
/// False: it is committed, or the request, its request id, a configuration or the data has to
/// change first. Bound the attempts, for a store that was closed is kUnavailable for ever. With a
/// request id the repetition of a write in doubt is the same write, and answers when that is
/// durable; without one it is another write, and may take effect a second time.
bool IsRetryable(const WriteResult& result);

/// Who asks, and how. Every default suits an embedded caller.
struct WriteOptions {
  /// Claimed identity of the author: becomes metadata.agent_id of new memories. Empty: none.
  std::string agent_id = {};
  /// Verified identity, for audit and for the scope of `request_id`. Default "local".
  std::string principal = "local";
  /// Idempotency key, at most 256 bytes: the same key and the same batch have one effect and one
  /// answer, over restarts, for at least 24 h. Empty: none.
  std::string request_id = {};
  /// Bounds the answer, never the delivery. None: ReplicationOptions::quorum_timeout. A single
  /// store answers when durable.
  std::optional<absl::Duration> ack_timeout = {};
  /// May wait up to StoreOptions::lazy_delay to share a commit. Touches only.
  bool lazy = false;
  /// Refused items are skipped and named in the result; the others are committed.
  bool allow_partial = false;
  /// Of a change by filter alone (ForgetMemories, ExpireMemories, PurgeArchive): change nothing,
  /// and answer in ItemResult::count how many memories it would take now. `request_id` and
  /// `operation` are then ignored: it is no write that one could ask for.
  bool dry_run = false;
  /// Fill ItemResult::memory. What is put, imported, patched, promoted, restored, consolidated,
  /// touched or registered is then answered as it is stored, without another read. It is no part of
  /// the request: a retry may ask otherwise. Costs a copy of each memory. Default false.
  bool return_memory = false;
  /// Name of the write, from ChooseOperation: whoever chooses it can ask for the outcome before
  /// there is an answer. kAlreadyExists if it names another write. Ignored with a `request_id`,
  /// which names the write by itself. None: the store draws one.
  std::optional<OperationId> operation = {};
};

/// The operation of a write with these options: that of its principal and request id, or without a
/// request id a new one (a version 7 UUID).
OperationId ChooseOperation(const WriteOptions& options, Random& random, absl::Time now);

}  // namespace aimem
