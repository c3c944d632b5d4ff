#include "bench/report.h"

#include <thread>

#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace aimem::bench {
namespace {

std::string GoalText(const std::optional<Goal>& goal) {
  if (!goal) return "-";
  return absl::StrFormat("%s %g", goal->sense == Goal::Sense::kAtMost ? "<=" : ">=", goal->bound);
}

std::string_view Verdict(const Figure& figure) {
  if (!figure.goal) return "";
  return figure.goal->Met(figure.value) ? "ok" : "miss";
}

std::string Number(double value) {
  if (value == 0) return "0";
  if (value >= 1'000) return absl::StrFormat("%.0f", value);
  return absl::StrFormat(value >= 10 ? "%.1f" : "%.2f", value);
}

/// Of what a system may not have measured.
std::string NumberIfAny(double value) { return value == 0 ? "-" : Number(value); }

std::string FigureLines(const Section& section) {
  std::string out;
  for (const Figure& figure : section.figures) {
    out +=
        absl::StrFormat("%-18s %-66s %10s %-6s %9s  %s\n", section.name, figure.name,
                        Number(figure.value), figure.unit, GoalText(figure.goal), Verdict(figure));
  }
  return out;
}

}  // namespace

std::string ToTable(const Section& section) {
  std::string out =
      absl::StrFormat("\n%-52s %9s %9s %9s %9s %8s %8s %7s\n", section.name, "calls/s", "p50 us",
                      "p95 us", "p99 us", "CPU us", "written", "calls/");
  out += absl::StrFormat("%-52s %9s %9s %9s %9s %8s %8s %7s\n", "", "", "", "", "", "a call",
                         "KB/call", "commit");
  for (const Summary& system : section.systems) {
    out += absl::StrFormat(
        "%-52s %9s %9s %9s %9s %8s %8s %7s\n", system.system, NumberIfAny(system.rate),
        NumberIfAny(system.p50_us), NumberIfAny(system.p95_us), NumberIfAny(system.p99_us),
        NumberIfAny(system.cpu_us), NumberIfAny(system.written_kb), NumberIfAny(system.group));
  }
  for (const std::string& note : section.notes) out += "  " + note + "\n";
  return out + FigureLines(section);
}

std::string ToTable(const Report& report) {
  std::string out = absl::StrFormat(
      "\n%s run, %.0f s, %d processors, %s, load average %s before, %s after\n"
      "%-18s %-66s %10s %-6s %9s\n",
      report.mode, report.seconds, std::thread::hardware_concurrency(),
      report.real_time ? "real-time priority" : "ordinary priority (real-time was refused or off)",
      report.load_before, report.load_after, "section", "figure", "value", "", "goal");
  for (const Section& section : report.sections) out += FigureLines(section);
  return out;
}

std::string ToJson(const Report& report) {
  nlohmann::ordered_json json;
  json["mode"] = report.mode;
  json["seconds"] = report.seconds;
  json["processors"] = std::thread::hardware_concurrency();
  json["real_time_priority"] = report.real_time;
  json["load_before"] = report.load_before;
  json["load_after"] = report.load_after;
  json["sections"] = nlohmann::ordered_json::array();
  for (const Section& section : report.sections) {
    nlohmann::ordered_json one;
    one["name"] = section.name;
    one["systems"] = nlohmann::ordered_json::array();
    for (const Summary& system : section.systems) {
      one["systems"].push_back({{"system", system.system},
                                {"calls_per_second", system.rate},
                                {"p50_us", system.p50_us},
                                {"p95_us", system.p95_us},
                                {"p99_us", system.p99_us},
                                {"cpu_us_per_call", system.cpu_us},
                                {"written_kb_per_call", system.written_kb},
                                {"calls_per_commit", system.group}});
    }
    one["figures"] = nlohmann::ordered_json::array();
    for (const Figure& figure : section.figures) {
      nlohmann::ordered_json item = {
          {"name", figure.name}, {"value", figure.value}, {"unit", figure.unit}};
      if (figure.goal) {
        item["goal"] = GoalText(figure.goal);
        item["met"] = figure.goal->Met(figure.value);
      }
      one["figures"].push_back(std::move(item));
    }
    one["notes"] = section.notes;
    json["sections"].push_back(std::move(one));
  }
  return json.dump(2) + "\n";
}

}  // namespace aimem::bench
