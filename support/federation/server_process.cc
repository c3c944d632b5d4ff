#include "support/federation/server_process.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace aimem::support {
namespace {

constexpr absl::Duration kStartTimeout = absl::Seconds(30);
constexpr int kPollMilliseconds = 5;
constexpr int kLinesShown = 20;
constexpr std::string_view kHost = "127.0.0.1";

std::string Joined(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& text : texts) joined += (joined.empty() ? "" : ",") + text;
  return joined;
}

std::vector<std::string> Arguments(const ServerOptions& options) {
  const std::string host(kHost);
  std::vector<std::string> arguments = {
      "--db", options.store, "serve", "--host", host, "--port", std::to_string(options.http_port)};
  const auto add = [&](const char* flag, std::string value) {
    arguments.emplace_back(flag);
    arguments.push_back(std::move(value));
  };
  add("--replication-listen", absl::StrFormat("%s:%d", kHost, options.replication_port));
  if (!options.peers.empty()) add("--quorum-peers", Joined(options.peers));
  if (options.quorum > 0) add("--quorum-writes", std::to_string(options.quorum));
  if (options.quorum_timeout > absl::ZeroDuration()) {
    add("--quorum-timeout-ms", std::to_string(absl::ToInt64Milliseconds(options.quorum_timeout)));
  }
  if (!options.certificates.empty()) {
    add("--replication-ca", options.certificates + "/ca.pem");
    add("--replication-cert", absl::StrFormat("%s/%s.pem", options.certificates, options.name));
    add("--replication-key", absl::StrFormat("%s/%s.key", options.certificates, options.name));
  }
  arguments.insert(arguments.end(), options.more.begin(), options.more.end());
  return arguments;
}

std::string ReadFrom(const std::string& path, std::size_t from) {
  std::ifstream in(path, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(from));
  return {std::istreambuf_iterator<char>(in), {}};
}

std::size_t SizeOf(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  const auto size = in ? static_cast<std::int64_t>(in.tellg()) : 0;
  return static_cast<std::size_t>(std::max<std::int64_t>(size, 0));
}

// The ports of a line "aimem: listening on 127.0.0.1:PORT, replication on 127.0.0.1:PORT".
struct Ports {
  int http = 0;
  int replication = 0;
};

std::optional<int> PortAfter(std::string_view text, std::string_view words) {
  const std::size_t at = text.find(words);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = text.substr(at + words.size());
  const std::size_t colon = rest.find(':');
  const std::size_t end_of_line = rest.find('\n');
  if (colon == std::string_view::npos || end_of_line == std::string_view::npos) return std::nullopt;
  int port = 0;
  std::from_chars(rest.data() + colon + 1, rest.data() + end_of_line, port);
  if (port == 0 || colon > end_of_line) return std::nullopt;
  return port;
}

std::optional<Ports> FindPorts(const std::string& text) {
  const std::optional<int> http = PortAfter(text, "listening on ");
  const std::optional<int> replication = PortAfter(text, "replication on ");
  if (!http || !replication) return std::nullopt;
  return Ports{*http, *replication};
}

}  // namespace

absl::StatusOr<ServerProcess> ServerProcess::Start(const ServerOptions& options) {
  const std::size_t log_begin = SizeOf(options.log);
  ChildOptions child_options;
  child_options.program = options.program;
  child_options.log_file = options.log;
  child_options.die_with_parent = true;
  absl::StatusOr<ChildProcess> child = ChildProcess::Spawn(Arguments(options), child_options);
  if (!child.ok()) return child.status();
  ServerProcess server;
  server.child_ = *std::move(child);
  const absl::Time deadline = absl::Now() + kStartTimeout;
  while (true) {
    const std::optional<ProcessEnd> end = server.child_.Poll();
    if (const std::optional<Ports> ports = FindPorts(ReadFrom(options.log, log_begin)); ports) {
      server.http_port_ = ports->http;
      server.replication_port_ = ports->replication;
      if (!end) return server;
    }
    if (end) {
      return absl::UnavailableError(
          absl::StrFormat("the server on %s ended with %s; its log ends with\n%s", options.store,
                          end->ToString(), TailOf(options.log, kLinesShown, log_begin)));
    }
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrFormat(
          "the server on %s does not listen after %s; its log ends with\n%s", options.store,
          absl::FormatDuration(kStartTimeout), TailOf(options.log, kLinesShown, log_begin)));
    }
    poll(nullptr, 0, kPollMilliseconds);
  }
}

void ServerProcess::Freeze() {
  if (!child_.running()) return;
  kill(child_.pid(), SIGSTOP);
  siginfo_t info;
  while (waitid(P_PID, static_cast<id_t>(child_.pid()), &info, WSTOPPED | WEXITED | WNOWAIT) != 0 &&
         errno == EINTR) {
  }
}

void ServerProcess::Release() {
  if (child_.running()) kill(child_.pid(), SIGCONT);
}

ProcessEnd ServerProcess::Kill() { return child_.Kill(); }

absl::StatusOr<ProcessEnd> ServerProcess::Terminate(absl::Duration timeout) {
  if (child_.running()) kill(child_.pid(), SIGTERM);
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    if (const std::optional<ProcessEnd> end = child_.Poll(); end) return *end;
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrFormat(
          "process %d still runs %s after SIGTERM", child_.pid(), absl::FormatDuration(timeout)));
    }
    poll(nullptr, 0, kPollMilliseconds);
  }
}

std::string TailOf(const std::string& path, int lines, std::size_t from) {
  std::string text = ReadFrom(path, from);
  std::size_t begin = text.size();
  for (int found = 0; begin > 0; --begin) {
    if (text[begin - 1] == '\n' && begin != text.size() && ++found == lines) break;
  }
  text.erase(0, begin);
  return text;
}

}  // namespace aimem::support
