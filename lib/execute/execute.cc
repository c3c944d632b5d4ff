#include "lib/execute/execute.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "aimem/errors.h"
#include "lib/base/status.h"
#include "lib/execute/kinds.h"
#include "lib/execute/request.h"

namespace aimem::execute {
namespace {

absl::StatusOr<ItemResult> ExecuteItem(const WriteItem& item, Batch& batch) {
  return std::visit(
      [&]<typename Item>(const Item& one) -> absl::StatusOr<ItemResult> {
        if constexpr (IsByFilter<Item>) {
          AIMEM_ASSIGN_OR_RETURN(const FilterRule rule, Home<Item>::Filter(one));
          return EndSelected(rule, batch);
        } else {
          return Home<Item>::Execute(one, batch);
        }
      },
      item);
}

/// Failures of the database are no refusals of an item: the whole batch fails with them. Damage is
/// one: it is that of a row which the item reads.
bool IsStorageFailure(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kInternal ||
         status.code() == absl::StatusCode::kResourceExhausted;
}

/// The refusal of an item, as it stands in the results.
absl::Status OfItem(std::size_t index, const absl::Status& status) {
  ErrorDetail detail = DetailOf(status).value_or(ErrorDetail());
  detail.item = static_cast<std::int64_t>(index);
  return WithDetail(BoundedMessage(status), detail);
}

/// The refusal as a caller of this batch sees it: with the item's number if there are several.
absl::Status Refusal(const WriteBatch& batch, std::size_t index, const absl::Status& status) {
  if (batch.items.size() == 1) return status;
  return Annotate(status, absl::StrCat("item ", index));
}

}  // namespace

bool SelectsByFilter(const WriteItem& item) {
  return std::visit([]<typename Item>(const Item&) { return IsByFilter<Item>; }, item);
}

absl::StatusOr<FilterRule> FilterOf(const WriteItem& item) {
  return std::visit(
      []<typename Item>(const Item& one) -> absl::StatusOr<FilterRule> {
        if constexpr (IsByFilter<Item>) {
          return Home<Item>::Filter(one);
        } else {
          return absl::InternalError("not a change by filter");
        }
      },
      item);
}

void CollectReads(const WriteBatch& batch, ReadSet& reads) {
  ReadList list(reads);
  for (const WriteItem& item : batch.items) {
    std::visit([&]<typename Item>(const Item& one) { Home<Item>::Reads(one, list); }, item);
  }
}

absl::Status Execute(const WriteBatch& batch, const ExecuteContext& context,
                     std::vector<ItemResult>& results) {
  Batch execution(context);
  results.clear();
  results.reserve(batch.items.size());
  std::optional<absl::Status> first_refusal;
  bool any = false;
  for (std::size_t i = 0; i < batch.items.size(); ++i) {
    absl::StatusOr<ItemResult> result = ExecuteItem(batch.items[i], execution);
    if (result.ok()) {
      any = true;
      results.push_back(*std::move(result));
      continue;
    }
    if (IsStorageFailure(result.status())) {
      return Refusal(batch, i, BoundedMessage(result.status()));
    }
    absl::Status status = OfItem(i, result.status());
    if (!context.write.allow_partial) return Refusal(batch, i, status);
    if (!first_refusal) first_refusal = Refusal(batch, i, status);
    results.push_back({.status = std::move(status)});
  }
  if (!any && first_refusal) return *first_refusal;
  return BoundedMessage(execution.CheckRenames());
}

}  // namespace aimem::execute
