#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <unordered_map>

#include "lib/model/metric_name.h"
#include "select/promql/regex_cache.h"
#include "select/promql/transform_text.h"
#include "select/promql/transform_util.h"

namespace vm::select::transform {
namespace {

using Strings = std::vector<std::string>;

/// Label text that one call may add; nested calls with templates such as "$1$1$1" grow without end otherwise.
constexpr size_t kMaxAddedBytes = size_t{256} << 20;
/// Replacing in a longer value may take a while: the regular expression may look at all of it from every position.
constexpr size_t kLongValue = 1024;

/// Checks the label values that one call makes. Longer ones than vminsert accepts cannot come from stored data.
class LabelLimit {
 public:
  Status Check(std::string_view label, size_t value_bytes) {
    if (value_bytes > model::kMaxRawLabelSize) {
      return Error(ErrorCode::kLimitExceeded, "the value of label " + Quoted(label) + " would be " +
                                                  std::to_string(value_bytes) + " bytes long; the limit is " +
                                                  std::to_string(model::kMaxRawLabelSize));
    }
    added_bytes_ += value_bytes;
    if (added_bytes_ > kMaxAddedBytes) {
      return Error(ErrorCode::kLimitExceeded,
                   "more than " + std::to_string(kMaxAddedBytes) + " bytes of label values are generated");
    }
    return Ok();
  }

