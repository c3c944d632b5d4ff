// Members over real sockets: what a write means, what is refused, how a host lends its server.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <future>
#include <stdexcept>

#include "aimem/backends/sqlite.h"
#include "aimem/replication/replicated_store.h"
#include "gmock/gmock.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "lib/base/trouble.h"
#include "tests/faults/tcp_proxy.h"
#include "tests/support/eventually.h"
#include "tests/support/temp_dir.h"

namespace aimem {
namespace {

using ::testing::HasSubstr;
using testing::TcpProxy;

std::string TextOf(const absl::Status& status) { return status.ToString(); }

class ReplicatedStoreTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<ReplicatedStore>> TryOpen(const std::string& name,
                                                           const ReplicationOptions& options,
                                                           bool sync = true) {
    auto backend = OpenSqliteBackend(folder_ + "/" + name, {.sync_writes = sync});
    if (!backend.ok()) return backend.status();
    return OpenReplicatedStore(*std::move(backend), {}, options);
  }
  std::unique_ptr<ReplicatedStore> Open(const std::string& name,
                                        const ReplicationOptions& options) {
    auto store = TryOpen(name, options);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  /// One proxy a member: its address before the member runs.
  struct Federation {
    std::vector<std::unique_ptr<TcpProxy>> proxies;
    std::vector<std::unique_ptr<ReplicatedStore>> members;
  };
  ReplicationOptions OptionsOf(const Federation& federation, std::size_t self) {
    ReplicationOptions options;
    options.quorum = 2;
    options.quorum_timeout = absl::Seconds(10);
    options.shutdown_grace = absl::Seconds(2);
    for (std::size_t i = 0; i < federation.proxies.size(); ++i) {
      if (i != self) options.peers.push_back(federation.proxies[i]->address());
    }
    return options;
  }
  Federation OpenThree() {
    Federation federation;
    for (int i = 0; i < 3; ++i) federation.proxies.push_back(std::make_unique<TcpProxy>(1));
    for (std::size_t i = 0; i < 3; ++i) {
      federation.members.push_back(Open("m" + std::to_string(i), OptionsOf(federation, i)));
      federation.proxies[i]->SetTarget(federation.members[i]->port());
    }
    // A member without history that first hears of another's takes no writes until it has it.
    Await("all reach all", [&] {
      return std::all_of(federation.members.begin(), federation.members.end(), [](auto& member) {
        const absl::StatusOr<StoreInfo> info = member->Info();
        return info.ok() && info->federation->reachable == 3;
      });
    });
    return federation;
  }

  /// One that listens nowhere: a host lends it its server.
  std::unique_ptr<ReplicatedStore> OpenGuest(absl::Duration grace = absl::Seconds(5)) {
    ReplicationOptions lent;
    lent.listen = "";
    lent.shutdown_grace = grace;
    return Open("guest", lent);
  }
  /// One whose only peer is at `port`.
  std::unique_ptr<ReplicatedStore> OpenCaller(int port) {
    ReplicationOptions options;
    options.peers = {"127.0.0.1:" + std::to_string(port)};
    options.quorum_timeout = absl::Seconds(60);
    options.shutdown_grace = absl::Seconds(1);
    return Open("caller", options);
  }
  struct Host {
    int port = 0;
    std::unique_ptr<grpc::Server> server;
  };
  static Host Lend(ReplicatedStore& guest) {
    Host host;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &host.port);
    EXPECT_TRUE(guest.RegisterService(builder).ok());
    host.server = builder.BuildAndStart();
    EXPECT_NE(host.server, nullptr);
    return host;
  }

  static void Await(const char* what, const std::function<bool()>& holds) {
    EXPECT_TRUE(testing::Eventually(holds)) << "waited in vain: " << what;
  }

  static PutMemory MakeItem(const std::string& title) {
    PutMemory item;
    item.title = title;
    item.content = "content of " + title;
    item.namespace_ = "ns";
    return item;
  }

  static WriteResult Write(Store& store, const std::string& title) {
    WriteOptions options;
    options.agent_id = "tester";
    WriteBatch batch;
    batch.items.emplace_back(MakeItem(title));
    return store.Write(std::move(batch), options);
  }

