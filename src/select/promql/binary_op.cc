#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "select/promql/eval.h"

namespace vm::select {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
using Key = std::pair<std::string, std::vector<model::Tag>>;
using Groups = std::map<Key, std::vector<TimeSeries>>;

bool Listed(const metricsql::ModifierExpr& m, std::string_view key) {
  return std::find(m.args.begin(), m.args.end(), key) != m.args.end();
}

/// Reduce a name as `on` and `ignoring` say.
void Reduce(model::MetricName& name, const metricsql::ModifierExpr& m) {
  if (m.op == "on") {
    if (!Listed(m, "__name__")) name.metric_group.clear();
    std::erase_if(name.tags, [&](const auto& tag) { return !Listed(m, tag.key); });
  } else if (m.op == "ignoring") {
    if (Listed(m, "__name__")) name.metric_group.clear();
    std::erase_if(name.tags, [&](const auto& tag) { return Listed(m, tag.key); });
  }
}

Groups GroupByKey(const metricsql::BinaryOpExpr& op, std::vector<TimeSeries> series) {
  Groups groups;
  for (auto& s : series) {
    model::MetricName name = s.name;
    if (!op.keep_metric_names) name.metric_group.clear();
    Reduce(name, op.group_modifier);
    std::sort(name.tags.begin(), name.tags.end());
    groups[{std::move(name.metric_group), std::move(name.tags)}].push_back(std::move(s));
  }
  return groups;
}

bool HasValueAt(const std::vector<TimeSeries>& group, size_t p) {
  return std::any_of(group.begin(), group.end(), [p](const auto& s) { return !std::isnan(s.values[p]); });
}

std::vector<TimeSeries> EvalSetOp(const metricsql::BinaryOpExpr& op, std::vector<TimeSeries> left, std::vector<TimeSeries> right) {
  if (op.op == "default" && left.empty()) return right;
  const bool scalar_right = IsScalar(right);
  Groups l = GroupByKey(op, std::move(left));
  Groups r = GroupByKey(op, std::move(right));
  const bool fallback = scalar_right && (op.op == "if" || op.op == "ifnot" || op.op == "default");
  std::vector<TimeSeries> out;
  for (auto& [key, group] : l) {
    auto it = r.find(key);
    if (it == r.end() && fallback) it = r.begin();
    const std::vector<TimeSeries>* other = it == r.end() ? nullptr : &it->second;
    if (other == nullptr && (op.op == "and" || op.op == "if")) continue;
    for (auto& s : group) {
      for (size_t p = 0; other != nullptr && p < s.values.size(); ++p) {
        const bool has = HasValueAt(*other, p);
        if (op.op == "default") {
          for (size_t i = 0; i < other->size() && std::isnan(s.values[p]); ++i) s.values[p] = (*other)[i].values[p];
        } else if (op.op == "and" || op.op == "if") {
          if (!has) s.values[p] = kNaN;
        } else if (op.op != "or" && has) {
          s.values[p] = kNaN;
        }
      }
      out.push_back(std::move(s));
    }
  }
  if (op.op == "or") {
    // Points which the left side has win over those of the same key on the right.
    const size_t left_count = out.size();
    for (auto& [key, group] : r) {
      std::vector<TimeSeries*> same;
      for (size_t i = 0; i < left_count; ++i) {
        std::vector<TimeSeries> one(1);
        one[0].name = out[i].name;
        if (GroupByKey(op, std::move(one)).begin()->first == key) same.push_back(&out[i]);
      }
      for (auto& s : group) {
        for (TimeSeries* o : same) {
          for (size_t p = 0; p < s.values.size(); ++p) {
            const bool equal = o->name == s.name;
            const bool had = !std::isnan(o->values[p]);
            if (!had && equal) o->values[p] = s.values[p];
            if (had || equal) s.values[p] = kNaN;
          }
        }
      }
    }
    for (auto& [key, group] : r) {
      for (auto& s : group) out.push_back(std::move(s));
    }
  }
  if (op.op != "default") RemoveEmptySeries(out);
  return out;
}

}  // namespace

Result<std::vector<TimeSeries>> EvalBinaryOp(const metricsql::BinaryOpExpr& op, std::vector<TimeSeries> left, std::vector<TimeSeries> right) {
  static constexpr std::string_view kSetOps[] = {"and", "or", "unless", "if", "ifnot", "default"};
  if (std::find(std::begin(kSetOps), std::end(kSetOps), op.op) != std::end(kSetOps)) {
    return EvalSetOp(op, std::move(left), std::move(right));
  }
  if (op.fill_left || op.fill_right) {
    return Error(ErrorCode::kInvalidInput, "fill modifiers are not supported in \"" + metricsql::ToString(op) + "\"");
  }
  if (!op.join_modifier.op.empty() && (!op.join_modifier.args.empty())) {
    return Error(ErrorCode::kInvalidInput, "label lists of " + op.join_modifier.op + " are not supported");
  }
  const bool is_cmp = metricsql::IsCmpOp(op.op);
  if (!is_cmp) {
    RemoveEmptySeries(left);
    RemoveEmptySeries(right);
  }
  std::vector<TimeSeries> out;
  if (left.empty() || right.empty()) return out;
  const bool many_right = op.join_modifier.op == "group_right";
  const auto apply = [&](const TimeSeries& l, const TimeSeries& r, bool label_right) {
    TimeSeries s;
    s.name = label_right ? r.name : l.name;
    s.timestamps = l.timestamps;
    if (!op.keep_metric_names && (!is_cmp || op.is_bool)) s.name.metric_group.clear();
    if (op.join_modifier.op.empty()) {
      const std::string name = s.name.metric_group;
      Reduce(s.name, op.group_modifier);
      if (op.keep_metric_names) s.name.metric_group = name;
    }
    for (size_t p = 0; p < l.values.size(); ++p) {
      const bool no_value = is_cmp && op.is_bool && std::isnan(l.values[p]);
      s.values.push_back(no_value ? kNaN : metricsql::BinaryOpNumber(op.op, l.values[p], r.values[p], op.is_bool));
    }
    out.push_back(std::move(s));
  };
  if (op.group_modifier.op.empty() && op.join_modifier.op.empty()) {
    if (IsScalar(left)) {
      for (const auto& r : right) apply(left[0], r, true);
      return out;
    }
    if (IsScalar(right)) {
      for (const auto& l : left) apply(l, right[0], false);
      return out;
    }
  }
  Groups lg = GroupByKey(op, std::move(left));
  Groups rg = GroupByKey(op, std::move(right));
  const auto duplicate = [&](std::string_view side) {
    return Error(ErrorCode::kInvalidInput, "duplicate time series on the " + std::string(side) + " side of " + op.op);
  };
  for (const auto& [key, l] : lg) {
    const auto it = rg.find(key);
    if (it == rg.end()) continue;
    const auto& r = it->second;
    if (l.size() > 1 && op.join_modifier.op != "group_left") return duplicate("left");
    if (r.size() > 1 && !many_right) return duplicate("right");
    for (const auto& a : l) {
      for (const auto& b : r) apply(a, b, many_right);
    }
  }
  return out;
}

}  // namespace vm::select
