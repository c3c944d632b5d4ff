// install: makes an MCP client start this program.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/aimem/cli.h"
#include "apps/aimem/client_config.h"
#include "apps/aimem/config.h"
#include "apps/aimem/output.h"
#include "apps/aimem/text_file.h"
#include "lib/base/status.h"
#include "lib/base/utf8.h"

namespace aimem::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kName[] = "aimem";
constexpr char kUpstream[] = "ai-memory";

enum class Format { kJson, kToml };

/// A client, and where it keeps its servers: `file` in the folder that the variable `home_variable`
/// names, else in `folder` of the home folder.
struct Client {
  std::string_view name;
  Format format = Format::kJson;
  const char* home_variable = nullptr;
  std::string_view folder = {};
  std::string_view file = {};
  bool with_type = false;
};

constexpr Client kClients[] = {
    {.name = "claude-code",
     .home_variable = "CLAUDE_CONFIG_DIR",
     .folder = "",
     .file = ".claude.json",
     .with_type = true},
    {.name = "claude-desktop",
     .home_variable = "XDG_CONFIG_HOME",
     .folder = ".config",
     .file = "Claude/claude_desktop_config.json"},
    {.name = "codex",
     .format = Format::kToml,
     .home_variable = "CODEX_HOME",
     .folder = ".codex",
     .file = "config.toml"},
    {.name = "cursor", .folder = ".cursor", .file = "mcp.json"},
    {.name = "json"},
};

std::string Variable(const char* name) {
  const char* value = name == nullptr ? nullptr : std::getenv(name);
  return value == nullptr ? "" : value;
}

absl::StatusOr<Client> FindClient(const std::string& name) {
  const auto* found = std::ranges::find(kClients, name, &Client::name);
  if (found != std::end(kClients)) return *found;
  return absl::InvalidArgumentError(absl::StrFormat(
      "invalid client: %s (use claude-code, claude-desktop, codex, cursor, json)", name));
}

// Behind a symbolic link lies the file that is to be changed.
absl::StatusOr<fs::path> Resolved(const fs::path& path) {
  std::error_code error;
  fs::path resolved = fs::weakly_canonical(fs::absolute(path, error), error);
  if (!error) return resolved;
  return absl::UnavailableError(absl::StrFormat("finding %s: %s", path.string(), error.message()));
}

absl::StatusOr<fs::path> ConfigPath(const InstallCommand& command, const Client& client) {
  if (command.config) return Resolved(*command.config);
  const std::string named = Variable(client.home_variable);
  if (!named.empty()) return Resolved(fs::path(named) / client.file);
  const std::string home = Variable("HOME");
  if (home.empty()) {
    return absl::FailedPreconditionError(
        "HOME is not set: name the file of the client with --config");
  }
  return Resolved(fs::path(home) / client.folder / client.file);
}

// A client starts its servers wherever it likes: a path that depends on where that is names
// nothing.
absl::StatusOr<std::string> DatabaseArgument(Context& context) {
  const std::string url = DatabaseUrl(context.db);
  if (!context.db && Variable("AI_MEMORY_DB").empty()) {
    return absl::InvalidArgumentError(
        "which database shall the client use? Name it: --db PATH, or AI_MEMORY_DB");
  }
  if (url.find("://") != std::string::npos || url.starts_with("memory:")) return url;
  std::error_code error;
  const fs::path path = fs::absolute(url, error).lexically_normal();
  if (!error) return path.string();
  return absl::UnavailableError(absl::StrFormat("finding %s: %s", url, error.message()));
}

absl::StatusOr<std::string> ProgramPath() {
  std::error_code error;
  const fs::path path = fs::read_symlink("/proc/self/exe", error);
  if (!error) return path.string();
  return absl::UnavailableError(
      absl::StrFormat("finding the path of this program: %s", error.message()));
}

