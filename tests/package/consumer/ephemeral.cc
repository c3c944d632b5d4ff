#include "aimem/backends/ephemeral.h"

#include <iostream>

int main() {
  auto store = aimem::OpenEphemeralStore(nullptr);
  if (!store.ok()) return 1;
  const auto result = (*store)->Write(aimem::PutMemory{.title = "t", .content = "c"});
  if (!result.status.ok() || !(*store)->Close().ok()) return 1;
  std::cout << "remembered: " << result.items.size() << '\n';
}
