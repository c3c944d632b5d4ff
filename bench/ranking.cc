// What recall finds: questions about conversations, whose evidence is known, asked over HTTP.
//
// The data is not part of this project: --data names a folder with NAME.memories.jsonl (title,
// namespace, content, created_at, tags) and NAME.questions.jsonl (question, evidence: titles,
// category). recall@k of a question is the share of its evidence among the first k hits.
#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <sstream>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/open.h"
#include "aimem/transfer.h"
#include "bench/members.h"
#include "bench/sections.h"
#include "bench/stores.h"
#include "nlohmann/json.hpp"
#include "support/federation/server_process.h"
#include "support/postgres/postgres_server.h"

namespace aimem::bench {
namespace {

using nlohmann::json;

constexpr std::uint64_t kSeed = 20'240'101;
constexpr std::array<std::size_t, 3> kRanks = {5, 10, 20};
constexpr std::array<double, 7> kFloors = {0, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5};

struct Question {
  std::string text;
  std::set<std::string> evidence;
  int category = 0;
  std::string namespace_;
};

struct Conversation {
  std::vector<json> memories;
  std::vector<Question> questions;
};

std::vector<json> ReadLines(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<json> lines;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) lines.push_back(json::parse(line));
  }
  if (lines.empty()) throw Failure("nothing in '" + path.string() + "'");
  return lines;
}

std::vector<Conversation> ReadConversations(const std::string& folder) {
  constexpr std::string_view kSuffix = ".memories.jsonl";
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().string().ends_with(kSuffix)) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Conversation> all;
  for (const std::filesystem::path& path : paths) {
    Conversation& one = all.emplace_back();
    one.memories = ReadLines(path);
    std::string questions = path.string();
    questions.replace(questions.size() - kSuffix.size(), kSuffix.size(), ".questions.jsonl");
    for (const json& line : ReadLines(questions)) {
      one.questions.push_back({.text = line.at("question"),
                               .evidence = line.at("evidence").get<std::set<std::string>>(),
                               .category = line.at("category"),
                               .namespace_ = one.memories.front().at("namespace")});
    }
  }
  if (all.empty()) throw Failure("no *.memories.jsonl in '" + folder + "'");
  return all;
}

/// How the memories are stored.
struct Variant {
  enum class Sessions { kTheirs, kNone, kOneEach };
  Sessions sessions = Sessions::kTheirs;
  bool shuffled = false;  // what was said when
  std::string source = "api";
};

/// The document that an import takes.
std::string Document(const std::vector<Conversation>& conversations, const Variant& variant) {
  std::mt19937_64 random(kSeed);
  json memories = json::array();
  for (const Conversation& conversation : conversations) {
    std::vector<std::string> times;
    for (const json& memory : conversation.memories) times.push_back(memory.at("created_at"));
    if (variant.shuffled) std::shuffle(times.begin(), times.end(), random);
    for (std::size_t i = 0; i < times.size(); ++i) {
      json memory = conversation.memories[i];
      memory["id"] = absl::StrFormat("turn-%06d", memories.size());
      memory["created_at"] = memory["updated_at"] = times[i];
      json metadata = json::object();
      if (variant.sessions != Variant::Sessions::kTheirs) memory["tags"] = json::array();
      if (variant.sessions == Variant::Sessions::kOneEach) metadata["session_id"] = memory["id"];
      memory["source"] = variant.source;
      memory["metadata"] = metadata;
      memory.update({{"tier", "mid"}, {"priority", 5}, {"confidence", 1.0}, {"access_count", 0}});
      memories.push_back(std::move(memory));
    }
  }
  return json{{"memories", memories}, {"links", json::array()}, {"count", memories.size()}}.dump();
}

/// A server whose store holds the conversations.
class Server {
 public:
  Server(const std::string& url, const std::string& log,
         const std::vector<Conversation>& conversations, const Variant& variant) {
    {
      const std::unique_ptr<Store> store = Must(OpenStore(url));
      std::istringstream document(Document(conversations, variant));
      ImportReport report;
      Must(ImportJson(document, *store, {}, report));
      if (!report.errors.empty()) throw Failure("not imported: " + report.errors.front());
      Must(store->Close());
    }
    support::ServerOptions options;
    options.program = AimemProgram();
    options.store = url;
    options.log = log;
    process_.emplace(Must(support::ServerProcess::Start(options)));
    client_.emplace("127.0.0.1", process_->http_port());
  }

  /// A recall that is a use of what it finds.
  json Use(const Question& question) {
    return Ask({{"context", question.text}, {"namespace", question.namespace_}, {"limit", 20}});
  }
  json Look(const Question& question, const std::string& namespace_, double floor) {
    return Parse(Must(client_->Get(
        absl::StrFormat("/api/v1/recall?context=%s&namespace=%s&limit=20&min_relevance=%g",
                        Escaped(question.text), Escaped(namespace_), floor))));
  }

 private:
  json Ask(const json& body) { return Parse(Must(client_->Post("/api/v1/recall", body.dump()))); }

  static json Parse(const clients::HttpAnswer& answer) {
    if (answer.status != 200) throw Failure("a recall failed: " + answer.body);
    return json::parse(answer.body);
  }

  static std::string Escaped(const std::string& text) {
    std::string escaped;
    for (const char byte : text)
      absl::StrAppendFormat(&escaped, "%%%02X", static_cast<unsigned char>(byte));
    return escaped;
  }

  std::optional<support::ServerProcess> process_;
  std::optional<clients::HttpClient> client_;
};

/// Sums of recall@5, @10, @20.
struct Found {
  std::array<double, kRanks.size()> sums{};
  double questions = 0;

