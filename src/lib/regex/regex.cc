#include "lib/regex/regex.h"

#include <re2/re2.h>

#include <algorithm>

namespace vm::regex {
namespace {

constexpr size_t kMaxOrValues = 100;
constexpr std::string_view kMeta = "\\.+*?()|[]{}^$";

bool IsPunctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

/// Split an expression made of literals and `|` alone; false when there is anything else. `literal` gets the text
/// before the first thing that is no literal.
bool SplitLiterals(std::string_view expression, std::vector<std::string>& values, std::string& literal) {
  std::string current;
  bool first = true;
  size_t last_rune = 0;
  for (size_t i = 0; i < expression.size(); ++i) {
    char c = expression[i];
    if (c == '|') {
      values.push_back(std::move(current));
      current.clear();
      first = false;
      continue;
    }
    if (c == '\\' && i + 1 < expression.size() && IsPunctuation(expression[i + 1])) {
      c = expression[++i];
    } else if (kMeta.find(c) != std::string_view::npos) {
      // A repetition makes the character before it optional.
      if (c == '*' || c == '+' || c == '?' || c == '{') current.resize(last_rune);
      literal = first && expression.find('|') == std::string_view::npos ? current : "";
      values.clear();
      return false;
    }
    if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) last_rune = current.size();
    current.push_back(c);
  }
  values.push_back(std::move(current));
  return true;
}

}  // namespace

Result<Regex> Regex::Compile(std::string_view expression) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(true);
  options.set_max_mem(int64_t{64} << 20);
  auto re = std::make_shared<const re2::RE2>(re2::StringPiece(expression.data(), expression.size()), options);
  if (!re->ok()) {
    return Error(ErrorCode::kInvalidInput,
                 "error parsing regexp \"" + std::string(expression) + "\": " + re->error());
  }
  Regex result;
  result.re_ = std::move(re);
  if (SplitLiterals(expression, result.or_values_, result.prefix_)) {
    std::sort(result.or_values_.begin(), result.or_values_.end());
    result.or_values_.erase(std::unique(result.or_values_.begin(), result.or_values_.end()),
                            result.or_values_.end());
    if (result.or_values_.size() > kMaxOrValues) result.or_values_.clear();
  }
  return result;
}

bool Regex::Match(std::string_view value) const {
  if (!or_values_.empty()) return std::binary_search(or_values_.begin(), or_values_.end(), value);
  if (value.size() < prefix_.size() || value.substr(0, prefix_.size()) != prefix_) return false;
  return re2::RE2::FullMatch(re2::StringPiece(value.data(), value.size()), *re_);
}

}  // namespace vm::regex
