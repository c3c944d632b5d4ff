#include "lib/recall/memory_order.h"

#include "lib/model/parts.h"
#include "lib/recall/page.h"

namespace aimem::recall {
namespace {

// As the bytes of model::EncodeTime compare.
std::uint64_t TimeNumber(std::int64_t nanoseconds) {
  return static_cast<std::uint64_t>(nanoseconds) ^ (std::uint64_t{1} << 63);
}

}  // namespace

Rank MemoryOrder::RankOf(const ListedBy& memory) const {
  switch (order_) {
    case ListOrder::kPriority:
      return {static_cast<std::uint8_t>(255 - memory.priority), ~TimeNumber(memory.updated_at)};
    case ListOrder::kCreated:
      break;
    case ListOrder::kNewest:
      return {0, ~TimeNumber(memory.created_at)};
  }
  return {0, TimeNumber(memory.created_at)};
}

std::size_t MemoryOrder::RankBytes() const {
  return order_ == ListOrder::kPriority ? 1 + kNumberBytes : kNumberBytes;
}

std::string MemoryOrder::Position(const Rank& rank, std::string_view id) const {
  std::string position;
  if (order_ == ListOrder::kPriority) position.push_back(static_cast<char>(rank.major));
  position.append(model::EncodeU64(rank.minor));
  if (order_ != ListOrder::kNewest) return position.append(id);
  // Ids from the greatest down: inverted, and ended by a byte that is greater than what may follow,
  // so that the longer one of two comes first.
  return position.append(Inverted(std::string(id))).append(1, '\xff');
}

std::string MemoryOrder::IdAt(std::string_view position) const {
  std::string id(position.substr(RankBytes()));
  if (order_ != ListOrder::kNewest) return id;
  id.pop_back();
  return Inverted(std::move(id));
}

std::optional<Rank> MemoryOrder::RankAt(std::string_view position) const {
  if (position.size() < RankBytes()) return std::nullopt;
  const std::size_t minor_at = RankBytes() - kNumberBytes;
  const std::optional<std::uint64_t> minor =
      model::DecodeU64(position.substr(minor_at, kNumberBytes));
  if (!minor) return std::nullopt;
  return Rank{minor_at == 0 ? std::uint8_t{0} : static_cast<std::uint8_t>(position.front()),
              *minor};
}

}  // namespace aimem::recall
