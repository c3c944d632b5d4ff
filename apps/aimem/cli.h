// What the commands of the program are given: their options as plain values, and a context.
//
// commands.cc fills the options from the command line; the functions at the end run them. A
// function returns an error to be told on stderr (exit 1), or sets Context::exit_code itself.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/open.h"
#include "aimem/store.h"

namespace aimem::cli {

struct Context {
  /// How the program was called: "aimem", or "ai-memory" by a link of that name.
  std::string program = "aimem";
  std::ostream& out;
  std::ostream& err;
  absl::Time now;
  bool colour = false;
  /// Ask whoever sits at the terminal; null: nobody does.
  std::function<bool(std::string_view question)> confirm = nullptr;

  // -- Global options -----------------------------------------------------------------------------
  std::optional<std::string> db;        ///< --db
  std::optional<std::string> agent_id;  ///< --agent-id before the command: who writes
  bool json = false;

  int exit_code = 0;
};

/// An open store that is closed at the end of the scope; what Close has to tell goes to stderr.
class Session {
 public:
  Session(Context& context, std::unique_ptr<Store> store)
      : context_(&context), store_(std::move(store)) {}
  Session(Session&&) = default;
  Session& operator=(Session&&) = delete;
  ~Session();

  Store& operator*() const { return *store_; }
  Store* operator->() const { return store_.get(); }

