// What an application does with an installed aimem.
#include <iostream>

#include "aimem/backends/sqlite.h"

int main(int, char** argv) {
  auto store = aimem::OpenSqliteStore(argv[1]);
  if (!store.ok()) return 1;
  const auto result = (*store)->Write(aimem::PutMemory{.title = "t", .content = "c"});
  const auto found = (*store)->List({});
  if (!result.status.ok() || !found.ok()) return 1;
  std::cout << "remembered: " << found->memories.size() << '\n';
  return (*store)->Close().ok() ? 0 : 1;
}
