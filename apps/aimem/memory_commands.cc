// store, update, get, list, search, recall, delete, promote, forget, link, resolve, consolidate.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "aimem/intents.h"
#include "aimem/limits.h"
#include "aimem/transfer.h"
#include "apps/aimem/cli.h"
#include "apps/aimem/config.h"
#include "apps/aimem/output.h"
#include "lib/base/status.h"
#include "lib/base/utf8.h"
#include "lib/model/validate.h"
#include "lib/recall/score.h"
#include "lib/transfer/json_text.h"
#include "services/wire/outcome.h"
#include "services/wire/requests.h"

namespace aimem::cli {
namespace {

// How long a memory that is stored waits to be shown with what may contradict it.
constexpr absl::Duration kSimilarTimeout = absl::Seconds(1);

/// The change waits for approval.
bool Waits(const absl::StatusOr<ItemResult>& result) {
  return result.ok() && result->effect == ItemEffect::kQueued;
}

absl::StatusOr<Tier> TierFlag(const std::string& text) {
  if (const std::optional<Tier> tier = ParseTier(text)) return *tier;
  return absl::InvalidArgumentError(
      absl::StrFormat("invalid tier: %s (use short, mid, long)", text));
}

absl::StatusOr<absl::Time> TimeFlag(std::string_view name, const std::string& text) {
  if (const std::optional<absl::Time> time = model::ParseTime(text)) return *time;
  return absl::InvalidArgumentError(absl::StrFormat("%s is not valid RFC3339: '%s'", name, text));
}

absl::StatusOr<Filter> MakeFilter(const FilterFlags& flags) {
  Filter filter;
  filter.namespace_ = flags.namespace_;
  filter.agent_id = flags.agent_id;
  filter.as_agent = flags.as_agent;
  filter.tags = SplitList(flags.tags);
  if (flags.tier) {
    AIMEM_ASSIGN_OR_RETURN(filter.tier, TierFlag(*flags.tier));
  }
  if (flags.since) {
    AIMEM_ASSIGN_OR_RETURN(filter.since, TimeFlag("since", *flags.since));
  }
  if (flags.until) {
    AIMEM_ASSIGN_OR_RETURN(filter.until, TimeFlag("until", *flags.until));
  }
  return filter;
}

// CRLF becomes LF before the limit counts, so twice the limit may still be good.
absl::StatusOr<std::string> ReadContent() {
  std::string content;
  std::array<char, 1u << 14> buffer;
  while (content.size() <= 2 * limits::kContentBytes) {
    const ssize_t n = read(STDIN_FILENO, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      return absl::UnavailableError(
          absl::StrFormat("reading the content from standard input: %s", std::strerror(errno)));
    }
    if (n == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("content exceeds max size of %d bytes", limits::kContentBytes));
}

absl::StatusOr<PutMemory> MakePut(const StoreCommand& command) {
  PutMemory put;
  AIMEM_ASSIGN_OR_RETURN(put.tier, TierFlag(command.tier));
  put.title = command.title;
  put.content = command.content;
  if (command.content == "-") {
    AIMEM_ASSIGN_OR_RETURN(put.content, ReadContent());
  }
  if (command.namespace_) {
    put.namespace_ = *command.namespace_;
  } else {
    AIMEM_ASSIGN_OR_RETURN(put.namespace_, DerivedNamespace());
  }
  put.tags = SplitList(command.tags);
  put.priority = command.priority;
  put.confidence = command.confidence;
  put.source = command.source;
  if (command.expires_at) {
    AIMEM_ASSIGN_OR_RETURN(put.expires_at, TimeFlag("expires_at", *command.expires_at));
  }
  put.ttl_seconds = command.ttl_seconds;
  put.scope = command.scope;
  return put;
}

absl::StatusOr<PatchMemory> MakePatch(const UpdateCommand& command) {
  PatchMemory patch;
  patch.id = command.id;
  patch.title = command.title;
  patch.content = command.content;
  if (command.content == "-") {
    AIMEM_ASSIGN_OR_RETURN(patch.content, ReadContent());
  }
  if (command.tier) {
    AIMEM_ASSIGN_OR_RETURN(patch.tier, TierFlag(*command.tier));
  }
  patch.namespace_ = command.namespace_;
  if (command.tags) patch.tags = SplitList(*command.tags);
  patch.priority = command.priority;
  patch.confidence = command.confidence;
  if (command.expires_at) {
    patch.expires_at = absl::InfiniteFuture();
    if (!command.expires_at->empty()) {
      AIMEM_ASSIGN_OR_RETURN(patch.expires_at, TimeFlag("expires_at", *command.expires_at));
    }
  }
  return patch;
}

void ShowHit(Context& context, const SearchHit& hit, bool explain) {
  const Memory& memory = hit.memory;
  context.out << RowHead(context, memory) << ' ' << memory.title << ' '
              << PriorityBar(context, memory.priority)
              << absl::StrFormat(" score=%.2f (ns=%s, %dx, %s", hit.score, memory.namespace_,
                                 memory.access_count, Age(memory.updated_at, context.now));
  if (memory.confidence < 1.0) {
    context.out << absl::StrFormat(" conf=%.0f%%", memory.confidence * 100);
  }
  context.out << ")\n  " << FirstCharacters(memory.content, 200) << '\n';
  if (explain) {
    context.out << absl::StrFormat("  because (relevance %.2f):\n", hit.relevance);
    for (const ScoreReason& reason : hit.reasons) {
      context.out << absl::StrFormat("  %8.3f  %s: %s\n", reason.value, reason.name, reason.why);
    }
  }
  context.out << '\n';
}

absl::StatusOr<std::vector<Link>> LinksOf(Store& store, const std::string& id) {
  ListRequest request;
  request.kind = ListKind::kLinks;
  request.of_id = id;
  request.limit = 1'000'000;
  AIMEM_ASSIGN_OR_RETURN(ListResult result, store.List(request));
  return std::move(result.links);
}

// Memories in a file that is not ours can be recalled too; only the use cannot be counted.
absl::StatusOr<Session> OpenForRecall(Context& context, bool& touch) {
  auto store = OpenDatabase(context, Access::kChange);
  touch = store.ok();
  if (!absl::IsPermissionDenied(store.status())) return store;
  return OpenDatabase(context, Access::kRead);
}

// What was asked for and cannot be had without vectors is said, not passed over.
void NoteFallback(Context& context, const RecallCommand& command) {
  if (!absl::EqualsIgnoreCase(command.feature_tier, "keyword")) {
    context.err << "aimem: no embedder for tier '" << command.feature_tier
                << "': recalling by words (keyword)\n";
  }
  if (!command.context_tokens.empty()) {
    context.err << "aimem: --context-tokens has no effect in keyword mode\n";
  }
}

// Show the memory that was written as it is stored, with the `details` that people want of it. Of a
// request that is repeated it may be gone since; that it was done is the answer all the same.
template <typename Details>
absl::Status ShowWritten(Context& context, std::string_view done,
                         const absl::StatusOr<ItemResult>& written, Details details,
                         const std::vector<Memory>& similar = {}) {
  if (!written.ok()) return PlainIfMissing(written.status());
  const std::optional<Memory>& memory = written->memory;
  if (context.json) {
    JsonObject object = memory ? MemoryObject(*memory) : JsonObject().Text("id", written->id);
    wire::AddSimilar(similar, object);
    context.out << object.Build();
  } else {
    context.out << done << ": " << written->id << (memory ? details(*memory) : " (gone since)");
  }
  context.out << '\n';
  return absl::OkStatus();
}

// What may contradict the memory that was stored. It is stored, whatever comes of this.
std::vector<Memory> FindSimilarTo(Context& context, Store& store,
                                  const absl::StatusOr<ItemResult>& stored) {
  if (!stored.ok() || !stored->memory) return {};
  absl::StatusOr<std::vector<Memory>> similar =
      FindSimilar(store, *stored->memory, {.timeout = kSimilarTimeout});
  if (similar.ok()) return *std::move(similar);
  context.err << "note: it is stored; what may contradict it was not found out: "
              << ToStd(similar.status().message()) << '\n';
  return {};
}

void WarnOfSimilar(Context& context, const std::vector<Memory>& similar) {
  if (similar.empty() || context.json) return;
  context.err << "warning: " << similar.size()
              << " similar memories found in same namespace (potential contradictions)\n";
  for (const Memory& memory : similar) {
    context.err << "  " << RowHead(context, memory) << ' ' << memory.title << '\n';
  }
}

// In words, for people: why a search found nothing.
std::string WhyNothing(const SearchRequest& request, const SearchResult& result) {
  switch (result.nothing.value_or(NothingFound::kNothingAsked)) {
    case NothingFound::kNothingAsked:
      return request.limit == 0 ? "the limit is 0" : "nothing was asked for";
    case NothingFound::kNoSuchWord:
      return request.match == Match::kAll ? "one of these words is in no memory there"
                                          : "no memory there has any of these words";
    case NothingFound::kNotTogether:
      return "memories have these words, and none has them all";
    case NothingFound::kFilteredOut:
      return "memories have these words, and the options leave them out";
    case NothingFound::kNotRelevant:
      return absl::StrFormat(
          "what has some of these words is below --min-relevance %g: at most %.2f",
          request.min_relevance, result.relevance_left_out.value_or(0));
    case NothingFound::kOverBudget:
      return "none fits the budget";
  }
  return "";
}

absl::Status CheckQuery(std::string_view name, std::string_view text) {
  if (!TrimWhitespace(text).empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat("%s cannot be empty", name));
}

}  // namespace

absl::Status RunStore(Context& context, const StoreCommand& command) {
  AIMEM_ASSIGN_OR_RETURN(PutMemory put, MakePut(command));
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kCreate));
  const absl::StatusOr<ItemResult> stored =
      ExecuteOne(context, *store, std::move(put), command.request_id);
  if (Waits(stored)) {
    TellQueued(context, *store, stored->id);
    return absl::OkStatus();
  }
  std::vector<Memory> similar;
  if (!command.no_similar) similar = FindSimilarTo(context, *store, stored);
  WarnOfSimilar(context, similar);
  return ShowWritten(
      context, "stored", stored,
      [](const Memory& memory) {
        return absl::StrFormat(" [%s] (ns=%s)", TierName(memory.tier), memory.namespace_);
      },
      similar);
}

