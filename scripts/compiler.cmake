# GCC before 12.4 and 13.3 takes the stores that set up AMX's tiles for dead and leaves them out; the first long
# prompt then ends the process. On a CPU that has AMX, such a compiler may not use it.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64"
   AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 11
   AND (CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12.4
        OR (CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13 AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13.3)))
  add_compile_options(-mno-amx-tile -mno-amx-int8 -mno-amx-bf16)
endif()
