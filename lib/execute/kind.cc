#include "lib/execute/kind.h"

#include "aimem/limits.h"
#include "lib/model/parts.h"
#include "lib/model/view.h"

namespace aimem::execute {

void ReadList::Memory(const std::string& id) {
  if (id.size() <= limits::kIdBytes) reads_.keys.push_back({Kind::kMemory, id});
}

void ReadList::Name(const std::string& namespace_, const std::string& title) {
  Memory(model::FirstId(namespace_, title));
  reads_.names.push_back(model::NameHash(namespace_, title));
}

void ReadList::Link(const std::string& source, const std::string& target,
                    const std::string& relation) {
  Memory(source);
  Memory(target);
  reads_.keys.push_back({Kind::kLink, model::MakeLinkKey(source, target, relation)});
}

void ReadList::Standard(const std::string& namespace_) {
  if (namespace_.size() > 4 * limits::kNamespaceCharacters) return;
  reads_.keys.push_back({Kind::kNamespaceStandard, namespace_});
}

void ReadList::Pending(const std::string& id) {
  if (id.size() <= limits::kIdBytes) reads_.keys.push_back({Kind::kPendingAction, id});
}

}  // namespace aimem::execute
