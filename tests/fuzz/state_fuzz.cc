// Any bytes: the decoder refuses them, or they are the one encoding of a state; and whatever
// decodes can be joined and viewed.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "lib/log/grammar.h"
#include "lib/merge/join.h"
#include "lib/model/view.h"

namespace aimem {
namespace {

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "state_fuzz: %s\n", what);
  std::abort();
}

void Join(const model::Parts& parts) {
  const model::Parts joined = merge::Join(parts, parts);
  Require(merge::Join(joined, parts) == joined, "the join is not idempotent");
  Require(merge::Absorbs(joined, parts), "a state does not absorb what it was joined of");
  Require(merge::Conflict(parts, joined) == nullptr, "a state conflicts with itself");
  const std::string bytes = log::EncodeState(joined);
  const absl::StatusOr<model::Parts> decoded = log::DecodeState(bytes);
  Require(decoded.ok() && *decoded == joined, "a joined state does not survive its encoding");
}

void View(const model::Parts& parts) {
  const model::MemoryView view = model::ViewMemory(parts);
  const Memory memory = model::ToMemory("id", parts, view);
  Require(memory.content == view.content, "the memory is not its view");
  model::ViewLink(parts);
  model::ViewStandard("namespace", parts);
  model::IndexedName({Kind::kMemory, "id"}, parts);
}

}  // namespace
}  // namespace aimem

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  aimem::model::Parts parts;
  if (!aimem::log::DecodeState(bytes, parts).ok()) {
    aimem::Require(parts.empty(), "a refused state left parts");
    return 0;
  }
  aimem::Require(aimem::log::EncodeState(parts) == bytes, "not the canonical encoding");
  aimem::Join(parts);
  aimem::View(parts);
  return 0;
}
