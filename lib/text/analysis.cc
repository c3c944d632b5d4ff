#include "lib/text/analysis.h"

#include <libstemmer.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "lib/base/status.h"
#include "lib/text/english.h"
#include "lib/text/identifiers.h"
#include "lib/text/unicode.h"

namespace aimem::text {
namespace {

constexpr std::string_view kNone = "none";
constexpr std::size_t kCacheSlots = 4096;  // a power of two
constexpr std::size_t kCachedBytes = 23;

enum class AsciiClass : std::uint8_t { kSeparator, kWord, kApostrophe, kBeyond };

// Every byte once: what ends a chunk, and what makes it leave the fast path.
constexpr std::array<AsciiClass, 256> kAsciiClass = [] {
  std::array<AsciiClass, 256> classes{};
  for (int byte = 0; byte < 256; ++byte) {
    const bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
    const bool digit = byte >= '0' && byte <= '9';
    classes[static_cast<std::size_t>(byte)] = letter || digit ? AsciiClass::kWord
                                              : byte == '\''  ? AsciiClass::kApostrophe
                                              : byte >= 0x80  ? AsciiClass::kBeyond
                                                              : AsciiClass::kSeparator;
  }
  return classes;
}();

AsciiClass ClassOf(char byte) { return kAsciiClass[static_cast<unsigned char>(byte)]; }

char AsciiLower(char byte) {
  return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + ('a' - 'A')) : byte;
}

bool IsAscii(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char byte) { return static_cast<unsigned char>(byte) >= 0x80; });
}

}  // namespace

std::vector<std::string_view> Languages() {
  std::vector<std::string_view> languages = {kNone};
  for (const char** name = sb_stemmer_list(); *name != nullptr; ++name) languages.push_back(*name);
  std::sort(languages.begin(), languages.end());
  return languages;
}

absl::Status CheckLanguage(std::string_view language) {
  const std::vector<std::string_view> languages = Languages();
  if (std::find(languages.begin(), languages.end(), language) != languages.end()) {
    return absl::OkStatus();
  }
  std::string message = "language '" + std::string(language) + "' is unknown: use one of ";
  for (std::size_t i = 0; i < languages.size(); ++i) {
    if (i > 0) message += ", ";
    message += languages[i];
  }
  return MakeStatus(absl::StatusCode::kInvalidArgument, message);
}

/// A word of the text: normalised, cut to kTermBytesMax.
struct Analyzer::Word {
  std::string_view text;
  bool is_bigram = false;  ///< Of a script without spaces: a term as it is.
};

/// One slot of the direct-mapped cache from words to terms; a newcomer replaces what is there, so
/// its size is its bound.
struct Analyzer::CachedTerm {
  std::uint8_t word_size = 0;
  std::uint8_t term_size = 0;
  char word[kCachedBytes];
  char term[kCachedBytes];
};

void Analyzer::StemmerDelete::operator()(sb_stemmer* stemmer) const { sb_stemmer_delete(stemmer); }

absl::StatusOr<Analyzer> Analyzer::Create(std::string_view language) {
  AIMEM_RETURN_IF_ERROR(CheckLanguage(language));
  std::string name(language);
  std::unique_ptr<sb_stemmer, StemmerDelete> stemmer;
  if (name != kNone) {
    stemmer.reset(sb_stemmer_new(name.c_str(), "UTF_8"));
    if (stemmer == nullptr) {
      return MakeStatus(absl::StatusCode::kResourceExhausted,
                        "no memory for the stemmer of language '" + name + "'");
    }
  }
  return Analyzer(std::move(name), std::move(stemmer));
}

Analyzer::Analyzer(std::string language, std::unique_ptr<sb_stemmer, StemmerDelete> stemmer)
    : language_(std::move(language)),
      stemmer_(std::move(stemmer)),
      english_(language_ == "english" || language_ == "porter"),
      stems_with_accents_(stemmer_ != nullptr && !english_),
      cache_(stemmer_ != nullptr ? kCacheSlots : 0) {}

Analyzer::Analyzer(Analyzer&&) noexcept = default;
Analyzer& Analyzer::operator=(Analyzer&&) noexcept = default;
Analyzer::~Analyzer() = default;

