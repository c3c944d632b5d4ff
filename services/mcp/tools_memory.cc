// Tools that keep and find memories.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "aimem/intents.h"
#include "aimem/standards.h"
#include "lib/base/status.h"
#include "lib/base/utf8.h"
#include "lib/model/validate.h"
#include "services/mcp/call.h"
#include "services/mcp/tool.h"
#include "services/wire/requests.h"
#include "services/wire/shapes.h"

namespace aimem::mcp {
namespace {

constexpr std::int64_t kLinksMax = 1'000'000;
constexpr std::int64_t kListMax = 200;
constexpr std::int64_t kSessionMax = 50;

Json MemoryJson(const Memory& memory) { return Parsed(wire::MemoryObject(memory).Build()); }

// Three decimals are what people and models compare.
double Rounded(double score) { return std::round(score * 1'000) / 1'000; }

Json HitJson(const SearchHit& hit) {
  Json json = MemoryJson(hit.memory);
  json["score"] = Rounded(hit.score);
  return json;
}

Json LinksOf(const std::vector<Link>& links) { return Parsed(wire::LinkArray(links)); }

absl::StatusOr<Json> LinksJson(const Call& call, const std::string& id) {
  AIMEM_ASSIGN_OR_RETURN(const ListResult found,
                         call.List({.kind = ListKind::kLinks, .of_id = id, .limit = kLinksMax}));
  return LinksOf(found.links);
}

// -- Keeping --------------------------------------------------------------------------------------

// A hint: that it could not be looked for is no failure of what was stored.
void AddContradictions(const Call& call, const Memory& stored, Json& answer) {
  const auto similar = FindSimilar(call.store(), stored, call.Bounds());
  if (!similar.ok() || similar->empty()) return;
  Json ids = Json::array();
  for (const Memory& memory : *similar) ids.push_back(memory.id);
  answer["potential_contradictions"] = std::move(ids);
}

absl::StatusOr<Answer> RunStore(Call& call) {
  PutMemory put;
  put.title = call.Text("title");
  put.content = call.Text("content");
  AIMEM_ASSIGN_OR_RETURN(const std::optional<Tier> tier, call.MaybeTier());
  put.tier = *tier;
  put.namespace_ = call.Text("namespace");
  put.tags = *call.MaybeTexts("tags");
  put.priority = call.Integer("priority");
  put.confidence = *call.MaybeNumber("confidence");
  put.source = call.Text("source");
  const Json& metadata = call.arguments()["metadata"];
  put.metadata = Compact(metadata);
  put.scope = call.MaybeText("scope");
  const Json inline_author = metadata.value("agent_id", Json());
  std::string agent_id = call.Text("agent_id");
  if (agent_id.empty() && inline_author.is_string()) agent_id = inline_author.get<std::string>();
  if (agent_id.empty()) {
    AIMEM_ASSIGN_OR_RETURN(agent_id, call.Caller());
  }
  AIMEM_RETURN_IF_ERROR(model::CheckAgentId(agent_id));
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result, call.Write(std::move(put), agent_id));
  if (std::optional<Answer> waiting = call.Waiting(result)) return *std::move(waiting);
  const ItemResult& item = result.items[0];
  Json answer = {{"id", item.id}};
  if (item.memory) {
    AddContradictions(call, *item.memory, answer);
    answer["tier"] = TierName(item.memory->tier);
    answer["namespace"] = item.memory->namespace_;
    answer["title"] = item.memory->title;
    answer["agent_id"] = wire::AgentIdOf(item.memory->metadata);
  }
  if (item.effect == ItemEffect::kUpdated) {
    answer["duplicate"] = true;
    answer["action"] = "updated existing memory";
  }
  return call.Written(std::move(answer), result);
}

absl::StatusOr<Answer> RunUpdate(Call& call) {
  PatchMemory patch;
  patch.id = call.Text("id");
  patch.title = call.MaybeText("title");
  patch.content = call.MaybeText("content");
  AIMEM_ASSIGN_OR_RETURN(patch.tier, call.MaybeTier());
  patch.namespace_ = call.MaybeText("namespace");
  patch.tags = call.MaybeTexts("tags");
  patch.priority = call.MaybeInteger("priority");
  patch.confidence = call.MaybeNumber("confidence");
  if (const std::optional<std::string> text = call.MaybeText("expires_at")) {
    const std::optional<absl::Time> time = model::ParseTime(*text);
    if (!time) {
      return InvalidField("expires_at", *text,
                          absl::StrCat("expires_at is not valid RFC3339: '", *text, "'"));
    }
    patch.expires_at = *time;
  }
  if (call.Has("metadata")) patch.metadata = Compact(call.arguments()["metadata"]);
  AIMEM_ASSIGN_OR_RETURN(std::string agent_id, call.Caller());
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result, call.Write(std::move(patch), agent_id));
  Json answer = {{"updated", true}};
  const ItemResult& item = result.items[0];
  answer["memory"] = item.memory ? MemoryJson(*item.memory) : Json{{"id", item.id}};
  return call.Written(std::move(answer), result);
}

absl::StatusOr<Answer> RunDelete(Call& call) {
  AIMEM_ASSIGN_OR_RETURN(std::string agent_id, call.Caller());
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result,
                         call.Write(DeleteMemory{call.Text("id")}, agent_id));
  if (std::optional<Answer> waiting = call.Waiting(result)) return *std::move(waiting);
  return call.Written({{"deleted", true}}, result);
}