// All of it is written into files that hold no other text.
absl::Status CheckText(const McpServer& server) {
  std::vector<std::string> texts = server.args;
  texts.push_back(server.command);
  for (const std::string& text : texts) {
    const bool control = std::ranges::any_of(
        text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
    if (control || !IsUtf8(text)) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "\"%s\" cannot be written into a configuration: it is not UTF-8 without control "
          "characters",
          text));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<McpServer> ThisServer(Context& context) {
  McpServer server{.name = kName};
  AIMEM_ASSIGN_OR_RETURN(server.command, ProgramPath());
  AIMEM_ASSIGN_OR_RETURN(const std::string db, DatabaseArgument(context));
  server.args = {"--db", db};
  if (context.agent_id) {
    AIMEM_ASSIGN_OR_RETURN(const std::string agent, AgentIdentity(context.agent_id));
    server.args.insert(server.args.end(), {"--agent-id", agent});
  }
  server.args.emplace_back("mcp");
  AIMEM_RETURN_IF_ERROR(CheckText(server));
  return server;
}

absl::StatusOr<std::unique_ptr<ClientConfig>> Parse(const Client& client, const fs::path& path,
                                                    std::string text) {
  auto config = client.format == Format::kToml ? ParseTomlConfig(std::move(text))
                                               : ParseJsonConfig(std::move(text), client.with_type);
  if (config.ok()) return config;
  return MakeStatus(
      config.status().code(),
      absl::StrFormat("%s is left as it is: %s", path.string(), ToStd(config.status().message())));
}

bool Runs(const McpServer& server, std::string_view program) {
  return fs::path(server.command).filename() == program;
}

std::vector<std::string> UpstreamServers(const ClientConfig& config) {
  std::vector<std::string> names;
  for (const McpServer& server : config.Servers()) {
    if (Runs(server, kUpstream)) names.push_back(server.name);
  }
  return names;
}

// Servers of ai-memory keep names, arguments and environment: prompts and permissions name them.
absl::Status Replace(Context& context, const std::vector<std::string>& names,
                     ClientConfig& config) {
  if (context.db) {
    return absl::InvalidArgumentError(
        "--replace keeps the arguments of the server that is there: leave --db out, or change them "
        "in the file");
  }
  AIMEM_ASSIGN_OR_RETURN(const std::string program, ProgramPath());
  AIMEM_RETURN_IF_ERROR(CheckText({.name = kName, .command = program}));
  for (const std::string& name : names) {
    AIMEM_RETURN_IF_ERROR(config.SetCommand(name, program));
  }
  return absl::OkStatus();
}

absl::Status Install(Context& context, const InstallCommand& command, ClientConfig& config) {
  const std::vector<std::string> upstream = UpstreamServers(config);
  if (command.replace && !upstream.empty()) return Replace(context, upstream, config);
  if (command.replace) {
    return absl::NotFoundError("it has no server that runs ai-memory: leave --replace out");
  }
  if (!upstream.empty()) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "it has the server \"%s\", which runs ai-memory: with --replace that one runs aimem, and "
        "keeps its name and arguments",
        upstream[0]));
  }
  AIMEM_ASSIGN_OR_RETURN(const McpServer server, ThisServer(context));
  return config.Put(server);
}

// Only what an installation has put or replaced becomes what it was: whatever else has changed
// since stays, and so does a server of our name that runs another program.
absl::Status Undo(const ClientConfig& before, ClientConfig& config) {
  const std::vector<std::string> replaced = UpstreamServers(before);
  std::vector<std::string> names;
  for (const McpServer& server : config.Servers()) {
    const bool was_replaced =
        std::find(replaced.begin(), replaced.end(), server.name) != replaced.end();
    if (Runs(server, kName) && (server.name == kName || was_replaced)) names.push_back(server.name);
  }
  if (names.empty()) return absl::NotFoundError("there is nothing to undo in it");
  for (const std::string& name : names) {
    AIMEM_RETURN_IF_ERROR(config.TakeBack(name, before));
  }
  return absl::OkStatus();
}

fs::path BackupOf(const fs::path& path) { return path.string() + ".aimem-backup"; }

/// A change of one file; absent: there is none.
struct Change {
  fs::path path;
  std::optional<std::string> before, after;

  [[nodiscard]] std::string Diff() const {
    return UnifiedDiff(path.string(), before.value_or(""), after.value_or(""));
  }
};

