#include "lib/index/document.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "lib/index/talk.h"
#include "lib/model/validate.h"

namespace aimem::index {
namespace {

using model::MemoryView;
using model::Part;

constexpr char kTagField = '\x01';
constexpr char kAgentField = '\x02';

constexpr std::array<std::string_view, 5> kScopes = {"private", "team", "unit", "org",
                                                     "collective"};

// The terms of one memory, each once.
class TermCollector {
 public:
  void Use(std::string_view term) {
    Occurrence& found = Find(term);
    found.count = std::min(found.count + 1, kCountMax);
  }
  void NameSpeaker(std::string_view term) { Find(term).speaker = true; }

  std::vector<Occurrence> Take() {
    std::sort(terms_.begin(), terms_.end(),
              [](const Occurrence& a, const Occurrence& b) { return a.term < b.term; });
    return std::move(terms_);
  }

 private:
  Occurrence& Find(std::string_view term) {
    const auto [found, is_new] = places_.try_emplace(std::string(term), terms_.size());
    if (is_new) terms_.push_back({.term = std::string(term)});
    return terms_[found->second];
  }

  absl::flat_hash_map<std::string, std::size_t> places_;
  std::vector<Occurrence> terms_;
};

}  // namespace

std::string_view ScopeName(Scope scope) {
  const auto number = static_cast<std::size_t>(scope);
  return number < kScopes.size() ? kScopes[number] : "unknown";
}

Scope ReadScope(const MemoryView& view, std::span<const Part> parts) {
  const Part* scope = model::Find(parts, model::MetaPart("scope"));
  if (!scope || !model::MetaVisible(*scope, view) || scope->value == "null") {
    return Scope::kPrivate;
  }
  const std::optional<std::string> name = model::JsonStringValue(scope->value);
  const auto* const found = std::find(kScopes.begin(), kScopes.end(), name.value_or(std::string()));
  return found == kScopes.end() ? Scope::kUnknown
                                : static_cast<Scope>(std::distance(kScopes.begin(), found));
}

std::string TagTerm(std::string_view tag) { return std::string(1, kTagField).append(tag); }

std::string AgentTerm(std::string_view agent_id) {
  return std::string(1, kAgentField).append(agent_id);
}

Document MakeDocument(text::Analyzer& analyzer, std::string_view id, const MemoryView& view,
                      std::span<const Part> parts) {
  TalkRole role = ReadTalk(view, parts);
  Document document{
      .id = std::string(id),
      .namespace_ = std::string(view.namespace_),
      .talk = std::move(role.stream),
      .features = FeaturesOf(view),
      .facts = {.tier = view.tier,
                .scope = ReadScope(view, parts),
                .expires_at = view.expires_at.value_or(kNever)},
      .tokens = TokenCost(view.title, view.content),
  };
  TermCollector terms;
  ForEachTerm(analyzer, view, role, [&](Field field, std::string_view term) {
    if (field == Field::kSpeaker) {
      terms.NameSpeaker(term);
      return;
    }
    terms.Use(term);
    if (field == Field::kWord) CountWord(analyzer, term, document.features);
  });
  for (std::string_view tags = view.tags; !tags.empty();) {
    const std::string_view tag = tags.substr(0, tags.find('\0'));
    tags.remove_prefix(std::min(tag.size() + 1, tags.size()));
    terms.Use(TagTerm(tag));
  }
  terms.Use(AgentTerm(view.agent_id));
  document.terms = terms.Take();
  return document;
}

}  // namespace aimem::index
