#include "lib/store/operations.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/status.h"
#include "lib/base/trouble.h"
#include "lib/changes/meta.h"
#include "lib/changes/streams.h"
#include "lib/execute/request.h"
#include "lib/log/commit.h"

namespace aimem::store {
namespace {

/// The answer of one more commit of the same operation.
void AddItems(const std::vector<ItemResult>& more, std::vector<ItemResult>& items) {
  for (std::size_t i = 0; i < std::min(items.size(), more.size()); ++i) {
    items[i].count += more[i].count;
    if (items[i].effect == ItemEffect::kUnchanged) items[i].effect = more[i].effect;
  }
}

}  // namespace

absl::StatusOr<OperationInfo> FindOperation(const Foundation& base, Transaction& transaction,
                                            OperationId operation) {
  OperationInfo info;
  info.operation = operation;
  info.incomplete = true;
  for (std::uint64_t k = 0; info.incomplete; ++k) {
    AIMEM_ASSIGN_OR_RETURN(
        const ReadResult found,
        transaction.Read({.operations = {execute::DerivedOperation(operation, k)}, .meta = true}));
    if (found.operations.empty()) break;
    AIMEM_ASSIGN_OR_RETURN(const log::CommitHeader header,
                           log::DecodeCommitHeader(found.operations.front().bytes));
    AIMEM_ASSIGN_OR_RETURN(execute::Answer answer, execute::DecodeAnswer(header.results));
    for (const LogRow& row : found.operations) {
      changes::JoinInto(info.rests_on, {{row.stream, row.seq}});
    }
    info.outcome = base.CheckDelivered(changes::QuorumOf(found.meta)).ok()
                       ? WriteOutcome::kCommitted
                       : WriteOutcome::kPending;
    info.stream = header.stream;
    info.seq = header.seq;
    info.hlc = header.hlc;
    info.agent_id = header.agent_id;
    info.principal = header.principal;
    info.incomplete = !answer.last;
    if (k == 0) {
      info.items = std::move(answer.items);
    } else {
      AddItems(answer.items, info.items);
    }
  }
  if (info.seq == 0) {
    return MakeStatus(absl::StatusCode::kNotFound,
                      absl::StrCat("operation not found: ", operation.ToString()));
  }
  if (info.incomplete) info.outcome = WriteOutcome::kPending;
  return info;
}

absl::Status KeyUnreadable() {
  return WithTrouble(absl::DataLossError("this request id was used before, by a commit that cannot "
                                         "be read: run doctor, and use a new one"),
                     Trouble::kKeyUnreadable);
}

}  // namespace aimem::store
