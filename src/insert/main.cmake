add_executable(vminsert ${CMAKE_CURRENT_LIST_DIR}/main.cc ${CMAKE_CURRENT_LIST_DIR}/flags.cc)
target_link_libraries(vminsert PRIVATE vm_insert_http vm_insert_listen vm_insert_ship vm_insert_relabel vm_rpc vm_daemon vm_flags
                      vm_log vm_net vm_hash vm_sys fmt::fmt)
