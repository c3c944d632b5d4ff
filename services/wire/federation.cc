#include "services/wire/federation.h"

#include <map>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"
#include "services/wire/shapes.h"

namespace aimem::wire {
namespace {

std::string IdOrNull(const Id128& id) {
  return id == Id128{} ? "null" : "\"" + id.ToString() + "\"";
}

std::string TextOrNull(const std::string& text) {
  return text.empty() ? "null" : model::JsonString(text);
}

std::string VectorJson(const VersionVector& vector) {
  JsonObject object;
  for (const auto& [stream, seq] : vector) object.Raw(StreamText(stream), std::to_string(seq));
  return object.Build();
}

std::string CountsJson(const std::map<std::string, std::int64_t>& counts) {
  JsonObject object;
  for (const auto& [name, count] : counts) object.Int(name, count);
  return object.Build();
}

std::string PeerJson(const PeerInfo& peer) {
  const bool heard = peer.last_reply_age != absl::InfiniteDuration();
  return JsonObject()
      .Text("address", peer.address)
      .Raw("member", IdOrNull(peer.member))
      .Text("state", PeerStateName(peer.state))
      .Bool("voter", peer.voter)
      .Raw("vector", VectorJson(peer.vector))
      .Int("commits_behind", peer.commits_behind)
      .Number("oldest_unacked_seconds", absl::ToDoubleSeconds(peer.oldest_unacked))
      .Raw("last_reply_age_seconds",
           heard ? JsonNumber(absl::ToDoubleSeconds(peer.last_reply_age)) : "null")
      .Number("clock_offset_seconds", absl::ToDoubleSeconds(peer.clock_offset))
      .Int("calls_in_flight", peer.calls_in_flight)
      .Int("bytes_in_flight", peer.bytes_in_flight)
      .Int("streams_apart", peer.streams_apart)
      .Raw("last_error", TextOrNull(peer.last_error))
      .Int("commits_sent", peer.commits_sent)
      .Raw("calls", CountsJson(peer.calls))
      .Raw("rejects", CountsJson(peer.rejects))
      .Raw("pending", CountsJson(peer.pending))
      .Build();
}

std::string QuorumSecondsJson(const FederationInfo& federation) {
  return JsonObject()
      .Raw("bounds", JsonArrayOf(federation.quorum_seconds_bounds, JsonNumber))
      .Raw("counts", JsonArrayOf(federation.quorum_seconds_counts,
                                 [](std::int64_t count) { return std::to_string(count); }))
      .Number("sum", federation.quorum_seconds_sum)
      .Build();
}

std::string ViewJson(const FederationInfo& federation) {
  return JsonObject()
      .Text("member", federation.member.ToString())
      .Raw("address", TextOrNull(federation.address))
      .Text("state", StateOf(federation))
      .Int("needed", federation.needed)
      .Int("voters", federation.voters)
      .Int("reachable", federation.reachable)
      .Bool("insecure", federation.insecure)
      .Text("replication", TransportOf(federation))
      .Bool("learner", federation.learner)
      .Raw("peers", JsonArrayOf(federation.peers, PeerJson))
      .Int("waiting_writes", federation.waiting_writes)
      .Int("stragglers_in_flight", federation.stragglers_in_flight)
      .Int("window_commits", federation.window_commits)
      .Int("window_bytes", federation.window_bytes)
      .Int("parked_bytes", federation.parked_bytes)
      .Int("committed", federation.committed)
      .Int("pending", federation.pending)
      .Int("stragglers_finished", federation.stragglers_finished)
      .Int("stragglers_failed", federation.stragglers_failed)
      .Int("calls_cancelled", federation.calls_cancelled)
      .Int("divergences", federation.divergences)
      .Int("forks", federation.forks)
      .Raw("write_quorum_seconds", QuorumSecondsJson(federation))
      .Build();
}

}  // namespace

std::string_view StateOf(const FederationInfo& federation) {
  if (federation.learner) return "learner";
  return federation.reachable >= federation.needed ? "ready" : "below_quorum";
}

std::string_view TransportOf(const FederationInfo& federation) {
  return federation.plaintext ? kPlaintext : "tls";
}

std::string StreamText(std::uint64_t stream) { return absl::StrFormat("%016x", stream); }

std::string FederationJson(const StoreInfo& info, const absl::Status& data) {
  JsonObject body;
  body.Raw("member", IdOrNull(info.member));
  if (data.ok()) {
    body.Text("stream", StreamText(info.stream)).Raw("vector", VectorJson(info.vector));
  } else {
    body.Raw("stream", "null").Raw("vector", "null");
  }
  body.Raw("fenced", TextOrNull(info.fenced))
      .Raw("federation", info.federation ? ViewJson(*info.federation) : "null");
  if (!data.ok()) body.Text("error", ToStd(data.message()));
  return body.Build();
}

}  // namespace aimem::wire
