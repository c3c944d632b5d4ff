// Members: a federation of `aimem serve` processes on this machine, with mTLS among them.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "aimem/store.h"
#include "bench/delay_proxy.h"
#include "bench/measure.h"
#include "bench/stores.h"
#include "clients/http/http_client.h"
#include "support/federation/server_process.h"
#include "support/process/reserved_port.h"

namespace aimem::bench {

/// The program that users run, built beside this one.
std::string AimemProgram();

/// Names of members, and of their certificates.
const std::vector<std::string>& MemberNames();
/// For a caller who is no member.
inline constexpr char kBenchName[] = "bench";

/// A folder of certificates below `directory`, for MemberNames() and kBenchName; its path.
std::string MakeCertificates(const std::string& directory);

/// Members by their place, from 0. All are killed by the destructor. For one thread.
class Members {
 public:
  struct Options {
    int count = 3;
    /// Not 0: the last member is so far from the others, in milliseconds, each way.
    int last_one_way_ms = 0;
  };

  /// Start them on stores in `directory`, W the majority, and return when member 0 commits.
  Members(const std::string& directory, const std::string& certificates, const Options& options);
  Members(const std::string& directory, const std::string& certificates)
      : Members(directory, certificates, Options()) {}
  ~Members();

  [[nodiscard]] clients::HttpClient Client(std::size_t member) const;
  [[nodiscard]] std::string ReplicationAddress(std::size_t member) const;
  [[nodiscard]] pid_t process(std::size_t member) const;
  /// Those that run.
  [[nodiscard]] std::vector<pid_t> processes() const;

  void Stop(std::size_t member);
  /// Again, on its store. Returns when it listens.
  void Start(std::size_t member);
  void Freeze(std::size_t member);
  void Release(std::size_t member);

  /// Wait until the files of all members have one vector. Seconds that it took; throws Failure
  /// after `limit`.
  double AwaitEqual(absl::Duration limit = absl::Seconds(60));
  /// Throws Failure unless all members have the same rows too. Reads every row.
  void MustHaveTheSameRows();

 private:
  [[nodiscard]] Store& Reader(std::size_t member);
  void AwaitQuorum();

  std::string directory_;
  std::string certificates_;
  std::vector<support::ReservedPort> ports_;  // of replication
  std::vector<support::ServerOptions> options_;
  std::vector<std::unique_ptr<DelayProxy>> proxies_;
  std::vector<std::optional<support::ServerProcess>> servers_;
  /// The files of the members, read beside them.
  std::vector<std::unique_ptr<Store>> readers_;
};

/// A put as clients send it: content of 300 bytes; of four titles one is of ordinary words, the
/// others one word. No title comes twice.
class PutMaker {
 public:
  PutMaker() : corpus_(kWords) {}

  struct Put {
    std::string title;
    std::string content;
  };
  [[nodiscard]] Put Make(std::int64_t number) const;
  /// What is POSTed.
  [[nodiscard]] static std::string ToBody(const Put& put);
  /// Puts [first, first + count).
  [[nodiscard]] std::vector<Put> Puts(std::int64_t first, std::int64_t count) const;

  static constexpr std::size_t kContentBytes = 300;

 private:
  static constexpr int kWords = 80;  // More than 300 bytes.
  Corpus corpus_;
};

/// POST and throw unless it is committed on W members.
void MustPost(clients::HttpClient& client, const std::string& body);

/// Closed loop: `clients` connections to member 0, each with one put under way, until all `bodies`
/// are committed. CPU time and bytes are the members'.
Run MeasurePosts(const Members& members, int clients, const std::vector<std::string>& bodies,
                 double* client_cpu_s);

}  // namespace aimem::bench
