// aimem_demo: the main job. With the arguments of WriterArguments, one of its writers.
#include <signal.h>

#include <atomic>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "demo/demo.h"
#include "demo/storm.h"
#include "demo/writer.h"
#include "support/process/child_process.h"

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

int RunAsWriter(const aimem::demo::WriterCommand& command) {
  aimem::support::DieWithParent(command.parent);
  const absl::Status status = aimem::demo::RunWriter(command.options);
  if (status.ok()) return 0;
  PrintError("aimem_demo writer", status);
  return 1;
}

int RunMainJob(int argc, char** argv) {
  aimem::demo::DemoOptions options;
  CLI::App app(
      "The main job of aimem on real input: import, recall, four processes writing to one file "
      "while one of them is killed, a check of every acknowledged write, and a migration to "
      "PostgreSQL and back. Exit code 0: nothing is missing.");
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

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (const auto command = aimem::demo::ParseWriterArguments(arguments)) {
    return RunAsWriter(*command);
  }
  return RunMainJob(argc, argv);
}