  /// Until all have the same vector and root.
  static void AwaitConvergence(Federation& federation) {
    Await("the members become equal", [&] {
      std::vector<DigestResult> digests;
      for (auto& member : federation.members) {
        digests.push_back(*member->Digest(std::vector<DigestRange>(1)));
      }
      return std::all_of(digests.begin(), digests.end(), [&](const DigestResult& digest) {
        return digest.vector == digests[0].vector && digest.sums[0].sum == digests[0].sums[0].sum;
      });
    });
  }

  const testing::TempDir dir_;
  const std::string folder_ = dir_.path();
};

TEST_F(ReplicatedStoreTest, AWriteIsCommittedOnTwoOfThreeAndReachesAll) {
  Federation federation = OpenThree();
  for (std::size_t i = 0; i < 3; ++i) {
    const WriteResult result = Write(*federation.members[i], "from " + std::to_string(i));
    EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
    ASSERT_TRUE(result.quorum.has_value());
    EXPECT_EQ(result.quorum->needed, 2);
    EXPECT_EQ(result.quorum->voters, 3);
    EXPECT_GE(result.quorum->got(), 2);
  }
  AwaitConvergence(federation);
  for (auto& member : federation.members) {
    ListRequest request;
    EXPECT_EQ(member->List(request)->memories.size(), 3U);
    EXPECT_TRUE(member->Check({})->problems.empty());
  }
  for (auto& member : federation.members) EXPECT_TRUE(member->Close().ok());
}

TEST_F(ReplicatedStoreTest, AMemberThatWasAwayCatchesUp) {
  Federation federation = OpenThree();
  ASSERT_EQ(Write(*federation.members[0], "before").outcome, WriteOutcome::kCommitted);
  federation.proxies[2]->Refuse();
  ASSERT_TRUE(federation.members[2]->Close().ok());
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(Write(*federation.members[0], "while " + std::to_string(i)).outcome,
              WriteOutcome::kCommitted);
  }
  federation.members[2] = Open("m2", OptionsOf(federation, 2));
  federation.proxies[2]->SetTarget(federation.members[2]->port());
  federation.proxies[2]->Heal();
  AwaitConvergence(federation);
}

TEST_F(ReplicatedStoreTest, WithoutItsPeersAWriteIsPendingAndDeliveredLater) {
  Federation federation = OpenThree();
  ASSERT_EQ(Write(*federation.members[0], "before").outcome, WriteOutcome::kCommitted);
  federation.proxies[1]->Refuse();
  federation.proxies[2]->Refuse();
  WriteOptions options;
  options.agent_id = "tester";
  options.ack_timeout = absl::Milliseconds(200);
  WriteBatch batch;
  batch.items.emplace_back(MakeItem("alone"));
  const WriteResult result = federation.members[0]->Write(std::move(batch), options);
  EXPECT_EQ(result.outcome, WriteOutcome::kPending) << result.status;
  federation.proxies[1]->Heal();
  federation.proxies[2]->Heal();
  const auto operation = federation.members[0]->GetOperation(result.operation, absl::Seconds(60));
  ASSERT_TRUE(operation.ok()) << operation.status();
  EXPECT_EQ(operation->outcome, WriteOutcome::kCommitted);
  AwaitConvergence(federation);
}

TEST_F(ReplicatedStoreTest, AHostLendsItsServer) {
  const std::unique_ptr<ReplicatedStore> guest = OpenGuest();
  EXPECT_EQ(guest->port(), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(guest->Start()));
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  ASSERT_TRUE(guest->RegisterService(builder).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(guest->RegisterService(builder)));
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr);
  ASSERT_TRUE(guest->Start().ok());

  const std::unique_ptr<ReplicatedStore> caller = OpenCaller(port);
  EXPECT_EQ(Write(*caller, "to the guest").outcome, WriteOutcome::kCommitted);
  EXPECT_EQ(guest->List({})->memories.size(), 1U);
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
  EXPECT_TRUE(guest->Close().ok());
  EXPECT_TRUE(caller->Close().ok());
}

