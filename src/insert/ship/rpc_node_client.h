#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "insert/shard/shard.h"
#include "insert/ship/node_client.h"
#include "lib/rpc/insert_conn.h"

namespace vm::insert {

/// The NodeClient of a storage node: `address` is host:port. Strand-confined to the Shipper's executor.
std::unique_ptr<NodeClient> MakeRpcNodeClient(std::string address, RowKind kind,
                                              rpc::InsertConnOptions options);

}  // namespace vm::insert
