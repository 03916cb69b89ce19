#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <functional>

#include "lib/base/result.h"
#include "lib/net/runtime.h"

namespace vm::select {

/// Run `work(worker, begin, end)` for batches that cover 0..count: worker 0 on the thread of the caller, up to
/// `workers` - 1 others on `pool`; goes on on the executor of the caller. Calls of one worker follow each other in the
/// order of their batches. After the first error no further batch starts. A worker of the pool goes back to the end of
/// its queue every few milliseconds, so a big query does not shut out small ones. `work` must not throw and is called
/// concurrently.
boost::asio::awaitable<Status> ForEachBatch(net::Pool& pool, size_t workers, size_t count, size_t batch_size,
                                            std::function<Status(size_t worker, size_t begin, size_t end)> work);

}  // namespace vm::select
