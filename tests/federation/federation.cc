#include "tests/federation/federation.h"

#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "aimem/open.h"
#include "aimem/replication/certificates.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace aimem::federation {
namespace {

using ::testing::IsEmpty;

constexpr int kPageRows = 200;

// {"0123456789abcdef": 7, …}, streams as 16 hexadecimal digits.
std::optional<VersionVector> ParseVector(const nlohmann::json& json) {
  if (!json.is_object()) return std::nullopt;
  VersionVector vector;
  for (const auto& [stream, seq] : json.items()) {
    if (!seq.is_number_unsigned()) return std::nullopt;
    vector[std::stoull(stream, nullptr, 16)] = seq.get<std::uint64_t>();
  }
  return vector;
}

}  // namespace

std::string Program() {
  const char* program = getenv("AIMEM_PROGRAM");
  if (program == nullptr) ADD_FAILURE() << "AIMEM_PROGRAM must name the aimem program";
  return program == nullptr ? "aimem" : program;
}

absl::Duration Stopwatch::Elapsed() const { return absl::Now() - begin_; }

std::uint64_t TestSeed() {
  const char* given = getenv("AIMEM_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::stoull(given) : std::uint64_t{std::random_device()()};
  ::testing::Test::RecordProperty("seed", std::to_string(seed));
  return seed;
}

// -- Requests -------------------------------------------------------------------------------------

std::string Answer::Text(const std::string& key) const {
  if (!body.is_object() || !body.contains(key) || !body[key].is_string()) return "";
  return body[key].get<std::string>();
}

std::string Answer::ToString() const {
  if (code == 0) return std::string(status.ToString());
  return absl::StrFormat("%d %s", code, text.substr(0, 2'000));
}

Answer Send(clients::HttpClient& client, const std::string& method, const std::string& target,
            const nlohmann::json& body, const clients::HttpHeaders& headers,
            absl::Duration timeout) {
  absl::StatusOr<clients::HttpAnswer> sent =
      client.Send(method, target, body.is_null() ? "" : body.dump(), headers, timeout);
  Answer answer;
  answer.status = sent.status();
  if (!sent.ok()) return answer;
  answer.code = sent->status;
  answer.text = std::move(sent->body);
  answer.headers = std::move(sent->headers);
  answer.body = nlohmann::json::parse(answer.text, nullptr, false);
  return answer;
}

nlohmann::json Memory(const std::string& title, const std::string& content) {
  return {{"namespace", kNamespace}, {"title", title}, {"content", content}, {"tier", "long"}};
}

// -- Processes ------------------------------------------------------------------------------------

Federation::Federation(FederationOptions options)
    : options_(std::move(options)), folder_(dir_.path()) {
  const std::string certificates = (folder_ / "certificates").string();
  std::filesystem::create_directories(certificates);
  EXPECT_EQ(InitCertificateAuthority(certificates), absl::OkStatus());
  for (int member = 0; member < size(); ++member) {
    EXPECT_EQ(IssueCertificate(certificates, {.name = NameOf(member), .hosts = {}}),
              absl::OkStatus());
  }
  processes_.resize(static_cast<std::size_t>(size()));
  clients_.resize(static_cast<std::size_t>(size()));
  ChoosePorts();
}

Federation::~Federation() {
  if (::testing::Test::HasFailure()) {
    for (int member = 0; member < size(); ++member) {
      std::string note =
          absl::StrFormat("---- log of member %s\n%s", NameOf(member), LogOf(member));
      GTEST_LOG_(INFO) << note;
    }
  }
  processes_.clear();
  links_.clear();
}

void Federation::ChoosePorts() {
  auto ports = support::ReservePorts(2 * size());
  ASSERT_TRUE(ports.ok()) << ports.status();
  ports_ = *std::move(ports);
  links_.clear();
  clients_.clear();
  for (int member = 0; member < size(); ++member) {
    clients_.push_back(std::make_unique<clients::HttpClient>("127.0.0.1", http_port(member)));
  }
  if (!options_.proxies) return;
  for (int from = 0; from < size(); ++from) {
    for (int to = 0; to < size(); ++to) {
      if (from == to) continue;
      links_[{from, to}] = std::make_unique<testing::TcpProxy>(replication_port(to));
    }
  }
}

std::vector<std::string> Federation::Peers(int member) {
  if (const auto given = peers_.find(member); given != peers_.end()) return given->second;
  std::vector<std::string> peers;
  for (int peer = 0; peer < size(); ++peer) {
    if (peer == member) continue;
    const int port = options_.proxies ? link(member, peer).port() : replication_port(peer);
    peers.push_back(absl::StrFormat("127.0.0.1:%d", port));
  }
  return peers;
}

void Federation::SetPeers(int member, std::vector<std::string> peers) {
  peers_[member] = std::move(peers);
}

support::ServerOptions Federation::OptionsOf(int member) {
  support::ServerOptions options;
  options.program = Program();
  options.store = store(member);
  options.http_port = http_port(member);
  options.replication_port = replication_port(member);
  options.peers = Peers(member);
  options.quorum = options_.quorum;
  options.quorum_timeout = options_.quorum_timeout;
  options.certificates = (folder_ / "certificates").string();
  options.name = NameOf(member);
  options.log = (folder_ / (NameOf(member) + ".log")).string();
  options.more = options_.more;
  return options;
}

void Federation::StartAll() {
  for (int member = 0; member < size(); ++member) {
    if (!running(member)) Start(member);
  }
  for (int member = 0; member < size(); ++member) {
    Answer answer;
    EXPECT_TRUE(Eventually(kPatience,
                           [&] {
                             answer = Get(member, "/api/v1/federation");
                             return answer.code == 200 &&
                                    answer.body.at("federation").value("reachable", 0) == size();
                           }))
        << "member " << NameOf(member) << " does not hear all others: " << answer.ToString();
  }
}

void Federation::StartAlone(int member) {
  StartAll();
  for (int other = 0; other < size(); ++other) {
    if (other != member) Kill(other);
  }
  Answer answer;
  EXPECT_TRUE(Eventually(kPatience, [&] {
    answer = Get(member, "/api/v1/federation");
    if (answer.code != 200) return false;
    const nlohmann::json& peers = answer.body.at("federation").at("peers");
    return std::ranges::all_of(peers, [](const nlohmann::json& peer) {
      return peer.at("last_error").dump().starts_with("\"refused");
    });
  })) << answer.ToString();
}

void Federation::StartConnected() {
  StartAll();
  EXPECT_TRUE(Eventually(kPatience, [&] { return Put(0, "warm").code == 201; }));
  CheckSettled();
}

void Federation::Start(int member) {
  ASSERT_FALSE(running(member)) << member;
  absl::StatusOr<support::ServerProcess> started = support::ServerProcess::Start(OptionsOf(member));
  ASSERT_TRUE(started.ok()) << "member " << NameOf(member) << ": " << started.status();
  processes_[static_cast<std::size_t>(member)] = std::move(*started);
}

void Federation::Kill(int member) {
  if (!running(member)) return;
  processes_[static_cast<std::size_t>(member)]->Kill();
  processes_[static_cast<std::size_t>(member)].reset();
}

void Federation::KillAll() {
  for (int member = 0; member < size(); ++member) Kill(member);
}

absl::Duration Federation::Terminate(int member) {
  const Stopwatch watch;
  std::optional<support::ServerProcess>& process = processes_[static_cast<std::size_t>(member)];
  const absl::StatusOr<support::ProcessEnd> end = process->Terminate();
  EXPECT_TRUE(end.ok()) << "member " << NameOf(member) << ": " << end.status();
  if (end.ok()) {
    EXPECT_TRUE(end->ok()) << "member " << NameOf(member) << ": " << end->ToString();
  }
  process.reset();
  return watch.Elapsed();
}

void Federation::Freeze(int member) { processes_[static_cast<std::size_t>(member)]->Freeze(); }

void Federation::Release(int member) { processes_[static_cast<std::size_t>(member)]->Release(); }

void Federation::Wipe(int member) {
  ASSERT_FALSE(running(member));
  for (const char* end : {"", "-wal", "-shm"}) {
    std::filesystem::remove(store(member) + end);
  }
}

void Federation::Keep(int member) {
  ASSERT_FALSE(running(member));
  ASSERT_FALSE(std::filesystem::exists(store(member) + "-wal")) << "it was not closed";
  std::filesystem::copy_file(store(member), store(member) + ".kept",
                             std::filesystem::copy_options::overwrite_existing);
}

void Federation::PutBack(int member) {
  ASSERT_FALSE(running(member));
  std::ifstream kept(store(member) + ".kept", std::ios::binary);
  std::ofstream data(store(member), std::ios::binary | std::ios::trunc);
  data << kept.rdbuf();
  data.close();
  ASSERT_TRUE(data.good());
  for (const char* end : {"-wal", "-shm"}) std::filesystem::remove(store(member) + end);
}

bool Federation::running(int member) const {
  return processes_[static_cast<std::size_t>(member)].has_value();
}

std::string Federation::store(int member) const {
  const auto given = options_.stores.find(member);
  if (given != options_.stores.end()) return given->second;
  return (folder_ / (NameOf(member) + ".db")).string();
}

int Federation::http_port(int member) const {
  return ports_[static_cast<std::size_t>(member)].number();
}

int Federation::replication_port(int member) const {
  return ports_[static_cast<std::size_t>(size() + member)].number();
}

std::string Federation::LogOf(int member, std::size_t bytes) const {
  std::ifstream in(folder_ / (NameOf(member) + ".log"), std::ios::binary);
  std::string log{std::istreambuf_iterator<char>(in), {}};
  return log.size() > bytes ? log.substr(log.size() - bytes) : log;
}

testing::TcpProxy& Federation::link(int from, int to) { return *links_.at({from, to}); }

void Federation::Isolate(int member, bool isolated) {
  for (auto& [ends, proxy] : links_) {
    if (ends.first != member && ends.second != member) continue;
    if (isolated) {
      proxy->BlackHole();
    } else {
      proxy->Heal();
    }
  }
}

// -- Requests to members --------------------------------------------------------------------------

clients::HttpClient& Federation::client(int member) {
  return *clients_[static_cast<std::size_t>(member)];
}

Answer Federation::Get(int member, const std::string& target, absl::Duration timeout) {
  return Send(client(member), "GET", target, nullptr, {}, timeout);
}

Answer Federation::Put(int member, const std::string& title, const std::string& content,
                       const clients::HttpHeaders& headers) {
  return Send(client(member), "POST", "/api/v1/memories", Memory(title, content), headers);
}

Answer Federation::PutUntilDecided(int member, const std::string& title, const std::string& content,
                                   const std::string& key) {
  Answer answer;
  EXPECT_TRUE(Eventually(kPatience,
                         [&] {
                           answer = Put(member, title, content, {{"Idempotency-Key", key}});
                           return answer.code != 503;
                         }))
      << title << " stays pending";
  return answer;
}

std::string Federation::MustPut(int member, const std::string& title, const std::string& content) {
  const Answer answer = PutUntilDecided(member, title, content, absl::StrFormat("put %d", ++puts_));
  EXPECT_EQ(answer.code, 201) << title << ": " << answer.ToString();
  return answer.Text("id");
}

// -- What they hold -------------------------------------------------------------------------------

std::optional<VersionVector> Federation::Vector(int member) {
  const Answer answer = Get(member, "/api/v1/federation", absl::Seconds(2));
  if (answer.code != 200 || !answer.body.is_object()) return std::nullopt;
  return ParseVector(answer.body.value("vector", nlohmann::json()));
}

std::map<std::string, nlohmann::json> Federation::Rows(int member) {
  std::map<std::string, nlohmann::json> rows;
  for (int offset = 0;; offset += kPageRows) {
    const Answer answer =
        Get(member, absl::StrFormat("/api/v1/memories?namespace=%s&limit=%d&offset=%d", kNamespace,
                                    kPageRows, offset));
    EXPECT_EQ(answer.code, 200) << answer.ToString();
    if (answer.code != 200) break;
    const nlohmann::json& page = answer.body.at("memories");
    for (const nlohmann::json& memory : page) rows[memory.at("id").get<std::string>()] = memory;
    if (page.size() < kPageRows) break;
  }
  return rows;
}

bool Federation::AwaitEqualVectors(absl::Duration timeout) {
  std::map<int, std::optional<VersionVector>> seen;
  const bool equal = Eventually(timeout, [&] {
    seen.clear();
    for (int member = 0; member < size(); ++member) {
      if (running(member)) seen[member] = Vector(member);
    }
    const std::optional<VersionVector>& first = seen.begin()->second;
    if (!first || first->empty()) return false;
    for (const auto& [member, vector] : seen) {
      if (vector != first) return false;
    }
    return true;
  });
  if (equal) return true;
  for (const auto& [member, vector] : seen) {
    ADD_FAILURE() << "member " << NameOf(member) << " holds "
                  << (vector ? aimem::ToString(*vector) : "(no answer)");
  }
  return false;
}

absl::Duration Federation::CheckSettled(absl::Duration timeout) {
  const Stopwatch watch;
  EXPECT_TRUE(AwaitEqualVectors(timeout)) << "not equal after " << timeout;
  const absl::Duration took = watch.Elapsed();
  std::optional<std::map<std::string, nlohmann::json>> first;
  for (int member = 0; member < size(); ++member) {
    if (!running(member)) continue;
    std::map<std::string, nlohmann::json> rows = Rows(member);
    if (!first) {
      first = std::move(rows);
      continue;
    }
    EXPECT_TRUE(rows == *first) << "member " << NameOf(member)
                                << " shows other rows: " << rows.size() << " and " << first->size();
  }
  return took;
}

Data Federation::Read(int member) {
  EXPECT_FALSE(running(member)) << member;
  Data data;
  const auto opened = OpenStore(store(member), {.create = false});
  EXPECT_TRUE(opened.ok()) << "member " << NameOf(member) << ": " << opened.status();
  if (!opened.ok()) return data;
  Store& store = **opened;
  const auto info = store.Info();
  const auto digest = store.Digest();
  const auto check = store.Check();
  ListRequest everything;
  everything.filter.namespace_ = kNamespace;
  everything.limit = 1'000'000;
  const auto listed = store.List(everything);
  EXPECT_TRUE(info.ok() && digest.ok() && check.ok() && listed.ok())
      << info.status() << digest.status() << check.status() << listed.status();
  if (!info.ok() || !digest.ok() || !check.ok() || !listed.ok()) return data;
  EXPECT_THAT(check->problems, IsEmpty()) << "member " << NameOf(member);
  data.member = info->member;
  data.vector = digest->vector;
  data.root = digest->sums.at(0).sum;
  for (const aimem::Memory& memory : listed->memories) {
    data.contents[memory.id] = memory.content;
    data.titles[memory.id] = memory.title;
  }
  EXPECT_TRUE(store.Close().ok());
  return data;
}

Data Federation::CheckEqualOnDisk() {
  KillAll();
  const Data first = Read(0);
  for (int member = 1; member < size(); ++member) {
    const Data data = Read(member);
    EXPECT_EQ(data.vector, first.vector) << "member " << NameOf(member);
    EXPECT_EQ(data.root.ToString(), first.root.ToString()) << "member " << NameOf(member);
    EXPECT_TRUE(data.contents == first.contents) << "member " << NameOf(member);
    EXPECT_NE(data.member, first.member) << "two members of one identity";
  }
  return first;
}

}  // namespace aimem::federation
