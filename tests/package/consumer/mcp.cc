// Serves a store to an agent that asks once, and ends.
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <string>

#include "aimem/backends/ephemeral.h"
#include "aimem/services/mcp.h"

int main() {
  std::signal(SIGPIPE, SIG_IGN);
  int in[2];
  int out[2];
  if (pipe(in) != 0 || pipe(out) != 0) return 1;
  const std::string ping = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n";
  if (write(in[1], ping.data(), ping.size()) < 0) return 1;
  close(in[1]);
  auto store = aimem::OpenEphemeralStore();
  if (!store.ok() || !aimem::ServeMcp(**store, {.version = "1"}, in[0], out[1]).ok()) return 1;
  std::string answer(256, '\0');
  answer.resize(static_cast<std::size_t>(read(out[0], answer.data(), answer.size())));
  std::cout << "serves: " << (answer.find("\"result\":{}") != std::string::npos) << '\n';
  return (*store)->Close().ok() ? 0 : 1;
}
