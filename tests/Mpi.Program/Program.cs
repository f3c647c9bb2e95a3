using CudaTrainer.Mpi.Program;
using CudaTrainer.Kernels.Interop;

// What a rank of the tests under mpirun does. The last line of each rank's output is its tally.
using var world = MpiWorld.Open();
var check = new Checker(world);
switch (args[0])
{
    case "check":
        WorldCheck.Run(world, check);
        RingCheck.Run(world, check);
        world.Finish();
        check.That("after its end the world refuses", WorldCheck.Throws<MpiException>(world.Barrier));
        Console.WriteLine($"rank {world.Rank} of {world.Size}: {check.Passed} right, {check.Failed} wrong");
        return check.Failed == 0 ? 0 : 1;
    default:
        Console.WriteLine($"unknown mode {args[0]}");
        return 2;
}
