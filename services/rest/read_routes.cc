// Routes that read: memories, links, archive, counts.
#include <algorithm>
#include <ostream>
#include <streambuf>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "aimem/intents.h"
#include "aimem/transfer.h"
#include "lib/base/status.h"
#include "lib/base/utf8.h"
#include "lib/model/validate.h"
#include "services/rest/answers.h"
#include "services/rest/api.h"
#include "services/rest/filters.h"
#include "services/wire/requests.h"
#include "services/wire/shapes.h"

namespace aimem::rest {
namespace {

using wire::JsonArrayOf;
using wire::JsonObject;

constexpr std::int64_t kRowsMax = 1'000'000;
constexpr std::int64_t kListMax = 200;
constexpr std::int64_t kArchiveMax = 1'000;
constexpr std::size_t kExportBytesMax = 256u << 20;

template <typename Values>
std::int64_t Count(const Values& values) {
  return static_cast<std::int64_t>(values.size());
}

// Keeps what is written up to a limit; then the stream fails.
class LimitedBuffer final : public std::streambuf {
 public:
  explicit LimitedBuffer(std::size_t limit) : limit_(limit) {}
  std::string Take() { return std::move(text_); }
  [[nodiscard]] bool full() const { return full_; }

 protected:
  std::streamsize xsputn(const char* bytes, std::streamsize count) override {
    if (full_ || text_.size() + static_cast<std::size_t>(count) > limit_) {
      full_ = true;
      return 0;
    }
    text_.append(bytes, static_cast<std::size_t>(count));
    return count;
  }
  int_type overflow(int_type c) override {
    if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
    const char byte = traits_type::to_char_type(c);
    return xsputn(&byte, 1) == 1 ? c : traits_type::eof();
  }

