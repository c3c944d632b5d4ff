#include "aimem/version.h"

namespace aimem {

const char* Version() { return AIMEM_VERSION; }

}  // namespace aimem
