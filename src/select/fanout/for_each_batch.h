#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <functional>

#include "lib/base/result.h"
#include "lib/net/runtime.h"

namespace vm::select {

/// Run `work(worker, begin, end)` for batches that cover 0..count, on up to `workers` threads of `pool`; resumes on the
/// executor of the caller. Calls of one worker, numbered from 0, follow each other in the order of their batches. After
/// the first error no further batch starts. A worker goes back to the end of the pool's queue every few milliseconds, so
/// a big query does not shut out small ones. `work` must not throw and is called concurrently.
boost::asio::awaitable<Status> ForEachBatch(net::Pool& pool, size_t workers, size_t count, size_t batch_size,
                                            std::function<Status(size_t worker, size_t begin, size_t end)> work);

}  // namespace vm::select