TEST_F(ReplicatedStoreTest, ClosingBeforeTheHostsServerIsShutDownEndsAndRefusesCalls) {
  std::unique_ptr<ReplicatedStore> guest = OpenGuest(absl::Seconds(1));
  const Host host = Lend(*guest);
  ASSERT_TRUE(guest->Start().ok());
  const std::unique_ptr<ReplicatedStore> caller = OpenCaller(host.port);
  ASSERT_EQ(Write(*caller, "first").outcome, WriteOutcome::kCommitted);

  // It used to wait for calls that only the end of the server brings.
  EXPECT_TRUE(guest->Close().ok());
  WriteOptions soon;
  soon.ack_timeout = absl::Milliseconds(500);
  WriteBatch batch;
  batch.items.emplace_back(MakeItem("second"));
  EXPECT_EQ(caller->Write(std::move(batch), soon).outcome, WriteOutcome::kPending);
  EXPECT_TRUE(caller->Close().ok());
  host.server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
  guest.reset();
}

TEST_F(ReplicatedStoreTest, AStoreThatGoesBeforeTheHostsServerLeavesItInPeace) {
  std::unique_ptr<ReplicatedStore> guest = OpenGuest(absl::Milliseconds(50));
  grpc::ServerBuilder builder;
  ASSERT_TRUE(guest->RegisterService(builder).ok());
  // For ever, as is what it refers to.
  static const grpc::Server* const server = builder.BuildAndStart().release();
  ASSERT_NE(server, nullptr);
  ASSERT_TRUE(guest->Start().ok());
  guest.reset();
}

TEST_F(ReplicatedStoreTest, StartingWithoutARunningServerIsRefusedAndMayBeRepeated) {
  const std::unique_ptr<ReplicatedStore> guest = OpenGuest();
  grpc::ServerBuilder builder;
  ASSERT_TRUE(guest->RegisterService(builder).ok());
  const absl::Status status = guest->Start();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(TextOf(status), HasSubstr("BuildAndStart"));
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr);
  EXPECT_TRUE(guest->Start().ok());
  EXPECT_EQ(Write(*guest, "row").outcome, WriteOutcome::kCommitted);
  server->Shutdown();
  EXPECT_TRUE(guest->Close().ok());
}

TEST_F(ReplicatedStoreTest, WhoIsClosedBeforeItBeganIsNotStarted) {
  std::unique_ptr<ReplicatedStore> guest = OpenGuest();
  const Host host = Lend(*guest);
  host.server->Shutdown();
  EXPECT_TRUE(guest->Close().ok());
  const absl::Status status = guest->Start();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  grpc::ServerBuilder again;
  EXPECT_TRUE(absl::IsFailedPrecondition(guest->RegisterService(again)));
  guest.reset();
}

TEST_F(ReplicatedStoreTest, CallsInACallbackThatWouldWaitForItAreRefused) {
  const std::unique_ptr<ReplicatedStore> member = Open("m", {});
  struct Seen {
    WriteResult written;
    absl::Status closed;
    absl::Status asked;
  };
  std::promise<Seen> promise;
  WriteBatch batch;
  batch.items.emplace_back(MakeItem("outer"));
  member->WriteAsync(std::move(batch), {}, [&](const WriteResult& result) {
    Seen seen;
    seen.written = Write(*member, "inner");
    seen.closed = member->Close();
    seen.asked = member->GetOperation(result.operation, absl::Seconds(1)).status();
    promise.set_value(std::move(seen));
  });
  const Seen seen = promise.get_future().get();
  EXPECT_EQ(seen.written.outcome, WriteOutcome::kRejected);
  for (const absl::Status& status : {seen.written.status, seen.closed, seen.asked}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(TextOf(status), HasSubstr("in a callback"));
  }
  EXPECT_EQ(Write(*member, "after").outcome, WriteOutcome::kCommitted);
  EXPECT_EQ(member->List({})->memories.size(), 2U);
  EXPECT_TRUE(member->Close().ok());
}

