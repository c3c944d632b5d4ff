// stats, namespaces, conflicts, agents, gc, operation, doctor.
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "apps/aimem/ask_server.h"
#include "apps/aimem/cli.h"
#include "apps/aimem/config.h"
#include "apps/aimem/output.h"
#include "lib/base/status.h"
#include "services/wire/answers.h"

namespace aimem::cli {
namespace {

constexpr std::int64_t kRowsMax = 1'000'000;
constexpr absl::Duration kAwaitOutcome = absl::Seconds(30);
constexpr absl::Duration kForTheAnswer = absl::Seconds(5);

absl::StatusOr<ListResult> ListAll(Store& store, ListKind kind) {
  ListRequest request;
  request.kind = kind;
  request.limit = kRowsMax;
  return store.List(request);
}

void ShowStats(Context& context, const StoreInfo& info, const StoreCounts& counts) {
  context.out << absl::StrFormat(
      "total memories: %d\nexpiring within 1h: %d\nlinks: %d\ndatabase size: %d bytes\n",
      counts.live, counts.expiring_soon, counts.links, info.size_bytes);
  context.out << "\nby tier:\n";
  for (const Tier tier : {Tier::kLong, Tier::kMid, Tier::kShort}) {
    const std::int64_t count = counts.by_tier[static_cast<std::size_t>(tier)];
    if (count > 0) context.out << absl::StrFormat("  %s: %d\n", TierName(tier), count);
  }
  context.out << "\nby namespace:\n";
  for (const NamespaceCount& count : counts.namespaces) {
    context.out << absl::StrFormat("  %s: %d\n", count.namespace_, count.count);
  }
  if (counts.unreadable > 0) {
    context.out << absl::StrFormat("\n%d %s cannot be read: run `aimem doctor`\n",
                                   counts.unreadable, counts.unreadable == 1 ? "row" : "rows");
  }
}

void ShowOperation(Context& context, const OperationInfo& info) {
  context.out << absl::StrFormat("operation: %s\noutcome:   %s\n", info.operation.ToString(),
                                 WriteOutcomeName(info.outcome));
  context.out << absl::StrFormat("stream:    %016x\nseq:       %d\nagent:     %s\n", info.stream,
                                 info.seq, info.agent_id);
  for (const ItemResult& item : info.items) {
    context.out << absl::StrFormat(
        "  %s %s%s\n", EffectName(item.effect), item.id,
        item.status.ok() ? "" : ": " + std::string(ToStd(item.status.message())));
  }
}

// The file says what is durable here; that enough members hold it, their server knows.
absl::StatusOr<WriteOutcome> AwaitOutcome(const OperationCommand& command, OperationId operation) {
  Server server;
  server.url = command.server;
  AIMEM_ASSIGN_OR_RETURN(server.api_key, ReadApiKey(command.api_key_file));
  const std::string target =
      absl::StrFormat("/api/v1/operations/%s?wait_ms=%d", operation.ToString(),
                      absl::ToInt64Milliseconds(kAwaitOutcome));
  const absl::StatusOr<std::string> answer =
      AskServer(server, target, kAwaitOutcome + kForTheAnswer);
  if (!answer.ok()) {
    return Annotate(answer.status(), "pending here; --server names the server of its member");
  }
  const absl::StatusOr<OperationInfo> info = wire::ReadOperation(*answer);
  if (info.ok() &&
      (info->outcome == WriteOutcome::kCommitted || info->outcome == WriteOutcome::kPending)) {
    return info->outcome;
  }
  return absl::InternalError(
      absl::StrFormat("what answers at %s is no server of aimem", command.server));
}

absl::Status Reindex(Context& context) {
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kSettle));
  ProgressLine line("memories read", context.err);
  const auto show = line.callback();
  ReindexOptions options;
  if (show) options.progress = [&](std::int64_t read) { show({.done = read, .total = 0}); };
  AIMEM_ASSIGN_OR_RETURN(const IndexInfo index, store->Reindex(options));
  context.err << absl::StrFormat("the index was made anew: %d memories, %d bytes\n",
                                 index.documents, index.bytes);
  return absl::OkStatus();
}

}  // namespace

