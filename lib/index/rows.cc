#include "lib/index/rows.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "lib/index/bytes.h"
#include "lib/model/parts.h"

namespace aimem::index {
namespace {

// kMarks, from the lowest bit: two of each tier and of the time words, three of the scope.
constexpr int kGivenTierShift = 2;
constexpr int kTimeWordsShift = 4;
constexpr int kScopeShift = 6;
constexpr std::uint64_t kTwoBits = 3;
constexpr std::uint64_t kThreeBits = 7;
constexpr std::uint64_t kExpiresNever = 1u << 9;

// In the order of the values.
std::uint64_t Unsigned(std::int64_t value) {
  return static_cast<std::uint64_t>(value) ^ (std::uint64_t{1} << 63);
}
std::int64_t Signed(std::uint64_t number) {
  return static_cast<std::int64_t>(number ^ (std::uint64_t{1} << 63));
}

// From one moment to another, modulo 2^64: small numbers mean that they are near.
std::uint64_t Distance(std::int64_t from, std::int64_t to) {
  return Unsigned(
      static_cast<std::int64_t>(static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(from)));
}
std::int64_t After(std::int64_t from, std::uint64_t distance) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(from) +
                                   static_cast<std::uint64_t>(Signed(distance)));
}

}  // namespace

DocumentRows::Numbers DocumentRows::NumbersOf(const Document& document) {
  const Features& features = document.features;
  const Facts& facts = document.facts;
  const std::int64_t created_at = model::ToNanoseconds(features.created_at);
  Numbers numbers{};
  numbers[kCreatedAt] = Unsigned(created_at);
  numbers[kUpdatedAt] = Distance(created_at, model::ToNanoseconds(features.updated_at));
  numbers[kExpiresAt] = Distance(created_at, facts.expires_at);
  numbers[kPriority] = Unsigned(features.priority);
  numbers[kConfidence] = std::bit_cast<std::uint64_t>(features.confidence);
  numbers[kAccessCount] = Unsigned(features.access_count);
  numbers[kTokens] = Unsigned(document.tokens);
  numbers[kMarks] = static_cast<std::uint64_t>(facts.tier) |
                    static_cast<std::uint64_t>(features.tier) << kGivenTierShift |
                    std::uint64_t{features.time_words} << kTimeWordsShift |
                    static_cast<std::uint64_t>(facts.scope) << kScopeShift |
                    (facts.expires_at == kNever ? kExpiresNever : 0);
  return numbers;
}

DocumentRows::Layout::Layout() {
  least_.fill(std::numeric_limits<std::uint64_t>::max());
  most_.fill(0);
}

void DocumentRows::Layout::Fit(const Numbers& numbers) {
  for (std::size_t column = 0; column < kColumns; ++column) {
    if (column == kConfidence) continue;
    if (column == kExpiresAt && (numbers[kMarks] & kExpiresNever) != 0) continue;
    least_[column] = std::min(least_[column], numbers[column]);
    most_[column] = std::max(most_[column], numbers[column]);
  }
  confidences_.insert(numbers[kConfidence]);
}

DocumentRows::DocumentRows(const Layout& layout, std::size_t count)
    : least_(layout.least_), confidences_(layout.confidences_.begin(), layout.confidences_.end()) {
  std::sort(confidences_.begin(), confidences_.end());
  Numbers most = layout.most_;
  least_[kConfidence] = 0;
  most[kConfidence] = confidences_.empty() ? 0 : confidences_.size() - 1;
  for (std::size_t column = 0; column < kColumns; ++column) {
    if (least_[column] > most[column]) least_[column] = most[column] = 0;  // no row has one
    const std::size_t width = (std::bit_width(most[column] - least_[column]) + 7) / 8;
    offsets_[column] = static_cast<std::uint8_t>(row_size_);
    masks_[column] = width == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << 8 * width) - 1;
    row_size_ += width;
  }
  bytes_.resize(count * row_size_ + kBytesAfter);
}

