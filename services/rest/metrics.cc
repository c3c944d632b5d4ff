// The only file of this room that knows the Prometheus library.
#include "services/rest/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>
#include <map>
#include <sstream>
#include <utility>
#include <vector>

namespace aimem::rest {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

constexpr std::array<PeerState, 5> kPeerStates = {PeerState::kAway, PeerState::kOnline,
                                                  PeerState::kLagging, PeerState::kFetching,
                                                  PeerState::kDenied};

// Collects families in the order in which they are added.
class Page {
 public:
  void Begin(const char* name, const char* help, MetricType type) {
    MetricFamily family;
    family.name = name;
    family.help = help;
    family.type = type;
    families_.push_back(std::move(family));
  }
  void Add(Labels labels, double value) {
    ClientMetric metric;
    metric.label = std::move(labels);
    if (families_.back().type == MetricType::Counter) metric.counter.value = value;
    if (families_.back().type == MetricType::Gauge) metric.gauge.value = value;
    families_.back().metric.push_back(std::move(metric));
  }
  void Add(Labels labels, std::int64_t value) { Add(std::move(labels), double(value)); }

  void Gauge(const char* name, const char* help, double value) {
    Begin(name, help, MetricType::Gauge);
    Add({}, value);
  }
  void Counter(const char* name, const char* help, std::int64_t value) {
    Begin(name, help, MetricType::Counter);
    Add({}, value);
  }
  // `counts` per bucket, the last one without bound.
  void Histogram(const char* name, const char* help, Labels labels, std::vector<double> bounds,
                 const std::vector<std::int64_t>& counts, double sum) {
    Begin(name, help, MetricType::Histogram);
    bounds.push_back(std::numeric_limits<double>::infinity());
    ClientMetric metric;
    metric.label = std::move(labels);
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < std::min(bounds.size(), counts.size()); ++i) {
      total += static_cast<std::uint64_t>(counts[i]);
      ClientMetric::Bucket bucket;
      bucket.cumulative_count = total;
      bucket.upper_bound = bounds[i];
      metric.histogram.bucket.push_back(bucket);
    }
    metric.histogram.sample_count = total;
    metric.histogram.sample_sum = sum;
    families_.back().metric.push_back(std::move(metric));
  }

  [[nodiscard]] std::string Text() {
    std::erase_if(families_, [](const MetricFamily& family) { return family.metric.empty(); });
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, families_);
    return out.str();
  }

 private:
  std::vector<MetricFamily> families_;
};

std::string PeerLabel(const PeerInfo& peer) {
  return peer.member == Id128{} ? peer.address : peer.member.ToString();
}

template <typename Value>
void AddPerPeer(Page& page, const FederationInfo& federation, const char* name, const char* help,
                MetricType type, Value value) {
  page.Begin(name, help, type);
  for (const PeerInfo& peer : federation.peers) {
    page.Add({{"peer", PeerLabel(peer)}}, value(peer));
  }
}

void AddCounts(Page& page, const FederationInfo& federation, const char* name, const char* help,
               const char* label, std::map<std::string, std::int64_t> PeerInfo::*counts) {
  page.Begin(name, help, MetricType::Counter);
  for (const PeerInfo& peer : federation.peers) {
    for (const auto& [value, count] : peer.*counts) {
      page.Add({{"peer", PeerLabel(peer)}, {label, value}}, count);
    }
  }
}

