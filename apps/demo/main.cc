// aimem_demo: the main job.
#include <signal.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>

#include "CLI/CLI.hpp"
#include "apps/demo/demo.h"

namespace {

constexpr int kInterrupted = 130;  // as shells have it for SIGINT

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "it is set by a signal handler");

void WatchSignals() {
  struct sigaction action {};
  action.sa_handler = [](int /*signal*/) { interrupted = true; };
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
}

void PrintError(const char* who, const absl::Status& status) {
  const std::string text = status.ToString();
  std::fprintf(stderr, "%s: %s\n", who, text.c_str());
}

// The `aimem` that was built beside this program.
std::string ProgramBeside() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return self.parent_path() / "aimem";
}

}  // namespace

int main(int argc, char** argv) {
  aimem::demo::DemoOptions options;
  CLI::App app(
      "The main job of aimem on real input: a federation of three members, four clients that write "
      "while one member is frozen and another killed, a check of every acknowledged write on every "
      "member, recall, and a migration to PostgreSQL and back. Exit code 0: nothing is missing.");
  options.program = ProgramBeside();
  app.add_option("--aimem", options.program,
                 "The program whose servers are used, by default the one beside this");
  app.add_flag("--keep", options.keep, "Keep the work folder");
  app.add_option("--dir", options.folder,
                 "Folder to work in: new or empty (default: a temporary one)");
  app.add_option("--json", options.json, "File that the figures are written to as JSON");
  CLI11_PARSE(app, argc, argv);
  options.cancel = &interrupted;
  WatchSignals();
  const absl::Status status = aimem::demo::RunDemo(options);
  if (status.ok()) return 0;
  if (interrupted) {
    std::fputs("interrupted: nothing is left running\n", stderr);
    return kInterrupted;
  }
  PrintError("aimem_demo", status);
  return 1;
}
