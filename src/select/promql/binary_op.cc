#include "select/promql/binary_op.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <optional>
#include <unordered_map>

#include "select/promql/names.h"

namespace vm::select {
namespace {

using metricsql::As;
using SeriesList = std::vector<TimeSeries>;
using SeriesRefs = std::vector<TimeSeries*>;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// The series of one side that match the same series of the other, in the order of their first series.
struct Groups {
  std::vector<std::string> keys;
  std::vector<SeriesRefs> lists;
  std::unordered_map<std::string, size_t> index;

  SeriesRefs* Find(const std::string& key) {
    const auto it = index.find(key);
    return it == index.end() ? nullptr : &lists[it->second];
  }
  SeriesRefs& FindOrAdd(const std::string& key) {
    const auto [it, added] = index.emplace(key, lists.size());
    if (added) {
      keys.push_back(key);
      lists.emplace_back();
    }
    return lists[it->second];
  }
};

/// Reduce a name as `on` and `ignoring` say.
void Reduce(model::MetricName& name, const metricsql::ModifierExpr& modifier) {
  if (modifier.op == "on") {
    KeepTags(name, modifier.args);
  } else {
    DropTags(name, modifier.args);
  }
}

Groups GroupByKey(const metricsql::BinaryOpExpr& op, SeriesList& series) {
  Groups groups;
  for (auto& s : series) {
    model::MetricName name = s.name;
    if (!op.keep_metric_names) name.metric_group.clear();
    Reduce(name, op.group_modifier);
    groups.FindOrAdd(NameKey(name)).push_back(&s);
  }
  return groups;
}

bool DropsName(const metricsql::BinaryOpExpr& op) {
  if (metricsql::IsCmpOp(op.op) && !op.is_bool) return false;
  return !op.keep_metric_names;
}
void ResetNameIfRequired(const metricsql::BinaryOpExpr& op, TimeSeries& s) {
  if (DropsName(op)) s.name.metric_group.clear();
}

Error DuplicateError(std::string_view side, const std::string& what, const TimeSeries& a, const TimeSeries& b) {
  std::string text = "duplicate time series on the ";
  text.append(side).append(" side of ").append(what).append(": ");
  AppendTagsText(text, a.name);
  text += " and ";
  AppendTagsText(text, b.name);
  return Error(ErrorCode::kInvalidInput, std::move(text));
}

/// Add the values of `src` to `dst` unless both have values at the same points. Two such points are let through: a series
/// that was renamed lives on for a moment under its old name.
bool MergeNonOverlapping(TimeSeries& dst, const TimeSeries& src) {
  size_t overlaps = 0;
  for (size_t p = 0; p < src.values.size(); ++p) overlaps += !std::isnan(src.values[p]) && !std::isnan(dst.values[p]);
  if (overlaps > 2) return false;
  // So few points say nothing: instant queries.
  if (src.values.size() <= 2 && dst.values.size() <= 2) return false;
  for (size_t p = 0; p < src.values.size(); ++p) {
    if (!std::isnan(src.values[p])) dst.values[p] = src.values[p];
  }
  return true;
}

/// Two series whose points meet. The result takes the place of the one that gives its labels.
struct Pair {
  TimeSeries* left;
  TimeSeries* right;
};

struct Pairs {
  std::vector<Pair> list;
  bool labels_from_right = false;
  std::deque<TimeSeries> owned;  // Series made while matching.
};

class Matcher {
 public:
  Matcher(const metricsql::BinaryOpExpr& op, SeriesList& left, SeriesList& right) : op_(op), left_(left), right_(right) {}