void AddPeers(Page& page, const FederationInfo& federation) {
  page.Begin("aimem_replication_peer_state", "1 for the state that a peer is in",
             MetricType::Gauge);
  for (const PeerInfo& peer : federation.peers) {
    for (const PeerState state : kPeerStates) {
      page.Add({{"peer", PeerLabel(peer)}, {"state", std::string(PeerStateName(state))}},
               std::int64_t{state == peer.state});
    }
  }
  AddPerPeer(page, federation, "aimem_replication_commits_behind", "Commits that a peer lacks",
             MetricType::Gauge, [](const PeerInfo& peer) { return peer.commits_behind; });
  AddPerPeer(page, federation, "aimem_replication_oldest_unacked_seconds",
             "Age of the oldest own commit that a peer has not acknowledged", MetricType::Gauge,
             [](const PeerInfo& peer) { return absl::ToDoubleSeconds(peer.oldest_unacked); });
  AddPerPeer(page, federation, "aimem_replication_clock_offset_seconds",
             "Wall clock of a peer minus ours", MetricType::Gauge,
             [](const PeerInfo& peer) { return absl::ToDoubleSeconds(peer.clock_offset); });
  AddPerPeer(page, federation, "aimem_replication_in_flight_calls", "Calls under way to a peer",
             MetricType::Gauge, [](const PeerInfo& peer) { return peer.calls_in_flight; });
  AddPerPeer(page, federation, "aimem_replication_in_flight_bytes", "Bytes under way to a peer",
             MetricType::Gauge, [](const PeerInfo& peer) { return peer.bytes_in_flight; });
  AddPerPeer(page, federation, "aimem_replication_streams_apart",
             "Streams that stay in two histories, here and at a peer", MetricType::Gauge,
             [](const PeerInfo& peer) { return peer.streams_apart; });
  AddPerPeer(page, federation, "aimem_replication_commits_sent_total", "Commits sent to a peer",
             MetricType::Counter, [](const PeerInfo& peer) { return peer.commits_sent; });
  AddCounts(page, federation, "aimem_replication_acks_total", "Calls to a peer by how they ended",
            "status", &PeerInfo::calls);
  AddCounts(page, federation, "aimem_replication_rejects_total", "Refusals in replies of a peer",
            "code", &PeerInfo::rejects);
  AddCounts(page, federation, "aimem_write_pending_total",
            "Writes answered as pending, by the reason given for a peer", "reason",
            &PeerInfo::pending);
}

void AddIndex(Page& page, const IndexInfo& index) {
  page.Gauge("aimem_index_documents", "Memories in the index", double(index.documents));
  page.Gauge("aimem_index_segments", "Parts that each search looks into", double(index.segments));
  page.Gauge("aimem_index_bytes", "What the index takes in memory", double(index.bytes));
  page.Gauge("aimem_index_commits_behind", "Commits that the next search reads first",
             double(index.commits_behind));
}

void AddFederation(Page& page, const FederationInfo& federation) {
  page.Gauge("aimem_federation_needed", "W: members that must hold a write", federation.needed);
  page.Gauge("aimem_federation_voters", "N: members that count", federation.voters);
  page.Gauge("aimem_federation_reachable", "Voters heard lately, this one included",
             federation.reachable);
  page.Gauge("aimem_federation_learner", "1 while this member is being refilled",
             federation.learner ? 1 : 0);
  AddPeers(page, federation);
  page.Gauge("aimem_write_waiting", "Callers that wait for their quorum",
             double(federation.waiting_writes));
  page.Gauge("aimem_replication_stragglers_in_flight",
             "Calls with commits whose callers were answered",
             double(federation.stragglers_in_flight));
  page.Begin("aimem_replication_stragglers_total",
             "Calls that went on after their callers' answers, by how they ended",
             MetricType::Counter);
  page.Add({{"result", "finished"}}, federation.stragglers_finished);
  page.Add({{"result", "failed"}}, federation.stragglers_failed);
  page.Add({{"result", "cancelled"}}, federation.calls_cancelled);
  page.Gauge("aimem_replication_window_commits", "Recent commits kept in memory for peers",
             double(federation.window_commits));
  page.Gauge("aimem_replication_window_bytes", "Their bytes", double(federation.window_bytes));
  page.Gauge("aimem_replication_parked_bytes", "Received out of order, waiting for what precedes",
             double(federation.parked_bytes));
  page.Counter("aimem_replication_divergence_total", "Equal vectors with different roots",
               federation.divergences);
  page.Counter("aimem_replication_forks_total", "Sequence numbers seen with two contents",
               federation.forks);
  if (!federation.quorum_seconds_counts.empty()) {
    page.Histogram("aimem_write_quorum_seconds", "From a write's durability here to its quorum", {},
                   federation.quorum_seconds_bounds, federation.quorum_seconds_counts,
                   federation.quorum_seconds_sum);
  }
}

}  // namespace

void Metrics::CountWrite(WriteOutcome outcome) {
  const auto index = static_cast<std::size_t>(outcome);
  if (index < outcomes_.size()) outcomes_[index].fetch_add(1, std::memory_order_relaxed);
}

void Metrics::CountStore(Tier tier, bool ok) {
  const auto index = static_cast<std::size_t>(tier);
  if (index < stores_.size()) stores_[index][ok ? 1 : 0].fetch_add(1, std::memory_order_relaxed);
}

