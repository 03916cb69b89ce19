#include <algorithm>
#include <deque>
#include <unordered_set>

#include "lib/base/check.h"
#include "lib/metricsql/lexer.h"
#include "lib/metricsql/parser.h"
#include "lib/regex/regex.h"
#include "lib/regex/unicode.h"

namespace vm::metricsql {
namespace {

/// What one expansion may cost, roughly in bytes of the resulting tree: templates that use templates twice each
/// grow exponentially. Enough for a hundred thousand nodes.
constexpr size_t kMaxExpansionCost = size_t{16} << 20;
constexpr size_t kNodeCost = 128;

/// Deepest recursion while expanding; the tree has at most twice this depth, with the parentheses.
constexpr size_t kMaxExpansionDepth = kMaxTreeDepth + 100;

/// Templates used in the definition of templates, and so on: each takes several stack frames.
constexpr size_t kMaxTemplateDepth = 200;

constexpr std::string_view kNameLabel = "__name__";

std::string Quoted(std::string_view text) {
  std::string quoted;
  regex::AppendGoQuoted(quoted, text);
  return quoted;
}

Error Invalid(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

bool IsNameFilter(const LabelFilter& f) { return f.label == kNameLabel && !f.is_negative && !f.is_regexp; }

/// The definitions that are visible at some place, innermost first. A definition sees those behind it alone, so it
/// cannot refer to itself.
struct Scope {
  const Scope* outer;
  const WithDefinition* definition;
};

/// Templates that every query may use; its own ones hide them.
const std::vector<WithDefinition>& DefaultDefinitions() {
  static const auto kDefinitions = [] {
    std::vector<WithDefinition> definitions;
    for (const std::string_view text : {
             "ru(freev, maxv) = clamp_min(maxv - clamp_min(freev, 0), 0) / clamp_min(maxv, 0) * 100",
             "ttf(freev) = smooth_exponential("
             "clamp_max(clamp_max(-freev, 0) / clamp_max(deriv_fast(freev), 0), 365*24*3600), "
             "clamp_max(step()/300, 1))",
             "range_median(q) = range_quantile(0.5, q)",
             "alias(q, name) = label_set(q, \"__name__\", name)",
         }) {
      auto definition = ParseDefinition(text);
      VM_CHECK(definition.ok());
      definitions.push_back(std::move(definition).value());
    }
    return definitions;
  }();
  return kDefinitions;
}

void RemoveDuplicates(std::vector<LabelFilter>& filters) {
  std::vector<LabelFilter> unique;
  for (auto& f : filters) {
    if (std::find(unique.begin(), unique.end(), f) == unique.end()) unique.push_back(std::move(f));
  }
  filters = std::move(unique);
}

Status CheckRegexp(const LabelFilter& filter) {
  auto status = regex::Check("^(?:" + filter.value + ")$");
  if (status.ok()) return status;
  return std::move(status).error().WithContext("invalid regexp in " + filter.label + "=" + Quoted(filter.value));
}

class Expander {
 public:
  Result<ExprPtr> Run(const Expr& expr) {
    std::deque<Scope> links;
    return Expand(Push(links, nullptr, DefaultDefinitions()), expr);
  }

 private:
  class Nested {
   public:
    explicit Nested(size_t& depth, size_t levels = 1) : depth_(depth), levels_(levels) { depth_ += levels_; }
    ~Nested() { depth_ -= levels_; }

   private:
    size_t& depth_;
    const size_t levels_;
  };

  Status Spend(size_t cost) {
    cost_ += cost;
    if (cost_ <= kMaxExpansionCost) return Ok();
    return Error(ErrorCode::kLimitExceeded, "the query with all WITH templates expanded is too big");
  }

  static const Scope* Push(std::deque<Scope>& links, const Scope* scope,
                           const std::vector<WithDefinition>& definitions) {
    for (const auto& d : definitions) scope = &links.emplace_back(Scope{scope, &d});
    return scope;
  }

  /// Null when `name` is not defined.
  Result<const Scope*> Find(const Scope* scope, std::string_view name) {
    size_t hops = 1;
    while (scope != nullptr && scope->definition->name != name) {
      scope = scope->outer;
      ++hops;
    }
    VM_TRY(Spend(hops));
    return scope;
  }

  // What recurses is not inlined: frames of several functions in one are too big for deep trees, most of all under a
  // sanitizer.
  Result<ExprPtr> Expand(const Scope* scope, const Expr& expr) {
    const Nested nested(depth_);
    if (depth_ > kMaxExpansionDepth) {
      return Error(ErrorCode::kLimitExceeded, "too deep nesting of the query with all WITH templates expanded");
    }
    VM_TRY(Spend(kNodeCost));
    switch (expr.kind) {
      case ExprKind::kBinaryOp: return ExpandBinaryOp(scope, static_cast<const BinaryOpExpr&>(expr));
      case ExprKind::kFunc: return ExpandFunc(scope, static_cast<const FuncExpr&>(expr));
      case ExprKind::kAggr: return ExpandAggr(scope, static_cast<const AggrFuncExpr&>(expr));
      case ExprKind::kRollup: return ExpandRollup(scope, static_cast<const RollupExpr&>(expr));
      case ExprKind::kMetric: return ExpandMetric(scope, static_cast<const MetricExpr&>(expr));
      case ExprKind::kParens: return ExpandParens(scope, static_cast<const ParensExpr&>(expr));
      case ExprKind::kWith: return ExpandWith(scope, static_cast<const WithExpr&>(expr));
      case ExprKind::kString: return ExpandStringExpr(scope, static_cast<const StringExpr&>(expr));
      default: return Clone(expr);
    }
  }

  [[gnu::noinline]] Result<ExprPtr> ExpandParens(const Scope* scope, const ParensExpr& source) {
    auto parens = std::make_unique<ParensExpr>();
    VM_ASSIGN_OR_RETURN(parens->exprs, ExpandAll(scope, source.exprs));
    return ExprPtr(std::move(parens));
  }

  [[gnu::noinline]] Result<ExprPtr> ExpandWith(const Scope* scope, const WithExpr& with) {
    std::deque<Scope> links;
    return Expand(Push(links, scope, with.definitions), *with.expr);
  }

  [[gnu::noinline]] Result<ExprPtr> ExpandStringExpr(const Scope* scope, const StringExpr& string) {
    std::string value = string.value;
    if (!string.tokens.empty()) {
      VM_ASSIGN_OR_RETURN(value, ExpandString(scope, string.tokens));
    }
    VM_TRY(Spend(value.size()));
    return ExprPtr(std::make_unique<StringExpr>(std::move(value)));
  }

  /// `definition(args)`; it sees what stands before it and its arguments.
  [[gnu::noinline]] Result<ExprPtr> Call(const Scope* definition, std::vector<ExprPtr> args) {
    const Nested nested(template_depth_);
    if (template_depth_ > kMaxTemplateDepth) {
      return Error(ErrorCode::kLimitExceeded, "too deep nesting of WITH templates");
    }
    const auto& names = definition->definition->args;
    if (names.size() != args.size()) {
      return Invalid("invalid number of args for " + Quoted(definition->definition->name) + "; got " +
                     std::to_string(args.size()) + "; want " + std::to_string(names.size()));
    }
    std::vector<WithDefinition> bound;
    for (size_t i = 0; i < args.size(); ++i) bound.push_back({names[i], {}, std::move(args[i])});
    std::deque<Scope> links;
    return Expand(Push(links, definition->outer, bound), *definition->definition->expr);
  }

  /// `definition` without parentheses: one that has arguments is taken for a metric name.
  [[gnu::noinline]] Result<ExprPtr> Refer(const Scope* definition) {
    if (definition->definition->args.empty()) return Call(definition, {});
    auto metric = std::make_unique<MetricExpr>();
    metric->filter_groups = {{LabelFilter{std::string(kNameLabel), definition->definition->name}}};
    return ExprPtr(std::move(metric));
  }

  [[gnu::noinline]] Result<std::vector<ExprPtr>> ExpandAll(const Scope* scope, const std::vector<ExprPtr>& exprs) {
    std::vector<ExprPtr> expanded;
    for (const auto& e : exprs) {
      VM_ASSIGN_OR_RETURN(ExprPtr one, Expand(scope, *e));
      expanded.push_back(std::move(one));
    }
    return expanded;
  }

  /// A chain of operators, left to right: it may be long, and must not take a stack frame per operator.
  [[gnu::noinline]] Result<ExprPtr> ExpandBinaryOp(const Scope* scope, const BinaryOpExpr& last) {
    std::vector<const BinaryOpExpr*> chain;
    for (const auto* op = &last; op != nullptr; op = As<BinaryOpExpr>(op->left.get())) chain.push_back(op);
    const Nested nested(depth_, chain.size() - 1);
    VM_TRY(Spend(chain.size() * kNodeCost));
    auto expanded = Expand(scope, *chain.back()->left);
    for (auto op = chain.rbegin(); op != chain.rend() && expanded.ok(); ++op) {
      expanded = ExpandOperator(scope, **op, std::move(expanded).value());
    }
    return expanded;
  }

  [[gnu::noinline]] Result<ExprPtr> ExpandOperator(const Scope* scope, const BinaryOpExpr& op, ExprPtr left) {
    VM_ASSIGN_OR_RETURN(ExprPtr right, Expand(scope, *op.right));
    auto node = std::make_unique<BinaryOpExpr>();
    node->left = std::move(left);
    node->right = std::move(right);
    VM_TRY(ExpandModifiers(scope, op, *node));
    return Join(op, std::move(node));
  }

  [[gnu::noinline]] Status ExpandModifiers(const Scope* scope, const BinaryOpExpr& op, BinaryOpExpr& node) {
    VM_ASSIGN_OR_RETURN(node.group_modifier, ExpandModifier(scope, op.group_modifier));
    VM_ASSIGN_OR_RETURN(node.join_modifier, ExpandModifier(scope, op.join_modifier));
    node.join_prefix = op.join_prefix;
    if (!op.join_prefix_template.empty()) {
      VM_ASSIGN_OR_RETURN(node.join_prefix, ExpandString(scope, op.join_prefix_template));
    }
    return Ok();
  }

  [[gnu::noinline]] Result<ExprPtr> Join(const BinaryOpExpr& op, std::unique_ptr<BinaryOpExpr> node) {
    const auto* left = As<StringExpr>(node->left.get());
    const auto* right = As<StringExpr>(node->right.get());
    if (op.op == "+" && left != nullptr && right != nullptr) {
      VM_TRY(Spend(left->value.size() + right->value.size()));
      return ExprPtr(std::make_unique<StringExpr>(left->value + right->value));
    }
    node->op = op.op;
    node->is_bool = op.is_bool;
    if (op.fill_left) node->fill_left.emplace(*op.fill_left);
    if (op.fill_right) node->fill_right.emplace(*op.fill_right);
    node->fill_both = op.fill_both;
    node->keep_metric_names = op.keep_metric_names;
    // What the operator is used in must not take it apart.
    auto parens = std::make_unique<ParensExpr>();
    parens->exprs.push_back(std::move(node));
    return ExprPtr(std::move(parens));
  }

  [[gnu::noinline]] Result<ExprPtr> ExpandFunc(const Scope* scope, const FuncExpr& func) {
    VM_ASSIGN_OR_RETURN(auto args, ExpandAll(scope, func.args));
    VM_ASSIGN_OR_RETURN(const Scope* definition, Find(scope, func.name));
    if (definition != nullptr) return Call(definition, std::move(args));
    auto copy = std::make_unique<FuncExpr>();
    copy->name = func.name;
    copy->args = std::move(args);
    copy->keep_metric_names = func.keep_metric_names;
    return ExprPtr(std::move(copy));
  }

  [[gnu::noinline]] Result<ExprPtr> ExpandAggr(const Scope* scope, const AggrFuncExpr& aggr) {
    VM_ASSIGN_OR_RETURN(auto args, ExpandAll(scope, aggr.args));
    VM_ASSIGN_OR_RETURN(const Scope* definition, Find(scope, aggr.name));
    if (definition != nullptr) return Call(definition, std::move(args));
    auto copy = std::make_unique<AggrFuncExpr>();
    copy->name = aggr.name;
    copy->args = std::move(args);
    copy->limit = aggr.limit;
    VM_ASSIGN_OR_RETURN(copy->modifier, ExpandModifier(scope, aggr.modifier));
    return ExprPtr(std::move(copy));
  }

  [[gnu::noinline]] Result<ExprPtr> ExpandRollup(const Scope* scope, const RollupExpr& rollup) {
    auto copy = std::make_unique<RollupExpr>();
    VM_ASSIGN_OR_RETURN(copy->expr, Expand(scope, *rollup.expr));
    const auto duration = [&](const std::unique_ptr<DurationExpr>& from, std::unique_ptr<DurationExpr>& to,
                              std::string_view what) -> Status {
      if (from == nullptr) return Ok();
      auto expanded = ExpandDuration(scope, *from);
      if (!expanded.ok()) {
        return std::move(expanded).error().WithContext("cannot parse " + std::string(what) + " " +
                                                       ToString(*copy->expr));
      }
      to = std::move(expanded).value();
      return Ok();
    };
    VM_TRY(duration(rollup.window, copy->window, "window for"));
    VM_TRY(duration(rollup.step, copy->step, "step in"));
    VM_TRY(duration(rollup.offset, copy->offset, "offset in"));
    copy->inherit_step = rollup.inherit_step;
    if (rollup.at != nullptr) {
      VM_ASSIGN_OR_RETURN(copy->at, Expand(scope, *rollup.at));
    }
    return ExprPtr(std::move(copy));
  }

  Result<std::unique_ptr<DurationExpr>> ExpandDuration(const Scope* scope, const DurationExpr& duration) {
    if (!duration.is_template) return std::make_unique<DurationExpr>(duration.text);
    VM_ASSIGN_OR_RETURN(const Scope* definition, Find(scope, duration.text));
    if (definition == nullptr) return Invalid("cannot find WITH template for " + Quoted(duration.text));
    VM_ASSIGN_OR_RETURN(const ExprPtr expr, Call(definition, {}));
    if (const auto* value = As<DurationExpr>(expr.get())) return std::make_unique<DurationExpr>(value->text);
    if (const auto* number = As<NumberExpr>(expr.get())) {
      if (const auto seconds = ParseDuration(number->text, 0); !seconds.ok()) {
        return Invalid("cannot parse duration " + Quoted(number->text) + ": " + seconds.error().message());
      }
      return std::make_unique<DurationExpr>(number->text);
    }
    return Invalid("unexpected value for WITH template " + Quoted(duration.text) + "; got " + ToString(*expr) +
                   "; want duration");
  }

  Result<std::string> ExpandString(const Scope* scope, const std::vector<std::string>& tokens) {
    std::string value;
    for (const auto& token : tokens) {
      if (IsStringPrefix(token)) {
        VM_ASSIGN_OR_RETURN(const std::string part, UnquoteString(token));
        VM_TRY(Spend(part.size()));
        value += part;
        continue;
      }
      VM_ASSIGN_OR_RETURN(const Scope* definition, Find(scope, token));
      if (definition == nullptr) return Invalid("missing " + Quoted(token) + " value inside StringExpr");
      VM_ASSIGN_OR_RETURN(const ExprPtr expr, Refer(definition));
      const auto* string = As<StringExpr>(expr.get());
      if (string == nullptr) {
        return Invalid(Quoted(token) + " must be string expression; got " + Quoted(ToString(*expr)));
      }
      value += string->value;
    }
    return value;
  }

  /// A label that names a template stands for the metric name or the list of names it is defined as.
  Result<ModifierExpr> ExpandModifier(const Scope* scope, const ModifierExpr& modifier) {
    ModifierExpr expanded{modifier.op, {}};
    const auto cannot_use = [&](const Expr& expr, const std::string& arg) {
      std::string message = "cannot use " + Quoted(ToString(expr)) + " instead of " + Quoted(arg) + " in [";
      for (size_t i = 0; i < modifier.args.size(); ++i) message += (i > 0 ? " " : "") + modifier.args[i];
      return Invalid(message + "]");
    };
    std::unordered_set<std::string> seen;
    const auto add = [&](std::string_view label) -> Status {
      VM_TRY(Spend(label.size() + 16));
      if (seen.emplace(label).second) expanded.args.emplace_back(label);
      return Ok();
    };
    for (const auto& arg : modifier.args) {
      VM_ASSIGN_OR_RETURN(const Scope* definition, Find(scope, arg));
      if (definition == nullptr || !definition->definition->args.empty()) {
        VM_TRY(add(arg));
        continue;
      }
      const Expr& expr = *definition->definition->expr;
      if (const auto* parens = As<ParensExpr>(&expr)) {
        for (const auto& e : parens->exprs) {
          const auto* metric = As<MetricExpr>(e.get());
          if (metric == nullptr || !metric->IsOnlyName()) return cannot_use(expr, arg);
          VM_TRY(add(metric->Name()));
        }
        continue;
      }
      const auto* metric = As<MetricExpr>(&expr);
      if (metric == nullptr || !metric->IsOnlyName()) return cannot_use(expr, arg);
      VM_TRY(add(metric->Name()));
    }
    return expanded;
  }

  [[gnu::noinline]] Result<ExprPtr> ExpandMetric(const Scope* scope, const MetricExpr& source) {
    auto metric = std::make_unique<MetricExpr>();
    if (source.filter_templates.empty()) {
      metric->filter_groups = source.filter_groups;
      VM_TRY(SpendFor(metric->filter_groups));
    } else {
      VM_TRY(ExpandFilters(scope, source, metric->filter_groups));
    }
    if (metric->Name().empty()) return ExprPtr(std::move(metric));
    VM_ASSIGN_OR_RETURN(const Scope* definition, Find(scope, metric->Name()));
    if (definition == nullptr) return ExprPtr(std::move(metric));
    VM_ASSIGN_OR_RETURN(ExprPtr body, Refer(definition));
    auto* rollup = As<RollupExpr>(body.get());
    auto* target = As<MetricExpr>(rollup != nullptr ? rollup->expr.get() : body.get());
    if (target == nullptr) {
      if (metric->IsOnlyName()) return body;
      return Invalid("cannot expand " + Quoted(ToString(*metric)) + " to non-metric expression " +
                     Quoted(ToString(*body)));
    }
    if (target->filter_groups.size() != 1 && metric->IsOnlyName()) return body;
    VM_TRY(MergeFilters(*metric, *target));
    return body;
  }

  Status SpendFor(const std::vector<std::vector<LabelFilter>>& groups) {
    size_t cost = 0;
    for (const auto& group : groups) {
      for (const auto& f : group) cost += sizeof(f) + f.label.size() + f.value.size();
    }
    return Spend(cost);
  }

  /// Put the filters of `metric`, but for its name, behind those of the template it names.
  [[gnu::noinline]] Status MergeFilters(const MetricExpr& metric, MetricExpr& target) {
    std::vector<std::vector<LabelFilter>> merged;
    const auto merge = [&](const std::vector<LabelFilter>& first, const std::vector<LabelFilter>& second) -> Status {
      auto& group = merged.emplace_back(first);
      group.insert(group.end(), second.begin() + 1, second.end());
      // Looking for duplicates compares all pairs.
      VM_TRY(Spend(group.size() * (group.size() + sizeof(LabelFilter))));
      RemoveDuplicates(group);
      return Ok();
    };
    if (target.filter_groups.size() == 1) {
      for (const auto& own : metric.filter_groups) VM_TRY(merge(target.filter_groups[0], own));
    } else {
      if (metric.filter_groups.size() != 1) {
        return Invalid(Quoted(metric.Name()) + " mustn't contain 'or' filters; got " + ToString(target));
      }
      for (const auto& group : target.filter_groups) VM_TRY(merge(group, metric.filter_groups[0]));
    }
    target.filter_groups = std::move(merged);
    return SpendFor(target.filter_groups);
  }

  [[gnu::noinline]] Status ExpandFilters(const Scope* scope, const MetricExpr& source,
                                         std::vector<std::vector<LabelFilter>>& groups) {
    std::string common_name;
    bool is_common = true;
    for (const auto& templates : source.filter_templates) {
      std::string name;
      auto& group = groups.emplace_back();
      for (const auto& t : templates) VM_TRY(ExpandFilter(scope, source, t, group, name));
      VM_TRY(Spend(group.size() * group.size()));
      RemoveDuplicates(group);
      if (name.empty()) continue;
      is_common = is_common && (common_name.empty() || common_name == name);
      if (common_name.empty()) common_name = name;
    }
    if (is_common && !common_name.empty()) {
      for (auto& group : groups) {
        const bool has_name =
            std::any_of(group.begin(), group.end(), [](const auto& f) { return f.label == kNameLabel; });
        if (!has_name) group.insert(group.begin(), LabelFilter{std::string(kNameLabel), common_name});
      }
    }
    return SpendFor(groups);
  }

  Status ExpandFilter(const Scope* scope, const MetricExpr& metric, const FilterTemplate& filter,
                      std::vector<LabelFilter>& group, std::string& name) {
    const auto set_name = [&](const std::string& value) -> Status {
      if (!name.empty() && name != value) {
        return Invalid("parse error: metric name must not be set twice: " + Quoted(name) + " or " + Quoted(value));
      }
      name = value;
      group.insert(group.begin(), LabelFilter{std::string(kNameLabel), value});
      return Ok();
    };
    if (filter.tokens.empty()) {
      VM_ASSIGN_OR_RETURN(const Scope* definition, Find(scope, filter.label));
      if (definition != nullptr) return SpliceFilters(definition, metric, filter, group);
      if (filter.is_quoted_name) return set_name(filter.label);
      return Invalid("cannot find WITH template for " + Quoted(filter.label) + " inside " + Quoted(ToString(metric)));
    }
    LabelFilter plain{filter.label, {}, filter.is_negative, filter.is_regexp};
    VM_ASSIGN_OR_RETURN(plain.value, ExpandString(scope, filter.tokens));
    if (plain.is_regexp) VM_TRY(CheckRegexp(plain));
    if (IsNameFilter(plain)) return set_name(plain.value);
    group.push_back(std::move(plain));
    return Ok();
  }

  /// `{lf}`, where `lf` is defined as `{...}`.
  Status SpliceFilters(const Scope* definition, const MetricExpr& metric, const FilterTemplate& filter,
                       std::vector<LabelFilter>& group) {
    VM_ASSIGN_OR_RETURN(const ExprPtr expr, Call(definition, {}));
    const auto* source = As<MetricExpr>(expr.get());
    if (source == nullptr || !source->Name().empty()) {
      return Invalid("WITH template " + Quoted(filter.label) + " inside " + Quoted(ToString(metric)) +
                     " must be {...}; got " + Quoted(ToString(*expr)));
    }
    if (source->filter_groups.size() > 1) {
      return Invalid("WITH template " + Quoted(filter.label) + " at " + Quoted(ToString(metric)) +
                     " must be {...} without 'or'; got " + ToString(*source));
    }
    VM_TRY(SpendFor(source->filter_groups));
    for (const auto& filters : source->filter_groups) group.insert(group.end(), filters.begin(), filters.end());
    return Ok();
  }

  size_t depth_ = 0;
  size_t template_depth_ = 0;
  size_t cost_ = 0;
};

}  // namespace

Result<ExprPtr> ExpandTemplates(const Expr& expr) {
  auto expanded = Expander().Run(expr);
  if (!expanded.ok()) return std::move(expanded).error().WithContext("cannot expand WITH expressions");
  return expanded;
}

}  // namespace vm::metricsql
