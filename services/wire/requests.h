// What clients ask for: JSON text in, plain requests out; and, for clients, the other way.
//
// Functions that take JSON report kInvalidArgument for text that is not JSON, and
// kFailedPrecondition for JSON of another shape; the message says why. Keys that are not known are
// ignored. Everything else here reports kInvalidArgument for a value that is not valid.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/requests.h"
#include "aimem/write_batch.h"

namespace aimem::wire {

// -- Writing --------------------------------------------------------------------------------------

struct CreateBody {
  PutMemory put;                          ///< Without expires_at.
  std::optional<std::string> expires_at;  ///< As it came; for SetExpiry.
  std::string agent_id;
};

struct PatchBody {
  PatchMemory patch;                      ///< Without id and expires_at.
  std::optional<std::string> expires_at;  ///< As it came; for SetExpiry. Empty text: clear it.
};

struct ConsolidateBody {
  ConsolidateMemories consolidate;
  std::string agent_id;
};

absl::StatusOr<CreateBody> ReadCreate(std::string_view json);
absl::StatusOr<std::vector<CreateBody>> ReadBulk(std::string_view json);
absl::StatusOr<PatchBody> ReadPatch(std::string_view json);
absl::StatusOr<ForgetMemories> ReadForget(std::string_view json);
absl::StatusOr<ConsolidateBody> ReadConsolidate(std::string_view json);
absl::StatusOr<AddLink> ReadLink(std::string_view json);
absl::StatusOr<RegisterAgent> ReadRegistration(std::string_view json);

/// Set the expiry of what is to be written to the time that the body names.
absl::Status SetExpiry(CreateBody& body);
absl::Status SetExpiry(PatchBody& body);

/// Give the items of a bulk request to one batch. A batch has one author; where the items have
/// several, each is written down in its own metadata, and the batch has none: `author`, who sent
/// it, becomes empty.
absl::Status SetAuthors(std::vector<CreateBody>& bodies, std::string& author);

// -- Asking ---------------------------------------------------------------------------------------

struct RecallBody {
  std::string context;
  std::optional<std::string> namespace_, tags, since, until, as_agent;
  std::optional<std::int64_t> limit, budget_tokens;
  std::optional<double> min_relevance;
  std::optional<std::string> now;  ///< SearchRequest::asked_at, as it came.
  bool explain = false;
};

absl::StatusOr<RecallBody> ReadRecall(std::string_view json);
/// The search that a recall is: any word, ancestors too, at most 50 hits, 10 if it does not say.
absl::StatusOr<SearchRequest> SearchOf(const RecallBody& recall);

/// When it is asked, and in which time zone: that of the offset that `now` is written with.
absl::Status SetAskedAt(std::string_view now, SearchRequest& search);
/// since and until as a filter takes them.
absl::Status SetTimes(const std::optional<std::string>& since,
                      const std::optional<std::string>& until, Filter& filter);
/// Set the filter's as_agent.
absl::Status SetAsAgent(const std::optional<std::string>& as_agent, Filter& filter);

// -- For clients ----------------------------------------------------------------------------------

/// The text that is read so. What has its default is left out.
std::string CreateJson(const CreateBody& body);
std::string PatchJson(const PatchBody& body);
std::string RecallBodyJson(const RecallBody& recall);

}  // namespace aimem::wire
