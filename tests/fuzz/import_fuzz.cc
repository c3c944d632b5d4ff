// Any text: it is refused with a message that can be shown, or it is a document whose every item
// can be told apart from the others and validated.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>

#include "lib/base/utf8.h"
#include "lib/model/validate.h"
#include "lib/transfer/import_document.h"

namespace {

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "import_fuzz: %s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream in(std::string(reinterpret_cast<const char*>(data), size));
  auto document = aimem::transfer::ParseImportDocument(in);
  if (!document.ok()) {
    const absl::string_view message = document.status().message();
    Require(absl::IsInvalidArgument(document.status()), "a document is not what failed");
    Require(aimem::IsUtf8({message.data(), message.size()}), "the message is not text");
    Require(message.size() < 500, "the message is longer than its document deserves");
    return 0;
  }
  for (aimem::transfer::DocumentMemory& item : document->memories) {
    Require(item.memory.metadata.empty() || item.memory.metadata.size() <= 8 * size + 2,
            "metadata grew");
    const absl::Status status =
        aimem::model::CheckMemory(item.memory, aimem::model::Sources::kImport);
    Require(status.ok() || absl::IsInvalidArgument(status), "validation failed otherwise");
  }
  for (const aimem::transfer::DocumentLink& item : document->links) {
    Require(!item.link.source_id.empty() && !item.link.target_id.empty(), "a link without ends");
  }
  return 0;
}
