#include "lib/net/drop_pending.h"

#include <boost/asio/io_context.hpp>

#include "lib/base/check.h"

namespace vm::net {
namespace {

/// Destroying an io_context would do the same, and make an end of the executors that others hold.
struct Shutdown : asio::io_context {
  static void Run(asio::io_context& context) { (context.*(&Shutdown::shutdown))(); }
};

}  // namespace

void DropPending(Runtime& runtime) {
  const asio::any_io_executor executor = runtime.executor();
  const auto* const of_context = executor.target<asio::io_context::executor_type>();
  VM_CHECK(of_context != nullptr);
  Shutdown::Run(of_context->context());
}

}  // namespace vm::net
