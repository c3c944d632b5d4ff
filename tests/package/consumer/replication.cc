// A member without peers, over a file.
#include <iostream>

#include "aimem/backends/sqlite.h"
#include "aimem/replication/replicated_store.h"

int main(int, char** argv) {
  auto backend = aimem::OpenSqliteBackend(argv[1]);
  if (!backend.ok()) return 1;
  auto store = aimem::OpenReplicatedStore(*std::move(backend), {}, {.listen = "127.0.0.1:0"});
  if (!store.ok()) {
    std::cerr << store.status() << '\n';
    return 1;
  }
  const auto result = (*store)->Write(aimem::PutMemory{.title = "t", .content = "c"});
  std::cout << "remembered: " << result.items.size() << '\n';
  return (*store)->Close().ok() ? 0 : 1;
}
