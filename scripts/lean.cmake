# Read after llama.cpp's own project() call. Its "common" library serves the command-line tools and the
# server, neither of which we use; without it the build takes about a third of the time.
set(LLAMA_BUILD_COMMON OFF)
include(${CMAKE_CURRENT_LIST_DIR}/compiler.cmake)

# A suggestion takes its time in ggml. The library llama, two thirds of the rest of the build, only prepares
# ggml's work: less optimization and one reading of the standard headers save four tenths of its time.
function(turbopilot_compile_llama_faster)
  if(NOT MSVC)
    target_compile_options(llama PRIVATE -O1)
  endif()
  target_precompile_headers(llama PRIVATE <algorithm> <array> <cmath> <cstring> <fstream> <functional> <map> <memory>
                            <regex> <set> <sstream> <string> <unordered_map> <vector>)
endfunction()
cmake_language(DEFER CALL turbopilot_compile_llama_faster)
