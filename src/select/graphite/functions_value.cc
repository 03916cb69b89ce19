// Functions of each value of each series.
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <utility>

#include "select/graphite/functions.h"

namespace vm::select::graphite {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// `name(series)`, with the tag `name`.
void Mark(Series& series, const char* name, std::string tag = "1") {
  series.tags[name] = std::move(tag);
  Rename(series, fmt::format("{}({})", name, series.name));
}
/// `name(series,text)`, with the tag `name`.
void MarkWith(Series& series, const char* name, const std::string& text) {
  series.tags[name] = text;
  Rename(series, fmt::format("{}({},{})", name, series.name, text));
}

Result<SeriesList> Absolute(Call& call) {
  return ChangeEach(call, [](Series& s) {
    ChangeValues(s, [](double v) { return std::fabs(v); });
    Mark(s, "absolute");
  });
}

Result<SeriesList> Add(Call& call) {
  VM_ASSIGN_OR_RETURN(const double n, call.Number("constant", 1));
  return ChangeEach(call, [n](Series& s) {
    ChangeValues(s, [n](double v) { return v + n; });
    MarkWith(s, "add", NumberText(n));
  });
}

Result<SeriesList> Changed(Call& call) {
  return ChangeEach(call, [](Series& s) {
    double previous = kNaN;
    ChangeValues(s, [&previous](double v) {
      const bool is_change = !std::isnan(previous) && !std::isnan(v) && previous != v;
      if (std::isnan(previous) || is_change) previous = v;
      return is_change ? 1.0 : 0.0;
    });
    Rename(s, fmt::format("changed({})", s.name));
  });
}

Result<SeriesList> Delay(Call& call) {
  VM_ASSIGN_OR_RETURN(const double number, call.Number("steps", 1));
  const int steps = ToInt(number);
  return ChangeEach(call, [steps](Series& s) {
    const auto size = static_cast<int64_t>(s.values.size());
    std::vector<double> moved(s.values.size(), kNaN);
    for (int64_t i = 0; i < size; ++i) {
      if (const int64_t from = i - steps; from >= 0 && from < size) moved[static_cast<size_t>(i)] = s.values[static_cast<size_t>(from)];
    }
    s.values = std::move(moved);
    MarkWith(s, "delay", std::to_string(steps));
  });
}

Result<SeriesList> Derivative(Call& call) {
  return ChangeEach(call, [](Series& s) {
    double previous = kNaN;
    ChangeValues(s, [&previous](double v) { return v - std::exchange(previous, v); });
    Mark(s, "derivative");
  });
}

Result<SeriesList> Exp(Call& call) {
  return ChangeEach(call, [](Series& s) {
    ChangeValues(s, [](double v) { return std::exp(v); });
    Mark(s, "exp", "e");
  });
}

Result<SeriesList> Integral(Call& call) {
  return ChangeEach(call, [](Series& s) {
    double sum = 0;
    ChangeValues(s, [&sum](double v) { return std::isnan(v) ? v : sum += v; });
    Mark(s, "integral");
  });
}

Result<SeriesList> Interpolate(Call& call) {
  VM_ASSIGN_OR_RETURN(const double limit, call.NumberOr("limit", 1, std::numeric_limits<double>::infinity()));
  return ChangeEach(call, [limit](Series& s) {
    double gap = 0, previous = kNaN;
    for (size_t i = 0; i < s.values.size(); ++i) {
      const double v = s.values[i];
      if (std::isnan(v)) {
        ++gap;
        continue;
      }
      if (gap > 0 && gap <= limit) {
        const double delta = (v - previous) / (gap + 1);
        for (size_t k = i - static_cast<size_t>(gap); k < i; ++k) s.values[k] = previous += delta;
      }
      gap = 0;
      previous = v;
    }
    Rename(s, fmt::format("interpolate({})", s.name));
  });
}

Result<SeriesList> Invert(Call& call) {
  return ChangeEach(call, [](Series& s) {
    ChangeValues(s, [](double v) { return 1 / v; });
    Mark(s, "invert");
  });
}

Result<SeriesList> IsNonNull(Call& call) {
  return ChangeEach(call, [](Series& s) {
    ChangeValues(s, [](double v) { return std::isnan(v) ? 0.0 : 1.0; });
    Mark(s, "isNonNull");
  });
}

Result<SeriesList> KeepLastValue(Call& call) {
  VM_ASSIGN_OR_RETURN(const double limit, call.NumberOr("limit", 1, std::numeric_limits<double>::infinity()));
  return ChangeEach(call, [limit](Series& s) {
    double gap = 0, previous = kNaN;
    ChangeValues(s, [&](double v) {
      if (!std::isnan(v)) {
        gap = 0;
        return previous = v;
      }
      return ++gap <= limit ? previous : v;
    });
    Rename(s, fmt::format("keepLastValue({})", s.name));
  });
}

Result<SeriesList> Logarithm(Call& call) {
  VM_ASSIGN_OR_RETURN(const double base, call.NumberOr("base", 1, 10));
  return ChangeEach(call, [base](Series& s) {
    const double log_base = std::log(base);
    ChangeValues(s, [log_base](double v) { return std::log(v) / log_base; });
    MarkWith(s, "log", NumberText(base));
  });
}

Result<SeriesList> Logit(Call& call) {
  return ChangeEach(call, [](Series& s) {
    ChangeValues(s, [](double v) { return std::log(v / (1 - v)); });
    Mark(s, "logit", "logit");
  });
}

Result<SeriesList> MinMax(Call& call) {
  return ChangeEach(call, [](Series& s) {
    const auto or_zero = [](double v) { return std::isnan(v) ? 0 : v; };
    const double min = or_zero(Minimum(s.values));
    const double range = or_zero(Maximum(s.values)) - min;
    ChangeValues(s, [&](double v) {
      v = (v - min) / range;
      return std::isinf(v) ? 0 : v;
    });
    Rename(s, fmt::format("minMax({})", s.name));
  });
}

Result<SeriesList> NPercentile(Call& call) {
  VM_ASSIGN_OR_RETURN(const double n, call.Number("n", 1));
  return ChangeEach(call, [n](Series& s) {
    const double value = Percentile(s.values, n);
    ChangeValues(s, [value](double) { return value; });
    MarkWith(s, "nPercentile", NumberText(n));
  });
}

/// The growth of a counter from `previous`, which becomes `v`; counters begin again after `max`, at `min`.
double NonNegativeDelta(double v, double& previous, double max, double min) {
  if ((!std::isnan(max) && v > max) || (!std::isnan(min) && v < min)) {
    previous = kNaN;
    return kNaN;
  }
  const double before = std::exchange(previous, v);
  if (std::isnan(v) || std::isnan(before)) return kNaN;
  if (v >= before) return v - before;
  if (!std::isnan(max)) return max + 1 + v - before - (std::isnan(min) ? 0 : min);
  return std::isnan(min) ? kNaN : v - min;
}

Result<SeriesList> NonNegativeDerivative(Call& call) {
  VM_ASSIGN_OR_RETURN(const double max, call.NumberOr("maxValue", 1, kNaN));
  VM_ASSIGN_OR_RETURN(const double min, call.NumberOr("minValue", 2, kNaN));
  return ChangeEach(call, [max, min](Series& s) {
    double previous = kNaN;
    ChangeValues(s, [&](double v) { return NonNegativeDelta(v, previous, max, min); });
    Mark(s, "nonNegativeDerivative");
  });
}

Result<SeriesList> PerSecond(Call& call) {
  VM_ASSIGN_OR_RETURN(const double max, call.NumberOr("maxValue", 1, kNaN));
  VM_ASSIGN_OR_RETURN(const double min, call.NumberOr("minValue", 2, kNaN));
  return ChangeEach(call, [max, min](Series& s) {
    double previous = kNaN;
    for (size_t i = 0; i < s.values.size(); ++i) {
      const double delta = NonNegativeDelta(s.values[i], previous, max, min);
      s.values[i] = i == 0 ? kNaN : delta / (static_cast<double>(s.timestamps[i] - s.timestamps[i - 1]) / 1000);
    }
    Mark(s, "perSecond");
  });
}

Result<SeriesList> Offset(Call& call) {
  VM_ASSIGN_OR_RETURN(const double factor, call.Number("factor", 1));
  return ChangeEach(call, [factor](Series& s) {
    ChangeValues(s, [factor](double v) { return v + factor; });
    MarkWith(s, "offset", NumberText(factor));
  });
}

Result<SeriesList> OffsetToZero(Call& call) {
  return ChangeEach(call, [](Series& s) {
    const double min = Minimum(s.values);
    ChangeValues(s, [min](double v) { return v - min; });
    Mark(s, "offsetToZero", NumberText(min));
  });
}

Result<SeriesList> Pow(Call& call) {
  VM_ASSIGN_OR_RETURN(const double factor, call.Number("factor", 1));
  return ChangeEach(call, [factor](Series& s) {
    ChangeValues(s, [factor](double v) { return std::pow(v, factor); });
    MarkWith(s, "pow", NumberText(factor));
  });
}

/// Values that `is_bad(value, bound)` says are left out; `bound_of(values, n)`.
template <class BoundOf, class IsBad>
Result<SeriesList> RemoveValues(Call& call, const char* name, const BoundOf& bound_of, const IsBad& is_bad) {
  VM_ASSIGN_OR_RETURN(const double n, call.Number("n", 1));
  return ChangeEach(call, [&](Series& s) {
    const double bound = bound_of(s.values, n);
    ChangeValues(s, [&](double v) { return is_bad(v, bound) ? kNaN : v; });
    Rename(s, fmt::format("{}({},{})", name, s.name, NumberText(n)));
  });
}
double SameBound(const std::vector<double>&, double n) { return n; }
double PercentileBound(const std::vector<double>& values, double n) { return Percentile(values, n); }
bool IsAbove(double v, double bound) { return v > bound; }
bool IsBelow(double v, double bound) { return v < bound; }

Result<SeriesList> RemoveAboveValue(Call& call) { return RemoveValues(call, "removeAboveValue", SameBound, IsAbove); }
Result<SeriesList> RemoveBelowValue(Call& call) { return RemoveValues(call, "removeBelowValue", SameBound, IsBelow); }
Result<SeriesList> RemoveAbovePercentile(Call& call) { return RemoveValues(call, "removeAbovePercentile", PercentileBound, IsAbove); }
Result<SeriesList> RemoveBelowPercentile(Call& call) { return RemoveValues(call, "removeBelowPercentile", PercentileBound, IsBelow); }

Result<SeriesList> Round(Call& call) {
  VM_ASSIGN_OR_RETURN(const double precision, call.NumberOr("precision", 1, 0));
  return ChangeEach(call, [precision](Series& s) {
    const double scale = std::pow(10, ToInt(precision));
    ChangeValues(s, [scale](double v) { return std::round(v * scale) / scale; });
    Rename(s, precision == 0 ? fmt::format("round({})", s.name) : fmt::format("round({},{})", s.name, NumberText(precision)));
  });
}

Result<SeriesList> Scale(Call& call) {
  VM_ASSIGN_OR_RETURN(const double factor, call.Number("factor", 1));
  return ChangeEach(call, [factor](Series& s) {
    ChangeValues(s, [factor](double v) { return v * factor; });
    Rename(s, fmt::format("scale({},{})", s.name, NumberText(factor)));
  });
}

Result<SeriesList> ScaleToSeconds(Call& call) {
  VM_ASSIGN_OR_RETURN(const double seconds, call.Number("seconds", 1));
  return ChangeEach(call, [seconds](Series& s) {
    double step = kNaN;
    if (s.timestamps.size() > 1) step = static_cast<double>(s.timestamps[1] - s.timestamps[0]) / 1000;
    for (size_t i = 0; i < s.values.size(); ++i) {
      if (i > 0) step = static_cast<double>(s.timestamps[i] - s.timestamps[i - 1]) / 1000;
      s.values[i] *= seconds / step;
    }
    MarkWith(s, "scaleToSeconds", NumberText(seconds));
  });
}

Result<SeriesList> Sigmoid(Call& call) {
  return ChangeEach(call, [](Series& s) {
    ChangeValues(s, [](double v) { return 1 / (1 + std::exp(-v)); });
    Mark(s, "sigmoid", "sigmoid");
  });
}

Result<SeriesList> SquareRoot(Call& call) {
  return ChangeEach(call, [](Series& s) {
    ChangeValues(s, [](double v) { return std::sqrt(v); });
    Mark(s, "squareRoot");
  });
}

Result<SeriesList> TransformNull(Call& call) {
  VM_ASSIGN_OR_RETURN(const double value, call.NumberOr("default", 1, 0));
  const std::string text = NumberText(value);
  const Expr* reference = call.Find("referenceSeries", 2);
  if (reference == nullptr) {
    return ChangeEach(call, [&](Series& s) {
      ChangeValues(s, [value](double v) { return std::isnan(v) ? value : v; });
      MarkWith(s, "transformNull", text);
    });
  }
  // Only where one of the others has a value.
  VM_ASSIGN_OR_RETURN(SeriesList others, call.eval.Eval(*reference, call.window));
  const int64_t step = call.StepOf(others);
  VM_TRY(call.ConsolidateAll(others, step));
  std::vector<bool> is_known(PointsCount(call.window.start, call.window.end, step));
  for (const Series& other : others) {
    for (size_t i = 0; i < other.values.size(); ++i) {
      if (!std::isnan(other.values[i])) is_known[i] = true;
    }
  }
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  VM_TRY(call.ConsolidateAll(list, step));
  for (Series& s : list) {
    for (size_t i = 0; i < s.values.size(); ++i) {
      if (is_known[i] && std::isnan(s.values[i])) s.values[i] = value;
    }
    s.tags["transformNull"] = text;
    s.tags["referenceSeries"] = "1";
    Rename(s, fmt::format("transformNull({},{},referenceSeries)", s.name, text));
  }
  return list;
}

constexpr FunctionEntry kFunctions[] = {
    {"absolute", 1, 1, Absolute},
    {"add", 2, 2, Add},
    {"changed", 1, 1, Changed},
    {"delay", 2, 2, Delay},
    {"derivative", 1, 1, Derivative},
    {"exp", 1, 1, Exp},
    {"integral", 1, 1, Integral},
    {"interpolate", 1, 2, Interpolate},
    {"invert", 1, 1, Invert},
    {"isNonNull", 1, 1, IsNonNull},
    {"keepLastValue", 1, 2, KeepLastValue},
    {"log", 1, 2, Logarithm},
    {"logarithm", 1, 2, Logarithm},
    {"logit", 1, 1, Logit},
    {"minMax", 1, 1, MinMax},
    {"nPercentile", 2, 2, NPercentile},
    {"nonNegativeDerivative", 1, 3, NonNegativeDerivative},
    {"offset", 2, 2, Offset},
    {"offsetToZero", 1, 1, OffsetToZero},
    {"perSecond", 1, 3, PerSecond},
    {"pow", 2, 2, Pow},
    {"removeAbovePercentile", 2, 2, RemoveAbovePercentile},
    {"removeAboveValue", 2, 2, RemoveAboveValue},
    {"removeBelowPercentile", 2, 2, RemoveBelowPercentile},
    {"removeBelowValue", 2, 2, RemoveBelowValue},
    {"round", 1, 2, Round},
    {"roundFunction", 1, 2, Round},
    {"scale", 2, 2, Scale},
    {"scaleToSeconds", 2, 2, ScaleToSeconds},
    {"sigmoid", 1, 1, Sigmoid},
    {"squareRoot", 1, 1, SquareRoot},
    {"transformNull", 1, 3, TransformNull},
};

}  // namespace

std::span<const FunctionEntry> ValueFunctions() { return kFunctions; }

}  // namespace vm::select::graphite
