// What the clients of a run write.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace aimem::campaign {

enum class Action : std::uint8_t { kCreate, kUpdate, kDelete };

struct PlannedWrite {
  Action action = Action::kCreate;
  std::string namespace_;  ///< With the title, the name of the memory.
  std::string title;
  std::string content;  ///< Empty for a delete.
  std::string body;     ///< JSON of the request; empty for a delete.
};

/// The memories of an export document, each as a write that creates it. kDataLoss: it is none.
absl::StatusOr<std::vector<PlannedWrite>> ParseMemories(std::string_view json);

/// "demo/client-2".
std::string ClientNamespace(int client);

/// An endless log of one client: new entries, and corrections and deletes of entries made before.
///
/// A client has one plan for each member of the federation; the entries of one are numbered `lane`,
/// `lane` + `lanes`, `lane` + 2 * `lanes` and so on, so that no two plans touch one memory. The
/// same arguments make the same plan. Assumes that each write is carried out before the next is
/// asked for.
class LogPlan {
 public:
  LogPlan(int client, int lane, int lanes) : client_(client), next_(lane), lanes_(lanes) {}

  PlannedWrite Create();
  /// A third are corrections, an eighth deletes, once there are some entries.
  PlannedWrite Next();

 private:
  PlannedWrite Correct(std::uint64_t random);
  PlannedWrite Delete(std::uint64_t random);

  int client_;
  std::int64_t next_;  // number of the next entry
  int lanes_;
  std::int64_t steps_ = 0;
  std::vector<std::int64_t> live_;
};

}  // namespace aimem::campaign
