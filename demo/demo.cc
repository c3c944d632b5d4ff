#include "demo/demo.h"

#include <poll.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "demo/check.h"
#include "demo/clients.h"
#include "demo/federation.h"
#include "demo/figures.h"
#include "demo/memories.h"
#include "demo/plan.h"
#include "demo/round_trip.h"
#include "demo/screen.h"
#include "demo/work_folder.h"
#include "lib/base/status.h"

namespace aimem::demo {
namespace {

constexpr std::size_t kMembers = Federation::kMembers;
// The texts of the steps name these two.
constexpr std::size_t kKilled = 0;  // a
constexpr std::size_t kFrozen = 2;  // c

constexpr int kClients = 4;
constexpr int kEntriesEach = 50;
constexpr int kHitsShown = 3;
constexpr int kLinesShown = 20;  // of a log
constexpr int kPollMilliseconds = 10;
constexpr absl::Duration kSettleTimeout = absl::Seconds(30);
constexpr absl::Duration kDigestTimeout = absl::Seconds(10);

// Of the step with the faults.
constexpr absl::Duration kPauseOfWriters = absl::Milliseconds(100);
constexpr absl::Duration kHealthyBefore = absl::Milliseconds(500);
constexpr absl::Duration kFrozenFor = absl::Seconds(3);
constexpr absl::Duration kBetweenFaults = absl::Milliseconds(1'500);
constexpr absl::Duration kDeadFor = absl::Seconds(1);
constexpr absl::Duration kHealthyAfter = absl::Milliseconds(1'500);
constexpr absl::Duration kWithoutThird = absl::Seconds(1);

struct Question {
  std::string_view text;
  std::string_view namespace_;  ///< Empty: everywhere.
  /// Must be among the hits that are shown.
  std::string_view answer;
};

constexpr Question kQuestions[] = {
    {"Why may we not deploy on a Friday?", "", "No deploys after Friday noon"},
    {"What went wrong with the payment webhooks?", "skerry/incidents",
     "Payment webhooks lost on 3 May"},
    {"How does Priya like her coffee?", "", "Priya Raman"},
    {"a quick vegan soup with lentils", "home/recipes", "Quick lentil soup"},
};

// All members, compared with the journals at one time.
using MemberFindings = std::vector<Findings>;

struct Settled {
  MemberFindings at_once;  // right after the last answer
  MemberFindings in_the_end;
  double seconds = 0;  // until all members held all

  [[nodiscard]] bool ok() const {
    return std::all_of(in_the_end.begin(), in_the_end.end(),
                       [](const Findings& found) { return found.ok(); });
  }
};

class Demo {
 public:
  explicit Demo(const DemoOptions& options) : options_(options) {}

  absl::Status Run() {
    screen_.Title("aimem: a memory store for agents. Three members, put to the test in 8 steps");
    AIMEM_ASSIGN_OR_RETURN(folder_, WorkFolder::Make(options_.folder, options_.keep));
    screen_.Line(absl::StrFormat("Everything happens in %s, which is %s at the end.",
                                 folder_->path(), options_.keep ? "kept" : "deleted"));
    for (const auto step : {&Demo::StartFederation, &Demo::WriteToAll, &Demo::WriteThroughFaults,
                            &Demo::KillTheAuthor, &Demo::Compare, &Demo::Recall,
                            &Demo::MigrateBothWays, &Demo::ShowTable}) {
      if (Cancelled()) return absl::CancelledError("interrupted");
      AIMEM_RETURN_IF_ERROR((this->*step)());
    }
    AIMEM_RETURN_IF_ERROR(WriteFigures());
    const bool good = screen_.failures() == 0;
    screen_.Verdict(good, good ? "All is there: every acknowledged write is on every member, once, "
                                 "and all stores are equal."
                               : absl::StrFormat("%d checks FAILED.", screen_.failures()));
    if (good) return absl::OkStatus();
    ShowLogs();
    return absl::FailedPreconditionError(absl::StrFormat(
        "%d checks failed, see above; with --keep the folder with stores, journals and logs stays",
        screen_.failures()));
  }

 private:
  // -- Waiting ------------------------------------------------------------------------------------

  [[nodiscard]] bool Cancelled() const { return options_.cancel != nullptr && *options_.cancel; }

  // Let the clients write for `time`, or until one of them has met an error.
  absl::Status LetWrite(absl::Duration time) {
    const absl::Time end = absl::Now() + time;
    while (absl::Now() < end && clients_->healthy()) {
      if (Cancelled()) return absl::CancelledError("interrupted");
      poll(nullptr, 0, kPollMilliseconds);
    }
    return absl::OkStatus();
  }

  // -- Comparing ----------------------------------------------------------------------------------

  // Read all members at one time and compare them with the journals.
  absl::StatusOr<MemberFindings> CompareNow(const std::vector<Journal>& journals) {
    std::vector<std::future<absl::StatusOr<std::vector<StoredRow>>>> lists;
    for (std::size_t member = 0; member < kMembers; ++member) {
      lists.push_back(std::async(std::launch::async,
                                 [this, member] { return federation_->api(member).ListAll(); }));
    }
    MemberFindings found;
    absl::Status status;
    for (auto& list : lists) {
      const absl::StatusOr<std::vector<StoredRow>> rows = list.get();
      status.Update(rows.status());
      if (rows.ok()) found.push_back(CheckStore(journals, *rows));
    }
    if (!status.ok()) return status;
    return found;
  }

  // Likewise, by reading the files of members that may be dead.
  absl::StatusOr<MemberFindings> CompareFiles(const std::vector<Journal>& journals) {
    MemberFindings found;
    for (std::size_t member = 0; member < kMembers; ++member) {
      AIMEM_ASSIGN_OR_RETURN(const std::vector<StoredRow> rows, federation_->Rows(member));
      found.push_back(CheckStore(journals, rows));
    }
    return found;
  }

  // Without any traffic, wait until all members hold what the journals say.
  absl::StatusOr<Settled> Settle() {
    const absl::Time begin = absl::Now();
    AIMEM_ASSIGN_OR_RETURN(journals_, clients_->ReadJournals());
    Settled settled;
    while (true) {
      AIMEM_ASSIGN_OR_RETURN(settled.in_the_end, CompareNow(journals_));
      settled.seconds = absl::ToDoubleSeconds(absl::Now() - begin);
      if (settled.at_once.empty()) settled.at_once = settled.in_the_end;
      if (settled.ok() || absl::Now() - begin > kSettleTimeout) return settled;
      if (Cancelled()) return absl::CancelledError("interrupted");
      poll(nullptr, 0, kPollMilliseconds);
    }
  }

  // "a 500, b 500, c 489"
  static std::string Held(const MemberFindings& found) {
    std::string text;
    for (std::size_t member = 0; member < found.size(); ++member) {
      text += absl::StrFormat("%s%s %s", text.empty() ? "" : ", ", Federation::Name(member),
                              Grouped(found[member].live - found[member].missing));
    }
    return text;
  }

  void ShowSettled(const Settled& settled, std::string_view since) {
    screen_.Line(absl::StrFormat(
        "Right after the last answer the members hold, of %s acknowledged memories: %s.",
        Grouped(settled.at_once[0].live), Held(settled.at_once)));
    screen_.Check(settled.ok(),
                  absl::StrFormat("without further writes all members hold all, %.2f s after %s",
                                  settled.seconds, since));
    for (std::size_t member = 0; member < kMembers; ++member) {
      for (const std::string& problem : settled.in_the_end[member].problems) {
        screen_.Line(absl::StrFormat("    member %s: %s", Federation::Name(member), problem));
      }
    }
  }

  void CheckAllAnswered() {
    std::int64_t sent = 0;
    for (const Journal& journal : journals_) {
      sent += static_cast<std::int64_t>(journal.intents.size());
    }
    std::int64_t unacknowledged = 0;
    for (const Journal& journal : journals_) {
      unacknowledged += static_cast<std::int64_t>(Unacknowledged(journal).size());
    }
    screen_.Check(unacknowledged == 0,
                  absl::StrFormat("%s writes sent by now, %s of them without an acknowledgement",
                                  Grouped(sent), Grouped(unacknowledged)));
  }

  static nlohmann::ordered_json FiguresOf(const Settled& settled) {
    nlohmann::ordered_json figures = {{"seconds", settled.seconds}};
    for (std::size_t member = 0; member < settled.in_the_end.size(); ++member) {
      const Findings& found = settled.in_the_end[member];
      figures["members"][Federation::Name(member)] = {
          {"live", found.live},
          {"missing_at_once", settled.at_once[member].missing},
          {"missing", found.missing},
          {"wrong", found.wrong},
          {"unexpected", found.unexpected},
          {"doubled", found.doubled},
          {"unacknowledged", found.unacknowledged}};
    }
    return figures;
  }

  void ShowLogs() {
    for (std::size_t member = 0; member < kMembers; ++member) {
      screen_.Line(absl::StrFormat("The log of %s ends with", Federation::Name(member)));
      screen_.Line(support::TailOf(federation_->LogPath(member), kLinesShown));
    }
  }

  // -- Steps --------------------------------------------------------------------------------------

  absl::Status StartFederation() {
    screen_.Step("Start a federation: three members a, b and c",
                 "a few commands make a federation that trusts nobody else.");
    const Stopwatch watch;
    FederationOptions federation;
    federation.program = options_.program;
    federation.folder = folder_->path();
    federation.cancel = options_.cancel;
    AIMEM_ASSIGN_OR_RETURN(federation_, Federation::Start(federation));
    screen_.Line("`aimem cert` made a private authority and a certificate for each member.");
    screen_.Line(
        "Each member is an `aimem serve` with a SQLite file of its own; what they send to "
        "each other is");
    screen_.Line(
        "encrypted, and both sides of a connection show their certificate. A write is "
        "answered when it is");
    screen_.Line("on the disks of 2 of the 3 members; the third gets it anyway.");
    const std::vector<int> ports = federation_->HttpPorts();
    for (std::size_t member = 0; member < kMembers; ++member) {
      screen_.Line(absl::StrFormat("  %s: http://127.0.0.1:%d, process %d",
                                   Federation::Name(member), ports[member],
                                   federation_->server(member).pid()));
    }
    AIMEM_ASSIGN_OR_RETURN(const FederationView view, federation_->api(0).Federation());
    screen_.Check(view.voters == static_cast<int>(kMembers) && view.needed == Federation::kQuorum,
                  absl::StrFormat("all have found each other after %.1f s: %d members, %d needed "
                                  "for an answer",
                                  watch.Seconds(), view.voters, view.needed));
    ClientsOptions clients;
    clients.ports = ports;
    clients.folder = folder_->path();
    clients.clients = kClients;
    clients.cancel = options_.cancel;
    AIMEM_ASSIGN_OR_RETURN(clients_, Clients::Make(clients));
    figures_["start_seconds"] = watch.Seconds();
    return absl::OkStatus();
  }

  absl::Status WriteToAll() {
    screen_.Step("Four clients write 500 memories, and then nothing more is written",
                 "what was acknowledged reaches every member by itself.");
    screen_.Line(
        "300 memories of a small ferry company and 4 times 50 log entries, through all "
        "three members.");
    screen_.Line(
        "Each client notes in a journal what it will send, and then what was "
        "acknowledged, both forced to disk.");
    AIMEM_ASSIGN_OR_RETURN(const std::vector<PlannedWrite> memories, ParseMemories(MemoriesJson()));
    const Stopwatch watch;
    AIMEM_RETURN_IF_ERROR(clients_->Create(memories, kEntriesEach));
    const double seconds = watch.Seconds();
    AIMEM_ASSIGN_OR_RETURN(const Settled settled, Settle());
    const std::int64_t sent = static_cast<std::int64_t>(memories.size()) + kClients * kEntriesEach;
    screen_.Check(clients_->acknowledged() == sent,
                  absl::StrFormat("%s writes acknowledged in %.1f s",
                                  Grouped(clients_->acknowledged()), seconds));
    ShowSettled(settled, "that");
    figures_["healthy"] = FiguresOf(settled);
    healthy_ = settled;
    return absl::OkStatus();
  }

  absl::Status WriteThroughFaults() {
    screen_.Step("The clients go on while c is frozen, and then a is killed",
                 "a member may stop or die at any time, and nothing that was promised is lost.");
    screen_.Line(
        "New entries, corrections and deletes. A client that loses its connection sends "
        "the same write under");
    screen_.Line("the same idempotency key to the next member, until somebody acknowledges it.");
    faults_begin_ = MonotonicMicroseconds();
    clients_->Start(kPauseOfWriters);
    AIMEM_RETURN_IF_ERROR(LetWrite(kHealthyBefore));
    AIMEM_RETURN_IF_ERROR(FreezeOne());
    AIMEM_RETURN_IF_ERROR(LetWrite(kBetweenFaults));
    AIMEM_RETURN_IF_ERROR(KillOneForAWhile());
    AIMEM_RETURN_IF_ERROR(LetWrite(kHealthyAfter));
    AIMEM_RETURN_IF_ERROR(clients_->Stop());
    AIMEM_ASSIGN_OR_RETURN(faulty_, Settle());
    TellFaults();
    CheckAllAnswered();
    ShowSettled(faulty_, "that");
    return absl::OkStatus();
  }

  absl::Status FreezeOne() {
    const std::int64_t before = clients_->acknowledged();
    federation_->server(kFrozen).Freeze();
    absl::Status status = LetWrite(kFrozenFor);
    acknowledged_while_frozen_ = clients_->acknowledged() - before;
    federation_->server(kFrozen).Release();
    return status;
  }

  absl::Status KillOneForAWhile() {
    const absl::Time deadline = absl::Now() + absl::Seconds(5);
    while (clients_->InFlight(kKilled) == 0 && absl::Now() < deadline) poll(nullptr, 0, 1);
    in_flight_at_kill_ = clients_->InFlight(kKilled);
    const std::int64_t before = clients_->acknowledged();
    AIMEM_RETURN_IF_ERROR(Kill(kKilled));
    AIMEM_RETURN_IF_ERROR(LetWrite(kDeadFor));
    acknowledged_while_dead_ = clients_->acknowledged() - before;
    return federation_->Restart(kKilled);
  }

  // What a member has counted dies with it, so that is read before.
  absl::Status Kill(std::size_t member) {
    AIMEM_RETURN_IF_ERROR(CountStragglers(member));
    const support::ProcessEnd end = federation_->server(member).Kill();
    if (end.signal != 0) return absl::OkStatus();
    return absl::InternalError(absl::StrFormat(
        "member %s had ended before it could be killed, with %s; its log ends with\n%s",
        Federation::Name(member), end.ToString(),
        support::TailOf(federation_->LogPath(member), kLinesShown)));
  }

  void TellFaults() {
    std::int64_t replays = 0;
    for (const Journal& journal : journals_) {
      for (const Ack& ack : journal.acks) replays += ack.replayed ? 1 : 0;
    }
    const LaneCounters counters = clients_->Counters();
    screen_.Line(absl::StrFormat(
        "c was frozen (SIGSTOP) for %.0f s: meanwhile %s writes were acknowledged by a and b.",
        absl::ToDoubleSeconds(kFrozenFor), Grouped(acknowledged_while_frozen_)));
    screen_.Line(absl::StrFormat(
        "a was killed (SIGKILL) with %d requests on their way, and started again after %.0f s: "
        "meanwhile",
        in_flight_at_kill_, absl::ToDoubleSeconds(kDeadFor)));
    screen_.Line(absl::StrFormat("%s writes were acknowledged by b and c.",
                                 Grouped(acknowledged_while_dead_)));
    screen_.Line(absl::StrFormat(
        "Writes sent again: %s after a refused or broken connection, %s that a member took for "
        "unknown,",
        Grouped(counters.broken), Grouped(counters.not_there_yet)));
    screen_.Line(absl::StrFormat(
        "%s for want of a second member. %s of all had been executed already and were only "
        "confirmed.",
        Grouped(counters.not_met), Grouped(replays)));
    figures_["faults"] = FiguresOf(faulty_);
    figures_["faults"]["acknowledged_while_frozen"] = acknowledged_while_frozen_;
    figures_["faults"]["acknowledged_while_dead"] = acknowledged_while_dead_;
    figures_["faults"]["in_flight_at_kill"] = in_flight_at_kill_;
    figures_["faults"]["replayed"] = replays;
    figures_["faults"]["sent_again"] = {{"broken", counters.broken},
                                        {"not_met", counters.not_met},
                                        {"not_there_yet", counters.not_there_yet},
                                        {"busy", counters.busy}};
  }

  absl::Status KillTheAuthor() {
    screen_.Step("Kill c, write on, and kill a right after the last answer",
                 "what a member missed reaches it later, from whoever has it, without new writes.");
    const std::int64_t before = clients_->acknowledged();
    AIMEM_RETURN_IF_ERROR(Kill(kFrozen));
    clients_->Start(kPauseOfWriters);
    AIMEM_RETURN_IF_ERROR(LetWrite(kWithoutThird));
    AIMEM_RETURN_IF_ERROR(clients_->Stop());
    AIMEM_RETURN_IF_ERROR(Kill(kKilled));
    screen_.Line(absl::StrFormat("%s writes were acknowledged by a and b while c was dead.",
                                 Grouped(clients_->acknowledged() - before)));
    AIMEM_ASSIGN_OR_RETURN(journals_, clients_->ReadJournals());
    AIMEM_ASSIGN_OR_RETURN(const MemberFindings at_once, CompareFiles(journals_));
    const std::int64_t missed = at_once[kFrozen].missing + at_once[kFrozen].wrong;
    for (const std::size_t member : {kFrozen, kKilled}) {
      AIMEM_RETURN_IF_ERROR(federation_->Restart(member));
    }
    AIMEM_ASSIGN_OR_RETURN(stopped_, Settle());
    stopped_.at_once = at_once;
    CheckAllAnswered();
    screen_.Check(missed > 0, "c has really missed something");
    ShowSettled(stopped_, "both were started again");
    figures_["author_killed"] = FiguresOf(stopped_);
    return absl::OkStatus();
  }

  absl::Status Compare() {
    screen_.Step("Compare every member with the journals of the clients, and with each other",
                 "each member holds every acknowledged write, once, with its last content.");
    AIMEM_ASSIGN_OR_RETURN(const MemberFindings found, CompareNow(journals_));
    for (std::size_t member = 0; member < kMembers; ++member) {
      const Findings& one = found[member];
      screen_.Check(one.ok(), absl::StrFormat("%s: of %s memories %s missing, %s with wrong "
                                              "content, %s deleted ones back, %s double",
                                              Federation::Name(member), Grouped(one.live),
                                              Grouped(one.missing), Grouped(one.wrong),
                                              Grouped(one.unexpected), Grouped(one.doubled)));
    }
    acknowledged_ = found[0].acknowledged;
    AIMEM_RETURN_IF_ERROR(ReadDigests());
    screen_.Check(SameVectors(), "all members stand at the same position of every log");
    screen_.Check(SameRoots(),
                  absl::StrFormat("the digests of all members are equal: %s", digests_[0].root));
    for (std::size_t member = 0; member < kMembers; ++member) {
      AIMEM_RETURN_IF_ERROR(CountStragglers(member));
    }
    return absl::OkStatus();
  }

  [[nodiscard]] bool SameVectors() const {
    return std::all_of(digests_.begin(), digests_.end(), [this](const MemberDigest& digest) {
      return digest.vector == digests_[0].vector;
    });
  }
  [[nodiscard]] bool SameRoots() const {
    return std::all_of(digests_.begin(), digests_.end(), [this](const MemberDigest& digest) {
      return digest.root == digests_[0].root;
    });
  }

  // Rows can be equal a moment before the positions are: the last commit of a log may have changed
  // nothing that a list shows.
  absl::Status ReadDigests() {
    const absl::Time deadline = absl::Now() + kDigestTimeout;
    while (true) {
      digests_.clear();
      for (std::size_t member = 0; member < kMembers; ++member) {
        AIMEM_ASSIGN_OR_RETURN(MemberDigest digest, federation_->Digest(member));
        digests_.push_back(std::move(digest));
      }
      if ((SameVectors() && SameRoots()) || absl::Now() > deadline) return absl::OkStatus();
      if (Cancelled()) return absl::CancelledError("interrupted");
      poll(nullptr, 0, kPollMilliseconds);
    }
  }

  // Of the life of one server process.
  absl::Status CountStragglers(std::size_t member) {
    AIMEM_ASSIGN_OR_RETURN(const FederationView view, federation_->api(member).Federation());
    stragglers_ += view.stragglers_finished;
    return absl::OkStatus();
  }

  absl::Status Recall() {
    screen_.Step("Ask four questions, each to another member",
                 "every member finds what was written through the others.");
    std::size_t member = 0;
    for (const Question& question : kQuestions) {
      AIMEM_RETURN_IF_ERROR(Ask(member, question));
      member = (member + 1) % kMembers;
    }
    return absl::OkStatus();
  }

  absl::Status Ask(std::size_t member, const Question& question) {
    const Stopwatch watch;
    AIMEM_ASSIGN_OR_RETURN(
        const std::vector<Recalled> hits,
        federation_->api(member).Recall(question.text, question.namespace_, kHitsShown));
    figures_["recall_ms"].push_back(watch.Seconds() * 1000);
    screen_.Line("");
    screen_.Line(absl::StrFormat(
        "To %s: %s%s", Federation::Name(member), question.text,
        question.namespace_.empty() ? "" : absl::StrFormat("  (in %s)", question.namespace_)));
    bool found = false;
    int place = 0;
    for (const Recalled& hit : hits) {
      found = found || hit.title == question.answer;
      screen_.Line(absl::StrFormat("  %d. %s  [%s]  score %.2f", ++place, hit.title, hit.namespace_,
                                   hit.score));
      screen_.Line("     " + OneLine(hit.content, 88));
    }
    screen_.Check(found, absl::StrFormat("'%s' is among the first three", question.answer));
    return absl::OkStatus();
  }

  absl::Status MigrateBothWays() {
    screen_.Step("Stop the federation, and migrate a's file to PostgreSQL, once more, and back",
                 "a clean stop loses nothing; a copy is complete, and repeating it changes "
                 "nothing.");
    for (std::size_t member = 0; member < kMembers; ++member) {
      const Stopwatch watch;
      AIMEM_ASSIGN_OR_RETURN(const support::ProcessEnd end, federation_->Stop(member));
      screen_.Check(end.ok(),
                    absl::StrFormat("%s ended after SIGTERM with %s, in %.2f s",
                                    Federation::Name(member), end.ToString(), watch.Seconds()));
      figures_["stop_seconds"].push_back(watch.Seconds());
    }
    RoundTripOptions trip;
    trip.file = federation_->StorePath(kKilled);
    trip.copy = folder_->File("copy.db");
    trip.cancel = options_.cancel;
    AIMEM_ASSIGN_OR_RETURN(round_trip_, RunRoundTrip(trip, screen_, figures_["migrate"]));
    return absl::OkStatus();
  }

  // -- The table ----------------------------------------------------------------------------------

  // Of the writes that were sent in [from, to).
  [[nodiscard]] Percentiles Latencies(std::int64_t from, std::int64_t to) const {
    std::vector<std::int64_t> latencies;
    for (const Journal& journal : journals_) {
      for (const Ack& ack : journal.acks) {
        const std::int64_t sent = ack.at - ack.latency;
        if (sent >= from && sent < to) latencies.push_back(ack.latency);
      }
    }
    return PercentilesOf(std::move(latencies));
  }

  // Memories that are not there, not up to date, or not deleted yet.
  static std::string Behind(const MemberFindings& found) {
    std::string text;
    for (std::size_t member = 0; member < found.size(); ++member) {
      const Findings& one = found[member];
      text += absl::StrFormat("%s%s %d", text.empty() ? "" : ", ", Federation::Name(member),
                              one.missing + one.wrong + one.unexpected);
    }
    return text;
  }

  void ShowConvergence(std::string_view when, const Settled& settled) {
    screen_.Row(absl::StrFormat("missing or outdated %s", when), Behind(settled.at_once));
    screen_.Row("  until all members held all", absl::StrFormat("%.2f s", settled.seconds));
  }

  void ShowLatency(std::string_view name, const char* key, std::int64_t from, std::int64_t to) {
    const Percentiles latency = Latencies(from, to);
    screen_.Row(
        absl::StrFormat("latency %s, p50 / p99 / max", name),
        absl::StrFormat("%.1f / %.1f / %.1f ms", latency.p50_ms, latency.p99_ms, latency.max_ms));
    figures_["latency_ms"][key] = {
        {"p50", latency.p50_ms}, {"p99", latency.p99_ms}, {"max", latency.max_ms}};
  }

  absl::Status ShowTable() {
    screen_.Step("The figures", "nothing new; these are the numbers of this run.");
    screen_.Row("writes acknowledged", Grouped(acknowledged_));
    ShowConvergence("after the first 500 writes", healthy_);
    ShowConvergence("after the freeze and the kill", faulty_);
    ShowConvergence("when c was dead and a killed", stopped_);
    screen_.Row("missing or outdated in the end", Behind(stopped_.in_the_end));
    screen_.Row("deliveries that ended after their callers' answers", Grouped(stragglers_));
    for (std::size_t member = 0; member < kMembers; ++member) {
      screen_.Row(absl::StrFormat("digest of %s", Federation::Name(member)), digests_[member].root);
    }
    screen_.Row("rows changed by the second migration", Grouped(round_trip_.second_run_changes));
    constexpr std::string_view kStores[] = {"a, after the questions", "PostgreSQL", "the new file"};
    for (std::size_t i = 0; i < round_trip_.roots.size(); ++i) {
      screen_.Row(absl::StrFormat("digest of %s", kStores[i]), round_trip_.roots[i]);
    }
    ShowLatency("while all are well", "healthy", 0, faults_begin_);
    ShowLatency("with faults", "faults", faults_begin_, INT64_MAX);
    screen_.Row("  (the longest waited for the frozen member)", "");
    screen_.Row("time of the whole run", absl::StrFormat("%.1f s", whole_.Seconds()));
    figures_["acknowledged"] = acknowledged_;
    figures_["stragglers_finished"] = stragglers_;
    for (const MemberDigest& digest : digests_) figures_["digests"].push_back(digest.root);
    figures_["digests_of_round_trip"] = round_trip_.roots;
    figures_["seconds"] = whole_.Seconds();
    figures_["failures"] = screen_.failures();
    return absl::OkStatus();
  }

  absl::Status WriteFigures() {
    if (options_.json.empty()) return absl::OkStatus();
    std::ofstream out(options_.json);
    out << figures_.dump(2) << '\n';
    out.close();
    if (out) return absl::OkStatus();
    return absl::UnavailableError(absl::StrFormat("cannot write figures to %s", options_.json));
  }

  const DemoOptions& options_;
  Screen screen_;
  const Stopwatch whole_;
  std::unique_ptr<WorkFolder> folder_;
  // The servers end before the clients: a client that waits for one is then told so.
  std::unique_ptr<Clients> clients_;
  std::unique_ptr<Federation> federation_;

  Settled healthy_;
  Settled faulty_;
  Settled stopped_;
  std::int64_t faults_begin_ = 0;  // MonotonicMicroseconds
  std::int64_t acknowledged_while_frozen_ = 0;
  std::int64_t acknowledged_while_dead_ = 0;
  int in_flight_at_kill_ = 0;
  std::vector<Journal> journals_;
  std::int64_t acknowledged_ = 0;
  std::vector<MemberDigest> digests_;
  std::int64_t stragglers_ = 0;
  RoundTripReport round_trip_;
  nlohmann::ordered_json figures_;
};

}  // namespace

absl::Status RunDemo(const DemoOptions& options) { return Demo(options).Run(); }

}  // namespace aimem::demo
