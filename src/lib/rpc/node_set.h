#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lib/base/result.h"

namespace vm::rpc {

/// One `-storageNode`.
struct NodeAddress {
  std::string group;  // Before the first '/'; empty without one.
  std::string addr;   // host:port.

  bool operator==(const NodeAddress&) const = default;
};

/// The storage nodes of a daemon, in the order of its flags. Immutable.
class NodeSet {
 public:
  NodeSet() = default;
  /// Errors: kInvalidInput for empty, malformed or repeated addresses, and for no nodes.
  static Result<NodeSet> Parse(std::span<const std::string> storage_nodes, uint16_t default_port);

  const std::vector<NodeAddress>& nodes() const noexcept { return nodes_; }
  size_t size() const noexcept { return nodes_.size(); }
  /// Names of the groups, each once, in order of appearance.
  const std::vector<std::string>& groups() const noexcept { return groups_; }

 private:
  std::vector<NodeAddress> nodes_;
  std::vector<std::string> groups_;
};

}  // namespace vm::rpc
