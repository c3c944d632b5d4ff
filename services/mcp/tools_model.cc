// Tools for which a language model has to stand behind the server, and what the server can do.

#include "lib/base/status.h"
#include "services/mcp/call.h"
#include "services/mcp/tool.h"

namespace aimem::mcp {
namespace {

// What it can do, not what was asked of it: it has words alone.
absl::StatusOr<Answer> RunCapabilities(Call& /*call*/) {
  return Answer{
      {{"features",
        {{"auto_consolidation", false},
         {"auto_tagging", false},
         {"contradiction_analysis", false},
         {"cross_encoder_reranking", false},
         {"hybrid_recall", false},
         {"keyword_search", true},
         {"memory_reflection", false},
         {"query_expansion", false},
         {"semantic_search", false}}},
       {"models",
        {{"cross_encoder", "none"}, {"embedding", "none"}, {"embedding_dim", 0}, {"llm", "none"}}},
       {"tier", "keyword"},
       {"version", "0.6.0"}}};
}

}  // namespace

std::vector<Tool> ModelTools() {
  return {
      {"memory_capabilities",
       "What the memory can do",
       "Which features and models stand behind the tools. Ask once in a session.",
       {.read_only = true, .idempotent = true},
       {},
       {Object("features").Required(), Object("models").Required(), Text("tier").Required(),
        Text("version").Required()},
       RunCapabilities},
      {"memory_expand_query",
       "Expand a question",
       "Other words for a question, by a language model.",
       {.read_only = true, .idempotent = true, .open_world = true},
       {Text("query", "The question").Required()},
       {Text("original"), Texts("expanded_terms")},
       nullptr,
       "query expansion requires smart or autonomous tier (Ollama LLM)"},
      {"memory_auto_tag",
       "Tag a memory",
       "Tags for a memory, by a language model; they are added to it.",
       {.open_world = true},
       {Text("id", "The full id").Required()},
       {Text("id"), Texts("new_tags"), Texts("all_tags")},
       nullptr,
       "auto-tagging requires smart or autonomous tier (Ollama LLM)"},
      {"memory_detect_contradiction",
       "Compare two memories",
       "Whether two memories contradict each other, by a language model.",
       {.read_only = true, .idempotent = true, .open_world = true},
       {Text("id_a", "The full id of one").Required(),
        Text("id_b", "The full id of the other").Required()},
       {Bool("contradicts"), Object("memory_a"), Object("memory_b")},
       nullptr,
       "contradiction detection requires smart or autonomous tier (Ollama LLM)"},
  };
}

}  // namespace aimem::mcp