absl::StatusOr<Answer> RunPromote(Call& call) {
  AIMEM_ASSIGN_OR_RETURN(std::string agent_id, call.Caller());
  const std::string id = call.Text("id");
  const std::optional<std::string> target = call.MaybeText("to_namespace");
  if (target && target->empty()) {
    return InvalidField("to_namespace", "", "to_namespace cannot be empty");
  }
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result,
                         call.Write(PromoteMemory{id, target.value_or("")}, agent_id));
  if (std::optional<Answer> waiting = call.Waiting(result)) return *std::move(waiting);
  const std::string& written = result.items[0].id;
  if (!target) {
    return call.Written({{"promoted", true},
                         {"mode", "tier"},
                         {"id", written.empty() ? id : written},
                         {"tier", "long"}},
                        result);
  }
  // The copy was answered; its source may have been named by a prefix.
  const absl::StatusOr<Memory> source = call.store().Get(id, {.bounds = call.Bounds()});
  return call.Written({{"promoted", true},
                       {"mode", "vertical"},
                       {"source_id", source.ok() ? source->id : id},
                       {"clone_id", written},
                       {"to_namespace", *target}},
                      result);
}

absl::StatusOr<Answer> RunForget(Call& call) {
  ForgetMemories forget;
  forget.namespace_ = call.MaybeText("namespace");
  forget.pattern = call.MaybeText("pattern");
  AIMEM_ASSIGN_OR_RETURN(forget.tier, call.MaybeTier());
  if (!forget.namespace_ && !forget.pattern && !forget.tier) {
    return absl::InvalidArgumentError("at least one of namespace, pattern, or tier is required");
  }
  const bool dry_run = call.Flag("dry_run");
  AIMEM_ASSIGN_OR_RETURN(std::string agent_id, call.Caller());
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result,
                         call.Write(std::move(forget), agent_id, dry_run));
  const std::int64_t count = result.items[0].count;
  if (dry_run) return Answer{{{"would_delete", count}, {"dry_run", true}}};
  return call.Written({{"deleted", count}, {"archived", true}}, result);
}

