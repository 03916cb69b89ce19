// Functions that name series, and those that only say how to draw them.
#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "select/graphite/functions.h"
#include "select/promql/transform_text.h"

namespace vm::select::graphite {
namespace {

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

/// A search and a replacement, given as two texts.
class Replacement {
 public:
  static Result<Replacement> Of(const Call& call, size_t search_at, size_t replace_at) {
    VM_ASSIGN_OR_RETURN(const std::string search, call.Text("search", search_at));
    VM_ASSIGN_OR_RETURN(const std::string replace, call.Text("replace", replace_at));
    auto regex = transform::CompileGoRegex(search);
    if (!regex.ok()) return std::move(regex).error().WithContext("cannot compile search regexp \"" + search + "\"");
    Replacement made;
    made.regex_ = std::move(regex).value();
    made.text_ = ToGoReplacement(replace);
    return made;
  }
  std::string Apply(const std::string& name) const {
    constexpr size_t kMaxBytes = 1 << 20;
    std::string replaced;
    const transform::ReplaceTemplate to(text_, *regex_);
    return to.ReplaceAll(name, kMaxBytes, replaced) ? replaced : name;
  }

 private:
  std::unique_ptr<re2::RE2> regex_;
  std::string text_;
};

Result<SeriesList> Alias(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string name, call.Text("newName", 1));
  return ChangeEach(call, [&name](Series& s) { s.name = name; });
}

Result<SeriesList> AliasByMetric(Call& call) {
  return ChangeEach(call, [](Series& s) {
    const std::string path = PathOfName(s.name);
    const size_t dot = path.rfind('.');
    s.name = dot == std::string::npos || dot == 0 ? path : path.substr(dot + 1);
  });
}

Result<SeriesList> AliasByNode(Call& call) {
  VM_ASSIGN_OR_RETURN(const auto nodes, call.Nodes(1));
  return ChangeEach(call, [&nodes](Series& s) { s.name = NameFromNodes(s, nodes); });
}

Result<SeriesList> AliasSub(Call& call) {
  VM_ASSIGN_OR_RETURN(const Replacement replacement, Replacement::Of(call, 1, 2));
  return ChangeEach(call, [&replacement](Series& s) { s.name = replacement.Apply(s.name); });
}

Result<SeriesList> AliasQuery(Call& call) {
  VM_ASSIGN_OR_RETURN(const Replacement replacement, Replacement::Of(call, 1, 2));
  VM_ASSIGN_OR_RETURN(const std::string name, call.Text("newName", 3));
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  Status first = Ok();  // All queries are looked at, so that their series are fetched together.
  for (Series& s : list) {
    const std::string query = replacement.Apply(s.name);
    auto found = call.eval.Run(query, call.window);
    if (!found.ok()) {
      if (first.ok()) first = std::move(found).error().WithContext("cannot evaluate query \"" + query + "\"");
      continue;
    }
    const double value = found.value().empty() ? NAN : Last(found.value()[0].values);
    if (std::isnan(value)) {
      if (first.ok()) first = Bad("cannot find " + std::string(found.value().empty() ? "series" : "values") + " for query \"" + query + "\"");
      continue;
    }
    s.name = ReplaceAll(ReplaceAll(ReplaceAll(name, "%d", std::to_string(static_cast<int64_t>(std::clamp(value, -9e18, 9e18)))), "%g",
                                   NumberText(value)),
                        "%f", fmt::format("{:f}", value));
  }
  VM_TRY(std::move(first));
  return list;
}

Result<SeriesList> ApplyByNode(Call& call) {
  VM_ASSIGN_OR_RETURN(const double number, call.Number("nodeNum", 1));
  VM_ASSIGN_OR_RETURN(const std::string query, call.Text("templateFunction", 2));
  VM_ASSIGN_OR_RETURN(const std::string name, call.TextOr("newName", 3, ""));
  VM_ASSIGN_OR_RETURN(const SeriesList list, call.List());
  const int node = ToInt(number);
  std::set<std::string> seen;
  SeriesList result;
  for (const Series& series : list) {
    std::string prefix = PathOfName(series.name);
    std::vector<std::string> parts = SplitPath(prefix);
    if (node >= 0 && static_cast<size_t>(node) < parts.size()) {
      parts.resize(static_cast<size_t>(node) + 1);
      prefix = JoinPath(parts);
    }
    if (!seen.insert(prefix).second) continue;
    VM_ASSIGN_OR_RETURN(SeriesList found, call.eval.Run(ReplaceAll(query, "%", prefix), call.window));
    for (Series& s : found) {
      if (!name.empty()) s.name = ReplaceAll(name, "%", prefix);
      s.path = prefix;
      result.push_back(std::move(s));
    }
  }
  return result;
}

Result<SeriesList> UseSeriesAbove(Call& call) {
  VM_ASSIGN_OR_RETURN(const double value, call.Number("value", 1));
  VM_ASSIGN_OR_RETURN(const Replacement replacement, Replacement::Of(call, 2, 3));
  VM_ASSIGN_OR_RETURN(const SeriesList list, call.List());
  std::string query = "group(";
  for (const Series& s : list) {
    if (!(Maximum(s.values) > value)) continue;
    if (query.back() != '(') query += ',';
    query += replacement.Apply(s.name);
  }
  return call.eval.Run(query + ")", call.window);
}

Result<SeriesList> Substr(Call& call) {
  VM_ASSIGN_OR_RETURN(const double start, call.NumberOr("start", 1, 0));
  VM_ASSIGN_OR_RETURN(const double stop, call.NumberOr("stop", 2, 0));
  return ChangeEach(call, [&](Series& s) {
    const std::vector<std::string> parts = SplitPath(PathOfName(s.name));
    const int size = static_cast<int>(parts.size());
    const auto position = [size](int at) { return at < 0 ? std::max(size + at, 0) : std::min(at, size); };
    const int from = position(ToInt(start));
    const int to = ToInt(stop) == 0 ? size : position(ToInt(stop));
    s.name = from >= to ? std::string()
                        : JoinPath(std::span(parts).subspan(static_cast<size_t>(from), static_cast<size_t>(to - from)));
  });
}

Result<SeriesList> AreaBetween(Call& call) {
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  if (list.size() > 2) return Bad("expecting exactly two series; got more series");
  for (Series& s : list) {
    s.tags["areaBetween"] = "1";
    Rename(s, fmt::format("areaBetween({})", s.name));
  }
  return list;
}

Result<SeriesList> WithNumber(Call& call, std::string_view name) {
  VM_TRY(call.Number(name, 1));
  return call.List();
}
Result<SeriesList> Alpha(Call& call) { return WithNumber(call, "alpha"); }
Result<SeriesList> LineWidth(Call& call) { return WithNumber(call, "width"); }
Result<SeriesList> Color(Call& call) {
  VM_TRY(call.Text("theColor", 1));
  return call.List();
}

Result<SeriesList> ConsolidateWith(Call& call, const std::string& function) {
  VM_ASSIGN_OR_RETURN(const Aggregate aggregate, FindAggregate(function));
  return ChangeEach(call, [&](Series& s) {
    s.consolidate = aggregate;
    s.tags["consolidateBy"] = function;
    Rename(s, fmt::format("consolidateBy({},{})", s.name, QuoteString(function)));
  });
}
Result<SeriesList> ConsolidateBy(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string function, call.Text("consolidationFunc", 1));
  return ConsolidateWith(call, function);
}
Result<SeriesList> Cumulative(Call& call) { return ConsolidateWith(call, "sum"); }

