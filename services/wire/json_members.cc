#include "services/wire/json_members.h"

#include <limits>

#include "absl/strings/str_format.h"
#include "lib/base/status.h"

namespace aimem::wire {
namespace {

using nlohmann::json;

constexpr int kDepthMax = 128;

// The library builds and destroys values by recursion: what is nested deeper is not read at all.
bool TooDeep(std::string_view text) {
  int depth = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"') {
      for (++at; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\') ++at;
      }
    } else if (c == '[' || c == '{') {
      if (++depth > kDepthMax) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

}  // namespace

absl::Status ParseJson(std::string_view text, json& value) {
  if (TooDeep(text)) return absl::InvalidArgumentError("recursion limit exceeded");
  try {
    value = json::parse(text);
  } catch (const json::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
  return absl::OkStatus();
}

absl::Status WrongShape(std::string_view why) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, why);
}

Members::Members(const json& object) : object_(object) {
  if (!object.is_object()) Refuse("invalid type, expected an object");
}

// -- Required -------------------------------------------------------------------------------------

std::string Members::Text(const char* key) {
  const json* value = FindRequired(key);
  return value == nullptr ? "" : TextOf(key, *value);
}

std::vector<std::string> Members::Texts(const char* key) {
  const json* value = FindRequired(key);
  return value == nullptr ? std::vector<std::string>() : TextsOf(key, *value);
}

std::int64_t Members::Integer(const char* key) {
  const json* value = FindRequired(key);
  return value == nullptr ? 0 : IntegerOf(key, *value);
}

std::uint64_t Members::Unsigned(const char* key) {
  const json* value = FindRequired(key);
  if (value == nullptr) return 0;
  if (value->is_number_unsigned()) return value->get<std::uint64_t>();
  Expect(key, *value, "an unsigned integer");
  return 0;
}

double Members::Number(const char* key) {
  const json* value = FindRequired(key);
  return value == nullptr ? 0 : NumberOf(key, *value);
}

const json& Members::Array(const char* key) {
  static const json& none = *new json(json::array());
  const json* value = FindRequired(key);
  if (value != nullptr && value->is_array()) return *value;
  if (value != nullptr) Expect(key, *value, "an array");
  return none;
}

const json& Members::Object(const char* key) {
  static const json& none = *new json(json::object());
  const json* value = FindRequired(key);
  if (value != nullptr && value->is_object()) return *value;
  if (value != nullptr) Expect(key, *value, "an object");
  return none;
}

// -- With a default -------------------------------------------------------------------------------

void Members::Or(const char* key, std::string& target) {
  if (const json* value = Find(key)) target = TextOf(key, *value);
}

void Members::Or(const char* key, std::vector<std::string>& target) {
  if (const json* value = Find(key)) target = TextsOf(key, *value);
}

void Members::Or(const char* key, std::int64_t& target) {
  if (const json* value = Find(key)) target = IntegerOf(key, *value);
}

void Members::Or(const char* key, double& target) {
  if (const json* value = Find(key)) target = NumberOf(key, *value);
}

void Members::Or(const char* key, bool& target) {
  const json* value = Find(key);
  if (value == nullptr) return;
  if (value->is_boolean()) target = value->get<bool>();
  if (!value->is_boolean()) Expect(key, *value, "a boolean");
}

void Members::Or(const char* key, Tier& target) {
  if (const json* value = Find(key)) target = TierOf(key, *value);
}

void Members::OrNull(const char* key, std::string& target) {
  if (const json* value = FindValue(key)) target = TextOf(key, *value);
}

void Members::OrAny(const char* key, std::string& target) {
  if (const json* value = Find(key)) target = value->dump();
}

// -- Optional -------------------------------------------------------------------------------------

void Members::Maybe(const char* key, std::optional<std::string>& target) {
  if (const json* value = FindValue(key)) target = TextOf(key, *value);
}

void Members::Maybe(const char* key, std::optional<std::vector<std::string>>& target) {
  if (const json* value = FindValue(key)) target = TextsOf(key, *value);
}

void Members::Maybe(const char* key, std::optional<std::int64_t>& target) {
  if (const json* value = FindValue(key)) target = IntegerOf(key, *value);
}

void Members::Maybe(const char* key, std::optional<double>& target) {
  if (const json* value = FindValue(key)) target = NumberOf(key, *value);
}

void Members::Maybe(const char* key, std::optional<Tier>& target) {
  if (const json* value = FindValue(key)) target = TierOf(key, *value);
}

void Members::MaybeAny(const char* key, std::optional<std::string>& target) {
  if (const json* value = FindValue(key)) target = value->dump();
}

void Members::MaybeUnsigned(const char* key, std::optional<std::int64_t>& target) {
  Maybe(key, target);
  if (target && *target < 0) Refuse(absl::StrFormat("%s: expected an unsigned integer", key));
}

// -- Values ---------------------------------------------------------------------------------------

void Members::Refuse(const absl::Status& found) {
  if (!found.ok()) Refuse(ToStd(found.message()));
}

void Members::Refuse(std::string_view why) {
  if (status_.ok()) status_ = WrongShape(why);
}

const json* Members::Find(const char* key) const {
  if (!object_.is_object()) return nullptr;
  const auto found = object_.find(key);
  return found == object_.end() ? nullptr : &*found;
}

const json* Members::FindValue(const char* key) const {
  const json* value = Find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

const json* Members::FindRequired(const char* key) {
  const json* value = Find(key);
  if (value == nullptr) Refuse(absl::StrFormat("missing field `%s`", key));
  return value;
}

void Members::Expect(const char* key, const json& value, std::string_view expected) {
  Refuse(absl::StrFormat("%s: invalid type: %s, expected %s", key, value.type_name(), expected));
}

std::string Members::TextOf(const char* key, const json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>();
  Expect(key, value, "a string");
  return "";
}

std::vector<std::string> Members::TextsOf(const char* key, const json& value) {
  std::vector<std::string> texts;
  if (!value.is_array()) Expect(key, value, "an array of strings");
  if (!value.is_array()) return texts;
  for (const json& item : value) texts.push_back(TextOf(key, item));
  return texts;
}

std::int64_t Members::IntegerOf(const char* key, const json& value) {
  if (value.is_number_unsigned() &&
      value.get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
    Refuse(absl::StrFormat("%s: integer out of range", key));
    return 0;
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  Expect(key, value, "an integer");
  return 0;
}

double Members::NumberOf(const char* key, const json& value) {
  if (value.is_number()) return value.get<double>();
  Expect(key, value, "a number");
  return 0;
}

Tier Members::TierOf(const char* key, const json& value) {
  const std::optional<Tier> tier =
      value.is_string() ? ParseTier(value.get_ref<const std::string&>()) : std::nullopt;
  if (!tier) {
    Refuse(absl::StrFormat("%s: unknown variant, expected one of `short`, `mid`, `long`", key));
  }
  return tier.value_or(Tier::kMid);
}

}  // namespace aimem::wire