absl::StatusOr<Answer> RunLink(Call& call) {
  const AddLink link{call.Text("source_id"), call.Text("target_id"), call.Text("relation")};
  AIMEM_ASSIGN_OR_RETURN(std::string agent_id, call.Caller());
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result, call.Write(link, agent_id));
  return call.Written({{"linked", true},
                       {"source_id", link.source_id},
                       {"target_id", link.target_id},
                       {"relation", link.relation}},
                      result);
}

absl::StatusOr<Answer> RunConsolidate(Call& call) {
  ConsolidateMemories consolidate;
  consolidate.ids = *call.MaybeTexts("ids");
  consolidate.title = call.Text("title");
  consolidate.namespace_ = call.Text("namespace");
  AIMEM_RETURN_IF_ERROR(model::CheckConsolidateIds(consolidate.ids));
  const std::optional<std::string> summary = call.MaybeText("summary");
  if (!summary) {
    return absl::InvalidArgumentError(
        "summary is required (or use smart/autonomous tier for auto-summarization)");
  }
  consolidate.summary = *summary;
  const std::size_t count = consolidate.ids.size();
  AIMEM_ASSIGN_OR_RETURN(std::string agent_id, call.Caller());
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result, call.Write(std::move(consolidate), agent_id));
  return call.Written({{"id", result.items[0].id}, {"consolidated", count}}, result);
}

// -- Finding --------------------------------------------------------------------------------------

// Why there is nothing, and what to try: not in 2024-11-05, whose answers have no such member.
void SayNothing(const Call& call, const SearchResult& result, Json& answer) {
  if (!result.nothing || !HasReceipts(call.revision())) return;
  answer["nothing_found"] = wire::NothingFoundName(*result.nothing);
  switch (*result.nothing) {
    case NothingFound::kNothingAsked:
      answer["hint"] = "The question has no word to look for, or the limit is 0.";
      break;
    case NothingFound::kNoSuchWord:
      answer["hint"] = "No memory has any of these words: try others, or another namespace.";
      break;
    case NothingFound::kNotTogether:
      answer["hint"] = "No memory has all of these words: leave some out, or use memory_recall.";
      break;
    case NothingFound::kFilteredOut:
      answer["hint"] = "Memories have these words, but the filter leaves them out: widen it.";
      break;
    case NothingFound::kNotRelevant:
      answer["hint"] = "What was found is below the least relevance that was asked for.";
      break;
    case NothingFound::kOverBudget:
      answer["hint"] = "What was found is longer than budget_tokens: raise it.";
      break;
  }
}

// What holds where it is looked, before what is found there.
class Standards {
 public:
  static absl::StatusOr<Standards> In(const Call& call,
                                      const std::optional<std::string>& namespace_) {
    AIMEM_ASSIGN_OR_RETURN(
        std::vector<Memory> memories,
        StandardsOf(call.store(), namespace_ ? *namespace_ : "*", call.Bounds()));
    return Standards(std::move(memories));
  }

  [[nodiscard]] bool Has(const Memory& memory) const {
    return std::any_of(memories_.begin(), memories_.end(),
                       [&](const Memory& one) { return one.id == memory.id; });
  }

  /// As `standard` if there is one, as `standards` if there are several.
  void AddTo(Json& answer, wire::ToonDocument& toon) const {
    Json shown = Json::array();
    for (const Memory& memory : memories_) {
      shown.push_back({{"id", memory.id}, {"title", memory.title}, {"content", memory.content}});
      toon.standards.push_back(&memory);
    }
    if (shown.size() == 1) answer["standard"] = std::move(shown[0]);
    if (shown.size() > 1) answer["standards"] = std::move(shown);
  }

 private:
  explicit Standards(std::vector<Memory> memories) : memories_(std::move(memories)) {}

  std::vector<Memory> memories_;
};