 private:
  size_t added_bytes_ = 0;
};

/// Set a label within the limits; an empty value removes it.
Status SetLimited(LabelLimit& limit, model::MetricName& name, std::string_view label, std::string value) {
  VM_TRY(limit.Check(label, value.size()));
  SetLabel(name, label, std::move(value));
  return Ok();
}

/// Strings of the arguments from `first` on, numbered as in the call.
Result<Strings> TextArgs(const TransformCall& call, size_t first) {
  Strings strings;
  for (size_t i = first; i < call.args.size(); ++i) {
    VM_ASSIGN_OR_RETURN(auto text, TextArg(call.args[i], i + 1));
    strings.push_back(std::move(text));
  }
  return strings;
}

/// Pairs of strings from argument `first` on. Error messages count from there, as in the reference.
Result<std::vector<std::pair<std::string, std::string>>> TextPairs(const TransformCall& call, size_t first) {
  const size_t count = call.args.size() - first;
  if (count % 2 != 0) return Invalid("the number of string args must be even; got " + std::to_string(count));
  std::vector<std::pair<std::string, std::string>> pairs;
  for (size_t i = 0; i < count; i += 2) {
    VM_ASSIGN_OR_RETURN(auto key, TextArg(call.args[first + i], i + 1));
    VM_ASSIGN_OR_RETURN(auto value, TextArg(call.args[first + i + 1], i + 2));
    pairs.emplace_back(std::move(key), std::move(value));
  }
  return pairs;
}

bool Contains(const Strings& strings, std::string_view text) {
  return std::find(strings.begin(), strings.end(), text) != strings.end();
}

template <bool kKeepListed>
Result<SeriesList> FilterLabels(TransformCall& call) {
  VM_TRY(CheckArgsAtLeast(call, 1));
  VM_ASSIGN_OR_RETURN(const Strings labels, TextArgs(call, 1));
  const bool keeps_name = Contains(labels, kNameLabel) == kKeepListed;
  SeriesList list = std::move(call.args[0]);
  for (TimeSeries& series : list) {
    if (!keeps_name) series.name.metric_group.clear();
    std::erase_if(series.name.tags, [&](const model::Tag& tag) { return Contains(labels, tag.key) != kKeepListed; });
  }
  return list;
}

Result<SeriesList> LabelSet(TransformCall& call) {
  VM_TRY(CheckArgsAtLeast(call, 1));
  VM_ASSIGN_OR_RETURN(const auto pairs, TextPairs(call, 1));
  LabelLimit limit;
  SeriesList list = std::move(call.args[0]);
  for (TimeSeries& series : list) {
    for (const auto& [label, value] : pairs) VM_TRY(SetLimited(limit, series.name, label, value));
  }
  return list;
}

template <bool kRemovesSource>
Result<SeriesList> LabelCopy(TransformCall& call) {
  VM_TRY(CheckArgsAtLeast(call, 1));
  VM_ASSIGN_OR_RETURN(const auto pairs, TextPairs(call, 1));
  LabelLimit limit;
  SeriesList list = std::move(call.args[0]);
  for (TimeSeries& series : list) {
    for (const auto& [source, target] : pairs) {
      std::string value(LabelValue(series.name, source));
      // A missing source does not remove the target.
      if (value.empty()) continue;
      VM_TRY(SetLimited(limit, series.name, target, std::move(value)));
      if (kRemovesSource && source != target) RemoveTag(series.name, source);
    }
  }
  return list;
}

template <auto kChange>
Result<SeriesList> ChangeLabelValues(TransformCall& call) {
  VM_TRY(CheckArgsAtLeast(call, 2));
  VM_ASSIGN_OR_RETURN(const Strings labels, TextArgs(call, 1));
  LabelLimit limit;
  SeriesList list = std::move(call.args[0]);
  for (TimeSeries& series : list) {
    for (const std::string& label : labels) {
      VM_TRY(SetLimited(limit, series.name, label, kChange(LabelValue(series.name, label))));
    }
  }
  return list;
}

Result<SeriesList> LabelMap(TransformCall& call) {
  VM_TRY(CheckArgsAtLeast(call, 2));
  auto label = TextArg(call.args[1], 2);
  if (!label.ok()) return std::move(label).error().WithContext("cannot read label name");
  VM_ASSIGN_OR_RETURN(const auto pairs, TextPairs(call, 2));
  // Of equal keys the last one counts.
  std::unordered_map<std::string_view, std::string_view> map;
  for (const auto& [from, to] : pairs) map[from] = to;
  LabelLimit limit;
  SeriesList list = std::move(call.args[0]);
  for (TimeSeries& series : list) {
    const std::string_view old = LabelValue(series.name, label.value());
    const auto it = map.find(old);
    if (it != map.end()) {
      VM_TRY(SetLimited(limit, series.name, label.value(), std::string(it->second)));
    } else if (old.empty()) {
      RemoveTag(series.name, label.value());
    }
  }
  return list;
}

Result<SeriesList> LabelJoin(TransformCall& call) {
  VM_TRY(CheckArgsAtLeast(call, 3));
  VM_ASSIGN_OR_RETURN(const std::string target, TextArg(call.args[1], 2));
  VM_ASSIGN_OR_RETURN(const std::string separator, TextArg(call.args[2], 3));
  VM_ASSIGN_OR_RETURN(const Strings sources, TextArgs(call, 3));
  LabelLimit limit;
  SeriesList list = std::move(call.args[0]);
  for (TimeSeries& series : list) {
    size_t size = sources.empty() ? 0 : separator.size() * (sources.size() - 1);
    for (const std::string& source : sources) size += LabelValue(series.name, source).size();
    VM_TRY(limit.Check(target, size));
    std::string value;
    value.reserve(size);
    for (size_t i = 0; i < sources.size(); ++i) {
      if (i > 0) value += separator;
      value += LabelValue(series.name, sources[i]);
    }
    SetLabel(series.name, target, std::move(value));
  }
  return list;
}

/// Replace what `regex` matches in `source` and store the result in `target`. A value that does not match stays.
Result<SeriesList> ReplaceLabels(TransformCall& call, std::string_view source, const re2::RE2& regex,
                                 std::string_view target, std::string_view replacement) {
  const ReplaceTemplate replace(replacement, regex);
  LabelLimit limit;
  SeriesList list = std::move(call.args[0]);
  TimeCheck time(call.context);
  std::string value;
  for (TimeSeries& series : list) {
    VM_TRY(time.Next());
    const std::string_view old = LabelValue(series.name, source);
    if (old.size() > kLongValue) VM_TRY(CheckAlive(call.context));
    value.clear();
    if (!replace.ReplaceAll(old, model::kMaxRawLabelSize, value)) continue;
    VM_TRY(SetLimited(limit, series.name, target, value));
  }
  return list;
}

Result<std::shared_ptr<const re2::RE2>> CompileArg(const TransformCall& call, const std::string& regex, bool anchored, std::string_view noun) {
  RegexCache none;
  RegexCache& cache = call.context.regexes == nullptr ? none : *call.context.regexes;
  auto compiled = cache.Compile(anchored ? "^(?:" + regex + ")$" : regex);
  if (!compiled.ok()) {
    return std::move(compiled).error().WithContext("cannot compile " + std::string(noun) + " " + Quoted(regex));
  }
  return compiled;
}

Result<SeriesList> LabelReplace(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 5));
  VM_ASSIGN_OR_RETURN(const std::string target, TextArg(call.args[1], 2));
  VM_ASSIGN_OR_RETURN(const std::string replacement, TextArg(call.args[2], 3));
  VM_ASSIGN_OR_RETURN(const std::string source, TextArg(call.args[3], 4));
  VM_ASSIGN_OR_RETURN(const std::string regex, TextArg(call.args[4], 5));
  VM_ASSIGN_OR_RETURN(const auto compiled, CompileArg(call, regex, true, "regex"));
  return ReplaceLabels(call, source, *compiled, target, replacement);
}

