#include "campaign/clients.h"

#include <cstddef>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "clients/http/http_client.h"
#include "lib/base/status.h"

namespace aimem::campaign {

struct Clients::Client {
  int number;
  std::string name;
  JournalWriter journal;
  std::atomic<std::int64_t> numbers{0};
};

struct Clients::Worker {
  LogPlan plan;
  std::vector<clients::HttpClient> connections;  // one a member
  std::unique_ptr<Lane> lane;
  std::thread thread;
};

Clients::Clients(const ClientsOptions& options)
    : options_(options), in_flight_(options.ports.size()) {}

absl::StatusOr<std::unique_ptr<Clients>> Clients::Make(const ClientsOptions& options) {
  std::unique_ptr<Clients> clients(new Clients(options));
  for (int number = 1; number <= options.clients; ++number) {
    AIMEM_RETURN_IF_ERROR(clients->MakeClient(number));
  }
  return clients;
}

std::string Clients::JournalPath(int number) const {
  return absl::StrFormat("%s/client-%d.journal", options_.folder, number);
}

absl::Status Clients::MakeClient(int number) {
  AIMEM_ASSIGN_OR_RETURN(JournalWriter journal,
                         JournalWriter::Open(JournalPath(number), /*sync=*/true));
  clients_.push_back(std::unique_ptr<Client>(
      new Client{number, absl::StrFormat("client-%d", number), std::move(journal)}));
  for (std::size_t home = 0; home < options_.ports.size(); ++home) {
    AddWorker(*clients_.back(), static_cast<int>(home));
  }
  return absl::OkStatus();
}

void Clients::AddWorker(Client& client, int home) {
  const int members = static_cast<int>(options_.ports.size());
  workers_.push_back(std::unique_ptr<Worker>(
      new Worker{LogPlan(client.number, home, members), {}, nullptr, std::thread()}));
  Worker& worker = *workers_.back();
  for (const int port : options_.ports) worker.connections.emplace_back("127.0.0.1", port);
  LaneOptions lane;
  lane.client = client.name;
  lane.home = home;
  lane.members = members;
  lane.journal = &client.journal;
  lane.numbers = &client.numbers;
  lane.cancelled = [this] {
    return abandoned_ || (options_.cancel != nullptr && *options_.cancel);
  };
  lane.send = [this, &worker](int member, const std::string& method, const std::string& target,
                              const std::string& body, const clients::HttpHeaders& headers) {
    const auto at = static_cast<std::size_t>(member);
    ++in_flight_[at];
    auto answer = worker.connections[at].Send(method, target, body, headers, options_.timeout);
    --in_flight_[at];
    return answer;
  };
  worker.lane = std::make_unique<Lane>(std::move(lane));
}

Clients::~Clients() {
  abandoned_ = true;
  (void)Stop();
}

void Clients::Deliver(Worker& worker, const PlannedWrite& write) {
  absl::Status status = worker.lane->Write(write);
  if (status.ok()) {
    ++acknowledged_;
    return;
  }
  MutexLock lock(mutex_);
  status_.Update(status);
}

bool Clients::healthy() const {
  MutexLock lock(mutex_);
  return status_.ok();
}

absl::Status Clients::Create(const std::vector<PlannedWrite>& memories, int entries) {
  const std::size_t clients = clients_.size();
  const std::size_t members = options_.ports.size();
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    // Memory m belongs to client m % clients, and there to the members in turn.
    std::vector<PlannedWrite> mine;
    for (std::size_t m = i / members; m < memories.size(); m += clients) {
      if (m / clients % members == i % members) mine.push_back(memories[m]);
    }
    const int all = static_cast<int>(members);
    const int count = (entries + all - 1 - static_cast<int>(i % members)) / all;
    Worker& worker = *workers_[i];
    worker.thread = std::thread([this, &worker, mine = std::move(mine), count] {
      for (const PlannedWrite& write : mine) {
        if (healthy()) Deliver(worker, write);
      }
      for (int n = 0; n < count && healthy(); ++n) Deliver(worker, worker.plan.Create());
    });
  }
  return Join();
}

void Clients::Start(absl::Duration pause) {
  {
    MutexLock lock(mutex_);
    stop_ = false;
  }
  for (const std::unique_ptr<Worker>& worker : workers_) {
    worker->thread =
        std::thread([this, &worker = *worker, pause] { WriteUntilStopped(worker, pause); });
  }
}

void Clients::WriteUntilStopped(Worker& worker, absl::Duration pause) {
  while (true) {
    Deliver(worker, worker.plan.Next());
    const absl::Time next = absl::Now() + pause;
    MutexLock lock(mutex_);
    while (!stop_ && status_.ok() && absl::Now() < next) {
      stop_changed_.WaitFor(mutex_, next - absl::Now());
    }
    if (stop_ || !status_.ok()) return;
  }
}

absl::Status Clients::Stop() {
  {
    MutexLock lock(mutex_);
    stop_ = true;
    stop_changed_.NotifyAll();
  }
  return Join();
}

absl::Status Clients::Join() {
  for (const std::unique_ptr<Worker>& worker : workers_) {
    if (worker->thread.joinable()) worker->thread.join();
  }
  MutexLock lock(mutex_);
  return status_;
}

int Clients::InFlight(int member) const { return in_flight_[static_cast<std::size_t>(member)]; }

LaneCounters Clients::Counters() const {
  LaneCounters sum;
  for (const std::unique_ptr<Worker>& worker : workers_) {
    const LaneCounters& counters = worker->lane->counters();
    sum.broken += counters.broken;
    sum.not_met += counters.not_met;
    sum.not_there_yet += counters.not_there_yet;
    sum.busy += counters.busy;
  }
  return sum;
}

absl::StatusOr<std::vector<Journal>> Clients::ReadJournals() const {
  std::vector<Journal> journals;
  for (const std::unique_ptr<Client>& client : clients_) {
    AIMEM_ASSIGN_OR_RETURN(Journal journal, ReadJournal(JournalPath(client->number)));
    journals.push_back(std::move(journal));
  }
  return journals;
}

}  // namespace aimem::campaign
