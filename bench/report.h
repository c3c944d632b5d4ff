// What the sections found, as a table for people and as JSON for programs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/measure.h"

namespace aimem::bench {

struct Goal {
  enum class Sense { kAtMost, kAtLeast };
  Sense sense = Sense::kAtMost;
  double bound = 0;

  static Goal AtMost(double bound) { return {Sense::kAtMost, bound}; }
  static Goal AtLeast(double bound) { return {Sense::kAtLeast, bound}; }
  [[nodiscard]] bool Met(double value) const {
    return sense == Sense::kAtMost ? value <= bound : value >= bound;
  }
};

struct Figure {
  std::string name;
  double value = 0;
  std::string unit;  ///< "x" for a ratio.
  std::optional<Goal> goal;
};

struct Section {
  std::string name;
  std::vector<Summary> systems;
  std::vector<Figure> figures;
  std::vector<std::string> notes;
};

struct Report {
  std::string mode;  ///< "full" or "quick".
  bool real_time = false;
  std::string load_before;
  std::string load_after;
  double seconds = 0;
  std::vector<Section> sections;
};

std::string ToTable(const Section& section);
/// All figures, with goals, and the circumstances.
std::string ToTable(const Report& report);
std::string ToJson(const Report& report);

}  // namespace aimem::bench
