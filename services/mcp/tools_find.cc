// Tools that find memories.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "aimem/standards.h"
#include "lib/base/status.h"
#include "lib/base/utf8.h"
#include "lib/model/validate.h"
#include "services/mcp/call.h"
#include "services/mcp/fields.h"
#include "services/mcp/tool.h"
#include "services/wire/requests.h"
#include "services/wire/shapes.h"

namespace aimem::mcp {
namespace {

constexpr std::int64_t kLinksMax = 1'000'000;
constexpr std::int64_t kListMax = 200;
constexpr std::int64_t kSessionMax = 50;

// Three decimals are what people and models compare.
double Rounded(double score) { return std::round(score * 1'000) / 1'000; }

Json HitJson(const SearchHit& hit) {
  Json json = MemoryJson(hit.memory);
  json["score"] = Rounded(hit.score);
  return json;
}

absl::StatusOr<Json> LinksJson(const Call& call, const std::string& id) {
  AIMEM_ASSIGN_OR_RETURN(const ListResult found,
                         call.List({.kind = ListKind::kLinks, .of_id = id, .limit = kLinksMax}));
  return Parsed(wire::LinkArray(found.links));
}

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

}  // namespace

std::vector<Tool> AskingTools() {
  return {
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
        NamespaceField("Only this namespace, and its parents, which count for less"),
        LimitField("10", "At most so many, 50 at most"),
        Text("tags", "Only memories with this tag"),
        Text("since", "Created then or later (RFC 3339)"),
        Text("until", "Created then or earlier (RFC 3339)"),
        Text("as_agent", "A namespace path: only what its owner may see"),
        Integer("budget_tokens", "Stop before titles and contents exceed so many tokens").From(1),
        Texts("context_tokens", "Recent words of the conversation"), FormatField()},
       {Integer("count").Required(), Objects("memories").Required(), Text("mode").Required(),
        Integer("tokens_used").Required(), Integer("budget_tokens"), Object("standard"),
        Objects("standards"), Text("nothing_found"), Text("hint")},
       RunRecall},
      {"memory_search",
       "Search memories",
       "Find memories that have every one of these words, best first. It does not count as a use. "
       "For a question in words use memory_recall.",
       {.read_only = true, .idempotent = true},
       {Text("query", "Words that must all be there").Required(),
        NamespaceField("Only this namespace"), TierField("Only this tier"),
        LimitField("20", "At most so many, 200 at most"),
        Text("agent_id", "Only what this agent stored"),
        Text("as_agent", "A namespace path: only what its owner may see"), FormatField()},
       {Integer("count").Required(), Objects("results").Required(), Text("nothing_found"),
        Text("hint")},
       RunSearch},
  };
}

std::vector<Tool> LookingTools() {
  return {
      {"memory_list",
       "List memories",
       "Browse memories, the most important first. It does not count as a use.",
       {.read_only = true, .idempotent = true},
       {NamespaceField("Only this namespace"), TierField("Only this tier"),
        LimitField("20", "At most so many, 200 at most"),
        Text("agent_id", "Only what this agent stored"), FormatField()},
       {Integer("count").Required(), Objects("memories").Required()},
       RunList},
      {"memory_get",
       "Get a memory",
       "One memory with its content and links, by its id or the unique beginning of it.",
       {.read_only = true, .idempotent = true},
       {IdField("The id, or its unique beginning")},
       {Text("id").Required(), Text("title").Required(), Text("content").Required(),
        Objects("links").Required()},
       RunGet},
      {"memory_get_links",
       "Links of a memory",
       "All links of a memory, from it and to it.",
       {.read_only = true, .idempotent = true},
       {IdField("The full id")},
       {Integer("count").Required(), Objects("links").Required()},
       RunGetLinks},
      {"memory_session_start",
       "Start a session",
       "What to know before anything else: the standards of the namespace and its most important "
       "memories. Call it once when a session begins.",
       {.read_only = true, .idempotent = true},
       {NamespaceField("Only this namespace"), LimitField("10", "At most so many, 50 at most"),
        FormatField()},
       {Integer("count").Required(), Objects("memories").Required(), Text("mode").Required(),
        Object("standard"), Objects("standards")},
       RunSessionStart},
      {"memory_stats",
       "Count memories",
       "How many memories there are, by tier and namespace, and how large the store is.",
       {.read_only = true, .idempotent = true},
       {},
       {Integer("total").Required(), Objects("by_tier").Required(),
        Objects("by_namespace").Required(), Integer("expiring_soon").Required(),
        Integer("links_count").Required(), Integer("db_size_bytes").Required()},
       RunStats},
  };
}

}  // namespace aimem::mcp
