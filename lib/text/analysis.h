// Analysis: text to terms, the same for what is stored and for what is asked.
//
// 1. Unicode NFKD, marks dropped, case folded; what is not valid UTF-8 separates words.
// 2. Possessive 's dropped; split on everything that is not a letter or a digit, so that
//    `well-known` is two words. A run of a script without spaces (Han, kana, Thai, Lao, Khmer,
//    Myanmar …) becomes its bigrams of code points; a run of one code point is a word.
// 3. English only: irregular form to base (went, go), zero … twelve to digits.
// 4. The language's Snowball stemmer.
//
// Beside its words a text may have identifiers (identifiers.h): wholes, lower-case and not stemmed,
// which no word can be taken for, and parts of camelCase, which go through steps 3 and 4. They are
// found and scored like words and are no words: they count in no length, so a memory that is full
// of them is no longer for it, nobody has to hold them, and the words of a text are the same with
// them as without. A part of camelCase counts as a use of its word, since it is one.
//
// Terms are kept in the index and never in a log or on the wire: whoever changes what this code
// returns for any text must raise kAnalysisVersion, and every store then rebuilds its index.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sb_stemmer;

namespace aimem::text {

inline constexpr int kAnalysisVersion = 2;
inline constexpr std::string_view kDefaultLanguage = "english";
/// Longer words and terms are cut here, on a code point boundary.
inline constexpr std::size_t kTermBytesMax = 64;

/// The languages that an Analyzer takes, ordered by name: "none" and Snowball's own names.
std::vector<std::string_view> Languages();

/// kInvalidArgument, naming the value and all valid ones, if `language` is none of Languages().
absl::Status CheckLanguage(std::string_view language);

/// What a question is for.
enum class QuestionKind {
  kRecall,  ///< Any term may hit: stop words are dropped, unless nothing would be left.
  kSearch,  ///< Every term must hit: nothing is dropped.
};

/// Turns text into terms. Any bytes are accepted; no method fails.
///
/// Not thread-safe (it owns a stemmer and a cache of some 200 KiB): use one per thread. The
/// terms depend on language and text alone, never on what was analysed before.
class Analyzer {
 public:
  using TermSink = absl::FunctionRef<void(std::string_view)>;

  /// Errors: kInvalidArgument (CheckLanguage), kResourceExhausted (no memory for the stemmer).
  static absl::StatusOr<Analyzer> Create(std::string_view language = kDefaultLanguage);

  Analyzer(Analyzer&&) noexcept;
  Analyzer& operator=(Analyzer&&) noexcept;
  ~Analyzer();

  /// Call `sink` with every term of `text`, in order, repeats included. A term lives until
  /// `sink` returns. `sink` must not use this Analyzer.
  void Analyze(std::string_view text, TermSink sink);
  /// Append the terms to `terms`.
  void Analyze(std::string_view text, std::vector<std::string>& terms);

  /// The same for the identifiers of `text`, wholes first. Parts that are stop words are left out.
  void AnalyzeIdentifiers(std::string_view text, TermSink sink);

  /// Whether `term` tells when something was (yesterday, last, March, 3rd, 2023).
  [[nodiscard]] bool IsTimeTerm(std::string_view term) const;

  /// The distinct terms of `question`, in order of first appearance. Empty if it has no word.
  std::vector<std::string> AnalyzeQuestion(std::string_view question, QuestionKind kind);

  /// The terms of the words that `text` writes with a capital within a sentence, as names are.
  std::vector<std::string> Names(std::string_view text);

  /// The words of `text` after step 2, in order, repeats included: what must agree when a word
  /// has to be there as it is written, as in the pattern of forget.
  std::vector<std::string> Words(std::string_view text);

  const std::string& language() const { return language_; }

 private:
  struct StemmerDelete {
    void operator()(sb_stemmer* stemmer) const;
  };
  struct CachedTerm;
  struct Word;
  using WordSink = absl::FunctionRef<void(const Word&)>;

  Analyzer(std::string language, std::unique_ptr<sb_stemmer, StemmerDelete> stemmer);

  void ForEachWord(std::string_view text, bool keep_accents, WordSink sink);
  void AsciiWords(std::string_view chunk, WordSink sink);
  void UnicodeWords(std::string_view chunk, bool keep_accents, WordSink sink);
  void EmitBigrams(std::size_t begin, std::size_t end, WordSink sink);
  void EmitWord(std::size_t begin, std::size_t end, WordSink sink);
  /// The term of a word; it lives until the next call.
  std::string_view Term(const Word& word);
  std::string_view ComputeTerm(std::string_view word);

  std::string language_;
  std::unique_ptr<sb_stemmer, StemmerDelete> stemmer_;  // null: language "none"
  bool english_;
  /// Other stemmers than the English ones know endings by their accents (й, é, ã): they see the
  /// word with them, and the accents are dropped from the stem.
  bool stems_with_accents_;
  std::vector<CachedTerm> cache_;
  std::vector<char32_t> code_points_;
  std::string word_;
  std::string term_;
};

}  // namespace aimem::text
