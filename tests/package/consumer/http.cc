// Serves a store, and ends.
#include <iostream>

#include "aimem/backends/ephemeral.h"
#include "aimem/services/http.h"

int main() {
  auto store = aimem::OpenEphemeralStore();
  if (!store.ok()) return 1;
  auto server = aimem::StartHttpServer(**store, {.port = 0, .version = "1"});
  if (!server.ok()) return 1;
  std::cout << "serves: " << ((*server)->port() > 0) << '\n';
  (*server)->Shutdown(absl::Seconds(1));
  server->reset();
  return (*store)->Close().ok() ? 0 : 1;
}
