// A member of a federation is a Store like any other: the suite, with two real peers behind it.
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "aimem/backends/sqlite.h"
#include "aimem/replication/replicated_store.h"
#include "aimem/store_decorator.h"
#include "aimem/testing/store_conformance.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "tests/faults/tcp_proxy.h"

namespace aimem {
namespace {

constexpr std::size_t kMembers = 3;

/// The first of three members, with the others and the network between them.
class ReplicatedThree final : public StoreDecorator {
 public:
  ReplicatedThree() = default;
  ReplicatedThree(const ReplicatedThree&) = delete;
  ReplicatedThree& operator=(const ReplicatedThree&) = delete;
  // A server that runs may still call into its member.
  ~ReplicatedThree() override { Close().IgnoreError(); }

  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& dir,
                                                     const StoreOptions& options) {
    auto three = std::make_unique<ReplicatedThree>();
    for (std::size_t i = 0; i < kMembers; ++i) {
      three->links_.push_back(std::make_unique<testing::TcpProxy>(1));
    }
    // All listen before any of them calls another: nobody waits for a second attempt.
    for (std::size_t i = 0; i < kMembers; ++i) {
      absl::Status status = three->Add(dir + "/m" + std::to_string(i) + ".db", options);
      if (!status.ok()) return status;
    }
    for (auto& member : three->members_) {
      absl::Status status = member->Start();
      if (!status.ok()) return status;
    }
    return three;
  }

  absl::StatusOr<CheckReport> Check(const CheckOptions& options) override {
    absl::StatusOr<CheckReport> report = below().Check(options);
    for (std::size_t i = 1; i < kMembers && report.ok(); ++i) {
      absl::StatusOr<CheckReport> other = members_[i]->Check(options);
      if (!other.ok()) return other.status();
      for (std::string& problem : other->problems) report->problems.push_back(std::move(problem));
    }
    return report;
  }
  absl::Status Close() override {
    absl::Status status;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      servers_[i]->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
      status.Update(members_[i]->Close());
    }
    return status;
  }

 private:
  Store& below() override { return *members_[0]; }

  absl::Status Add(const std::string& path, const StoreOptions& options) {
    const std::size_t self = members_.size();
    ReplicationOptions replication;
    replication.listen = "";
    replication.quorum = 2;
    replication.quorum_timeout = absl::Seconds(60);
    // Longer than a lazy write may wait for company.
    replication.shutdown_grace = absl::Seconds(60);
    // The suite moves the wall clock.
    replication.max_clock_ahead = absl::Hours(24);
    for (std::size_t i = 0; i < kMembers; ++i) {
      if (i != self) replication.peers.push_back(links_[i]->address());
    }
    auto backend = OpenSqliteBackend(path);
    if (!backend.ok()) return backend.status();
    auto member = OpenReplicatedStore(*std::move(backend), options, replication);
    if (!member.ok()) return member.status();
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    absl::Status status = (*member)->RegisterService(builder);
    if (!status.ok()) return status;
    servers_.push_back(builder.BuildAndStart());
    members_.push_back(*std::move(member));
    links_[self]->SetTarget(port);
    return absl::OkStatus();
  }

  std::vector<std::unique_ptr<testing::TcpProxy>> links_;  // outlive the members
  std::vector<std::unique_ptr<grpc::Server>> servers_;
  std::vector<std::unique_ptr<ReplicatedStore>> members_;
};

INSTANTIATE_TEST_SUITE_P(Federation, StoreConformance,
                         ::testing::Values(StoreUnderTest{.name = "ReplicatedThree",
                                                          .open = ReplicatedThree::Open}),
                         StoreUnderTestName);

}  // namespace
}  // namespace aimem
