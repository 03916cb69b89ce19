#pragma once

#include <string>
#include <vector>

namespace vm::select {

/// What one node did for a request with a trace.
struct NodeTrace {
  std::string addr;
  std::string rpc_name;
  double duration_ms = 0;
  std::string error;  // Empty when all went well.
  std::string json;   // What the node says itself; may be empty.
};

/// The nodes of one call. Written by Fanout before the call returns.
struct CallTrace {
  std::vector<NodeTrace> nodes;
};

}  // namespace vm::select
