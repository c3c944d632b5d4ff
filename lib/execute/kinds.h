// All kinds of writes, and the check that none of them lacks anything.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <variant>

#include "absl/status/statusor.h"
#include "aimem/write_batch.h"
#include "lib/execute/batch.h"
#include "lib/execute/fields.h"
#include "lib/execute/filter.h"
#include "lib/execute/kind.h"
#include "lib/execute/kinds/agents.h"
#include "lib/execute/kinds/archive.h"
#include "lib/execute/kinds/links.h"
#include "lib/execute/kinds/memories.h"
#include "lib/execute/kinds/pending.h"
#include "lib/execute/kinds/standards.h"

namespace aimem::execute {

template <typename Item>
concept HasNumber = std::same_as<decltype(KindOf<Item>::kNumber), const std::uint8_t>;

template <typename Item>
concept HasAllFields = NamesEveryField<Item>(KindOf<Item>::kFields);

template <typename Item>
concept SaysWhatItReads = requires(const Item& item, ReadList& reads) {
  { KindOf<Item>::Reads(item, reads) } -> std::same_as<void>;
};

template <typename Item>
concept IsExecuted = requires(const Item& item, Batch& batch) {
  { KindOf<Item>::Execute(item, batch) } -> std::same_as<absl::StatusOr<ItemResult>>;
};

template <typename Item>
concept IsByFilter = requires(const Item& item) {
  { KindOf<Item>::Filter(item) } -> std::same_as<absl::StatusOr<FilterRule>>;
};

template <typename Item>
concept HasOneEffect = (IsExecuted<Item> != IsByFilter<Item>);

/// What kind.h asks for. The compiler says which of these a kind lacks.
template <typename Item>
concept LacksNothing =
    HasNumber<Item> && HasAllFields<Item> && SaysWhatItReads<Item> && HasOneEffect<Item>;

/// The home of a kind that lacks nothing.
template <LacksNothing Item>
using Home = KindOf<Item>;

/// Whether all alternatives have numbers of their own. 0 is nobody's: it is that of the batch.
template <typename... Items>
constexpr bool NumbersDiffer(const std::variant<Items...>*) {
  const std::array<std::uint8_t, sizeof...(Items)> numbers = {KindOf<Items>::kNumber...};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] == 0) return false;
    for (std::size_t j = 0; j < i; ++j) {
      if (numbers[i] == numbers[j]) return false;
    }
  }
  return true;
}
static_assert(NumbersDiffer(static_cast<const WriteItem*>(nullptr)),
              "two kinds have one number, or one has 0");

}  // namespace aimem::execute
