// serve: a member of a federation (of one, without peers) behind HTTP, until a signal ends it.
#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/replication/replicated_store.h"
#include "aimem/services/http.h"
#include "apps/aimem/cli.h"
#include "apps/aimem/config.h"
#include "apps/aimem/output.h"
#include "apps/aimem/signals.h"
#include "lib/base/status.h"

namespace aimem::cli {
namespace {

constexpr absl::Duration kExpireEvery = absl::Seconds(1'800);
constexpr int kReplicationPortOffset = 1'000;

// Warnings and errors to standard error, a line each, and with `verbose` what else there is.
class ErrorLog final : public LogSink {
 public:
  explicit ErrorLog(bool verbose) : least_(verbose ? LogLevel::kInfo : LogLevel::kWarning) {}

  void Log(LogLevel level, std::string_view message) override {
    if (level < least_) return;
    const std::string line = absl::StrFormat(
        "%s %s %s\n",
        absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", SystemClock().Now(), absl::UTCTimeZone()),
        Name(level), message);
    // One call, so that lines of several threads do not mix. Nobody could be told of an error.
    [[maybe_unused]] const ssize_t ignored = write(STDERR_FILENO, line.data(), line.size());
  }

 private:
  static std::string_view Name(LogLevel level) {
    switch (level) {
      case LogLevel::kDebug:
        return "debug";
      case LogLevel::kInfo:
        return "info";
      case LogLevel::kWarning:
        return "warning";
      case LogLevel::kError:
        return "error";
    }
    return "error";
  }

  LogLevel least_;
};

bool IsLoopback(const std::string& host) {
  if (host == "localhost" || host == "::1") return true;
  in_addr address = {};
  return inet_pton(AF_INET, host.c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

bool Insecure(const ServeCommand& command) {
  const char* value = std::getenv("AIMEM_INSECURE");
  return command.insecure || (value != nullptr && std::string_view(value) == "1");
}

std::string HostAndPort(const std::string& host, std::int64_t port) {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return is_ipv6 ? absl::StrFormat("[%s]:%d", host, port) : absl::StrFormat("%s:%d", host, port);
}

absl::StatusOr<HttpOptions> MakeHttpOptions(const ServeCommand& command, LogSink& log) {
  HttpOptions options;
  options.host = command.host;
  if (command.port < 0 || command.port > 65'535) {
    return absl::InvalidArgumentError(
        absl::StrFormat("--port must be in [0, 65535] (got %d)", command.port));
  }
  options.port = static_cast<int>(command.port);
  AIMEM_ASSIGN_OR_RETURN(options.api_key, ReadApiKey(command.api_key_file));
  options.version = AIMEM_VERSION;
  options.environment.log = &log;
  if (!IsLoopback(options.host) && options.api_key.empty() && !Insecure(command)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "--host %s is beyond this machine and there is no API key: whoever reaches it could read "
        "and write everything: give --api-key-file, or --insecure if that is meant",
        options.host));
  }
  return options;
}

absl::StatusOr<std::optional<TlsFiles>> MakeTls(const ServeCommand& command) {
  const int given = int{!command.replication_ca.empty()} + int{!command.replication_cert.empty()} +
                    int{!command.replication_key.empty()};
  if (given == 0) return std::nullopt;
  if (given == 3) {
    return TlsFiles{command.replication_ca, command.replication_cert, command.replication_key};
  }
  return absl::InvalidArgumentError(
      "--replication-ca, --replication-cert and --replication-key belong together: give all three");
}

// Next to HTTP, and not further than plaintext may go.
std::string DefaultListen(const ServeCommand& command, const ReplicationOptions& options) {
  const bool open = options.tls.has_value() || options.insecure || !options.peers.empty();
  const std::string host = open || IsLoopback(command.host) ? command.host : "127.0.0.1";
  return HostAndPort(host, command.port == 0 ? 0 : command.port + kReplicationPortOffset);
}

absl::StatusOr<ReplicationOptions> MakeReplicationOptions(const ServeCommand& command) {
  ReplicationOptions options;
  options.peers = SplitList(command.quorum_peers);
  if (command.quorum_writes && (*command.quorum_writes != 0 || !options.peers.empty())) {
    // What no int can hold is as wrong as the number that it is cut to.
    options.quorum =
        static_cast<int>(std::clamp<std::int64_t>(*command.quorum_writes, -1, 1 << 30));
  }
  options.quorum_timeout = absl::Milliseconds(command.quorum_timeout_ms);
  options.shutdown_grace = absl::Seconds(command.shutdown_grace_seconds);
  options.max_clock_ahead = absl::Seconds(command.max_clock_ahead_seconds);
  options.insecure = Insecure(command);
  AIMEM_ASSIGN_OR_RETURN(options.tls, MakeTls(command));
  options.listen = command.replication_listen.value_or(DefaultListen(command, options));
  if (options.listen.empty()) {
    return absl::InvalidArgumentError("--replication-listen must be HOST:PORT");
  }
  options.advertise = command.replication_advertise;
  return options;
}

absl::StatusOr<std::unique_ptr<ReplicatedStore>> OpenMember(const std::string& url,
                                                            std::int64_t log_max_bytes,
                                                            const ReplicationOptions& replication,
                                                            LogSink& log) {
  StoreOptions store;
  store.log_max_bytes = log_max_bytes;
  store.environment.log = &log;
  AIMEM_ASSIGN_OR_RETURN(std::unique_ptr<Backend> backend, OpenBackend(url));
  return OpenReplicatedStore(std::move(backend), store, replication);
}

// A port that nobody asked for and nobody is waiting at may be another one.
absl::StatusOr<std::unique_ptr<ReplicatedStore>> OpenMember(const ServeCommand& command,
                                                            const std::string& url,
                                                            ReplicationOptions replication,
                                                            LogSink& log) {
  const bool flexible = !command.replication_listen && replication.peers.empty();
  const bool impossible = command.port > 65'535 - kReplicationPortOffset;
  if (!flexible && !command.replication_listen && impossible) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the replication port would be %d (--port %d plus %d): give --replication-listen",
        command.port + kReplicationPortOffset, command.port, kReplicationPortOffset));
  }
  if (!flexible || !impossible) {
    auto member = OpenMember(url, command.log_max_bytes, replication, log);
    if (member.ok() || !absl::IsUnavailable(member.status())) return member;
    if (!flexible) {
      return Annotate(member.status(), command.replication_listen
                                           ? "--replication-listen"
                                           : "replication (see --replication-listen)");
    }
    log.Log(LogLevel::kWarning, absl::StrFormat("replication: %s: taking a free port instead",
                                                ToStd(member.status().message())));
  }
  const std::size_t colon = replication.listen.rfind(':');
  replication.listen = replication.listen.substr(0, colon) + ":0";
  return OpenMember(url, command.log_max_bytes, replication, log);
}

