// What the main job says: steps, facts and checks, as plain text.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace aimem::demo {

/// Writes to standard output; bold and colours only if that is a terminal. Not thread-safe.
class Screen {
 public:
  Screen();

  void Title(std::string_view text);
  /// "2. what\n   Proves: proves"
  void Step(std::string_view what, std::string_view proves);
  void Line(std::string_view text);
  /// A fact that must be so: "ok: what" or "FAILED: what". Returns `good`.
  bool Check(bool good, std::string_view what);
  /// A row of the closing table.
  void Row(std::string_view name, std::string_view value);
  void Verdict(bool good, std::string_view text);

  [[nodiscard]] int failures() const { return failures_; }

 private:
  void Print(const char* colour, std::string_view text);

  bool terminal_;
  int steps_ = 0;
  int failures_ = 0;
};

/// 12345 as "12,345".
std::string Grouped(std::int64_t number);

}  // namespace aimem::demo
