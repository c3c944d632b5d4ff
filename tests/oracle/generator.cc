#include "tests/oracle/generator.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"

namespace aimem::oracle {
namespace {

const std::vector<std::string>& Vocabulary() {
  static const auto& words =
      *new std::vector<std::string>{"apple", "brick", "cloud", "delta", "ember", "frost", "grape"};
  return words;
}

const std::vector<std::string>& Relations() {
  static const auto& relations =
      *new std::vector<std::string>{"related_to", "supersedes", "contradicts", "derived_from"};
  return relations;
}

}  // namespace

std::string Generator::Title() { return absl::StrFormat("title %d", Below(8)); }

std::string Generator::Namespace() {
  static const auto& namespaces = *new std::vector<std::string>{"a", "a/b", "a/b/c", "z"};
  return OneOf(namespaces);
}

std::string Generator::Words() {
  std::string text = OneOf(Vocabulary());
  for (std::uint64_t i = Below(3); i > 0; --i) text += " " + OneOf(Vocabulary());
  return text;
}

std::string Generator::Query() {
  return Chance(50) ? OneOf(Vocabulary()) : OneOf(Vocabulary()) + " " + OneOf(Vocabulary());
}

absl::Duration Generator::Pause() {
  if (Chance(5)) return absl::Hours(24) * static_cast<std::int64_t>(1 + Below(9));
  if (Chance(20)) return absl::Minutes(static_cast<std::int64_t>(Below(200)));
  return absl::Seconds(static_cast<std::int64_t>(Below(30)));
}

std::vector<std::string> Generator::Tags() {
  std::vector<std::string> tags;
  for (const char* tag : {"red", "tiny", "urgent"}) {
    if (Chance(30)) tags.emplace_back(tag);
  }
  return tags;
}

std::string Generator::Metadata() {
  std::string text = "{";
  for (const char* key : {"k1", "k2", "k3"}) {
    if (!Chance(40)) continue;
    absl::StrAppendFormat(&text, "%s\"%s\":%d", text.size() > 1 ? "," : "", key, Below(5));
  }
  return text + "}";
}

std::string Generator::Id(const World& world, std::optional<Phase> phase) {
  // Ids of one length: none is a prefix of another.
  if (Chance(3)) return absl::StrFormat("nobody-%d", Below(3));
  std::vector<std::string> ids;
  for (const Row& row : world.rows()) {
    if (!phase || row.phase == *phase) ids.push_back(row.memory.id);
  }
  return ids.empty() ? "nobody-9" : OneOf(ids);
}

PutMemory Generator::Put(absl::Time now) {
  PutMemory put;
  put.namespace_ = Namespace();
  put.title = Chance(3) ? "" : Title();
  put.content = Words();
  put.tier = AnyTier();
  put.tags = Tags();
  put.priority = static_cast<std::int64_t>(1 + Below(10));
  if (Chance(3)) put.priority = 11;
  put.confidence = static_cast<double>(Below(5)) / 4;
  put.source = Chance(50) ? "api" : "hook";
  put.metadata = Metadata();
  if (Chance(10)) put.scope = "team";
  if (Chance(15)) put.ttl_seconds = static_cast<std::int64_t>(1 + Below(100'000));
  if (Chance(10)) {
    put.expires_at = now + absl::Minutes(static_cast<std::int64_t>(Below(1'000))) -
                     absl::Minutes(Chance(10) ? 1'001 : 0);
  }
  return put;
}

ImportMemory Generator::Import(const World& world, absl::Time now) {
  ImportMemory item;
  Memory& memory = item.memory;
  memory.id = Chance(50) ? absl::StrFormat("imported-%d", Below(10)) : Id(world, std::nullopt);
  memory.namespace_ = Namespace();
  memory.title = Title();
  memory.content = Words();
  memory.tier = AnyTier();
  memory.tags = Tags();
  memory.priority = static_cast<std::int32_t>(1 + Below(10));
  memory.source = "import";
  memory.access_count = static_cast<std::int64_t>(Below(6));
  memory.created_at = now - absl::Hours(static_cast<std::int64_t>(Below(100)));
  memory.updated_at = memory.created_at + absl::Minutes(1);
  if (Chance(50)) memory.last_accessed_at = memory.updated_at + absl::Minutes(1);
  if (Chance(50)) {
    memory.expires_at = now + absl::Hours(static_cast<std::int64_t>(Below(100))) - absl::Hours(20);
  }
  memory.metadata = Chance(50) ? R"({"agent_id":"ai:imported","k1":7})" : "{}";
  if (Chance(30)) {
    item.archived_at = now - absl::Milliseconds(static_cast<std::int64_t>(Below(1'000'000)));
  }
  return item;
}

PatchMemory Generator::Patch(const World& world, absl::Time now) {
  PatchMemory patch;
  patch.id = Id(world, Chance(95) ? std::optional(Phase::kLive) : std::nullopt);
  if (Chance(30)) patch.title = Chance(3) ? "" : Title();
  if (Chance(20)) patch.namespace_ = Namespace();
  if (Chance(40)) patch.content = Words();
  if (Chance(20)) patch.tier = AnyTier();
  if (Chance(20)) patch.tags = Tags();
  if (Chance(20)) patch.priority = static_cast<std::int64_t>(1 + Below(10));
  if (Chance(20)) patch.confidence = static_cast<double>(Below(5)) / 4;
  if (Chance(30)) patch.metadata = Metadata();
  if (Chance(20)) {
    patch.expires_at =
        Chance(40) ? absl::InfiniteFuture()
                   : now + absl::Hours(static_cast<std::int64_t>(Below(50))) - absl::Hours(10);
  }
  return patch;
}

ConsolidateMemories Generator::Consolidate(const World& world) {
  ConsolidateMemories item;
  for (std::uint64_t i = 2 + Below(3); i > 0; --i) item.ids.push_back(Id(world, Phase::kLive));
  item.title = Title();
  item.summary = Words();
  item.namespace_ = Namespace();
  item.tier = AnyTier();
  return item;
}

PromoteMemory Generator::Promote(const World& world) {
  PromoteMemory item{.id = Id(world, Phase::kLive), .to_namespace = ""};
  if (Chance(60)) item.to_namespace = Chance(70) ? "a" : "a/b";
  return item;
}

RegisterAgent Generator::Register() {
  return {.agent_id = absl::StrFormat("ai:client-%d", Below(3)),
          .agent_type = Chance(50) ? "human" : "ai:model",
          .capabilities = {"read"}};
}

WriteItem Generator::Alone(const World& world) {
  switch (Below(4)) {
    case 0: {
      ForgetMemories forget;
      if (Chance(50)) forget.namespace_ = Namespace();
      if (Chance(70)) forget.pattern = Query();
      if (Chance(30)) forget.tier = AnyTier();
      return forget;
    }
    case 1:
      return ExpireMemories{.archive = Chance(70)};
    case 2: {
      PurgeArchive purge;
      if (Chance(70)) purge.older_than_days = static_cast<std::int64_t>(Below(5));
      return purge;
    }
    default:
      return RestoreMemory{Id(world, Chance(90) ? Phase::kArchived : Phase::kLive)};
  }
}

SetStandard Generator::Standard(const World& world) {
  SetStandard standard{.namespace_ = Chance(15) ? "*" : Namespace(),
                       .memory_id = Id(world, Phase::kLive),
                       .parent = Chance(50) ? Namespace() : "",
                       .policy = ""};
  if (Chance(40)) standard.policy = OneOf(Policies()).json;
  if (Chance(5)) standard.policy = Metadata();
  return standard;
}

DecidePending Generator::Decide(const World& world) {
  std::vector<std::string> ids;
  for (const Waiting& one : world.waiting()) {
    if (one.action.status == PendingStatus::kPending || Chance(5)) ids.push_back(one.action.id);
  }
  return {.action_id = ids.empty() || Chance(5) ? "nobody-0" : OneOf(ids), .approve = Chance(80)};
}

WriteItem Generator::Making(const World& world, absl::Time now) {
  const std::uint64_t kind = Below(100);
  if (kind < 40) return Put(now);
  if (kind < 52) return Import(world, now);
  if (kind < 60) return Consolidate(world);
  if (kind < 66) return Promote(world);
  if (kind < 72) return RestoreMemory{Id(world, Phase::kArchived)};
  if (kind < 75) return Register();
  return Patch(world, now);
}

WriteItem Generator::Ending(const World& world, absl::Time now) {
  const std::uint64_t kind = Below(100);
  if (kind < 12) return DeleteMemory{Id(world, Phase::kLive)};
  if (kind < 16) {
    if (!world.waiting().empty() && Chance(30)) {
      const PendingAction& action = OneOf(world.waiting()).action;
      return EraseMemory{action.memory && Chance(50) ? action.memory->id : action.id};
    }
    return EraseMemory{Id(world, Chance(60) ? std::optional(Phase::kLive) : std::nullopt)};
  }
  if (kind < 40) return TouchMemory{Id(world, Chance(90) ? Phase::kLive : Phase::kGone)};
  if (kind < 60) {
    AddLink link{Id(world, Phase::kLive), Id(world, Phase::kLive), OneOf(Relations()), {}};
    if (Chance(20)) link.created_at = now - absl::Hours(1);
    return link;
  }
  if (kind < 75) {
    const std::vector<Link> links = world.Links();
    if (links.empty() || Chance(30)) {
      return RemoveLink{Id(world, Phase::kLive), Id(world, std::nullopt), OneOf(Relations())};
    }
    const Link& link = OneOf(links);
    return RemoveLink{link.source_id, link.target_id, link.relation};
  }
  if (kind < 82) {
    return Standard(world);
  }
  if (kind < 86) return ClearStandard{Chance(20) ? "*" : Namespace()};
  return Patch(world, now);
}

Request Generator::Next(const World& world, absl::Time now) {
  if (!keyed_.empty() && Chance(4)) return OneOf(keyed_);
  Request request;
  WriteOptions& options = request.options;
  const std::uint64_t client = Below(3);
  options.principal = absl::StrFormat("client-%d", client);
  if (client != 0) options.agent_id = absl::StrFormat("ai:client-%d", client);
  options.allow_partial = Chance(25);
  const auto open = [](const Waiting& one) { return one.action.status == PendingStatus::kPending; };
  const bool waits = std::any_of(world.waiting().begin(), world.waiting().end(), open);
  if (Chance(waits ? 25 : 2)) {
    request.batch.items.push_back(Decide(world));
  } else if (Chance(15)) {
    request.batch.items.push_back(Alone(world));
  } else {
    const bool making = Chance(60);
    for (std::uint64_t i = 1 + Below(4); i > 0; --i) {
      request.batch.items.push_back(making ? Making(world, now) : Ending(world, now));
    }
    if (Chance(2)) request.batch.items.push_back(Alone(world));
  }
  if (Chance(10)) {
    options.request_id = absl::StrFormat("request-%d", keys_++);
    keyed_.push_back(request);
  }
  return request;
}

}  // namespace aimem::oracle
