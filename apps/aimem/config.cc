#include "apps/aimem/config.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/model/validate.h"

extern char** environ;  // NOLINT: POSIX declares it nowhere

namespace aimem::cli {
namespace {

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

absl::StatusOr<bool> Anonymous() {
  const std::string text = absl::AsciiStrToLower(FromEnvironment("AI_MEMORY_ANONYMIZE"));
  if (text == "1" || text == "true" || text == "yes" || text == "on") return true;
  if (text.empty() || text == "0" || text == "false" || text == "no" || text == "off") return false;
  return absl::InvalidArgumentError(absl::StrFormat(
      "AI_MEMORY_ANONYMIZE is '%s': use 1, true, yes, on, 0, false, no or off", text));
}

std::string HostName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "";
  return model::AgentIdPart(name.data());
}

// What `git remote get-url origin` says; empty without git, repository or remote.
std::string OriginUrl() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return "";
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  std::array<std::string, 4> words = {"git", "remote", "get-url", "origin"};
  std::array<char*, 5> argv = {words[0].data(), words[1].data(), words[2].data(), words[3].data(),
                               nullptr};
  pid_t child = 0;
  const int error = posix_spawnp(&child, "git", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string output;
  std::array<char, 1024> buffer;
  for (ssize_t n = 0; error == 0 && (n = read(ends[0], buffer.data(), buffer.size())) > 0;) {
    output.append(buffer.data(), static_cast<std::size_t>(n));
  }
  close(ends[0]);
  int status = 0;
  if (error != 0 || waitpid(child, &status, 0) != child || status != 0) return "";
  absl::StripAsciiWhitespace(&output);
  return output;
}

// https://host/group/name.git, git@host:name.git and /path/name all name "name".
std::string RepositoryName(std::string url) {
  while (!url.empty() && url.back() == '/') url.pop_back();
  if (url.ends_with(".git")) url.resize(url.size() - 4);
  const std::size_t before = url.find_last_of("/:");
  return before == std::string::npos ? url : url.substr(before + 1);
}

}  // namespace

std::string DatabaseUrl(const std::optional<std::string>& flag) {
  if (flag && !flag->empty()) return *flag;
  std::string url = FromEnvironment("AI_MEMORY_DB");
  return url.empty() ? "ai-memory.db" : url;
}

absl::StatusOr<ClaimedIdentity> IdentityOfAgents(const std::optional<std::string>& flag) {
  ClaimedIdentity identity;
  identity.claimed = flag.value_or("");
  if (identity.claimed.empty()) identity.claimed = FromEnvironment("AI_MEMORY_AGENT_ID");
  if (!identity.claimed.empty()) AIMEM_RETURN_IF_ERROR(model::CheckAgentId(identity.claimed));
  AIMEM_ASSIGN_OR_RETURN(const bool anonymous, Anonymous());
  static const std::uint32_t discriminator = std::random_device()();
  const std::string process = absl::StrFormat("pid-%d-%08x", getpid(), discriminator);
  identity.host = anonymous ? "" : HostName();
  identity.host.resize(std::min<std::size_t>(identity.host.size(), 64));
  identity.fallback =
      identity.host.empty() ? "anonymous:" + process : "host:" + identity.host + ":" + process;
  return identity;
}

absl::StatusOr<std::string> AgentIdentity(const std::optional<std::string>& flag) {
  AIMEM_ASSIGN_OR_RETURN(ClaimedIdentity identity, IdentityOfAgents(flag));
  return identity.claimed.empty() ? std::move(identity.fallback) : std::move(identity.claimed);
}

absl::StatusOr<std::string> DerivedNamespace() {
  std::string source = "the remote \"origin\" of this repository";
  std::string name = RepositoryName(OriginUrl());
  if (name.empty()) {
    source = "the current directory";
    std::error_code error;
    name = std::filesystem::current_path(error).filename().string();
  }
  if (name.empty()) return "global";
  const std::string found = name;
  const absl::Status status = model::CheckNamespace(name);
  if (status.ok()) return name;
  return absl::InvalidArgumentError(
      absl::StrFormat("the namespace \"%s\", taken from %s, cannot be used: %s: give --namespace",
                      found, source, ToStd(status.message())));
}

absl::StatusOr<std::string> ReadApiKey(const std::string& path) {
  if (path.empty()) return "";
  std::ifstream in(path, std::ios::binary);
  std::string key{std::istreambuf_iterator<char>(in), {}};
  absl::StripAsciiWhitespace(&key);
  if (in && !key.empty()) return key;
  return absl::InvalidArgumentError(
      absl::StrFormat("--api-key-file: %s cannot be read or holds no key", path));
}

}  // namespace aimem::cli
