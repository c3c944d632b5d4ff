// export, import, migrate.
#include <poll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <istream>
#include <streambuf>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/transfer.h"
#include "apps/aimem/cli.h"
#include "apps/aimem/config.h"
#include "apps/aimem/output.h"
#include "apps/aimem/signals.h"
#include "lib/base/status.h"
#include "lib/transfer/json_text.h"

namespace aimem::cli {
namespace {

// Standard input that ends when the run is cancelled: who waits for a document that does not come
// can leave.
class StandardInput final : public std::streambuf {
 public:
  explicit StandardInput(const std::atomic<bool>& cancelled) : cancelled_(cancelled) {}

  /// errno of a read that failed; 0: none.
  [[nodiscard]] int error() const { return error_; }

 protected:
  int_type underflow() override {
    while (!cancelled_.load()) {
      pollfd waiting{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
      if (poll(&waiting, 1, kLookAtSignalsMs) <= 0) continue;
      const ssize_t n = read(STDIN_FILENO, buffer_.data(), buffer_.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) error_ = errno;
      if (n <= 0) break;
      setg(buffer_.data(), buffer_.data(), buffer_.data() + n);
      return traits_type::to_int_type(buffer_[0]);
    }
    return traits_type::eof();
  }

 private:
  static constexpr int kLookAtSignalsMs = 100;
  const std::atomic<bool>& cancelled_;
  std::array<char, 1u << 16> buffer_;
  int error_ = 0;
};

// Why an import failed, seen from here: a document cut short by a signal is not malformed.
absl::Status ExplainImport(const absl::Status& status, const StandardInput& input,
                           const CancelOnSignals& signals) {
  if (input.error() != 0) {
    return absl::UnavailableError(
        absl::StrFormat("reading standard input: %s", std::strerror(input.error())));
  }
  if (signals.flag().load() && absl::IsInvalidArgument(status)) {
    return absl::CancelledError("stopped while reading the document: nothing was imported");
  }
  return status;
}

std::string ReadWrittenJson(const MigrateReport::ReadWritten& count) {
  return JsonObject().Int("read", count.read).Int("written", count.written).Build();
}

std::string ReportJson(const MigrateCommand& command, const MigrateReport& report) {
  JsonObject object;
  object.Text("from_url", MaskUrl(command.from))
      .Text("to_url", MaskUrl(command.to))
      .Int("memories_read", report.memories_read)
      .Int("memories_written", report.memories_written)
      .Int("batches", report.batches)
      .Raw("errors", JsonStrings(report.errors))
      .Bool("dry_run", command.dry_run)
      .Int("rows_changed", report.rows_changed)
      .Raw("kinds", JsonObject()
                        .Raw("archived", ReadWrittenJson(report.archived))
                        .Raw("gone", ReadWrittenJson(report.gone))
                        .Raw("links", ReadWrittenJson(report.links))
                        .Raw("standards", ReadWrittenJson(report.standards))
                        .Raw("others", ReadWrittenJson(report.others))
                        .Build());
  if (report.verify) {
    object.Raw("verify", JsonObject()
                             .Int("missing", report.verify->missing)
                             .Int("different", report.verify->different)
                             .Int("extra", report.verify->extra)
                             .Build());
  }
  return transfer::PrettyJson(object.Build());
}

void ShowReport(Context& context, const MigrateCommand& command, const MigrateReport& report) {
  const auto line = [&](std::string_view name, std::string_view value) {
    context.out << absl::StrFormat("  %-20s%s\n", name, value);
  };
  const auto counts = [&](std::string_view name, const MigrateReport::ReadWritten& count) {
    if (count.read == 0 && count.written == 0) return;
    line(name, absl::StrFormat("%d read, %d written", count.read, count.written));
  };
  context.out << "migration report\n";
  line("from:", MaskUrl(command.from));
  line("to:", MaskUrl(command.to));
  line("memories_read:", std::to_string(report.memories_read));
  line("memories_written:", std::to_string(report.memories_written));
  counts("archived:", report.archived);
  counts("gone:", report.gone);
  counts("links:", report.links);
  counts("standards:", report.standards);
  counts("others:", report.others);
  line("rows_changed:", std::to_string(report.rows_changed));
  line("batches:", std::to_string(report.batches));
  line("dry_run:", command.dry_run ? "true" : "false");
  if (report.verify) {
    line("verify:", absl::StrFormat("%d missing, %d different, %d extra", report.verify->missing,
                                    report.verify->different, report.verify->extra));
  }
  line("errors:", std::to_string(report.errors.size()));
  for (const std::string& error : report.errors) context.out << "    - " << error << '\n';
}

absl::StatusOr<Session> OpenSource(Context& context, const std::string& url) {
  OpenOptions options;
  options.create = false;
  options.read_only = true;
  AIMEM_ASSIGN_OR_RETURN(auto store, OpenStore(url, options));
  return Session(context, std::move(store));
}

absl::StatusOr<Session> OpenDestination(Context& context, const MigrateCommand& command) {
  OpenOptions options;
  options.create = !command.dry_run;
  options.read_only = command.dry_run;
  auto store = OpenStore(command.to, options);
  // What would be copied to a place where nothing is yet can be told without making it.
  if (command.dry_run && absl::IsNotFound(store.status())) store = OpenStore("memory:");
  AIMEM_RETURN_IF_ERROR(store.status());
  return Session(context, *std::move(store));
}

absl::Status MigrateStatus(const MigrateReport& report) {
  if (!report.errors.empty()) {
    return absl::DataLossError(
        absl::StrFormat("migration completed with %d error(s)", report.errors.size()));
  }
  if (report.verify && (report.verify->missing > 0 || report.verify->different > 0)) {
    return absl::DataLossError(
        absl::StrFormat("verification found %d missing and %d different: run the migration again",
                        report.verify->missing, report.verify->different));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunExport(Context& context) {
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kExisting));
  const absl::Status status = ExportJson(*store, context.now, context.out);
  // A failed stream is told by whoever owns it, with the reason.
  return context.out.good() ? status : absl::OkStatus();
}

absl::Status RunImport(Context& context, const ImportCommand& command) {
  ImportOptions options;
  options.trust_source = command.trust_source;
  options.write.request_id = command.request_id;
  AIMEM_ASSIGN_OR_RETURN(options.write.agent_id, AgentIdentity(context.agent_id));
  if (command.trust_source) {
    context.err << "warning: --trust-source: agent ids are taken over as the document claims\n";
  }
  const CancelOnSignals signals;
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kCreate));
  ImportReport report;
  absl::Status status;
  {
    ProgressLine progress("importing", context.err);
    options.progress = progress.callback();
    options.cancel = &signals.flag();
    StandardInput input(signals.flag());
    std::istream in(&input);
    status = ExplainImport(ImportJson(in, *store, options, report), input, signals);
  }
  for (const std::string& warning : report.warnings) context.err << "warning: " << warning << '\n';
  if (absl::IsCancelled(status)) context.exit_code = signals.ExitCode();
  AIMEM_RETURN_IF_ERROR(status);
  if (context.json) {
    context.out << JsonObject()
                       .Int("imported", report.imported)
                       .Int("restamped", report.restamped)
                       .Int("links", report.links)
                       .Bool("trusted_source", command.trust_source)
                       .Raw("errors", JsonStrings(report.errors))
                       .Build()
                << '\n';
    return absl::OkStatus();
  }
  context.out << absl::StrFormat("imported: %d (restamped agent_id on %d)\n", report.imported,
                                 report.restamped);
  for (const std::string& error : report.errors) context.err << "  " << error << '\n';
  return absl::OkStatus();
}

absl::Status RunMigrate(Context& context, const MigrateCommand& command) {
  MigrateOptions options;
  options.batch = command.batch;
  options.namespace_ = command.namespace_;
  options.dry_run = command.dry_run;
  options.verify = command.verify;
  if (command.from == command.to) {
    return absl::InvalidArgumentError("--from and --to name the same store");
  }
  const CancelOnSignals signals;
  AIMEM_ASSIGN_OR_RETURN(const Session from, OpenSource(context, command.from));
  AIMEM_ASSIGN_OR_RETURN(const Session to, OpenDestination(context, command));
  MigrateReport report;
  absl::Status status;
  {
    ProgressLine progress("migrating", context.err);
    options.progress = progress.callback();
    options.cancel = &signals.flag();
    status = Migrate(*from, *to, options, report);
  }
  if (absl::IsInvalidArgument(status)) return status;
  if (!status.ok()) report.errors.emplace_back(status.message());
  if (context.json) {
    context.out << ReportJson(command, report) << '\n';
  } else {
    ShowReport(context, command, report);
  }
  if (absl::IsCancelled(status)) {
    context.exit_code = signals.ExitCode();
    return status;
  }
  return MigrateStatus(report);
}

}  // namespace aimem::cli
