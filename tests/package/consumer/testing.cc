// What aimem/testing/store_conformance.h says of a host with a backend of its own.
#include "aimem/backends/ephemeral.h"
#include "aimem/testing/store_conformance.h"

namespace aimem {

INSTANTIATE_TEST_SUITE_P(Mine, StoreConformance,
                         ::testing::Values(StoreUnderTest{
                             .name = "Mine",
                             .open =
                                 [](const std::string&, const StoreOptions& options) {
                                   return OpenEphemeralStore(nullptr, options);
                                 },
                             .persistent = false}),
                         StoreUnderTestName);

}  // namespace aimem
