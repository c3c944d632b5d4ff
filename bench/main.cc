// aimem_bench: figures of this machine, as ratios to bare loops of the same run.
#include <algorithm>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>

#include "CLI/CLI.hpp"
#include "bench/child.h"
#include "bench/sections.h"

namespace aimem::bench {
namespace {

using Measure = Section (*)(const Settings&);

struct Entry {
  std::string name;
  Measure measure;
};

const std::vector<Entry>& Entries() {
  static const std::vector<Entry> entries = {{"put", MeasurePut},
                                             {"writers", MeasureWriters},
                                             {"get", MeasureGet},
                                             {"postgres", MeasurePostgres},
                                             {"migrate", MeasureMigrate},
                                             {"backup", MeasureBackup},
                                             {"index", MeasureIndex},
                                             {"recall", MeasureRecall},
                                             {"recall-index", MeasureRecallIndex},
                                             {"recall-ranking", MeasureRanking},
                                             {"list", MeasureList},
                                             {"federation", MeasureFederation},
                                             {"federation-slow", MeasureFederationSlow},
                                             {"federation-catchup", MeasureFederationCatchUp}};
  return entries;
}

/// "federation" names all of its parts, and so does "recall".
bool IsWanted(const std::string& name, const std::vector<std::string>& wanted) {
  return wanted.empty() || std::any_of(wanted.begin(), wanted.end(), [&](const std::string& word) {
           return name == word || name.starts_with(word + "-");
         });
}

struct Arguments {
  Settings settings;
  std::vector<std::string> sections;
  std::string json;
  bool ordinary = false;
};

int Main(const Arguments& arguments) {
  Report report;
  report.mode = arguments.settings.quick ? "quick" : "full";
  report.real_time = !arguments.ordinary && UseRealTimePriority();
  report.load_before = LoadAverage();
  const double begin = MonotonicSeconds();
  bool failed = false;
  for (const Entry& entry : Entries()) {
    if (!IsWanted(entry.name, arguments.sections)) continue;
    const double section_begin = MonotonicSeconds();
    try {
      report.sections.push_back(entry.measure(arguments.settings));
    } catch (const std::exception& error) {
      // What the other sections find is worth having.
      std::cerr << "aimem_bench: " << entry.name << ": " << error.what() << "\n";
      failed = true;
      continue;
    }
    std::cout << ToTable(report.sections.back()) << std::flush;
    std::cerr << entry.name << ": " << static_cast<int>(MonotonicSeconds() - section_begin)
              << " s\n";
  }
  report.seconds = MonotonicSeconds() - begin;
  report.load_after = LoadAverage();
  std::cout << ToTable(report);
  if (!arguments.json.empty()) {
    std::ofstream file(arguments.json);
    if (!(file << ToJson(report))) throw Failure("cannot write '" + arguments.json + "'");
  }
  return failed ? 1 : 0;
}

std::string DefaultDirectory() {
  // Not /tmp, which is memory on many machines: an fsync there costs nothing.
  const char* chosen = std::getenv("TMPDIR");
  return chosen != nullptr && *chosen != '\0' ? chosen : "/var/tmp";
}

int ParseAndRun(int argc, char** argv) {
  CLI::App app(
      "Measure this machine: aimem beside bare loops that write and read the same rows, and a\n"
      "federation beside etcd.\n"
      "Exit code 0 also if a goal is missed; 1 if a section failed.");
  Arguments arguments;
  std::vector<std::string> names;
  for (const Entry& entry : Entries()) names.push_back(entry.name);
  app.add_option("section", arguments.sections, "Only these sections (default: all)")
      ->check(CLI::IsMember(names));
  app.add_flag("--quick", arguments.settings.quick, "Smaller sizes: less than two minutes");
  app.add_option("--json", arguments.json, "Write the figures to this file too");
  app.add_option("--dir", arguments.settings.directory,
                 "Folder for data, on the disk to measure (default: TMPDIR, else /var/tmp)");
  app.add_option("--data", arguments.settings.data,
                 "Folder of conversations and questions for recall-ranking (bench/ranking.cc)")
      ->check(CLI::ExistingDirectory);
  app.add_flag("--ordinary-priority", arguments.ordinary, "Do not ask for real-time priority");
  CLI11_PARSE(app, argc, argv);
  if (arguments.settings.directory.empty()) arguments.settings.directory = DefaultDirectory();
  return Main(arguments);
}

}  // namespace
}  // namespace aimem::bench

int main(int argc, char** argv) {
  try {
    if (argc > 2 && std::string_view(argv[1]) == "--child") {
      return aimem::bench::ChildMain(std::vector<std::string>(argv + 2, argv + argc));
    }
    return aimem::bench::ParseAndRun(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "aimem_bench: " << error.what() << "\n";
    return 1;
  }
}