absl::StatusOr<Answer> RunRecall(Call& call) {
  wire::RecallBody body;
  body.context = call.Text("context");
  body.namespace_ = call.MaybeText("namespace");
  body.tags = call.MaybeText("tags");
  body.since = call.MaybeText("since");
  body.until = call.MaybeText("until");
  body.as_agent = call.MaybeText("as_agent");
  AIMEM_ASSIGN_OR_RETURN(body.limit, call.Limit(kSessionMax));
  body.budget_tokens = call.MaybeInteger("budget_tokens");
  AIMEM_ASSIGN_OR_RETURN(SearchRequest request, wire::SearchOf(body));
  request.touch = true;
  request.bounds = call.Bounds();
  AIMEM_ASSIGN_OR_RETURN(const SearchResult result, call.store().Search(request));
  AIMEM_ASSIGN_OR_RETURN(const Standards standards, Standards::In(call, body.namespace_));
  Json memories = Json::array();
  wire::ToonDocument toon;
  std::int64_t tokens = result.tokens_used;
  for (const SearchHit& hit : result.hits) {
    const Memory& memory = hit.memory;
    if (standards.Has(memory)) {
      tokens -= static_cast<std::int64_t>((memory.title.size() + memory.content.size()) / 4);
      continue;
    }
    memories.push_back(HitJson(hit));
    toon.rows.push_back({&memory, hit.score});
  }
  Json answer = {{"count", memories.size()},
                 {"memories", std::move(memories)},
                 {"mode", "keyword"},
                 {"tokens_used", tokens}};
  if (body.budget_tokens) answer["budget_tokens"] = *body.budget_tokens;
  toon.mode = "keyword";
  toon.tokens_used = tokens;
  toon.budget_tokens = body.budget_tokens;
  standards.AddTo(answer, toon);
  SayNothing(call, result, answer);
  return call.Listed(std::move(answer), toon);
}

absl::Status SetFilter(const Call& call, Filter& filter) {
  filter.namespace_ = call.MaybeText("namespace");
  AIMEM_ASSIGN_OR_RETURN(filter.tier, call.MaybeTier());
  filter.agent_id = call.MaybeText("agent_id");
  if (filter.agent_id) AIMEM_RETURN_IF_ERROR(model::CheckAgentId(*filter.agent_id));
  return absl::OkStatus();
}

absl::StatusOr<Answer> RunSearch(Call& call) {
  SearchRequest request;
  request.query = call.Text("query");
  if (TrimWhitespace(request.query).empty()) {
    return absl::InvalidArgumentError("query is required");
  }
  request.match = Match::kAll;
  AIMEM_ASSIGN_OR_RETURN(request.limit, call.Limit(kListMax));
  AIMEM_RETURN_IF_ERROR(SetFilter(call, request.filter));
  AIMEM_RETURN_IF_ERROR(wire::SetAsAgent(call.MaybeText("as_agent"), request.filter));
  request.bounds = call.Bounds();
  AIMEM_ASSIGN_OR_RETURN(const SearchResult result, call.store().Search(request));
  Json results = Json::array();
  wire::ToonDocument toon;
  for (const SearchHit& hit : result.hits) {
    results.push_back(MemoryJson(hit.memory));
    toon.rows.push_back({&hit.memory});
  }
  Json answer = {{"count", results.size()}, {"results", std::move(results)}};
  SayNothing(call, result, answer);
  return call.Listed(std::move(answer), toon);
}

absl::StatusOr<Answer> RunList(Call& call) {
  ListRequest request;
  AIMEM_ASSIGN_OR_RETURN(request.limit, call.Limit(kListMax));
  AIMEM_RETURN_IF_ERROR(SetFilter(call, request.filter));
  AIMEM_ASSIGN_OR_RETURN(const ListResult result, call.List(std::move(request)));
  Json memories = Json::array();
  wire::ToonDocument toon;
  for (const Memory& memory : result.memories) {
    memories.push_back(MemoryJson(memory));
    toon.rows.push_back({&memory});
  }
  return call.Listed({{"count", memories.size()}, {"memories", std::move(memories)}}, toon);
}

