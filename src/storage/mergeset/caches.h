#pragma once

#include <vector>

#include "lib/containers/piece_cache.h"
#include "storage/mergeset/block.h"

namespace vm::mergeset {

/// What the tables of one storage share.
struct Caches {
  Caches(size_t headers_bytes, size_t blocks_bytes) : headers(headers_bytes), blocks(blocks_bytes) {}

  containers::PieceCache<std::vector<BlockHeader>> headers;  // Frames of index.bin; numbers of parts are from here.
  containers::PieceCache<ItemBlock> blocks;
};

}  // namespace vm::mergeset