TEST_F(ReplicatedStoreTest, ACallbackThatIsNoneOrThrowsHarmsNobody) {
  const std::unique_ptr<ReplicatedStore> member = Open("m", {});
  WriteBatch batch;
  batch.items.emplace_back(MakeItem("untold"));
  member->WriteAsync(std::move(batch), {}, nullptr);
  WriteBatch other;
  other.items.emplace_back(MakeItem("thrown at"));
  member->WriteAsync(std::move(other), {},
                     [](const WriteResult&) { throw std::runtime_error("the host's"); });
  EXPECT_EQ(Write(*member, "after").outcome, WriteOutcome::kCommitted);
  EXPECT_EQ(member->List({})->memories.size(), 3U);
  member->Apply(ChangePage(), nullptr);
  EXPECT_TRUE(member->Close().ok());
}

TEST_F(ReplicatedStoreTest, AMemberSaysThatItIsPlaintext) {
  const std::unique_ptr<ReplicatedStore> member = Open("m", {});
  EXPECT_TRUE(member->Info()->federation->plaintext);
  EXPECT_TRUE(member->Close().ok());
}

TEST_F(ReplicatedStoreTest, AStoreThatIsNeverStartedCloses) {
  std::unique_ptr<ReplicatedStore> guest = OpenGuest();
  {
    grpc::ServerBuilder builder;
    ASSERT_TRUE(guest->RegisterService(builder).ok());
  }
  EXPECT_TRUE(guest->Close().ok());
  guest.reset();
  EXPECT_TRUE(OpenGuest()->Close().ok());
}

// -- What is refused ------------------------------------------------------------------------------

TEST_F(ReplicatedStoreTest, OptionsAreRefusedByName) {
  struct Case {
    std::function<void(ReplicationOptions&)> change;
    const char* message;
  };
  const Case cases[] = {
      {[](auto& o) { o.peers = {"a.example:1"}; }, "peer 'a.example:1' is beyond this machine"},
      {[](auto& o) { o.listen = "0.0.0.0:0"; }, "listen '0.0.0.0:0' is beyond this machine"},
      {[](auto& o) { o.peers = {"localhost"}; }, "'localhost' has no port"},
      {[](auto& o) { o.peers = {"localhost:0"}; }, "'localhost:0' has port 0"},
      {[](auto& o) { o.peers = {"localhost:65536"}; }, "has no port in [0, 65535]"},
      {[](auto& o) { o.peers = {"::1:80"}; }, "without brackets"},
      {[](auto& o) { o.peers = {"[::1:80"}; }, "not [IPv6 address]:port"},
      {[](auto& o) { o.peers = {"http://localhost:64600"}; }, "port + 1000"},
      {[](auto& o) { o.peers = {"ftp://localhost:1"}; }, "is none of host:port"},
      {[](auto& o) { o.peers = {"http://localhost:1/path"}; }, "has no port in"},
      {[](auto& o) { o.peers = {"grpcs://localhost:1"}; }, "asks for TLS"},
      {[](auto& o) {
         o.peers = {"localhost:1", "LOCALHOST:1"};
       },
       "are the same member"},
      {[](auto& o) {
         o.peers = {"127.0.0.1:1001", "http://localhost:1"};
       },
       "are the same member"},
      {[](auto& o) {
         o.listen = "127.0.0.1:77";
         o.peers = {"grpc://localhost:77"};
       },
       "is where this member listens itself"},
      {[](auto& o) { o.quorum = 2; }, "2"},
      {[](auto& o) { o.quorum = 0; }, "0"},
      {[](auto& o) { o.quorum_timeout = absl::ZeroDuration(); }, "quorum_timeout is 0"},
      {[](auto& o) { o.call_timeout = absl::Milliseconds(999); }, "call_timeout is 999ms"},
      {[](auto& o) { o.calls_in_flight_max = 257; }, "calls_in_flight_max is 257"},
      {[](auto& o) { o.window_bytes_max = 1; }, "window_bytes_max is 1"},
      {[](auto& o) {
         o.tls = TlsFiles{"ca", "", "key"};
       },
       "tls.certificate is empty"},
      {[](auto& o) {
         o.tls = TlsFiles{"ca", "c", "key"};
         o.peers = {"grpc://localhost:1"};
       },
       "give grpcs://"},
  };
  for (const Case& refused : cases) {
    ReplicationOptions options;
    refused.change(options);
    const absl::Status status = Validate(options);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status << " for " << refused.message;
    EXPECT_THAT(TextOf(status), HasSubstr(refused.message));
  }
}

