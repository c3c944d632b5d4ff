#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/backends/postgres.h"
#include "aimem/backends/sqlite.h"
#include "aimem/local_store.h"
#include "aimem/open.h"
#include "backends/open/url.h"
#include "lib/base/status.h"

namespace aimem {
namespace {

constexpr std::string_view kSchemaParameter = "aimem_schema=";

/// The scheme of `url`, or nullopt if it has none: RFC 3986's grammar, followed by "://".
std::optional<std::string_view> SchemeOf(std::string_view url) {
  const std::size_t end = url.find("://");
  if (end == std::string_view::npos || end == 0) return std::nullopt;
  const std::string_view scheme = url.substr(0, end);
  const bool well_formed = scheme.find_first_not_of(
                               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789+-.") == std::string_view::npos;
  return well_formed ? std::optional(scheme) : std::nullopt;
}

/// Take our own parameter out of the query, which libpq would refuse.
std::pair<std::string, std::optional<std::string>> TakeSchema(std::string_view url) {
  const std::size_t question = url.find('?');
  if (question == std::string_view::npos) return {std::string(url), std::nullopt};
  std::string rest(url.substr(0, question));
  std::optional<std::string> schema;
  char separator = '?';
  std::string_view query = url.substr(question + 1);
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.starts_with(kSchemaParameter)) {
      schema = std::string(pair.substr(kSchemaParameter.size()));
    } else if (!pair.empty()) {
      rest.append(1, separator).append(pair);
      separator = '&';
    }
  }
  return {std::move(rest), std::move(schema)};
}

absl::StatusOr<std::unique_ptr<Backend>> OpenSqlite(std::string_view path,
                                                    const OpenOptions& options) {
  if (path.empty()) {
    return absl::InvalidArgumentError(
        "the store URL names no file (expected sqlite:///path or a path)");
  }
  SqliteOptions sqlite;
  sqlite.create = options.create;
  sqlite.read_only = options.read_only;
  sqlite.sync_writes = options.sync_writes;
  return OpenSqliteBackend(std::string(path), sqlite);
}

absl::StatusOr<std::unique_ptr<Backend>> OpenPostgres(const open::PostgresPlace& place,
                                                      const OpenOptions& options) {
  // How durable a commit is, the server's synchronous_commit decides, never less than asked for.
  PostgresOptions postgres;
  postgres.create = options.create;
  postgres.read_only = options.read_only;
  postgres.schema = place.schema;
  return OpenPostgresBackend(place.url, postgres);
}

absl::StatusOr<std::unique_ptr<Backend>> OpenMemory(const OpenOptions& options) {
  if (!options.create) {
    return absl::NotFoundError(
        "memory: names a new store each time, and making one is switched "
        "off");
  }
  if (options.read_only) {
    return absl::InvalidArgumentError("memory: cannot be opened for reading only: it is empty");
  }
  return OpenEphemeralBackend();
}

}  // namespace

namespace open {

std::optional<std::string> SqlitePath(std::string_view url) {
  const std::optional<std::string_view> scheme = SchemeOf(url);
  if (!scheme && url != "memory:") return std::string(url);
  // sqlite:///absolute keeps its slash; of sqlite://./relative the path is what follows.
  if (scheme != "sqlite") return std::nullopt;
  return std::string(url.substr(scheme->size() + 3));
}

std::optional<PostgresPlace> PostgresPlaceOf(std::string_view url) {
  const std::optional<std::string_view> scheme = SchemeOf(url);
  if (scheme != "postgres" && scheme != "postgresql") return std::nullopt;
  auto [server, schema] = TakeSchema(url);
  return PostgresPlace{std::move(server), schema.value_or(PostgresOptions().schema)};
}

}  // namespace open

absl::StatusOr<std::unique_ptr<Backend>> OpenBackend(std::string_view url,
                                                     const OpenOptions& options) {
  if (url == "memory:") return OpenMemory(options);
  if (const auto path = open::SqlitePath(url)) return OpenSqlite(*path, options);
  if (const auto place = open::PostgresPlaceOf(url)) return OpenPostgres(*place, options);
  return absl::InvalidArgumentError(absl::StrFormat(
      "unrecognised store URL: %s (expected sqlite:///path or postgres://...)", MaskUrl(url)));
}

absl::StatusOr<std::unique_ptr<Store>> OpenStore(std::string_view url, const OpenOptions& options) {
  AIMEM_RETURN_IF_ERROR(Validate(options.store));
  AIMEM_ASSIGN_OR_RETURN(std::unique_ptr<Backend> backend, OpenBackend(url, options));
  return OpenLocalStore(std::move(backend), options.store);
}

}  // namespace aimem
