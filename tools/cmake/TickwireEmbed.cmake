# TickwireEmbed.cmake - a file as an array of bytes in the program.
#
# As a module: tw_embed(LIBRARY FILE HEADER NAME) adds a source to LIBRARY that defines NAME[] and NAME_len.
# As a script: cmake -DFILE=.. -DHEADER=.. -DNAME=.. -DOUT=.. -P TickwireEmbed.cmake writes that source.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${FILE} bytes HEX)
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  file(WRITE ${OUT} "#include \"${HEADER}\"\nconst unsigned char ${NAME}[] = {\n${bytes}};\n"
                    "const size_t ${NAME}_len = sizeof ${NAME};\n")
  return()
endif()

set(TICKWIRE_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})

function(tw_embed library file header name)
  set(out ${CMAKE_BINARY_DIR}/generated/${name}.c)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DFILE=${CMAKE_SOURCE_DIR}/${file} -DHEADER=${header} -DNAME=${name} -DOUT=${out}
            -P ${TICKWIRE_EMBED_SCRIPT}
    DEPENDS ${CMAKE_SOURCE_DIR}/${file} ${TICKWIRE_EMBED_SCRIPT} VERBATIM)
  target_sources(${library} PRIVATE ${out})
endfunction()
