#include "lib/store/group_execution.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "aimem/errors.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/changes/meta.h"
#include "lib/changes/position.h"
#include "lib/changes/streams.h"
#include "lib/execute/execute.h"
#include "lib/execute/request.h"
#include "lib/log/commit.h"
#include "lib/model/view.h"
#include "lib/store/operations.h"

namespace aimem::store {
namespace {

constexpr std::size_t kHeaderReserve = 4u << 10;  // of a commit, without its answer

/// What `rows` are to become, with an answer of `answer_bytes`, is a commit and no more.
absl::Status CheckFits(const execute::Rows& rows, std::size_t answer_bytes) {
  const std::size_t bytes = rows.draft_bytes() + answer_bytes + kHeaderReserve;
  const bool many = rows.drafts() > log::kMaxChanges;
  if (!many && bytes <= log::kMaxCommitBytes) return absl::OkStatus();
  return InvalidField(
      many ? "items" : "bytes", std::to_string(many ? rows.drafts() : rows.draft_bytes()),
      absl::StrFormat("batch of %d changes and about %d bytes exceeds the limits of a commit "
                      "(%d changes, %d bytes): use several",
                      rows.drafts(), rows.draft_bytes(), log::kMaxChanges, log::kMaxCommitBytes),
      std::to_string(many ? log::kMaxChanges : log::kMaxCommitBytes));
}

absl::Status KeyConflict(const std::optional<Hash256>& stored, const Hash256& given) {
  const ErrorDetail detail = {.field = "request_id",
                              .stored_hash = stored ? ToHex(AsBytes(*stored)) : "none",
                              .request_hash = ToHex(AsBytes(given))};
  return WithDetail(
      MakeStatus(absl::StatusCode::kAborted,
                 absl::StrCat("request_id_conflict: this request id was used for another "
                              "request (stored_hash ",
                              detail.stored_hash, ", request_hash ", detail.request_hash,
                              "): use a new one")),
      detail);
}

}  // namespace

absl::Status GroupExecution::Prepare(std::span<const Job> jobs) {
  ReadSet reads;
  reads.heads = reads.meta = !log_.prepared;
  for (const Job& job : jobs) {
    const auto* write = std::get_if<WriteJob>(&job);
    if (write == nullptr) continue;
    execute::CollectReads(write->batch, reads);
    if (write->request_hash || write->options.operation) {
      reads.operations.push_back(write->operation);
    }
  }
  AIMEM_ASSIGN_OR_RETURN(const ReadResult result, rows_.Fetch(reads));
  for (const LogRow& row : result.operations) {
    absl::StatusOr<log::CommitHeader> header = log::DecodeCommitHeader(row.bytes);
    // Known, but what was answered is not: a retry of it is refused, and nothing else.
    if (!header.ok()) {
      log_.unreadable.insert(row.operation);
      continue;
    }
    GroupLog::Known& known = log_.operations[row.operation];
    if (known.places.empty()) known.header = *std::move(header);
    known.places[row.stream] = row.seq;
  }
  return log_.prepared ? absl::OkStatus() : streams_.Prepare(result, rows_, log_);
}

void GroupExecution::EraseBodies() {
  if (!rows_.any_purged()) return;
  // What came before, in this log or to others who copy it now: that is looked for (Eraser).
  if (rows_.has_purged()) changes::NoteErasing(base_.random, log_.streams, log_.set);
  for (LogRow& row : log_.set.log) {
    std::optional<std::string> without =
        log::EraseBodies(row.bytes, [&](const EntityKey& key) { return rows_.IsPurged(key); });
    if (without) row.bytes = *std::move(without);
  }
}

void GroupExecution::Finish() {
  EraseBodies();
  log_.set.rows = rows_.TakeChanged();
  // States of an install come without commits, and a commit that is mended had its place before.
  if (log_.installed || !log_.set.log_tails.empty()) changes::NoteRows(base_.random, log_.set);
}

// -- Writes ---------------------------------------------------------------------------------------

bool GroupExecution::ReplayIfKnown(WriteJob& job) const {
  if (log_.unreadable.contains(job.operation)) {
    Reject(job, KeyUnreadable());
    return true;
  }
  const auto found = log_.operations.find(job.operation);
  if (found == log_.operations.end()) return false;
  if (!job.request_hash) {
    const std::string operation = job.operation.ToString();
    Reject(job, WithDetail(absl::AlreadyExistsError(absl::StrCat(
                               "operation ", operation, " names another write: choose a new one")),
                           {.field = "operation", .value = operation}));
    return true;
  }
  const log::CommitHeader& header = found->second.header;
  if (header.request_hash != job.request_hash) {
    Reject(job, KeyConflict(header.request_hash, *job.request_hash));
    return true;
  }
  absl::StatusOr<execute::Answer> answer = execute::DecodeAnswer(header.results);
  if (!answer.ok()) {
    Reject(job, answer.status());
    return true;
  }
  job.result.operation = job.operation;
  job.result.outcome = WriteOutcome::kCommitted;
  job.result.items = std::move(answer->items);
  job.result.stream = header.stream;
  job.result.seq = header.seq;
  job.result.replayed = true;
  job.result.rests_on = found->second.places;
  // Said by an earlier write of this group: nothing is durable of it yet.
  job.state = log_.written.contains(job.operation) ? JobState::kExecuted : JobState::kReplayed;
  return true;
}

absl::Status GroupExecution::Write(WriteJob& job) {
  if (log_.streams.installing) {
    Reject(job, absl::UnavailableError(
                    "the store is being filled from another member and takes no writes yet: "
                    "retry"));
    return absl::OkStatus();
  }
  if (ReplayIfKnown(job)) return AddMemories(job);
  const execute::ExecuteContext context{rows_,
                                        base_.options.lifetimes,
                                        job.options,
                                        base_.Now(),
                                        job.selection ? &*job.selection : nullptr,
                                        job.operation};
  std::vector<ItemResult> items;
  absl::Status status = execute::Execute(job.batch, context, items);
  std::string answer = status.ok()
                           ? execute::EncodeAnswer({items, !job.selection || job.selection->last})
                           : std::string();
  if (status.ok()) {
    status = CheckFits(rows_, answer.size());
  } else if (status.code() == absl::StatusCode::kUnavailable ||
             status.code() == absl::StatusCode::kInternal) {
    rows_.Discard();
    return status;
  }
  if (!status.ok()) {
    rows_.Discard();
    Reject(job, std::move(status));
    return absl::OkStatus();
  }
  job.result.items = std::move(items);
  AIMEM_RETURN_IF_ERROR(Append(job, std::move(answer)));
  return AddMemories(job);
}

absl::Status GroupExecution::AddMemories(WriteJob& job) {
  if (!job.options.return_memory) return absl::OkStatus();
  for (ItemResult& item : job.result.items) {
    if (item.id.empty()) continue;
    const absl::StatusOr<const execute::Entity*> entity = rows_.Memory(item.id);
    if (absl::IsDataLoss(entity.status())) continue;
    AIMEM_RETURN_IF_ERROR(entity.status());
    if (!(*entity)->live()) continue;
    item.memory = model::ToMemory(item.id, (*entity)->parts, (*entity)->view);
  }
  return absl::OkStatus();
}

absl::Status GroupExecution::Append(WriteJob& job, std::string answer) {
  const std::uint64_t hlc = log::NextHlc(rows_.seen(), absl::ToUnixMillis(base_.Now()));
  if (hlc <= rows_.seen()) {
    rows_.Discard();
    return absl::InternalError("the hybrid logical clock has reached its end: run doctor");
  }
  absl::StatusOr<std::vector<log::Change>> sealed = rows_.Seal({hlc, log_.streams.stream});
  if (!sealed.ok()) {
    rows_.Discard();
    if (absl::IsInternal(sealed.status())) return sealed.status();
    Reject(job, sealed.status());
    return absl::OkStatus();
  }
  std::vector<log::Change> changes = *std::move(sealed);
  job.result.operation = job.operation;
  job.result.outcome = WriteOutcome::kCommitted;
  // Nothing to change may be due to an earlier write of this group.
  job.state = JobState::kExecuted;
  // Nothing to change: no commit, unless a key has to remember the answer, or it is one of several
  // that are found by each other. The answer rests on all that was seen.
  const bool one_of_several = job.selection && !(job.selection->first && job.selection->last);
  if (changes.empty() && !job.request_hash && !one_of_several) {
    job.result.rests_on = log_.streams.Vector();
    return absl::OkStatus();
  }
  log::CommitHeader header;
  header.hlc = hlc;
  header.operation = job.operation;
  header.request_hash = job.request_hash;
  header.results = std::move(answer);
  header.agent_id = job.options.agent_id;
  header.principal = job.options.principal;
  GroupLog::Known* known = nullptr;
  if (job.request_hash || job.options.operation) {
    known = &log_.operations[job.operation];
    known->header = header;
    log_.written.insert(job.operation);
  }
  log_.Append(std::move(header), std::move(changes), base_.random);
  job.result.stream = log_.streams.stream;
  job.result.seq = log_.streams.heads[log_.streams.stream].seq;
  job.result.rests_on = {{job.result.stream, job.result.seq}};
  if (known != nullptr) {
    known->header.stream = job.result.stream;
    known->header.seq = job.result.seq;
    known->places = job.result.rests_on;
  }
  return absl::OkStatus();
}

// -- Pages ----------------------------------------------------------------------------------------

void GroupExecution::AppendStates(std::vector<log::Change> changes) {
  log::CommitHeader header;
  header.hlc = log::NextHlc(rows_.seen(), absl::ToUnixMillis(base_.Now()));
  header.operation = execute::FreshOperation(base_.random, base_.Now());
  header.results = execute::EncodeAnswer({});
  header.principal = "apply";
  rows_.Saw({header.hlc, log_.streams.stream});
  log_.Append(std::move(header), std::move(changes), base_.random);
}

absl::Status GroupExecution::Apply(ApplyJob& job) {
  if (changes::FindStreamToForsake(log_.streams, job.page) != 0) {
    job.result.status = absl::UnavailableError(
        "others hold another history of the stream that this store writes, and it could not go on "
        "as a new one: retry");
    return absl::OkStatus();
  }
  if (absl::Status refused = changes::CheckRoom(job.page, log_.streams.heads); !refused.ok()) {
    job.result.status = std::move(refused);
    return absl::OkStatus();
  }
  if (log_.streams.installing || (job.page.install && log_.streams.Vector().empty())) {
    return Install(job);
  }
  job.result.refusals = job.page.unreadable;
  const auto append = [this](std::vector<log::Change> changes) {
    AppendStates(std::move(changes));
    return absl::OkStatus();
  };
  AIMEM_RETURN_IF_ERROR(changes::ApplyStates(job.page, rows_, append, job.result));
  changes::ErasedBefore erased;
  AIMEM_RETURN_IF_ERROR(
      changes::ApplyCommits(job.page, rows_, log_.streams.heads, log_.set, job.result, erased));
  AIMEM_RETURN_IF_ERROR(changes::ApplyErased(erased, rows_, append));
  if (job.page.adopt) {
    AIMEM_RETURN_IF_ERROR(streams_.Adopt(*job.page.adopt, rows_, log_, job.result));
  }
  if (!job.result.status.ok()) return absl::OkStatus();
  LogUnapplied(job.result);
  job.result.durable = log_.streams.Vector();
  return absl::OkStatus();
}

void GroupExecution::LogUnapplied(const ApplyResult& result) const {
  for (const ApplyRefusal& held : result.unapplied) {
    base_.Log(
        LogLevel::kWarning,
        absl::StrFormat(
            "commit %d of stream %016x is kept and passed on, not applied: key '%s': %s", held.seq,
            held.stream, absl::CHexEscape(ToAbsl(held.key.key)), ToStd(held.status.message())));
  }
}

absl::Status GroupExecution::Install(ApplyJob& job) {
  if (!job.page.install) {
    job.result.status = absl::UnavailableError(
        "the store is being filled from another member and takes nothing else yet: retry");
    return absl::OkStatus();
  }
  // A page that is taken moves the cursor; so it is taken as a whole, or not at all.
  if (absl::Status refused = changes::CheckFollows(job.page, log_.streams.heads); !refused.ok()) {
    job.result.status =
        Annotate(absl::FailedPreconditionError(refused.message()),
                 "the page does not continue what this store was filled with, start again");
    return absl::OkStatus();
  }
  AIMEM_RETURN_IF_ERROR(changes::InstallStates(job.page, rows_, job.result));
  // A purge that is not here yet is in what follows: nothing is held before.
  changes::ErasedBefore erased;
  AIMEM_RETURN_IF_ERROR(
      changes::ApplyCommits(job.page, rows_, log_.streams.heads, log_.set, job.result, erased));
  if (job.page.adopt) {
    AIMEM_RETURN_IF_ERROR(streams_.Adopt(*job.page.adopt, rows_, log_, job.result));
  }
  if (!job.result.status.ok()) return absl::OkStatus();
  log_.installed = log_.must_commit = true;
  // What came of a source that was lost is in the rows as well.
  ChangeCursor next = std::move(job.page.next);
  if (log_.streams.installing) changes::JoinInto(next.seen, log_.streams.installing->seen);
  const VersionVector held = VectorOf(log_.streams.heads);
  log_.streams.installing.reset();
  if (!job.page.end) {
    log_.streams.installing = std::move(next);
  } else if (!Covers(held, next.seen)) {
    log_.streams.installing = ChangeCursor::After(held);
    log_.streams.installing->seen = std::move(next.seen);
  }
  changes::SetMeta(log_.set, changes::kMetaInstall,
                   log_.streams.installing ? log_.streams.installing->ToBytes() : std::string());
  job.result.durable = log_.streams.Vector();
  return absl::OkStatus();
}

}  // namespace aimem::store
