// A federation of three processes: replicated puts over HTTP beside etcd's, one client beside a
// local commit and a call between members, the first put after idling.
#include <algorithm>
#include <deque>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "aimem/backends/sqlite.h"
#include "bench/heartbeat.h"
#include "bench/members.h"
#include "bench/process_usage.h"
#include "bench/rivals/etcd.h"
#include "bench/sections.h"

namespace aimem::bench {
namespace {

using Puts = std::vector<PutMaker::Put>;

/// Both systems, at one number of clients.
struct Duel {
  int clients = 0;
  std::int64_t calls = 0;
  std::vector<Run> ours;
  std::vector<Run> etcd;
  double ours_client_cpu_s = 0;
  double etcd_client_cpu_s = 0;
};

std::vector<std::string> Bodies(const Puts& puts) {
  std::vector<std::string> bodies;
  bodies.reserve(puts.size());
  for (const PutMaker::Put& put : puts) bodies.push_back(PutMaker::ToBody(put));
  return bodies;
}

Run MeasureEtcd(const EtcdCluster& etcd, int clients, const Puts& puts, double* client_cpu_s) {
  std::vector<EtcdClient> connections;
  for (int i = 0; i < clients; ++i) connections.emplace_back(etcd.leader_port());
  return ChargeTo(etcd.processes(), client_cpu_s, [&] {
    return MeasureClients(
        clients, static_cast<std::int64_t>(puts.size()), [&](int client, std::int64_t number) {
          const auto& put = puts[static_cast<std::size_t>(number)];
          connections[static_cast<std::size_t>(client)].Put(put.title, put.content);
        });
  });
}

/// What a put of one client is made of, each alone, and the put.
struct OneClient {
  std::vector<Run> local;       ///< Write in this process.
  std::vector<Run> one_server;  ///< POST to a server without peers.
  std::vector<Run> heartbeat;
  std::vector<Run> ours;
  std::vector<Run> etcd;
};

class FederationBench {
 public:
  explicit FederationBench(const Settings& settings)
      : settings_(settings),
        folder_(settings.directory),
        certificates_(MakeCertificates(folder_.File("tls"))),
        members_(folder_.File("members"), certificates_),
        etcd_(folder_.File("etcd"), certificates_, MemberNames()) {}

  Section Measure() {
    section_.name = "federation";
    MeasureRates();
    MeasureOneClient();
    MeasureAfterIdling();
    section_.notes.push_back(absl::StrFormat(
        "fsync on, mTLS between members, clients in plaintext on loopback; etcd's clients ask its "
        "leader over gRPC, ours any member over HTTP; %d bytes of content, a quarter of the titles "
        "six ordinary words, the others one",
        PutMaker::kContentBytes));
    return std::move(section_);
  }

 private:
  Puts Next(std::int64_t count) {
    next_ += count;
    return maker_.Puts(next_ - count, count);
  }

  void MeasureRates() {
    std::vector<Duel> duels = {
        {.clients = 8, .calls = settings_.Pick<std::int64_t>(6'000, 1'000)},
        {.clients = 32, .calls = settings_.Pick<std::int64_t>(16'000, 3'000)}};
    const int rounds = settings_.Pick(5, 2);
    double equal_s = 0;
    // The first round warms up: caches, files of the write-ahead log.
    for (int round = 0; round <= rounds; ++round) {
      for (Duel& duel : duels) {
        const Puts puts = Next(duel.calls);
        double ours_cpu_s = 0;
        double etcd_cpu_s = 0;
        Run ours = MeasurePosts(members_, duel.clients, Bodies(puts), &ours_cpu_s);
        equal_s = std::max(equal_s, members_.AwaitEqual());
        Run etcd = MeasureEtcd(etcd_, duel.clients, puts, &etcd_cpu_s);
        if (round == 0) continue;
        duel.ours.push_back(std::move(ours));
        duel.etcd.push_back(std::move(etcd));
        duel.ours_client_cpu_s += ours_cpu_s;
        duel.etcd_client_cpu_s += etcd_cpu_s;
      }
    }
    for (const Duel& duel : duels) Report(duel, rounds);
    members_.MustHaveTheSameRows();
    section_.figures.push_back(
        {"all members equal after the last put, slowest round", equal_s, "s", Goal::AtMost(1)});
    section_.notes.push_back(
        absl::StrFormat("%d rounds of %d and %d puts of each; CPU and bytes are the servers', of "
                        "all members together",
                        rounds, duels[0].calls, duels[1].calls));
  }

