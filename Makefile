# Everything a fresh machine needs: `make demo` and `make test` set up, build and run by themselves.
.DEFAULT_GOAL := build
.PHONY: help setup build demo test test-all crash-test fuzz hunt install pack gpu-kit gpu-check bench study ptxas format clean

help:      ## What each target does
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

setup:     ## Install the Debian packages that are missing (FFmpeg, CMake, a C compiler, MPI, HDF5)
	@scripts/setup.sh

build: setup ## Build everything; leaves ./cudatrainer
	@scripts/build.sh

demo: build ## Make a small data set, train on it and predict unseen clips
	@./cudatrainer demo

test:      ## Build and run every test; ends with "N passed, N failed"
	@scripts/test.sh

test-all: build ## test, the slow tests, every SIMD level, a few kills and full disks, the GPU kit, the service, the samples and the format check
	@scripts/crash-test.sh 2
	@scripts/hunt.sh full 150000
	@scripts/test.sh --all

hunt: build ## One of the other hunts of docs/reliability.md: KIND="faults", "kills 60", "serve 30", "soak 120" …
	@scripts/hunt.sh $(KIND)

install: build ## Install program, completion, manual page and service into PREFIX=/usr/local (docs/install.md); as root
	@scripts/install.sh $(PREFIX)

pack: setup ## NuGet packages of the libraries and of the command line (docs/library.md); into artifacts/packages
	@scripts/pack.sh

gpu-kit: setup ## Make artifacts/cudatrainer-gpu-kit.tar.xz, which checks a machine with an NVIDIA GPU without network or SDK
	@scripts/gpu-kit.sh

gpu-check: gpu-kit ## The whole check on this machine's GPU: tests, gradients, benchmarks, training; writes gpu-report.md
	@artifacts/gpu-kit/gpu-check.sh

crash-test: build ## Kill extraction and training at 20 random moments each; results must be identical
	@scripts/crash-test.sh 2
	@scripts/hunt.sh full 1500000

fuzz:      ## Change the inputs of every reader at random for MINUTES=10 and look for crashes; 1 if there are any
	@scripts/setup.sh --fuzz
	@scripts/fuzz.sh

bench: build ## Time every kernel and compare with other engines (half an hour); tables in bench/results
	@scripts/bench.sh

study: build ## Repeat the study of docs/ablation.md on DATASET=folder of clips (an hour); results in study/
	@scripts/study.sh "$(DATASET)"

ptxas:     ## Unpack NVIDIA's assembler and headers (Debian non-free, 860 MB) into artifacts/nvidia for test-all
	@scripts/ptxas.sh

format:    ## Bring the code into the project's format
	@dotnet format CudaTrainer.sln

clean:     ## Remove everything that was built
	@rm -rf artifacts cudatrainer
