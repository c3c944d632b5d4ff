#include "aimem/standards.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "lib/base/status.h"
#include "lib/model/validate.h"

namespace aimem {
namespace {

constexpr std::int64_t kStandardsMax = 1'000'000;
constexpr std::size_t kParentsMax = 8;

const NamespaceStandard* Find(const std::vector<NamespaceStandard>& all, std::string_view name) {
  const auto found = std::ranges::find(all, name, &NamespaceStandard::namespace_);
  return found == all.end() ? nullptr : &*found;
}

}  // namespace

std::vector<std::string> StandardChain(const std::vector<NamespaceStandard>& all,
                                       std::string_view namespace_) {
  std::vector<std::string> chain;  // from specific to general
  for (const std::string_view part : model::Ancestors(namespace_)) chain.emplace_back(part);
  const auto in_chain = [&](std::string_view name) {
    return std::ranges::find(chain, name) != chain.end();
  };
  std::string above = chain.empty() ? "" : chain.back();
  for (std::size_t i = 0; i < kParentsMax; ++i) {
    const NamespaceStandard* standard = Find(all, above);
    if (standard == nullptr || standard->parent.empty() || in_chain(standard->parent)) break;
    above = standard->parent;
    chain.push_back(above);
  }
  // It is general whoever names it as a parent.
  std::erase(chain, "*");
  chain.emplace_back("*");
  std::ranges::reverse(chain);
  return chain;
}

absl::StatusOr<std::vector<Memory>> StandardsOf(Store& store, std::string_view namespace_,
                                                const ReadBounds& bounds) {
  AIMEM_ASSIGN_OR_RETURN(
      const ListResult all,
      store.List({.kind = ListKind::kStandards, .limit = kStandardsMax, .bounds = bounds}));
  std::vector<std::string> ids;
  for (const std::string& name : StandardChain(all.standards, namespace_)) {
    const NamespaceStandard* standard = Find(all.standards, name);
    if (standard == nullptr || std::ranges::find(ids, standard->memory_id) != ids.end()) continue;
    ids.push_back(standard->memory_id);
  }
  std::vector<Memory> memories;
  if (ids.empty()) return memories;
  for (absl::StatusOr<Memory>& memory : store.Get(ids, {.bounds = bounds})) {
    if (absl::IsNotFound(memory.status())) continue;
    AIMEM_RETURN_IF_ERROR(memory.status());
    memories.push_back(*std::move(memory));
  }
  return memories;
}

}  // namespace aimem
