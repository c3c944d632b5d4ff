// Routes that show how this server is: health, federation, operations, metrics.
#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"
#include "lib/base/trouble.h"
#include "services/rest/answers.h"
#include "services/rest/api.h"
#include "services/web/url.h"
#include "services/wire/federation.h"
#include "services/wire/outcome.h"

namespace aimem::rest {
namespace {

using wire::JsonObject;

constexpr absl::Duration kWaitMax = absl::Seconds(30);
// Nobody may sit on a reader thread for so long: the question is asked again and again.
constexpr absl::Duration kAskAgain = absl::Milliseconds(20);
constexpr absl::Duration kCountAgain = absl::Seconds(15);
constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace

// One question to the store at a time, however many ask: on data that hangs it takes one reader.
struct Api::InfoQuestion {
  absl::Duration asked;
  std::vector<std::pair<std::shared_ptr<Deadlines::Waiting>, InfoAnswer>> waiting;
};

void Api::AskInfo(Call call, InfoAnswer answer) {
  const absl::Duration now = clock_.Monotonic();
  const auto late = [this, answer] {
    return (this->*answer)(absl::DeadlineExceededError("the data does not answer"));
  };
  const std::shared_ptr<Deadlines::Waiting> waiting =
      deadlines_.Add(std::move(call.respond), now + options_.health_timeout, late);
  std::shared_ptr<InfoQuestion> question;
  bool ask = false;
  bool overdue = false;
  {
    MutexLock lock(info_mutex_);
    question = info_.lock();
    ask = question == nullptr;
    if (ask) info_ = question = std::make_shared<InfoQuestion>(InfoQuestion{now, {}});
    overdue = now - question->asked >= options_.health_timeout;
    if (!overdue) question->waiting.emplace_back(waiting, answer);
  }
  if (ask) {
    threads_.Read([this, question = std::move(question)] { AnswerInfo(*question); });
  }
  if (!overdue) return;
  std::optional<Respond> respond = deadlines_.Take(*waiting);
  if (respond) std::move (*respond)(late());
}

void Api::AnswerInfo(InfoQuestion& question) {
  const absl::StatusOr<StoreInfo> info =
      store_.Info({.bounds = {.timeout = options_.health_timeout}});
  std::vector<std::pair<std::shared_ptr<Deadlines::Waiting>, InfoAnswer>> waiting;
  {
    MutexLock lock(info_mutex_);
    info_.reset();
    waiting.swap(question.waiting);
  }
  for (const auto& [one, answer] : waiting) {
    std::optional<Respond> respond = deadlines_.Take(*one);
    if (respond) std::move (*respond)((this->*answer)(info));
  }
}

void Api::Health(Call call) { AskInfo(std::move(call), &Api::HealthOf); }

void Api::Federation(Call call) { AskInfo(std::move(call), &Api::FederationOf); }

Response Api::HealthOf(const absl::StatusOr<StoreInfo>& info) const {
  const bool ready = ready_;
  const std::size_t overdue = CountOverdue();
  std::string_view status = "ok";
  std::string reason;
  if (TroubleOf(info.status()) == Trouble::kDamaged) {
    status = "error";
    reason = "the store is fenced: " + std::string(ToStd(info.status().message()));
  } else if (!info.ok()) {
    status = "error";
    reason = absl::IsDeadlineExceeded(info.status()) ? "the data does not answer"
                                                     : "the data cannot be read";
    Log(LogLevel::kError, absl::StrFormat("http: health: %s", info.status().ToString()));
  } else if (!info->fenced.empty()) {
    status = "error";
    reason = "the store is fenced: " + info->fenced;
  } else if (overdue > 0) {
    status = "error";
    reason = absl::StrFormat("%d writes were not answered by their deadline, nor since", overdue);
  } else if (!ready || (info->federation && info->federation->learner)) {
    status = "starting";
    reason = ready ? "this member is being refilled" : "the server is starting";
  } else if (!info->unwritable.empty()) {
    reason = "only reads are served: " + info->unwritable;
  }
  JsonObject body;
  body.Text("service", "ai-memory").Text("status", status).Text("aimem_version", options_.version);
  if (!reason.empty()) body.Text("reason", reason);
  if (info.ok() && info->federation) {
    const FederationInfo& federation = *info->federation;
    body.Text("state", wire::StateOf(federation))
        .Int("needed", federation.needed)
        .Int("voters", federation.voters)
        .Int("reachable", federation.reachable)
        .Bool("insecure", federation.insecure)
        .Text("replication", wire::TransportOf(federation));
  }
  return JsonAnswer(status == "ok" ? 200 : 503, body.Build());
}

// What the members think of each other is known also while the data cannot be asked.
Response Api::FederationOf(const absl::StatusOr<StoreInfo>& asked) const {
  const absl::StatusOr<StoreInfo> info = asked.ok() ? asked : store_.Info({.data = false});
  if (!info.ok()) return Problem(info.status());
  return JsonAnswer(200, wire::FederationJson(*info, asked.status()));
}

void Api::Operation(Call call) {
  web::Query query(call.request.query);
  const std::int64_t wait = query.Unsigned("wait_ms").value_or(0);
  if (!query.error().empty()) return std::move(call.respond)(TextAnswer(400, query.error()));
  const std::optional<OperationId> operation = Id128::Parse(call.id);
  if (!operation) {
    return std::move(call.respond)(
        ErrorAnswer(400, absl::StrFormat("'%s' is not an operation id (UUID text)", call.id)));
  }
  const absl::Duration deadline = clock_.Monotonic() + std::min(absl::Milliseconds(wait), kWaitMax);
  AskOperation(std::make_shared<Call>(std::move(call)), *operation, deadline);
}

void Api::AskOperation(std::shared_ptr<Call> call, OperationId operation, absl::Duration deadline) {
  // Asked first: what is not overdue any more is in the store, or was refused.
  const bool overdue = IsOverdue(operation);
  absl::StatusOr<OperationInfo> info = store_.GetOperation(operation, absl::ZeroDuration());
  const bool waits = overdue && absl::IsNotFound(info.status());
  if (waits) {
    info = OperationInfo();
    info->operation = operation;
    info->outcome = WriteOutcome::kUnknown;
  }
  if (!info.ok()) return std::move(call->respond)(Problem(info.status()));
  const bool settled = !waits && info->outcome != WriteOutcome::kPending;
  if (settled || clock_.Monotonic() >= deadline || draining_) {
    return std::move(call->respond)(JsonAnswer(200, wire::OperationJson(*info)));
  }
  threads_.ReadLater(kAskAgain, [this, call = std::move(call), operation, deadline] {
    AskOperation(call, operation, deadline);
  });
}

void Api::NoteOverdue(OperationId operation) {
  MutexLock lock(overdue_mutex_);
  overdue_.insert(operation);
}

void Api::ForgetOverdue(OperationId operation) {
  MutexLock lock(overdue_mutex_);
  if (const auto found = overdue_.find(operation); found != overdue_.end()) overdue_.erase(found);
}

bool Api::IsOverdue(OperationId operation) const {
  MutexLock lock(overdue_mutex_);
  return overdue_.contains(operation);
}

std::size_t Api::CountOverdue() const {
  MutexLock lock(overdue_mutex_);
  return overdue_.size();
}

void Api::MetricsPage(Call call) {
  const absl::StatusOr<StoreInfo> info = store_.Info();
  if (!info.ok()) return std::move(call.respond)(Problem(info.status()));
  if (metrics_.ClaimCounts(clock_.Monotonic(), kCountAgain)) {
    threads_.Read([this] { CountRows(); });
  }
  Response response{.status = 200, .content_type = kMetricsType, .body = metrics_.Page(*info)};
  std::move(call.respond)(std::move(response));
}

void Api::CountRows() {
  const absl::StatusOr<StoreInfo> info = store_.Info({.counts = true});
  metrics_.SetCounts(clock_.Monotonic(), info.ok() ? info->counts : std::nullopt);
}

}  // namespace aimem::rest
