#!/usr/bin/env bash
# Builds the native libraries into artifacts/native and the CUDA simulator into artifacts/cudasim. Quick when nothing has changed.
source "$(dirname "$0")/common.sh"

configure() { cmake -S native -B artifacts/native-build -DCMAKE_BUILD_TYPE=Release; }

mpi=artifacts/native/libcudatrainer_mpi.so
hdf5=artifacts/native/libcudatrainer_hdf5.so
hdf5_appeared() { [ ! -e $hdf5 ] && { pkg-config --exists hdf5-serial || pkg-config --exists hdf5; }; }
mpi_appeared() { [ ! -e $mpi ] && command -v mpicc >/dev/null; }

if [ ! -f artifacts/native-build/CMakeCache.txt ] || [ native/CMakeLists.txt -nt artifacts/native-build/CMakeCache.txt ] || mpi_appeared || hdf5_appeared; then
    say "building native libraries"
    # A build folder from elsewhere, or from before a package was installed, is made anew.
    quietly artifacts/native-configure.log configure 2>/dev/null || {
        rm -rf artifacts/native-build
        quietly artifacts/native-configure.log configure
    }
fi
quietly artifacts/native-build.log cmake --build artifacts/native-build
[ -e $mpi ] || say "no MPI development files (Debian: libopenmpi-dev): built without training across processes"
[ -e $hdf5 ] || say "no HDF5 development files (Debian: libhdf5-dev): built without reading Keras .h5 files"
