#include <map>
#include <memory>
#include <string>

#include "aimem/backends/ephemeral.h"
#include "aimem/testing/store_conformance.h"

namespace aimem {
namespace {

/// A disk for each folder of a test: opening one again finds its data.
StoreUnderTest Ephemeral() {
  const auto disks = std::make_shared<std::map<std::string, std::shared_ptr<EphemeralDisk>>>();
  return {.name = "Ephemeral",
          .open =
              [disks](const std::string& dir, const StoreOptions& options) {
                std::shared_ptr<EphemeralDisk>& disk = (*disks)[dir];
                if (!disk) disk = std::make_shared<EphemeralDisk>();
                return OpenEphemeralStore(disk, options);
              },
          .drop = [disks](const std::string& dir) { disks->erase(dir); }};
}

StoreUnderTest EphemeralOfItsOwn() {
  return {.name = "EphemeralOfItsOwn",
          .open = [](const std::string&,
                     const StoreOptions& options) { return OpenEphemeralStore(nullptr, options); },
          .persistent = false};
}

INSTANTIATE_TEST_SUITE_P(Backend, StoreConformance,
                         ::testing::Values(Ephemeral(), EphemeralOfItsOwn()), StoreUnderTestName);

}  // namespace
}  // namespace aimem