absl::Status RunUpdate(Context& context, const UpdateCommand& command) {
  AIMEM_ASSIGN_OR_RETURN(PatchMemory patch, MakePatch(command));
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kChange));
  return ShowWritten(context, "updated",
                     ExecuteOne(context, *store, std::move(patch), command.request_id),
                     [](const Memory& memory) { return absl::StrFormat(" [%s]", memory.title); });
}

absl::Status RunGet(Context& context, const GetCommand& command) {
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kRead));
  const absl::StatusOr<Memory> found = store->Get(command.id);
  if (!found.ok()) return PlainIfMissing(found.status());
  const Memory& memory = *found;
  AIMEM_ASSIGN_OR_RETURN(const std::vector<Link> links, LinksOf(*store, memory.id));
  if (context.json) {
    context.out
        << JsonObject().Raw("links", LinkArray(links)).Raw("memory", MemoryToJson(memory)).Build()
        << '\n';
    return absl::OkStatus();
  }
  context.out << transfer::PrettyJson(MemoryToJson(memory)) << '\n';
  if (links.empty()) return absl::OkStatus();
  context.out << "\nlinks:\n";
  for (const Link& link : links) {
    context.out << absl::StrFormat("  %s --[%s]--> %s\n", link.source_id, link.relation,
                                   link.target_id);
  }
  return absl::OkStatus();
}

