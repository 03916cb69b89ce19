#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace vm::select::graphite {

struct Arg;

/// A part of a render target: a path with wildcards, a call, or a constant.
struct Expr {
  enum class Kind : uint8_t { kPath, kCall, kString, kNumber, kBool, kNone };

  Kind kind = Kind::kNone;
  std::string text;  // Path, name of the function, or unquoted string.
  double number = 0;
  bool flag = false;        // Value of a kBool.
  bool is_chained = false;  // `a|f(b)`; its first argument stands in front.
  std::vector<Arg> args;

  bool is(Kind kind_in) const { return kind == kind_in; }
  /// As it would be written; the same for `|`, blanks left out.
  void AppendTo(std::string& dst) const;
  std::string ToString() const;
};

struct Arg {
  std::string name;  // Empty: by its position.
  Expr value;
};

/// Read a target. Calls may nest kMaxDepth deep. Errors: kInvalidInput. Reference: VictoriaMetrics app/vmselect/graphiteql.
Result<Expr> ParseExpr(std::string_view text);
inline constexpr int kMaxDepth = 100;

/// The tokens of a target, for tests. Errors: kInvalidInput.
Result<std::vector<std::string>> Tokens(std::string_view text);
/// In single quotes.
std::string QuoteString(std::string_view text);
void AppendEscapedIdent(std::string& dst, std::string_view text);
/// Shortest text as Go's %g.
std::string NumberText(double value);

/// The path that the name of a series was made of: that of the first path in `f(g(path),1)`; `name` itself when it is none.
std::string PathOfName(const std::string& name);

}  // namespace vm::select::graphite