 private:
  std::size_t limit_;
  std::string text_;
  bool full_ = false;
};

}  // namespace

// -- Memories -------------------------------------------------------------------------------------

void Api::Get(Call call) {
  absl::Status status = model::CheckId(call.id);
  if (!status.ok()) return std::move(call.respond)(StatusAnswer(status));
  const absl::StatusOr<Memory> memory = store_.Get(call.id, {.bounds = BoundsOf(call)});
  if (!memory.ok()) return std::move(call.respond)(Problem(memory.status()));
  ListRequest request;
  request.kind = ListKind::kLinks;
  request.of_id = memory->id;
  request.limit = kRowsMax;
  request.bounds = BoundsOf(call);
  const absl::StatusOr<ListResult> links = store_.List(request);
  if (!links.ok()) return std::move(call.respond)(Problem(links.status()));
  std::move(call.respond)(JsonAnswer(200, JsonObject()
                                              .Raw("memory", MemoryToJson(*memory))
                                              .Raw("links", wire::LinkArray(links->links))
                                              .Build()));
}

void Api::List(Call call) {
  web::Query query(call.request.query);
  ListRequest request;
  absl::StatusOr<Filter> filter = FilterOf(query);
  request.limit = std::min(query.Unsigned("limit").value_or(20), kListMax);
  request.offset = query.Unsigned("offset").value_or(0);
  if (!query.error().empty()) return std::move(call.respond)(TextAnswer(400, query.error()));
  if (!filter.ok()) return std::move(call.respond)(StatusAnswer(filter.status()));
  request.filter = *std::move(filter);
  request.bounds = BoundsOf(call);
  const absl::StatusOr<ListResult> result = store_.List(request);
  if (!result.ok()) return std::move(call.respond)(Problem(result.status()));
  std::move(call.respond)(JsonAnswer(200, wire::MemoriesJson(result->memories)));
}

void Api::Search(Call call) {
  web::Query query(call.request.query);
  SearchRequest request;
  absl::StatusOr<Filter> filter = FilterOf(query);
  request.match = Match::kAll;
  request.limit = std::min(query.Unsigned("limit").value_or(20), kListMax);
  const std::optional<std::string> words = query.Text("q");
  if (!query.error().empty()) return std::move(call.respond)(TextAnswer(400, query.error()));
  if (!words) {
    return std::move(call.respond)(
        TextAnswer(400, "Failed to deserialize query string: missing field `q`"));
  }
  if (TrimWhitespace(*words).empty()) {
    return std::move(call.respond)(ErrorAnswer(400, "query is required"));
  }
  absl::Status status = filter.status();
  if (status.ok()) status = wire::SetAsAgent(query.Text("as_agent"), *filter);
  if (!status.ok()) return std::move(call.respond)(StatusAnswer(status));
  request.query = *words;
  request.filter = *std::move(filter);
  request.bounds = BoundsOf(call);
  absl::StatusOr<SearchResult> result = store_.Search(request);
  if (!result.ok()) return std::move(call.respond)(Problem(result.status()));
  std::vector<Memory> memories;
  for (SearchHit& hit : result->hits) memories.push_back(std::move(hit.memory));
  std::move(call.respond)(JsonAnswer(200, JsonObject()
                                              .Raw("results", wire::MemoryArray(memories))
                                              .Int("count", Count(memories))
                                              .Text("query", *words)
                                              .Build()));
}

void Api::RecallByQuery(Call call) {
  web::Query query(call.request.query);
  wire::RecallBody recall;
  recall.context = query.Text("context").value_or("");
  recall.namespace_ = query.Text("namespace");
  recall.limit = query.Unsigned("limit");
  recall.budget_tokens = query.Unsigned("budget_tokens");
  recall.tags = query.Text("tags");
  recall.since = query.Text("since");
  recall.until = query.Text("until");
  recall.as_agent = query.Text("as_agent");
  recall.now = query.Text("now");
  recall.explain = query.Flag("explain").value_or(false);
  if (const std::optional<std::string> floor = query.Text("min_relevance")) {
    double value = 0;
    if (!absl::SimpleAtod(*floor, &value)) query.Refuse("min_relevance: invalid number");
    recall.min_relevance = value;
  }
  if (!query.error().empty()) return std::move(call.respond)(TextAnswer(400, query.error()));
  // A GET changes nothing (RFC 9110, section 9.2.1), so it does not count as a use.
  Recall(std::move(call), recall, /*touch=*/false);
}

void Api::RecallByBody(Call call) {
  const absl::StatusOr<wire::RecallBody> body = wire::ReadRecall(call.request.body);
  if (!body.ok()) return std::move(call.respond)(BodyAnswer(body.status()));
  Recall(std::move(call), *body, /*touch=*/true);
}

void Api::Recall(Call call, const wire::RecallBody& recall, bool touch) {
  absl::StatusOr<SearchRequest> request = wire::SearchOf(recall);
  if (!request.ok()) return std::move(call.respond)(StatusAnswer(request.status()));
  request->touch = touch;
  request->bounds = BoundsOf(call);
  const absl::Duration begin = clock_.Monotonic();
  const absl::StatusOr<SearchResult> result = store_.Search(*request);
  if (!result.ok()) return std::move(call.respond)(Problem(result.status()));
  metrics_.CountRecall(clock_.Monotonic() - begin);
  std::move(call.respond)(JsonAnswer(200, wire::RecallJson(*request, *result)));
}

// -- Links, counts, export ------------------------------------------------------------------------

void Api::Links(Call call) {
  const absl::Status status = model::CheckId(call.id);
  if (!status.ok()) return std::move(call.respond)(StatusAnswer(status));
  ListRequest request;
  request.kind = ListKind::kLinks;
  request.of_id = call.id;
  request.limit = kRowsMax;
  request.bounds = BoundsOf(call);
  const absl::StatusOr<ListResult> result = store_.List(request);
  if (!result.ok()) return std::move(call.respond)(Problem(result.status()));
  std::move(call.respond)(
      JsonAnswer(200, JsonObject().Raw("links", wire::LinkArray(result->links)).Build()));
}

void Api::Namespaces(Call call) {
  ListRequest request;
  request.kind = ListKind::kNamespaces;
  request.limit = kRowsMax;
  request.bounds = BoundsOf(call);
  const absl::StatusOr<ListResult> result = store_.List(request);
  if (!result.ok()) return std::move(call.respond)(Problem(result.status()));
  std::move(call.respond)(JsonAnswer(
      200, JsonObject().Raw("namespaces", wire::NamespaceCountArray(result->namespaces)).Build()));
}

void Api::Stats(Call call) {
  const absl::StatusOr<StoreInfo> info = store_.Info({.counts = true, .bounds = BoundsOf(call)});
  if (!info.ok()) return std::move(call.respond)(Problem(info.status()));
  std::move(call.respond)(JsonAnswer(200, wire::StatsJson(*info)));
}

void Api::Export(Call call) {
  LimitedBuffer buffer(kExportBytesMax);
  std::ostream out(&buffer);
  const absl::Status status = ExportJson(store_, clock_.Now(), out, {.bounds = BoundsOf(call)});
  if (buffer.full()) {
    return std::move(call.respond)(ErrorAnswer(
        413, absl::StrFormat("the export is larger than %d bytes: use the export command",
                             kExportBytesMax)));
  }
  if (!status.ok()) return std::move(call.respond)(Problem(status));
  std::move(call.respond)(JsonAnswer(200, buffer.Take()));
}

// -- Archive, agents ------------------------------------------------------------------------------

void Api::Archive(Call call) {
  web::Query query(call.request.query);
  ListRequest request;
  request.kind = ListKind::kArchived;
  request.filter.namespace_ = query.Text("namespace");
  request.limit = std::min(query.Unsigned("limit").value_or(50), kArchiveMax);
  request.offset = query.Unsigned("offset").value_or(0);
  if (!query.error().empty()) return std::move(call.respond)(TextAnswer(400, query.error()));
  request.bounds = BoundsOf(call);
  const absl::StatusOr<ListResult> result = store_.List(request);
  if (!result.ok()) return std::move(call.respond)(Problem(result.status()));
  std::move(call.respond)(
      JsonAnswer(200, JsonObject()
                          .Raw("archived", JsonArrayOf(result->archived, wire::ArchivedJson))
                          .Int("count", Count(result->archived))
                          .Build()));
}

void Api::ArchiveStats(Call call) {
  const auto by_namespace = CountArchive(store_, BoundsOf(call));
  if (!by_namespace.ok()) return std::move(call.respond)(Problem(by_namespace.status()));
  std::int64_t total = 0;
  for (const NamespaceCount& one : *by_namespace) total += one.count;
  std::move(call.respond)(
      JsonAnswer(200, JsonObject()
                          .Int("archived_total", total)
                          .Raw("by_namespace", wire::NamespaceCountArray(*by_namespace))
                          .Build()));
}

void Api::Purge(Call call) {
  web::Query query(call.request.query);
  const PurgeArchive purge{query.Integer("older_than_days")};
  if (!query.error().empty()) return std::move(call.respond)(TextAnswer(400, query.error()));
  WriteOne(std::move(call), purge, [](Call done, const WriteResult& result) {
    std::move(done.respond)(JsonAnswer(200, JsonObject()
                                                .Int("purged", result.items[0].count)
                                                .Text("operation_id", result.operation.ToString())
                                                .Build()));
  });
}

void Api::Agents(Call call) {
  ListRequest request;
  request.kind = ListKind::kAgents;
  request.limit = kRowsMax;
  request.bounds = BoundsOf(call);
  const absl::StatusOr<ListResult> result = store_.List(request);
  if (!result.ok()) return std::move(call.respond)(Problem(result.status()));
  const std::string agents = JsonArrayOf(result->memories, [](const Memory& memory) {
    return wire::AgentJson(wire::ReadAgent(memory));
  });
  std::move(call.respond)(JsonAnswer(
      200, JsonObject().Int("count", Count(result->memories)).Raw("agents", agents).Build()));
}

}  // namespace aimem::rest
