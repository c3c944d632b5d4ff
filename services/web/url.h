// What a URL says: its query, and ids in its path.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace aimem::web {

/// One segment of a path, percent-decoded. nullopt: a malformed escape, or what it stands for is
/// not UTF-8.
std::optional<std::string> DecodeSegment(std::string_view segment);

/// The parameters of a query, each read once. Keys that nobody reads are ignored.
///
/// An error that the URL itself is to blame for is kept as text of an answer 400: the first one
/// counts, and what is read after it is of no use.
class Query {
 public:
  explicit Query(std::string_view query);

  std::optional<std::string> Text(const std::string& key);
  /// Not negative.
  std::optional<std::int64_t> Unsigned(const std::string& key);
  std::optional<std::int64_t> Integer(const std::string& key);
  /// true or false.
  std::optional<bool> Flag(const std::string& key);

  /// What the reader of a value found wrong with it.
  void Refuse(std::string_view why);
  /// "Failed to deserialize query string: …"; empty: all could be read.
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  std::map<std::string, std::string> values_;
  std::string error_;
};

}  // namespace aimem::web