absl::Status RunStats(Context& context) {
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kRead));
  AIMEM_ASSIGN_OR_RETURN(const StoreInfo info, store->Info({.counts = true}));
  const StoreCounts counts = info.counts.value_or(StoreCounts{});
  if (!context.json) {
    ShowStats(context, info, counts);
    return absl::OkStatus();
  }
  context.out << StatsJson(info) << '\n';
  return absl::OkStatus();
}

absl::Status RunNamespaces(Context& context) {
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kRead));
  AIMEM_ASSIGN_OR_RETURN(const ListResult result, ListAll(*store, ListKind::kNamespaces));
  if (context.json) {
    context.out << JsonObject().Raw("namespaces", NamespaceCountArray(result.namespaces)).Build()
                << '\n';
  } else if (result.namespaces.empty()) {
    context.err << "no namespaces\n";
  } else {
    for (const NamespaceCount& count : result.namespaces) {
      context.out << absl::StrFormat("  %s: %d memories\n", count.namespace_, count.count);
    }
  }
  return absl::OkStatus();
}

absl::Status RunConflicts(Context& context) {
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kRead));
  AIMEM_ASSIGN_OR_RETURN(const ListResult result, ListAll(*store, ListKind::kConflicts));
  const auto count = static_cast<std::int64_t>(result.conflicts.size());
  if (context.json) {
    const std::string conflicts = JsonArrayOf(result.conflicts, [](const NameConflict& conflict) {
      return JsonObject()
          .Text("namespace", conflict.namespace_)
          .Text("title", conflict.title)
          .Raw("ids", JsonStrings(conflict.ids))
          .Build();
    });
    context.out << JsonObject().Raw("conflicts", conflicts).Int("count", count).Build() << '\n';
  } else if (count == 0) {
    context.err << "no conflicts\n";
  } else {
    for (const NameConflict& conflict : result.conflicts) {
      context.out << absl::StrFormat("%s (ns=%s): %s\n", conflict.title, conflict.namespace_,
                                     absl::StrJoin(conflict.ids, ", "));
    }
    context.out << absl::StrFormat("\n%d conflict(s): store the title again to heal one\n", count);
  }
  return absl::OkStatus();
}

absl::Status RunAgentsList(Context& context) {
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kRead));
  AIMEM_ASSIGN_OR_RETURN(const ListResult result, ListAll(*store, ListKind::kAgents));
  const auto count = static_cast<std::int64_t>(result.memories.size());
  std::vector<std::string> objects;
  for (const Memory& memory : result.memories) {
    const Agent agent = ReadAgent(memory);
    if (context.json) {
      objects.push_back(AgentJson(agent));
      continue;
    }
    context.out << absl::StrFormat("%s  type=%s  registered=%s  last_seen=%s", agent.agent_id,
                                   agent.agent_type, agent.registered_at, agent.last_seen_at);
    if (!agent.capabilities.empty()) {
      context.out << " [" << absl::StrJoin(agent.capabilities, ",") << ']';
    }
    context.out << '\n';
  }
  if (context.json) {
    context.out << JsonObject().Int("count", count).Raw("agents", JsonArray(objects)).Build()
                << '\n';
  } else if (count == 0) {
    context.err << "no registered agents\n";
  } else {
    context.out << absl::StrFormat("%d registered agents\n", count);
  }
  return absl::OkStatus();
}

absl::Status RunAgentsRegister(Context& context, const RegisterCommand& command) {
  const std::vector<std::string> capabilities = SplitList(command.capabilities);
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kCreate));
  AIMEM_ASSIGN_OR_RETURN(
      const ItemResult result,
      ExecuteOne(context, *store, RegisterAgent{command.agent_id, command.agent_type, capabilities},
                 command.request_id));
  if (context.json) {
    context.out << JsonObject()
                       .Bool("registered", true)
                       .Text("id", result.id)
                       .Text("agent_id", command.agent_id)
                       .Text("agent_type", command.agent_type)
                       .Raw("capabilities", JsonStrings(capabilities))
                       .Build()
                << '\n';
  } else {
    context.out << absl::StrFormat("registered %s (type=%s, capabilities=%s)\n", command.agent_id,
                                   command.agent_type,
                                   capabilities.empty() ? "-" : absl::StrJoin(capabilities, ","));
  }
  return absl::OkStatus();
}

