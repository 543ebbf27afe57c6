# TickwireSchema.cmake - C++ code that flatc makes of market.fbs, for tests and benchmarks only: the engine has its own
# reader and writer. Defines TICKWIRE_FLATC (empty: compiler or headers are missing) and tickwire_market_schema.
find_program(TICKWIRE_FLATC_PROGRAM flatc)
find_path(TICKWIRE_FLATBUFFERS_INCLUDE flatbuffers/flatbuffers.h)
set(TICKWIRE_FLATC "")

if(TICKWIRE_FLATC_PROGRAM AND TICKWIRE_FLATBUFFERS_INCLUDE)
  set(TICKWIRE_FLATC ${TICKWIRE_FLATC_PROGRAM})
  set(schema ${PROJECT_SOURCE_DIR}/codecs/flatbuffers/market.fbs)
  set(generated ${PROJECT_BINARY_DIR}/generated)
  add_custom_command(OUTPUT ${generated}/market_generated.h
    COMMAND ${CMAKE_COMMAND} -E make_directory ${generated}
    COMMAND ${TICKWIRE_FLATC} --cpp --gen-object-api -o ${generated} ${schema}
    DEPENDS ${schema} VERBATIM)
  add_custom_target(tickwire_market_header DEPENDS ${generated}/market_generated.h)
  add_library(tickwire_market_schema INTERFACE)
  target_include_directories(tickwire_market_schema SYSTEM INTERFACE ${generated} ${TICKWIRE_FLATBUFFERS_INCLUDE})
  add_dependencies(tickwire_market_schema tickwire_market_header)
endif()
