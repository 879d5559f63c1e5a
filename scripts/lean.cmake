# Read after llama.cpp's own project() call. Its "common" library serves the command-line tools and the
# server, neither of which we use; without it the build takes about a third of the time.
set(LLAMA_BUILD_COMMON OFF)
include(${CMAKE_CURRENT_LIST_DIR}/compiler.cmake)

# A suggestion takes its time in ggml. The library llama, two thirds of the rest of the build, only prepares
# ggml's work: less optimization and one reading of the standard headers save a third of its time. Files with
# std::regex stay as they are: it is recursive, and with -O1, a long run of one character overflows the stack.
function(turbopilot_compile_llama_faster)
  set(with_regex llama-grammar llama-model llama-model-loader llama-quant llama-sampler unicode)
  list(TRANSFORM with_regex PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/src/)
  list(TRANSFORM with_regex APPEND .cpp)
  if(NOT MSVC)
    target_compile_options(llama PRIVATE -O1)
    set_source_files_properties(${with_regex} TARGET_DIRECTORY llama PROPERTIES COMPILE_OPTIONS -O3
                                SKIP_PRECOMPILE_HEADERS ON)
  endif()
  target_precompile_headers(llama PRIVATE <algorithm> <array> <cmath> <cstring> <fstream> <functional> <map> <memory>
                            <set> <sstream> <string> <unordered_map> <vector>)
endfunction()
cmake_language(DEFER CALL turbopilot_compile_llama_faster)