absl::StatusOr<Change> MakeChange(Context& context, const InstallCommand& command,
                                  const Client& client) {
  Change change;
  AIMEM_ASSIGN_OR_RETURN(change.path, ConfigPath(command, client));
  AIMEM_ASSIGN_OR_RETURN(change.before, ReadTextFile(change.path));
  AIMEM_ASSIGN_OR_RETURN(const auto config, Parse(client, change.path, change.before.value_or("")));
  absl::Status status;
  bool made_by_us = false;
  if (command.undo) {
    AIMEM_ASSIGN_OR_RETURN(const auto backup, ReadTextFile(BackupOf(change.path)));
    AIMEM_ASSIGN_OR_RETURN(const auto old,
                           Parse(client, BackupOf(change.path), backup.value_or("")));
    status = Undo(*old, *config);
    // Before the installation there was none.
    made_by_us = backup && backup->empty() && !config->HasContent();
  } else {
    status = Install(context, command, *config);
  }
  if (!status.ok()) {
    return MakeStatus(
        status.code(),
        absl::StrFormat("%s is left as it is: %s", change.path.string(), ToStd(status.message())));
  }
  if (!made_by_us) change.after = config->text();
  return change;
}

absl::Status Remove(const fs::path& path) {
  std::error_code error;
  fs::remove(path, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(absl::StrFormat("removing %s: %s", path.string(), error.message()));
}

absl::Status Make(const Change& change, bool undo) {
  AIMEM_ASSIGN_OR_RETURN(const auto now, ReadTextFile(change.path));
  if (now != change.before) {
    return absl::AbortedError(absl::StrFormat(
        "%s was changed meanwhile, and is left as it is: try again", change.path.string()));
  }
  // What was there before the first of several installations is what undoing leads back to.
  AIMEM_ASSIGN_OR_RETURN(const auto backup, ReadTextFile(BackupOf(change.path)));
  if (!undo && !backup) {
    AIMEM_RETURN_IF_ERROR(WriteTextFile(BackupOf(change.path), change.before.value_or("")));
  }
  AIMEM_RETURN_IF_ERROR(change.after ? WriteTextFile(change.path, *change.after)
                                     : Remove(change.path));
  return undo ? Remove(BackupOf(change.path)) : absl::OkStatus();
}

void TellJson(Context& context, const Client& client, const Change& change, bool written) {
  context.out << JsonObject()
                     .Text("client", client.name)
                     .Text("config", change.path.string())
                     .Text("diff", change.Diff())
                     .Bool("written", written)
                     .Build()
              << '\n';
}

// What is asked is asked with the change before one's eyes.
absl::StatusOr<bool> MayWrite(Context& context, const InstallCommand& command,
                              const Change& change) {
  const std::string diff = change.Diff();
  if (!context.json && diff.empty()) context.out << "nothing to change: " << change.path.string();
  if (!context.json) context.out << diff << std::flush;
  if (diff.empty() || command.dry_run) return false;
  if (command.yes) return true;
  if (!context.confirm) {
    return absl::FailedPreconditionError(
        "nothing was written: give --yes, for nobody can be asked");
  }
  if (context.confirm(absl::StrCat("write this to ", change.path.string(), "?"))) return true;
  context.err << "nothing was written\n";
  context.exit_code = 1;
  return false;
}

absl::Status PrintSnippet(Context& context) {
  AIMEM_ASSIGN_OR_RETURN(const McpServer server, ThisServer(context));
  AIMEM_ASSIGN_OR_RETURN(const auto config, ParseJsonConfig("", /*with_type=*/false));
  AIMEM_RETURN_IF_ERROR(config->Put(server));
  context.out << config->text();
  return absl::OkStatus();
}

}  // namespace

absl::Status RunInstall(Context& context, const InstallCommand& command) {
  AIMEM_ASSIGN_OR_RETURN(const Client client, FindClient(command.client));
  if (client.file.empty() && !command.config) {
    if (!command.undo && !command.replace) return PrintSnippet(context);
    return absl::InvalidArgumentError("which file? Name it: --config FILE");
  }
  AIMEM_ASSIGN_OR_RETURN(const Change change, MakeChange(context, command, client));
  AIMEM_ASSIGN_OR_RETURN(const bool write, MayWrite(context, command, change));
  if (write) AIMEM_RETURN_IF_ERROR(Make(change, command.undo));
  if (context.json) TellJson(context, client, change, write);
  if (write && !context.json) {
    context.out << (change.after ? "written: " : "removed: ") << change.path.string()
                << "\nThe client reads it when it starts the next time.\n";
  }
  return absl::OkStatus();
}

}  // namespace aimem::cli
