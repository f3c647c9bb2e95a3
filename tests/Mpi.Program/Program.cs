using System.Globalization;
using CudaTrainer.Mpi.Program;
using CudaTrainer.Training.Parallel;

// What a rank of the tests under mpirun does:
//   check            everything that world and ring promise; the last line of each rank is its tally
//   loss HOW RANK    how a run ends when one rank is lost
//   speed            times of all-reduces
using var world = MpiWorld.Open();
switch (args[0])
{
    case "check":
        var check = new Checker(world);
        WorldCheck.Run(world, check);
        RingCheck.Run(world, check);
        world.Finish();
        check.That("after its end the world refuses", WorldCheck.Throws<MpiException>(world.Barrier));
        Console.WriteLine($"rank {world.Rank} of {world.Size}: {check.Passed} right, {check.Failed} wrong");
        return check.Failed == 0 ? 0 : 1;
    case "loss":
        return LossCheck.Run(world, args[1], int.Parse(args[2], CultureInfo.InvariantCulture));
    case "speed":
        SpeedCheck.Run(world);
        world.Finish();
        return 0;
    default:
        Console.WriteLine($"unknown mode {args[0]}");
        return 2;
}
