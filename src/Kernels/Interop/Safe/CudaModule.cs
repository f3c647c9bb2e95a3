using System.Text;

namespace CudaTrainer.Kernels.Interop;

/// <summary>Sizes of a grid or of a block.</summary>
internal readonly record struct Grid(int X, int Y = 1, int Z = 1);

/// <summary>Kernels that the driver has compiled from PTX and loaded on a device.</summary>
internal sealed unsafe class CudaModule : CudaOwned
{
    /// <summary>The size of each of the driver's logs; the driver cuts what is longer.</summary>
    private const int LogBytes = 8 << 10;

    private readonly string _name;
    private nint _handle;

    /// <param name="context">Where.</param>
    /// <param name="ptx">The kernels as text.</param>
    /// <param name="name">What messages call it.</param>
    /// <exception cref="CudaException">The driver refuses it; the message has the log of the driver's compiler.</exception>
    public CudaModule(CudaContext context, string ptx, string name)
        : base(context)
    {
        _name = name;
        Make(() => _handle = Load(context, ptx, name));
    }

    /// <param name="name">Its C name.</param>
    /// <exception cref="CudaException">The module has no such kernel.</exception>
    public CudaKernel GetKernel(string name)
    {
        nint function;
        Context.Use();
        Context.Check(DriverApi.cuModuleGetFunction(&function, _handle, name), "cuModuleGetFunction", $"{name} of {_name}");
        return new CudaKernel(Context, function, name);
    }

    private protected override void Release()
    {
        if (_handle != 0)
        {
            Context.Note(DriverApi.cuModuleUnload(_handle), "cuModuleUnload");
        }
    }

    private static nint Load(CudaContext context, string ptx, string name)
    {
        byte[] image = Encoding.UTF8.GetBytes(ptx + '\0'), info = new byte[LogBytes + 1], error = new byte[LogBytes + 1];
        fixed (byte* start = image, infoLog = info, errorLog = error)
        {
            // Sizes stand in the array of values itself, which the driver overwrites with how much it has written.
            int* options = stackalloc int[]
            {
                DriverApi.JitInfoLogBuffer, DriverApi.JitInfoLogBufferBytes, DriverApi.JitErrorLogBuffer, DriverApi.JitErrorLogBufferBytes,
            };
            void** values = stackalloc void*[] { infoLog, (void*)LogBytes, errorLog, (void*)LogBytes };
            nint handle;
            int result = DriverApi.cuModuleLoadDataEx(&handle, start, 4, options, values);
            return result == DriverApi.Success
                ? handle
                : throw context.Failed(CudaException.FromDriver(result, "cuModuleLoadDataEx", context.Ordinal, name, LogOf(error, info)));
        }
    }

    /// <summary>Errors first, then what else was noticed on the way to them.</summary>
    private static string LogOf(params byte[][] logs) =>
        string.Join(Environment.NewLine,
            logs.Select(log => Encoding.UTF8.GetString(log).TrimEnd('\0').Trim()).Where(text => text.Length > 0));
}

/// <summary>A kernel on a device; it lives as long as its module.</summary>
internal sealed unsafe class CudaKernel
{
    private readonly CudaContext _context;
    private readonly nint _function;

    internal CudaKernel(CudaContext context, nint function, string name)
    {
        _context = context;
        _function = function;
        Name = name;
        Registers = Attribute(DriverApi.FunctionRegisters);
        LocalBytes = Attribute(DriverApi.FunctionLocalBytes);
        StaticSharedBytes = Attribute(DriverApi.FunctionSharedBytes);
        MaxThreads = Attribute(DriverApi.FunctionMaxThreads);
    }

    public string Name { get; }

    /// <summary>Registers of a thread.</summary>
    public int Registers { get; }

    /// <summary>Local memory of a thread: what did not fit into registers, and arrays.</summary>
    public int LocalBytes { get; }

    public int StaticSharedBytes { get; }

    /// <summary>The largest block that it can be launched with.</summary>
    public int MaxThreads { get; }

    /// <summary>Asks for more dynamic shared memory than the 48 KiB that every kernel may use.</summary>
    /// <exception cref="CudaException">The device has not so much.</exception>
    public void AllowShared(int bytes)
    {
        _context.Use();
        _context.Check(DriverApi.cuFuncSetAttribute(_function, DriverApi.FunctionMaxDynamicShared, bytes), "cuFuncSetAttribute", Name);
    }

    /// <summary>Blocks that run at once on one multiprocessor.</summary>
    public int BlocksPerMultiprocessor(int threads, int sharedBytes)
    {
        int blocks;
        _context.Use();
        _context.Check(DriverApi.cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, _function, threads, (nuint)sharedBytes),
            "cuOccupancyMaxActiveBlocksPerMultiprocessor", Name);
        return blocks;
    }

    /// <param name="blocks">Blocks in each dimension.</param>
    /// <param name="threads">Threads of a block in each dimension.</param>
    /// <param name="sharedBytes">Dynamic shared memory of a block.</param>
    /// <param name="arguments">
    /// The kernel's only parameter: as many bytes as it declares, which a <see cref="Device.GpuKernel{TArguments}"/> sees to.
    /// </param>
    public void Launch<TArguments>(CudaStream stream, Grid blocks, Grid threads, int sharedBytes, in TArguments arguments)
        where TArguments : unmanaged
    {
        _context.Use();
        _context.Counters.KernelLaunches++;
        fixed (TArguments* start = &arguments)
        {
            void* parameter = start;
            int result = DriverApi.cuLaunchKernel(
                _function, (uint)blocks.X, (uint)blocks.Y, (uint)blocks.Z, (uint)threads.X, (uint)threads.Y, (uint)threads.Z,
                (uint)sharedBytes, stream.Handle,
                &parameter, null);
            _context.Check(result, "cuLaunchKernel", Name);
        }

        _context.Launched("cuLaunchKernel", Name);
    }

    private int Attribute(int attribute)
    {
        int value;
        _context.Check(DriverApi.cuFuncGetAttribute(&value, attribute, _function), "cuFuncGetAttribute", Name);
        return value;
    }
}
