#include "lib/index/ids.h"

#include <array>
#include <limits>

#include "absl/hash/hash.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/index/bytes.h"

namespace aimem::index {
namespace {

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t kUuidSize = 36;
constexpr std::uint8_t kNoDigit = 16;

constexpr std::array<std::uint8_t, 256> MakeDigits() {
  std::array<std::uint8_t, 256> digits{};
  digits.fill(kNoDigit);
  for (std::uint8_t i = 0; i < 10; ++i) digits[std::size_t{'0'} + i] = i;
  for (std::uint8_t i = 0; i < 6; ++i) digits[std::size_t{'a'} + i] = 10 + i;
  return digits;
}
constexpr std::array<std::uint8_t, 256> kDigits = MakeDigits();

// What Id128::ToString makes `id` of; nullopt: nothing.
std::optional<Id128> Pack(std::string_view id) {
  if (id.size() != kUuidSize) return std::nullopt;
  Id128 packed;
  std::size_t at = 0;
  for (std::uint8_t& byte : packed.bytes) {
    if (at == 8 || at == 13 || at == 18 || at == 23) {
      if (id[at++] != '-') return std::nullopt;
    }
    const std::uint8_t high = kDigits[static_cast<std::uint8_t>(id[at])];
    const std::uint8_t low = kDigits[static_cast<std::uint8_t>(id[at + 1])];
    if (high == kNoDigit || low == kNoDigit) return std::nullopt;
    byte = static_cast<std::uint8_t>(high << 4 | low);
    at += 2;
  }
  return packed;
}

// Of the process: who chooses ids cannot choose what they share.
std::size_t HashOfBytes(std::string_view bytes) { return absl::HashOf(ToAbsl(bytes)); }

}  // namespace

void IdTable::Add(std::string_view id) {
  const std::optional<Id128> packed = Pack(id);
  if (!packed) {
    AddText(id);
    return;
  }
  slots_.push_back(*packed);
  if (!is_text_.empty()) is_text_.push_back(false);
}

void IdTable::Add(const IdTable& from, std::uint32_t document) {
  if (from.IsText(document)) {
    AddText(from.TextAt(document));
    return;
  }
  slots_.push_back(from.slots_[document]);
  if (!is_text_.empty()) is_text_.push_back(false);
}

void IdTable::AddText(std::string_view id) {
  if (is_text_.empty()) is_text_.resize(slots_.size());
  is_text_.push_back(true);
  Id128& slot = slots_.emplace_back();
  StoreNumber(text_.size(), slot.bytes.data());
  StoreNumber(id.size(), slot.bytes.data() + sizeof(std::uint64_t));
  text_ += id;
}

bool IdTable::IsUuid(std::string_view id) { return Pack(id).has_value(); }

bool IdTable::Finish() {
  text_.shrink_to_fit();
  // Two of three places taken: an id that is not here is looked for at five of them.
  places_.assign(slots_.empty() ? 0 : slots_.size() + slots_.size() / 2 + 1, kNone);
  for (std::uint32_t document = 0; document < slots_.size(); ++document) {
    std::size_t place = HashOf(document) % places_.size();
    for (; places_[place] != kNone; place = place + 1 == places_.size() ? 0 : place + 1) {
      // The same one was put here or on the way here: many of them would each walk past all others.
      if (Compare(document, *this, places_[place]) == 0) return false;
    }
    places_[place] = document;
  }
  return true;
}

std::string IdTable::At(std::uint32_t document) const {
  return IsText(document) ? std::string(TextAt(document)) : slots_[document].ToString();
}

std::string_view IdTable::TextAt(std::uint32_t document) const {
  const std::uint8_t* slot = slots_[document].bytes.data();
  return std::string_view(text_).substr(LoadNumber(slot), LoadNumber(slot + sizeof(std::uint64_t)));
}

std::size_t IdTable::HashOf(std::uint32_t document) const {
  return HashOfBytes(IsText(document) ? TextAt(document) : AsBytes(slots_[document]));
}

std::strong_ordering IdTable::Compare(std::uint32_t document, const IdTable& other,
                                      std::uint32_t theirs) const {
  // Hexadecimal digits are in the order of what they mean.
  if (!IsText(document) && !other.IsText(theirs)) return slots_[document] <=> other.slots_[theirs];
  if (IsText(document) && other.IsText(theirs)) return TextAt(document) <=> other.TextAt(theirs);
  return At(document) <=> other.At(theirs);
}

std::optional<std::uint32_t> IdTable::Find(std::string_view id) const {
  if (places_.empty()) return std::nullopt;
  const std::optional<Id128> packed = Pack(id);
  std::size_t place = HashOfBytes(packed ? AsBytes(*packed) : id) % places_.size();
  for (; places_[place] != kNone; place = place + 1 == places_.size() ? 0 : place + 1) {
    const std::uint32_t document = places_[place];
    if (IsText(document) == packed.has_value()) continue;
    if (packed ? slots_[document] == *packed : TextAt(document) == id) return document;
  }
  return std::nullopt;
}

std::size_t IdTable::ByteSize() const {
  return slots_.size() * sizeof(Id128) + is_text_.size() / 8 + text_.size() +
         places_.size() * sizeof(std::uint32_t);
}

}  // namespace aimem::index
