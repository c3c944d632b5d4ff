#include "campaign/clients.h"

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/mutex.h"
#include "tests/support/eventually.h"
#include "tests/support/loopback.h"
#include "tests/support/temp_dir.h"

namespace aimem::campaign {
namespace {

using testing::Eventually;
using ::testing::SizeIs;

// A member that acknowledges every write and keeps nothing but the count; it can die, answering
// nobody, and refuses connections from then on.
class FakeMember {
 public:
  FakeMember() : acceptor_([this] { Accept(); }) {}
  ~FakeMember() {
    Die();
    acceptor_.join();
    for (std::thread& thread : threads_) thread.join();
    for (const int fd : connections_) close(fd);
  }

  void Die() {
    MutexLock lock(mutex_);
    listener_.Shut();
    for (const int fd : connections_) shutdown(fd, SHUT_RDWR);
    dead_ = true;
  }
  [[nodiscard]] int port() const { return listener_.port(); }
  [[nodiscard]] int answered() const { return answered_; }

 private:
  void Accept() {
    while (true) {
      const int fd = listener_.Accept();
      MutexLock lock(mutex_);
      if (fd >= 0) connections_.push_back(fd);
      if (fd >= 0 && dead_) shutdown(fd, SHUT_RDWR);
      if (fd < 0 || dead_) return;
      threads_.emplace_back([this, fd] { Serve(fd); });
    }
  }

  void Serve(int fd) {
    const std::string body = R"({"id":"the id"})";
    const std::string answer =
        absl::StrFormat("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", body.size(), body);
    std::string request;
    while (testing::ReadRequest(fd, request)) {
      if (send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
      ++answered_;
    }
  }

  const testing::LoopbackListener listener_;
  std::atomic<int> answered_{0};
  Mutex mutex_;
  bool dead_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<int> connections_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  std::thread acceptor_;  // uses all of the above
};

class ClientsTest : public ::testing::Test {
 protected:
  ClientsTest() {
    options_.folder = dir_.path();
    options_.clients = 2;
    for (const auto& member : members_) options_.ports.push_back(member->port());
  }

  const testing::TempDir dir_;
  std::vector<std::unique_ptr<FakeMember>> members_ = [] {
    std::vector<std::unique_ptr<FakeMember>> members;
    for (int i = 0; i < 3; ++i) members.push_back(std::make_unique<FakeMember>());
    return members;
  }();
  ClientsOptions options_;
};

TEST_F(ClientsTest, DealTheMemoriesOutAmongAllMembers) {
  auto clients = Clients::Make(options_);
  ASSERT_TRUE(clients.ok()) << clients.status();
  std::vector<PlannedWrite> memories;
  for (int i = 0; i < 60; ++i) {
    PlannedWrite write;
    write.namespace_ = "ns";
    write.title = absl::StrFormat("memory %d", i);
    write.content = write.body = "{}";
    memories.push_back(write);
  }
  ASSERT_TRUE((*clients)->Create(memories, 30).ok());
  EXPECT_EQ((*clients)->acknowledged(), 120);
  for (const auto& member : members_) EXPECT_EQ(member->answered(), 40);
  const auto journals = (*clients)->ReadJournals();
  ASSERT_TRUE(journals.ok()) << journals.status();
  ASSERT_THAT(*journals, SizeIs(2));
  std::set<std::string> titles;
  for (const Journal& journal : *journals) {
    EXPECT_THAT(journal.acks, SizeIs(60));
    EXPECT_TRUE(Unacknowledged(journal).empty());
    for (const Intent& intent : journal.intents) titles.insert(intent.title);
  }
  EXPECT_THAT(titles, SizeIs(120));
}

TEST_F(ClientsTest, GoOnWithTheOthersWhenAMemberDies) {
  auto clients = Clients::Make(options_);
  ASSERT_TRUE(clients.ok()) << clients.status();
  (*clients)->Start(absl::ZeroDuration());
  ASSERT_TRUE(Eventually([&] { return members_[1]->answered() > 5; }));
  members_[1]->Die();
  const std::int64_t before = (*clients)->acknowledged();
  ASSERT_TRUE(Eventually(
      [&] { return (*clients)->acknowledged() > before + 50 || !(*clients)->healthy(); }));
  ASSERT_TRUE((*clients)->Stop().ok());
  EXPECT_GT((*clients)->Counters().broken, 0);
  for (int member = 0; member < 3; ++member) EXPECT_EQ((*clients)->InFlight(member), 0);
  const auto journals = (*clients)->ReadJournals();
  ASSERT_TRUE(journals.ok()) << journals.status();
  for (const Journal& journal : *journals) EXPECT_TRUE(Unacknowledged(journal).empty());
}

TEST_F(ClientsTest, AreAbandonedByTheirDestructor) {
  auto clients = Clients::Make(options_);
  ASSERT_TRUE(clients.ok()) << clients.status();
  (*clients)->Start(absl::ZeroDuration());
  ASSERT_TRUE(Eventually([&] { return (*clients)->acknowledged() > 0; }));
  for (const auto& member : members_) member->Die();
  clients->reset();
}

}  // namespace
}  // namespace aimem::campaign
