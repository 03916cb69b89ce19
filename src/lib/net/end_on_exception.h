#pragma once

#include <exception>
#include <string>

namespace vm::net {

/// For completion handlers: end the process with the text of `failure`, unless it is null. An exception that leaves a coroutine is a
/// bug; `task` says where.
void EndOnException(const std::exception_ptr& failure, const std::string& task);

}  // namespace vm::net
