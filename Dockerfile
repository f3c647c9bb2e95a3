# The program as an image: docker build --tag cudatrainer . ; with --build-arg VARIANT=cuda for NVIDIA GPUs. docs/install.md says how to run
# it; scripts/check-container.sh runs these steps where there is no container engine.
#
# .NET and CUDA are copied from their makers' images, which are of Ubuntu and others: FFmpeg's libraries must be of one release where the
# program is built and where it runs, and that of Debian 12 is the one that is tested.
ARG VARIANT=cpu

FROM mcr.microsoft.com/dotnet/sdk:10.0 AS sdk
FROM mcr.microsoft.com/dotnet/aspnet:10.0 AS dotnet

FROM debian:12-slim AS build
COPY --from=sdk /usr/share/dotnet /usr/share/dotnet
RUN ln -s /usr/share/dotnet/dotnet /usr/local/bin/dotnet
ENV DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libssl3 libstdc++6 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
# What it installs changes less often than the program.
COPY scripts/common.sh scripts/setup.sh scripts/
RUN scripts/setup.sh
COPY .editorconfig Directory.Build.props Directory.Packages.props global.json LICENSE ./
COPY native native
COPY packaging packaging
COPY scripts scripts
COPY src src
# The commit, which --version prints: --build-arg REVISION=$(git rev-parse HEAD). MSBuild reads it from the environment.
ARG REVISION=
RUN SourceRevisionId="$REVISION" scripts/build.sh && DESTDIR=/image scripts/install.sh

FROM debian:12-slim AS cpu
# Besides FFmpeg's libraries: HDF5 reads Keras's .h5 files, and openmpi-bin would train across processes.
ARG OPTIONAL_PACKAGES=libhdf5-103-1
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        libavcodec59 libavformat59 libavutil57 libswscale6 libssl3 libstdc++6 $OPTIONAL_PACKAGES \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --home-dir /data --shell /usr/sbin/nologin cudatrainer
COPY --from=dotnet /usr/share/dotnet /usr/share/dotnet
COPY --from=build /image/usr/local /usr/local
# Without the files of debuggers and profilers in /tmp a read-only file system will do.
ENV DOTNET_EnableDiagnostics=0
USER 10001:10001
WORKDIR /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["/usr/local/lib/cudatrainer/health.sh"]
ENTRYPOINT ["cudatrainer"]
CMD ["serve", "--host", "0.0.0.0"]

# cuBLAS, cuDNN and NCCL; the driver comes from the machine, by NVIDIA's container toolkit.
FROM nvidia/cuda:12.6.3-cudnn-runtime-ubuntu22.04 AS nvidia
RUN mkdir /libraries && cp -a /usr/local/cuda/lib64/libcublas.so.* /usr/local/cuda/lib64/libcublasLt.so.* \
    /usr/lib/x86_64-linux-gnu/libcudnn*.so.* /usr/lib/x86_64-linux-gnu/libnccl.so.* /libraries

FROM cpu AS cuda
USER root
COPY --from=nvidia /libraries /usr/local/cuda/lib64
RUN echo /usr/local/cuda/lib64 >/etc/ld.so.conf.d/cuda.conf && ldconfig
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001

FROM ${VARIANT}
