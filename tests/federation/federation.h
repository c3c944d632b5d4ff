// A federation of real `aimem serve` processes, which tests start, freeze, cut off and kill.
#pragma once

#include <sys/types.h>

#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "aimem/types.h"
#include "clients/http/http_client.h"
#include "support/federation/server_process.h"
#include "support/process/reserved_port.h"
#include "tests/faults/tcp_proxy.h"
#include "tests/support/eventually.h"
#include "tests/support/temp_dir.h"

namespace aimem::federation {

/// The namespace that all these tests write into.
inline constexpr char kNamespace[] = "federation";

using testing::Eventually;
using testing::kPatience;

/// Path of the `aimem` program under test.
std::string Program();

/// Time since it was made.
class Stopwatch {
 public:
  [[nodiscard]] absl::Duration Elapsed() const;

 private:
  absl::Time begin_ = absl::Now();
};

/// A random number generator whose seed a failing test shows. AIMEM_SEED repeats one.
std::uint64_t TestSeed();

/// What a member answered, or why it did not.
struct Answer {
  absl::Status status;  ///< Of the exchange.
  int code = 0;         ///< HTTP; 0 without an answer.
  std::string text;     ///< Its body.
  nlohmann::json body;  ///< Likewise; discarded if it is no JSON.
  std::map<std::string, std::string> headers;

  [[nodiscard]] std::string Text(const std::string& key) const;
  [[nodiscard]] std::string ToString() const;
};

/// One request over `client`.
Answer Send(clients::HttpClient& client, const std::string& method, const std::string& target,
            const nlohmann::json& body = nullptr, const clients::HttpHeaders& headers = {},
            absl::Duration timeout = kPatience);

/// The body of a create request: a long-lived memory in kNamespace.
nlohmann::json Memory(const std::string& title, const std::string& content = "remembered");

struct FederationOptions {
  int members = 3;
  int quorum = 2;
  absl::Duration quorum_timeout = absl::Seconds(2);
  /// Every link between two members goes through a proxy of its own: link(from, to).
  bool proxies = false;
  /// Stores that are not the file of their member, by member: URLs.
  std::map<int, std::string> stores;
  /// Further arguments of every member.
  std::vector<std::string> more;
};

/// What one member's data holds, read by opening them.
struct Data {
  Id128 member;
  VersionVector vector;
  Id128 root;
  std::map<std::string, std::string> contents;  ///< Live memories of kNamespace: id -> content.
  std::map<std::string, std::string> titles;    ///< Likewise: id -> title.
};

/// Members 0, 1, 2 … with certificates of one authority, each over a SQLite file. Everything is
/// killed and deleted by the destructor; a test that failed shows the ends of the members' logs.
///
/// Not thread-safe: threads that send requests have clients of their own.
class Federation {
 public:
  explicit Federation(FederationOptions options);
  ~Federation();
  Federation(const Federation&) = delete;
  Federation& operator=(const Federation&) = delete;

  // -- Processes ----------------------------------------------------------------------------------
  /// Start those that do not run, and wait until all have heard of each other.
  void StartAll();
  /// StartAll, and one row ("warm") that all have: nobody is a learner.
  void StartConnected();
  /// StartAll, and then only `member` runs, and knows that nobody listens any more.
  void StartAlone(int member);
  void Start(int member);
  void Kill(int member);
  void KillAll();
  /// SIGTERM; it must end by itself, with exit code 0: how long that took.
  absl::Duration Terminate(int member);
  void Freeze(int member);
  void Release(int member);
  /// Delete the data of a member that does not run.
  void Wipe(int member);
  /// Keep a copy of the data of a member that was terminated.
  void Keep(int member);
  /// Write the copy over the data of a member that does not run: into the same file, as a backup is
  /// copied back, or a volume put back to a snapshot.
  void PutBack(int member);
  [[nodiscard]] bool running(int member) const;

  FederationOptions& options() { return options_; }
  /// Peers of `member` in the order of its command line, in place of the usual ones.
  void SetPeers(int member, std::vector<std::string> peers);
  [[nodiscard]] std::vector<std::string> Peers(int member);

  // -- Where --------------------------------------------------------------------------------------
  [[nodiscard]] int size() const { return options_.members; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] std::string store(int member) const;
  [[nodiscard]] int http_port(int member) const;
  [[nodiscard]] int replication_port(int member) const;
  /// The end of a member's log.
  [[nodiscard]] std::string LogOf(int member, std::size_t bytes = 4'000) const;

  // -- Network ------------------------------------------------------------------------------------
  /// The calls that `from` makes to `to`.
  testing::TcpProxy& link(int from, int to);
  /// Cut `member` off from all others, in both directions, or let it back.
  void Isolate(int member, bool isolated);

  // -- Requests -----------------------------------------------------------------------------------
  clients::HttpClient& client(int member);
  Answer Get(int member, const std::string& target, absl::Duration timeout = kPatience);
  Answer Put(int member, const std::string& title, const std::string& content = "remembered",
             const clients::HttpHeaders& headers = {});
  /// Put with this key, again while it is answered with 503: a machine that is busy with other
  /// tests may let the quorum's deadline pass.
  Answer PutUntilDecided(int member, const std::string& title, const std::string& content,
                         const std::string& key);
  /// PutUntilDecided with a key of its own, which must be answered with 201: the id.
  std::string MustPut(int member, const std::string& title,
                      const std::string& content = "remembered");

  // -- What they hold -----------------------------------------------------------------------------
  /// What a running member says it holds: nothing if it does not answer.
  std::optional<VersionVector> Vector(int member);
  /// The live memories of kNamespace as a running member shows them, page by page: id -> memory.
  std::map<std::string, nlohmann::json> Rows(int member);
  /// True once the vectors of all running members are equal, and not empty, within `timeout`.
  bool AwaitEqualVectors(absl::Duration timeout = kPatience);
  /// Equal vectors within `timeout`, then equal rows on all: how long the vectors took.
  absl::Duration CheckSettled(absl::Duration timeout = kPatience);
  /// Open the data of a member that does not run.
  Data Read(int member);
  /// Stop all members; their data must be sound and equal to the last bit. Returns one of them.
  Data CheckEqualOnDisk();

 private:
  void ChoosePorts();
  [[nodiscard]] support::ServerOptions OptionsOf(int member);
  [[nodiscard]] static std::string NameOf(int member) { return std::string(1, char('a' + member)); }

  FederationOptions options_;
  const testing::TempDir dir_;
  const std::filesystem::path folder_;
  std::vector<support::ReservedPort> ports_;  // of HTTP, then of replication
  std::vector<std::optional<support::ServerProcess>> processes_;
  std::vector<std::unique_ptr<clients::HttpClient>> clients_;
  std::map<std::pair<int, int>, std::unique_ptr<testing::TcpProxy>> links_;
  std::map<int, std::vector<std::string>> peers_;
  int puts_ = 0;  // that had a key of their own
};

}  // namespace aimem::federation
