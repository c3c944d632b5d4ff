#include "services/wire/answers.h"

#include <array>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "services/wire/federation.h"
#include "services/wire/json_members.h"
#include "services/wire/outcome.h"

namespace aimem::wire {
namespace {

using nlohmann::json;

constexpr std::array<WriteOutcome, 4> kOutcomes = {WriteOutcome::kCommitted, WriteOutcome::kPending,
                                                   WriteOutcome::kRejected, WriteOutcome::kUnknown};
constexpr std::array<ItemEffect, 7> kEffects = {
    ItemEffect::kUnchanged, ItemEffect::kCreated,  ItemEffect::kUpdated, ItemEffect::kDeleted,
    ItemEffect::kArchived,  ItemEffect::kRestored, ItemEffect::kQueued};
constexpr std::array<PeerState, 5> kPeerStates = {PeerState::kAway, PeerState::kOnline,
                                                  PeerState::kLagging, PeerState::kFetching,
                                                  PeerState::kDenied};

// Set `target` to the value that is called like the text under `key`, if there is one.
template <typename Value, std::size_t count, typename NameOf>
void ReadName(Members& members, const char* key, const std::array<Value, count>& values,
              NameOf name_of, Value& target) {
  std::optional<std::string> text;
  members.Maybe(key, text);
  if (!text) return;
  for (const Value value : values) {
    if (name_of(value) == *text) {
      target = value;
      return;
    }
  }
  members.Refuse(absl::StrFormat("%s: unknown variant `%s`", key, *text));
}

void ReadTime(Members& members, const char* key, std::optional<absl::Time>& target) {
  std::optional<std::string> text;
  members.Maybe(key, text);
  if (!text) return;
  target = model::ParseTime(*text);
  if (!target) members.Refuse(absl::StrFormat("%s is not valid RFC3339: '%s'", key, *text));
}

void ReadTime(Members& members, const char* key, absl::Time& target) {
  std::optional<absl::Time> time;
  ReadTime(members, key, time);
  if (time) target = *time;
}

void ReadId(Members& members, const char* key, Id128& target) {
  std::optional<std::string> text;
  members.Maybe(key, text);
  if (!text) return;
  const std::optional<Id128> id = Id128::Parse(*text);
  if (id) target = *id;
  if (!id) members.Refuse(absl::StrFormat("%s is not UUID text: '%s'", key, *text));
}

void ReadSeconds(Members& members, const char* key, absl::Duration& target) {
  std::optional<double> seconds;
  members.Maybe(key, seconds);
  if (seconds) target = absl::Seconds(*seconds);
}

// Required.
void ReadInt(Members& members, const char* key, int& target) {
  const std::int64_t value = members.Integer(key);
  if (value < 0 || value > std::numeric_limits<int>::max()) {
    members.Refuse(absl::StrFormat("%s: integer out of range", key));
    return;
  }
  target = static_cast<int>(value);
}

void ReadStream(Members& members, const char* key, std::uint64_t& target) {
  std::optional<std::string> text;
  members.Maybe(key, text);
  if (text && !absl::SimpleHexAtoi(*text, &target)) {
    members.Refuse(absl::StrFormat("%s is not a stream: '%s'", key, *text));
  }
}

// The objects of an array that may be missing, each read by `read`, which returns a status.
template <typename Read>
void ForEach(Members& members, const char* key, Read read) {
  if (!members.Has(key)) return;
  for (const json& one : members.Array(key)) {
    members.Refuse(read(one));
  }
}

void ReadCounts(Members& members, const char* key, std::map<std::string, std::int64_t>& target) {
  if (!members.Has(key)) return;
  const json& counts = members.Object(key);
  Members values(counts);
  for (const auto& [name, unused] : counts.items()) target[name] = values.Integer(name.c_str());
  members.Refuse(values.status());
}

void ReadVector(Members& members, const char* key, VersionVector& target) {
  if (!members.HasValue(key)) return;
  const json& vector = members.Object(key);
  Members positions(vector);
  for (const auto& [name, unused] : vector.items()) {
    std::uint64_t stream = 0;
    if (!absl::SimpleHexAtoi(name, &stream)) {
      members.Refuse(absl::StrFormat("%s: '%s' is not a stream", key, name));
    }
    target[stream] = positions.Unsigned(name.c_str());
  }
  members.Refuse(positions.status());
}

absl::Status ReadMemory(const json& object, Memory& memory) {
  Members members(object);
  memory.id = members.Text("id");
  memory.namespace_ = members.Text("namespace");
  memory.title = members.Text("title");
  memory.content = members.Text("content");
  members.Or("tier", memory.tier);
  members.Or("tags", memory.tags);
  std::int64_t priority = memory.priority;
  members.Or("priority", priority);
  if (!model::CheckPriority(priority).ok()) members.Refuse("priority: integer out of range");
  memory.priority = static_cast<std::int32_t>(priority);
  members.Or("confidence", memory.confidence);
  members.Or("source", memory.source);
  members.Or("access_count", memory.access_count);
  ReadTime(members, "created_at", memory.created_at);
  ReadTime(members, "updated_at", memory.updated_at);
  ReadTime(members, "last_accessed_at", memory.last_accessed_at);
  ReadTime(members, "expires_at", memory.expires_at);
  members.OrAny("metadata", memory.metadata);
  AIMEM_RETURN_IF_ERROR(members.status());
  absl::StatusOr<std::string> metadata = model::CanonicalMetadata(memory.metadata);
  if (!metadata.ok()) return WrongShape(ToStd(metadata.status().message()));
  memory.metadata = *std::move(metadata);
  return absl::OkStatus();
}

absl::Status ReadPeer(const json& object, PeerInfo& peer) {
  Members members(object);
  members.Or("address", peer.address);
  ReadId(members, "member", peer.member);
  ReadName(members, "state", kPeerStates, PeerStateName, peer.state);
  members.Or("voter", peer.voter);
  ReadVector(members, "vector", peer.vector);
  members.Or("commits_behind", peer.commits_behind);
  ReadSeconds(members, "oldest_unacked_seconds", peer.oldest_unacked);
  ReadSeconds(members, "last_reply_age_seconds", peer.last_reply_age);
  ReadSeconds(members, "clock_offset_seconds", peer.clock_offset);
  members.Or("calls_in_flight", peer.calls_in_flight);
  members.Or("bytes_in_flight", peer.bytes_in_flight);
  members.Or("streams_apart", peer.streams_apart);
  members.OrNull("last_error", peer.last_error);
  members.Or("commits_sent", peer.commits_sent);
  ReadCounts(members, "calls", peer.calls);
  ReadCounts(members, "rejects", peer.rejects);
  ReadCounts(members, "pending", peer.pending);
  return members.status();
}

absl::Status ReadQuorumSeconds(const json& object, FederationInfo& federation) {
  Members members(object);
  for (const json& bound : members.Array("bounds")) {
    if (!bound.is_number()) return WrongShape("bounds: expected numbers");
    federation.quorum_seconds_bounds.push_back(bound.get<double>());
  }
  for (const json& count : members.Array("counts")) {
    if (!count.is_number_integer()) return WrongShape("counts: expected integers");
    federation.quorum_seconds_counts.push_back(count.get<std::int64_t>());
  }
  federation.quorum_seconds_sum = members.Number("sum");
  return members.status();
}

absl::Status ReadView(const json& object, FederationInfo& federation) {
  Members members(object);
  ReadId(members, "member", federation.member);
  members.OrNull("address", federation.address);
  ReadInt(members, "needed", federation.needed);
  ReadInt(members, "voters", federation.voters);
  ReadInt(members, "reachable", federation.reachable);
  members.Or("insecure", federation.insecure);
  std::string transport;
  members.Or("replication", transport);
  federation.plaintext = transport == kPlaintext;
  members.Or("learner", federation.learner);
  ForEach(members, "peers",
          [&](const json& one) { return ReadPeer(one, federation.peers.emplace_back()); });
  members.Or("waiting_writes", federation.waiting_writes);
  members.Or("stragglers_in_flight", federation.stragglers_in_flight);
  members.Or("window_commits", federation.window_commits);
  members.Or("window_bytes", federation.window_bytes);
  members.Or("parked_bytes", federation.parked_bytes);
  members.Or("committed", federation.committed);
  members.Or("pending", federation.pending);
  members.Or("stragglers_finished", federation.stragglers_finished);
  members.Or("stragglers_failed", federation.stragglers_failed);
  members.Or("calls_cancelled", federation.calls_cancelled);
  members.Or("divergences", federation.divergences);
  members.Or("forks", federation.forks);
  AIMEM_RETURN_IF_ERROR(members.status());
  if (!object.contains("write_quorum_seconds")) return absl::OkStatus();
  return ReadQuorumSeconds(object["write_quorum_seconds"], federation);
}

absl::Status ReadItem(const json& object, ItemResult& item) {
  Members members(object);
  ReadName(members, "effect", kEffects, EffectName, item.effect);
  members.Or("id", item.id);
  members.Or("count", item.count);
  std::optional<std::string> error;
  members.Maybe("error", error);
  if (error) item.status = absl::UnknownError(*error);
  return members.status();
}

absl::Status ReadQuorum(const json& object, QuorumReport& quorum) {
  Members members(object);
  ForEach(members, "peers", [&](const json& one) {
    Members peer(one);
    quorum.peers.push_back({.id = peer.Text("id"), .reason = peer.Text("reason")});
    return peer.status();
  });
  std::vector<std::string> durable;
  members.Or("members_durable", durable);
  for (const std::string& text : durable) {
    const std::optional<Id128> member = Id128::Parse(text);
    if (member) quorum.durable.push_back(*member);
    if (!member) members.Refuse("members_durable: expected UUID texts");
  }
  return members.status();
}

}  // namespace

absl::StatusOr<std::vector<Memory>> ReadMemories(std::string_view text) {
  return ReadObject<std::vector<Memory>>(text, [](Members& members, auto& memories) {
    for (const json& one : members.Array("memories")) {
      members.Refuse(ReadMemory(one, memories.emplace_back()));
    }
  });
}

absl::StatusOr<SearchResult> ReadHits(std::string_view text) {
  return ReadObject<SearchResult>(text, [](Members& members, SearchResult& result) {
    for (const json& one : members.Array("memories")) {
      SearchHit& hit = result.hits.emplace_back();
      members.Refuse(ReadMemory(one, hit.memory));
      Members scored(one);
      hit.score = scored.Number("score");
      scored.Or("relevance", hit.relevance);
      members.Refuse(scored.status());
    }
    members.Or("tokens_used", result.tokens_used);
    members.Or("terms_left_out", result.terms_left_out);
  });
}

absl::StatusOr<WriteAnswer> ReadWrite(std::string_view text) {
  return ReadObject<WriteAnswer>(text, [](Members& members, WriteAnswer& answer) {
    members.Or("error", answer.error);
    members.OrNull("id", answer.id);
    Id128 operation;
    ReadId(members, "operation_id", operation);
    if (operation != Id128{}) answer.operation = operation;
    if (members.Has("outcome")) {
      ReadName(members, "outcome", kOutcomes, OutcomeText, answer.outcome.emplace());
    }
  });
}

absl::StatusOr<OperationInfo> ReadOperation(std::string_view text) {
  json object;
  AIMEM_RETURN_IF_ERROR(ParseJson(text, object));
  Members members(object);
  OperationInfo info;
  (void)members.Text("operation_id");
  (void)members.Text("outcome");
  ReadId(members, "operation_id", info.operation);
  ReadName(members, "outcome", kOutcomes, OutcomeText, info.outcome);
  ReadStream(members, "stream", info.stream);
  info.seq = members.Unsigned("seq");
  info.hlc = members.Unsigned("hlc");
  members.Or("agent_id", info.agent_id);
  ForEach(members, "results",
          [&](const json& one) { return ReadItem(one, info.items.emplace_back()); });
  AIMEM_RETURN_IF_ERROR(members.status());
  QuorumReport quorum;
  AIMEM_RETURN_IF_ERROR(ReadQuorum(object, quorum));
  if (!quorum.durable.empty() || !quorum.peers.empty()) info.quorum = std::move(quorum);
  return info;
}

absl::StatusOr<StoreInfo> ReadFederation(std::string_view text) {
  json object;
  AIMEM_RETURN_IF_ERROR(ParseJson(text, object));
  Members members(object);
  StoreInfo info;
  ReadId(members, "member", info.member);
  ReadStream(members, "stream", info.stream);
  ReadVector(members, "vector", info.vector);
  members.OrNull("fenced", info.fenced);
  AIMEM_RETURN_IF_ERROR(members.status());
  if (!object.contains("federation")) return WrongShape("missing field `federation`");
  if (object["federation"].is_null()) return info;
  AIMEM_RETURN_IF_ERROR(ReadView(object["federation"], info.federation.emplace()));
  return info;
}

}  // namespace aimem::wire
