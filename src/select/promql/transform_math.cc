#include <cmath>
#include <iterator>
#include <numbers>

#include "lib/decimal/decimal.h"
#include "select/promql/transform_util.h"

namespace vm::select::transform {
namespace {

constexpr double kPi = std::numbers::pi;

/// Apply `change` to the values of every series of the first argument. Names stay when the function does not change
/// the meaning of a series, or when the query says keep_metric_names.
template <bool kKeepsName, class Change>
SeriesList ChangeValues(TransformCall& call, const Change& change) {
  SeriesList list = std::move(call.args[0]);
  for (TimeSeries& series : list) {
    if (!kKeepsName && !call.expr.keep_metric_names) series.name.metric_group.clear();
    change(series.values);
  }
  return list;
}

template <auto kFunc, bool kKeepsName = false>
Result<SeriesList> OneArg(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 1));
  return ChangeValues<kKeepsName>(call, [](std::vector<double>& values) {
    for (double& value : values) value = kFunc(value);
  });
}

Result<SeriesList> Clamp(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 3));
  VM_ASSIGN_OR_RETURN(const auto lows, ScalarArg(call.args[1], 2));
  VM_ASSIGN_OR_RETURN(const auto highs, ScalarArg(call.args[2], 3));
  return ChangeValues<true>(call, [&](std::vector<double>& values) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i] > highs[i]) {
        values[i] = highs[i];
      } else if (values[i] < lows[i]) {
        values[i] = lows[i];
      }
    }
  });
}

template <bool kIsMax>
Result<SeriesList> ClampOneSide(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 2));
  VM_ASSIGN_OR_RETURN(const auto limits, ScalarArg(call.args[1], 2));
  return ChangeValues<true>(call, [&](std::vector<double>& values) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (kIsMax ? values[i] > limits[i] : values[i] < limits[i]) values[i] = limits[i];
    }
  });
}

template <auto kFunc>
Result<SeriesList> Bitmap(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 2));
  VM_ASSIGN_OR_RETURN(const auto masks, ScalarArg(call.args[1], 2));
  return ChangeValues<false>(call, [&](std::vector<double>& values) {
    for (size_t i = 0; i < values.size(); ++i) {
      const bool has_both = !std::isnan(values[i]) && !std::isnan(masks[i]);
      values[i] = has_both ? static_cast<double>(kFunc(GoUint64(values[i]), GoUint64(masks[i]))) : kNaN;
    }
  });
}

Result<SeriesList> Round(TransformCall& call) {
  if (call.args.size() != 1 && call.args.size() != 2) {
    return Invalid("unexpected number of args: " + std::to_string(call.args.size()) + "; want 1 or 2");
  }
  if (call.args.size() == 1) call.args.push_back(OneSeries(MakeGridSeries(call.context, 1)));
  VM_ASSIGN_OR_RETURN(const auto nearest, ScalarArg(call.args[1], 2));
  return ChangeValues<true>(call, [&](std::vector<double>& values) {
    double previous = 0;
    double power = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      const double n = nearest[i];
      if (std::isnan(n)) {
        values[i] = kNaN;
        continue;
      }
      if (n != previous) {
        previous = n;
        power = decimal::Pow10(-decimal::FromFloat(n).exponent);
      }
      double value = values[i] + 0.5 * std::copysign(n, values[i]);
      value -= std::fmod(value, n);
      // The multiple of n, without the digits that binary fractions add behind those of n.
      values[i] = std::trunc(value * power) / power;
    }
  });
}

/// 0 for NaN: a series without a value has no sign.
double Sign(double x) {
  if (x < 0) return -1;
  return x > 0 ? 1 : 0;
}

Result<SeriesList> Pi(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 0));
  return OneSeries(MakeGridSeries(call.context, kPi));
}

Result<SeriesList> Scalar(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 1));
  if (!call.expr.args.empty()) {
    if (const auto* text = metricsql::As<metricsql::StringExpr>(call.expr.args[0].get())) {
      return OneSeries(MakeGridSeries(call.context, ParseGoFloat(text->value).value_or(kNaN)));
    }
  }
  SeriesList& arg = call.args[0];
  if (arg.size() != 1) return OneSeries(MakeGridSeries(call.context, kNaN));
  arg[0].name.metric_group.clear();
  arg[0].name.tags.clear();
  return std::move(arg);
}

Result<SeriesList> Vector(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 1));
  return std::move(call.args[0]);
}

constexpr Entry kFunctions[] = {
    {"abs", OneArg<[](double x) { return std::fabs(x); }>},
    {"acos", OneArg<[](double x) { return std::acos(x); }>},
    {"acosh", OneArg<[](double x) { return std::acosh(x); }>},
    {"asin", OneArg<[](double x) { return std::asin(x); }>},
    {"asinh", OneArg<[](double x) { return std::asinh(x); }>},
    {"atan", OneArg<[](double x) { return std::atan(x); }>},
    {"atanh", OneArg<[](double x) { return std::atanh(x); }>},
    {"bitmap_and", Bitmap<[](uint64_t a, uint64_t b) { return a & b; }>},
    {"bitmap_or", Bitmap<[](uint64_t a, uint64_t b) { return a | b; }>},
    {"bitmap_xor", Bitmap<[](uint64_t a, uint64_t b) { return a ^ b; }>},
    {"ceil", OneArg<[](double x) { return std::ceil(x); }, true>},
    {"clamp", Clamp},
    {"clamp_max", ClampOneSide<true>},
    {"clamp_min", ClampOneSide<false>},
    {"cos", OneArg<[](double x) { return std::cos(x); }>},
    {"cosh", OneArg<[](double x) { return std::cosh(x); }>},
    {"deg", OneArg<[](double x) { return x * 180 / kPi; }>},
    {"exp", OneArg<[](double x) { return std::exp(x); }>},
    {"floor", OneArg<[](double x) { return std::floor(x); }, true>},
    {"ln", OneArg<[](double x) { return std::log(x); }>},
    {"log10", OneArg<[](double x) { return std::log10(x); }>},
    {"log2", OneArg<[](double x) { return std::log2(x); }>},
    {"pi", Pi},
    {"rad", OneArg<[](double x) { return x * kPi / 180; }>},
    {"round", Round},
    {"scalar", Scalar},
    {"sgn", OneArg<Sign>},
    {"sin", OneArg<[](double x) { return std::sin(x); }>},
    {"sinh", OneArg<[](double x) { return std::sinh(x); }>},
    {"sqrt", OneArg<[](double x) { return std::sqrt(x); }>},
    {"tan", OneArg<[](double x) { return std::tan(x); }>},
    {"tanh", OneArg<[](double x) { return std::tanh(x); }>},
    {"vector", Vector},
};

}  // namespace

std::span<const Entry> MathFunctions() { return kFunctions; }

}  // namespace vm::select::transform
