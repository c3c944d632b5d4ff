#include "campaign/lane.h"

#include <poll.h>

#include <string_view>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "lib/base/status.h"
#include "services/wire/answers.h"

namespace aimem::campaign {
namespace {

using clients::HttpAnswer;

// What an answer says; nothing, if it is not from a server of aimem.
wire::WriteAnswer Read(const HttpAnswer& answer) {
  return wire::ReadWrite(answer.body).value_or(wire::WriteAnswer());
}

}  // namespace

absl::Status Lane::Write(const PlannedWrite& write) {
  const std::int64_t number = (*options_.numbers)++;
  AIMEM_ASSIGN_OR_RETURN(const Request request, MakeRequest(write, number));
  Intent intent;
  intent.number = number;
  intent.verb = write.action == Action::kDelete ? Verb::kDelete : Verb::kPut;
  intent.namespace_ = write.namespace_;
  intent.title = write.title;
  if (intent.verb == Verb::kPut) intent.content_hash = HashContent(write.content);
  intent.at = MonotonicMicroseconds();
  AIMEM_RETURN_IF_ERROR(options_.journal->Append(intent));
  const absl::Time deadline = absl::Now() + options_.give_up_after;
  const std::int64_t sent = MonotonicMicroseconds();
  for (int member = options_.home; absl::Now() < deadline;) {
    if (options_.cancelled()) return absl::CancelledError("interrupted");
    const absl::StatusOr<HttpAnswer> answer =
        options_.send(member, request.method, request.target, write.body, request.headers);
    AIMEM_ASSIGN_OR_RETURN(const bool acknowledged, IsAcknowledged(answer, write, member));
    if (acknowledged) {
      const std::int64_t now = MonotonicMicroseconds();
      return Acknowledge(*answer, write,
                         {.number = number,
                          .content_hash = intent.content_hash,
                          .latency = now - sent,
                          .at = now});
    }
    poll(nullptr, 0, static_cast<int>(absl::ToInt64Milliseconds(options_.pause)));
  }
  return absl::DeadlineExceededError(
      absl::StrFormat("write %d of %s ('%s'): no acknowledgement for %s", number, options_.client,
                      write.title, absl::FormatDuration(options_.give_up_after)));
}

absl::StatusOr<Lane::Request> Lane::MakeRequest(const PlannedWrite& write,
                                                std::int64_t number) const {
  Request request;
  request.headers = {{"X-Agent-Id", options_.client},
                     {"Idempotency-Key", absl::StrFormat("demo/%s/%d", options_.client, number)}};
  if (write.action == Action::kCreate) {
    request.method = "POST";
    request.target = "/api/v1/memories";
    return request;
  }
  const auto id = ids_.find({write.namespace_, write.title});
  if (id == ids_.end()) {
    return absl::InternalError(absl::StrFormat("'%s' was never acknowledged here", write.title));
  }
  request.method = write.action == Action::kUpdate ? "PUT" : "DELETE";
  request.target = "/api/v1/memories/" + id->second;
  return request;
}

absl::StatusOr<bool> Lane::IsAcknowledged(const absl::StatusOr<HttpAnswer>& answer,
                                          const PlannedWrite& write, int& member) {
  const int next = (member + 1) % options_.members;
  if (!answer.ok()) {
    if (absl::IsInvalidArgument(answer.status())) return answer.status();
    ++counters_.broken;
    member = next;
    return false;
  }
  switch (answer->status) {
    case 200:
    case 201:
      return true;
    case 404:
      if (write.action == Action::kCreate) break;
      ++counters_.not_there_yet;
      member = next;
      return false;
    case 429:
      ++counters_.busy;
      return false;
    case 503:
      if (Read(*answer).error == "quorum_not_met") {
        ++counters_.not_met;
        return false;
      }
      ++counters_.busy;
      member = next;
      return false;
    default:
      break;
  }
  return absl::InternalError(absl::StrFormat("'%s': member %d answered %d: %s", write.title, member,
                                             answer->status, answer->body));
}

absl::Status Lane::Acknowledge(const HttpAnswer& answer, const PlannedWrite& write, Ack ack) {
  std::string& id = ids_[{write.namespace_, write.title}];
  if (write.action == Action::kCreate) {
    id = Read(answer).id;
    if (id.empty()) {
      return absl::InternalError(
          absl::StrFormat("'%s': an answer without an id: %s", write.title, answer.body));
    }
  }
  ack.id = id;
  const auto replay = answer.headers.find("idempotent-replay");
  ack.replayed = replay != answer.headers.end() && replay->second == "true";
  return options_.journal->Append(ack);
}

}  // namespace aimem::campaign
