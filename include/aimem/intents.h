// What programs that remember do with a store, beyond one call of it: written once, here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/environment.h"
#include "aimem/lifetimes.h"
#include "aimem/memory.h"
#include "aimem/requests.h"
#include "aimem/store.h"
#include "aimem/types.h"
#include "aimem/write_batch.h"

namespace aimem {

// -- Asking ---------------------------------------------------------------------------------------

/// A recall of what `text` brings to mind: memories with any word of it, the best 10, each counted
/// as used. With a namespace in its filter: those of its ancestors too, nearer ones counting for
/// more. Whoever only looks sets `touch` to false.
SearchRequest Recall(std::string_view text);

/// What may contradict `memory`, or say the same again: live memories of exactly its namespace that
/// have any word of its title (Match::kAny), in title, content or tags; the best limits::kSimilar
/// as a search ranks them, best first, never `memory` itself, nor what has expired. No more than a
/// hint: whoever asked looks, and may Resolve.
///
/// `memory` is what a write returned (WriteOptions::return_memory); its id, namespace and title
/// count. Asked after the write it costs that nothing, no failure of it is one of the write, and of
/// two who store at once the one whose commit is second finds the other's. It is a search in the
/// caller's thread, counts no use, and has the errors of Store::Search.
absl::StatusOr<std::vector<Memory>> FindSimilar(Store& store, const Memory& memory,
                                                const ReadBounds& bounds = {});

/// How many memories lie in the archive, by count, then by namespace. Reads all of it, page by
/// page; errors are those of Store::List.
absl::StatusOr<std::vector<NamespaceCount>> CountArchive(Store& store,
                                                         const ReadBounds& bounds = {});

/// The change that waits for approval, or waited, under this id. kNotFound.
absl::StatusOr<PendingAction> GetPending(Store& store, std::string id,
                                         const ReadBounds& bounds = {});

// -- Writing --------------------------------------------------------------------------------------

/// Settle a contradiction between two live memories, of which these are the full ids: `winner`
/// supersedes `loser` (a link), the loser stays and counts for little (priority 1, confidence 0.1),
/// and the winner is counted as used. One commit; kNotFound if one of them is not live.
WriteBatch Resolve(std::string_view winner, std::string_view loser);

// -- Messages between agents ----------------------------------------------------------------------

/// What one agent says to another. It is kept as a memory of the namespace InboxOf(to), with the
/// sender as its author; to be read it has to be asked for.
struct AgentMessage {
  std::string from = {};   ///< Agent ids.
  std::string to = {};     ///< Need not be registered.
  std::string title = {};  ///< 1 to 470 characters. Two messages may have the same.
  std::string payload = {};
  std::int64_t priority = 5;  ///< 1 to 10.
  Tier tier = Tier::kMid;
};

/// "_messages/AGENT".
std::string InboxOf(std::string_view agent_id);

/// The memory that `message` becomes, under `id`, which nothing else may have: the operation of the
/// write that sends it (ChooseOperation), so that sending it again is seen to be that. It lives as
/// long as `lifetimes` gives its tier. kInvalidArgument: an agent id, title or payload that is
/// none.
absl::StatusOr<ImportMemory> Message(const AgentMessage& message, const Id128& id, absl::Time now,
                                     const Lifetimes& lifetimes = {});

struct ReceivedMessage {
  std::string id = {};
  AgentMessage message = {};
  absl::Time sent_at = {};
  std::int64_t uses = 0;  ///< 0: nobody has said that it was read (TouchMemory).
};

struct InboxRequest {
  std::string agent_id = {};
  bool unread_only = false;
  std::int64_t limit = 50;  ///< 0 to 1,000,000, of what it asks for.
  ReadBounds bounds = {};
};

/// Messages to an agent, the latest first. Whoever may read the store may read them all.
/// kInvalidArgument: no agent id; errors of Store::List.
absl::StatusOr<std::vector<ReceivedMessage>> Inbox(Store& store, const InboxRequest& request);

// -- Looking after --------------------------------------------------------------------------------

/// How expired memories are collected.
struct ExpiryOptions {
  /// From one collection to the next, and from the start to the first. In [1 s, 365 days]. Default
  /// 30 min.
  absl::Duration every = absl::Minutes(30);
  /// As of ExpireMemories: false deletes them without archiving.
  bool archive = true;
  /// Its clock and log. With an executor there is no thread, and Poll() is to be called.
  Environment environment = {};
};

/// Check without starting anything. kInvalidArgument names field, value and range.
absl::Status Validate(const ExpiryOptions& options);

/// Collects what has expired in a store, again and again. A collection that is refused is logged as
/// a warning, and the next one comes in its time; while one goes on no other begins. Thread-safe.
class ExpiryService {
 public:
  /// Stop(), and its end.
  virtual ~ExpiryService() = default;

  /// Ask the store to collect if it is time to, without waiting for it: how long it is until the
  /// next time. For who drives an executor; where there is none the service's thread calls it.
  virtual absl::Duration Poll() = 0;

  /// Begin no more collections, and end the thread. One that the store has begun goes on, and
  /// touches nothing of the service: the store's Close waits for it. Idempotent.
  virtual void Stop() = 0;
};

/// Begin to collect, on a thread ("aimem-expiry") unless there is an executor. `store` must outlive
/// the service. kInvalidArgument (options); kResourceExhausted: no thread could be started.
absl::StatusOr<std::unique_ptr<ExpiryService>> StartExpiry(Store& store,
                                                           const ExpiryOptions& options = {});

}  // namespace aimem
