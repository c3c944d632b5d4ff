// Opening the database, and writing to it under the caller's identity.
#include <utility>

#include "absl/strings/str_format.h"
#include "apps/aimem/cli.h"
#include "apps/aimem/config.h"
#include "lib/base/status.h"

namespace aimem::cli {

Session::~Session() {
  if (store_ == nullptr) return;
  const absl::Status status = store_->Close();
  if (!status.ok()) context_->err << "warning: " << ToStd(status.message()) << '\n';
}

absl::StatusOr<Session> OpenDatabase(Context& context, Access access) {
  const std::string url = DatabaseUrl(context.db);
  OpenOptions options;
  options.create = access == Access::kCreate;
  options.read_only = access == Access::kRead || access == Access::kExisting;
  auto store = OpenStore(url, options);
  if (store.ok()) return Session(context, *std::move(store));
  if (access == Access::kExisting || !absl::IsNotFound(store.status())) return store.status();
  // Who looks must not leave a file behind, and a mistyped path must not look like lost memories.
  if (!options.create) {
    context.err << "note: there is no database at " << MaskUrl(url) << '\n';
    AIMEM_ASSIGN_OR_RETURN(auto empty, OpenStore("memory:"));
    return Session(context, std::move(empty));
  }
  return store.status();
}

absl::StatusOr<WriteResult> Execute(Context& context, Store& store, std::vector<WriteItem> items,
                                    const std::string& request_id) {
  WriteOptions options;
  AIMEM_ASSIGN_OR_RETURN(options.agent_id, AgentIdentity(context.agent_id));
  options.request_id = request_id;
  WriteResult result = store.Write(WriteBatch{std::move(items)}, options);
  const std::string operation = result.operation.ToString();
  switch (result.outcome) {
    case WriteOutcome::kCommitted:
      return result;
    case WriteOutcome::kPending:
      context.err << "aimem: pending: " << ToStd(result.status.message()) << "; \""
                  << context.program << " operation ID --wait\" waits for that (operation "
                  << operation << ")\n";
      return result;
    case WriteOutcome::kUnknown:
      return MakeStatus(
          absl::StatusCode::kDeadlineExceeded,
          absl::StrFormat("it is not known whether this was written (%s): ask with \"%s operation "
                          "%s\" before trying again",
                          ToStd(result.status.message()), context.program, operation));
    case WriteOutcome::kRejected:
      break;
  }
  for (const ItemResult& item : result.items) {
    if (!item.status.ok()) return item.status;
  }
  return result.status.ok() ? absl::InternalError("the write was rejected") : result.status;
}

absl::StatusOr<ItemResult> ExecuteOne(Context& context, Store& store, WriteItem item,
                                      const std::string& request_id) {
  std::vector<WriteItem> items;
  items.push_back(std::move(item));
  AIMEM_ASSIGN_OR_RETURN(WriteResult result, Execute(context, store, std::move(items), request_id));
  if (result.items.empty()) return absl::InternalError("the store gave no result");
  AIMEM_RETURN_IF_ERROR(result.items[0].status);
  return std::move(result.items[0]);
}

}  // namespace aimem::cli