absl::Status RunGc(Context& context, const GcCommand& command) {
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kChange));
  AIMEM_ASSIGN_OR_RETURN(const ItemResult result,
                         ExecuteOne(context, *store, ExpireMemories{}, command.request_id));
  if (context.json) {
    context.out << JsonObject().Int("expired_deleted", result.count).Build() << '\n';
  } else {
    context.out << absl::StrFormat("expired memories deleted: %d\n", result.count);
  }
  return absl::OkStatus();
}

absl::Status RunOperation(Context& context, const OperationCommand& command) {
  const std::optional<OperationId> operation = Id128::Parse(command.id);
  if (!operation) {
    return absl::InvalidArgumentError(
        absl::StrFormat("'%s' is not an operation id (UUID text)", command.id));
  }
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kSettle));
  AIMEM_ASSIGN_OR_RETURN(OperationInfo info, store->GetOperation(*operation, absl::ZeroDuration()));
  if (command.wait && info.outcome == WriteOutcome::kPending) {
    AIMEM_ASSIGN_OR_RETURN(info.outcome, AwaitOutcome(command, *operation));
    if (info.outcome == WriteOutcome::kPending) context.exit_code = 1;
  }
  if (info.outcome == WriteOutcome::kUnknown) {
    context.err
        << "aimem: it is here, and may not survive a power cut: it could not be made durable "
           "now. Ask again as a user who may write the database, or when its disk is well\n";
  }
  if (!context.json) {
    ShowOperation(context, info);
    return absl::OkStatus();
  }
  context.out << JsonObject()
                     .Text("operation_id", info.operation.ToString())
                     .Text("outcome", WriteOutcomeName(info.outcome))
                     .Text("stream", absl::StrFormat("%016x", info.stream))
                     .Int("seq", static_cast<std::int64_t>(info.seq))
                     .Int("hlc", static_cast<std::int64_t>(info.hlc))
                     .Text("agent_id", info.agent_id)
                     .Raw("results", JsonArrayOf(info.items, ItemJson))
                     .Build()
              << '\n';
  return absl::OkStatus();
}

absl::Status RunDoctor(Context& context, const DoctorCommand& command) {
  if (command.reindex) AIMEM_RETURN_IF_ERROR(Reindex(context));
  AIMEM_ASSIGN_OR_RETURN(const Session store, OpenDatabase(context, Access::kExisting));
  AIMEM_ASSIGN_OR_RETURN(const CheckReport report, store->Check());
  const bool sound = report.problems.empty();
  if (!sound) context.exit_code = 1;
  if (context.json) {
    context.out << JsonObject()
                       .Bool("sound", sound)
                       .Int("rows", report.rows)
                       .Int("commits", report.commits)
                       .Int("streams", report.streams)
                       .Bool("folded", report.folded)
                       .Text("root", report.root.ToString())
                       .Raw("problems", JsonStrings(report.problems))
                       .Build()
                << '\n';
    return absl::OkStatus();
  }
  context.out << absl::StrFormat(
      "rows:     %d\ncommits:  %d\nstreams:  %d\nroot:     %s\nlog:      %s\n", report.rows,
      report.commits, report.streams, report.root.ToString(),
      report.folded ? "complete, every row equals its fold" : "does not reach back to the start");
  for (const std::string& problem : report.problems) {
    context.out << "problem: " << problem << '\n';
  }
  context.out << (sound ? "sound\n" : absl::StrFormat("%d problem(s)\n", report.problems.size()));
  return absl::OkStatus();
}

}  // namespace aimem::cli
