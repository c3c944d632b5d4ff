// Routes that show how this server is: health, federation, operations, metrics.
#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/base/trouble.h"
#include "lib/transfer/shape_json.h"
#include "services/http/answers.h"
#include "services/http/api.h"
#include "services/http/query.h"

namespace aimem::http {
namespace {

using transfer::JsonArray;
using transfer::JsonObject;

constexpr absl::Duration kWaitMax = absl::Seconds(30);
// Nobody may sit on a reader thread for so long: the question is asked again and again.
constexpr absl::Duration kAskAgain = absl::Milliseconds(20);
constexpr absl::Duration kCountAgain = absl::Seconds(15);
constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";

std::string IdOrNull(const Id128& id) {
  return id == Id128{} ? "null" : "\"" + id.ToString() + "\"";
}

std::string TextOrNull(const std::string& text) {
  if (text.empty()) return "null";
  const std::string texts = transfer::JsonStrings(std::vector<std::string>{text});
  return texts.substr(1, texts.size() - 2);
}

std::string StreamText(std::uint64_t stream) { return absl::StrFormat("%016x", stream); }

std::string VectorJson(const VersionVector& vector) {
  JsonObject object;
  for (const auto& [stream, seq] : vector) object.Raw(StreamText(stream), std::to_string(seq));
  return object.Build();
}

// A learner neither counts nor serves yet; without its quorum a member still serves reads.
std::string_view StateOf(const FederationInfo& federation) {
  if (federation.learner) return "learner";
  return federation.reachable >= federation.needed ? "ready" : "below_quorum";
}

std::string_view TransportOf(const FederationInfo& federation) {
  return federation.plaintext ? "plaintext" : "tls";
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
           heard ? transfer::JsonNumber(absl::ToDoubleSeconds(peer.last_reply_age)) : "null")
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
  std::vector<std::string> bounds;
  std::vector<std::string> counts;
  for (const double bound : federation.quorum_seconds_bounds) {
    bounds.push_back(transfer::JsonNumber(bound));
  }
  for (const std::int64_t count : federation.quorum_seconds_counts) {
    counts.push_back(std::to_string(count));
  }
  return JsonObject()
      .Raw("bounds", JsonArray(bounds))
      .Raw("counts", JsonArray(counts))
      .Number("sum", federation.quorum_seconds_sum)
      .Build();
}

std::string FederationJson(const FederationInfo& federation) {
  std::vector<std::string> peers;
  for (const PeerInfo& peer : federation.peers) peers.push_back(PeerJson(peer));
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
      .Raw("peers", JsonArray(peers))
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

std::string OperationJson(const OperationInfo& info) {
  std::vector<std::string> durable;
  if (info.quorum) {
    for (const Id128& member : info.quorum->durable) durable.push_back(member.ToString());
  }
  std::vector<std::string> results;
  for (const ItemResult& item : info.items) results.push_back(transfer::ItemJson(item));
  return JsonObject()
      .Text("operation_id", info.operation.ToString())
      .Text("outcome", OutcomeText(info.outcome))
      .Text("stream", StreamText(info.stream))
      .Raw("seq", std::to_string(info.seq))
      .Raw("hlc", std::to_string(info.hlc))
      .Text("agent_id", info.agent_id)
      .Raw("members_durable", transfer::JsonStrings(durable))
      .Raw("peers", PeersJson(info.quorum))
      .Raw("results", JsonArray(results))
      .Build();
}

}  // namespace

// One question to the store at a time, however many ask: on data that hangs it takes one reader.
struct Api::InfoQuestion {
  absl::Duration asked;
  std::vector<std::pair<std::shared_ptr<Deadlines::Waiting>, InfoAnswer>> waiting;
};

void Api::AskInfo(Call call, InfoAnswer answer) {
  const absl::Duration now = clock_.Monotonic();
  const auto late = [this, answer] {
    return (this->*answer)(absl::DeadlineExceededError("the data does not answer"));
  };
  const std::shared_ptr<Deadlines::Waiting> waiting =
      deadlines_.Add(std::move(call.respond), now + options_.health_timeout, late);
  std::shared_ptr<InfoQuestion> question;
  bool ask = false;
  bool overdue = false;
  {
    MutexLock lock(info_mutex_);
    question = info_.lock();
    ask = question == nullptr;
    if (ask) info_ = question = std::make_shared<InfoQuestion>(InfoQuestion{now, {}});
    overdue = now - question->asked >= options_.health_timeout;
    if (!overdue) question->waiting.emplace_back(waiting, answer);
  }
  if (ask) {
    threads_.Read([this, question = std::move(question)] { AnswerInfo(*question); });
  }
  if (!overdue) return;
  std::optional<Respond> respond = deadlines_.Take(*waiting);
  if (respond) std::move (*respond)(late());
}

void Api::AnswerInfo(InfoQuestion& question) {
  const absl::StatusOr<StoreInfo> info = store_.Info();
  std::vector<std::pair<std::shared_ptr<Deadlines::Waiting>, InfoAnswer>> waiting;
  {
    MutexLock lock(info_mutex_);
    info_.reset();
    waiting.swap(question.waiting);
  }
  for (const auto& [one, answer] : waiting) {
    std::optional<Respond> respond = deadlines_.Take(*one);
    if (respond) std::move (*respond)((this->*answer)(info));
  }
}

void Api::Health(Call call) { AskInfo(std::move(call), &Api::HealthOf); }

void Api::Federation(Call call) { AskInfo(std::move(call), &Api::FederationOf); }

Response Api::HealthOf(const absl::StatusOr<StoreInfo>& info) const {
  const bool ready = ready_;
  const std::size_t overdue = CountOverdue();
  std::string_view status = "ok";
  std::string reason;
  if (TroubleOf(info.status()) == Trouble::kDamaged) {
    status = "error";
    reason = "the store is fenced: " + std::string(ToStd(info.status().message()));
  } else if (!info.ok()) {
    status = "error";
    reason = absl::IsDeadlineExceeded(info.status()) ? "the data does not answer"
                                                     : "the data cannot be read";
    Log(LogLevel::kError, absl::StrFormat("http: health: %s", info.status().ToString()));
  } else if (!info->fenced.empty()) {
    status = "error";
    reason = "the store is fenced: " + info->fenced;
  } else if (overdue > 0) {
    status = "error";
    reason = absl::StrFormat("%d writes were not answered by their deadline, nor since", overdue);
  } else if (!ready || (info->federation && info->federation->learner)) {
    status = "starting";
    reason = ready ? "this member is being refilled" : "the server is starting";
  } else if (!info->unwritable.empty()) {
    reason = "only reads are served: " + info->unwritable;
  }
  JsonObject body;
  body.Text("service", "ai-memory").Text("status", status).Text("aimem_version", options_.version);
  if (!reason.empty()) body.Text("reason", reason);
  if (info.ok() && info->federation) {
    const FederationInfo& federation = *info->federation;
    body.Text("state", StateOf(federation))
        .Int("needed", federation.needed)
        .Int("voters", federation.voters)
        .Int("reachable", federation.reachable)
        .Bool("insecure", federation.insecure)
        .Text("replication", TransportOf(federation));
  }
  return JsonAnswer(status == "ok" ? 200 : 503, body.Build());
}

// What the members think of each other is known also while the data cannot be asked.
Response Api::FederationOf(const absl::StatusOr<StoreInfo>& asked) const {
  const absl::StatusOr<StoreInfo> info = asked.ok() ? asked : store_.Info({.data = false});
  if (!info.ok()) return Problem(info.status());
  JsonObject body;
  body.Raw("member", IdOrNull(info->member));
  if (asked.ok()) {
    body.Text("stream", StreamText(info->stream)).Raw("vector", VectorJson(info->vector));
  } else {
    body.Raw("stream", "null").Raw("vector", "null");
  }
  body.Raw("fenced", TextOrNull(info->fenced))
      .Raw("federation", info->federation ? FederationJson(*info->federation) : "null");
  if (!asked.ok()) body.Text("error", ToStd(asked.status().message()));
  return JsonAnswer(200, body.Build());
}

void Api::Operation(Call call) {
  Query query(call.request.query);
  const std::int64_t wait = query.Unsigned("wait_ms").value_or(0);
  if (!query.error().empty()) return std::move(call.respond)(TextAnswer(400, query.error()));
  const std::optional<OperationId> operation = Id128::Parse(call.id);
  if (!operation) {
    return std::move(call.respond)(
        ErrorAnswer(400, absl::StrFormat("'%s' is not an operation id (UUID text)", call.id)));
  }
  const absl::Duration deadline = clock_.Monotonic() + std::min(absl::Milliseconds(wait), kWaitMax);
  AskOperation(std::make_shared<Call>(std::move(call)), *operation, deadline);
}

void Api::AskOperation(std::shared_ptr<Call> call, OperationId operation, absl::Duration deadline) {
  // Asked first: what is not overdue any more is in the store, or was refused.
  const bool overdue = IsOverdue(operation);
  absl::StatusOr<OperationInfo> info = store_.GetOperation(operation, absl::ZeroDuration());
  const bool waits = overdue && absl::IsNotFound(info.status());
  if (waits) {
    info = OperationInfo();
    info->operation = operation;
    info->outcome = WriteOutcome::kUnknown;
  }
  if (!info.ok()) return std::move(call->respond)(Problem(info.status()));
  const bool settled = !waits && info->outcome != WriteOutcome::kPending;
  if (settled || clock_.Monotonic() >= deadline || draining_) {
    return std::move(call->respond)(JsonAnswer(200, OperationJson(*info)));
  }
  threads_.ReadLater(kAskAgain, [this, call = std::move(call), operation, deadline] {
    AskOperation(call, operation, deadline);
  });
}

void Api::NoteOverdue(OperationId operation) {
  MutexLock lock(overdue_mutex_);
  overdue_.insert(operation);
}

void Api::ForgetOverdue(OperationId operation) {
  MutexLock lock(overdue_mutex_);
  if (const auto found = overdue_.find(operation); found != overdue_.end()) overdue_.erase(found);
}

bool Api::IsOverdue(OperationId operation) const {
  MutexLock lock(overdue_mutex_);
  return overdue_.contains(operation);
}

std::size_t Api::CountOverdue() const {
  MutexLock lock(overdue_mutex_);
  return overdue_.size();
}

void Api::MetricsPage(Call call) {
  const absl::StatusOr<StoreInfo> info = store_.Info();
  if (!info.ok()) return std::move(call.respond)(Problem(info.status()));
  if (metrics_.ClaimCounts(clock_.Monotonic(), kCountAgain)) {
    threads_.Read([this] { CountRows(); });
  }
  Response response{.status = 200, .content_type = kMetricsType, .body = metrics_.Page(*info)};
  std::move(call.respond)(std::move(response));
}

void Api::CountRows() {
  const absl::StatusOr<StoreInfo> info = store_.Info({.counts = true});
  metrics_.SetCounts(clock_.Monotonic(), info.ok() ? info->counts : std::nullopt);
}

}  // namespace aimem::http
