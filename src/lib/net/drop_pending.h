#pragma once

#include "lib/net/runtime.h"

namespace vm::net {

/// Destroy the coroutines of a Runtime that have not ended; else they live as long as it does: longer than what they use. After its Stop
/// and after the pools, which hand theirs back, have been stopped: nothing else may use it meanwhile. Its timers and sockets may still
/// be destroyed afterwards.
void DropPending(Runtime& runtime);

}  // namespace vm::net
