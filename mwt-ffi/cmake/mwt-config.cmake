# find_package(mwt) gives mwt::mwt, a static library with its header.
get_filename_component(_mwt_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET mwt::mwt)
  add_library(mwt::mwt STATIC IMPORTED)
  set(_mwt_library "${_mwt_prefix}/lib/libmwt.a")
  if(NOT EXISTS "${_mwt_library}")
    set(_mwt_library "${_mwt_prefix}/lib/mwt.lib")
  endif()
  set_target_properties(mwt::mwt PROPERTIES
    IMPORTED_LOCATION "${_mwt_library}"
    INTERFACE_INCLUDE_DIRECTORIES "${_mwt_prefix}/include")
  # What Rust's library needs of a system; without one it needs nothing.
  if(WIN32)
    set_property(TARGET mwt::mwt PROPERTY INTERFACE_LINK_LIBRARIES ws2_32 userenv ntdll bcrypt)
  elseif(UNIX)
    set_property(TARGET mwt::mwt PROPERTY INTERFACE_LINK_LIBRARIES m pthread dl)
  elseif(CMAKE_SYSTEM_NAME STREQUAL "Generic" AND CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
    # Leaves out what nobody calls, the library's hook for panics with it.
    set_property(TARGET mwt::mwt PROPERTY INTERFACE_LINK_OPTIONS -Wl,--gc-sections)
  endif()
  unset(_mwt_library)
endif()
unset(_mwt_prefix)