TEST_F(ReplicatedStoreTest, PeersMayBeNamedInAnyForm) {
  ReplicationOptions options;
  options.peers = {"localhost:1", "grpc://127.0.0.2:1", "http://[::1]:5/", "127.9.9.9:65535"};
  EXPECT_TRUE(Validate(options).ok()) << Validate(options);
  options.peers.push_back("a.example:1");
  options.insecure = true;
  EXPECT_TRUE(Validate(options).ok()) << Validate(options);
  options.insecure = false;
  options.peers = {"grpcs://a.example:1"};
  options.tls = TlsFiles{"ca", "c", "key"};
  EXPECT_TRUE(Validate(options).ok()) << Validate(options);
}

TEST_F(ReplicatedStoreTest, AMemberWithPeersMustReachTheDisk) {
  ReplicationOptions options;
  EXPECT_TRUE(TryOpen("alone", options, false).ok());
  options.peers = {"127.0.0.1:1"};
  const absl::Status status = TryOpen("other", options, false).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
}

TEST_F(ReplicatedStoreTest, ATakenPortIsNamed) {
  const std::unique_ptr<ReplicatedStore> first = Open("a", {});
  ReplicationOptions options;
  options.listen = "127.0.0.1:" + std::to_string(first->port());
  const absl::Status status = TryOpen("b", options).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(TroubleOf(status), Trouble::kNotListening);
  EXPECT_THAT(TextOf(status), HasSubstr(options.listen));
}

TEST_F(ReplicatedStoreTest, DataThatCannotBeOpenedIsNoMatterOfThePort) {
  const std::string path = folder_ + "/held.db";
  const auto holder = OpenSqliteBackend(path);
  ASSERT_TRUE(holder.ok()) << holder.status();
  const auto lock = (*holder)->BeginWrite();
  ASSERT_TRUE(lock.ok()) << lock.status();
  auto backend = OpenSqliteBackend(path, {.lock_timeout = absl::Milliseconds(1)});
  ASSERT_TRUE(backend.ok()) << backend.status();
  const absl::Status status = OpenReplicatedStore(*std::move(backend), {}, {}).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(TroubleOf(status), Trouble::kNone);
  EXPECT_THAT(TextOf(status), HasSubstr("must be able to write its data"));
}

TEST_F(ReplicatedStoreTest, AMemberIsNotAlone) {
  auto backend = OpenSqliteBackend(folder_ + "/a");
  ASSERT_TRUE(backend.ok()) << backend.status();
  const absl::Status status =
      OpenReplicatedStore(*std::move(backend), {.alone = true}, {}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(TextOf(status), HasSubstr("store.alone"));
}

TEST_F(ReplicatedStoreTest, AbsentCertificatesAreNamed) {
  ReplicationOptions options;
  options.tls = TlsFiles{folder_ + "/ca.pem", folder_ + "/a.pem", folder_ + "/a.key"};
  const absl::Status status = TryOpen("a", options).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(TextOf(status), HasSubstr("ca.pem"));
}

// -- Forks ----------------------------------------------------------------------------------------

/// What a child finds that its parent's `member` does: 0, or which call was wrong.
int UseInAChild(std::unique_ptr<ReplicatedStore>& member) {
  const auto refused = [](const absl::Status& status) {
    return status.code() == absl::StatusCode::kFailedPrecondition;
  };
  if (!refused(member->Write(PutMemory{.title = "t", .content = "c"}).status)) return 1;
  if (!refused(member->Info().status())) return 2;
  if (!refused(member->Search({.query = "t"}).status())) return 3;
  if (!refused(member->Close())) return 4;
  member.reset();
  return 0;
}

TEST_F(ReplicatedStoreTest, AChildOfAForkTouchesNothingOfItsParents) {
  Federation federation = OpenThree();
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    _exit(UseInAChild(federation.members[0]));
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  // Its port takes connections still.
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(federation.members[0]->port()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  close(connection);
  EXPECT_EQ(federation.members[0]->Write(PutMemory{.title = "t", .content = "c"}).outcome,
            WriteOutcome::kCommitted);
}

}  // namespace
}  // namespace aimem
