namespace CudaTrainer.Bench.Compare;

/// <summary>The other engines, each at its best setting, and where their scripts and packages lie.</summary>
internal static class Peers
{
    /// <summary>Debian's Python, which Debian's PyTorch belongs to.</summary>
    private const string Python = "/usr/bin/python3";

    /// <summary>
    /// PyTorch's and OpenBLAS's threads spin when they wait, and on few cores take them from each other: GOMP_SPINCOUNT=0 makes PyTorch up
    /// to twice as fast here. An override of OpenBLAS's kernel choice would spoil the comparison.
    /// </summary>
    private static readonly Dictionary<string, string?> PythonEnvironment = new()
    {
        ["GOMP_SPINCOUNT"] = "0",
        ["OPENBLAS_CORETYPE"] = null,
        ["OMP_NUM_THREADS"] = null,
    };

    private static readonly string Scripts = Path.Combine(Repository.Root, "bench", "compare", "peers");

    /// <summary>Where scripts/peers.sh puts npm packages.</summary>
    private static readonly string NodeModules = Path.Combine(Repository.Root, "artifacts", "peers", "node_modules");

    public static Peer? StartPython(string script, out string reason, params string[] arguments) =>
        Announce(script, Peer.Start(Python, out reason, PythonEnvironment, [Path.Combine(Scripts, script), .. arguments]), reason);

    public static Peer? StartNode(string script, out string reason, params string[] arguments) =>
        Announce(script, Peer.Start("node", out reason, new Dictionary<string, string?> { ["NODE_PATH"] = NodeModules },
            [Path.Combine(Scripts, script), .. arguments]), reason);

    private static Peer? Announce(string script, Peer? peer, string reason)
    {
        Console.WriteLine(peer is null ? $"skipped {script}: {reason}" : $"peer: {peer.Version}");
        return peer;
    }
}

/// <summary>The checkout this program was built from.</summary>
internal static class Repository
{
    public static string Root { get; } = Find();

    private static string Find()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "CudaTrainer.sln")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException("bench must run inside a checkout: it starts ./cudatrainer and the scripts of bench/compare.");
    }
}