absl::StatusOr<Answer> RunSessionStart(Call& call) {
  ListRequest request;
  request.filter.namespace_ = call.MaybeText("namespace");
  AIMEM_ASSIGN_OR_RETURN(request.limit, call.Limit(kSessionMax));
  AIMEM_ASSIGN_OR_RETURN(const Standards standards, Standards::In(call, request.filter.namespace_));
  AIMEM_ASSIGN_OR_RETURN(const ListResult result, call.List(std::move(request)));
  Json memories = Json::array();
  wire::ToonDocument toon;
  toon.mode = "session_start";
  for (const Memory& memory : result.memories) {
    if (standards.Has(memory)) continue;
    memories.push_back(HitJson({.memory = memory}));
    toon.rows.push_back({&memory, 0.0});
  }
  Json answer = {
      {"count", memories.size()}, {"memories", std::move(memories)}, {"mode", "session_start"}};
  standards.AddTo(answer, toon);
  return call.Listed(std::move(answer), toon);
}

absl::StatusOr<Answer> RunGet(Call& call) {
  absl::StatusOr<Memory> memory = call.store().Get(call.Text("id"), {.bounds = call.Bounds()});
  if (!memory.ok()) return memory.status();
  Json answer = MemoryJson(*memory);
  AIMEM_ASSIGN_OR_RETURN(answer["links"], LinksJson(call, memory->id));
  return Answer{std::move(answer)};
}

absl::StatusOr<Answer> RunGetLinks(Call& call) {
  const std::string id = call.Text("id");
  AIMEM_RETURN_IF_ERROR(model::CheckId(id));
  AIMEM_ASSIGN_OR_RETURN(Json links, LinksJson(call, id));
  return Answer{{{"count", links.size()}, {"links", std::move(links)}}};
}

absl::StatusOr<Answer> RunStats(Call& call) {
  AIMEM_ASSIGN_OR_RETURN(const StoreInfo info,
                         call.store().Info({.counts = true, .bounds = call.Bounds()}));
  return Answer{Parsed(wire::StatsJson(info))};
}

// -- The table ------------------------------------------------------------------------------------

const std::vector<std::string_view> kTiers = {"short", "mid", "long"};
const std::vector<std::string_view> kFormats = {"json", "toon", "toon_compact"};
const std::vector<std::string_view> kScopes = {"private", "team", "unit", "org", "collective"};
const std::vector<std::string_view> kSources = {"user",   "claude",        "hook",   "api",  "cli",
                                                "import", "consolidation", "system", "chaos"};
const std::vector<std::string_view> kRelations = {"related_to", "supersedes", "contradicts",
                                                  "derived_from"};

Field Id(std::string_view about) { return Text("id", about).Required(); }
Field Namespace(std::string_view about) { return Text("namespace", about); }
Field Limit(std::string_view fallback, std::string_view about) {
  return Integer("limit", about).Or(fallback).From(0);
}
Field Format() {
  return Text("format",
              "toon_compact costs the fewest tokens and leaves the content out; json has all of it")
      .Or("\"toon_compact\"")
      .OneOf(kFormats);
}
Field HiddenAgent() { return Text("agent_id").Hidden(); }

}  // namespace

