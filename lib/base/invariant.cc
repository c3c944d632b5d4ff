#include "lib/base/invariant.h"

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"

namespace aimem {
namespace {

#ifdef AIMEM_END_AT_BROKEN_INVARIANTS
bool ends = true;
#else
bool ends = false;
#endif

std::string_view NameOf(std::string_view path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

}  // namespace

absl::Status BrokenInvariant(std::string_view what, std::string_view file, int line) {
  const std::string text = absl::StrFormat(
      "a defect of aimem, please report it: not so, at %s:%d: %s", NameOf(file), line, what);
  if (ends) {
    // Nobody else could say it: what it was found in may hold any lock.
    static_cast<void>(write(STDERR_FILENO, (text + "\n").c_str(), text.size() + 1) == 0);
    std::abort();
  }
  return MakeStatus(absl::StatusCode::kInternal, text);
}

void EndAtBrokenInvariants(bool end) { ends = end; }

}  // namespace aimem