absl::Status RunList(Context& context, const ListCommand& command) {
  ListRequest request;
  AIMEM_ASSIGN_OR_RETURN(request.filter, MakeFilter(command.filter));
  if (command.newest) request.order = ListOrder::kNewest;
  request.limit = command.limit;
  request.offset = command.offset;
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kRead));
  AIMEM_ASSIGN_OR_RETURN(const ListResult result, store->List(request));
  const auto count = static_cast<std::int64_t>(result.memories.size());
  if (context.json) {
    context.out
        << JsonObject().Int("count", count).Raw("memories", MemoryArray(result.memories)).Build()
        << '\n';
  } else if (count == 0) {
    context.err << (request.limit == 0 ? "none listed: the limit is 0\n" : "no memories stored\n");
  } else {
    for (const Memory& memory : result.memories) context.out << Row(context, memory);
    context.out << absl::StrFormat("\n%d memory(ies)\n", count);
  }
  return absl::OkStatus();
}

absl::Status RunSearch(Context& context, const SearchCommand& command) {
  AIMEM_RETURN_IF_ERROR(CheckQuery("query", command.query));
  SearchRequest request;
  AIMEM_ASSIGN_OR_RETURN(request.filter, MakeFilter(command.filter));
  request.query = command.query;
  request.match = Match::kAll;
  request.limit = command.limit;
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kRead));
  AIMEM_ASSIGN_OR_RETURN(const SearchResult result, store->Search(request));
  std::vector<Memory> memories;
  for (const SearchHit& hit : result.hits) memories.push_back(hit.memory);
  const auto count = static_cast<std::int64_t>(memories.size());
  if (context.json) {
    context.out << JsonObject().Int("count", count).Raw("results", MemoryArray(memories)).Build()
                << '\n';
  } else if (count == 0) {
    context.err << "no results for: " << command.query << '\n';
    context.err << "  " << WhyNothing(request, result) << '\n';
  } else {
    for (const Memory& memory : memories) context.out << Row(context, memory);
    context.out << absl::StrFormat("\n%d result(s)\n", count);
  }
  return absl::OkStatus();
}

