// cert init, cert issue.
#include "absl/strings/str_format.h"
#include "aimem/replication/certificates.h"
#include "apps/aimem/cli.h"
#include "apps/aimem/output.h"
#include "lib/base/status.h"

namespace aimem::cli {

absl::Status RunCertInit(Context& context, const CertInitCommand& command) {
  AIMEM_RETURN_IF_ERROR(InitCertificateAuthority(command.directory));
  const std::string ca = command.directory + "/ca.pem";
  const std::string key = command.directory + "/ca.key";
  if (context.json) {
    context.out << JsonObject().Text("ca", ca).Text("ca_key", key).Build() << '\n';
    return absl::OkStatus();
  }
  context.out << absl::StrFormat(
      "wrote %s: the authority's certificate; every member needs it\n"
      "wrote %s: its key; keep it here, no member needs it\n"
      "next: %s cert issue %s NAME, once for each member\n",
      ca, key, context.program, command.directory);
  return absl::OkStatus();
}

absl::Status RunCertIssue(Context& context, const CertIssueCommand& command) {
  CertificateRequest request;
  request.name = command.name;
  request.hosts = command.hosts;
  if (command.days) {
    // Checked here, so that the message names what was given.
    if (*command.days < 1 || *command.days > 3'650) {
      return absl::InvalidArgumentError(
          absl::StrFormat("--days %d is not in [1, 3650]", *command.days));
    }
    request.lifetime = absl::Hours(24 * *command.days);
  }
  AIMEM_RETURN_IF_ERROR(IssueCertificate(command.directory, request));
  const std::string stem = command.directory + "/" + command.name;
  const std::int64_t days = absl::ToInt64Hours(request.lifetime) / 24;
  if (context.json) {
    context.out << JsonObject()
                       .Text("certificate", stem + ".pem")
                       .Text("key", stem + ".key")
                       .Text("uri", "aimem://static/" + command.name)
                       .Int("days", days)
                       .Build()
                << '\n';
    return absl::OkStatus();
  }
  context.out << absl::StrFormat(
      "wrote %s.pem and %s.key: aimem://static/%s, valid for %d days\n"
      "next: copy both and %s/ca.pem to the member, and name them when it serves\n",
      stem, stem, command.name, days, command.directory);
  return absl::OkStatus();
}

}  // namespace aimem::cli
