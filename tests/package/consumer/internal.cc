// A room without headers for hosts: linked because others use it.
#include <iostream>

#include "aimem/version.h"

int main() { std::cout << "version: " << aimem::Version() << '\n'; }
