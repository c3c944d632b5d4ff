// Api: the routes. Each handler translates a request, asks the Store, and translates the answer.
#pragma once

#include <atomic>
#include <cstddef>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/services/http.h"
#include "aimem/store.h"
#include "services/rest/answers.h"
#include "services/rest/metrics.h"
#include "services/web/deadlines.h"
#include "services/web/handler.h"
#include "services/web/hosts.h"
#include "services/web/mount.h"
#include "services/wire/requests.h"
#include "services/wire/shapes.h"

namespace aimem::rest {

/// The header that names a request for who repeats it.
inline constexpr char kRequestId[] = "Idempotency-Key";

using web::Deadlines;
using web::Respond;
using web::Threads;

class Api final : public web::Handler {
 public:
  /// `store` must outlive the Api, and the Api what it gave to `threads`; writes under way keep
  /// `threads`, which owns the Api.
  Api(Store& store, const HttpOptions& options, Threads& threads);

  void Handle(Request request, Respond respond) override;
  [[nodiscard]] Response Lost() const override;
  void Drain() override;

  void SetReady(bool ready) { ready_ = ready; }

 private:
  // One request that is being answered.
  struct Call {
    Request request;
    std::string id;  // from the path
    Respond respond;
  };
  using Action = void (Api::*)(Call);
  /// Of what is read for the call's answer alone.
  static ReadBounds BoundsOf(const Call& call) { return {.stop = call.request.stop}; }

  enum class Body { kAny, kMustBeJson };
  enum class Where { kHere, kReader };
  struct Method {
    const char* name;
    Action action;
    Where where = Where::kHere;
    Body body = Body::kAny;
    std::size_t body_bytes_max = std::numeric_limits<std::size_t>::max();
  };
  // A path: before and after an id, if it has one.
  struct Path {
    std::string before;
    std::string after;
    bool has_id = false;
    std::vector<Method> methods;
  };
  // What becomes of a write that was committed.
  using Committed = absl::AnyInvocable<void(Call, WriteResult) &&>;
  // What may contradict a memory.
  using Similar = std::vector<Memory>;

  // -- Routing (router.cc) ------------------------------------------------------------------------
  void AddRoutes();
  void Route(const char* path, std::vector<Method> methods);
  const Path* Find(std::string_view path, std::string& id) const;
  void Dispatch(const Path& path, Call call);
  void Run(Action action, Call call);
  enum class KeyIn { kHeader, kHeaderOrQuery };
  bool Authorised(const Request& request, KeyIn where) const;
  [[nodiscard]] web::Mount* FindMount(std::string_view path) const;

  // -- Writing (write_routes.cc) ------------------------------------------------------------------
  void Create(Call call);
  void Bulk(Call call);
  void Update(Call call);
  void Delete(Call call);
  void Erase(Call call);
  void Promote(Call call);
  void Forget(Call call);
  void Consolidate(Call call);
  void Link(Call call);
  void CollectExpired(Call call);
  void Restore(Call call);
  void Purge(Call call);
  void Register(Call call);

  // -- What waits for approval (pending_routes.cc) ------------------------------------------------
  void Pending(Call call);
  void Approve(Call call);
  void Reject(Call call);
  /// If the change of `result` waits for approval: answer so, and nothing is left of `call`.
  bool Waits(Call& call, const WriteResult& result);
  /// Answer with what `show` makes of the action that waits.
  using ShowAction = wire::JsonObject (*)(const absl::StatusOr<PendingAction>& action,
                                          std::string_view id);
  void ShowWaiting(Call call, WriteResult result, ShowAction show);

  /// Who asks: `claimed`, the header, or a name made up for this request.
  absl::StatusOr<std::string> Identity(const Request& request, std::string_view claimed = "");
  /// Write `batch` under the request id of `call`. `committed` runs on the network thread; every
  /// other end is answered here, and so is a store that does not answer by the deadline.
  void Write(Call call, WriteBatch batch, WriteOptions options, Committed committed);
  /// The same for one item of the caller named in the header.
  void WriteOne(Call call, WriteItem item, WriteOptions options, Committed committed);
  void WriteOne(Call call, WriteItem item, Committed committed) {
    WriteOne(std::move(call), std::move(item), {}, std::move(committed));
  }
  void EndWrite(Call call, WriteResult result, Committed committed);
  /// Answer a create with what may contradict it, if that is found in time.
  void AnswerWithSimilar(Call call, WriteResult result);
  /// What FindSimilar came to.
  void NoteSimilar(const absl::StatusOr<Similar>& similar);

  // -- Reading (read_routes.cc) -------------------------------------------------------------------
  void Get(Call call);
  void List(Call call);
  void Search(Call call);
  void RecallByQuery(Call call);
  void RecallByBody(Call call);
  void Links(Call call);
  void Namespaces(Call call);
  void Stats(Call call);
  void Export(Call call);
  void Archive(Call call);
  void ArchiveStats(Call call);
  void Agents(Call call);

  void Recall(Call call, const wire::RecallBody& recall, bool touch);

  // -- State (state_routes.cc) --------------------------------------------------------------------
  void Health(Call call);
  void Federation(Call call);
  [[nodiscard]] Response HealthOf(const absl::StatusOr<StoreInfo>& info) const;
  [[nodiscard]] Response FederationOf(const absl::StatusOr<StoreInfo>& asked) const;
  using InfoAnswer = Response (Api::*)(const absl::StatusOr<StoreInfo>&) const;
  struct InfoQuestion;
  /// Answer with what `answer` makes of Store::Info(), or, after health_timeout, of the error that
  /// says so. Runs on any thread and does not wait.
  void AskInfo(Call call, InfoAnswer answer) ABSL_LOCKS_EXCLUDED(info_mutex_);
  void AnswerInfo(InfoQuestion& question) ABSL_LOCKS_EXCLUDED(info_mutex_);
  void Operation(Call call);
  void MetricsPage(Call call);

  void AskOperation(std::shared_ptr<Call> call, OperationId operation, absl::Duration deadline);
  void CountRows();

  void NoteOverdue(OperationId operation) ABSL_LOCKS_EXCLUDED(overdue_mutex_);
  void ForgetOverdue(OperationId operation) ABSL_LOCKS_EXCLUDED(overdue_mutex_);
  [[nodiscard]] bool IsOverdue(OperationId operation) const ABSL_LOCKS_EXCLUDED(overdue_mutex_);
  [[nodiscard]] std::size_t CountOverdue() const ABSL_LOCKS_EXCLUDED(overdue_mutex_);

  void Log(LogLevel level, std::string_view message) const;
  /// StatusAnswer; what only the operator should know goes to the log.
  Response Problem(const absl::Status& status) const;

  Store& store_;
  const HttpOptions options_;
  const web::HostRule hosts_;
  Threads& threads_;
  Clock& clock_;
  Random& random_;
  Metrics metrics_;
  Deadlines deadlines_;
  std::map<std::string, Path, std::less<>> fixed_;  // paths without an id
  std::vector<Path> with_id_;
  std::atomic<bool> ready_{false};
  std::atomic<bool> draining_{false};

  mutable Mutex overdue_mutex_;
  // Answered as unknown, and not heard of since. A request and its retry have one operation.
  std::multiset<OperationId> overdue_ ABSL_GUARDED_BY(overdue_mutex_);

  Mutex info_mutex_;                                               // and what is in the question
  std::weak_ptr<InfoQuestion> info_ ABSL_GUARDED_BY(info_mutex_);  // that is being asked
};

}  // namespace aimem::rest
