# TickwireInstall.cmake - cmake --install: programs, library, headers, pkg-config and CMake files, configurations, schema,
# examples, manual. Nothing in it names the prefix, so an installed copy may be moved.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# Manual pages: section 3 from the headers, section 1 from what the programs say of themselves.
function(tw_manual)
  find_package(Python3 COMPONENTS Interpreter)
  if(NOT Python3_FOUND OR CMAKE_CROSSCOMPILING)
    message(STATUS "no manual pages: they are made with python3 and the programs, on the machine itself")
    return()
  endif()
  set(folder ${PROJECT_BINARY_DIR}/manual)
  file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/tickwire/*.h)
  set(api ${PROJECT_SOURCE_DIR}/tools/public_api.py)
  add_custom_command(OUTPUT ${folder}/api.stamp
    COMMAND ${CMAKE_COMMAND} -E rm -rf ${folder}/man3 ${folder}/reference
    COMMAND Python3::Interpreter ${api} man ${folder}/man3
    COMMAND Python3::Interpreter ${api} reference ${folder}/reference
    COMMAND ${CMAKE_COMMAND} -E touch ${folder}/api.stamp
    DEPENDS ${api} ${headers} VERBATIM COMMENT "Making the reference of the C API")
  set(pages ${folder}/api.stamp)
  # Programs with sanitizers do not run everywhere, and nobody installs them.
  foreach(program engine bot tw)
    if(TARGET ${program} AND NOT TICKWIRE_SANITIZE)
      add_custom_command(OUTPUT ${folder}/man1/${program}.1
        COMMAND Python3::Interpreter ${api} program $<TARGET_FILE:${program}> ${folder}/man1/${program}.1
        DEPENDS ${api} ${program} VERBATIM COMMENT "Making ${program}(1)")
      list(APPEND pages ${folder}/man1/${program}.1)
    endif()
  endforeach()
  add_custom_target(manual ALL DEPENDS ${pages})
  install(DIRECTORY ${folder}/man1 ${folder}/man3 DESTINATION ${CMAKE_INSTALL_MANDIR})
  install(DIRECTORY ${folder}/reference DESTINATION ${CMAKE_INSTALL_DOCDIR})
endfunction()

# tickwire.pc links the shared library where there is one, tickwire-static.pc the archive and all that it needs.
function(tw_pkgconfig)
  file(RELATIVE_PATH TICKWIRE_PC_PREFIX /p/${CMAKE_INSTALL_LIBDIR}/pkgconfig /p)
  set(TICKWIRE_PC_EXTERNAL "")
  foreach(folder ${TICKWIRE_EXTERNAL_FOLDERS})
    string(APPEND TICKWIRE_PC_EXTERNAL " -L${folder}")
  endforeach()
  foreach(name ${TICKWIRE_EXTERNAL})
    string(APPEND TICKWIRE_PC_EXTERNAL " -l${name}")
  endforeach()
  foreach(name tickwire tickwire-static)
    configure_file(tools/cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  endforeach()
endfunction()

function(tw_cmake_package)
  set(folder ${CMAKE_INSTALL_LIBDIR}/cmake/Tickwire)
  set(TICKWIRE_SHARED_FILE
    ${CMAKE_SHARED_LIBRARY_PREFIX}tickwire${CMAKE_SHARED_LIBRARY_SUFFIX}.${PROJECT_VERSION})
  set(TICKWIRE_SONAME ${CMAKE_SHARED_LIBRARY_PREFIX}tickwire${CMAKE_SHARED_LIBRARY_SUFFIX}.${PROJECT_VERSION_MAJOR})
  if(APPLE)
    set(TICKWIRE_SHARED_FILE libtickwire.${PROJECT_VERSION}.dylib)
    set(TICKWIRE_SONAME @rpath/libtickwire.${PROJECT_VERSION_MAJOR}.dylib)
  endif()
  set(TICKWIRE_STATIC_FILE ${CMAKE_STATIC_LIBRARY_PREFIX}tickwire${CMAKE_STATIC_LIBRARY_SUFFIX})
  configure_package_config_file(tools/cmake/TickwireConfig.cmake.in ${PROJECT_BINARY_DIR}/TickwireConfig.cmake
    INSTALL_DESTINATION ${folder} PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/TickwireConfigVersion.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/TickwireConfig.cmake ${PROJECT_BINARY_DIR}/TickwireConfigVersion.cmake
    DESTINATION ${folder})
endfunction()

function(tw_install)
  tw_external_libraries()
  install(TARGETS tickwire tickwire_static
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  foreach(program engine bot tw)
    if(TARGET ${program})
      install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    endif()
  endforeach()
  install(DIRECTORY include/tickwire DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)
  install(DIRECTORY configs DESTINATION ${CMAKE_INSTALL_DATADIR}/tickwire)
  install(FILES codecs/flatbuffers/market.fbs DESTINATION ${CMAKE_INSTALL_DATADIR}/tickwire)
  install(DIRECTORY examples/embed DESTINATION ${CMAKE_INSTALL_DATADIR}/tickwire/examples)
  tw_pkgconfig()
  tw_cmake_package()
  tw_manual()
endfunction()
