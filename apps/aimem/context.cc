// Opening the database, and writing to it under the caller's identity.
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_format.h"
#include "aimem/errors.h"
#include "apps/aimem/cli.h"
#include "apps/aimem/config.h"
#include "lib/base/mutex.h"
#include "lib/base/status.h"

namespace aimem::cli {
namespace {

constexpr char kPlainPayload[] = "aimem/cli/plain";
constexpr absl::Duration kTellAfter = absl::Seconds(2);

// What governance refuses is an answer, too.
absl::Status PlainIfGoverned(absl::Status status) {
  const std::optional<ErrorDetail> detail = DetailOf(status);
  if (detail && detail->field == "governance") status.SetPayload(kPlainPayload, absl::Cord());
  return status;
}

struct Awaited {
  Mutex mutex;
  CondVar arrived;
  std::optional<WriteResult> result ABSL_GUARDED_BY(mutex);
};

// Whoever interrupts a write whose database does not answer must know what to ask for.
WriteResult WriteAndTell(Context& context, Store& store, WriteBatch batch, WriteOptions options) {
  options.operation = ChooseOperation(options, SystemRandom(), context.now);
  // The store is closed, and has answered, before the command ends; not so its last step here.
  const auto awaited = std::make_shared<Awaited>();
  store.WriteAsync(std::move(batch), options, [awaited](WriteResult result) {
    MutexLock lock(awaited->mutex);
    awaited->result = std::move(result);
    awaited->arrived.NotifyOne();
  });
  bool told = false;
  const absl::Duration end = SystemClock().Monotonic() + kTellAfter;
  MutexLock lock(awaited->mutex);
  while (!awaited->result) {
    if (told) {
      awaited->arrived.Wait(awaited->mutex);
      continue;
    }
    const absl::Duration left = end - SystemClock().Monotonic();
    if (left > absl::ZeroDuration()) {
      awaited->arrived.WaitFor(awaited->mutex, left);
      continue;
    }
    told = true;
    context.err << "aimem: the database does not answer; waiting. Whether this was written, \""
                << context.program << " operation " << options.operation->ToString()
                << "\" will tell\n"
                << std::flush;
  }
  return *std::move(awaited->result);
}

}  // namespace

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
  if (access == Access::kSettle && absl::IsPermissionDenied(store.status())) {
    options.read_only = true;
    store = OpenStore(url, options);
  }
  if (store.ok()) return Session(context, *std::move(store));
  if (access == Access::kExisting || access == Access::kSettle || !absl::IsNotFound(store.status()))
    return store.status();
  // Who looks must not leave a file behind, and a mistyped path must not look like lost memories.
  if (!options.create) {
    context.err << "note: there is no database at " << MaskUrl(url) << '\n';
    AIMEM_ASSIGN_OR_RETURN(auto empty, OpenStore("memory:"));
    return Session(context, std::move(empty));
  }
  return store.status();
}

absl::StatusOr<WriteResult> Execute(Context& context, Store& store, WriteBatch batch,
                                    const std::string& request_id) {
  WriteOptions options;
  options.return_memory = true;
  AIMEM_ASSIGN_OR_RETURN(options.agent_id, AgentIdentity(context.agent_id));
  options.request_id = request_id;
  WriteResult result = WriteAndTell(context, store, std::move(batch), options);
  const std::string operation = result.operation.ToString();
  switch (result.outcome) {
    case WriteOutcome::kCommitted:
      return result;
    case WriteOutcome::kPending:
      context.err << "aimem: pending: " << ToStd(result.status.message()) << "; \""
                  << context.program
                  << " operation ID --wait --server URL\" waits for that at its server (operation "
                  << operation << ")\n";
      return result;
    case WriteOutcome::kUnknown:
      return MakeStatus(
          absl::StatusCode::kUnknown,
          absl::StrFormat("it is not known whether this was written (%s): ask with \"%s operation "
                          "%s\" before trying again",
                          ToStd(result.status.message()), context.program, operation));
    case WriteOutcome::kRejected:
      break;
  }
  for (const ItemResult& item : result.items) {
    if (!item.status.ok()) return PlainIfGoverned(item.status);
  }
  if (result.status.ok()) return absl::InternalError("the write was rejected");
  return PlainIfGoverned(result.status);
}

absl::Status PlainIfMissing(absl::Status status) {
  if (absl::IsNotFound(status)) status.SetPayload(kPlainPayload, absl::Cord());
  return status;
}

bool IsPlain(const absl::Status& status) { return status.GetPayload(kPlainPayload).has_value(); }

absl::StatusOr<ItemResult> ExecuteOne(Context& context, Store& store, WriteItem item,
                                      const std::string& request_id) {
  AIMEM_ASSIGN_OR_RETURN(WriteResult result, Execute(context, store, std::move(item), request_id));
  if (result.items.empty()) return absl::InternalError("the store gave no result");
  AIMEM_RETURN_IF_ERROR(result.items[0].status);
  return std::move(result.items[0]);
}

}  // namespace aimem::cli
