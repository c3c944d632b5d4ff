// Bodies of requests: JSON text in, plain requests out.
//
// Every function reports kInvalidArgument for text that is not JSON and kFailedPrecondition for
// JSON of another shape, both with the message of the answer. Keys that are not known are ignored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "aimem/write_batch.h"

namespace aimem::http {

struct CreateBody {
  PutMemory put;                          ///< Without expires_at.
  std::optional<std::string> expires_at;  ///< As it came; to be checked.
  std::string agent_id;
};

struct PatchBody {
  PatchMemory patch;                      ///< Without id and expires_at.
  std::optional<std::string> expires_at;  ///< As it came; empty text: clear it.
};

struct RecallBody {
  std::string context;
  std::optional<std::string> namespace_, tags, since, until, as_agent;
  std::optional<std::int64_t> limit, budget_tokens;
};

struct ConsolidateBody {
  ConsolidateMemories consolidate;
  std::string agent_id;
};

absl::StatusOr<CreateBody> DecodeCreate(std::string_view json);
absl::StatusOr<std::vector<CreateBody>> DecodeBulk(std::string_view json);
absl::StatusOr<PatchBody> DecodePatch(std::string_view json);
absl::StatusOr<RecallBody> DecodeRecall(std::string_view json);
absl::StatusOr<ForgetMemories> DecodeForget(std::string_view json);
absl::StatusOr<ConsolidateBody> DecodeConsolidate(std::string_view json);
absl::StatusOr<AddLink> DecodeLink(std::string_view json);
absl::StatusOr<RegisterAgent> DecodeAgent(std::string_view json);

/// `metadata` with agent_id set, if it is a JSON object; else as it is.
std::string WithAgentId(const std::string& metadata, const std::string& agent_id);
/// metadata.agent_id; empty if it has none.
std::string AgentIdOf(const std::string& metadata);

}  // namespace aimem::http
