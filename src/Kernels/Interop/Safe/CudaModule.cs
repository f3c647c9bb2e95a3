using System.Diagnostics.CodeAnalysis;

namespace CudaTrainer.Kernels.Interop;

/// <summary>Sizes of a grid or of a block.</summary>
public readonly record struct Grid(int X, int Y = 1, int Z = 1);

/// <summary>The arguments of a launch, in the order and with the types of the kernel's parameters. Lives on the stack.</summary>
public unsafe ref struct KernelArguments
{
    private const int Capacity = 32;

    private fixed ulong _values[Capacity];
    private int _count;

    /// <param name="value">At most 8 bytes.</param>
    public void Add<T>(T value)
        where T : unmanaged
    {
        if (_count == Capacity || sizeof(T) > sizeof(ulong))
        {
            ThrowTooLarge();
        }

        fixed (ulong* slot = &_values[_count++])
        {
            *(T*)slot = value;
        }
    }

    /// <summary>Calls the driver with pointers to the values.</summary>
    internal readonly int Launch(nint function, Grid blocks, Grid threads, int sharedBytes, nint stream)
    {
        void** pointers = stackalloc void*[Capacity];
        fixed (ulong* values = _values)
        {
            for (int i = 0; i < _count; i++)
            {
                pointers[i] = values + i;
            }

            return DriverApi.cuLaunchKernel(
                function, (uint)blocks.X, (uint)blocks.Y, (uint)blocks.Z, (uint)threads.X, (uint)threads.Y, (uint)threads.Z, (uint)sharedBytes, stream, pointers, null);
        }
    }

    [DoesNotReturn]
    private static void ThrowTooLarge() => throw new ArgumentException($"A launch takes up to {Capacity} arguments of up to {sizeof(ulong)} bytes.");
}

/// <summary>Compiled kernels, loaded on a device.</summary>
public sealed unsafe class CudaModule : CudaOwned
{
    private readonly string _name;
    private nint _handle;

    /// <param name="context">Where.</param>
    /// <param name="image">A cubin, or PTX with a zero at its end.</param>
    /// <param name="name">For messages.</param>
    public CudaModule(CudaContext context, byte[] image, string name)
        : base(context)
    {
        _name = name;
        Make(() =>
        {
            nint handle;
            fixed (byte* start = image)
            {
                context.Check(DriverApi.cuModuleLoadData(&handle, start), "cuModuleLoadData", name);
            }

            _handle = handle;
        });
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
}

/// <summary>A kernel on a device; it lives as long as its module.</summary>
public sealed unsafe class CudaKernel
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

    /// <summary>Of a thread.</summary>
    public int Registers { get; }

    /// <summary>Of a thread: what did not fit into registers, and arrays.</summary>
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
        _context.Check(DriverApi.cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, _function, threads, (nuint)sharedBytes), "cuOccupancyMaxActiveBlocksPerMultiprocessor", Name);
        return blocks;
    }

    public void Launch(CudaStream stream, Grid blocks, Grid threads, int sharedBytes, in KernelArguments arguments)
    {
        _context.Use();
        _context.Counters.KernelLaunches++;
        _context.Check(arguments.Launch(_function, blocks, threads, sharedBytes, stream.Handle), "cuLaunchKernel", Name);
        _context.Launched("cuLaunchKernel", Name);
    }

    /// <param name="arguments">The kernel's only parameter.</param>
    internal void Launch<TArguments>(CudaStream stream, Grid blocks, Grid threads, int sharedBytes, in TArguments arguments)
        where TArguments : unmanaged
    {
        _context.Use();
        _context.Counters.KernelLaunches++;
        fixed (TArguments* start = &arguments)
        {
            void* parameter = start;
            int result = DriverApi.cuLaunchKernel(
                _function, (uint)blocks.X, (uint)blocks.Y, (uint)blocks.Z, (uint)threads.X, (uint)threads.Y, (uint)threads.Z, (uint)sharedBytes, stream.Handle,
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
