// Links libpq, and says that there is no server.
#include "aimem/backends/postgres.h"

#include <iostream>

int main() {
  auto store = aimem::OpenPostgresStore("postgresql://nobody@127.0.0.1:1/none");
  std::cout << "opened: " << store.ok() << '\n';
}
