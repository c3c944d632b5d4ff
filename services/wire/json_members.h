// Reading JSON member by member. The JSON library comes with this header, so only sources of this
// room include it, and its exceptions end here.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aimem/memory.h"

namespace aimem::wire {

/// Parse all of `text`. kInvalidArgument: it is not JSON, or nested too deep to be built.
absl::Status ParseJson(std::string_view text, nlohmann::json& value);

/// kFailedPrecondition: JSON, but not what was to be read.
absl::Status WrongShape(std::string_view why);

/// Reads the members of one object, which must outlive this. The first that does not fit is kept as
/// the error (WrongShape), and what is read after it is of no use. What nobody reads is ignored.
class Members {
 public:
  explicit Members(const nlohmann::json& object);

  // -- Required -----------------------------------------------------------------------------------
  std::string Text(const char* key);
  std::vector<std::string> Texts(const char* key);
  std::int64_t Integer(const char* key);
  std::uint64_t Unsigned(const char* key);
  double Number(const char* key);
  /// Empty arrays and objects stand in for those that are missing.
  const nlohmann::json& Array(const char* key);
  const nlohmann::json& Object(const char* key);

  // -- With a default that stays if the member is absent; null is refused -------------------------
  void Or(const char* key, std::string& target);
  void Or(const char* key, std::vector<std::string>& target);
  void Or(const char* key, std::int64_t& target);
  void Or(const char* key, double& target);
  void Or(const char* key, bool& target);
  void Or(const char* key, Tier& target);
  /// null is as good as empty.
  void OrNull(const char* key, std::string& target);
  /// Any value, as JSON text.
  void OrAny(const char* key, std::string& target);

  // -- Optional: null is as good as absent --------------------------------------------------------
  void Maybe(const char* key, std::optional<std::string>& target);
  void Maybe(const char* key, std::optional<std::vector<std::string>>& target);
  void Maybe(const char* key, std::optional<std::int64_t>& target);
  void Maybe(const char* key, std::optional<double>& target);
  void Maybe(const char* key, std::optional<Tier>& target);
  /// Any value, as JSON text.
  void MaybeAny(const char* key, std::optional<std::string>& target);
  void MaybeUnsigned(const char* key, std::optional<std::int64_t>& target);

  [[nodiscard]] bool Has(const char* key) const { return Find(key) != nullptr; }
  /// And it is not null.
  [[nodiscard]] bool HasValue(const char* key) const { return FindValue(key) != nullptr; }

  /// What the reader of a value found wrong with it; nothing if `found` is OK.
  void Refuse(const absl::Status& found);
  void Refuse(std::string_view why);
  [[nodiscard]] const absl::Status& status() const { return status_; }

 private:
  const nlohmann::json* Find(const char* key) const;
  const nlohmann::json* FindValue(const char* key) const;
  const nlohmann::json* FindRequired(const char* key);
  void Expect(const char* key, const nlohmann::json& value, std::string_view expected);

  std::string TextOf(const char* key, const nlohmann::json& value);
  std::vector<std::string> TextsOf(const char* key, const nlohmann::json& value);
  std::int64_t IntegerOf(const char* key, const nlohmann::json& value);
  double NumberOf(const char* key, const nlohmann::json& value);
  Tier TierOf(const char* key, const nlohmann::json& value);

  const nlohmann::json& object_;
  absl::Status status_;
};

/// What `fill` makes of the members of the one object that `text` is: fill(Members&, Value&).
template <typename Value, typename Fill>
absl::StatusOr<Value> ReadObject(std::string_view text, Fill fill) {
  nlohmann::json object;
  if (absl::Status parsed = ParseJson(text, object); !parsed.ok()) return parsed;
  Value value;
  Members members(object);
  fill(members, value);
  if (!members.status().ok()) return members.status();
  return value;
}

}  // namespace aimem::wire
