// A phase: a piece of a run that says what it does, checks what must be so, and keeps its figures.
// A run is a list of phases over one context; each goes on with what those before it left there.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "campaign/figures.h"

namespace aimem::campaign {

/// Who is told of a run while it goes on.
class Audience {
 public:
  virtual ~Audience() = default;
  /// A phase begins.
  virtual void Begin(std::string_view what, std::string_view proves) = 0;
  virtual void Line(std::string_view text) = 0;
  /// A fact that must be so, and whether it is.
  virtual void Check(bool good, std::string_view what) = 0;
  /// A row of a table.
  virtual void Row(std::string_view name, std::string_view value) = 0;
};

struct Checked {
  std::string what;
  bool good = false;
};

/// What is left of a phase.
struct Outcome {
  std::string phase;
  absl::Status status;          ///< Whether it came to its end.
  std::vector<Checked> checks;  ///< Each that it made.
  Figures figures;
  double seconds = 0;

  [[nodiscard]] int failures() const;
  /// It came to its end, and every check was good.
  [[nodiscard]] bool passed() const { return status.ok() && failures() == 0; }
};

/// What a phase has to say: told to the audience at once, and kept in the outcome.
class Report {
 public:
  Report(Outcome& outcome, Audience& audience) : outcome_(outcome), audience_(audience) {}

  void Line(std::string_view text) { audience_.Line(text); }
  void Row(std::string_view name, std::string_view value) { audience_.Row(name, value); }
  void Check(bool good, std::string_view what);
  Figures& figures() { return outcome_.figures; }

 private:
  Outcome& outcome_;
  Audience& audience_;
};

template <typename Context>
class Phase {
 public:
  virtual ~Phase() = default;
  /// What it does, and what that shows: a line each.
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual std::string_view proves() const = 0;
  /// A check that fails is no error: it stands in the report, and the phase goes on. An error says
  /// that it could not.
  virtual absl::Status Run(Context& context, Report& report) = 0;
};

template <typename Context>
using Phases = std::vector<std::unique_ptr<Phase<Context>>>;

/// Run them in order, until one does not come to its end or `cancel` is set: then the last outcome
/// has the error. kCancelled: it was set before that phase began.
template <typename Context>
std::vector<Outcome> RunPhases(const Phases<Context>& phases, Context& context, Audience& audience,
                               const std::atomic<bool>* cancel) {
  std::vector<Outcome> outcomes;
  for (const auto& phase : phases) {
    Outcome& outcome = outcomes.emplace_back();
    outcome.phase = phase->name();
    if (cancel != nullptr && *cancel) {
      outcome.status = absl::CancelledError("interrupted");
      break;
    }
    audience.Begin(phase->name(), phase->proves());
    const Stopwatch watch;
    Report report(outcome, audience);
    outcome.status = phase->Run(context, report);
    outcome.seconds = watch.Seconds();
    if (!outcome.status.ok()) break;
  }
  return outcomes;
}

}  // namespace aimem::campaign