Result<SeriesList> Dashed(Call& call) {
  VM_ASSIGN_OR_RETURN(const double length, call.NumberOr("dashLength", 1, 5));
  return ChangeEach(call, [&](Series& s) {
    s.tags["dashed"] = NumberText(length);
    s.name = fmt::format("dashed({},{})", s.name, NumberText(length));
  });
}
Result<SeriesList> DrawAsInfinite(Call& call) {
  return ChangeEach(call, [](Series& s) {
    s.tags["drawAsInfinite"] = "1";
    s.name = fmt::format("drawAsInfinite({})", s.name);
  });
}
Result<SeriesList> SecondYAxis(Call& call) {
  return ChangeEach(call, [](Series& s) {
    s.tags["secondYAxis"] = "1";
    s.name = fmt::format("secondYAxis({})", s.name);
  });
}

Result<SeriesList> SetXFilesFactor(Call& call) {
  VM_ASSIGN_OR_RETURN(const double factor, call.Number("xFilesFactor", 1));
  Window window = call.window;
  window.x_files_factor = factor;
  VM_ASSIGN_OR_RETURN(SeriesList list, call.ListOf(window));
  for (Series& s : list) {
    s.x_files_factor = factor;
    s.tags["xFilesFactor"] = NumberText(factor);
  }
  return list;
}

Result<SeriesList> Stacked(Call& call) {
  constexpr std::string_view kDefault = "__DEFAULT__";
  VM_ASSIGN_OR_RETURN(const std::string stack, call.TextOr("stackName", 1, std::string(kDefault)));
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  VM_TRY(call.ConsolidateAll(list, call.StepOf(list)));
  std::vector<double> total(list.empty() ? 0 : list[0].values.size());
  for (Series& s : list) {
    for (size_t i = 0; i < s.values.size(); ++i) {
      if (!std::isnan(s.values[i])) s.values[i] = total[i] += s.values[i];
    }
    if (stack == kDefault) {
      s.tags["stacked"] = stack;
      s.name = fmt::format("stacked({})", s.name);
    }
    s.path = s.name;
  }
  return list;
}

constexpr FunctionEntry kFunctions[] = {
    {"alias", 2, 2, Alias},
    {"aliasByMetric", 1, 1, AliasByMetric},
    {"aliasByNode", 1, kAnyArgs, AliasByNode},
    {"aliasByTags", 1, kAnyArgs, AliasByNode},
    {"aliasQuery", 4, 4, AliasQuery},
    {"aliasSub", 3, 3, AliasSub},
    {"alpha", 2, 2, Alpha},
    {"applyByNode", 3, 4, ApplyByNode},
    {"areaBetween", 1, 1, AreaBetween},
    {"cactiStyle", 0, kAnyArgs, nullptr},
    {"color", 2, 2, Color},
    {"consolidateBy", 2, 2, ConsolidateBy},
    {"cumulative", 1, 1, Cumulative},
    {"dashed", 1, 2, Dashed},
    {"drawAsInfinite", 1, 1, DrawAsInfinite},
    {"legendValue", 0, kAnyArgs, nullptr},
    {"lineWidth", 2, 2, LineWidth},
    {"secondYAxis", 1, 1, SecondYAxis},
    {"setXFilesFactor", 2, 2, SetXFilesFactor},
    {"stacked", 1, 2, Stacked},
    {"substr", 1, 3, Substr},
    {"useSeriesAbove", 4, 4, UseSeriesAbove},
    {"xFilesFactor", 2, 2, SetXFilesFactor},
};

}  // namespace

std::span<const FunctionEntry> NameFunctions() { return kFunctions; }

}  // namespace vm::select::graphite