  Result<Pairs> Match() {
    if (op_.group_modifier.op.empty() && op_.join_modifier.op.empty()) {
      if (IsScalar(left_)) {
        pairs_.labels_from_right = true;
        for (auto& s : right_) Broadcast(left_[0], s, s);
        return std::move(pairs_);
      }
      if (IsScalar(right_)) {
        for (auto& s : left_) Broadcast(s, right_[0], s);
        return std::move(pairs_);
      }
    }
    Groups left = GroupByKey(op_, left_);
    Groups right = GroupByKey(op_, right_);
    if (op_.fill_left) {
      for (const auto& key : right.keys) left.FindOrAdd(key);
    }
    pairs_.labels_from_right = op_.join_modifier.op == "group_right";
    for (size_t i = 0; i < left.lists.size(); ++i) {
      SeriesRefs& l = left.lists[i];
      SeriesRefs* found = right.Find(left.keys[i]);
      SeriesRefs r = found == nullptr ? SeriesRefs() : std::move(*found);
      if (l.empty()) l.push_back(&MakeFill(*r[0]));
      if (r.empty()) {
        if (!op_.fill_right) continue;
        r.push_back(&MakeFill(*l[0]));
      }
      if (op_.join_modifier.op == "group_left") {
        VM_TRY(Join("right", l, r));
      } else if (op_.join_modifier.op == "group_right") {
        VM_TRY(Join("left", r, l));
      } else {
        VM_TRY(MatchOne(l, r));
      }
    }
    return std::move(pairs_);
  }

 private:
  void Broadcast(TimeSeries& left, TimeSeries& right, TimeSeries& labels) {
    ResetNameIfRequired(op_, labels);
    pairs_.list.push_back({&left, &right});
  }

  /// A series without values for a side where the key is missing.
  TimeSeries& MakeFill(const TimeSeries& src) {
    TimeSeries& s = pairs_.owned.emplace_back();
    s.name = src.name;
    if (!op_.keep_metric_names) s.name.metric_group.clear();
    Reduce(s.name, op_.group_modifier);
    s.values.assign(src.values.size(), kNaN);
    return s;
  }

  Status Single(std::string_view side, SeriesRefs& refs) {
    for (; refs.size() > 1; refs.pop_back()) {
      if (!MergeNonOverlapping(*refs[0], *refs.back())) {
        return DuplicateError(side, op_.op + " " + metricsql::ToString(op_.group_modifier), *refs[0], *refs.back());
      }
    }
    return Ok();
  }

  Status MatchOne(SeriesRefs& l, SeriesRefs& r) {
    VM_TRY(Single("left", l));
    VM_TRY(Single("right", r));
    TimeSeries& s = *l[0];
    const bool keep_group = op_.keep_metric_names && op_.group_modifier.op == "on";
    const std::string group = keep_group ? s.name.metric_group : std::string();
    ResetNameIfRequired(op_, s);
    Reduce(s.name, op_.group_modifier);
    if (keep_group) s.name.metric_group = group;
    pairs_.list.push_back({&s, r[0]});
    return Ok();
  }

  void AddJoined(TimeSeries& many, TimeSeries& one) {
    pairs_.list.push_back(pairs_.labels_from_right ? Pair{&one, &many} : Pair{&many, &one});
  }

  Status Join(std::string_view one_side, SeriesRefs& many, SeriesRefs& one) {
    static const std::vector<std::string> kNone;
    const auto& skip = op_.group_modifier.op == "on" ? op_.group_modifier.args : kNone;
    const std::string_view prefix = op_.join_prefix ? std::string_view(*op_.join_prefix) : std::string_view();
    for (TimeSeries* s : many) {
      ResetNameIfRequired(op_, *s);
      if (one.size() == 1) {
        CopyTags(s->name, op_.join_modifier.args, prefix, skip, one[0]->name);
        AddJoined(*s, *one[0]);
        continue;
      }
      // Several series on the one side: the copied labels must tell them apart, or they must not overlap.
      std::unordered_map<std::string, std::pair<TimeSeries*, TimeSeries*>> by_name;
      std::vector<std::string> order;
      for (TimeSeries* o : one) {
        model::MetricName name = s->name;
        CopyTags(name, op_.join_modifier.args, prefix, skip, o->name);
        std::string key = NameKey(name);
        const auto it = by_name.find(key);
        if (it == by_name.end()) {
          TimeSeries& copy = pairs_.owned.emplace_back(*s);
          copy.name = std::move(name);
          SortTagsByKey(copy.name);
          order.push_back(key);
          by_name.emplace(std::move(key), std::pair(&copy, o));
          continue;
        }
        TimeSeries& merged = pairs_.owned.emplace_back(*it->second.second);
        if (!MergeNonOverlapping(merged, *o)) {
          const std::string what = "`" + op_.op + " " + metricsql::ToString(op_.group_modifier) + " " + metricsql::ToString(op_.join_modifier) + "`";
          return DuplicateError(one_side, what, merged, *o);
        }
        it->second.second = &merged;
      }
      for (const auto& key : order) AddJoined(*by_name[key].first, *by_name[key].second);
    }
    return Ok();
  }

