#include "apps/demo/screen.h"

#include <unistd.h>

#include <cstdio>
#include <string>

#include "absl/strings/str_format.h"

namespace aimem::demo {
namespace {

constexpr char kBold[] = "\033[1m";
constexpr char kGreen[] = "\033[32m";
constexpr char kRed[] = "\033[1;31m";

}  // namespace

Screen::Screen() : terminal_(isatty(STDOUT_FILENO) != 0) {}

void Screen::Print(const char* colour, std::string_view text) {
  const std::string line(text);
  if (terminal_ && colour != nullptr) {
    std::printf("%s%s\033[0m\n", colour, line.c_str());
  } else {
    std::printf("%s\n", line.c_str());
  }
  std::fflush(stdout);
}

void Screen::Title(std::string_view text) { Print(kBold, text); }

void Screen::Begin(std::string_view what, std::string_view proves) {
  Print(nullptr, "");
  Print(kBold, absl::StrFormat("%d. %s", ++steps_, what));
  Print(nullptr, absl::StrFormat("   Proves: %s", proves));
}

void Screen::Line(std::string_view text) {
  Print(nullptr, text.empty() ? "" : absl::StrFormat("   %s", text));
}

void Screen::Check(bool good, std::string_view what) {
  Print(good ? kGreen : kRed, absl::StrFormat("   %s %s", good ? "ok:" : "FAILED:", what));
}

void Screen::Row(std::string_view name, std::string_view value) {
  Print(nullptr, absl::StrFormat("   %-52s %s", name, value));
}

void Screen::Verdict(bool good, std::string_view text) {
  Print(nullptr, "");
  Print(good ? kGreen : kRed, text);
}

}  // namespace aimem::demo