void Metrics::CountRecall(absl::Duration taken) {
  const double seconds = absl::ToDoubleSeconds(taken);
  std::size_t bucket = 0;
  while (bucket < kRecallBounds.size() && seconds > kRecallBounds[bucket]) ++bucket;
  recalls_[bucket].fetch_add(1, std::memory_order_relaxed);
  recall_nanoseconds_.fetch_add(absl::ToInt64Nanoseconds(taken), std::memory_order_relaxed);
}

void Metrics::CountSimilar(bool known, bool found) {
  if (!known) similar_unknown_.fetch_add(1, std::memory_order_relaxed);
  if (found) similar_found_.fetch_add(1, std::memory_order_relaxed);
}

bool Metrics::ClaimCounts(absl::Duration now, absl::Duration age) {
  MutexLock lock(mutex_);
  if (counting_ || (counted_at_ && now - *counted_at_ < age)) return false;
  counting_ = true;
  return true;
}

void Metrics::SetCounts(absl::Duration now, const std::optional<StoreCounts>& counts) {
  MutexLock lock(mutex_);
  counting_ = false;
  counted_at_ = now;
  if (!counts) return;
  memories_ = counts->live;
  unreadable_ = counts->unreadable;
}

std::string Metrics::Page(const StoreInfo& info) const {
  rest::Page page;
  page.Begin("ai_memory_store_total", "Store requests", MetricType::Counter);
  for (const Tier tier : {Tier::kShort, Tier::kMid, Tier::kLong}) {
    for (const bool ok : {true, false}) {
      const auto& count = stores_[static_cast<std::size_t>(tier)][ok ? 1 : 0];
      page.Add({{"tier", std::string(TierName(tier))}, {"result", ok ? "ok" : "err"}},
               count.load(std::memory_order_relaxed));
    }
  }
  std::vector<std::int64_t> counts;
  std::int64_t recalls = 0;
  for (const auto& count : recalls_) {
    counts.push_back(count.load(std::memory_order_relaxed));
    recalls += counts.back();
  }
  page.Begin("ai_memory_recall_total", "Recall requests", MetricType::Counter);
  page.Add({{"mode", "keyword"}}, recalls);
  page.Histogram("ai_memory_recall_latency_seconds", "Time that a recall took",
                 {{"mode", "keyword"}}, {kRecallBounds.begin(), kRecallBounds.end()}, counts,
                 double(recall_nanoseconds_.load(std::memory_order_relaxed)) / 1e9);
  page.Counter("ai_memory_contradiction_detected_total",
               "Creates for which memories were found that may contradict them",
               similar_found_.load(std::memory_order_relaxed));
  page.Counter("aimem_similar_unknown_total",
               "Creates for which that was not known in time, or could not be found out",
               similar_unknown_.load(std::memory_order_relaxed));
  {
    MutexLock lock(mutex_);
    if (memories_) {
      page.Gauge("ai_memory_memories", "Live memories, expired ones included; counted now and then",
                 double(*memories_));
    }
    if (unreadable_) {
      page.Gauge("aimem_store_unreadable_rows",
                 "Rows that cannot be read and are left out, counted now and then: run doctor",
                 double(*unreadable_));
    }
  }
  page.Begin("aimem_write_outcomes_total", "Writes over HTTP by outcome", MetricType::Counter);
  for (const WriteOutcome outcome : {WriteOutcome::kCommitted, WriteOutcome::kPending,
                                     WriteOutcome::kRejected, WriteOutcome::kUnknown}) {
    page.Add({{"outcome", std::string(WriteOutcomeName(outcome))}},
             outcomes_[static_cast<std::size_t>(outcome)].load(std::memory_order_relaxed));
  }
  page.Gauge("aimem_store_size_bytes", "Size of the file or database", double(info.size_bytes));
  page.Gauge("aimem_store_queued_items", "Changes that wait to be written",
             double(info.queued_items));
  page.Gauge("aimem_store_queued_bytes", "Their bytes", double(info.queued_bytes));
  page.Gauge("aimem_store_fenced", "1 if the store takes no writes", info.fenced.empty() ? 0 : 1);
  if (info.index) AddIndex(page, *info.index);
  if (info.federation) AddFederation(page, *info.federation);
  return page.Text();
}

}  // namespace aimem::rest