absl::Status RunRecall(Context& context, const RecallCommand& command) {
  AIMEM_RETURN_IF_ERROR(CheckQuery("context", command.context));
  SearchRequest request = Recall(command.context);
  AIMEM_ASSIGN_OR_RETURN(request.filter, MakeFilter(command.filter));
  request.limit = command.limit;
  request.budget_tokens = command.budget_tokens;
  request.explain = command.explain;
  request.min_relevance = command.min_relevance;
  if (command.now) AIMEM_RETURN_IF_ERROR(wire::SetAskedAt(*command.now, request));
  NoteFallback(context, command);
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenForRecall(context, request.touch));
  AIMEM_ASSIGN_OR_RETURN(const SearchResult result, store->Search(request));
  const auto count = static_cast<std::int64_t>(result.hits.size());
  if (context.json) {
    const std::string hits =
        JsonArrayOf(result.hits, [&](const SearchHit& hit) { return HitJson(request, hit); });
    JsonObject object;
    object.Raw("memories", hits)
        .Int("count", count)
        .Text("mode", "keyword")
        .Int("tokens_used", result.tokens_used);
    if (command.budget_tokens) object.Int("budget_tokens", *command.budget_tokens);
    if (result.terms_left_out > 0) object.Int("terms_left_out", result.terms_left_out);
    if (result.nothing) object.Text("nothing_found", NothingFoundName(*result.nothing));
    if (result.nothing && result.relevance_left_out) {
      object.Number("relevance_left_out", recall::RoundScore(*result.relevance_left_out));
    }
    context.out << object.Build() << '\n';
  } else if (count == 0) {
    context.err << "no memories found for: " << command.context << '\n';
    context.err << "  " << WhyNothing(request, result) << '\n';
  } else {
    for (const SearchHit& hit : result.hits) ShowHit(context, hit, command.explain);
    if (command.explain && result.terms_left_out > 0) {
      context.out << absl::StrFormat(
          "%d frequent word(s) of the question left out: the rarest %d count\n",
          result.terms_left_out, limits::kRecallTerms);
    }
    context.out << absl::StrFormat("%d memory(ies) recalled [keyword]\n", count);
  }
  return absl::OkStatus();
}

namespace {

void TellErased(Context& context, const std::string& id, const WriteResult& result) {
  const bool changed = result.items[0].effect == ItemEffect::kDeleted;
  if (context.json) {
    context.out << JsonObject()
                       .Bool("erased", true)
                       .Text("id", id)
                       .Bool("erasing", result.erasing)
                       .Text("message", wire::ErasedText(result))
                       .Build()
                << '\n';
    return;
  }
  context.out << (changed ? "erased: " : "erased before: ") << id << '\n';
  context.err << wire::ErasedText(result) << '\n';
}

absl::Status RunErase(Context& context, const DeleteCommand& command) {
  const std::string question =
      absl::StrCat("erase memory ", command.id, " for ever, here and on every member?");
  if (!command.yes && context.confirm && !context.confirm(question)) {
    context.err << "nothing was erased\n";
    context.exit_code = 1;
    return absl::OkStatus();
  }
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kChange));
  const absl::StatusOr<WriteResult> result =
      Execute(context, *store, EraseMemory{command.id}, command.request_id);
  if (!result.ok()) return PlainIfMissing(result.status());
  if (result->items.empty()) return absl::InternalError("the store gave no result");
  if (result->items[0].effect == ItemEffect::kQueued) {
    TellQueued(context, *store, result->items[0].id);
    return absl::OkStatus();
  }
  TellErased(context, command.id, *result);
  return absl::OkStatus();
}

}  // namespace

absl::Status RunDelete(Context& context, const DeleteCommand& command) {
  if (command.erase) return RunErase(context, command);
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kChange));
  const absl::StatusOr<ItemResult> result =
      ExecuteOne(context, *store, DeleteMemory{command.id}, command.request_id);
  if (Waits(result)) {
    TellQueued(context, *store, result->id);
    return absl::OkStatus();
  }
  if (!result.ok()) return PlainIfMissing(result.status());
  if (context.json) {
    context.out << JsonObject().Bool("deleted", true).Text("id", result->id).Build() << '\n';
  } else {
    context.out << "deleted: " << result->id << '\n';
  }
  return absl::OkStatus();
}

