// The fields of what is asked for, each with its number: one table per struct, from which the bytes
// of a request (docs/formats/request.md) and its size in a queue follow. A field that is missing
// from its table does not compile, nor does one of a type without an encoding.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "aimem/memory.h"
#include "lib/log/grammar.h"

namespace aimem::execute {

// -- Values as bytes: two values of one type never share them -------------------------------------
void AppendValue(const std::string& value, std::string& out);
void AppendValue(std::int64_t value, std::string& out);
void AppendValue(std::int32_t value, std::string& out);
void AppendValue(double value, std::string& out);
void AppendValue(bool value, std::string& out);
void AppendValue(Tier value, std::string& out);
void AppendValue(absl::Time value, std::string& out);
void AppendValue(const std::vector<std::string>& values, std::string& out);
void AppendValue(const Memory& value, std::string& out);
template <typename T>
void AppendValue(const std::optional<T>& value, std::string& out) {
  if (!value) return;
  out.push_back('\x01');
  AppendValue(*value, out);
}

template <typename Value>
using Encoder = void (*)(const Value& value, std::string& out);
template <typename Value>
void AppendByType(const Value& value, std::string& out) {
  AppendValue(value, out);
}

/// Append `number` and `value`, unless it is what the field has when nobody sets it: so a field
/// that is added later leaves the bytes of all earlier requests as they were.
template <typename Value>
void AppendField(std::uint8_t number, const Value& value, const Value& unset, std::string& out,
                 Encoder<Value> encode = AppendByType<Value>) {
  std::string bytes;
  std::string unset_bytes;
  encode(value, bytes);
  encode(unset, unset_bytes);
  if (bytes == unset_bytes) return;
  log::AppendVarint(number, out);
  log::AppendBytes(bytes, out);
}

/// A field and its number, which is part of the hash of requests: never renumbered, never used
/// for another field. `encode` is for one whose bytes are not those of its type.
template <typename Struct, typename Value>
struct Field {
  constexpr Field(std::uint8_t number_, Value Struct::*member_,
                  Encoder<Value> encode_ = AppendByType<Value>)
      : number(number_), member(member_), encode(encode_) {}

  std::uint8_t number;
  Value Struct::*member;
  Encoder<Value> encode;
};

/// Fields of a memory as a whole, for items that carry one.
inline constexpr std::tuple kMemoryFields{
    Field{1, &Memory::id},
    Field{2, &Memory::tier},
    Field{3, &Memory::namespace_},
    Field{4, &Memory::title},
    Field{5, &Memory::content},
    Field{6, &Memory::tags},
    Field{7, &Memory::priority},
    Field{8, &Memory::confidence},
    Field{9, &Memory::source},
    Field{10, &Memory::access_count},
    Field{11, &Memory::created_at},
    Field{12, &Memory::updated_at},
    Field{13, &Memory::last_accessed_at},
    Field{14, &Memory::expires_at},
    Field{15, &Memory::metadata},
};

template <typename Struct, typename... Fields>
void AppendFields(const Struct& value, const std::tuple<Fields...>& fields, std::string& out) {
  const Struct unset{};
  std::apply(
      [&](const auto&... field) {
        (AppendField(field.number, value.*field.member, unset.*field.member, out, field.encode),
         ...);
      },
      fields);
}

// -- Bytes that a value holds elsewhere than in its struct ----------------------------------------
template <typename T>
concept HoldsNothingElsewhere =
    std::is_arithmetic_v<T> || std::is_enum_v<T> || std::is_same_v<T, absl::Time>;
template <HoldsNothingElsewhere T>
std::size_t HeldBytes(const T&) {
  return 0;
}
std::size_t HeldBytes(const std::string& value);
std::size_t HeldBytes(const std::vector<std::string>& values);
std::size_t HeldBytes(const Memory& value);
template <typename T>
std::size_t HeldBytes(const std::optional<T>& value) {
  return value ? HeldBytes(*value) : 0;
}

template <typename Struct, typename... Fields>
std::size_t SumHeldBytes(const Struct& value, const std::tuple<Fields...>& fields) {
  return std::apply(
      [&](const auto&... field) { return (std::size_t{0} + ... + HeldBytes(value.*field.member)); },
      fields);
}

// -- What is checked of a table when it is compiled -----------------------------------------------

/// Stands for a value of any type where nothing is evaluated.
struct AnyValue {
  template <typename T>
  operator T() const;  // NOLINT(google-explicit-constructor)
};

/// Whether `Struct` has at least so many fields as there are indices.
template <typename Struct, std::size_t... Index>
constexpr bool HasFields(std::index_sequence<Index...>) {
  return requires { Struct{(static_cast<void>(Index), AnyValue{})...}; };
}

/// Whether `fields` has a row for every field of `Struct`, with ascending numbers from 1.
template <typename Struct, typename... Fields>
constexpr bool NamesEveryField(const std::tuple<Fields...>& fields) {
  constexpr std::size_t kCount = sizeof...(Fields);
  const std::array<std::uint8_t, kCount> numbers = std::apply(
      [](const auto&... field) { return std::array<std::uint8_t, kCount>{field.number...}; },
      fields);
  std::uint8_t before = 0;
  for (const std::uint8_t number : numbers) {
    if (number <= before) return false;
    before = number;
  }
  return HasFields<Struct>(std::make_index_sequence<kCount>()) &&
         !HasFields<Struct>(std::make_index_sequence<kCount + 1>());
}
static_assert(NamesEveryField<Memory>(kMemoryFields));

}  // namespace aimem::execute
