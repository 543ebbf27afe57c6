# TickwireLibrary.cmake - libtickwire, shared and static, of the objects of every subsystem's library.
# An embedding program brings its own allocator: jemalloc is linked to the engine's programs only.

# tw_public_library(): targets tickwire (shared) and tickwire_static, both in build/PRESET/lib.
function(tw_public_library)
  set(objects "")
  set(libraries "")
  foreach(library ${TICKWIRE_LIBRARIES})
    get_target_property(type ${library} TYPE)
    if(type STREQUAL "STATIC_LIBRARY")
      list(APPEND objects $<TARGET_OBJECTS:${library}>)
      list(APPEND libraries ${library})
    endif()
  endforeach()
  list(REVERSE libraries)
  add_library(tickwire SHARED ${objects})
  add_library(tickwire_static STATIC ${objects})
  # The subsystems' libraries add nothing to the objects but what those need from outside.
  target_link_libraries(tickwire PRIVATE ${libraries})
  set_target_properties(tickwire tickwire_static PROPERTIES
    OUTPUT_NAME tickwire LINKER_LANGUAGE CXX
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
  set_target_properties(tickwire PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
  set(exports ${CMAKE_SOURCE_DIR}/tools/cmake)
  if(APPLE)
    target_link_options(tickwire PRIVATE -Wl,-exported_symbols_list,${exports}/tickwire.exports)
    set_target_properties(tickwire PROPERTIES LINK_DEPENDS ${exports}/tickwire.exports)
  else()
    target_link_options(tickwire PRIVATE -Wl,--version-script=${exports}/tickwire.map -Wl,--as-needed)
    if(NOT TICKWIRE_SANITIZE)
      target_link_options(tickwire PRIVATE -Wl,--no-undefined)
    endif()
    set_target_properties(tickwire PROPERTIES LINK_DEPENDS ${exports}/tickwire.map)
  endif()
endfunction()
