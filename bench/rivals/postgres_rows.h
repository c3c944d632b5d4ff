// A bare loop over libpq: the rows of our store, BEGIN and COMMIT, and nothing around them.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <span>
#include <string>

#include "aimem/backends/backend.h"

namespace aimem::bench {

/// One connection. Tables in schema `rival`, with the columns and indexes of our backend.
class PostgresRows {
 public:
  static void CreateTables(const std::string& url);

  explicit PostgresRows(const std::string& url);

  /// Once, after CreateTables and before the first Put.
  void Prepare();
  /// BEGIN, an INSERT for each row of `set`, COMMIT; prepared, parameters in binary.
  void Put(const WriteSet& set);

 private:
  struct Closer {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };

  void Execute(const char* sql);
  void RunPrepared(const char* name, std::span<const std::string> values,
                   std::span<const bool> nulls);

  std::unique_ptr<PGconn, Closer> connection_;
};

}  // namespace aimem::bench
