// etcd: three members of it on this machine, and a client.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "bench/rivals/grpc_wire.h"
#include "etcd.pb.h"
#include "support/process/child_process.h"
#include "support/process/reserved_port.h"

namespace aimem::bench {

/// Three members with TLS and verified certificates among them, and plaintext for clients. Killed
/// and reaped by the destructor. Default options of etcd: every entry of its log is synced.
class EtcdCluster {
 public:
  /// Data goes below `directory`. `certificates` has ca.pem and NAME.pem, NAME.key of each of
  /// `names`. Returns when they have a leader. Throws Failure.
  EtcdCluster(const std::string& directory, const std::string& certificates,
              const std::vector<std::string>& names);
  ~EtcdCluster();
  EtcdCluster(const EtcdCluster&) = delete;
  EtcdCluster& operator=(const EtcdCluster&) = delete;

  /// The port where clients reach the leader: whoever asks another member pays one more hop.
  [[nodiscard]] int leader_port() const { return leader_port_; }
  [[nodiscard]] std::vector<pid_t> processes() const;

 private:
  bool Start(const std::string& directory, const std::string& certificates,
             const std::vector<std::string>& names);
  bool AwaitLeader(const std::vector<int>& client_ports);

  std::vector<support::ReservedPort> ports_;  // of each member, for members and for clients
  std::vector<support::ChildProcess> members_;
  int leader_port_ = 0;
};

/// One connection, kept. For one thread at a time; movable.
class EtcdClient {
 public:
  explicit EtcdClient(int port) : wire_(port) {}

  /// Throws Failure unless it is committed.
  void Put(const std::string& key, const std::string& value);

 private:
  GrpcWire wire_;
  etcdserverpb::PutRequest request_;
};

}  // namespace aimem::bench
