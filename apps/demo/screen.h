// What the main job says: steps, facts and checks, as plain text.
#pragma once

#include <string_view>

#include "campaign/phase.h"

namespace aimem::demo {

/// Writes to standard output; bold and colours only if that is a terminal. Not thread-safe.
class Screen : public campaign::Audience {
 public:
  Screen();

  void Title(std::string_view text);
  /// "2. what\n   Proves: proves"
  void Begin(std::string_view what, std::string_view proves) override;
  void Line(std::string_view text) override;
  /// "ok: what" or "FAILED: what".
  void Check(bool good, std::string_view what) override;
  void Row(std::string_view name, std::string_view value) override;
  void Verdict(bool good, std::string_view text);

 private:
  void Print(const char* colour, std::string_view text);

  bool terminal_;
  int steps_ = 0;
};

}  // namespace aimem::demo
