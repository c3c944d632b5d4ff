#include "campaign/phase.h"

#include <algorithm>

namespace aimem::campaign {

int Outcome::failures() const {
  return static_cast<int>(std::count_if(checks.begin(), checks.end(),
                                        [](const Checked& check) { return !check.good; }));
}

void Report::Check(bool good, std::string_view what) {
  outcome_.checks.push_back({.what = std::string(what), .good = good});
  audience_.Check(good, what);
}

}  // namespace aimem::campaign
