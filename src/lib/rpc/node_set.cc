#include "lib/rpc/node_set.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/net/stream.h"

namespace vm::rpc {

Result<NodeSet> NodeSet::Parse(std::span<const std::string> storage_nodes, uint16_t default_port) {
  if (storage_nodes.empty()) {
    return Error(ErrorCode::kInvalidInput, "missing -storageNode arg");
  }
  NodeSet set;
  for (const auto& text : storage_nodes) {
    NodeAddress node;
    std::string_view addr = text;
    if (const size_t slash = addr.find('/'); slash != std::string_view::npos) {
      node.group = addr.substr(0, slash);
      addr.remove_prefix(slash + 1);
    }
    if (addr.empty()) {
      return Error(ErrorCode::kInvalidInput, "-storageNode cannot be empty");
    }
    VM_ASSIGN_OR_RETURN(node.addr, net::NormalizeAddr(addr, default_port));
    for (const auto& other : set.nodes_) {
      if (other.addr == node.addr) {
        return Error(ErrorCode::kInvalidInput,
                     fmt::format("found equal addresses of storage nodes: {}", node.addr));
      }
    }
    if (std::find(set.groups_.begin(), set.groups_.end(), node.group) == set.groups_.end()) {
      set.groups_.push_back(node.group);
    }
    set.nodes_.push_back(std::move(node));
  }
  return set;
}

}  // namespace vm::rpc
