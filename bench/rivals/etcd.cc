#include "bench/rivals/etcd.h"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "bench/measure.h"
#include "support/federation/server_process.h"

namespace aimem::bench {
namespace {

constexpr double kLeaderSeconds = 30;
constexpr int kLinesShown = 20;

/// Debian puts it on the PATH, other systems elsewhere on it.
std::string FindProgram(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string program = folder + "/" + name;
    if (access(program.c_str(), X_OK) == 0) return program;
  }
  throw Failure(absl::StrFormat("no '%s' on the PATH (Debian: etcd-server)", name));
}

std::string PeerUrl(int port) { return absl::StrFormat("https://127.0.0.1:%d", port); }
std::string ClientUrl(int port) { return absl::StrFormat("http://127.0.0.1:%d", port); }

}  // namespace

EtcdCluster::EtcdCluster(const std::string& directory, const std::string& certificates,
                         const std::vector<std::string>& names) {
  std::filesystem::create_directories(directory);
  ports_ = Must(support::ReservePorts(static_cast<int>(2 * names.size())));
  const std::string data = directory + "/etcd";
  if (!Start(data, certificates, names)) {
    throw Failure("etcd does not run: " + support::TailOf(data + "-0.log", kLinesShown));
  }
}

EtcdCluster::~EtcdCluster() = default;

std::vector<pid_t> EtcdCluster::processes() const {
  std::vector<pid_t> processes;
  for (const support::ChildProcess& member : members_) processes.push_back(member.pid());
  return processes;
}

bool EtcdCluster::Start(const std::string& directory, const std::string& certificates,
                        const std::vector<std::string>& names) {
  const std::string program = FindProgram("etcd");
  std::string all;
  std::vector<int> client_ports;
  for (std::size_t i = 0; i < names.size(); ++i) {
    all += (i == 0 ? "" : ",") + names[i] + "=" + PeerUrl(ports_[2 * i].number());
    client_ports.push_back(ports_[2 * i + 1].number());
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string data = absl::StrFormat("%s-%d", directory, i);
    support::ChildOptions options;
    options.program = program;
    options.log_file = data + ".log";
    options.die_with_parent = true;
    const std::string peer = PeerUrl(ports_[2 * i].number());
    const std::string client = ClientUrl(ports_[2 * i + 1].number());
    const std::string certificate = certificates + "/" + names[i];
    members_.push_back(Must(support::ChildProcess::Spawn(
        {"--name=" + names[i], "--data-dir=" + data, "--listen-peer-urls=" + peer,
         "--initial-advertise-peer-urls=" + peer, "--listen-client-urls=" + client,
         "--advertise-client-urls=" + client, "--initial-cluster=" + all,
         "--initial-cluster-state=new", "--peer-client-cert-auth",
         "--peer-trusted-ca-file=" + certificates + "/ca.pem",
         "--peer-cert-file=" + certificate + ".pem", "--peer-key-file=" + certificate + ".key",
         "--logger=zap", "--log-level=error"},
        options)));
  }
  return AwaitLeader(client_ports);
}

bool EtcdCluster::AwaitLeader(const std::vector<int>& client_ports) {
  const double end = MonotonicSeconds() + kLeaderSeconds;
  while (MonotonicSeconds() < end) {
    for (const int port : client_ports) {
      try {
        etcdserverpb::StatusResponse status;
        status.ParseFromString(GrpcWire(port).Call("/etcdserverpb.Maintenance/Status", ""));
        if (status.leader() != 0 && status.leader() == status.header().member_id()) {
          leader_port_ = port;
          return true;
        }
      } catch (const Failure&) {
        // It does not listen, or does not answer, before it has met the others.
      }
    }
    for (support::ChildProcess& member : members_) {
      if (member.Poll()) return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

void EtcdClient::Put(const std::string& key, const std::string& value) {
  request_.set_key(key);
  request_.set_value(value);
  wire_.Call("/etcdserverpb.KV/Put", request_.SerializeAsString());
}

}  // namespace aimem::bench
