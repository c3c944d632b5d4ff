// Server: what is answered to whom. It knows no transport.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "aimem/services/mcp.h"
#include "aimem/store.h"
#include "services/mcp/resources.h"
#include "services/mcp/revision.h"
#include "services/mcp/rpc.h"
#include "services/mcp/tool.h"

namespace aimem::mcp {

/// What `initialize` has agreed on; of a stateless request, what that says itself.
struct Speaker {
  Revision revision = Revision::k2024_11;  // upstream demands no initialize
  std::string client;    ///< What the client calls itself; empty: it does not say.
  std::string agent_id;  ///< Who it is, where the transport says so; else empty.
};

/// Thread-safe.
class Server {
 public:
  /// `store` must outlive it. `options` are valid. `tells`: the transport has a ResourceWatch.
  Server(Store& store, McpOptions options, bool tells = false);

  /// `request` is of the stateless revision: it says so itself, or asks what only that has.
  [[nodiscard]] static bool IsStateless(const Request& request);

  /// What is wrong with what a stateless request says of itself; nullopt: nothing.
  [[nodiscard]] static std::optional<RpcError> CheckStateless(const Request& request);

  /// What `initialize` answers, and what `speaker` is from then on.
  Json Initialize(const Json& params, Speaker& speaker) const;
  /// What any other request is answered, or a stateless one, of which `speaker` says no more than
  /// who it is. `stop`: it was cancelled, nobody waits
  /// for what it returns.
  Outcome Answer(const Request& request, const Speaker& speaker, const std::stop_token& stop) const;

  [[nodiscard]] const McpOptions& options() const { return options_; }

 private:
  Outcome AnswerStateless(const Request& request, const std::string& agent_id,
                          const std::stop_token& stop) const;
  Outcome Dispatch(const Request& request, const Speaker& speaker,
                   const std::stop_token& stop) const;
  Outcome AnswerResources(const Request& request, const Speaker& speaker,
                          const std::stop_token& stop) const;
  [[nodiscard]] Json ListTools(Revision revision) const;
  Outcome CallTool(const Json& params, const Speaker& speaker, const std::stop_token& stop) const;
  [[nodiscard]] Json RunTool(const Tool& tool, const Json& params, const Json& arguments,
                             const Speaker& speaker, const std::stop_token& stop) const;
  [[nodiscard]] std::string CallerOf(const Speaker& speaker) const;
  [[nodiscard]] Json Capabilities(Revision revision) const;
  [[nodiscard]] Json ServerInfo(Revision revision) const;
  [[nodiscard]] const Tool* Find(std::string_view name) const;

  Store& store_;
  const McpOptions options_;
  const bool tells_;
  std::vector<const Tool*> tools_;  // of the profile, in the order of the list
};

}  // namespace aimem::mcp
