// The transport over real sockets: what arrives, why a call fails, how it ends.
#include <algorithm>
#include <iostream>
#include <thread>

#include "gmock/gmock.h"
#include "grpcpp/server_builder.h"
#include "tests/faults/tcp_proxy.h"
#include "tests/replication/grpc/support.h"
#include "tests/support/temp_dir.h"

namespace aimem::replication {
namespace {

using aimem::testing::TcpProxy;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using Mode = FakeService::Mode;

#define EXPECT_ENDS(outcome, expected)                                                 \
  do {                                                                                 \
    const AppendOutcome ended_ = (outcome);                                            \
    EXPECT_EQ(CallErrorName(ended_.error), CallErrorName(expected)) << ended_.message; \
  } while (false)

AppendRequest Request() {
  AppendRequest request;
  request.header.member = {{1, 2, 3}};
  request.header.incarnation = 77;
  request.header.sequence = 78;
  request.header.heads = {
      {1, {.seq = 2, .hlc = 3, .hash = {4, 5}}},
      {0xFFFF'FFFF'FFFF'FFFF, {.seq = 0xFFFF'FFFF'FFFF'FFFF, .hlc = 0xFFFF'FFFF'FFFF'FFFF}}};
  request.header.yielded = {1, 0xFFFF'FFFF'FFFF'FFFF};
  request.header.quiet_until = 0xFFFF'FFFF'FFFF'FFFF;
  request.header.quiet = {6, 7};
  request.header.wall_ms = -5;
  request.header.address = "127.0.0.1:1";
  request.before = {{1, 0}, {2, 7}};
  request.commits = {Bytes(1), Bytes(0), Bytes(1u << 20)};
  request.catch_up = true;
  request.all_heads = true;
  return request;
}

// -- Delivery -------------------------------------------------------------------------------------

TEST(GrpcTransport, AnAppendArrivesWholeAndItsReplyComesBackInBothDirections) {
  End a, b;
  for (auto [from, to] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    const AppendOutcome outcome = from->Append(to->address(), Request());
    ASSERT_EQ(outcome.error, CallError::kNone) << outcome.message;
    EXPECT_EQ(outcome.reply.header.member, (Id128{{9}}));
    EXPECT_EQ(outcome.reply.header.heads, Request().header.heads);
    EXPECT_EQ(outcome.reply.message, "taken");
    EXPECT_EQ(outcome.identity, "");
    const AppendRequest got = to->service.request();
    EXPECT_EQ(got.header.member, Request().header.member);
    EXPECT_EQ(got.header.incarnation, 77U);
    EXPECT_EQ(got.header.sequence, 78U);
    EXPECT_EQ(got.header.yielded, Request().header.yielded);
    EXPECT_EQ(got.header.quiet_until, Request().header.quiet_until);
    EXPECT_EQ(got.header.quiet, Request().header.quiet);
    EXPECT_EQ(got.header.wall_ms, -5);
    EXPECT_TRUE(got.all_heads);
    EXPECT_EQ(got.before, Request().before);
    EXPECT_TRUE(got.catch_up);
    ASSERT_EQ(got.commits.size(), 3U);
    EXPECT_EQ(*got.commits[0], "c");
    EXPECT_EQ(*got.commits[1], "");
    EXPECT_EQ(*got.commits[2], std::string(1u << 20, 'c'));
    EXPECT_THAT(to->service.caller().address, HasSubstr("127.0.0.1"));
  }
}

TEST(GrpcTransport, ADigestIsAnswered) {
  End a, b;
  DigestRequest request;
  request.ranges = {{.first = {1}, .last = Hash256{2}}, {.first = {2}, .last = {}}};
  std::promise<absl::StatusOr<DigestReply>> promise;
  a.transport->Digest(b.address(), request, [&](absl::StatusOr<DigestReply> reply) {
    promise.set_value(std::move(reply));
  });
  const absl::StatusOr<DigestReply> reply = promise.get_future().get();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->result.vector, (VersionVector{{3, 4}}));
  ASSERT_EQ(reply->result.sums.size(), 2U);
  EXPECT_EQ(reply->result.sums[1].entities, 6);
}

TEST(GrpcTransport, AMessageAboveTheCapIsRefusedAndTheNextOneIsServed) {
  End a, b;
  AppendRequest request;
  for (int i = 0; i < 8; ++i) request.commits.push_back(Bytes(1u << 20));
  EXPECT_ENDS(a.Append(b.address(), request), CallError::kNone);
  request.commits.push_back(Bytes(1u << 20));
  request.commits.push_back(Bytes(1u << 10));
  const AppendOutcome outcome = a.Append(b.address(), request);
  EXPECT_EQ(outcome.error, CallError::kMalformed);
  EXPECT_THAT(outcome.message, HasSubstr("more than 9437184"));
  EXPECT_ENDS(a.Append(b.address(), Request()), CallError::kNone);
}

TEST(GrpcTransport, ARequestBeyondALimitIsRefusedByTheReceiver) {
  End a, b;
  AppendRequest request;
  for (int i = 0; i < 10'001; ++i) request.commits.push_back(Bytes(1));
  const AppendOutcome outcome = a.Append(b.address(), request);
  EXPECT_EQ(outcome.error, CallError::kMalformed);
  EXPECT_EQ(outcome.message, "commits has 10001 entries, more than 10000");
  EXPECT_EQ(b.service.count(), 0);
}

TEST(GrpcTransport, ATimerFiresNotBeforeItsTimeAndAnEarlierOneReplacesIt) {
  End a;
  const absl::Duration now = SystemClock().Monotonic();
  const absl::Duration at = now + absl::Milliseconds(30);
  a.transport->SetTimer(now + absl::Hours(1));
  a.transport->SetTimer(at);
  a.transport->SetTimer(now + absl::Hours(2));
  a.service.AwaitTimers(1);
  EXPECT_GE(SystemClock().Monotonic(), at);
  EXPECT_EQ(a.service.timers(), 1);
}

// -- Why a call fails -----------------------------------------------------------------------------

TEST(GrpcTransport, NobodyListens) {
  End a;
  std::string address;
  {
    const End gone;
    address = gone.address();
  }
  EXPECT_ENDS(a.Append(address), CallError::kRefused);
}

TEST(GrpcTransport, NoConnectionComesAbout) {
  End a, b;
  TcpProxy proxy(b.transport->port());
  proxy.BlackHole();
  // Both when the call's own time is over first, and when the attempt's is.
  EXPECT_ENDS(a.Append(proxy.address(), {}, absl::Milliseconds(300)), CallError::kNotConnected);
  EXPECT_ENDS(a.Append(proxy.address(), {}, absl::Seconds(20)), CallError::kNotConnected);
  proxy.Heal();
  EXPECT_ENDS(a.AppendUntilConnected(proxy.address()), CallError::kNone);
}

TEST(GrpcTransport, ConnectedAndNoReply) {
  End a, b;
  TcpProxy proxy(b.transport->port());
  ASSERT_EQ(a.Append(proxy.address()).error, CallError::kNone);
  proxy.Stall();
  EXPECT_ENDS(a.Append(proxy.address(), {}, absl::Milliseconds(300)), CallError::kTimeout);
  proxy.Heal();
  EXPECT_ENDS(a.Append(proxy.address()), CallError::kNone);
}

TEST(GrpcTransport, TheConnectionBreaks) {
  End a, b;
  TcpProxy proxy(b.transport->port());
  b.service.SetMode(Mode::kHold);
  std::future<AppendOutcome> outcome = a.Start(proxy.address());
  b.service.Await(1);
  proxy.Reset();
  EXPECT_ENDS(outcome.get(), CallError::kUnavailable);
  b.service.ReleaseHeld();
}

TEST(GrpcTransport, AServerThatIsNoMember) {
  End a;
  int port = 0;
  grpc::ServerBuilder builder;
  const std::unique_ptr<grpc::ServerCompletionQueue> queue = builder.AddCompletionQueue();
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  std::thread poller([&] {
    void* tag = nullptr;
    bool ok = false;
    while (queue->Next(&tag, &ok)) {
    }
  });
  EXPECT_ENDS(a.Append(absl::StrFormat("127.0.0.1:%d", port)), CallError::kMalformed);
  server->Shutdown();
  queue->Shutdown();
  poller.join();
}

TEST(GrpcTransport, AServiceThatDropsItsReplyEndsTheCall) {
  End a, b;
  b.service.SetMode(Mode::kDrop);
  EXPECT_ENDS(a.Append(b.address()), CallError::kUnavailable);
}

// -- Pages ----------------------------------------------------------------------------------------

TEST(GrpcTransport, PagesComeInOrderUntilTheLast) {
  End a, b;
  b.service.SetPages(5, 100'000);
  const std::unique_ptr<PageStream> stream = a.transport->Fetch(b.address(), {});
  for (int i = 0; i < 5; ++i) {
    const absl::StatusOr<ChangePage> page = NextPage(*stream);
    ASSERT_TRUE(page.ok()) << page.status();
    ASSERT_EQ(page->commits.size(), 1U);
    EXPECT_THAT(page->commits[0], HasSubstr(absl::StrFormat("commit %dx", i)));
    ASSERT_EQ(page->states.size(), 1U);
    EXPECT_EQ(page->states[0].key, (EntityKey{static_cast<Kind>(200), std::string("k\0\xff", 3)}));
    EXPECT_EQ(page->end, i == 4);
    EXPECT_EQ(page->adopt.has_value(), i == 4);
  }
}

TEST(GrpcTransport, AStreamThatBreaksIsResumedAtEveryPage) {
  End a, b;
  TcpProxy proxy(b.transport->port());
  constexpr std::uint64_t kPages = 8;
  constexpr std::size_t kPageBytes = 300'000;
  b.service.SetPages(kPages, kPageBytes);
  FetchRequest request;
  int broken = 0;
  std::uint64_t at = 0;
  const absl::Duration end = SystemClock().Monotonic() + absl::Seconds(60);
  while (at < kPages && SystemClock().Monotonic() < end) {
    // In the middle of the second page.
    proxy.ResetAfter(kPageBytes * 3 / 2);
    const std::unique_ptr<PageStream> stream = a.transport->Fetch(proxy.address(), request);
    absl::StatusOr<ChangePage> page = NextPage(*stream);
    while (page.ok()) {
      EXPECT_THAT(page->commits[0], HasSubstr(absl::StrFormat("commit %dx", at)));
      request.cursor = page->next;
      ++at;
      EXPECT_EQ(page->end, at == kPages);
      if (page->end) break;
      page = NextPage(*stream);
    }
    if (page.ok()) break;
    EXPECT_TRUE(absl::IsUnavailable(page.status())) << page.status();
    ++broken;
  }
  EXPECT_EQ(at, kPages);
  EXPECT_GE(broken, 2);
}

TEST(GrpcTransport, TheWordsOfARefusedFetchArrive) {
  End a, b;
  for (const absl::Status& status :
       {absl::PermissionDeniedError("not a member"), absl::UnauthenticatedError("who?"),
        absl::FailedPreconditionError("begin again")}) {
    b.service.SetFetchError(status);
    const std::unique_ptr<PageStream> stream = a.transport->Fetch(b.address(), {});
    EXPECT_EQ(NextPage(*stream).status(), status);
    EXPECT_EQ(NextPage(*stream).status(), status) << "asked again";
  }
}

TEST(GrpcTransport, AStreamWithoutPagesEndsAfterItsIdleTime) {
  TransportOptions options;
  options.fetch_idle = absl::Milliseconds(200);
  End a(options), b;
  TcpProxy proxy(b.transport->port());
  b.service.SetPages(1'000, 1u << 20);
  const std::unique_ptr<PageStream> stream = a.transport->Fetch(proxy.address(), {});
  ASSERT_TRUE(NextPage(*stream).ok());
  proxy.Stall();
  absl::StatusOr<ChangePage> page = NextPage(*stream);
  while (page.ok()) page = NextPage(*stream);
  EXPECT_TRUE(absl::IsDeadlineExceeded(page.status())) << page.status();
}

TEST(GrpcTransport, ASlowReaderHoldsNoMoreThanItsWindowAndStreamsAreBounded) {
  TransportOptions options;
  options.server.fetches_max = 2;
  End a, b(options);
  b.service.SetPages(1'000, 1u << 20);
  std::vector<std::unique_ptr<PageStream>> streams;
  for (int i = 0; i < 2; ++i) {
    streams.push_back(a.transport->Fetch(b.address(), {}));
    ASSERT_TRUE(NextPage(*streams.back()).ok());
  }
  const std::unique_ptr<PageStream> third = a.transport->Fetch(b.address(), {});
  EXPECT_TRUE(absl::IsResourceExhausted(NextPage(*third).status()));
  EXPECT_LT(b.service.fetched(), 100);
  streams.clear();
  absl::StatusOr<ChangePage> page = absl::UnavailableError("not asked");
  for (int i = 0; i < 1'000 && !page.ok(); ++i) {
    page = NextPage(*a.transport->Fetch(b.address(), {}));
  }
  EXPECT_TRUE(page.ok()) << page.status();
}

// -- Ownership and the end ------------------------------------------------------------------------

TEST(GrpcTransport, ACallOutlivesWhoeverStartedIt) {
  End a, b;
  constexpr int kCalls = 1'000;
  auto finished = std::make_shared<std::atomic<int>>(0);
  for (int i = 0; i < kCalls; ++i) {
    const auto caller = std::make_unique<std::string>(b.address());
    AppendRequest request;
    request.commits.push_back(Bytes(1'000));
    a.transport->Append(*caller, Lane::kQuorum, std::move(request), absl::Seconds(30),
                        [finished](AppendOutcome outcome) {
                          if (outcome.error == CallError::kNone) ++*finished;
                        });
  }
  a.transport->Shutdown(absl::Seconds(30));
  EXPECT_EQ(*finished, kCalls);
  EXPECT_EQ(a.transport->cancelled(), 0);
  EXPECT_EQ(b.service.count(), kCalls);
}

TEST(GrpcTransport, ShutdownLetsCallsEndWithinTheGrace) {
  End a, b;
  b.service.SetMode(Mode::kHold);
  std::future<AppendOutcome> outcome = a.Start(b.address());
  b.service.Await(1);
  std::thread closer([&] { a.transport->Shutdown(absl::Seconds(30)); });
  // The end has begun when new calls are refused.
  while (a.Append(b.address(), {}, absl::Milliseconds(5)).message.find("shutting down") ==
         std::string::npos) {
  }
  b.service.ReleaseHeld();
  closer.join();
  EXPECT_ENDS(outcome.get(), CallError::kNone);
  a.transport->Shutdown(absl::Seconds(30));
}

TEST(GrpcTransport, WhatShutdownCutsIsCounted) {
  End a, b;
  TcpProxy proxy(b.transport->port());
  ASSERT_EQ(a.Append(proxy.address()).error, CallError::kNone);
  proxy.Stall();
  std::vector<std::future<AppendOutcome>> outcomes;
  for (int i = 0; i < 3; ++i) outcomes.push_back(a.Start(proxy.address()));
  a.transport->Shutdown(absl::Milliseconds(50));
  for (std::future<AppendOutcome>& outcome : outcomes) {
    EXPECT_ENDS(outcome.get(), CallError::kCancelled);
  }
  EXPECT_EQ(a.transport->cancelled(), 3);
}

TEST(GrpcTransport, ShutdownEndsCallsThatItsServiceNeverAnswers) {
  End a;
  auto b = std::make_unique<End>();
  b->service.SetMode(Mode::kHold);
  std::future<AppendOutcome> outcome = a.Start(b->address());
  b->service.Await(1);
  b->transport->Shutdown(absl::Milliseconds(50));
  EXPECT_ENDS(outcome.get(), CallError::kUnavailable);
  b->service.ReleaseHeld();  // too late, and harmless
}

TEST(GrpcTransport, ShutdownEndsStreamsOfPagesOnBothSidesWithoutWaitingForTheirReaders) {
  End a, b;
  b.service.SetPages(1'000, 1u << 20);
  const std::unique_ptr<PageStream> stream = a.transport->Fetch(b.address(), {});
  ASSERT_TRUE(NextPage(*stream).ok());
  const absl::Duration begin = SystemClock().Monotonic();
  b.transport->Shutdown(absl::Minutes(5));
  EXPECT_LT(SystemClock().Monotonic() - begin, absl::Minutes(1));
  absl::StatusOr<ChangePage> page = NextPage(*stream);
  while (page.ok()) page = NextPage(*stream);
  EXPECT_TRUE(absl::IsUnavailable(page.status())) << page.status();
  a.transport->Shutdown(absl::Seconds(30));
  EXPECT_FALSE(NextPage(*stream).ok());
  EXPECT_FALSE(NextPage(*a.transport->Fetch(b.address(), {})).ok());
}

TEST(GrpcTransport, StreamsAreDroppedAtAnyMoment) {
  End a, b;
  b.service.SetPages(1'000, 10'000);
  for (int i = 0; i < 100; ++i) {
    const std::unique_ptr<PageStream> stream = a.transport->Fetch(b.address(), {});
    for (int page = 0; page < i % 4; ++page) static_cast<void>(NextPage(*stream));
    if (i % 3 == 0) stream->Next([](const absl::StatusOr<ChangePage>&) {});
  }
}

TEST(GrpcTransport, AnImmediateRestartGetsTheSamePort) {
  int port = 0;
  for (int i = 0; i < 50; ++i) {
    End a;
    End b({}, absl::StrFormat("127.0.0.1:%d", port));
    port = b.transport->port();
    EXPECT_ENDS(a.AppendUntilConnected(b.address()), CallError::kNone);
  }
}

TEST(GrpcTransport, APortIsTakenOnce) {
  const End a;
  const auto second = GrpcTransport::Listen(a.address(), {});
  EXPECT_TRUE(absl::IsUnavailable(second.status())) << second.status();
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(a.address()));
}

// -- Certificates ---------------------------------------------------------------------------------

class GrpcTransportTls : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* ca : {"/one", "/two"}) {
      ASSERT_TRUE(InitCertificateAuthority(folder_ + ca).ok());
      for (const char* name : {"a", "b"}) {
        ASSERT_TRUE(IssueCertificate(folder_ + ca, {.name = name, .hosts = {}}).ok());
      }
    }
  }

  [[nodiscard]] TransportOptions With(const std::string& ca, const std::string& name) const {
    TransportOptions options;
    const std::string dir = folder_ + "/" + ca + "/";
    options.tls = TlsFiles{dir + "ca.pem", dir + name + ".pem", dir + name + ".key"};
    options.tls_reload = absl::Seconds(1);
    return options;
  }

  const testing::TempDir dir_;
  const std::string folder_ = dir_.path();
};

TEST_F(GrpcTransportTls, BothEndsKnowEachOther) {
  End a(With("one", "a")), b(With("one", "b"));
  const AppendOutcome outcome = a.Append(b.address(), Request());
  ASSERT_EQ(outcome.error, CallError::kNone) << outcome.message;
  EXPECT_EQ(outcome.identity, "aimem://static/b");
  EXPECT_EQ(b.service.caller().identity, "aimem://static/a");
  b.service.SetPages(1, 10);
  EXPECT_TRUE(NextPage(*a.transport->Fetch(b.address(), {})).ok());
  EXPECT_EQ(b.service.caller().identity, "aimem://static/a");
}

TEST_F(GrpcTransportTls, WhoeverHasNoCertificateOfOurAuthorityIsRefused) {
  End b(With("one", "b"));
  End other(With("two", "a"));
  EXPECT_ENDS(other.Append(b.address()), CallError::kUnauthenticated);
  // It trusts us and is not trusted: one of its own authority, who knows ours.
  TransportOptions half = With("two", "a");
  const std::string both = folder_ + "/both.pem";
  ASSERT_EQ(
      std::system(("cat '" + folder_ + "/one/ca.pem' '" + folder_ + "/two/ca.pem' > '" + both + "'")
                      .c_str()),
      0);
  half.tls->ca = both;
  End stranger(half);
  EXPECT_ENDS(stranger.Append(b.address()), CallError::kUnauthenticated);
  // The other way round: we call somebody whom we do not trust.
  EXPECT_ENDS(b.Append(stranger.address()), CallError::kUnauthenticated);
  EXPECT_EQ(b.service.count(), 0);
  EXPECT_EQ(stranger.service.count(), 0);
}

TEST_F(GrpcTransportTls, PlaintextIsRefusedInBothDirections) {
  End plain, b(With("one", "b"));
  EXPECT_NE(plain.Append(b.address()).error, CallError::kNone);
  EXPECT_ENDS(b.Append(plain.address()), CallError::kUnauthenticated);
  EXPECT_EQ(b.service.count() + plain.service.count(), 0);
}

TEST_F(GrpcTransportTls, FilesThatCannotBeUsedAreNamed) {
  TransportOptions options = With("one", "a");
  options.tls->key = folder_ + "/absent.key";
  absl::Status status = GrpcTransport::Listen("127.0.0.1:0", options).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("absent.key"));
  options.tls->key = options.tls->ca;
  status = GrpcTransport::Listen("127.0.0.1:0", options).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  options.tls->key = folder_ + "/one/b.key";
  status = GrpcTransport::Listen("127.0.0.1:0", options).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("does not belong"));
  options = With("one", "a");
  options.tls->ca = folder_ + "/two/ca.pem";
  status = GrpcTransport::Listen("127.0.0.1:0", options).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("not accepted"));
}

TEST_F(GrpcTransportTls, ACertificateThatIsReplacedIsUsedForNewConnections) {
  End a(With("one", "a")), b(With("one", "b"));
  TcpProxy proxy(b.transport->port());
  ASSERT_EQ(a.AppendUntilConnected(proxy.address()).identity, "aimem://static/b");
  ASSERT_TRUE(IssueCertificate(folder_ + "/one", {.name = "new", .hosts = {}}).ok());
  const std::string dir = folder_ + "/one/";
  ASSERT_EQ(std::rename((dir + "new.key").c_str(), (dir + "b.key").c_str()), 0);
  ASSERT_EQ(std::rename((dir + "new.pem").c_str(), (dir + "b.pem").c_str()), 0);
  AppendOutcome outcome;
  const absl::Duration end = SystemClock().Monotonic() + absl::Seconds(20);
  while (outcome.identity != "aimem://static/new" && SystemClock().Monotonic() < end) {
    proxy.Reset();
    outcome = a.AppendUntilConnected(proxy.address());
  }
  EXPECT_EQ(outcome.identity, "aimem://static/new");
}

// -- How fast -------------------------------------------------------------------------------------

void PrintLatency(const char* what, End& a, const std::string& address) {
  ASSERT_EQ(a.Append(address).error, CallError::kNone);
  std::vector<double> us;
  for (int i = 0; i < 500; ++i) {
    AppendRequest request;
    request.commits.push_back(Bytes(500));
    const absl::Duration begin = SystemClock().Monotonic();
    ASSERT_EQ(a.Append(address, std::move(request)).error, CallError::kNone);
    us.push_back(absl::ToDoubleMicroseconds(SystemClock().Monotonic() - begin));
  }
  std::sort(us.begin(), us.end());
  std::cout << absl::StrFormat("%s: p50 %.0f us, p99 %.0f us\n", what, us[250], us[495]);
}

TEST_F(GrpcTransportTls, ACallTakesFractionsOfAMillisecond) {
  End a, b;
  PrintLatency("plaintext", a, b.address());
  End c(With("one", "a")), d(With("one", "b"));
  PrintLatency("TLS", c, d.address());
}

TEST(GrpcTransport, TheFirstCallAfterAnIdleSecondIsPrompt) {
  End a, b;
  ASSERT_EQ(a.Append(b.address()).error, CallError::kNone);
  std::vector<double> ms;
  for (int i = 0; i < 3; ++i) {
    // A timer, not a sleep: nothing else happens on either end meanwhile.
    a.AwaitTimer(absl::Milliseconds(1'200));
    const absl::Duration begin = SystemClock().Monotonic();
    ASSERT_EQ(a.Append(b.address()).error, CallError::kNone);
    ms.push_back(absl::ToDoubleMilliseconds(SystemClock().Monotonic() - begin));
  }
  const double worst = *std::max_element(ms.begin(), ms.end());
  std::cout << absl::StrFormat("after 1.2 s idle: worst of %d: %.2f ms\n", ms.size(), worst);
  EXPECT_LT(worst, 2'000);
}

}  // namespace
}  // namespace aimem::replication
