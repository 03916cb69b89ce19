#include "select/fanout/gather_rules.h"

#include <algorithm>

namespace vm::select {

GatherRules::GatherRules(const rpc::NodeSet& nodes, const ReplicationFactor& factor_of, size_t global_factor)
    : global_factor_(std::max<size_t>(1, global_factor)) {
  for (const auto& node : nodes.nodes()) ++groups_[node.group].nodes;
  for (auto& [name, group] : groups_) group.factor = std::max<size_t>(1, factor_of(name));
}

void GatherRules::CountSuccess(const std::string& group) { ++groups_[group].done; }

void GatherRules::CountFailure(const std::string& group) {
  Group& g = groups_[group];
  if (++g.failed == g.factor) ++failed_groups_;
}

bool GatherRules::IsCompleteAlready() const {
  size_t seen = 0, complete = 0;
  for (const auto& [name, g] : groups_) {
    if (g.done > 0) ++seen;
    if (g.done + g.factor > g.nodes) ++complete;
  }
  return seen + global_factor_ > groups_.size() && complete + global_factor_ > groups_.size();
}

}  // namespace vm::select
