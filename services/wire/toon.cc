#include "services/wire/toon.h"

#include <span>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "lib/recall/score.h"
#include "services/wire/shapes.h"

namespace aimem::wire {
namespace {

struct Column {
  std::string_view name;
  std::string (*value)(const ToonRow& row);
};

std::string Escaped(std::string_view text) {
  return absl::StrReplaceAll(
      ToAbsl(text), {{"\\", "\\\\"}, {"|", "\\|"}, {":", "\\:"}, {"\n", "\\n"}, {"\r", "\\r"}});
}

std::string Id(const ToonRow& row) { return Escaped(row.memory->id); }
std::string Title(const ToonRow& row) { return Escaped(row.memory->title); }
std::string TierOf(const ToonRow& row) { return std::string(TierName(row.memory->tier)); }
std::string Namespace(const ToonRow& row) { return Escaped(row.memory->namespace_); }
std::string Priority(const ToonRow& row) { return std::to_string(row.memory->priority); }
std::string Confidence(const ToonRow& row) { return JsonNumber(row.memory->confidence); }
std::string Score(const ToonRow& row) {
  return row.score ? JsonNumber(recall::RoundScore(*row.score)) : "";
}
std::string AccessCount(const ToonRow& row) { return std::to_string(row.memory->access_count); }
std::string Tags(const ToonRow& row) { return Escaped(absl::StrJoin(row.memory->tags, ",")); }
std::string Source(const ToonRow& row) { return Escaped(row.memory->source); }
std::string Created(const ToonRow& row) {
  return Escaped(model::FormatTime(row.memory->created_at));
}
std::string Updated(const ToonRow& row) {
  return Escaped(model::FormatTime(row.memory->updated_at));
}
std::string Metadata(const ToonRow& row) {
  return row.memory->metadata == "{}" ? "" : Escaped(row.memory->metadata);
}
std::string AgentId(const ToonRow& row) { return Escaped(AgentIdOf(row.memory->metadata)); }

constexpr Column kCompact[] = {{"id", Id},
                               {"title", Title},
                               {"tier", TierOf},
                               {"namespace", Namespace},
                               {"priority", Priority},
                               {"score", Score},
                               {"tags", Tags},
                               {"agent_id", AgentId}};
constexpr Column kFull[] = {{"id", Id},
                            {"title", Title},
                            {"tier", TierOf},
                            {"namespace", Namespace},
                            {"priority", Priority},
                            {"confidence", Confidence},
                            {"score", Score},
                            {"access_count", AccessCount},
                            {"tags", Tags},
                            {"source", Source},
                            {"created_at", Created},
                            {"updated_at", Updated},
                            {"metadata", Metadata}};

void AppendMeta(const ToonDocument& document, std::string& text) {
  absl::StrAppend(&text, "count:", document.rows.size());
  if (!document.mode.empty()) absl::StrAppend(&text, "|mode:", Escaped(document.mode));
  if (document.tokens_used) absl::StrAppend(&text, "|tokens_used:", *document.tokens_used);
  if (document.budget_tokens) absl::StrAppend(&text, "|budget_tokens:", *document.budget_tokens);
  text += '\n';
}

void AppendStandards(std::span<const Memory* const> standards, std::string& text) {
  if (standards.empty()) return;
  text += "standards[id|title|content]:\n";
  for (const Memory* standard : standards) {
    absl::StrAppend(&text, Escaped(standard->id), "|", Escaped(standard->title), "|",
                    Escaped(standard->content), "\n");
  }
}

void AppendRows(std::span<const ToonRow> rows, std::span<const Column> columns, std::string& text) {
  const auto name = [](std::string* out, const Column& column) { out->append(column.name); };
  absl::StrAppend(&text, "memories[", absl::StrJoin(columns, "|", name), "]:\n");
  for (const ToonRow& row : rows) {
    const auto value = [&](std::string* out, const Column& column) { *out += column.value(row); };
    absl::StrAppend(&text, absl::StrJoin(columns, "|", value), "\n");
  }
}

}  // namespace

std::string ToToon(const ToonDocument& document, ToonColumns columns) {
  std::string text;
  AppendMeta(document, text);
  AppendStandards(document.standards, text);
  if (columns == ToonColumns::kCompact) {
    AppendRows(document.rows, kCompact, text);
  } else {
    AppendRows(document.rows, kFull, text);
  }
  return text;
}

}  // namespace aimem::wire
