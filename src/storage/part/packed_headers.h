#pragma once

#include <span>
#include <vector>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/model/block_header.h"

namespace vm::storage {

/// Append `headers`, sorted by TSID, in a form for memory alone: what differs from the header before, in some 16 bytes a
/// header and a fifth of the time that the frames of index.bin take.
void PackBlockHeaders(ByteBuffer& dst, std::span<const model::BlockHeader> headers);
/// The other way; `headers` are replaced by `count` ones. Errors: kCorrupted.
Status UnpackBlockHeaders(ByteView src, size_t count, std::vector<model::BlockHeader>& headers);

}  // namespace vm::storage
