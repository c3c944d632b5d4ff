#include "lib/store/questions.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/status.h"
#include "lib/changes/check.h"
#include "lib/changes/read.h"
#include "lib/changes/streams.h"
#include "lib/recall/find.h"
#include "lib/recall/list.h"
#include "lib/recall/search.h"
#include "lib/store/index_check.h"
#include "lib/store/operations.h"

namespace aimem::store {
namespace {

/// In so many snapshots a question is asked, if others have led the index beyond each; in the last
/// one it reads the rows.
constexpr int kSnapshotsMax = 4;

}  // namespace

// -- Find -----------------------------------------------------------------------------------------

std::vector<absl::StatusOr<Memory>> Questions::Get(std::span<const std::string> ids,
                                                   const ReadOptions& options) {
  using Results = std::vector<absl::StatusOr<Memory>>;
  absl::StatusOr<Results> results = readers_.Answer(
      Begin(options.bounds), [&](Transaction& transaction) -> absl::StatusOr<Results> {
        Results all = recall::Get(transaction, ids, options);
        for (const absl::StatusOr<Memory>& one : all) {
          if (absl::IsUnavailable(one.status())) return one.status();
        }
        return all;
      });
  return results.ok() ? *std::move(results) : Results(ids.size(), results.status());
}

template <typename Ask>
auto Questions::AnswerIndexed(const Bounds& bounds, Indexer::Question question, Ask ask)
    -> decltype(ask(std::declval<Transaction&>(), nullptr)) {
  using Result = decltype(ask(std::declval<Transaction&>(), nullptr));
  for (int attempt = 1;; ++attempt) {
    const bool last = attempt == kSnapshotsMax;
    bool outrun = false;
    Result result = readers_.Answer(bounds, [&](Transaction& transaction) -> Result {
      AIMEM_ASSIGN_OR_RETURN(const index::Follower::Covered covered,
                             indexer_.Cover(transaction, question));
      outrun = covered.outrun;
      if (outrun && !last) return typename Result::value_type();
      if (outrun) indexer_.GiveUp();
      return ask(transaction, covered.view.get());
    });
    if (!result.ok() || !outrun || last) return result;
  }
}

absl::StatusOr<ListResult> Questions::List(const ListRequest& request) {
  const Bounds bounds = Begin(request.bounds);
  const auto list = [&](Transaction& transaction, const index::View* view) {
    return recall::List(transaction, request, base_.Now(), view);
  };
  if (recall::UsesIndex(request)) return AnswerIndexed(bounds, Indexer::Question::kList, list);
  return readers_.Answer(bounds,
                         [&](Transaction& transaction) { return list(transaction, nullptr); });
}

absl::StatusOr<SearchResult> Questions::Search(const SearchRequest& request) {
  return AnswerIndexed(Begin(request.bounds), Indexer::Question::kSearch,
                       [&](Transaction& transaction, const index::View* view) {
                         return recall::Search(transaction, request, base_.Now(), view);
                       });
}

absl::StatusOr<OperationInfo> Questions::GetOperation(OperationId operation) {
  AIMEM_ASSIGN_OR_RETURN(OperationInfo info,
                         readers_.Answer(Bounds(), [&](Transaction& transaction) {
                           return FindOperation(base_, transaction, operation);
                         }));
  // A member asks its peers, who are told of what is settled, and of nothing else.
  if (info.outcome != WriteOutcome::kCommitted || base_.hooks.quorum > 1) return info;
  AIMEM_ASSIGN_OR_RETURN(const Readers::Permit permit, readers_.Admit(Readers::Reader::kCaller));
  const absl::Status settled = base_.backend->Settle();
  if (!settled.ok()) {
    base_.Log(LogLevel::kWarning, absl::StrCat("operation ", operation.ToString(),
                                               " is here, and whether it is durable is not known: ",
                                               settled.message()));
    info.outcome = WriteOutcome::kUnknown;
  }
  return info;
}

// -- Follow, compare, look after ------------------------------------------------------------------

absl::StatusOr<ChangePage> Questions::ReadChanges(const ChangeCursor& cursor,
                                                  const ReadChangesLimit& limit,
                                                  const ReadBounds& bounds) {
  VersionVector unreadable;
  absl::StatusOr<ChangePage> page = readers_.Answer(Begin(bounds), [&](Transaction& transaction) {
    unreadable = unreadable_.Get();
    return changes::ReadChanges(transaction, cursor, limit, &unreadable);
  });
  if (unreadable_.Note(unreadable) && base_.hooks.listener != nullptr) {
    queue_.EnqueueStreamJob({0, std::nullopt, [](const absl::StatusOr<log::StoreState>&) {}});
  }
  return page;
}

absl::StatusOr<DigestResult> Questions::Digest(std::span<const DigestRange> ranges,
                                               const ReadBounds& bounds) {
  return readers_.Answer(Begin(bounds), [&](Transaction& transaction) {
    return changes::Digest(transaction, ranges, unreadable_.Get());
  });
}

absl::StatusOr<StoreInfo> Questions::Info(const InfoOptions& options) {
  AIMEM_RETURN_IF_ERROR(base_.CheckProcess());
  StoreInfo info;
  if (options.data) {
    AIMEM_ASSIGN_OR_RETURN(const Readers::Permit permit, readers_.Admit(Readers::Reader::kCaller));
    absl::StatusOr<StoreInfo> read =
        readers_.Answer(Begin(options.bounds),
                        [&](Transaction& transaction) { return ReadInfo(transaction, options); });
    if (absl::IsDataLoss(read.status())) AIMEM_RETURN_IF_ERROR(health_.CheckDamage());
    AIMEM_ASSIGN_OR_RETURN(info, std::move(read));
    AIMEM_ASSIGN_OR_RETURN(info.size_bytes, base_.backend->SizeBytes());
  }
  info.url = base_.backend->Url();
  const WriteQueue::Load load = queue_.load();
  info.queued_items = load.items;
  info.queued_bytes = load.bytes;
  health_.Report(info);
  return info;
}

absl::StatusOr<StoreInfo> Questions::ReadInfo(Transaction& transaction,
                                              const InfoOptions& options) {
  AIMEM_ASSIGN_OR_RETURN(const ReadResult result, transaction.Read({.heads = true, .meta = true}));
  AIMEM_ASSIGN_OR_RETURN(const changes::Streams streams,
                         changes::StreamsOf(result, unreadable_.Get(), transaction));
  StoreInfo info;
  info.member = streams.member;
  info.stream = streams.stream;
  info.vector = streams.Vector();
  info.installing = streams.installing;
  info.erasing = !streams.erasing.empty();
  info.index = indexer_.Info(result);
  if (options.counts) {
    AIMEM_ASSIGN_OR_RETURN(info.counts, recall::Count(transaction, base_.Now()));
  }
  return info;
}

absl::StatusOr<CheckReport> Questions::Check(const CheckOptions& options) {
  AIMEM_ASSIGN_OR_RETURN(const Readers::Permit permit, readers_.Admit(Readers::Reader::kCaller));
  const Bounds bounds = Begin(options.bounds);
  AIMEM_ASSIGN_OR_RETURN(
      CheckReport report,
      readers_.Answer(bounds, [&](Transaction& transaction) -> absl::StatusOr<CheckReport> {
        AIMEM_ASSIGN_OR_RETURN(CheckReport found, changes::Check(transaction, options));
        if (!options.deep) return found;
        AIMEM_ASSIGN_OR_RETURN(std::vector<std::string> index, CheckKeptIndex(transaction));
        found.problems.insert(found.problems.end(), std::make_move_iterator(index.begin()),
                              std::make_move_iterator(index.end()));
        return found;
      }));
  AIMEM_RETURN_IF_ERROR(bounds.Check());
  AIMEM_ASSIGN_OR_RETURN(std::vector<std::string> damage, base_.backend->Verify());
  report.problems.insert(report.problems.begin(), std::make_move_iterator(damage.begin()),
                         std::make_move_iterator(damage.end()));
  return report;
}

}  // namespace aimem::store