  void Add(const Question& question, const json& answer) {
    std::size_t place = 0;
    for (const json& memory : answer.at("memories")) {
      const bool hit = question.evidence.contains(memory.at("title").get<std::string>());
      for (std::size_t i = 0; hit && i < kRanks.size(); ++i) {
        if (place < kRanks[i]) sums[i] += 1.0 / static_cast<double>(question.evidence.size());
      }
      ++place;
    }
    questions += 1;
  }
  [[nodiscard]] double At(std::size_t rank) const {
    const auto found = std::find(kRanks.begin(), kRanks.end(), rank);
    return sums.at(static_cast<std::size_t>(found - kRanks.begin())) / questions;
  }
};

using ByCategory = std::map<int, Found>;  // 0: all

template <typename Ask>
ByCategory AskAll(const std::vector<Conversation>& conversations, Ask ask) {
  ByCategory found;
  for (const Conversation& conversation : conversations) {
    for (const Question& question : conversation.questions) {
      const json answer = ask(question);
      found[0].Add(question, answer);
      found[question.category].Add(question, answer);
    }
  }
  return found;
}

ByCategory UseAll(Server& server, const std::vector<Conversation>& conversations) {
  return AskAll(conversations, [&](const Question& question) { return server.Use(question); });
}

double LookAll(Server& server, const std::vector<Conversation>& conversations, double floor) {
  return AskAll(conversations,
                [&](const Question& question) {
                  return server.Look(question, question.namespace_, floor);
                })
      .at(0)
      .At(10);
}

void AddKinds(const ByCategory& found, Section& section) {
  static const std::map<int, std::string> kKinds = {
      {0, "all"}, {1, "several turns"}, {2, "time"}, {3, "outside knowledge"}, {4, "one turn"}};
  for (const auto& [category, sums] : found) {
    section.notes.push_back(
        absl::StrFormat("%-18s %4.0f questions: recall@5 %.3f @10 %.3f @20 %.3f",
                        kKinds.at(category), sums.questions, sums.At(5), sums.At(10), sums.At(20)));
  }
}

/// Questions moved to the next conversation, which cannot answer them: the share that finds nothing
/// at each floor, and what recall@10 that floor leaves of the others.
void MeasureSilence(Server& server, const std::vector<Conversation>& conversations,
                    Section& section) {
  std::vector<double> best;
  for (std::size_t i = 0; i < conversations.size(); ++i) {
    const Conversation& other = conversations[(i + 1) % conversations.size()];
    for (const Question& question : conversations[i].questions) {
      // With a floor of 1 the greatest relevance below it is told.
      const json answer = server.Look(question, other.questions.front().namespace_, 1);
      best.push_back(answer.at("count") > 0 ? 1 : answer.value("relevance_left_out", 0.0));
    }
  }
  for (const double floor : kFloors) {
    const auto quiet = std::count_if(best.begin(), best.end(),
                                     [&](double relevance) { return relevance < floor; });
    section.notes.push_back(
        absl::StrFormat("floor %.2f: silent %.3f of moved questions, recall@10 %.3f", floor,
                        static_cast<double>(quiet) / static_cast<double>(best.size()),
                        LookAll(server, conversations, floor)));
  }
}

}  // namespace

Section MeasureRanking(const Settings& settings) {
  Section section;
  section.name = "recall-ranking";
  if (settings.data.empty()) {
    section.notes.push_back("not measured: it needs --data");
    return section;
  }
  const Folder folder(settings.directory);
  const std::vector<Conversation> conversations = ReadConversations(settings.data);
  const auto serve = [&](const std::string& name, const Variant& variant) {
    return Server(folder.File(name + ".db"), folder.File(name + ".log"), conversations, variant);
  };
  double first = 0;
  {
    Server sqlite = serve("sessions", {});
    MeasureSilence(sqlite, conversations, section);
    const ByCategory found = UseAll(sqlite, conversations);
    AddKinds(found, section);
    first = found.at(0).At(10);
    section.figures.push_back({"recall@10", first, "", Goal::AtLeast(0.76)});
    const double second = UseAll(sqlite, conversations).at(0).At(10);
    section.figures.push_back({"asked again", second - first, "", Goal::AtLeast(-0.01)});
  }
  {
    // Without sessions nothing is talk; a session each means: talk without neighbours.
    using Sessions = Variant::Sessions;
    const auto look = [&](const std::string& name, const Variant& variant) {
      Server server = serve(name, variant);
      return LookAll(server, conversations, 0);
    };
    const double alone = look("alone", {.sessions = Sessions::kOneEach, .shuffled = true});
    const double none = look("none", {.sessions = Sessions::kNone, .shuffled = true});
    const double talk =
        look("talk", {.sessions = Sessions::kNone, .shuffled = true, .source = "import"});
    section.figures.push_back({"recall@10, shuffled, neighbours off", alone, "", {}});
    section.figures.push_back(
        {"shuffled, no sessions, against it", none - alone, "", Goal::AtLeast(-0.01)});
    section.figures.push_back({"shuffled, imported as talk, against it", talk - alone, "", {}});
  }
  const auto cluster = Must(support::PostgresServer::Start());
  Must(cluster->CreateDatabase("ranking"));
  Server postgres(cluster->Url("ranking"), folder.File("postgres.log"), conversations, {});
  section.figures.push_back({"PostgreSQL against SQLite",
                             UseAll(postgres, conversations).at(0).At(10) - first, "",
                             Goal::AtLeast(-0.01)});
  return section;
}

}  // namespace aimem::bench
