#include "lib/text/english.h"

#include <algorithm>
#include <iterator>

namespace aimem::text {
namespace {

struct Form {
  std::string_view form;
  std::string_view base;
};

// Ordered by form. Forms that are as often another word (rose, bound, lives) are left out.
constexpr Form kForms[] = {
    {"are", "be"},
    {"ate", "eat"},
    {"became", "become"},
    {"been", "be"},
    {"began", "begin"},
    {"begun", "begin"},
    {"bent", "bend"},
    {"bitten", "bite"},
    {"blew", "blow"},
    {"blown", "blow"},
    {"bought", "buy"},
    {"broke", "break"},
    {"broken", "break"},
    {"brought", "bring"},
    {"built", "build"},
    {"came", "come"},
    {"caught", "catch"},
    {"children", "child"},
    {"chose", "choose"},
    {"chosen", "choose"},
    {"dealt", "deal"},
    {"did", "do"},
    {"does", "do"},
    {"done", "do"},
    {"drank", "drink"},
    {"drawn", "draw"},
    {"drew", "draw"},
    {"driven", "drive"},
    {"drove", "drive"},
    {"drunk", "drink"},
    {"eaten", "eat"},
    {"eight", "8"},
    {"eleven", "11"},
    {"fallen", "fall"},
    {"fed", "feed"},
    {"feet", "foot"},
    {"fell", "fall"},
    {"felt", "feel"},
    {"five", "5"},
    {"flew", "fly"},
    {"flown", "fly"},
    {"forgave", "forgive"},
    {"forgiven", "forgive"},
    {"forgot", "forget"},
    {"forgotten", "forget"},
    {"fought", "fight"},
    {"found", "find"},
    {"four", "4"},
    {"froze", "freeze"},
    {"frozen", "freeze"},
    {"gave", "give"},
    {"geese", "goose"},
    {"given", "give"},
    {"goes", "go"},
    {"gone", "go"},
    {"got", "get"},
    {"gotten", "get"},
    {"grew", "grow"},
    {"grown", "grow"},
    {"had", "have"},
    {"has", "have"},
    {"heard", "hear"},
    {"held", "hold"},
    {"hid", "hide"},
    {"hidden", "hide"},
    {"hung", "hang"},
    {"is", "be"},
    {"kept", "keep"},
    {"knew", "know"},
    {"known", "know"},
    {"laid", "lay"},
    {"led", "lead"},
    {"left", "leave"},
    {"lent", "lend"},
    {"lost", "lose"},
    {"made", "make"},
    {"meant", "mean"},
    {"men", "man"},
    {"met", "meet"},
    {"mice", "mouse"},
    {"nine", "9"},
    {"one", "1"},
    {"paid", "pay"},
    {"ran", "run"},
    {"rang", "ring"},
    {"ridden", "ride"},
    {"rode", "ride"},
    {"said", "say"},
    {"sang", "sing"},
    {"sat", "sit"},
    {"saw", "see"},
    {"seen", "see"},
    {"sent", "send"},
    {"seven", "7"},
    {"shook", "shake"},
    {"shot", "shoot"},
    {"shown", "show"},
    {"six", "6"},
    {"slept", "sleep"},
    {"sold", "sell"},
    {"sought", "seek"},
    {"spent", "spend"},
    {"spoke", "speak"},
    {"spoken", "speak"},
    {"stole", "steal"},
    {"stolen", "steal"},
    {"stood", "stand"},
    {"stuck", "stick"},
    {"sung", "sing"},
    {"swam", "swim"},
    {"swept", "sweep"},
    {"swum", "swim"},
    {"taken", "take"},
    {"taught", "teach"},
    {"teeth", "tooth"},
    {"ten", "10"},
    {"thought", "think"},
    {"three", "3"},
    {"threw", "throw"},
    {"thrown", "throw"},
    {"told", "tell"},
    {"took", "take"},
    {"tore", "tear"},
    {"torn", "tear"},
    {"twelve", "12"},
    {"two", "2"},
    {"understood", "understand"},
    {"was", "be"},
    {"went", "go"},
    {"were", "be"},
    {"wives", "wife"},
    {"woke", "wake"},
    {"woken", "wake"},
    {"women", "woman"},
    {"won", "win"},
    {"wore", "wear"},
    {"worn", "wear"},
    {"written", "write"},
    {"wrote", "write"},
    {"zero", "0"},
};

// Ordered.
constexpr std::string_view kStopWords[] = {
    "a",     "about", "all",   "also",  "an",    "and",    "any",   "are",   "as",   "at",    "be",
    "been",  "being", "but",   "by",    "can",   "could",  "did",   "do",    "does", "doing", "for",
    "from",  "had",   "has",   "have",  "he",    "her",    "hers",  "him",   "his",  "how",   "i",
    "if",    "in",    "into",  "is",    "it",    "its",    "ll",    "me",    "my",   "of",    "on",
    "or",    "our",   "re",    "s",     "she",   "should", "so",    "t",     "than", "that",  "the",
    "their", "them",  "then",  "there", "these", "they",   "this",  "those", "to",   "ve",    "was",
    "we",    "were",  "what",  "when",  "where", "which",  "while", "who",   "whom", "whose", "why",
    "will",  "with",  "would", "you",   "your",
};

// Ordered. "may" is left out: it is a verb nearly always.
constexpr std::string_view kTimeTerms[] = {
    "ago",     "april",     "august",  "decemb",  "februari", "friday",    "januari",  "juli",
    "june",    "last",      "march",   "monday",  "month",    "next",      "novemb",   "octob",
    "recent",  "saturday",  "septemb", "sunday",  "thursday", "today",     "tomorrow", "tonight",
    "tuesday", "wednesday", "week",    "weekend", "year",     "yesterday",
};

static_assert(std::is_sorted(std::begin(kForms), std::end(kForms),
                             [](const Form& a, const Form& b) { return a.form < b.form; }));
static_assert(std::is_sorted(std::begin(kStopWords), std::end(kStopWords)));
static_assert(std::is_sorted(std::begin(kTimeTerms), std::end(kTimeTerms)));

bool IsDecimal(char byte) { return byte >= '0' && byte <= '9'; }

}  // namespace

std::string_view EnglishBase(std::string_view word) {
  const Form* found =
      std::lower_bound(std::begin(kForms), std::end(kForms), word,
                       [](const Form& form, std::string_view value) { return form.form < value; });
  return found != std::end(kForms) && found->form == word ? found->base : word;
}

bool IsEnglishStopWord(std::string_view word) {
  return std::binary_search(std::begin(kStopWords), std::end(kStopWords), word);
}

bool IsEnglishTimeTerm(std::string_view term) {
  return std::binary_search(std::begin(kTimeTerms), std::end(kTimeTerms), term);
}

bool IsDateNumber(std::string_view term) {
  if (term.size() < 3 || term.size() > 4 || !IsDecimal(term.front())) return false;
  if (term.size() == 4 && std::all_of(term.begin(), term.end(), IsDecimal)) {
    return term.starts_with("19") || term.starts_with("20");
  }
  const std::string_view suffix = term.substr(term.size() - 2);
  const std::string_view number = term.substr(0, term.size() - 2);
  return std::all_of(number.begin(), number.end(), IsDecimal) &&
         (suffix == "st" || suffix == "nd" || suffix == "rd" || suffix == "th");
}

}  // namespace aimem::text
