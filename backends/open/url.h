// What a URL of a store names.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace aimem::open {

/// The path of the file that `url` names; nullopt: it names no file.
std::optional<std::string> SqlitePath(std::string_view url);

/// What a URL of PostgreSQL names.
struct PostgresPlace {
  std::string url;  ///< Without the parameter that is ours.
  std::string schema;
};

/// nullopt: it names no such database.
std::optional<PostgresPlace> PostgresPlaceOf(std::string_view url);

}  // namespace aimem::open
