#include "campaign/plan.h"

#include <array>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "services/wire/requests.h"

namespace aimem::campaign {
namespace {

using nlohmann::json;

constexpr std::size_t kLiveMin = 4;

constexpr std::array<std::string_view, 8> kPlaces = {
    "the north pier",  "the ticket hall", "berth four",         "the radio room",
    "the winter yard", "the fuel dock",   "the harbour office", "the breakwater light"};
constexpr std::array<std::string_view, 8> kFindings = {
    "was inspected and found in order",         "needs a new coat of paint before May",
    "had its fuses changed by the electrician", "was closed for an hour because of ice",
    "got a second camera facing the ramp",      "keeps its spare keys with the night watch",
    "took on four pallets of de-icing salt",    "was measured again for the new gangway"};

// splitmix64, by Steele, Lea and Flood: a plan needs numbers that are mixed, not secret.
std::uint64_t Mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

std::string Title(int client, std::int64_t number) {
  return absl::StrFormat("Watch %d, log entry %d", client, number);
}

std::string Sentence(int client, std::int64_t number, std::uint64_t random) {
  return absl::StrFormat("Log entry %d of watch %d: %s %s.", number, client,
                         kPlaces[random % kPlaces.size()],
                         kFindings[(random >> 8) % kFindings.size()]);
}

}  // namespace

absl::StatusOr<std::vector<PlannedWrite>> ParseMemories(std::string_view text) {
  const json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object() || !document.contains("memories")) {
    return absl::DataLossError("not an export document: it has no memories");
  }
  std::vector<PlannedWrite> writes;
  for (const json& memory : document["memories"]) {
    json body = json::object();
    for (const char* key :
         {"title", "content", "tier", "namespace", "tags", "priority", "confidence", "source"}) {
      if (memory.is_object() && memory.contains(key)) body[key] = memory[key];
    }
    PlannedWrite write;
    for (const auto& [key, field] :
         {std::pair{"namespace", &write.namespace_}, std::pair{"title", &write.title},
          std::pair{"content", &write.content}}) {
      if (!body.contains(key) || !body[key].is_string()) {
        return absl::DataLossError(absl::StrFormat("memory %d has no %s", writes.size(), key));
      }
      *field = body[key].get<std::string>();
    }
    write.body = body.dump();
    writes.push_back(std::move(write));
  }
  return writes;
}

std::string ClientNamespace(int client) { return absl::StrFormat("demo/client-%d", client); }

PlannedWrite LogPlan::Create() {
  const std::int64_t number = std::exchange(next_, next_ + lanes_);
  live_.push_back(number);
  PlannedWrite write;
  write.namespace_ = ClientNamespace(client_);
  write.title = Title(client_, number);
  write.content =
      Sentence(client_, number, Mix(static_cast<std::uint64_t>(client_ * 1'000'000 + number)));
  wire::CreateBody body;
  body.put.namespace_ = write.namespace_;
  body.put.title = write.title;
  body.put.content = write.content;
  body.put.tier = Tier::kLong;
  body.put.tags = {"log"};
  write.body = wire::CreateJson(body);
  return write;
}

PlannedWrite LogPlan::Correct(std::uint64_t random) {
  const std::int64_t number = live_[random % live_.size()];
  PlannedWrite write;
  write.action = Action::kUpdate;
  write.namespace_ = ClientNamespace(client_);
  write.title = Title(client_, number);
  write.content =
      absl::StrFormat("Corrected at step %d. %s", steps_, Sentence(client_, number, random));
  wire::PatchBody body;
  body.patch.content = write.content;
  write.body = wire::PatchJson(body);
  return write;
}

PlannedWrite LogPlan::Delete(std::uint64_t random) {
  const auto chosen = live_.begin() + static_cast<std::ptrdiff_t>(random % live_.size());
  PlannedWrite write;
  write.action = Action::kDelete;
  write.namespace_ = ClientNamespace(client_);
  write.title = Title(client_, *chosen);
  live_.erase(chosen);
  return write;
}

PlannedWrite LogPlan::Next() {
  const std::uint64_t random =
      Mix(static_cast<std::uint64_t>(client_) << 48 ^ static_cast<std::uint64_t>(next_) << 24 ^
          static_cast<std::uint64_t>(++steps_));
  const std::uint64_t chosen = random >> 8;
  if (live_.size() < kLiveMin) return Create();
  if (random % 24 < 8) return Correct(chosen);
  if (random % 24 < 11) return Delete(chosen);
  return Create();
}

}  // namespace aimem::campaign
