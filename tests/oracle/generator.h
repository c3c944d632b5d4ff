// Generator: random requests of several clients, few names and words, so that they collide.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/oracle/oracle.h"
#include "tests/oracle/world.h"

namespace aimem::oracle {

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  /// A request that may make sense in `world` as of `now`; one in ten does not, on purpose.
  Request Next(const World& world, absl::Time now);
  /// One or two words that memories may contain.
  std::string Query();
  /// How long until the next request: mostly seconds, sometimes days.
  absl::Duration Pause();

 private:
  std::uint64_t Below(std::uint64_t bound) { return random_() % bound; }
  bool Chance(std::uint64_t percent) { return Below(100) < percent; }
  template <typename T>
  const T& OneOf(const std::vector<T>& values) {
    return values[Below(values.size())];
  }

  std::string Title();
  std::string Namespace();
  std::string Words();
  std::vector<std::string> Tags();
  std::string Metadata();
  Tier AnyTier() { return static_cast<Tier>(Below(3)); }
  /// The id of some row of any phase, or of none.
  std::string Id(const World& world, std::optional<Phase> phase);

  WriteItem Alone(const World& world);
  /// An item that makes memories live, and one that may also end their lives: not mixed in one
  /// batch, where the id of a new memory would depend on stamps.
  WriteItem Making(const World& world, absl::Time now);
  WriteItem Ending(const World& world, absl::Time now);
  PutMemory Put(absl::Time now);
  ImportMemory Import(const World& world, absl::Time now);
  PatchMemory Patch(const World& world, absl::Time now);
  ConsolidateMemories Consolidate(const World& world);
  PromoteMemory Promote(const World& world);
  RegisterAgent Register();
  SetStandard Standard(const World& world);
  DecidePending Decide(const World& world);

  std::mt19937_64 random_;
  std::vector<Request> keyed_;
  std::uint64_t keys_ = 0;
};

}  // namespace aimem::oracle
