// boot: what an agent should know at the start of a session, in as many tokens as it is given.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "aimem/standards.h"
#include "apps/aimem/cli.h"
#include "apps/aimem/config.h"
#include "apps/aimem/output.h"
#include "lib/base/status.h"
#include "lib/base/utf8.h"
#include "services/wire/toon.h"

namespace aimem::cli {
namespace {

constexpr std::int64_t kMemoriesMax = 50;
constexpr std::int64_t kBudgetMin = 100;
constexpr std::int64_t kBudgetMax = 100'000;
constexpr std::int64_t kBytesPerToken = 4;
/// Of a memory's content, in text.
constexpr std::size_t kCharactersShown = 400;
/// A session waits for it.
constexpr absl::Duration kReadTimeout = absl::Seconds(5);
/// Where agents store what they give no namespace.
constexpr char kCommonNamespace[] = "global";

/// What is shown; memories are borrowed.
struct Sheet {
  std::string namespace_;
  std::int64_t budget_tokens = 0;
  std::vector<const Memory*> standards, memories;  ///< In the order in which they are shown.
  std::size_t left_out = 0;                        ///< For want of tokens.
};

using Render = std::string (*)(const Sheet& sheet);

// A line that continues an item of a list is indented.
std::string Indented(std::string_view text) {
  return absl::StrReplaceAll(ToAbsl(text), {{"\n", "\n  "}});
}

std::string MemoryText(const Sheet& sheet, const Memory& memory) {
  const std::string_view shown = FirstCharacters(memory.content, kCharactersShown);
  std::string text = absl::StrFormat("- %s (%s, priority %d", memory.title, TierName(memory.tier),
                                     memory.priority);
  if (memory.namespace_ != sheet.namespace_) absl::StrAppend(&text, ", of ", memory.namespace_);
  absl::StrAppend(&text, "): ", Indented(shown));
  if (shown.size() < memory.content.size()) absl::StrAppend(&text, "… (whole: ", memory.id, ")");
  return text + '\n';
}

std::string AsText(const Sheet& sheet) {
  std::string text = absl::StrCat("What is remembered of ", sheet.namespace_, ":\n");
  if (!sheet.standards.empty()) text += "\nStandards, from general to specific:\n";
  for (const Memory* standard : sheet.standards) {
    absl::StrAppend(&text, "\n## ", standard->title, "\n", standard->content, "\n");
  }
  if (!sheet.memories.empty()) text += "\nMemories, the most important ones first:\n\n";
  for (const Memory* memory : sheet.memories) text += MemoryText(sheet, *memory);
  if (sheet.left_out > 0) {
    absl::StrAppend(&text, "\nLeft out for want of tokens: ", sheet.left_out, ".\n");
  }
  return text;
}

std::string StandardJson(const Memory* standard) {
  return JsonObject()
      .Text("id", standard->id)
      .Text("title", standard->title)
      .Text("content", standard->content)
      .Build();
}

// The shape of memory_session_start, and what a budget adds to it.
std::string AsJson(const Sheet& sheet) {
  const auto row = [](const Memory* memory) {
    return transfer::MemoryObject(*memory).Number("score", 0).Build();
  };
  JsonObject object;
  object.Raw("memories", JsonArrayOf(sheet.memories, row))
      .Int("count", static_cast<std::int64_t>(sheet.memories.size()))
      .Text("mode", "session_start")
      .Int("budget_tokens", sheet.budget_tokens);
  if (sheet.left_out > 0) object.Int("left_out", static_cast<std::int64_t>(sheet.left_out));
  if (sheet.standards.size() == 1) object.Raw("standard", StandardJson(sheet.standards[0]));
  if (sheet.standards.size() > 1) {
    object.Raw("standards", JsonArrayOf(sheet.standards, StandardJson));
  }
  return object.Build() + '\n';
}

std::string AsToon(const Sheet& sheet, wire::ToonColumns columns) {
  wire::ToonDocument document;
  document.mode = "session_start";
  document.budget_tokens = sheet.budget_tokens;
  document.standards = sheet.standards;
  for (const Memory* memory : sheet.memories) document.rows.push_back({memory, 0.0});
  return wire::ToToon(document, columns);
}

std::string AsCompactToon(const Sheet& sheet) { return AsToon(sheet, wire::ToonColumns::kCompact); }
std::string AsFullToon(const Sheet& sheet) { return AsToon(sheet, wire::ToonColumns::kFull); }

absl::StatusOr<Render> RenderOf(const std::string& format) {
  if (format == "text") return AsText;
  if (format == "json") return AsJson;
  if (format == "toon") return AsFullToon;
  if (format == "toon_compact") return AsCompactToon;
  return absl::InvalidArgumentError(
      absl::StrFormat("invalid format: %s (use text, json, toon, toon_compact)", format));
}

absl::Status CheckRange(std::string_view name, std::int64_t value, std::int64_t least,
                        std::int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s must be %d to %d (got %d)", name, least, most, value));
}

/// What there is to show of a store.
struct Found {
  std::vector<Memory> standards, memories;
};

// Those of the first namespace come first, whatever the priority of others.
absl::StatusOr<Found> FindFor(Store& store, const std::vector<std::string>& namespaces,
                              std::int64_t limit) {
  const ReadBounds bounds{.timeout = kReadTimeout};
  Found found;
  AIMEM_ASSIGN_OR_RETURN(found.standards, StandardsOf(store, namespaces[0], bounds));
  const auto is_standard = [&](const Memory& memory) {
    return std::ranges::find(found.standards, memory.id, &Memory::id) != found.standards.end();
  };
  for (const std::string& name : namespaces) {
    if (!std::cmp_less(found.memories.size(), limit)) break;
    ListRequest request;
    request.filter.namespace_ = name;
    request.limit = limit + static_cast<std::int64_t>(found.standards.size());
    request.bounds = bounds;
    AIMEM_ASSIGN_OR_RETURN(ListResult listed, store.List(request));
    std::ranges::remove_copy_if(listed.memories, std::back_inserter(found.memories), is_standard);
  }
  if (std::cmp_greater(found.memories.size(), limit)) {
    found.memories.resize(static_cast<std::size_t>(limit));
  }
  return found;
}

// Takes what fits, and goes on behind what does not.
std::string Fit(Sheet sheet, const Found& found, Render render) {
  const auto bytes = static_cast<std::size_t>(sheet.budget_tokens * kBytesPerToken);
  sheet.left_out = found.standards.size() + found.memories.size();
  std::string text = render(sheet);
  const auto take = [&](const std::vector<Memory>& from, std::vector<const Memory*>& into) {
    for (const Memory& memory : from) {
      into.push_back(&memory);
      --sheet.left_out;
      std::string larger = render(sheet);
      if (larger.size() <= bytes) {
        text = std::move(larger);
      } else {
        into.pop_back();
        ++sheet.left_out;
      }
    }
  };
  take(found.standards, sheet.standards);
  take(found.memories, sheet.memories);
  return text.size() <= bytes ? text : "";
}

absl::StatusOr<std::vector<std::string>> Namespaces(const BootCommand& command) {
  if (command.namespace_) return std::vector<std::string>{*command.namespace_};
  AIMEM_ASSIGN_OR_RETURN(std::string own, DerivedNamespace());
  if (own == kCommonNamespace) return std::vector<std::string>{std::move(own)};
  return std::vector<std::string>{std::move(own), kCommonNamespace};
}

absl::Status Show(Context& context, const BootCommand& command, Render render) {
  AIMEM_ASSIGN_OR_RETURN(const std::vector<std::string> namespaces, Namespaces(command));
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kExisting));
  AIMEM_ASSIGN_OR_RETURN(const Found found, FindFor(*store, namespaces, command.limit));
  if (found.standards.empty() && found.memories.empty()) return absl::OkStatus();
  context.out << Fit({.namespace_ = namespaces[0], .budget_tokens = command.budget_tokens}, found,
                     render);
  return absl::OkStatus();
}

}  // namespace

absl::Status RunBoot(Context& context, const BootCommand& command) {
  AIMEM_ASSIGN_OR_RETURN(const Render render, RenderOf(context.json ? "json" : command.format));
  AIMEM_RETURN_IF_ERROR(CheckRange("limit", command.limit, 0, kMemoriesMax));
  AIMEM_RETURN_IF_ERROR(CheckRange("budget-tokens", command.budget_tokens, kBudgetMin, kBudgetMax));
  // A session must begin whatever became of its memories: what is wrong is said, and no failure.
  const absl::Status status = Show(context, command, render);
  if (!status.ok() && !absl::IsNotFound(status)) {
    context.err << context.program << ": a session without memories: " << ToStd(status.message())
                << '\n';
  }
  return absl::OkStatus();
}

}  // namespace aimem::cli
