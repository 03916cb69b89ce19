#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>

#include "lib/rpc/node_set.h"

namespace vm::select {

/// Decides, while nodes answer or fail, whether a request has all it needs. One thread.
/// Reference: VictoriaMetrics app/vmselect/netstorage/netstorage.go, collectResults.
class GatherRules {
 public:
  using ReplicationFactor = std::function<size_t(const std::string& group)>;

  /// `global_factor`: how many groups hold each sample.
  GatherRules(const rpc::NodeSet& nodes, const ReplicationFactor& factor_of, size_t global_factor);

  void CountSuccess(const std::string& group);
  void CountFailure(const std::string& group);

  /// More copies are missing than the replication can replace.
  bool IsIncomplete() const { return failed_groups_ >= global_factor_; }
  /// Nodes that have not answered hold nothing that the others lack.
  bool IsCompleteAlready() const;

 private:
  struct Group {
    size_t nodes = 0;
    size_t factor = 1;
    size_t done = 0;
    size_t failed = 0;
  };

  const size_t global_factor_;
  std::map<std::string, Group> groups_;
  size_t failed_groups_ = 0;
};

}  // namespace vm::select