 private:
  Context* context_;
  std::unique_ptr<Store> store_;
};

enum class Access {
  kCreate,    ///< Read and write; made if absent.
  kChange,    ///< Read and write; if absent, an empty store that is not kept.
  kRead,      ///< Read only; if absent, an empty store that is not kept.
  kExisting,  ///< Read only; absent: an error.
  kSettle  ///< Read, and make durable what is read, if the file may be written; absent: an error.
};

/// Open the database that flag or environment name. An absent one is told on stderr.
absl::StatusOr<Session> OpenDatabase(Context& context, Access access);

/// Write one batch under the caller's identity; results have their memories. An error names what to
/// do; an outcome that is not known yet is told on stderr, with the operation id, and so is a
/// database that does not answer.
absl::StatusOr<WriteResult> Execute(Context& context, Store& store, WriteBatch batch,
                                    const std::string& request_id);
/// The same for one item: its result.
absl::StatusOr<ItemResult> ExecuteOne(Context& context, Store& store, WriteItem item,
                                      const std::string& request_id);

/// Say of a change that it waits for approval (ItemEffect::kQueued), which is no failure.
void TellQueued(Context& context, Store& store, const std::string& pending_id);

/// The failure of a command that looked for one memory by the id that its caller gave: that there
/// is none is an answer, not a fault. TellError says it as it is, without "Error: ".
absl::Status PlainIfMissing(absl::Status status);
bool IsPlain(const absl::Status& status);

// -- Options of the commands ----------------------------------------------------------------------

struct FilterFlags {
  std::optional<std::string> namespace_, tier, since, until, agent_id, as_agent;
  std::string tags;
};

struct StoreCommand {
  std::string title, content;
  std::string tier = "mid";
  std::optional<std::string> namespace_;
  std::string tags;
  std::int64_t priority = 5;
  double confidence = 1.0;
  std::string source = "cli";
  std::optional<std::string> expires_at, scope;
  std::optional<std::int64_t> ttl_seconds;
  std::string request_id;
  bool no_similar = false;
};

struct UpdateCommand {
  std::string id;
  std::optional<std::string> title, content, tier, namespace_, tags, expires_at;
  std::optional<std::int64_t> priority;
  std::optional<double> confidence;
  std::string request_id;
};

struct GetCommand {
  std::string id;
};

struct ListCommand {
  FilterFlags filter;
  bool newest = false;
  std::int64_t limit = 20;
  std::int64_t offset = 0;
};

struct SearchCommand {
  std::string query;
  FilterFlags filter;
  std::int64_t limit = 20;
};

struct RecallCommand {
  std::string context;
  FilterFlags filter;
  std::int64_t limit = 10;
  std::optional<std::int64_t> budget_tokens;
  std::string feature_tier = "keyword";
  std::string context_tokens;
  double min_relevance = 0;
  std::optional<std::string> now;
  bool explain = false;
};

struct BootCommand {
  std::optional<std::string> namespace_;
  std::int64_t limit = 10;
  std::int64_t budget_tokens = 2'000;
  std::string format = "text";
};

struct IdCommand {
  std::string id;
  std::string request_id;
};

struct DeleteCommand {
  std::string id;
  bool erase = false;
  bool yes = false;
  std::string request_id;
};

struct PromoteCommand {
  std::string id, to_namespace, request_id;
};

struct ForgetCommand {
  std::optional<std::string> namespace_, pattern, tier;
  std::string request_id;
};

struct LinkCommand {
  std::string source, target;
  std::string relation = "related_to";
  std::string request_id;
};

struct ResolveCommand {
  std::string winner, loser, request_id;
};

struct ConsolidateCommand {
  std::string ids, title, summary;
  std::optional<std::string> namespace_;
  std::string request_id;
};

struct ArchiveListCommand {
  std::optional<std::string> namespace_;
  std::int64_t limit = 50;
  std::int64_t offset = 0;
};

struct PendingListCommand {
  std::optional<std::string> status;
  std::int64_t limit = 100;
};

struct PurgeCommand {
  std::optional<std::int64_t> older_than_days;
  std::string request_id;
};

struct RegisterCommand {
  std::string agent_id, agent_type, capabilities, request_id;
};

struct OperationCommand {
  std::string id;
  bool wait = false;
  std::string server = "http://127.0.0.1:9077";
  std::string api_key_file;
};

struct DoctorCommand {
  bool reindex = false;
};

struct ImportCommand {
  bool trust_source = false;
  std::string request_id;
};

struct MigrateCommand {
  std::string from, to;
  std::int64_t batch = 1'000;
  std::optional<std::string> namespace_;
  bool dry_run = false;
  bool verify = false;
};

struct BackupCommand {
  std::string to = "./backups";
  std::int64_t keep = 48;
};

struct RestoreCommand {
  std::string from;
  bool skip_verify = false;
  bool force = false;
};

struct GcCommand {
  std::string request_id;
};

struct CertInitCommand {
  std::string directory;
};

struct CertIssueCommand {
  std::string directory, name;
  std::vector<std::string> hosts;
  std::optional<std::int64_t> days;
};

struct McpCommand {
  std::string profile = "standard";
  std::string tier;
  bool verbose = false;
};

struct InstallCommand {
  std::string client;
  std::optional<std::string> config;
  bool replace = false;
  bool undo = false;
  bool dry_run = false;
  bool yes = false;
};

struct ServeCommand {
  std::string host = "127.0.0.1";
  std::int64_t port = 9077;
  std::string api_key_file;
  std::vector<std::string> allow_hosts;
  std::optional<std::int64_t> quorum_writes;
  std::string quorum_peers;
  std::int64_t quorum_timeout_ms = 2'000;
  std::int64_t similar_timeout_ms = 100;
  std::optional<std::string> replication_listen;
  std::string replication_advertise, replication_ca, replication_cert, replication_key;
  std::int64_t max_clock_ahead_seconds = 60;
  std::int64_t shutdown_grace_seconds = 30;
  std::int64_t log_max_bytes = 0;
  bool insecure = false;
  bool verbose = false;
};

// -- The commands ---------------------------------------------------------------------------------

absl::Status RunStore(Context& context, const StoreCommand& command);
absl::Status RunUpdate(Context& context, const UpdateCommand& command);
absl::Status RunGet(Context& context, const GetCommand& command);
absl::Status RunList(Context& context, const ListCommand& command);
absl::Status RunSearch(Context& context, const SearchCommand& command);
absl::Status RunRecall(Context& context, const RecallCommand& command);
absl::Status RunDelete(Context& context, const DeleteCommand& command);
absl::Status RunPromote(Context& context, const PromoteCommand& command);
absl::Status RunForget(Context& context, const ForgetCommand& command);
absl::Status RunLink(Context& context, const LinkCommand& command);
absl::Status RunResolve(Context& context, const ResolveCommand& command);
absl::Status RunConsolidate(Context& context, const ConsolidateCommand& command);

absl::Status RunBoot(Context& context, const BootCommand& command);

absl::Status RunArchiveList(Context& context, const ArchiveListCommand& command);
absl::Status RunArchiveRestore(Context& context, const IdCommand& command);
absl::Status RunArchivePurge(Context& context, const PurgeCommand& command);
absl::Status RunArchiveStats(Context& context);

absl::Status RunPendingList(Context& context, const PendingListCommand& command);
absl::Status RunPendingApprove(Context& context, const IdCommand& command);
absl::Status RunPendingReject(Context& context, const IdCommand& command);

absl::Status RunExport(Context& context);
absl::Status RunImport(Context& context, const ImportCommand& command);
absl::Status RunMigrate(Context& context, const MigrateCommand& command);

absl::Status RunBackup(Context& context, const BackupCommand& command);
absl::Status RunBackupList(Context& context, const BackupCommand& command);
absl::Status RunRestore(Context& context, const RestoreCommand& command);

absl::Status RunStats(Context& context);
absl::Status RunNamespaces(Context& context);
absl::Status RunConflicts(Context& context);
absl::Status RunAgentsList(Context& context);
absl::Status RunAgentsRegister(Context& context, const RegisterCommand& command);
absl::Status RunGc(Context& context, const GcCommand& command);
absl::Status RunOperation(Context& context, const OperationCommand& command);
absl::Status RunDoctor(Context& context, const DoctorCommand& command);

absl::Status RunCertInit(Context& context, const CertInitCommand& command);
absl::Status RunCertIssue(Context& context, const CertIssueCommand& command);

absl::Status RunMcp(Context& context, const McpCommand& command);
absl::Status RunInstall(Context& context, const InstallCommand& command);

absl::Status RunServe(Context& context, const ServeCommand& command);

/// Parse the command line and run what it asks for: the exit code.
int RunCommandLine(Context& context, int argc, const char* const* argv);

}  // namespace aimem::cli
