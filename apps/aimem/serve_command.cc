// serve: a store behind HTTP, for programs and agents, alone or as a member of a federation, until
// a signal ends it.
#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/intents.h"
#include "aimem/replication/replicated_store.h"
#include "aimem/services/http.h"
#include "aimem/services/mcp.h"
#include "aimem/version.h"
#include "apps/aimem/cli.h"
#include "apps/aimem/config.h"
#include "apps/aimem/error_log.h"
#include "apps/aimem/output.h"
#include "apps/aimem/signals.h"
#include "lib/base/status.h"
#include "lib/base/trouble.h"

namespace aimem::cli {
namespace {

constexpr int kReplicationPortOffset = 1'000;
// What a member answers at its deadline says more than that its store did not.
constexpr absl::Duration kAfterTheQuorum = absl::Milliseconds(250);

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
  options.allowed_hosts = command.allow_hosts;
  options.version = AIMEM_VERSION;
  options.similar_timeout = absl::Milliseconds(command.similar_timeout_ms);
  options.environment.log = &log;
  if (!IsLoopback(options.host) && options.api_key.empty() && !Insecure(command)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "--host %s is beyond this machine and there is no API key: whoever reaches it could read "
        "and write everything: give --api-key-file, or --insecure if that is meant",
        options.host));
  }
  return options;
}

// Agents say who they are themselves: what the environment claims is who runs the server.
absl::StatusOr<McpOptions> MakeMcpOptions(LogSink& log) {
  McpOptions options;
  AIMEM_ASSIGN_OR_RETURN(const ClaimedIdentity identity, IdentityOfAgents(std::nullopt));
  options.host_name = identity.host;
  options.version = AIMEM_VERSION;
  options.environment.log = &log;
  AIMEM_RETURN_IF_ERROR(Validate(options));
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
  // Nobody replicates who was not told to: the port gives everything to whoever reaches it.
  if (options.peers.empty() && !options.tls && !command.replication_listen) {
    options.listen.clear();
    return options;
  }
  if (command.replication_listen == "") {
    return absl::InvalidArgumentError("--replication-listen must be HOST:PORT");
  }
  if (!command.replication_listen && command.port > 65'535 - kReplicationPortOffset) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the replication port would be %d (--port %d plus %d): give --replication-listen",
        command.port + kReplicationPortOffset, command.port, kReplicationPortOffset));
  }
  // Next to HTTP.
  options.listen = command.replication_listen.value_or(
      HostAndPort(command.host, command.port == 0 ? 0 : command.port + kReplicationPortOffset));
  options.advertise = command.replication_advertise;
  return options;
}

// Whether they may stand side by side.
absl::Status CheckBoth(const HttpOptions& http, const ReplicationOptions& replication) {
  AIMEM_RETURN_IF_ERROR(Validate(http));
  AIMEM_RETURN_IF_ERROR(Validate(replication));
  if (replication.listen.empty() || replication.tls || http.api_key.empty()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "replication would be plaintext, and whoever reaches its port could read and write "
      "everything without the API key: give --replication-ca, --replication-cert and "
      "--replication-key (\"aimem cert\" makes them), or no --api-key-file");
}

// What is served, and where it replicates; 0: nowhere.
struct Served {
  std::unique_ptr<Store> store;
  int replication_port = 0;
};

absl::StatusOr<Served> OpenAlone(const ServeCommand& command, const std::string& url,
                                 LogSink& log) {
  OpenOptions options;
  options.store.log_max_bytes = command.log_max_bytes;
  options.store.environment.log = &log;
  options.store.alone = true;  // what it says is committed waits for nobody
  AIMEM_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, OpenStore(url, options));
  return Served{std::move(store), 0};
}

absl::StatusOr<Served> OpenMember(const ServeCommand& command, const std::string& url,
                                  const ReplicationOptions& replication, LogSink& log) {
  StoreOptions options;
  options.log_max_bytes = command.log_max_bytes;
  options.environment.log = &log;
  AIMEM_ASSIGN_OR_RETURN(std::unique_ptr<Backend> backend, OpenBackend(url));
  absl::StatusOr<std::unique_ptr<ReplicatedStore>> member =
      OpenReplicatedStore(std::move(backend), options, replication);
  if (TroubleOf(member.status()) == Trouble::kNotListening) {
    return Annotate(member.status(), command.replication_listen
                                         ? "--replication-listen"
                                         : "replication (see --replication-listen)");
  }
  if (!member.ok()) return member.status();
  const int port = (*member)->port();
  return Served{*std::move(member), port};
}

void TellReady(Context& context, const ServeCommand& command, const HttpServer& server,
               const Served& served, const ReplicationOptions& replication) {
  std::string text = absl::StrFormat("%s: listening on %s", context.program,
                                     HostAndPort(command.host, server.port()));
  const absl::StatusOr<StoreInfo> info = served.store->Info();
  if (served.replication_port == 0) {
    text += ", no replication";
  } else {
    text += absl::StrFormat(", replication on %s:%d, %s",
                            replication.listen.substr(0, replication.listen.rfind(':')),
                            served.replication_port, replication.tls ? "TLS" : "plaintext");
  }
  if (info.ok()) text += ", member " + info->member.ToString();
  if (info.ok() && info->federation) {
    const FederationInfo& federation = *info->federation;
    text += absl::StrFormat(", W=%d of N=%d%s", federation.needed, federation.voters,
                            federation.insecure ? ", INSECURE: plaintext" : "");
  }
  context.err << text << '\n' << std::flush;
}

}  // namespace

absl::Status RunServe(Context& context, const ServeCommand& command) {
  StopSignals stop;
  // What goes wrong in gRPC comes back as a status; its own lines are for its developers.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  ErrorLog log(STDERR_FILENO, command.verbose);
  AIMEM_ASSIGN_OR_RETURN(HttpOptions http, MakeHttpOptions(command, log));
  AIMEM_ASSIGN_OR_RETURN(const ReplicationOptions replication, MakeReplicationOptions(command));
  AIMEM_RETURN_IF_ERROR(CheckBoth(http, replication));
  AIMEM_ASSIGN_OR_RETURN(const McpOptions mcp, MakeMcpOptions(log));
  if (!replication.peers.empty()) http.write_timeout = replication.quorum_timeout + kAfterTheQuorum;
  const std::string url = DatabaseUrl(context.db);
  AIMEM_ASSIGN_OR_RETURN(const Served served, replication.listen.empty()
                                                  ? OpenAlone(command, url, log)
                                                  : OpenMember(command, url, replication, log));
  Store& store = *served.store;
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<ExpiryService> expiry,
                         StartExpiry(store, {.environment = {.log = &log}}));
  AIMEM_ASSIGN_OR_RETURN(http.mounts.emplace_back(), MakeMcpMount(store, mcp));
  auto server = StartHttpServer(store, http);
  if (!server.ok()) {
    const absl::Status closed = store.Close();
    if (!closed.ok()) log.Log(LogLevel::kError, ToStd(closed.message()));
    return Annotate(server.status(), "--host and --port");
  }
  (*server)->SetReady(true);
  TellReady(context, command, **server, served, replication);

  while (stop.Wait(absl::InfiniteDuration()) == 0) {
  }
  stop.Release();
  log.Log(LogLevel::kInfo, "stopping");
  expiry->Stop();
  (*server)->Shutdown(replication.shutdown_grace);
  const absl::Status closed = store.Close();
  if (!closed.ok()) log.Log(LogLevel::kWarning, ToStd(closed.message()));
  log.Log(LogLevel::kInfo, "stopped");
  return absl::OkStatus();
}

}  // namespace aimem::cli