Result<SeriesList> LabelTransform(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 4));
  VM_ASSIGN_OR_RETURN(const std::string label, TextArg(call.args[1], 2));
  VM_ASSIGN_OR_RETURN(const std::string regex, TextArg(call.args[2], 3));
  VM_ASSIGN_OR_RETURN(const std::string replacement, TextArg(call.args[3], 4));
  VM_ASSIGN_OR_RETURN(const auto compiled, CompileArg(call, regex, false, "regex"));
  return ReplaceLabels(call, label, *compiled, label, replacement);
}

/// TextArg with the reference's context.
Result<std::string> NamedArg(const SeriesList& arg, size_t number, std::string_view what) {
  auto text = TextArg(arg, number);
  if (!text.ok()) return std::move(text).error().WithContext("cannot get " + std::string(what));
  return text;
}

template <bool kKeepsMatches>
Result<SeriesList> FilterByLabel(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 3));
  VM_ASSIGN_OR_RETURN(const std::string label, NamedArg(call.args[1], 2, "label name"));
  VM_ASSIGN_OR_RETURN(const std::string regex, NamedArg(call.args[2], 3, "regexp"));
  VM_ASSIGN_OR_RETURN(const auto compiled, CompileArg(call, regex, true, "regexp"));
  SeriesList list = std::move(call.args[0]);
  std::erase_if(list, [&](const TimeSeries& series) {
    return Matches(*compiled, LabelValue(series.name, label)) != kKeepsMatches;
  });
  return list;
}

Result<SeriesList> LabelsEqual(TransformCall& call) {
  if (call.args.size() < 3) {
    return Invalid("unexpected number of args; got " + std::to_string(call.args.size()) + "; want at least 3");
  }
  Strings labels;
  for (size_t i = 1; i < call.args.size(); ++i) {
    VM_ASSIGN_OR_RETURN(auto label, NamedArg(call.args[i], i + 1, "label name"));
    labels.push_back(std::move(label));
  }
  SeriesList list = std::move(call.args[0]);
  std::erase_if(list, [&](const TimeSeries& series) {
    const std::string_view first = LabelValue(series.name, labels[0]);
    return std::any_of(labels.begin() + 1, labels.end(),
                       [&](const std::string& label) { return LabelValue(series.name, label) != first; });
  });
  return list;
}

