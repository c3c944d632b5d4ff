// The command line: which words and flags there are, what they are called in the help, and which
// function runs. The only file that knows CLI11.
#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "aimem/version.h"
#include "apps/aimem/cli.h"
#include "lib/base/status.h"

namespace aimem::cli {
namespace {

using Action = std::function<absl::Status(Context&)>;

// Strings and numbers are taken as they were typed: an empty string is a value, and 010 is ten.
CLI::Option* Text(CLI::App& app, const std::string& names, std::string& target,
                  const std::string& help) {
  return app
      .add_option_function<std::string>(
          names, [&target](const std::string& text) { target = text; }, help)
      ->type_name("TEXT");
}

CLI::Option* Text(CLI::App& app, const std::string& names, std::optional<std::string>& target,
                  const std::string& help) {
  return app
      .add_option_function<std::string>(
          names, [&target](const std::string& text) { target = text; }, help)
      ->type_name("TEXT");
}

// As many as are given.
CLI::Option* Texts(CLI::App& app, const std::string& names, std::vector<std::string>& target,
                   const std::string& help) {
  return app.add_option(names, target, help)
      ->type_name("TEXT")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

template <typename Target>
CLI::Option* Integer(CLI::App& app, const std::string& names, Target& target,
                     const std::string& help) {
  const auto parse = [&target, names](const std::string& text) {
    std::int64_t value = 0;
    if (!absl::SimpleAtoi(text, &value)) throw CLI::ConversionError(text, names);
    target = value;
  };
  return app.add_option_function<std::string>(names, parse, help)->type_name("N");
}

template <typename Target>
CLI::Option* Number(CLI::App& app, const std::string& names, Target& target,
                    const std::string& help) {
  const auto parse = [&target, names](const std::string& text) {
    double value = 0;
    if (!absl::SimpleAtod(text, &value)) throw CLI::ConversionError(text, names);
    target = value;
  };
  return app.add_option_function<std::string>(names, parse, help)->type_name("X");
}

/// Adds the commands to an App, one function a command; the one that is called leaves its action.
class Commands {
 public:
  Commands(CLI::App& app, Action& action) : app_(app), action_(action) {}

  void AddAll() {
    AddStore();
    AddUpdate();
    AddGet();
    AddList();
    AddSearch();
    AddRecall();
    AddBoot();
    AddDelete();
    AddPromote();
    AddForget();
    AddLink();
    AddResolve();
    AddConsolidate();
    AddArchive();
    AddStats();
    AddNamespaces();
    AddConflicts();
    AddAgents();
    AddPending();
    AddGc();
    AddExport();
    AddImport();
    AddMigrate();
    AddBackup();
    AddRestore();
    AddOperation();
    AddDoctor();
    AddCert();
    AddMcp();
    AddInstall();
    AddServe();
  }

 private:
  // A command without options, or one whose options are in `options` when it runs.
  CLI::App& Add(CLI::App& parent, const std::string& name, const std::string& help, Action action,
                const std::string& examples) {
    CLI::App& command = *parent.add_subcommand(name, help);
    command.fallthrough();
    command.callback([this, action = std::move(action)] { action_ = action; });
    command.footer("\nExamples:\n" + examples);
    return command;
  }

  template <typename Options>
  std::pair<CLI::App&, Options&> Add(CLI::App& parent, const std::string& name,
                                     const std::string& help,
                                     absl::Status (*run)(Context&, const Options&),
                                     const std::string& examples) {
    auto options = std::make_shared<Options>();
    CLI::App& command = Add(
        parent, name, help, [run, options](Context& context) { return run(context, *options); },
        examples);
    return {command, *options};
  }

  static void RequestId(CLI::App& command, std::string& target) {
    Text(command, "--request-id", target,
         "Idempotency key: the same key and request have one effect and one answer");
  }

  static void TierOption(CLI::App& command, std::optional<std::string>& target) {
    Text(command, "-t,--tier", target, "Only this tier: short, mid or long");
  }

  static void Times(CLI::App& command, FilterFlags& filter) {
    Text(command, "--since", filter.since, "Created at this RFC 3339 time or later");
    Text(command, "--until", filter.until, "Created at this RFC 3339 time or earlier");
  }

  static void Tags(CLI::App& command, FilterFlags& filter) {
    Text(command, "--tags", filter.tags, "Only memories with all of these tags, a comma list");
  }

  void AddStore() {
    auto [command, o] = Add<StoreCommand>(
        app_, "store", "Store a memory, or update the one with its title", RunStore,
        "  aimem store -T \"Deploy window\" -c \"Tuesdays after 14:00 UTC\" -t long\n"
        "  aimem store -T Notes -c - --tags build,ci < notes.txt\n");
    Text(command, "-T,--title", o.title, "Title, unique in its namespace")->required();
    Text(command, "-c,--content", o.content, "Content; - reads standard input")->required();
    Text(command, "-t,--tier", o.tier, "short, mid or long [mid]");
    Text(command, "-n,--namespace", o.namespace_,
         "Namespace [name of the git repository, else of the directory]");
    Text(command, "--tags", o.tags, "Comma list");
    Integer(command, "-p,--priority", o.priority, "1 to 10 [5]");
    Number(command, "--confidence", o.confidence, "0.0 to 1.0 [1.0]");
    Text(command, "-S,--source", o.source,
         "user, claude, hook, api, cli, import, consolidation or system [cli]");
    Text(command, "--expires-at", o.expires_at, "RFC 3339 time in the future; wins over the ttl");
    Integer(command, "--ttl-secs", o.ttl_seconds, "Seconds to live, 1 to 31536000");
    Text(command, "--scope", o.scope, "private, team, unit, org or collective");
    command.add_flag("--no-similar", o.no_similar,
                     "Do not look for memories that may contradict it");
    RequestId(command, o.request_id);
  }

  void AddUpdate() {
    auto [command, o] =
        Add<UpdateCommand>(app_, "update", "Change the fields that are given", RunUpdate,
                           "  aimem update 1f3a0c2e -p 8 --tags build,ci\n"
                           "  aimem update 1f3a0c2e --expires-at \"\"        (never expires)\n");
    Text(command, "id", o.id, "Id or unique prefix")->required();
    Text(command, "-T,--title", o.title, "Title");
    Text(command, "-c,--content", o.content, "Content; - reads standard input");
    Text(command, "-t,--tier", o.tier, "short, mid or long; never goes down");
    Text(command, "-n,--namespace", o.namespace_, "Namespace");
    Text(command, "--tags", o.tags, "Comma list; replaces all");
    Integer(command, "-p,--priority", o.priority, "1 to 10");
    Number(command, "--confidence", o.confidence, "0.0 to 1.0");
    Text(command, "--expires-at", o.expires_at, "RFC 3339 time; \"\" clears it");
    RequestId(command, o.request_id);
  }

  void AddGet() {
    auto [command, o] = Add<GetCommand>(app_, "get", "Show a memory with its links", RunGet,
                                        "  aimem get 1f3a0c2e\n  aimem --json get 1f3a0c2e\n");
    Text(command, "id", o.id, "Id or unique prefix")->required();
  }

  void AddList() {
    auto [command, o] = Add<ListCommand>(
        app_, "list", "List memories, by priority and age", RunList,
        "  aimem list -n web --limit 50\n  aimem list --since 2026-01-01T00:00:00Z --tags ci\n"
        "  aimem list --newest --limit 5\n");
    Text(command, "-n,--namespace", o.filter.namespace_, "Only this namespace");
    TierOption(command, o.filter.tier);
    command.add_flag("--newest", o.newest, "The last ones made first, whatever their priority");
    Integer(command, "--limit", o.limit, "At most so many [20]");
    Integer(command, "--offset", o.offset, "Skip so many [0]");
    Times(command, o.filter);
    Tags(command, o.filter);
    Text(command, "--agent-id", o.filter.agent_id, "Only memories first stored by this agent");
  }

  void AddSearch() {
    auto [command, o] =
        Add<SearchCommand>(app_, "search", "Find memories that have every word", RunSearch,
                           "  aimem search \"deploy window\"\n  aimem search tls -n web -t long\n");
    Text(command, "query", o.query, "Words")->required();
    Text(command, "-n,--namespace", o.filter.namespace_, "Only this namespace");
    TierOption(command, o.filter.tier);
    Integer(command, "--limit", o.limit, "At most so many [20]");
    Times(command, o.filter);
    Tags(command, o.filter);
    Text(command, "--agent-id", o.filter.agent_id, "Only memories first stored by this agent");
    Text(command, "--as-agent", o.filter.as_agent, "Only what the owner of this namespace may see");
  }

  void AddRecall() {
    auto [command, o] = Add<RecallCommand>(
        app_, "recall", "Find what helps with a question, best first", RunRecall,
        "  aimem recall \"when may we deploy?\"\n"
        "  aimem recall \"tls settings\" -n org/web --budget-tokens 2000 --explain\n"
        "  aimem recall \"what broke last week?\" --now 2026-05-08T12:00:00Z --min-relevance "
        "0.5\n");
    Text(command, "context", o.context, "What the answer is needed for")->required();
    Text(command, "-n,--namespace", o.filter.namespace_, "This namespace and those above it");
    Integer(command, "--limit", o.limit, "At most so many [10]");
    Tags(command, o.filter);
    Times(command, o.filter);
    Text(command, "-T,--tier", o.feature_tier,
         "keyword, semantic, smart or autonomous [keyword]; the others say that they fall back")
        ->check(CLI::IsMember({"keyword", "semantic", "smart", "autonomous"}, CLI::ignore_case));
    Text(command, "--as-agent", o.filter.as_agent, "Only what the owner of this namespace may see");
    Integer(command, "--budget-tokens", o.budget_tokens, "Longest sum, in tokens of 4 bytes");
    Text(command, "--context-tokens", o.context_tokens,
         "Recent words, a comma list; keyword mode says that it does not use them");
    Number(command, "--min-relevance", o.min_relevance,
           "Only what answers for this share of the question, 0.0 to 1.0 [0.0]");
    Text(command, "--now", o.now,
         "When the question is asked, an RFC 3339 time: what yesterday and last week mean, in the "
         "time zone of its offset");
    command.add_flag("--explain", o.explain, "Say what each score is made of");
  }

  void AddBoot() {
    auto [command, o] = Add<BootCommand>(
        app_, "boot", "Print what an agent should know when a session starts", RunBoot,
        "  aimem boot\n  aimem boot -n org/web --budget-tokens 1000 --format toon_compact\n");
    Text(command, "-n,--namespace", o.namespace_,
         "Standards and memories of this namespace [those of store, then memories of global]");
    Integer(command, "--limit", o.limit, "At most so many memories, 0 to 50 [10]");
    Integer(command, "--budget-tokens", o.budget_tokens,
            "Longest output, in tokens of 4 bytes, 100 to 100000 [2000]");
    Text(command, "--format", o.format, "text, json, toon or toon_compact [text]");
  }

  void AddDelete() {
    auto [command, o] = Add<DeleteCommand>(
        app_, "delete", "Delete a memory with its links; nothing is archived", RunDelete,
        "  aimem delete 1f3a0c2e\n"
        "  aimem delete 01890a5d-ac96-874b-bcce-b302099a8057 --erase\n");
    Text(command, "id", o.id, "Id or unique prefix; to erase, the full id")->required();
    CLI::Option* const erase =
        command.add_flag("--erase", o.erase,
                         "Erase it for ever: what it said goes from the log too, on every member");
    command.add_flag("-y,--yes", o.yes, "Erase without asking at the terminal")->needs(erase);
    RequestId(command, o.request_id);
  }

  void AddPromote() {
    auto [command, o] = Add<PromoteCommand>(
        app_, "promote", "Make a memory long-term, or copy it to a namespace above", RunPromote,
        "  aimem promote 1f3a0c2e\n  aimem promote 1f3a0c2e --to-namespace org\n");
    Text(command, "id", o.id, "Id or unique prefix")->required();
    Text(command, "--to-namespace", o.to_namespace, "A namespace above the memory's own");
    RequestId(command, o.request_id);
  }

  void AddForget() {
    auto [command, o] = Add<ForgetCommand>(
        app_, "forget", "Move matching memories to the archive", RunForget,
        "  aimem forget -n scratch\n  aimem forget -p \"old deploy notes\" -t short\n");
    Text(command, "-n,--namespace", o.namespace_, "Memories of this namespace");
    Text(command, "-p,--pattern", o.pattern, "Memories with every one of these words");
    Text(command, "-t,--tier", o.tier, "Memories of this tier");
    RequestId(command, o.request_id);
  }

  void AddLink() {
    auto [command, o] = Add<LinkCommand>(app_, "link", "Link two memories", RunLink,
                                         "  aimem link SOURCE-ID TARGET-ID -r derived_from\n");
    Text(command, "source", o.source, "Full id")->required();
    Text(command, "target", o.target, "Full id")->required();
    Text(command, "-r,--relation", o.relation,
         "related_to, supersedes, contradicts or derived_from [related_to]");
    RequestId(command, o.request_id);
  }

  void AddResolve() {
    auto [command, o] = Add<ResolveCommand>(
        app_, "resolve", "Let one memory supersede another, which is ranked last", RunResolve,
        "  aimem resolve WINNER-ID LOSER-ID\n");
    Text(command, "winner", o.winner, "Full id")->required();
    Text(command, "loser", o.loser, "Full id")->required();
    RequestId(command, o.request_id);
  }

  void AddConsolidate() {
    auto [command, o] = Add<ConsolidateCommand>(
        app_, "consolidate", "Put one memory in the place of several, which go to the archive",
        RunConsolidate, "  aimem consolidate ID,ID,ID -T \"Deploys\" -s \"What they all said\"\n");
    Text(command, "ids", o.ids, "2 to 100 full ids, a comma list")->required();
    Text(command, "-T,--title", o.title, "Title of the new memory")->required();
    Text(command, "-s,--summary", o.summary, "Content of the new memory")->required();
    Text(command, "-n,--namespace", o.namespace_, "Namespace [as for store]");
    RequestId(command, o.request_id);
  }

  void AddArchive() {
    CLI::App& archive = *app_.add_subcommand("archive", "What was put aside, with its content");
    archive.fallthrough();
    archive.require_subcommand(1);
    auto [list, l] =
        Add<ArchiveListCommand>(archive, "list", "List the archive, newest first", RunArchiveList,
                                "  aimem archive list -n web --limit 100\n");
    Text(list, "-n,--namespace", l.namespace_, "Only this namespace");
    Integer(list, "--limit", l.limit, "At most so many [50]");
    Integer(list, "--offset", l.offset, "Skip so many [0]");
    auto [restore, r] =
        Add<IdCommand>(archive, "restore", "Take a memory out of the archive", RunArchiveRestore,
                       "  aimem archive restore 01890a5d-ac96-874b-bcce-b302099a8057\n");
    Text(restore, "id", r.id, "Full id")->required();
    RequestId(restore, r.request_id);
    auto [purge, p] =
        Add<PurgeCommand>(archive, "purge", "Delete archived memories for good", RunArchivePurge,
                          "  aimem archive purge --older-than-days 90\n");
    Integer(purge, "--older-than-days", p.older_than_days, "Only those [all]");
    RequestId(purge, p.request_id);
    Add(archive, "stats", "Count the archive", RunArchiveStats, "  aimem archive stats\n");
  }

  void AddStats() {
    Add(app_, "stats", "Count memories, links and bytes", RunStats, "  aimem --json stats\n");
  }

  void AddNamespaces() {
    Add(app_, "namespaces", "List namespaces", RunNamespaces, "  aimem namespaces\n");
  }

  void AddConflicts() {
    Add(app_, "conflicts", "List titles that several memories have", RunConflicts,
        "  aimem conflicts\n");
  }

  void AddAgents() {
    CLI::App& agents =
        Add(app_, "agents", "List registered agents, or register one", RunAgentsList,
            "  aimem agents\n"
            "  aimem agents register --agent-id ai:builder --agent-type ai:builder\n");
    Add(agents, "list", "List registered agents", RunAgentsList, "  aimem agents list\n");
    auto [command, o] = Add<RegisterCommand>(
        agents, "register", "Register an agent, or refresh its registration", RunAgentsRegister,
        "  aimem agents register --agent-id alice --agent-type human --capabilities review\n");
    Text(command, "--agent-id", o.agent_id, "Whom to register")->required();
    Text(command, "--agent-type", o.agent_type, "human, system or ai:NAME")->required();
    Text(command, "--capabilities", o.capabilities, "Comma list");
    RequestId(command, o.request_id);
    // The command itself is run after its subcommand: it must not take that one's place.
    agents.callback([this, &agents] {
      if (agents.get_subcommands().empty()) action_ = RunAgentsList;
    });
  }

  void AddPending() {
    CLI::App& pending = *app_.add_subcommand(
        "pending", "Changes that wait for approval, by the policy of a namespace");
    pending.fallthrough();
    pending.require_subcommand(1);
    auto [list, l] =
        Add<PendingListCommand>(pending, "list", "List them, newest first", RunPendingList,
                                "  aimem pending list --status pending\n");
    Text(list, "--status", l.status, "Only those: pending, approved or rejected");
    Integer(list, "--limit", l.limit, "At most so many [100]");
    auto [approve, a] = Add<IdCommand>(
        pending, "approve", "Approve a change, which is made at once, or vote for it",
        RunPendingApprove, "  aimem --agent-id alice pending approve ID\n");
    Text(approve, "id", a.id, "Full id")->required();
    RequestId(approve, a.request_id);
    auto [reject, r] = Add<IdCommand>(pending, "reject", "Reject a change", RunPendingReject,
                                      "  aimem --agent-id alice pending reject ID\n");
    Text(reject, "id", r.id, "Full id")->required();
    RequestId(reject, r.request_id);
  }

  void AddGc() {
    auto [command, o] = Add<GcCommand>(app_, "gc", "Archive the memories whose time has passed",
                                       RunGc, "  aimem gc\n");
    RequestId(command, o.request_id);
  }

  void AddExport() {
    Add(app_, "export", "Write memories and links as JSON to standard output", RunExport,
        "  aimem export > memories.json\n");
  }

  void AddImport() {
    auto [command, o] =
        Add<ImportCommand>(app_, "import", "Read an export from standard input", RunImport,
                           "  aimem --db new.db import < memories.json\n");
    command.add_flag("--trust-source", o.trust_source,
                     "Keep the agent ids that the document claims");
    RequestId(command, o.request_id);
  }

  void AddMigrate() {
    auto [command, o] = Add<MigrateCommand>(
        app_, "migrate", "Copy one store into another; running it again completes it", RunMigrate,
        "  aimem migrate --from ai-memory.db --to postgres://db.example/memory --verify\n"
        "  aimem migrate --from sqlite:///var/lib/a.db --to b.db --namespace web --dry-run\n");
    Text(command, "--from", o.from, "Path or URL of the source, which is only read")->required();
    Text(command, "--to", o.to, "Path or URL of the destination; made if absent")->required();
    Integer(command, "--batch", o.batch, "Entities a commit, 1 to 1000 [1000]");
    Text(command, "--namespace", o.namespace_, "Only memories of this namespace and their links");
    command.add_flag("--dry-run", o.dry_run, "Compare, write nothing");
    command.add_flag("--verify", o.verify, "Compare both stores afterwards");
  }

  void AddBackup() {
    const auto o = std::make_shared<BackupCommand>();
    const auto run = [o](Context& context) { return RunBackup(context, *o); };
    CLI::App& backup =
        Add(app_, "backup", "Copy the database into a folder, beside those who use it", run,
            "  aimem backup\n"
            "  aimem --db m.db backup --to /mnt/backups --keep 7\n"
            "  aimem backup list --to /mnt/backups\n");
    Text(backup, "--to", o->to, "Folder for snapshot and manifest; made if absent [./backups]");
    Integer(backup, "--keep", o->keep,
            "Backups of this database that stay in the folder, the newest; 0: all [48]");
    CLI::App& list = Add(
        backup, "list", "List the backups in a folder, newest first",
        [o](Context& context) { return RunBackupList(context, *o); },
        "  aimem backup list --to /mnt/backups\n");
    Text(list, "--to", o->to, "Folder of the backups [./backups]");
    // The command itself is run after its subcommand: it must not take that one's place.
    backup.callback([this, &backup, run] {
      if (backup.get_subcommands().empty()) action_ = run;
    });
  }

  void AddRestore() {
    auto [command, o] = Add<RestoreCommand>(
        app_, "restore", "Put a backup in the place of the database, which is kept beside it",
        RunRestore,
        "  aimem restore --from ./backups\n"
        "  aimem --db m.db restore --from /mnt/backups/ai-memory-2026-12-01T044203Z.db\n");
    Text(command, "--from", o.from, "Snapshot, or folder of which the newest is taken")->required();
    command.add_flag("--skip-verify", o.skip_verify,
                     "Take a snapshot without its manifest, or one that is not what that says");
    command.add_flag("--force", o.force, "Also in place of another database than it was made of");
  }

  void AddOperation() {
    auto [command, o] =
        Add<OperationCommand>(app_, "operation", "Say what became of a write", RunOperation,
                              "  aimem operation 01890a5d-ac96-774b-bcce-b302099a8057\n"
                              "  aimem operation 01890a5d-ac96-774b-bcce-b302099a8057 --wait \\\n"
                              "      --server http://10.0.0.2:9077\n");
    Text(command, "id", o.id, "Operation id")->required();
    command.add_flag("--wait", o.wait,
                     "If it is pending, ask the member's server until it is committed, for 30 s; "
                     "exit code 1: it still is pending");
    Text(command, "--server", o.server, "Where that server is [http://127.0.0.1:9077]");
    Text(command, "--api-key-file", o.api_key_file, "File with the key that the server wants");
  }

  void AddDoctor() {
    auto [command, o] = Add<DoctorCommand>(
        app_, "doctor", "Verify file, log, hash chains, rows and the index", RunDoctor,
        "  aimem doctor\n  aimem --db copy.db doctor --json\n  aimem doctor --reindex\n");
    command.add_flag("--reindex", o.reindex,
                     "Before that make the index of recall and search anew, of all rows");
  }

  void AddCert() {
    CLI::App& cert = *app_.add_subcommand("cert", "Make the certificates of a federation");
    cert.fallthrough();
    cert.require_subcommand(1);
    auto [init, i] = Add<CertInitCommand>(cert, "init", "Make an authority of your own",
                                          RunCertInit, "  aimem cert init certs\n");
    Text(init, "directory", i.directory, "Folder for it; made if absent")->required();
    auto [issue, o] = Add<CertIssueCommand>(
        cert, "issue", "Issue the certificate of one member", RunCertIssue,
        "  aimem cert issue certs alpha\n"
        "  aimem cert issue certs beta --host beta.example --host 10.0.0.7 --days 365\n");
    Text(issue, "directory", o.directory, "Folder of the authority")->required();
    Text(issue, "name", o.name, "Name of the member, unique in the federation")->required();
    Texts(issue, "--host", o.hosts,
          "DNS name or IP address to add [localhost, 127.0.0.1 and ::1 are there]");
    Integer(issue, "--days", o.days, "Days that it is valid, 1 to 3650 [825]");
  }

  void AddMcp() {
    auto [command, o] = Add<McpCommand>(
        app_, "mcp", "Serve the database to an agent: MCP over standard input and output", RunMcp,
        "  aimem --db m.db mcp\n"
        "  claude mcp add memory -- aimem --db ~/memory.db mcp\n"
        "  AI_MEMORY_AGENT_ID=ai:reviewer aimem mcp --profile core\n");
    Text(command, "--profile", o.profile,
         "Tools that are shown: standard, the 36 of ai-memory, or core, the seven that remember "
         "[standard]");
    Text(command, "--tier", o.tier,
         "keyword, semantic, smart or autonomous, as ai-memory has it: without models each is "
         "keyword");
    command.add_flag("--verbose", o.verbose, "Log more than warnings");
  }

  void AddInstall() {
    auto [command, o] =
        Add<InstallCommand>(app_, "install", "Make an MCP client start this program", RunInstall,
                            "  aimem --db ~/memories.db install claude-code\n"
                            "  aimem --db ~/memories.db install json --config .mcp.json --dry-run\n"
                            "  aimem install codex --undo\n");
    Text(command, "client", o.client, "claude-code, claude-desktop, codex, cursor or json")
        ->required();
    Text(command, "--config", o.config, "File of the client [where it looks for it]");
    CLI::Option* const undo =
        command.add_flag("--undo", o.undo, "Make the servers that run aimem what they were before");
    command
        .add_flag("--replace", o.replace,
                  "Let a server that runs ai-memory run aimem, with its name and arguments")
        ->excludes(undo);
    command.add_flag("--dry-run", o.dry_run, "Show the change, write nothing");
    command.add_flag("-y,--yes", o.yes, "Write without asking at the terminal");
  }

  void AddServe() {
    auto [command, o] = Add<ServeCommand>(
        app_, "serve",
        "Serve the database over HTTP, to programs (/api/v1) and to agents (MCP at /mcp), alone or "
        "as a member of a federation",
        RunServe,
        "  aimem --db m.db serve\n"
        "  claude mcp add --transport http memory http://127.0.0.1:9077/mcp\n"
        "  aimem serve --allow-host memory.home.example\n"
        "  aimem --db a.db serve --quorum-writes 2 \\\n"
        "      --quorum-peers http://10.0.0.2:9077,http://10.0.0.3:9077 \\\n"
        "      --replication-ca ca.pem --replication-cert a.pem --replication-key a.key\n");
    Text(command, "--host", o.host, "Address to listen on [127.0.0.1]");
    Integer(command, "--port", o.port, "Port to listen on; 0: any free one [9077]");
    Text(command, "--api-key-file", o.api_key_file, "File with the key that every request needs");
    Texts(command, "--allow-host", o.allow_hosts,
          "Name by which it may be asked besides localhost, 127.0.0.1, [::1] and --host: without "
          "an API key others get 403, and so do pages of others in any case; repeat it for more");
    Integer(command, "--quorum-writes", o.quorum_writes,
            "Members that must hold a write, this one included [a majority]");
    Text(command, "--quorum-peers", o.quorum_peers,
         "The other members, a comma list of http://HOST:PORT or of HOST:PORT of replication");
    Integer(command, "--quorum-timeout-ms", o.quorum_timeout_ms,
            "Bounds the answer to a write, never its delivery [2000]");
    Integer(
        command, "--similar-timeout-ms", o.similar_timeout_ms,
        "How long the answer to a create waits for the memories that may contradict it; 0: none "
        "are looked for [100]");
    Text(command, "--replication-listen", o.replication_listen,
         "HOST:PORT for the other members [with peers or certificates the host, and the port plus "
         "1000; else none]");
    Text(command, "--replication-advertise", o.replication_advertise,
         "HOST:PORT where the others reach it [where it listens]");
    Text(command, "--replication-ca", o.replication_ca, "Who signs the members' certificates, PEM");
    Text(command, "--replication-cert", o.replication_cert, "Certificate of this member, PEM");
    Text(command, "--replication-key", o.replication_key, "Its key, PEM");
    command.add_flag("--insecure", o.insecure,
                     "Allow plaintext and no API key beyond this machine (AIMEM_INSECURE=1)");
    Integer(command, "--max-clock-ahead-secs", o.max_clock_ahead_seconds,
            "Execute no writes while the clock is further ahead of the others [60]");
    Integer(command, "--shutdown-grace-secs", o.shutdown_grace_seconds,
            "How long requests and calls may take to end [30]");
    Integer(command, "--log-max-bytes", o.log_max_bytes,
            "Bytes of the log beyond which members that are away are no longer waited for, though "
            "never within a day; 0: no bound [0]");
    command.add_flag("--verbose", o.verbose, "Log more than warnings");
  }

  CLI::App& app_;
  Action& action_;
};

std::string VersionText(std::string_view program) {
  return program == "ai-memory" ? "ai-memory 0.6.0" : "aimem " AIMEM_VERSION " (ai-memory 0.6.0)";
}

void TellError(Context& context, const absl::Status& status) {
  context.err << (IsPlain(status) ? "" : "Error: ") << ToStd(status.message()) << '\n';
  if (context.exit_code == 0) context.exit_code = 1;
}

}  // namespace

int RunCommandLine(Context& context, int argc, const char* const* argv) {
  CLI::App app("Memory for agents: store, recall and share what they learn", context.program);
  app.set_version_flag("-V,--version", VersionText(context.program), "Print the version");
  app.require_subcommand(0, 1);
  Text(app, "--db", context.db, "Path or URL of the database [AI_MEMORY_DB, else ai-memory.db]");
  app.add_flag("--json", context.json, "Print JSON");
  Text(app, "--agent-id", context.agent_id,
       "Who writes [AI_MEMORY_AGENT_ID, else host and process]");
  Action action;
  // Lives as long as the parsing: what is parsed goes through it.
  Commands commands(app, action);
  commands.AddAll();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error, context.out, context.err);
    context.err << "Error: " << error.what() << "\nFor the options, try --help.\n";
    return 2;
  }
  if (!action) {
    context.err << app.help();
    return 2;
  }
  const absl::Status status = action(context);
  if (!status.ok()) TellError(context, status);
  return context.exit_code;
}

}  // namespace aimem::cli