void Analyzer::Analyze(std::string_view text, TermSink sink) {
  ForEachWord(text, stems_with_accents_, [&](const Word& word) {
    const std::string_view term = Term(word);
    if (!term.empty()) sink(term);
  });
}

void Analyzer::Analyze(std::string_view text, std::vector<std::string>& terms) {
  Analyze(text, [&](std::string_view term) { terms.emplace_back(term); });
}

void Analyzer::AnalyzeIdentifiers(std::string_view text, TermSink sink) {
  const auto lower = [this](std::string_view raw) {
    word_.assign(CutUtf8(raw, kTermBytesMax));
    std::transform(word_.begin(), word_.end(), word_.begin(), AsciiLower);
  };
  ForEachIdentifier(text, [&](std::string_view whole) {
    lower(whole);
    sink(word_);
  });
  ForEachCamelPart(text, [&](std::string_view part) {
    lower(part);
    if (!(english_ && IsEnglishStopWord(word_))) sink(Term({.text = word_}));
  });
}

bool Analyzer::IsTimeTerm(std::string_view term) const {
  return IsDateNumber(term) || (english_ && IsEnglishTimeTerm(term));
}

std::vector<std::string> Analyzer::AnalyzeQuestion(std::string_view question, QuestionKind kind) {
  struct Distinct {
    std::vector<std::string> terms;
    absl::flat_hash_set<std::string> seen;
    void Add(std::string_view term) {
      if (auto [it, added] = seen.emplace(term); added) terms.push_back(*it);
    }
  };
  Distinct all;
  Distinct telling;
  ForEachWord(question, stems_with_accents_, [&](const Word& word) {
    const bool stop = english_ && IsEnglishStopWord(word.text);
    const std::string_view term = Term(word);
    if (term.empty()) return;
    all.Add(term);
    if (!stop) telling.Add(term);
  });
  const bool drop = kind == QuestionKind::kRecall && !telling.terms.empty();
  return std::move(drop ? telling.terms : all.terms);
}

std::vector<std::string> Analyzer::Names(std::string_view text) {
  std::vector<std::string> names;
  bool within = false;  // a word of the sentence came before
  while (!text.empty()) {
    const std::string_view raw = text.substr(0, text.find_first_of(" \t\r\n"));
    text.remove_prefix(std::min(raw.size() + 1, text.size()));
    if (raw.empty()) continue;
    const std::size_t first = std::min(raw.find_first_not_of("\"'([{<"), raw.size());
    if (within && BeginsWithCapital(raw.substr(first))) Analyze(raw, names);
    within = std::string_view(".?!:").find(raw.back()) == std::string_view::npos;
  }
  return names;
}

std::vector<std::string> Analyzer::Words(std::string_view text) {
  std::vector<std::string> words;
  ForEachWord(text, /*keep_accents=*/false,
              [&](const Word& word) { words.emplace_back(word.text); });
  return words;
}

// An ASCII byte that is neither letter, digit nor apostrophe separates words whatever surrounds
// it, so the text is taken in chunks between such bytes; most are ASCII and need no Unicode.
void Analyzer::ForEachWord(std::string_view text, bool keep_accents, WordSink sink) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    std::size_t end = begin;
    bool ascii = true;
    for (; end < text.size(); ++end) {
      const AsciiClass kind = ClassOf(text[end]);
      if (kind == AsciiClass::kSeparator) break;
      if (kind == AsciiClass::kBeyond) ascii = false;
    }
    const std::string_view chunk = text.substr(begin, end - begin);
    if (!ascii) {
      UnicodeWords(chunk, keep_accents, sink);
    } else if (!chunk.empty()) {
      AsciiWords(chunk, sink);
    }
    begin = end + 1;
  }
}

void Analyzer::AsciiWords(std::string_view chunk, WordSink sink) {
  bool possessor = false;  // a word ends right before the apostrophe that we stand behind
  while (!chunk.empty()) {
    const std::string_view raw = chunk.substr(0, chunk.find('\''));
    chunk.remove_prefix(std::min(raw.size() + 1, chunk.size()));
    if (raw.empty()) {
      possessor = false;
      continue;
    }
    word_.assign(CutUtf8(raw, kTermBytesMax));
    std::transform(word_.begin(), word_.end(), word_.begin(), AsciiLower);
    if (!(possessor && word_ == "s")) sink({.text = word_});
    possessor = true;
  }
}