Result<SeriesList> LabelValueFunction(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 2));
  VM_ASSIGN_OR_RETURN(const std::string label, NamedArg(call.args[1], 2, "label name"));
  SeriesList list = std::move(call.args[0]);
  for (TimeSeries& series : list) {
    series.name.metric_group.clear();
    const double number = ParseGoFloat(LabelValue(series.name, label)).value_or(kNaN);
    for (double& value : series.values) {
      if (!std::isnan(value)) value = number;
    }
  }
  // Series without values stay, so that `label_value(q, "label") default 1` has something to fill.
  return list;
}

Result<SeriesList> LabelGraphiteGroup(TransformCall& call) {
  if (call.args.size() < 2) {
    return Invalid("unexpected number of args: " + std::to_string(call.args.size()) + "; want at least 2 args");
  }
  std::vector<int64_t> positions;
  for (size_t i = 1; i < call.args.size(); ++i) {
    auto position = IntArg(call.args[i], i + 1);
    if (!position.ok()) {
      return std::move(position).error().WithContext("cannot get group name from arg #" + std::to_string(i));
    }
    positions.push_back(position.value());
  }
  LabelLimit limit;
  SeriesList list = std::move(call.args[0]);
  std::vector<std::string_view> groups;
  for (TimeSeries& series : list) {
    groups.clear();
    std::string_view rest = series.name.metric_group;
    for (size_t dot; (dot = rest.find('.')) != std::string_view::npos; rest.remove_prefix(dot + 1)) {
      groups.push_back(rest.substr(0, dot));
    }
    groups.push_back(rest);
    std::string name;
    for (size_t i = 0; i < positions.size() && name.size() <= model::kMaxRawLabelSize; ++i) {
      if (i > 0) name += '.';
      if (positions[i] >= 0 && static_cast<uint64_t>(positions[i]) < groups.size()) {
        name += groups[static_cast<size_t>(positions[i])];
      }
    }
    VM_TRY(limit.Check(kNameLabel, name.size()));
    series.name.metric_group = std::move(name);
  }
  return list;
}

Result<SeriesList> DropCommonLabels(TransformCall& call) {
  VM_TRY(CheckArgsAtLeast(call, 1));
  SeriesList list = std::move(call.args[0]);
  for (size_t i = 1; i < call.args.size(); ++i) {
    std::move(call.args[i].begin(), call.args[i].end(), std::back_inserter(list));
  }
  if (list.empty()) return list;
  // Only what the first series has can be common to all.
  std::vector<model::Tag> common = list[0].name.tags;
  common.push_back({std::string(kNameLabel), list[0].name.metric_group});
  std::erase_if(common, [&](const model::Tag& tag) {
    return std::any_of(list.begin(), list.end(), [&](const TimeSeries& series) {
      if (tag.key == kNameLabel) return series.name.metric_group != tag.value;
      return std::find(series.name.tags.begin(), series.name.tags.end(), tag) == series.name.tags.end();
    });
  });
  for (TimeSeries& series : list) {
    for (const model::Tag& tag : common) RemoveTag(series.name, tag.key);
  }
  return list;
}

constexpr Entry kFunctions[] = {
    {"drop_common_labels", DropCommonLabels},
    {"label_copy", LabelCopy<false>},
    {"label_del", FilterLabels<false>},
    {"label_graphite_group", LabelGraphiteGroup},
    {"label_join", LabelJoin},
    {"label_keep", FilterLabels<true>},
    {"label_lowercase", ChangeLabelValues<ToGoLower>},
    {"label_map", LabelMap},
    {"label_match", FilterByLabel<true>},
    {"label_mismatch", FilterByLabel<false>},
    {"label_move", LabelCopy<true>},
    {"label_replace", LabelReplace},
    {"label_set", LabelSet},
    {"label_transform", LabelTransform},
    {"label_uppercase", ChangeLabelValues<ToGoUpper>},
    {"label_value", LabelValueFunction},
    {"labels_equal", LabelsEqual},
};

}  // namespace

std::span<const Entry> LabelFunctions() { return kFunctions; }

}  // namespace vm::select::transform
