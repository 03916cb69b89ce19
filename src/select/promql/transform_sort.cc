#include "select/promql/transform_sort.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "select/promql/transform_util.h"

namespace vm::select {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string_view TextPrefix(std::string_view text) {
  return {text.begin(), std::find_if(text.begin(), text.end(), IsDigit)};
}

/// Requires a text that NumericPrefix returned.
double ParsePrefix(std::string_view text) { return transform::ParseGoFloat(text).value_or(transform::kInf); }

}  // namespace

std::string_view NumericPrefix(std::string_view text) {
  size_t i = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  bool has_digit = false;
  bool has_point = false;
  for (; i < text.size(); ++i) {
    if (IsDigit(text[i])) {
      has_digit = true;
    } else if (text[i] == '.' && !has_point) {
      has_point = true;
    } else {
      break;
    }
  }
  return has_digit ? text.substr(0, i) : std::string_view();
}

bool NumericLess(std::string_view a, std::string_view b) {
  while (true) {
    if (b.empty()) return false;
    if (a.empty()) return true;
    const std::string_view number_a = NumericPrefix(a);
    const std::string_view number_b = NumericPrefix(b);
    a.remove_prefix(number_a.size());
    b.remove_prefix(number_b.size());
    if (!number_a.empty() || !number_b.empty()) {
      if (number_a.empty()) return false;
      if (number_b.empty()) return true;
      const double value_a = ParsePrefix(number_a);
      const double value_b = ParsePrefix(number_b);
      if (value_a != value_b) return value_a < value_b;
    }
    const std::string_view text_a = TextPrefix(a);
    const std::string_view text_b = TextPrefix(b);
    a.remove_prefix(text_a.size());
    b.remove_prefix(text_b.size());
    if (text_a != text_b) return text_a < text_b;
  }
}

namespace transform {
namespace {

/// By the last point; where those are equal or both missing, by the one before, and so on. What is missing comes first
/// in both directions.
template <bool kDescending>
bool ValuesLess(const TimeSeries& a, const TimeSeries& b) {
  for (size_t i = a.values.size(); i-- > 0;) {
    const double x = a.values[i];
    const double y = b.values[i];
    if (std::isnan(x) != std::isnan(y)) return std::isnan(x);
    if (x < y) return !kDescending;
    if (x > y) return kDescending;
  }
  return false;
}

template <bool kDescending>
Result<SeriesList> Sort(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 1));
  SeriesList list = std::move(call.args[0]);
  std::stable_sort(list.begin(), list.end(), ValuesLess<kDescending>);
  return list;
}

template <bool kNumeric, bool kDescending>
Result<SeriesList> SortByLabel(TransformCall& call) {
  if (call.args.size() < 2) {
    return Invalid("expecting at least 2 args; got " + std::to_string(call.args.size()) + " args");
  }
  std::vector<std::string> labels;
  for (size_t i = 1; i < call.args.size(); ++i) {
    // The plain variant always names the second argument, as the reference does.
    auto label = TextArg(call.args[i], kNumeric ? i + 1 : 2);
    if (!label.ok()) {
      return std::move(label).error().WithContext("cannot parse label #" + std::to_string(i) + " for sorting");
    }
    labels.push_back(std::move(label).value());
  }
  SeriesList list = std::move(call.args[0]);
  std::stable_sort(list.begin(), list.end(), [&](const TimeSeries& a, const TimeSeries& b) {
    for (const std::string& label : labels) {
      const std::string_view x = LabelValue(a.name, label);
      const std::string_view y = LabelValue(b.name, label);
      if (x == y) continue;
      const std::string_view first = kDescending ? y : x;
      const std::string_view second = kDescending ? x : y;
      return kNumeric ? NumericLess(first, second) : first < second;
    }
    return false;
  });
  return list;
}

constexpr Entry kFunctions[] = {
    {"sort", Sort<false>},
    {"sort_by_label", SortByLabel<false, false>},
    {"sort_by_label_desc", SortByLabel<false, true>},
    {"sort_by_label_numeric", SortByLabel<true, false>},
    {"sort_by_label_numeric_desc", SortByLabel<true, true>},
    {"sort_desc", Sort<true>},
};

}  // namespace

std::span<const Entry> SortFunctions() { return kFunctions; }

}  // namespace transform
}  // namespace vm::select
