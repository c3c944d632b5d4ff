#include "aimem/open.h"

#include <iostream>
#include <string>

int main(int, char** argv) {
  auto store = aimem::OpenStore("sqlite://" + std::string(argv[1]));
  if (!store.ok()) {
    std::cerr << store.status() << '\n';
    return 1;
  }
  const auto found = (*store)->Search({.query = "oven"});
  if (!found.ok() || !(*store)->Close().ok()) return 1;
  std::cout << "found: " << found->hits.size() << '\n';
}
