namespace CudaTrainer.Kernels.Interop;

/// <summary>A queue of a device. Everything but <see cref="Synchronize"/> returns before it is done.</summary>
internal sealed unsafe class CudaStream : CudaOwned
{
    private bool _isCapturing;

    public CudaStream(CudaContext context)
        : base(context) => Make(() =>
    {
        nint handle;
        context.Check(DriverApi.cuStreamCreate(&handle, DriverApi.StreamNonBlocking), "cuStreamCreate");
        Handle = handle;
    });

    public nint Handle { get; private set; }

    /// <summary>Host memory to the device; page-locked, and unchanged until it is done.</summary>
    public void CopyToDevice(nint host, nint device, long bytes)
    {
        if (Begin(bytes))
        {
            Context.Check(DriverApi.cuMemcpyHtoDAsync_v2(device, host, (nuint)bytes, Handle), "cuMemcpyHtoDAsync");
        }
    }

    /// <summary>The device's memory to page-locked host memory.</summary>
    public void CopyToHost(nint device, nint host, long bytes)
    {
        if (Begin(bytes))
        {
            Context.Check(DriverApi.cuMemcpyDtoHAsync_v2(host, device, (nuint)bytes, Handle), "cuMemcpyDtoHAsync");
        }
    }

    public void CopyOnDevice(nint source, nint destination, long bytes)
    {
        if (Begin(bytes))
        {
            Context.Check(DriverApi.cuMemcpyDtoDAsync_v2(destination, source, (nuint)bytes, Handle), "cuMemcpyDtoDAsync");
        }
    }

    /// <summary>Copies from another device's memory to this stream's device; without peer access by way of the host.</summary>
    public void CopyFromPeer(nint source, CudaContext peer, nint destination, long bytes)
    {
        if (Begin(bytes))
        {
            Context.Check(DriverApi.cuMemcpyPeerAsync(destination, Context.Handle, source, peer.Handle, (nuint)bytes, Handle),
                "cuMemcpyPeerAsync");
        }
    }

    public void Fill(nint destination, byte value, long bytes)
    {
        Context.Use();
        if (bytes > 0)
        {
            Context.Counters.Fills++;
            Context.Check(DriverApi.cuMemsetD8Async(destination, value, (nuint)bytes, Handle), "cuMemsetD8Async");
        }
    }

    /// <summary>The event stands for everything queued here so far.</summary>
    public void Record(CudaEvent place)
    {
        Context.Use();
        Context.Check(DriverApi.cuEventRecord(place.Handle, Handle), "cuEventRecord");
    }

    /// <summary>What is queued here from now on begins after the event, which may be of another stream or device.</summary>
    public void Wait(CudaEvent place)
    {
        Context.Use();
        Context.Check(DriverApi.cuStreamWaitEvent(Handle, place.Handle, 0), "cuStreamWaitEvent");
    }

    public void Synchronize()
    {
        Context.Use();
        Context.Counters.HostWaits++;
        Context.Check(DriverApi.cuStreamSynchronize(Handle), "cuStreamSynchronize");
    }

    /// <summary>From now on work is recorded instead of done, until <see cref="EndCapture"/>.</summary>
    public void BeginCapture()
    {
        Context.Use();
        Context.Check(DriverApi.cuStreamBeginCapture_v2(Handle, DriverApi.CaptureModeRelaxed), "cuStreamBeginCapture");
        _isCapturing = true;
        Context.Captures++;
    }

    /// <exception cref="CudaException">Something that cannot be recorded was called in between; the stream works again.</exception>
    public CudaGraph EndCapture()
    {
        nint graph;
        Context.Use();
        Ended();
        Context.Check(DriverApi.cuStreamEndCapture(Handle, &graph), "cuStreamEndCapture");
        return new CudaGraph(Context, graph);
    }