void Analyzer::UnicodeWords(std::string_view chunk, bool keep_accents, WordSink sink) {
  Normalize(chunk, keep_accents, code_points_);
  const std::size_t size = code_points_.size();
  bool possessor = false;  // as in AsciiWords
  std::size_t begin = 0;
  while (begin < size) {
    if (!IsWordCharacter(code_points_[begin]) || IsApostrophe(code_points_[begin])) {
      possessor = begin > 0 && IsApostrophe(code_points_[begin]) &&
                  IsWordCharacter(code_points_[begin - 1]) &&
                  !IsApostrophe(code_points_[begin - 1]);
      ++begin;
      continue;
    }
    const bool unspaced = IsUnspaced(code_points_[begin]);
    std::size_t end = begin;
    while (end < size && IsWordCharacter(code_points_[end]) && !IsApostrophe(code_points_[end]) &&
           IsUnspaced(code_points_[end]) == unspaced) {
      ++end;
    }
    if (unspaced) {
      EmitBigrams(begin, end, sink);
    } else if (!(possessor && end == begin + 1 && code_points_[begin] == U's')) {
      EmitWord(begin, end, sink);
    }
    possessor = false;
    begin = end;
  }
}

void Analyzer::EmitBigrams(std::size_t begin, std::size_t end, WordSink sink) {
  if (end - begin == 1) {
    word_.clear();
    AppendUtf8(code_points_[begin], word_);
    sink({.text = word_, .is_bigram = true});
    return;
  }
  for (std::size_t i = begin; i + 1 < end; ++i) {
    word_.clear();
    AppendUtf8(code_points_[i], word_);
    AppendUtf8(code_points_[i + 1], word_);
    sink({.text = word_, .is_bigram = true});
  }
}

void Analyzer::EmitWord(std::size_t begin, std::size_t end, WordSink sink) {
  word_.clear();
  for (std::size_t i = begin; i < end && word_.size() <= kTermBytesMax; ++i) {
    AppendUtf8(code_points_[i], word_);
  }
  sink({.text = CutUtf8(word_, kTermBytesMax)});
}

std::string_view Analyzer::Term(const Word& word) {
  if (stemmer_ == nullptr || word.is_bigram) return word.text;
  if (word.text.size() > kCachedBytes) return ComputeTerm(word.text);
  CachedTerm& slot = cache_[std::hash<std::string_view>{}(word.text) & (kCacheSlots - 1)];
  if (std::string_view(slot.word, slot.word_size) == word.text) {
    return {slot.term, slot.term_size};
  }
  const std::string_view term = ComputeTerm(word.text);
  if (term.size() <= kCachedBytes) {
    slot.word_size = static_cast<std::uint8_t>(word.text.size());
    slot.term_size = static_cast<std::uint8_t>(term.size());
    std::memcpy(slot.word, word.text.data(), word.text.size());
    std::memcpy(slot.term, term.data(), term.size());
  }
  return term;
}

std::string_view Analyzer::ComputeTerm(std::string_view word) {
  const std::string_view base = english_ ? EnglishBase(word) : word;
  const sb_symbol* stem =
      sb_stemmer_stem(stemmer_.get(), reinterpret_cast<const sb_symbol*>(base.data()),
                      static_cast<int>(base.size()));
  // Without memory the stemmer returns null: the word itself is then the best term there is.
  term_ = stem == nullptr
              ? std::string(base)
              : std::string(reinterpret_cast<const char*>(stem),
                            static_cast<std::size_t>(sb_stemmer_length(stemmer_.get())));
  if (stems_with_accents_ && !IsAscii(term_)) {
    std::vector<char32_t> code_points;
    Normalize(term_, /*keep_accents=*/false, code_points);
    term_.clear();
    for (const char32_t code_point : code_points) AppendUtf8(code_point, term_);
  }
  term_.resize(CutUtf8(term_, kTermBytesMax).size());
  return term_;
}

}  // namespace aimem::text
