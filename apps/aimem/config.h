// Where settings come from: a flag, else the environment, else a default.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace aimem::cli {

/// Path or URL of the database: the flag, AI_MEMORY_DB, "ai-memory.db".
std::string DatabaseUrl(const std::optional<std::string>& flag);

/// Who writes: the flag, AI_MEMORY_AGENT_ID, host:<hostname>:pid-<pid>-<8 hex>, or without the
/// host if AI_MEMORY_ANONYMIZE asks for that. kInvalidArgument: not an agent id.
absl::StatusOr<std::string> AgentIdentity(const std::optional<std::string>& flag);

/// The same for a program that speaks for agents, which say themselves what they are.
struct ClaimedIdentity {
  std::string claimed;  ///< By flag or environment; empty: by none.
  std::string host;  ///< This machine, as a part of an agent id; empty: unknown, or not to be told.
  std::string fallback;  ///< What AgentIdentity says where nothing is claimed.
};
absl::StatusOr<ClaimedIdentity> IdentityOfAgents(const std::optional<std::string>& flag);

/// The namespace of a memory stored without one: the repository's name by its remote "origin",
/// else the name of the current directory, else "global". kInvalidArgument if that name cannot
/// be a namespace: it says where the name is from, and which flag to give.
absl::StatusOr<std::string> DerivedNamespace();

/// The key in the file at `path`, without the spaces around it; empty if `path` is.
/// kInvalidArgument: it cannot be read, or holds none.
absl::StatusOr<std::string> ReadApiKey(const std::string& path);

}  // namespace aimem::cli
