# A toolchain file for a Cortex-M4F, to start from for other processors: the flags are the board's, and the library that is
# found is the one that was installed for the same target (`install.sh sdk thumbv7em-none-eabihf`).
#
#   cmake -B build -DCMAKE_TOOLCHAIN_FILE=…/cortex-m4f.cmake -DCMAKE_PREFIX_PATH=$PWD/sdk
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR cortex-m4)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_CXX_COMPILER arm-none-eabi-g++)
# A program that only tries the compiler has no start-up code to link.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(_mwt_flags "-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -ffunction-sections -fdata-sections")
set(CMAKE_C_FLAGS_INIT "${_mwt_flags}")
set(CMAKE_CXX_FLAGS_INIT "${_mwt_flags} -fno-exceptions -fno-rtti")
# Leaves out what nobody calls, the library's hook for panics with it.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,--gc-sections")
