#include "bench/members.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "aimem/open.h"
#include "aimem/replication/certificates.h"
#include "bench/measure.h"
#include "bench/process_usage.h"
#include "nlohmann/json.hpp"

namespace aimem::bench {
namespace {

constexpr absl::Duration kQuorumLimit = absl::Seconds(30);
constexpr absl::Duration kPollEvery = absl::Milliseconds(5);
constexpr char kTarget[] = "/api/v1/memories";

std::string Local(int port) { return absl::StrFormat("127.0.0.1:%d", port); }

std::string Body(const std::string& title, const std::string& content) {
  const nlohmann::json body = {
      {"title", title}, {"content", content}, {"namespace", "project/bench"}, {"tier", "long"}};
  return body.dump();
}

}  // namespace

std::string AimemProgram() {
  const std::filesystem::path program =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / "aimem";
  if (!std::filesystem::exists(program)) throw Failure("no program '" + program.string() + "'");
  return program.string();
}

const std::vector<std::string>& MemberNames() {
  static const std::vector<std::string> names = {"a", "b", "c"};
  return names;
}

std::string MakeCertificates(const std::string& directory) {
  const std::string folder = directory + "/certificates";
  std::filesystem::create_directories(folder);
  Must(InitCertificateAuthority(folder));
  std::vector<std::string> names = MemberNames();
  names.emplace_back(kBenchName);
  for (const std::string& name : names) {
    CertificateRequest request;
    request.name = name;
    Must(IssueCertificate(folder, request));
  }
  return folder;
}

Members::Members(const std::string& directory, const std::string& certificates,
                 const Options& options)
    : directory_(directory), certificates_(certificates) {
  std::filesystem::create_directories(directory);
  const auto count = static_cast<std::size_t>(options.count);
  const std::string program = AimemProgram();
  ports_ = Must(support::ReservePorts(options.count));
  for (std::size_t i = 0; i < count; ++i) {
    support::ServerOptions server;
    server.program = program;
    server.store = absl::StrFormat("%s/%s.db", directory, MemberNames()[i]);
    server.replication_port = ports_[i].number();
    server.certificates = certificates;
    server.name = MemberNames()[i];
    server.log = absl::StrFormat("%s/%s.log", directory, MemberNames()[i]);
    // A put is compared with one of a rival, which looks for nothing either (the section `put`
    // does).
    server.more = {"--similar-timeout-ms", "0"};
    for (std::size_t j = 0; j < count; ++j) {
      if (j == i) continue;
      const bool far = options.last_one_way_ms > 0 && std::max(i, j) + 1 == count;
      int port = ports_[j].number();
      if (far) {
        proxies_.push_back(std::make_unique<DelayProxy>(port, options.last_one_way_ms));
        port = proxies_.back()->port();
      }
      server.peers.push_back(Local(port));
    }
    options_.push_back(std::move(server));
  }
  servers_.resize(count);
  for (std::size_t i = 0; i < count; ++i) Start(i);
  readers_.resize(count);
  AwaitQuorum();
}

Members::~Members() {
  for (std::unique_ptr<Store>& reader : readers_) {
    if (reader != nullptr) reader->Close().IgnoreError();
  }
}

void Members::AwaitQuorum() {
  clients::HttpClient client = Client(0);
  const absl::Time end = absl::Now() + kQuorumLimit;
  for (int i = 0;; ++i) {
    const auto answer = client.Post(kTarget, Body(absl::StrFormat("first %d", i), "x"));
    if (answer.ok() && answer->status == 201) return;
    if (absl::Now() > end) {
      throw Failure("no quorum: " + (answer.ok() ? answer->body : answer.status().ToString()));
    }
    absl::SleepFor(absl::Milliseconds(50));
  }
}

clients::HttpClient Members::Client(std::size_t member) const {
  return {"127.0.0.1", servers_.at(member)->http_port()};
}

std::string Members::ReplicationAddress(std::size_t member) const {
  return Local(servers_.at(member)->replication_port());
}

std::vector<pid_t> Members::processes() const {
  std::vector<pid_t> processes;
  for (const auto& server : servers_) {
    if (server) processes.push_back(server->pid());
  }
  return processes;
}

pid_t Members::process(std::size_t member) const { return servers_.at(member)->pid(); }

void Members::Stop(std::size_t member) {
  Must(servers_.at(member)->Terminate().status());
  servers_[member].reset();
}

void Members::Start(std::size_t member) {
  servers_.at(member).emplace(Must(support::ServerProcess::Start(options_.at(member))));
}

void Members::Freeze(std::size_t member) { servers_.at(member)->Freeze(); }
void Members::Release(std::size_t member) { servers_.at(member)->Release(); }

Store& Members::Reader(std::size_t member) {
  std::unique_ptr<Store>& reader = readers_.at(member);
  if (reader == nullptr) {
    OpenOptions options;
    options.create = false;
    options.read_only = true;
    reader = Must(OpenStore(options_.at(member).store, options));
  }
  return *reader;
}

double Members::AwaitEqual(absl::Duration limit) {
  const double begin = MonotonicSeconds();
  while (true) {
    std::vector<VersionVector> vectors;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      vectors.push_back(Must(Reader(i).Info()).vector);
    }
    const double passed = MonotonicSeconds() - begin;
    if (std::adjacent_find(vectors.begin(), vectors.end(), std::not_equal_to<>()) ==
        vectors.end()) {
      return passed;
    }
    if (passed > absl::ToDoubleSeconds(limit)) {
      std::string all;
      for (const VersionVector& vector : vectors) all += ToString(vector) + "; ";
      throw Failure("the members did not become equal: " + all);
    }
    absl::SleepFor(kPollEvery);
  }
}

void Members::MustHaveTheSameRows() {
  std::vector<DigestResult::Sum> sums;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    sums.push_back(Must(Reader(i).Digest()).sums.at(0));
  }
  for (const DigestResult::Sum& sum : sums) {
    if (sum.sum != sums[0].sum || sum.entities != sums[0].entities) {
      throw Failure("members with one vector differ in their rows");
    }
  }
}

PutMaker::Put PutMaker::Make(std::int64_t number) const {
  PutMemory memory = corpus_.Memory(number);
  Put put;
  put.title = number % 4 == 0 ? std::move(memory.title) : absl::StrFormat("note%d", number);
  put.content = std::move(memory.content);
  put.content.resize(kContentBytes, 'x');
  return put;
}

std::string PutMaker::ToBody(const Put& put) { return Body(put.title, put.content); }

std::vector<PutMaker::Put> PutMaker::Puts(std::int64_t first, std::int64_t count) const {
  std::vector<Put> puts;
  puts.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) puts.push_back(Make(first + i));
  return puts;
}

void MustPost(clients::HttpClient& client, const std::string& body) {
  const clients::HttpAnswer answer = Must(client.Post(kTarget, body));
  if (answer.status != 201) {
    throw Failure(absl::StrFormat("a put was answered %d: %s", answer.status, answer.body));
  }
}

Run MeasurePosts(const Members& members, int clients, const std::vector<std::string>& bodies,
                 double* client_cpu_s) {
  std::vector<clients::HttpClient> connections;
  for (int i = 0; i < clients; ++i) connections.push_back(members.Client(0));
  return ChargeTo(members.processes(), client_cpu_s, [&] {
    return MeasureClients(clients, static_cast<std::int64_t>(bodies.size()),
                          [&](int client, std::int64_t number) {
                            MustPost(connections[static_cast<std::size_t>(client)],
                                     bodies[static_cast<std::size_t>(number)]);
                          });
  });
}

}  // namespace aimem::bench
