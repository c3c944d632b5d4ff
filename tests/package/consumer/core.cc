// The headers, and the library that belongs to them.
#include <iostream>
#include <string_view>

#include "aimem/memory.h"
#include "aimem/version.h"

int main() {
  if (std::string_view(aimem::Version()) != AIMEM_VERSION) return 1;
  if (!aimem::ParseTier("long").has_value()) return 1;
  std::cout << "version: " << aimem::Version() << '\n';
}
