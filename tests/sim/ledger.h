// What is true: every commit that was ever durable anywhere, seen from outside the federation.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "aimem/backends/backend.h"
#include "aimem/types.h"

namespace aimem::sim {

class Ledger {
 public:
  using Position = std::pair<std::uint64_t, std::uint64_t>;

  /// The disk of `machine` holds `row` durably. What contradicts what is known already; empty: ok.
  std::string Durable(const std::string& machine, const LogRow& row);

  /// Where commits of this operation were durable, ever.
  [[nodiscard]] std::vector<Position> CommitsOf(const OperationId& operation) const;
  /// "A2": the second history of machine A.
  [[nodiscard]] std::string NameOf(std::uint64_t stream) const;
  /// "A1:1-7, B1:3".
  [[nodiscard]] std::string Describe(const VersionVector& vector) const;

  /// For every memory that a commit covered by `vector` put or deleted: whether it is there, which
  /// is so if its latest put is later than its latest delete.
  [[nodiscard]] std::map<std::string, bool> Present(const VersionVector& vector) const;

  [[nodiscard]] std::size_t commits() const { return commits_.size(); }

 private:
  std::map<Position, LogRow> commits_;
  std::map<OperationId, std::set<Position>> by_operation_;
  std::map<std::uint64_t, std::string> names_;
  std::map<std::string, int> streams_of_;
};

}  // namespace aimem::sim