  const metricsql::BinaryOpExpr& op_;
  SeriesList& left_;
  SeriesList& right_;
  Pairs pairs_;
};

bool IsScalarLike(const metricsql::Expr& expr) {
  if (expr.kind == metricsql::ExprKind::kNumber || expr.kind == metricsql::ExprKind::kDuration) return true;
  if (const auto* op = As<metricsql::BinaryOpExpr>(&expr)) return IsScalarLike(*op->left) && IsScalarLike(*op->right);
  const auto* func = As<metricsql::FuncExpr>(&expr);
  if (func == nullptr) return false;
  static constexpr std::string_view kScalars[] = {"now", "pi", "scalar", "start", "end", "step", "time", "timezone_offset"};
  return std::find(std::begin(kScalars), std::end(kScalars), metricsql::ToLower(func->name)) != std::end(kScalars);
}

/// A comparison with at least one operand that is no scalar: its NaN are samples that were filtered out.
bool IsVectorComparison(const metricsql::Expr& expr) {
  const metricsql::Expr* e = &expr;
  if (const auto* rollup = As<metricsql::RollupExpr>(e); rollup != nullptr && rollup->window == nullptr) e = rollup->expr.get();
  const auto* op = As<metricsql::BinaryOpExpr>(e);
  return op != nullptr && metricsql::IsCmpOp(op->op) && (!IsScalarLike(*op->left) || !IsScalarLike(*op->right));
}

/// How NaN operands are treated before the operator sees them.
struct NaNRules {
  bool drop_right = false;
  std::optional<double> fill_left;
  std::optional<double> fill_right;
};

/// Put `apply(a, b)` of all points into the series of the pairs that gives the labels.
template <class Apply>
void ApplyToPairs(const Pairs& pairs, const NaNRules& rules, Apply apply) {
  const bool plain = !rules.drop_right && !rules.fill_left && !rules.fill_right;
  for (const auto& [left, right] : pairs.list) {
    const double* a = left->values.data();
    const double* b = right->values.data();
    auto& values = (pairs.labels_from_right ? right : left)->values;
    double* dst = values.data();
    if (plain) {
      for (size_t p = 0; p < values.size(); ++p) dst[p] = apply(a[p], b[p]);
      continue;
    }
    for (size_t p = 0; p < values.size(); ++p) {
      double x = a[p], y = b[p];
      if (!(std::isnan(x) && std::isnan(y))) {
        if (rules.drop_right && std::isnan(y) && !rules.fill_right) {
          dst[p] = kNaN;
          continue;
        }
        if (std::isnan(x) && rules.fill_left) x = *rules.fill_left;
        if (std::isnan(y) && rules.fill_right) y = *rules.fill_right;
      }
      dst[p] = apply(x, y);
    }
  }
}

template <class Compare>
void ApplyComparison(const Pairs& pairs, const NaNRules& rules, bool is_bool, Compare compare) {
  if (is_bool) {
    ApplyToPairs(pairs, rules, [&](double a, double b) { return std::isnan(a) ? kNaN : compare(a, b) ? 1.0 : 0.0; });
  } else {
    ApplyToPairs(pairs, rules, [&](double a, double b) { return compare(a, b) ? a : kNaN; });
  }
}

bool IsEqual(double a, double b) { return std::isnan(a) ? std::isnan(b) : a == b; }

void ApplyOp(const metricsql::BinaryOpExpr& op, const Pairs& pairs, const NaNRules& rules) {
  const std::string_view o = op.op;
  if (o == "+") return ApplyToPairs(pairs, rules, [](double a, double b) { return a + b; });
  if (o == "-") return ApplyToPairs(pairs, rules, [](double a, double b) { return a - b; });
  if (o == "*") return ApplyToPairs(pairs, rules, [](double a, double b) { return a * b; });
  if (o == "/") return ApplyToPairs(pairs, rules, [](double a, double b) { return a / b; });
  if (o == "%") return ApplyToPairs(pairs, rules, [](double a, double b) { return std::fmod(a, b); });
  if (o == "^") return ApplyToPairs(pairs, rules, [](double a, double b) { return std::isnan(a) ? kNaN : std::pow(a, b); });
  if (o == "atan2") return ApplyToPairs(pairs, rules, [](double a, double b) { return std::atan2(a, b); });
  if (o == "==") return ApplyComparison(pairs, rules, op.is_bool, IsEqual);
  if (o == "!=") return ApplyComparison(pairs, rules, op.is_bool, [](double a, double b) { return !IsEqual(a, b); });
  if (o == ">") return ApplyComparison(pairs, rules, op.is_bool, [](double a, double b) { return a > b; });
  if (o == "<") return ApplyComparison(pairs, rules, op.is_bool, [](double a, double b) { return a < b; });
  if (o == ">=") return ApplyComparison(pairs, rules, op.is_bool, [](double a, double b) { return a >= b; });
  ApplyComparison(pairs, rules, op.is_bool, [](double a, double b) { return a <= b; });
}

Result<SeriesList> EvalPointOp(const metricsql::BinaryOpExpr& op, SeriesList left, SeriesList right) {
  const bool is_cmp = metricsql::IsCmpOp(op.op);
  if (!is_cmp) {
    // NaN may be what a comparison is about, so there it stays.
    RemoveEmptySeries(left);
    RemoveEmptySeries(right);
  }
  if (left.empty() && (right.empty() || !op.fill_left)) return SeriesList();
  if (right.empty() && !op.fill_right) return SeriesList();
  VM_ASSIGN_OR_RETURN(const Pairs pairs, Matcher(op, left, right).Match());
  NaNRules rules;
  rules.drop_right = is_cmp && IsVectorComparison(*op.right);
  if (op.fill_left) rules.fill_left = op.fill_left->value;
  if (op.fill_right) rules.fill_right = op.fill_right->value;
  ApplyOp(op, pairs, rules);
  SeriesList out;
  out.reserve(pairs.list.size());
  for (const auto& [l, r] : pairs.list) out.push_back(std::move(pairs.labels_from_right ? *r : *l));
  return out;
}

bool IsUnion(const metricsql::Expr& expr) {
  const auto* func = As<metricsql::FuncExpr>(&expr);
  return func != nullptr && (func->name.empty() || metricsql::ToLower(func->name) == "union");
}

/// `q == (1, 2)`: points of `q` that are (not) in the list.
SeriesList FilterByList(SeriesList series, const SeriesList& list, bool keep_equal) {
  for (auto& s : series) {
    for (size_t p = 0; p < s.values.size(); ++p) {
      const double v = s.values[p];
      const bool found = std::any_of(list.begin(), list.end(), [&](const TimeSeries& o) { return o.values[p] == v; });
      if (found != keep_equal) s.values[p] = kNaN;
    }
  }
  return series;
}

bool HasValueAt(const SeriesRefs& series, size_t p) {
  return std::any_of(series.begin(), series.end(), [p](const TimeSeries* s) { return !std::isnan(s->values[p]); });
}

/// Points without (with) values on the other side lose theirs.
void MaskPoints(TimeSeries& s, const SeriesRefs& other, bool keep_where_present) {
  for (size_t p = 0; p < s.values.size(); ++p) {
    if (HasValueAt(other, p) != keep_where_present) s.values[p] = kNaN;
  }
}

void FillPoints(TimeSeries& s, const SeriesRefs& other) {
  for (size_t p = 0; p < s.values.size(); ++p) {
    for (size_t i = 0; i < other.size() && std::isnan(s.values[p]); ++i) s.values[p] = other[i]->values[p];
  }
}

/// The series of a key; where there is none, a lone scalar stands for all.
SeriesRefs* FindOrScalar(Groups& groups, const std::string& key) {
  if (SeriesRefs* found = groups.Find(key)) return found;
  if (groups.lists.size() != 1 || groups.lists[0].size() != 1) return nullptr;
  const auto& name = groups.lists[0][0]->name;
  return name.metric_group.empty() && name.tags.empty() ? &groups.lists[0] : nullptr;
}

bool IsScalarRefs(const SeriesRefs& refs) { return refs.size() == 1 && refs[0]->name.metric_group.empty() && refs[0]->name.tags.empty(); }

/// Points that the left series have win; series of equal names become one.
void MergeForOr(SeriesRefs& left, SeriesRefs& right) {
  // A lone scalar on the right merges with nothing but a lone scalar.
  const bool right_is_scalar = IsScalarRefs(right);
  std::vector<std::string> right_keys;
  for (TimeSeries* r : right) {
    if (!right_is_scalar) SortTagsByKey(r->name);
    right_keys.push_back(NameKey(r->name));
  }
  std::vector<bool> merges(right.size());
  for (TimeSeries* l : left) {
    if (!right_is_scalar) SortTagsByKey(l->name);
    const std::string key = NameKey(l->name);
    for (size_t i = 0; i < right.size(); ++i) merges[i] = right_is_scalar ? IsScalarRefs(left) : key == right_keys[i];
    for (size_t p = 0; p < l->values.size(); ++p) {
      const bool missing = std::isnan(l->values[p]);
      for (size_t i = 0; i < right.size(); ++i) {
        double& v = right[i]->values[p];
        if (missing && merges[i]) l->values[p] = v;
        if (!missing || merges[i]) v = kNaN;
      }
    }
  }
}

void MoveTo(SeriesList& out, SeriesRefs& refs) {
  for (TimeSeries* s : refs) out.push_back(std::move(*s));
}

void EraseEmpty(SeriesRefs& refs) {
  std::erase_if(refs, [](const TimeSeries* s) { return IsAllNaN(*s); });
}

SeriesList EvalOr(const metricsql::BinaryOpExpr& op, SeriesList left, SeriesList right) {
  Groups l = GroupByKey(op, left);
  Groups r = GroupByKey(op, right);
  // The left series are in order before they meet the right ones, which may sort their tags.
  SeriesRefs sorted;
  for (auto& refs : l.lists) {
    EraseEmpty(refs);
    sorted.insert(sorted.end(), refs.begin(), refs.end());
  }
  std::stable_sort(sorted.begin(), sorted.end(), [](const TimeSeries* a, const TimeSeries* b) { return NameLess(a->name, b->name); });
  for (size_t i = 0; i < r.lists.size(); ++i) {
    SeriesRefs* same = l.Find(r.keys[i]);
    if (same == nullptr) continue;
    MergeForOr(*same, r.lists[i]);
    EraseEmpty(r.lists[i]);
  }
  SeriesList out;
  MoveTo(out, sorted);
  SeriesList added;
  for (auto& refs : r.lists) MoveTo(added, refs);
  SortByName(added);
  std::move(added.begin(), added.end(), std::back_inserter(out));
  return out;
}

SeriesList EvalSetOp(const metricsql::BinaryOpExpr& op, SeriesList left, SeriesList right) {
  if (op.op == "or") return EvalOr(op, std::move(left), std::move(right));
  if (op.op == "default" && left.empty()) return right;
  const bool with_scalar = op.op == "if" || op.op == "ifnot" || op.op == "default";
  Groups l = GroupByKey(op, left);
  Groups r = GroupByKey(op, right);
  SeriesList out;
  for (size_t i = 0; i < l.lists.size(); ++i) {
    SeriesRefs& refs = l.lists[i];
    const SeriesRefs* other = with_scalar ? FindOrScalar(r, l.keys[i]) : r.Find(l.keys[i]);
    const bool keep_where_present = op.op == "and" || op.op == "if";
    if (other == nullptr) {
      if (!keep_where_present) MoveTo(out, refs);
      continue;
    }
    if (op.op == "default") {
      for (TimeSeries* s : refs) FillPoints(*s, *other);
    } else {
      for (TimeSeries* s : refs) MaskPoints(*s, *other, keep_where_present);
      EraseEmpty(refs);
    }
    MoveTo(out, refs);
  }
  return out;
}

}  // namespace

Result<SeriesList> EvalBinaryOp(const metricsql::BinaryOpExpr& op, SeriesList left, SeriesList right) {
  static constexpr std::string_view kSetOps[] = {"and", "or", "unless", "if", "ifnot", "default"};
  if (std::find(std::begin(kSetOps), std::end(kSetOps), op.op) != std::end(kSetOps)) {
    return EvalSetOp(op, std::move(left), std::move(right));
  }
  const bool is_equal = op.op == "==";
  if ((is_equal || op.op == "!=") && (IsUnion(*op.left) || IsUnion(*op.right))) {
    if (IsUnion(*op.left)) std::swap(left, right);
    if (left.empty() || (is_equal && right.empty())) return SeriesList();
    return FilterByList(std::move(left), right, is_equal);
  }
  return EvalPointOp(op, std::move(left), std::move(right));
}

}  // namespace vm::select
