#include "campaign/check.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_format.h"

namespace aimem::campaign {
namespace {

constexpr std::size_t kProblemsMax = 20;

using Name = std::pair<std::string, std::string>;

// One write, with its answer if it had one.
struct Write {
  const Journal* journal = nullptr;
  const Intent* intent = nullptr;
  const Ack* ack = nullptr;

  [[nodiscard]] std::string Label() const {
    return absl::StrFormat("write %d of %s", intent->number, journal->name);
  }
};

bool IsBefore(const Ack& a, const Ack& b) {
  if (a.seq == 0 || b.seq == 0) return a.at < b.at;
  return std::tie(a.stream, a.seq) < std::tie(b.stream, b.seq);
}

class Comparison {
 public:
  Findings Run(std::span<const Journal> journals, std::span<const StoredRow> rows) {
    for (const Journal& journal : journals) Collect(journal);
    CheckLog();
    std::map<Name, std::vector<const StoredRow*>> stored;
    for (const StoredRow& row : rows) stored[{row.namespace_, row.title}].push_back(&row);
    for (const auto& [name, found] : stored) {
      if (!names_.contains(name)) {
        Problem(found_.unexpected, absl::StrFormat("%s was never written", Label(name)));
      }
    }
    for (const auto& [name, writes] : names_) CheckName(name, writes, stored[name]);
    return std::move(found_);
  }

 private:
  static std::string Label(const Name& name) {
    return absl::StrFormat("'%s' in %s", name.second, name.first);
  }

  void Problem(std::int64_t& counter, std::string text) {
    ++counter;
    if (found_.problems.size() < kProblemsMax) found_.problems.push_back(std::move(text));
  }

  void Collect(const Journal& journal) {
    std::map<std::int64_t, const Ack*> acks;
    for (const Ack& ack : journal.acks) {
      const auto [known, fresh] = acks.emplace(ack.number, &ack);
      if (fresh) continue;
      const Ack& first = *known->second;
      if (!ack.replayed ||
          std::tie(first.stream, first.seq, first.id) != std::tie(ack.stream, ack.seq, ack.id)) {
        Problem(found_.doubled,
                absl::StrFormat("write %d of %s was carried out twice", ack.number, journal.name));
      }
    }
    for (const Intent& intent : journal.intents) {
      const auto ack = acks.find(intent.number);
      const Write write = {&journal, &intent, ack == acks.end() ? nullptr : ack->second};
      ++(write.ack != nullptr ? found_.acknowledged : found_.unacknowledged);
      if (write.ack != nullptr && write.ack->seq != 0) log_.push_back(write);
      if (intent.verb == Verb::kPut || intent.verb == Verb::kDelete) {
        names_[{intent.namespace_, intent.title}].push_back(write);
      }
    }
  }

  // The log's order must be one in which the writes can have happened: none before one that had
  // been answered when it was sent.
  void CheckLog() {
    std::sort(log_.begin(), log_.end(), [](const Write& a, const Write& b) {
      return std::tie(a.ack->stream, a.ack->seq) < std::tie(b.ack->stream, b.ack->seq);
    });
    const Write* before = nullptr;
    const Write* latest = nullptr;  // of those before, the one that was sent last
    for (const Write& write : log_) {
      if (before != nullptr && before->ack->stream != write.ack->stream) {
        latest = before = nullptr;  // another history: nothing is known of their order
      }
      if (before != nullptr && before->ack->seq == write.ack->seq) {
        Problem(found_.wrong, absl::StrFormat("%s and %s were answered with the same place in the "
                                              "log, %d",
                                              before->Label(), write.Label(), write.ack->seq));
      }
      if (latest != nullptr && write.ack->at < latest->intent->at) {
        Problem(found_.out_of_order,
                absl::StrFormat("%s was answered before %s was sent, but stands after it in the "
                                "log",
                                write.Label(), latest->Label()));
      }
      before = &write;
      if (latest == nullptr || write.intent->at > latest->intent->at) latest = &write;
    }
  }

  void CheckName(const Name& name, const std::vector<Write>& writes,
                 const std::vector<const StoredRow*>& rows) {
    for (std::size_t i = 1; i < rows.size(); ++i) {
      Problem(found_.doubled, absl::StrFormat("%s is there %d times", Label(name), rows.size()));
    }
    const Write* last = nullptr;  // acknowledged, by the log
    std::vector<const Write*> open;
    for (const Write& write : writes) {
      if (write.ack == nullptr) {
        open.push_back(&write);
      } else if (last == nullptr || IsBefore(*last->ack, *write.ack)) {
        last = &write;
      }
    }
    if (last != nullptr && last->intent->verb == Verb::kPut) ++found_.live;
    if (rows.empty()) {
      CheckAbsent(name, last, open);
    } else {
      CheckPresent(name, last, open, *rows.front());
    }
  }

  void CheckAbsent(const Name& name, const Write* last, const std::vector<const Write*>& open) {
    const bool acknowledged = last != nullptr && last->intent->verb == Verb::kPut;
    for (const Write* write : open) {
      if (write->intent->verb != Verb::kDelete) continue;
      if (acknowledged) ++found_.unacknowledged_there;
      return;
    }
    if (!acknowledged) return;
    Problem(found_.missing,
            absl::StrFormat("%s is missing: %s was acknowledged", Label(name), last->Label()));
  }

  void CheckPresent(const Name& name, const Write* last, const std::vector<const Write*>& open,
                    const StoredRow& row) {
    const std::string hash = HashContent(row.content);
    const bool acknowledged = last != nullptr && last->intent->verb == Verb::kPut;
    if (acknowledged && last->ack->id != row.id) {
      Problem(found_.wrong, absl::StrFormat("%s has the id %s, but %s was answered with %s",
                                            Label(name), row.id, last->Label(), last->ack->id));
      return;
    }
    if (acknowledged && last->intent->content_hash == hash) return;
    for (const Write* write : open) {
      if (write->intent->verb != Verb::kPut || write->intent->content_hash != hash) continue;
      ++found_.unacknowledged_there;
      return;
    }
    if (acknowledged) {
      Problem(found_.wrong, absl::StrFormat("%s has another content than %s, the last acknowledged",
                                            Label(name), last->Label()));
    } else if (last != nullptr) {
      Problem(found_.unexpected,
              absl::StrFormat("%s is there, but %s deleted it", Label(name), last->Label()));
    } else {
      Problem(found_.wrong, absl::StrFormat("%s has a content that nobody sent", Label(name)));
    }
  }

  std::map<Name, std::vector<Write>> names_;
  std::vector<Write> log_;
  Findings found_;
};

}  // namespace

Findings CheckStore(std::span<const Journal> journals, std::span<const StoredRow> rows) {
  return Comparison().Run(journals, rows);
}

}  // namespace aimem::campaign