absl::Status RunPromote(Context& context, const PromoteCommand& command) {
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kChange));
  // For its full id. If it is not there, the write says so, or was done before it was deleted.
  const absl::StatusOr<Memory> found = store->Get(command.id);
  const std::string source = found.ok() ? found->id : command.id;
  const absl::StatusOr<ItemResult> result = ExecuteOne(
      context, *store, PromoteMemory{command.id, command.to_namespace}, command.request_id);
  if (Waits(result)) {
    TellQueued(context, *store, result->id);
    return absl::OkStatus();
  }
  if (!result.ok()) return PlainIfMissing(result.status());
  if (command.to_namespace.empty()) {
    if (context.json) {
      context.out
          << JsonObject().Bool("promoted", true).Text("id", result->id).Text("tier", "long").Build()
          << '\n';
    } else {
      context.out << "promoted to long-term: " << result->id << '\n';
    }
  } else if (context.json) {
    context.out << JsonObject()
                       .Bool("promoted", true)
                       .Text("mode", "vertical")
                       .Text("source_id", source)
                       .Text("clone_id", result->id)
                       .Text("to_namespace", command.to_namespace)
                       .Build()
                << '\n';
  } else {
    context.out << absl::StrFormat("promoted (vertical): %s → %s (clone: %s)\n", Id8(source),
                                   command.to_namespace, Id8(result->id));
  }
  return absl::OkStatus();
}

absl::Status RunForget(Context& context, const ForgetCommand& command) {
  if (!command.namespace_ && !command.pattern && !command.tier) {
    context.err << "error: at least one of namespace, pattern, or tier is required\n";
    context.exit_code = 1;
    return absl::OkStatus();
  }
  ForgetMemories forget{command.namespace_, command.pattern, std::nullopt};
  if (command.tier) {
    AIMEM_ASSIGN_OR_RETURN(forget.tier, TierFlag(*command.tier));
  }
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kChange));
  AIMEM_ASSIGN_OR_RETURN(const ItemResult result,
                         ExecuteOne(context, *store, std::move(forget), command.request_id));
  if (context.json) {
    context.out << JsonObject().Int("deleted", result.count).Build() << '\n';
  } else {
    context.out << absl::StrFormat("forgot %d memories\n", result.count);
  }
  return absl::OkStatus();
}

absl::Status RunLink(Context& context, const LinkCommand& command) {
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kChange));
  AddLink link;
  link.source_id = command.source;
  link.target_id = command.target;
  link.relation = command.relation;
  AIMEM_RETURN_IF_ERROR(ExecuteOne(context, *store, std::move(link), command.request_id).status());
  if (context.json) {
    context.out << JsonObject().Bool("linked", true).Build() << '\n';
  } else {
    context.out << absl::StrFormat("linked: %s --[%s]--> %s\n", command.source, command.relation,
                                   command.target);
  }
  return absl::OkStatus();
}

absl::Status RunResolve(Context& context, const ResolveCommand& command) {
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kChange));
  WriteBatch batch = Resolve(command.winner, command.loser);
  AIMEM_RETURN_IF_ERROR(Execute(context, *store, std::move(batch), command.request_id).status());
  if (context.json) {
    context.out << JsonObject()
                       .Bool("resolved", true)
                       .Text("winner", command.winner)
                       .Text("loser", command.loser)
                       .Build()
                << '\n';
  } else {
    context.out << absl::StrFormat("resolved: %s supersedes %s\n", command.winner, command.loser);
  }
  return absl::OkStatus();
}

absl::Status RunConsolidate(Context& context, const ConsolidateCommand& command) {
  ConsolidateMemories consolidate;
  consolidate.ids = SplitList(command.ids);
  consolidate.title = command.title;
  consolidate.summary = command.summary;
  consolidate.source = "cli";
  if (command.namespace_) {
    consolidate.namespace_ = *command.namespace_;
  } else {
    AIMEM_ASSIGN_OR_RETURN(consolidate.namespace_, DerivedNamespace());
  }
  const auto count = static_cast<std::int64_t>(consolidate.ids.size());
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kChange));
  AIMEM_ASSIGN_OR_RETURN(const ItemResult result,
                         ExecuteOne(context, *store, std::move(consolidate), command.request_id));
  if (context.json) {
    context.out << JsonObject().Text("id", result.id).Int("consolidated", count).Build() << '\n';
  } else {
    context.out << absl::StrFormat("consolidated %d memories into: %s\n", count, result.id);
  }
  return absl::OkStatus();
}

}  // namespace aimem::cli