std::vector<Tool> MemoryTools() {
  return {
      {"memory_store",
       "Store a memory",
       "Keep a fact, decision, preference or lesson for later. The same title in the same "
       "namespace "
       "updates the memory that is there. Tier: short 6 hours, mid 7 days (renewed when used), "
       "long "
       "for ever; corrections and decisions belong in long, with a high priority.",
       {.idempotent = true},
       {Text("title", "Short and telling; names the memory in its namespace").Required(),
        Text("content", "The memory itself, at most 65536 bytes").Required(),
        Text("tier", "How long it is kept").Or("\"mid\"").OneOf(kTiers),
        Text("namespace", "Where it belongs: a project, a team, a path like shop/api")
            .Or("\"global\""),
        Texts("tags", "Words to filter by, at most 50").Or("[]"),
        Integer("priority", "10 is the most important").Or("5").From(1).To(10),
        Number("confidence", "How sure it is").Or("1.0").From(0).To(1),
        Text("source", "Where it comes from").Or("\"claude\"").OneOf(kSources),
        Object("metadata", "Anything else, as JSON").Or("{}"),
        Text("agent_id", "Who stores it; default: the agent that calls"),
        Text("scope", "Who may see it, for questions that say as_agent").OneOf(kScopes)},
       {Text("id"), Text("tier"), Text("namespace"), Text("title"), Text("agent_id"),
        Bool("duplicate"), Text("action"), Texts("potential_contradictions"), Text("status"),
        Text("pending_id"), Text("reason"), Receipt()},
       RunStore},
      {"memory_recall",
       "Recall memories",
       "Find what is remembered about something, best first: say in words what you need. Do this "
       "at "
       "the start of a conversation and before decisions. What is returned counts as used, and is "
       "kept longer. Memories are listed without their content unless format is json: fetch it "
       "with "
       "memory_get.",
       {.read_only = false, .idempotent = false},
       {Text("context", "What it is about, in words").Required(),
        Namespace("Only this namespace, and its parents, which count for less"),
        Limit("10", "At most so many, 50 at most"), Text("tags", "Only memories with this tag"),
        Text("since", "Created then or later (RFC 3339)"),
        Text("until", "Created then or earlier (RFC 3339)"),
        Text("as_agent", "A namespace path: only what its owner may see"),
        Integer("budget_tokens", "Stop before titles and contents exceed so many tokens").From(1),
        Texts("context_tokens", "Recent words of the conversation"), Format()},
       {Integer("count").Required(), Objects("memories").Required(), Text("mode").Required(),
        Integer("tokens_used").Required(), Integer("budget_tokens"), Object("standard"),
        Objects("standards"), Text("nothing_found"), Text("hint")},
       RunRecall},
      {"memory_search",
       "Search memories",
       "Find memories that have every one of these words, best first. It does not count as a use. "
       "For a question in words use memory_recall.",
       {.read_only = true, .idempotent = true},
       {Text("query", "Words that must all be there").Required(), Namespace("Only this namespace"),
        Text("tier", "Only this tier").OneOf(kTiers), Limit("20", "At most so many, 200 at most"),
        Text("agent_id", "Only what this agent stored"),
        Text("as_agent", "A namespace path: only what its owner may see"), Format()},
       {Integer("count").Required(), Objects("results").Required(), Text("nothing_found"),
        Text("hint")},
       RunSearch},
      {"memory_list",
       "List memories",
       "Browse memories, the most important first. It does not count as a use.",
       {.read_only = true, .idempotent = true},
       {Namespace("Only this namespace"), Text("tier", "Only this tier").OneOf(kTiers),
        Limit("20", "At most so many, 200 at most"),
        Text("agent_id", "Only what this agent stored"), Format()},
       {Integer("count").Required(), Objects("memories").Required()},
       RunList},
      {"memory_get",
       "Get a memory",
       "One memory with its content and links, by its id or the unique beginning of it.",
       {.read_only = true, .idempotent = true},
       {Id("The id, or its unique beginning")},
       {Text("id").Required(), Text("title").Required(), Text("content").Required(),
        Objects("links").Required()},
       RunGet},
      {"memory_update",
       "Update a memory",
       "Change the fields that are given; the others stay. A tier never goes down.",
       {.destructive = true, .idempotent = true},
       {Id("The id, or its unique beginning"), Text("title", "Another title"),
        Text("content", "Another content"), Text("tier", "A longer tier").OneOf(kTiers),
        Namespace("Another namespace"),
        Texts("tags", "These tags in the place of those that it has"),
        Integer("priority", "10 is the most important").From(1).To(10),
        Number("confidence", "How sure it is").From(0).To(1),
        Text("expires_at", "When it ends (RFC 3339)"),
        Object("metadata", "This object in the place of the one that it has")},
       {Bool("updated").Required(), Object("memory").Required(), Receipt()},
       RunUpdate},
      {"memory_delete",
       "Delete a memory",
       "Delete one memory and its links, without archive. To put many aside use memory_forget.",
       {.destructive = true, .idempotent = true},
       {Id("The id, or its unique beginning"), HiddenAgent()},
       {Bool("deleted"), Text("status"), Text("pending_id"), Text("reason"), Receipt()},
       RunDelete},
      {"memory_promote",
       "Promote a memory",
       "Keep it for ever (tier long); or, with to_namespace, put a copy into a parent namespace, "
       "so "
       "that all below it find it.",
       {.idempotent = true},
       {Id("The id, or its unique beginning"), Text("to_namespace", "A parent of its namespace"),
        HiddenAgent()},
       {Bool("promoted"), Text("mode"), Text("status"), Text("pending_id"), Text("reason"),
        Receipt()},
       RunPromote},
      {"memory_forget",
       "Forget memories",
       "Put all memories that match aside, into the archive. Give at least one of namespace, "
       "pattern "
       "and tier; look first with dry_run.",
       {.destructive = true, .idempotent = true},
       {Namespace("Only this namespace"), Text("pattern", "Only what has each of these words"),
        Text("tier", "Only this tier").OneOf(kTiers),
        Bool("dry_run", "Count, and change nothing").Or("false")},
       {Integer("deleted"), Bool("archived"), Integer("would_delete"), Bool("dry_run"), Receipt()},
       RunForget},
      {"memory_link",
       "Link two memories",
       "Say how one memory stands to another: related_to, supersedes, contradicts or derived_from.",
       {.idempotent = true},
       {Text("source_id", "The full id of the one").Required(),
        Text("target_id", "The full id of the other").Required(),
        Text("relation", "What the one is to the other").Or("\"related_to\"").OneOf(kRelations)},
       {Bool("linked").Required(), Text("source_id").Required(), Text("target_id").Required(),
        Text("relation").Required(), Receipt()},
       RunLink},
      {"memory_get_links",
       "Links of a memory",
       "All links of a memory, from it and to it.",
       {.read_only = true, .idempotent = true},
       {Id("The full id")},
       {Integer("count").Required(), Objects("links").Required()},
       RunGetLinks},
      {"memory_consolidate",
       "Consolidate memories",
       "Put one memory, which you write, in the place of 2 to 100 others; these go to the archive.",
       {.destructive = true},
       {Texts("ids", "Full ids of the memories").Required(),
        Text("title", "The title of the new one").Required(),
        Text("summary", "What the new one says"),
        Text("namespace", "Where it belongs").Or("\"global\""), HiddenAgent()},
       {Text("id").Required(), Integer("consolidated").Required(), Receipt()},
       RunConsolidate},
      {"memory_stats",
       "Count memories",
       "How many memories there are, by tier and namespace, and how large the store is.",
       {.read_only = true, .idempotent = true},
       {},
       {Integer("total").Required(), Objects("by_tier").Required(),
        Objects("by_namespace").Required(), Integer("expiring_soon").Required(),
        Integer("links_count").Required(), Integer("db_size_bytes").Required()},
       RunStats},
      {"memory_session_start",
       "Start a session",
       "What to know before anything else: the standards of the namespace and its most important "
       "memories. Call it once when a session begins.",
       {.read_only = true, .idempotent = true},
       {Namespace("Only this namespace"), Limit("10", "At most so many, 50 at most"), Format()},
       {Integer("count").Required(), Objects("memories").Required(), Text("mode").Required(),
        Object("standard"), Objects("standards")},
       RunSessionStart},
  };
}

}  // namespace aimem::mcp