void DocumentRows::Add(const Numbers& numbers) {
  // What is written beyond a column is overwritten by the next.
  for (std::size_t column = 0; column < kColumns; ++column) {
    std::uint64_t number = numbers[column];
    if (column == kExpiresAt && (numbers[kMarks] & kExpiresNever) != 0) {
      number = least_[column];
    } else if (column == kConfidence) {
      number = static_cast<std::uint64_t>(
          std::lower_bound(confidences_.begin(), confidences_.end(), number) -
          confidences_.begin());
    }
    if (masks_[column] == 0) continue;
    StoreNumber(number - least_[column], bytes_.data() + filled_ + offsets_[column]);
  }
  filled_ += row_size_;
}

std::uint64_t DocumentRows::Read(Column column, std::uint32_t document) const {
  const std::uint8_t* const at = bytes_.data() + document * row_size_ + offsets_[column];
  return least_[column] + (LoadNumber(at) & masks_[column]);
}

bool DocumentRows::IsSound(std::uint32_t document) const {
  const std::uint64_t marks = Read(kMarks, document);
  return marks < kExpiresNever << 1 &&
         (marks & kTwoBits) <= static_cast<std::uint64_t>(Tier::kLong) &&
         (marks >> kGivenTierShift & kTwoBits) <= static_cast<std::uint64_t>(Tier::kLong) &&
         (marks >> kTimeWordsShift & kTwoBits) <= kTimeWordsMax &&
         (marks >> kScopeShift & kThreeBits) <= static_cast<std::uint64_t>(Scope::kUnknown) &&
         Signed(Read(kTokens, document)) >= 0 && Read(kConfidence, document) < confidences_.size();
}

DocumentRows::Numbers DocumentRows::At(std::uint32_t document) const {
  Numbers numbers{};
  for (std::size_t column = 0; column < kColumns; ++column) {
    numbers[column] = Read(static_cast<Column>(column), document);
  }
  numbers[kConfidence] = confidences_[numbers[kConfidence]];
  return numbers;
}

Features DocumentRows::FeaturesOf(std::uint32_t document) const {
  const std::uint64_t marks = Read(kMarks, document);
  Features features;
  features.tier = static_cast<Tier>(marks >> kGivenTierShift & kTwoBits);
  features.priority = PriorityOf(document);
  features.confidence = std::bit_cast<double>(confidences_[Read(kConfidence, document)]);
  features.created_at = model::FromNanoseconds(CreatedAt(document));
  features.updated_at = model::FromNanoseconds(UpdatedAt(document));
  features.access_count = Signed(Read(kAccessCount, document));
  features.time_words = static_cast<std::uint8_t>(marks >> kTimeWordsShift & kTwoBits);
  return features;
}

Facts DocumentRows::FactsOf(std::uint32_t document) const {
  const std::uint64_t marks = Read(kMarks, document);
  Facts facts;
  facts.tier = static_cast<Tier>(marks & kTwoBits);
  facts.scope = static_cast<Scope>(marks >> kScopeShift & kThreeBits);
  if ((marks & kExpiresNever) == 0) {
    facts.expires_at = After(CreatedAt(document), Read(kExpiresAt, document));
  }
  return facts;
}

std::int64_t DocumentRows::TokensOf(std::uint32_t document) const {
  return Signed(Read(kTokens, document));
}

std::int32_t DocumentRows::PriorityOf(std::uint32_t document) const {
  return static_cast<std::int32_t>(Signed(Read(kPriority, document)));
}

std::int64_t DocumentRows::CreatedAt(std::uint32_t document) const {
  return Signed(Read(kCreatedAt, document));
}

std::int64_t DocumentRows::UpdatedAt(std::uint32_t document) const {
  return After(CreatedAt(document), Read(kUpdatedAt, document));
}

std::size_t DocumentRows::ByteSize() const {
  return bytes_.size() + confidences_.size() * sizeof(std::uint64_t);
}

}  // namespace aimem::index
