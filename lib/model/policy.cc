#include "lib/model/policy.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"

namespace aimem::model {
namespace {

constexpr std::string_view kLevels = "any,registered,owner,approve";
constexpr std::string_view kApprovers = R"("human",{"agent":id},{"consensus":n})";

using Members = std::map<std::string, std::string>;

Members MembersOf(std::string_view canonical) {
  Members members;
  for (auto& [key, value] : MetadataMembers(canonical)) members[key] = std::move(value);
  return members;
}

absl::Status Invalid(std::string_view key, std::string_view value, std::string_view why,
                     std::string_view limit) {
  return InvalidField(absl::StrCat("governance.", ToAbsl(key)), value,
                      absl::StrCat("invalid governance: ", ToAbsl(why)), limit);
}

absl::StatusOr<std::string> Member(const Members& members, const std::string& key,
                                   std::string_view limit) {
  const auto found = members.find(key);
  if (found != members.end()) return found->second;
  return Invalid(key, "", absl::StrCat("missing field `", key, "`"), limit);
}

absl::StatusOr<Level> ReadLevel(const Members& members, const std::string& key) {
  AIMEM_ASSIGN_OR_RETURN(const std::string value, Member(members, key, kLevels));
  if (value == R"("any")") return Level::kAny;
  if (value == R"("registered")") return Level::kRegistered;
  if (value == R"("owner")") return Level::kOwner;
  if (value == R"("approve")") return Level::kApprove;
  return Invalid(key, value,
                 absl::StrCat("governance.", key,
                              " must be any, registered, owner or approve (got ", value, ")"),
                 kLevels);
}

absl::StatusOr<Approver> ReadAgent(const std::string& value) {
  const std::optional<std::string> agent = JsonStringValue(value);
  if (!agent) {
    return Invalid("approver.agent", value, "governance.approver.agent must be a string",
                   kApprovers);
  }
  if (const absl::Status status = CheckAgentId(*agent); !status.ok()) {
    return Invalid("approver.agent", *agent,
                   absl::StrCat("governance.approver.agent: ", status.message()), kApprovers);
  }
  return Approver{.agent = *agent};
}

absl::StatusOr<Approver> ReadQuorum(const std::string& value) {
  Approver approver;
  if (!absl::SimpleAtoi(value, &approver.quorum) || approver.quorum < 1) {
    return Invalid("approver.consensus", value, "governance.approver.consensus quorum must be >= 1",
                   "1..");
  }
  return approver;
}

absl::StatusOr<Approver> ReadApprover(const Members& members) {
  AIMEM_ASSIGN_OR_RETURN(const std::string value, Member(members, "approver", kApprovers));
  if (value == R"("human")") return Approver();
  if (value.starts_with('{')) {
    const Members kinds = MembersOf(value);
    const auto agent = kinds.find("agent");
    const auto quorum = kinds.find("consensus");
    if (kinds.size() == 1 && agent != kinds.end()) return ReadAgent(agent->second);
    if (kinds.size() == 1 && quorum != kinds.end()) return ReadQuorum(quorum->second);
  }
  return Invalid("approver", value,
                 absl::StrCat(R"(governance.approver must be "human", {"agent":id} or )",
                              R"({"consensus":n} (got )", value, ")"),
                 kApprovers);
}

}  // namespace

absl::StatusOr<Policy> ParsePolicy(std::string_view json) {
  absl::StatusOr<std::string> canonical = CanonicalMetadata(json);
  if (!canonical.ok()) {
    return Invalid("policy", json, ToStd(canonical.status().message()), "a JSON object");
  }
  const Members members = MembersOf(*canonical);
  Policy policy;
  AIMEM_ASSIGN_OR_RETURN(policy.write, ReadLevel(members, "write"));
  AIMEM_ASSIGN_OR_RETURN(policy.promote, ReadLevel(members, "promote"));
  AIMEM_ASSIGN_OR_RETURN(policy.remove, ReadLevel(members, "delete"));
  AIMEM_ASSIGN_OR_RETURN(policy.approver, ReadApprover(members));
  return policy;
}

}  // namespace aimem::model
