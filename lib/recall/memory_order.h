// MemoryOrder: how memories are listed, the same whether rows or an index tell of them.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "aimem/requests.h"

namespace aimem::recall {

/// What the orders know of a memory besides its id.
struct ListedBy {
  std::int32_t priority = 0;
  std::int64_t created_at = 0;  ///< Nanoseconds.
  std::int64_t updated_at = 0;
};

/// Where a memory stands, apart from its id: the lesser comes first.
struct Rank {
  std::uint8_t major = 0;
  std::uint64_t minor = 0;

  friend auto operator<=>(const Rank&, const Rank&) = default;
};

/// One of ListOrder. A memory's position (page.h) begins with the bytes of its rank, which compare
/// as ranks do; those of its id follow.
class MemoryOrder {
 public:
  explicit MemoryOrder(ListOrder order) : order_(order) {}

  [[nodiscard]] Rank RankOf(const ListedBy& memory) const;
  /// Of two memories of the same rank, whose ids compare so: whether the first one comes first.
  [[nodiscard]] bool IdComesFirst(std::strong_ordering ids) const {
    return order_ == ListOrder::kNewest ? ids > 0 : ids < 0;
  }
  [[nodiscard]] std::string Position(const Rank& rank, std::string_view id) const;

  // -- Of a position -----------------------------------------------------------------------------
  [[nodiscard]] std::string IdAt(std::string_view position) const;
  /// nullopt: it is shorter than a rank.
  [[nodiscard]] std::optional<Rank> RankAt(std::string_view position) const;

 private:
  [[nodiscard]] std::size_t RankBytes() const;

  ListOrder order_;
};

}  // namespace aimem::recall
