/* The peer of bench scaling: MPI's own MPI_Allreduce, checked and timed as the engine's ring is. Arguments: sizes in bytes, each followed by how often it is run in one timing.
   Prints "@allreduce BYTES fp32 SECONDS". */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reduce(float *values, int count)
{
    MPI_Allreduce(MPI_IN_PLACE, values, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    int rank, size;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (int i = 1; i + 1 < argc; i += 2) {
        int bytes = atoi(argv[i]), repetitions = atoi(argv[i + 1]), count = bytes / (int)sizeof(float);
        float *values = aligned_alloc(64, ((size_t)bytes + 63) / 64 * 64);
        for (int k = 0; k < count; k++)
            values[k] = (float)(k % 256 + rank);
        reduce(values, count);
        for (int k = 0; k < count; k++)
            if (values[k] != (float)(size * (k % 256) + size * (size - 1) / 2)) {
                fprintf(stderr, "wrong sum of %d bytes at %d\n", bytes, k);
                MPI_Abort(MPI_COMM_WORLD, 1);
            }
        memset(values, 0, (size_t)bytes);
        for (int k = 0; k < 2; k++)
            reduce(values, count);
        MPI_Barrier(MPI_COMM_WORLD);
        double began = MPI_Wtime();
        for (int k = 0; k < repetitions; k++)
            reduce(values, count);
        if (rank == 0)
            printf("@allreduce %d fp32 %.9g\n", bytes, (MPI_Wtime() - began) / repetitions);
        free(values);
    }
    MPI_Finalize();
    return 0;
}
