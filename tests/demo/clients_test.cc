#include "demo/clients.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
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

namespace aimem::demo {
namespace {

using ::testing::SizeIs;

// A member that acknowledges every write and keeps nothing but the count; it can die, answering
// nobody, and refuses connections from then on.
class FakeMember {
 public:
  FakeMember() : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listener_, any, size), 0);
    EXPECT_EQ(listen(listener_, 64), 0);
    EXPECT_EQ(getsockname(listener_, any, &size), 0);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { Accept(); });
  }
  ~FakeMember() {
    Die();
    acceptor_.join();
    for (std::thread& thread : threads_) thread.join();
    for (const int fd : connections_) close(fd);
    close(listener_);
  }

  void Die() {
    MutexLock lock(mutex_);
    shutdown(listener_, SHUT_RDWR);
    for (const int fd : connections_) shutdown(fd, SHUT_RDWR);
    dead_ = true;
  }
  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] int answered() const { return answered_; }

 private:
  void Accept() {
    while (true) {
      const int fd = accept(listener_, nullptr, nullptr);
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
    while (ReadRequest(fd)) {
      if (send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
      ++answered_;
    }
  }

  static bool ReadRequest(int fd) {
    std::string text;
    while (true) {
      const std::size_t head = text.find("\r\n\r\n");
      if (head != std::string::npos) {
        const std::size_t length = text.find("Content-Length: ");
        const std::size_t body =
            length == std::string::npos ? 0 : std::stoul(text.substr(length + 16));
        if (text.size() >= head + 4 + body) return true;
      }
      char buffer[4096];
      const ssize_t count = recv(fd, buffer, sizeof buffer, 0);
      if (count <= 0) return false;
      text.append(buffer, static_cast<std::size_t>(count));
    }
  }

  const int listener_;
  int port_ = 0;
  std::atomic<int> answered_{0};
  std::thread acceptor_;
  Mutex mutex_;
  bool dead_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<int> connections_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
};

class ClientsTest : public ::testing::Test {
 protected:
  ClientsTest()
      : folder_(std::filesystem::path(::testing::TempDir()) /
                ("aimem_clients_" + std::to_string(getpid()))) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    options_.folder = folder_;
    options_.clients = 2;
    for (const auto& member : members_) options_.ports.push_back(member->port());
  }
  ~ClientsTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
  std::vector<std::unique_ptr<FakeMember>> members_ = [] {
    std::vector<std::unique_ptr<FakeMember>> members;
    for (int i = 0; i < 3; ++i) members.push_back(std::make_unique<FakeMember>());
    return members;
  }();
  ClientsOptions options_;
};

void WaitFor(const std::function<bool()>& condition) {
  while (!condition()) poll(nullptr, 0, 1);
}

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
  WaitFor([&] { return members_[1]->answered() > 5; });
  members_[1]->Die();
  const std::int64_t before = (*clients)->acknowledged();
  WaitFor([&] { return (*clients)->acknowledged() > before + 50 || !(*clients)->healthy(); });
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
  WaitFor([&] { return (*clients)->acknowledged() > 0; });
  for (const auto& member : members_) member->Die();
  clients->reset();
}

}  // namespace
}  // namespace aimem::demo
