// mcp: the database for an agent, over standard input and output.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "aimem/intents.h"
#include "aimem/services/mcp.h"
#include "aimem/version.h"
#include "apps/aimem/cli.h"
#include "apps/aimem/config.h"
#include "apps/aimem/error_log.h"
#include "apps/aimem/signals.h"
#include "lib/base/status.h"

namespace aimem::cli {
namespace {

absl::StatusOr<McpProfile> ProfileOf(const std::string& text) {
  if (text == "standard") return McpProfile::kStandard;
  if (text == "core") return McpProfile::kCore;
  return absl::InvalidArgumentError(
      absl::StrCat("--profile must be standard or core (got '", text, "')"));
}

absl::StatusOr<McpOptions> MakeOptions(Context& context, const McpCommand& command, LogSink& log) {
  McpOptions options;
  AIMEM_ASSIGN_OR_RETURN(options.profile, ProfileOf(command.profile));
  AIMEM_ASSIGN_OR_RETURN(const ClaimedIdentity identity, IdentityOfAgents(context.agent_id));
  options.agent_id = identity.claimed;
  options.host_name = identity.host;
  options.fallback_agent_id = identity.fallback;
  options.version = AIMEM_VERSION;
  options.environment.log = &log;
  AIMEM_RETURN_IF_ERROR(Validate(options));
  return options;
}

// What a library prints must not come between the messages: from now on descriptor 1 is standard
// error, and the client's end is one that nobody else knows.
absl::StatusOr<int> TakeStandardOutput() {
  const int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  if (out < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
    return absl::UnavailableError(
        absl::StrCat("standard output cannot be used: ", std::strerror(errno)));
  }
  return out;
}

}  // namespace

absl::Status RunMcp(Context& context, const McpCommand& command) {
  const StopSignals stop;
  AIMEM_ASSIGN_OR_RETURN(const int ended, stop.Descriptor());
  ErrorLog log(STDERR_FILENO, command.verbose);
  AIMEM_ASSIGN_OR_RETURN(const McpOptions options, MakeOptions(context, command, log));
  OpenOptions open;
  open.store.environment.log = &log;
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store,
                         OpenStore(DatabaseUrl(context.db), open));
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<ExpiryService> expiry,
                         StartExpiry(*store, {.environment = {.log = &log}}));
  AIMEM_ASSIGN_OR_RETURN(const int out, TakeStandardOutput());
  if (!command.tier.empty() && command.tier != "keyword") {
    log.Log(LogLevel::kInfo, absl::StrCat("there are no models in this version: tier ",
                                          command.tier, " is keyword"));
  }
  const absl::Status served = ServeMcp(*store, options, STDIN_FILENO, out, ended);
  // The signal that ended it is over; the next one ends the process, whatever it waits for.
  while (stop.Wait(absl::ZeroDuration()) != 0) {
  }
  stop.Release();
  expiry->Stop();
  absl::Status closed = store->Close();
  AIMEM_RETURN_IF_ERROR(served);
  return closed;
}

}  // namespace aimem::cli