void ExpireInBackground(Store& store, LogSink& log) {
  WriteBatch batch;
  batch.items.emplace_back(ExpireMemories{});
  store.WriteAsync(std::move(batch), WriteOptions{}, [&log](const WriteResult& result) {
    if (result.outcome == WriteOutcome::kRejected || result.outcome == WriteOutcome::kUnknown) {
      log.Log(LogLevel::kWarning,
              absl::StrFormat("collecting expired memories: %s", ToStd(result.status.message())));
    }
  });
}

void TellReady(Context& context, const ServeCommand& command, const HttpServer& server,
               ReplicatedStore& member, const ReplicationOptions& replication) {
  const std::string host = replication.listen.substr(0, replication.listen.rfind(':'));
  std::string text = absl::StrFormat("%s: listening on %s, replication on %s:%d", context.program,
                                     HostAndPort(command.host, server.port()), host, member.port());
  const absl::StatusOr<StoreInfo> info = member.Info();
  if (info.ok() && info->federation) {
    const FederationInfo& federation = *info->federation;
    text += absl::StrFormat(", member %s, W=%d of N=%d%s", federation.member.ToString(),
                            federation.needed, federation.voters,
                            federation.insecure ? ", INSECURE: plaintext" : "");
  }
  context.err << text << '\n' << std::flush;
}

}  // namespace

absl::Status RunServe(Context& context, const ServeCommand& command) {
  StopSignals stop;
  // What goes wrong in gRPC comes back as a status; its own lines are for its developers.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  ErrorLog log(command.verbose);
  AIMEM_ASSIGN_OR_RETURN(const HttpOptions http, MakeHttpOptions(command, log));
  AIMEM_RETURN_IF_ERROR(Validate(http));
  AIMEM_ASSIGN_OR_RETURN(const ReplicationOptions replication, MakeReplicationOptions(command));
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<ReplicatedStore> member,
                         OpenMember(command, DatabaseUrl(context.db), replication, log));
  auto server = StartHttpServer(*member, http);
  if (!server.ok()) {
    const absl::Status closed = member->Close();
    if (!closed.ok()) log.Log(LogLevel::kError, ToStd(closed.message()));
    return Annotate(server.status(), "--host and --port");
  }
  (*server)->SetReady(true);
  TellReady(context, command, **server, *member, replication);

  absl::Duration next_expiry = SystemClock().Monotonic() + kExpireEvery;
  while (stop.Wait(next_expiry - SystemClock().Monotonic()) == 0) {
    if (SystemClock().Monotonic() < next_expiry) continue;
    next_expiry += kExpireEvery;
    ExpireInBackground(*member, log);
  }
  stop.Release();
  log.Log(LogLevel::kInfo, "stopping");
  (*server)->Shutdown(replication.shutdown_grace);
  const absl::Status closed = member->Close();
  if (!closed.ok()) log.Log(LogLevel::kWarning, ToStd(closed.message()));
  log.Log(LogLevel::kInfo, "stopped");
  return absl::OkStatus();
}

}  // namespace aimem::cli
