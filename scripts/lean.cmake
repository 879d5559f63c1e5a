# Read after llama.cpp's own project() call. Its "common" library serves the command-line tools and the
# server, neither of which we use; without it the build takes about a third of the time.
set(LLAMA_BUILD_COMMON OFF)
include(${CMAKE_CURRENT_LIST_DIR}/compiler.cmake)