    /// <summary>Ends a capture whose recording failed. Never throws.</summary>
    public void AbandonCapture()
    {
        nint graph = 0;
        Ended();
        if (Context.Enter() && DriverApi.cuStreamEndCapture(Handle, &graph) == DriverApi.Success && graph != 0)
        {
            Context.Note(DriverApi.cuGraphDestroy(graph), "cuGraphDestroy");
        }
    }

    private protected override void Release()
    {
        Ended();
        if (Handle != 0)
        {
            Context.Note(DriverApi.cuStreamDestroy_v2(Handle), "cuStreamDestroy");
        }
    }

    private void Ended()
    {
        Context.Captures -= _isCapturing ? 1 : 0;
        _isCapturing = false;
    }

    private bool Begin(long bytes)
    {
        Context.Use();
        if (bytes <= 0)
        {
            return false;
        }

        Context.Counters.Copies++;
        Context.Counters.CopiedBytes += bytes;
        return true;
    }
}

/// <summary>A place in a stream.</summary>
internal sealed unsafe class CudaEvent : CudaOwned
{
    /// <param name="context">The context of the streams that record it.</param>
    /// <param name="timing">Whether <see cref="MillisecondsSince"/> works; without, it costs less.</param>
    public CudaEvent(CudaContext context, bool timing = false)
        : base(context) => Make(() =>
    {
        nint handle;
        context.Check(DriverApi.cuEventCreate(&handle, timing ? 0 : DriverApi.EventDisableTiming), "cuEventCreate");
        Handle = handle;
    });

    /// <summary>Everything in front of it is done.</summary>
    public bool HasPassed
    {
        get
        {
            Context.Use();
            int result = DriverApi.cuEventQuery(Handle);
            if (result == DriverApi.ErrorNotReady)
            {
                return false;
            }

            Context.Check(result, "cuEventQuery");
            return true;
        }
    }

    internal nint Handle { get; private set; }

    /// <summary>Waits for everything in front of it.</summary>
    public void Synchronize()
    {
        Context.Use();
        Context.Counters.HostWaits++;
        Context.Check(DriverApi.cuEventSynchronize(Handle), "cuEventSynchronize");
    }

    /// <summary>Time between two events that have passed, both made with timing.</summary>
    public float MillisecondsSince(CudaEvent start)
    {
        float milliseconds;
        Context.Use();
        Context.Check(DriverApi.cuEventElapsedTime(&milliseconds, start.Handle, Handle), "cuEventElapsedTime");
        return milliseconds;
    }

    private protected override void Release()
    {
        if (Handle != 0)
        {
            Context.Note(DriverApi.cuEventDestroy_v2(Handle), "cuEventDestroy");
        }
    }
}

/// <summary>Captured work, ready to be launched.</summary>
internal sealed unsafe class CudaGraph : CudaOwned
{
    private nint _executable;

    internal CudaGraph(CudaContext context, nint graph)
        : base(context) => Make(() =>
    {
        try
        {
            nuint count;
            context.Check(DriverApi.cuGraphGetNodes(graph, null, &count), "cuGraphGetNodes");
            NodeCount = (int)count;
            nint executable;
            context.Check(DriverApi.cuGraphInstantiateWithFlags(&executable, graph, 0), "cuGraphInstantiate");
            _executable = executable;
        }
        finally
        {
            context.Note(DriverApi.cuGraphDestroy(graph), "cuGraphDestroy");
        }
    });

    /// <summary>Kernels, copies and fills.</summary>
    public int NodeCount { get; private set; }

    public void Launch(CudaStream stream)
    {
        Context.Use();
        Context.Counters.GraphLaunches++;
        Context.Check(DriverApi.cuGraphLaunch(_executable, stream.Handle), "cuGraphLaunch");
        Context.Launched("cuGraphLaunch", kernel: null);
    }

    private protected override void Release()
    {
        if (_executable != 0)
        {
            Context.Note(DriverApi.cuGraphExecDestroy(_executable), "cuGraphExecDestroy");
        }
    }
}
