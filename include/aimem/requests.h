// What can be asked of a store, and what it answers: plain values.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "aimem/changes.h"
#include "aimem/federation.h"
#include "aimem/memory.h"
#include "aimem/types.h"
#include "aimem/write_batch.h"

namespace aimem {

/// How long a read may go on. Default: until it has its answer.
///
/// A read looks at its bounds before it begins and before each page that it takes from the backend,
/// of at most 1,000 rows and about 4 MiB. When it ends for them it has no answer, and has given
/// back what it read with; a use is not counted. What a backend itself waits for, such as a
/// connection or a server that does not answer, and its own check of its files are bounded by its
/// options alone.
struct ReadBounds {
  /// From the call on, by Clock::Monotonic; then kDeadlineExceeded. 0 or less: at once.
  absl::Duration timeout = absl::InfiniteDuration();
  /// When stop is requested, by any thread: kCancelled. Default: it never is.
  std::stop_token stop = {};
};

struct ReadOptions {
  /// Archived memories are found too. Default false: only live ones (expired but not collected
  /// ones included).
  bool archived = false;
  ReadBounds bounds = {};
};

/// Conditions that a memory must all meet. An absent one is no condition.
struct Filter {
  std::optional<std::string> namespace_ = {};  ///< Exactly this one.
  std::optional<Tier> tier = {};
  std::optional<std::int64_t> min_priority = {};
  std::optional<absl::Time> since = {};  ///< created_at not before.
  std::optional<absl::Time> until = {};  ///< created_at not after.
  std::vector<std::string> tags = {};    ///< All of them.
  std::optional<std::string> agent_id = {};
  /// A namespace path: only what its owner may see, by metadata.scope.
  std::optional<std::string> as_agent = {};
  /// Expired memories that are not collected yet count too. Default false.
  bool expired = false;
};

enum class ListKind : std::uint8_t {
  kMemories,    ///< Live; fills `memories`.
  kArchived,    ///< Newest archived_at first; fills `archived`. Of the filter: namespace.
  kLinks,       ///< By key; fills `links`. `of_id` restricts to those of one memory.
  kNamespaces,  ///< Those with memories that are not expired, by count then name.
  kStandards,   ///< By namespace. Without a live memory: only those that have a policy.
  kAgents,      ///< Registrations: memories of `_agents`, oldest registration first.
  kConflicts,   ///< Names with several live memories.
  /// Changes that wait for approval or waited for it, newest first; fills `pending`. Of the filter:
  /// namespace. `of_id` restricts to one, `status` to those of one status.
  kPending,
};

enum class ListOrder : std::uint8_t {
  kPriority,  ///< priority descending, updated_at descending, id.
  kCreated,   ///< created_at ascending, id.
  kNewest,    ///< created_at descending, id descending: kCreated from its end.
};

struct ListRequest {
  ListKind kind = ListKind::kMemories;
  Filter filter = {};
  ListOrder order = ListOrder::kPriority;  ///< For kMemories.
  std::string of_id = {};                  ///< For kLinks and kPending; exact id.
  std::int64_t limit = 20;                 ///< 0 to 1,000,000.
  std::int64_t offset = 0;                 ///< Rows to skip after `page_token`.
  /// Go on where the page that returned this ended; writes in between neither repeat nor hide
  /// rows that they do not touch. Empty: from the start. Opaque.
  std::string page_token = {};
  ReadBounds bounds = {};
  std::optional<PendingStatus> status = {};  ///< For kPending.
};

struct NamespaceCount {
  std::string namespace_ = {};
  std::int64_t count = 0;
};

/// Two or more live memories under one name; the next store of that name heals it.
struct NameConflict {
  std::string namespace_ = {};
  std::string title = {};
  std::vector<std::string> ids = {};
};

struct ListResult {
  std::vector<Memory> memories = {};  ///< Also for kAgents.
  std::vector<ArchivedMemory> archived = {};
  std::vector<Link> links = {};
  std::vector<NamespaceCount> namespaces = {};
  std::vector<NamespaceStandard> standards = {};
  std::vector<NameConflict> conflicts = {};
  std::vector<PendingAction> pending = {};
  /// Empty: that was all.
  std::string next_page_token = {};
};

enum class Match : std::uint8_t {
  kAll,  ///< Every word (search).
  kAny,  ///< Any word, stop words aside (recall).
};

struct SearchRequest {
  /// At most limits::kQuestionBytes. Match::kAll: at most limits::kSearchTerms distinct words.
  std::string query = {};
  Match match = Match::kAny;
  Filter filter = {};
  /// With a filter.namespace_ that has a '/': its ancestors too, weighted by proximity.
  bool with_ancestors = false;
  std::int64_t limit = 10;  ///< 0 to 1,000,000.
  /// Longest sum of floor((bytes of title + content) / 4); what does not fit is skipped.
  std::optional<std::int64_t> budget_tokens = {};
  /// Count this as a use of each memory returned (written lazily, at the latest by Close). A store
  /// that is only read has nowhere to count it, which is no error.
  bool touch = false;
  /// Fill SearchHit::reasons.
  bool explain = false;
  /// Leave out hits whose relevance is less: 0 to 1. Default 0: none.
  double min_relevance = 0;
  /// When the question is asked: what it says of time is then read from there (yesterday, last
  /// week). Absent: only dates that name day, month or year are read.
  std::optional<absl::Time> asked_at = {};
  /// Of who asks: what day it is there at `asked_at` is what such words count from. Default UTC.
  absl::TimeZone time_zone = {};
  ReadBounds bounds = {};
};

/// One addend of a score.
struct ScoreReason {
  std::string name = {};  ///< A query term, "length", "priority", "tier", "confidence", …
  double value = 0;
  std::string why = {};  ///< In words, for people.
};

struct SearchHit {
  Memory memory = {};  ///< As it was before this search touched it.
  double score = 0;
  /// How much of the question it answers for, 0 to 1: the share of the question's words, each by
  /// how rare it is, that the memory holds or, in talk, that the turns beside it lend.
  double relevance = 0;
  std::vector<ScoreReason> reasons = {};
};

/// Why a search found nothing, the first of these that holds.
enum class NothingFound : std::uint8_t {
  kNothingAsked,  ///< A limit of 0, or no word in the question.
  kNoSuchWord,    ///< No memory of the namespace has any of the words.
  kNotTogether,   ///< Match::kAll: no memory has them all.
  kFilteredOut,   ///< Memories have them, and the filter leaves these out.
  kNotRelevant,   ///< They are below min_relevance.
  kOverBudget,    ///< None fits budget_tokens.
};

struct SearchResult {
  std::vector<SearchHit> hits = {};  ///< Best first; ties by updated_at descending, then id.
  std::int64_t tokens_used = 0;
  /// Of Match::kAny: distinct words of the question that memories hold, and that count for nothing,
  /// because limits::kRecallTerms others are rarer.
  std::int64_t terms_left_out = 0;
  /// Set if there are no hits.
  std::optional<NothingFound> nothing = {};
  /// Of what min_relevance left out, the greatest relevance.
  std::optional<double> relevance_left_out = {};
};

/// What the log knows of a write.
struct OperationInfo {
  OperationId operation = {};
  /// kUnknown: it is here, and whether that is durable could not be made sure (a server that waits
  /// for its standbys, or one that is only read): ask again.
  WriteOutcome outcome = WriteOutcome::kUnknown;
  std::uint64_t stream = 0;
  std::uint64_t seq = 0;
  std::uint64_t hlc = 0;
  std::string agent_id = {};
  std::string principal = {};
  /// Of a change by filter, which takes several commits: one item with their total, and the place
  /// of the last.
  std::vector<ItemResult> items = {};
  /// The commits of the operation.
  VersionVector rests_on = {};
  /// True: a change by filter of which not all commits are here. It is still running, or its
  /// process died in between: `outcome` is kPending, what is counted in `items` is done, and
  /// repeating the request with its request id does the rest.
  bool incomplete = false;
  /// As in WriteResult.
  std::optional<QuorumReport> quorum = {};
};

struct InfoOptions {
  /// Count rows by tier and namespace as well: reads every row.
  bool counts = false;
  /// Ask the data. False: only what the process knows (url, queue, fenced, unwritable, federation
  /// and its member id), which needs no data that answers.
  bool data = true;
  ReadBounds bounds = {};
};

struct StoreCounts {
  std::int64_t live = 0;  ///< Expired but not collected ones included.
  std::int64_t archived = 0;
  std::int64_t gone = 0;                ///< Deleted or erased; kept as id and stamps.
  std::int64_t unreadable = 0;          ///< Rows of any kind that do not decode: run Check.
  std::int64_t links = 0;               ///< Shown: both ends live.
  std::int64_t by_tier[3] = {0, 0, 0};  ///< Indexed by Tier.
  std::int64_t expiring_soon = 0;       ///< Live, ending within an hour.
  std::vector<NamespaceCount> namespaces = {};
};

/// The index that this process keeps over the memories of a store, in memory.
struct IndexInfo {
  std::int64_t documents = 0;       ///< Memories in it.
  std::int64_t segments = 0;        ///< Parts that each question looks into.
  std::int64_t bytes = 0;           ///< What it takes.
  std::int64_t commits_behind = 0;  ///< Of the log, which the next question reads first.
};

struct ReindexOptions {
  /// Called now and then with how many memories were read, on a thread of the store. May be null.
  std::function<void(std::int64_t read)> progress = {};
  ReadBounds bounds = {};
};

struct StoreInfo {
  std::string url = {};      ///< Passwords masked.
  Id128 member = {};         ///< The store's identity, made with it.
  std::uint64_t stream = 0;  ///< The history that it writes now; 0 before the first write.
  VersionVector vector = {};
  std::int64_t size_bytes = 0;  ///< Of file or database.
  std::int64_t queued_items = 0;
  std::int64_t queued_bytes = 0;
  /// Why it takes no writes: a commit whose outcome is not known, a full disk (both until a write
  /// succeeds), or a file or database that is damaged (until it is opened again). Empty: it does.
  std::string fenced = {};
  /// Why it could not be written when it was opened, by who may only read it; empty since a write.
  std::string unwritable = {};
  /// Set while the store is being filled with another's states (ChangePage::install): where to go
  /// on. It reports an empty vector until it has all.
  std::optional<ChangeCursor> installing = {};
  /// True: bytes of what was erased may still lie in this data; they are being looked for
  /// (WriteResult::erasing).
  bool erasing = false;
  std::optional<StoreCounts> counts = {};
  /// Of a store that is open in this process; absent: there is none, and a search reads all rows.
  /// It is made when a second one is asked.
  std::optional<IndexInfo> index = {};
  /// Set by a member of a federation.
  std::optional<FederationInfo> federation = {};
};

struct CheckOptions {
  /// Also compare every row with the fold of the log, where the log reaches back to the start, and
  /// the index that is kept beside the rows with them.
  bool deep = true;
  ReadBounds bounds = {};
};

/// What Check found. Empty `problems`: sound.
struct CheckReport {
  std::int64_t rows = 0;
  std::int64_t commits = 0;
  std::int64_t streams = 0;
  bool folded = false;  ///< The log was complete, and rows were compared with its fold.
  Id128 root = {};
  std::vector<std::string> problems = {};  ///< Each a sentence; at most 100.
};

}  // namespace aimem
