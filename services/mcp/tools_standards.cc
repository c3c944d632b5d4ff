// Tools for what holds in a namespace.
#include <utility>

#include "absl/strings/str_cat.h"
#include "aimem/standards.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "services/mcp/call.h"
#include "services/mcp/tool.h"

namespace aimem::mcp {
namespace {

constexpr std::int64_t kStandardsMax = 1'000'000;

// What holds where nothing is set.
Json PolicyOf(const NamespaceStandard& standard) {
  Json policy = standard.policy.empty() ? Json() : Parsed(standard.policy);
  if (policy.is_object()) return policy;
  return {{"write", "any"}, {"promote", "any"}, {"delete", "owner"}, {"approver", "human"}};
}

Json StandardJson(const NamespaceStandard& standard, const Memory& memory) {
  return {{"namespace", standard.namespace_},
          {"standard_id", standard.memory_id},
          {"title", memory.title},
          {"content", memory.content},
          {"priority", memory.priority},
          {"governance", PolicyOf(standard)}};
}

const NamespaceStandard* FindStandard(const std::vector<NamespaceStandard>& all,
                                      std::string_view name) {
  for (const NamespaceStandard& one : all) {
    if (one.namespace_ == name) return &one;
  }
  return nullptr;
}

absl::StatusOr<std::vector<NamespaceStandard>> AllStandards(const Call& call) {
  AIMEM_ASSIGN_OR_RETURN(ListResult found,
                         call.List({.kind = ListKind::kStandards, .limit = kStandardsMax}));
  return std::move(found.standards);
}

absl::StatusOr<Answer> RunSetStandard(Call& call) {
  SetStandard set;
  set.namespace_ = call.Text("namespace");
  set.memory_id = call.Text("id");
  set.parent = call.Text("parent");
  if (call.Has("governance")) set.policy = Compact(call.arguments()["governance"]);
  Json answer = {{"set", true}, {"namespace", set.namespace_}, {"standard_id", set.memory_id}};
  if (!set.parent.empty()) answer["parent"] = set.parent;
  if (!set.policy.empty()) answer["governance"] = call.arguments()["governance"];
  AIMEM_ASSIGN_OR_RETURN(std::string agent_id, call.Caller());
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result, call.Write(std::move(set), agent_id));
  return call.Written(std::move(answer), result);
}

absl::StatusOr<Answer> Inherited(const Call& call, const std::string& name,
                                 const std::vector<NamespaceStandard>& all) {
  const std::vector<std::string> chain = StandardChain(all, name);
  Json standards = Json::array();
  for (const std::string& part : chain) {
    const NamespaceStandard* standard = FindStandard(all, part);
    if (standard == nullptr) continue;
    const auto memory = call.store().Get(standard->memory_id, {.bounds = call.Bounds()});
    if (memory.ok()) standards.push_back(StandardJson(*standard, *memory));
    if (!memory.ok() && !absl::IsNotFound(memory.status())) return memory.status();
  }
  return Answer{{{"namespace", name},
                 {"chain", chain},
                 {"count", standards.size()},
                 {"standards", std::move(standards)}}};
}

absl::StatusOr<Answer> RunGetStandard(Call& call) {
  std::string name = call.Text("namespace");
  AIMEM_RETURN_IF_ERROR(model::CheckNamespace(name));
  AIMEM_ASSIGN_OR_RETURN(const std::vector<NamespaceStandard> all, AllStandards(call));
  if (call.Flag("inherit")) return Inherited(call, name, all);
  const NamespaceStandard* standard = FindStandard(all, name);
  if (standard == nullptr) return Answer{{{"namespace", name}, {"standard_id", nullptr}}};
  const auto memory = call.store().Get(standard->memory_id, {.bounds = call.Bounds()});
  if (memory.ok()) return Answer{StandardJson(*standard, *memory)};
  if (!absl::IsNotFound(memory.status())) return memory.status();
  return Answer{{{"namespace", name},
                 {"standard_id", standard->memory_id},
                 {"warning", "standard memory not found — may have been deleted"}}};
}

absl::StatusOr<Answer> RunClearStandard(Call& call) {
  const std::string name = call.Text("namespace");
  AIMEM_ASSIGN_OR_RETURN(std::string agent_id, call.Caller());
  AIMEM_ASSIGN_OR_RETURN(const WriteResult result, call.Write(ClearStandard{name}, agent_id));
  return call.Written(
      {{"cleared", result.items[0].effect == ItemEffect::kDeleted}, {"namespace", name}}, result);
}

}  // namespace

std::vector<Tool> StandardTools() {
  return {
      {"memory_namespace_set_standard",
       "Set the standard of a namespace",
       "Make a memory the standard of a namespace: recall and session_start show it first, there "
       "and "
       "below. What holds of writing, promoting and deleting there can be said with governance.",
       {.idempotent = true},
       {Text("namespace", "The namespace; * is every one").Required(),
        Text("id", "The full id of the memory").Required(),
        Text("parent", "The namespace that it inherits from"),
        Object("governance",
               "write, promote and delete: any, registered, owner or approve; approver: "
               "\"human\", {\"agent\":id} or {\"consensus\":n}")},
       {Bool("set").Required(), Text("namespace").Required(), Text("standard_id").Required(),
        Text("parent"), Object("governance"), Receipt()},
       RunSetStandard},
      {"memory_namespace_get_standard",
       "Standard of a namespace",
       "The standard of a namespace; with inherit all that hold there, from general to specific.",
       {.read_only = true, .idempotent = true},
       {Text("namespace", "The namespace").Required(),
        Bool("inherit", "Those above it, too").Or("false")},
       {Text("namespace").Required()},
       RunGetStandard},
      {"memory_namespace_clear_standard",
       "Clear the standard of a namespace",
       "Let a namespace have no standard of its own. The memory stays.",
       {.destructive = true, .idempotent = true},
       {Text("namespace", "The namespace").Required()},
       {Bool("cleared").Required(), Text("namespace").Required(), Receipt()},
       RunClearStandard},
  };
}

}  // namespace aimem::mcp
