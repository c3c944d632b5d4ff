// The configuration file of an MCP client, as text that is changed where it must be and nowhere
// else: what people and clients wrote beside it stays byte for byte.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace aimem::cli {

/// How a client starts a server.
struct McpServer {
  std::string name;
  std::string command;
  std::vector<std::string> args;
};

class ClientConfig {
 public:
  virtual ~ClientConfig() = default;

  /// The servers that it has, by name and command; `args` is empty, and so is a command that is
  /// none.
  [[nodiscard]] virtual std::vector<McpServer> Servers() const = 0;
  /// Add `server`, or give the one of its name this command and these arguments; what else that one
  /// has stays. kFailedPrecondition: it is written in a form that is not changed here.
  virtual absl::Status Put(const McpServer& server) = 0;
  /// Change the command of the server `name`, which is there, and nothing else of it.
  virtual absl::Status SetCommand(const std::string& name, const std::string& command) = 0;
  /// Make the server `name` what it is in `before`, a configuration of the same format: gone, if it
  /// has none.
  virtual absl::Status TakeBack(const std::string& name, const ClientConfig& before) = 0;
  /// False: nothing is left in it but its frame.
  [[nodiscard]] virtual bool HasContent() const = 0;

  [[nodiscard]] const std::string& text() const { return text_; }

 protected:
  explicit ClientConfig(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

/// An object with a member `mcpServers`. `with_type`: servers that are added say that they are
/// spoken to by stdio. Blank text is an empty object. kInvalidArgument: not JSON, or not of that
/// shape.
absl::StatusOr<std::unique_ptr<ClientConfig>> ParseJsonConfig(std::string text, bool with_type);

/// TOML with a table `mcp_servers.NAME` a server. kInvalidArgument: not TOML.
absl::StatusOr<std::unique_ptr<ClientConfig>> ParseTomlConfig(std::string text);

}  // namespace aimem::cli
