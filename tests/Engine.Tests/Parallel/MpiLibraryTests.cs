using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Engine.Tests.Parallel;

public sealed class MpiLibraryTests
{
    [Fact]
    public void A_library_that_does_not_load_is_explained_path_by_path()
    {
        (MpiApi? api, string detail) = MpiWorld.Load(["/nowhere/libcudatrainer_mpi.so", "libc.so.6"]);
        api.ShouldBeNull();
        detail.ShouldContain("/nowhere/libcudatrainer_mpi.so (");
        detail.ShouldContain("libc.so.6 (");
        detail.ShouldContain("ctm_");
        detail.ShouldContain("libopenmpi-dev");
        detail.ShouldContain(MpiWorld.PathVariable);
    }
}
