// A member of a federation whose data are in PostgreSQL, and one whose data are in a file.
//
//   example_embed_postgres postgresql://user@host/database memories.db
#include <iostream>
#include <memory>
#include <string>

#include "aimem/backends/postgres.h"
#include "aimem/backends/sqlite.h"
#include "aimem/replication/replicated_store.h"

namespace {

using OpenedBackend = absl::StatusOr<std::unique_ptr<aimem::Backend>>;

absl::StatusOr<std::unique_ptr<aimem::ReplicatedStore>> OpenMember(
    OpenedBackend backend, const aimem::ReplicationOptions& options) {
  if (!backend.ok()) return backend.status();
  return aimem::OpenReplicatedStore(std::move(*backend), {}, options);
}

int Fail(const absl::Status& status) {
  std::cerr << status << '\n';
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: example_embed_postgres URL FILE\n";
    return 2;
  }
  // It names no peers, and takes what members on this machine send.
  auto on_file = OpenMember(aimem::OpenSqliteBackend(argv[2]), {});
  if (!on_file.ok()) return Fail(on_file.status());

  aimem::ReplicationOptions options;
  options.peers = {"127.0.0.1:" + std::to_string((*on_file)->port())};
  options.quorum = 2;
  options.quorum_timeout = absl::Seconds(20);
  auto on_postgres = OpenMember(aimem::OpenPostgresBackend(argv[1]), options);
  if (!on_postgres.ok()) return Fail(on_postgres.status());

  const aimem::WriteResult written =
      (*on_postgres)
          ->Write(aimem::PutMemory{.namespace_ = "kitchen",
                                   .title = "Oven",
                                   .content = "The oven runs twenty degrees hot."});
  if (!written.status.ok()) return Fail(written.status);
  std::cout << "written to PostgreSQL: " << aimem::WriteOutcomeName(written.outcome) << " on "
            << written.quorum->got() << " members\n";

  const auto read = (*on_file)->Get(written.items.at(0).id);
  if (!read.ok()) return Fail(read.status());
  std::cout << "read from the file: " << read->content << '\n';

  if (absl::Status closed = (*on_postgres)->Close(); !closed.ok()) return Fail(closed);
  if (absl::Status closed = (*on_file)->Close(); !closed.ok()) return Fail(closed);
}
