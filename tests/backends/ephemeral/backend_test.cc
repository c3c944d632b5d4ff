#include <map>
#include <memory>
#include <string>

#include "aimem/backends/ephemeral.h"
#include "tests/backends/backend_contract.h"

namespace aimem {
namespace {

// A disk for each folder of a test: opening one again finds its data.
using Disks = std::map<std::string, std::shared_ptr<EphemeralDisk>>;

BackendUnderTest Ephemeral() {
  const auto disks = std::make_shared<Disks>();
  return {.name = "Ephemeral",
          .open = [disks](const std::string& dir) -> absl::StatusOr<std::unique_ptr<Backend>> {
            std::shared_ptr<EphemeralDisk>& disk = (*disks)[dir];
            if (!disk) disk = std::make_shared<EphemeralDisk>();
            return OpenEphemeralBackend(disk);
          },
          .open_impatient = nullptr,
          .drop = [disks](const std::string& dir) { disks->erase(dir); }};
}

INSTANTIATE_TEST_SUITE_P(Ephemeral, BackendContract, ::testing::Values(Ephemeral()), BackendName);

}  // namespace
}  // namespace aimem