  void Report(const Duel& duel, int rounds) {
    section_.systems.push_back(
        Summarize(absl::StrFormat("aimem, W = 2 of 3, %d clients", duel.clients), duel.ours));
    section_.systems.push_back(
        Summarize(absl::StrFormat("etcd, 3 members, %d clients", duel.clients), duel.etcd));
    section_.figures.push_back({absl::StrFormat("puts/s of %d clients / etcd", duel.clients),
                                MedianRatio(duel.ours, duel.etcd, RateOf), "x",
                                Goal::AtLeast(1.5)});
    section_.figures.push_back({absl::StrFormat("p99 of %d clients / etcd", duel.clients),
                                MedianRatio(duel.ours, duel.etcd, P99Of), "x", Goal::AtMost(1)});
    const double puts = static_cast<double>(duel.calls) * rounds;
    section_.notes.push_back(absl::StrFormat(
        "%d clients: the client program itself took %.0f us of CPU a put of ours, %.0f of etcd's",
        duel.clients, duel.ours_client_cpu_s * 1e6 / puts, duel.etcd_client_cpu_s * 1e6 / puts));
  }

  void MeasureOneClient() {
    const std::int64_t calls = settings_.Pick<std::int64_t>(1'500, 300);
    const int rounds = settings_.Pick(5, 2);
    const std::unique_ptr<Store> store = Must(OpenSqliteStore(folder_.File("alone.db")));
    const Members alone(folder_.File("alone"), certificates_, {.count = 1});
    Heartbeat heartbeat(alone.ReplicationAddress(0), certificates_, kBenchName);
    OneClient one;
    for (int round = 0; round <= rounds; ++round) {
      const Puts puts = Next(calls);
      const std::vector<std::string> bodies = Bodies(puts);
      OneClient now;
      now.local.push_back(MeasureLocal(*store, puts));
      now.one_server.push_back(MeasurePosts(alone, 1, bodies, nullptr));
      now.heartbeat.push_back(ChargeTo(alone.processes(), nullptr, [&] {
        return MeasureCalls(1, calls, [&](std::int64_t) { heartbeat.Beat(); });
      }));
      now.ours.push_back(MeasurePosts(members_, 1, bodies, nullptr));
      now.etcd.push_back(MeasureEtcd(etcd_, 1, puts, nullptr));
      if (round == 0) continue;
      const auto keep = [](std::vector<Run>& all, std::vector<Run>& runs) {
        all.push_back(std::move(runs.front()));
      };
      keep(one.local, now.local);
      keep(one.one_server, now.one_server);
      keep(one.heartbeat, now.heartbeat);
      keep(one.ours, now.ours);
      keep(one.etcd, now.etcd);
    }
    Must(store->Close());
    if (heartbeat.refusal() != 0) {
      section_.notes.push_back(
          absl::StrFormat("heartbeats were answered with refusal %d", heartbeat.refusal()));
    }
    Report(one);
  }

  static Run MeasureLocal(Store& store, const Puts& puts) {
    std::vector<WriteBatch> batches(puts.size());
    for (std::size_t i = 0; i < puts.size(); ++i) {
      PutMemory memory;
      memory.namespace_ = "project/bench";
      memory.title = puts[i].title;
      memory.content = puts[i].content;
      memory.tier = Tier::kLong;
      batches[i].items.emplace_back(std::move(memory));
    }
    return MeasureCalls(1, static_cast<std::int64_t>(puts.size()), [&](std::int64_t i) {
      MustWrite(store, std::move(batches[static_cast<std::size_t>(i)]));
    });
  }

  void Report(const OneClient& one) {
    section_.systems.push_back(Summarize("one client: Write in process", one.local));
    section_.systems.push_back(Summarize("one client: POST to a server alone", one.one_server));
    section_.systems.push_back(Summarize("one client: call between members, mTLS", one.heartbeat));
    section_.systems.push_back(Summarize("one client: aimem, W = 2 of 3", one.ours));
    section_.systems.push_back(Summarize("one client: etcd, 3 members", one.etcd));
    const auto ratio = [&](const std::vector<Run>& local) {
      std::vector<double> ratios;
      for (std::size_t i = 0; i < local.size(); ++i) {
        ratios.push_back(P50Of(one.ours[i]) / (P50Of(local[i]) + P50Of(one.heartbeat[i])));
      }
      return Median(std::move(ratios));
    };
    section_.figures.push_back({"p50 of one client / (Write in process + a call to a member)",
                                ratio(one.local), "x", Goal::AtMost(2)});
    section_.figures.push_back({"p50 of one client / (POST to a server alone + a call to a member)",
                                ratio(one.one_server), "x", Goal::AtMost(2)});
    section_.figures.push_back(
        {"p50 of one client / etcd", MedianRatio(one.ours, one.etcd, P50Of), "x", {}});
  }

  /// Several federations at once, for each put is the first in its own only after a second.
  void MeasureAfterIdling() {
    const int federations = settings_.Pick(4, 2);
    const int samples = settings_.Pick(30, 5);
    constexpr absl::Duration kIdle = absl::Milliseconds(1'050);
    std::deque<Members> all;
    for (int i = 0; i < federations; ++i) {
      all.emplace_back(folder_.File(absl::StrFormat("idle-%d", i)), certificates_);
    }
    const std::vector<std::string> bodies = Bodies(Next(federations * samples));
    std::vector<std::vector<double>> latencies(static_cast<std::size_t>(federations));
    std::vector<clients::HttpClient> clients;
    for (const Members& members : all) clients.push_back(members.Client(0));
    std::vector<absl::Status> failures(static_cast<std::size_t>(federations));
    std::vector<std::thread> threads;
    for (std::size_t mine = 0; mine < clients.size(); ++mine) {
      threads.emplace_back([&, mine] {
        try {
          absl::SleepFor(kIdle * static_cast<double>(mine) / federations);
          for (int i = 0; i < samples; ++i) {
            absl::SleepFor(kIdle);
            const double begin = MonotonicSeconds();
            MustPost(
                clients[mine],
                bodies[mine * static_cast<std::size_t>(samples) + static_cast<std::size_t>(i)]);
            latencies[mine].push_back((MonotonicSeconds() - begin) * 1e6);
          }
        } catch (const std::exception& error) {
          failures[mine] = absl::UnavailableError(error.what());
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& failure : failures) Must(failure);
    std::vector<double> together;
    for (const auto& part : latencies) together.insert(together.end(), part.begin(), part.end());
    section_.figures.push_back(
        {"first put after an idle second, p50", Percentile(together, 0.5) * 1e-3, "ms", {}});
    section_.figures.push_back({"first put after an idle second, p99",
                                Percentile(together, 0.99) * 1e-3, "ms", Goal::AtMost(5)});
    section_.notes.push_back(
        absl::StrFormat("idling: %d samples each of %d federations, the slowest took %.1f ms",
                        samples, federations, Percentile(together, 1) * 1e-3));
  }

  Settings settings_;
  Folder folder_;
  std::string certificates_;
  Members members_;
  EtcdCluster etcd_;
  PutMaker maker_;
  std::int64_t next_ = 0;
  Section section_;
};

}  // namespace

Section MeasureFederation(const Settings& settings) { return FederationBench(settings).Measure(); }

}  // namespace aimem::bench
