add_executable(vmstorage main.cc flags.cc)
target_link_libraries(vmstorage PRIVATE vm_storage_server vm_storage_engine vm_daemon vm_flags vm_log
                      vm_sys)
