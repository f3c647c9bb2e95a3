namespace CudaTrainer.Kernels.Interop;

/// <summary>Which numbers of a gate.</summary>
internal enum LstmWeights
{
    /// <summary>[hidden, inputs].</summary>
    Input,

    /// <summary>[hidden, hidden].</summary>
    Hidden,

    /// <summary>[hidden].</summary>
    Bias,
}

/// <summary>
/// One unidirectional LSTM layer of one size by cuDNN's v8 interface (in versions 8 and 9), from zero state, on [batch, time, ·] sequences
/// of equal length. Weights lie in cuDNN's own weight space; <see cref="OffsetOf"/> tells where. Gates are i, f, g, o, in both.
/// </summary>
internal sealed unsafe class CudnnLstm : CudaOwned
{
    private const int Gates = 4;

    private readonly CudnnHandle _cudnn;
    private readonly long[] _offsets = new long[3 * Gates];
    private nint _dropout;
    private nint _rnn;
    private nint _x;
    private nint _y;
    private nint _state;

    /// <summary>[batch] Int32 on the device, all <c>time</c>: versions before 8.9.1 require it.</summary>
    private nint _lengths;

    /// <param name="cudnn">Runs the layer on its stream.</param>
    /// <param name="type">The type of sequences, weights and gradients; sums are in single precision.</param>
    public CudnnLstm(CudnnHandle cudnn, int batch, int time, int inputs, int hidden, CudaType type)
        : base(cudnn.Context)
    {
        _cudnn = cudnn;
        (Inputs, HiddenUnits) = (inputs, hidden);
        Make(() => Describe(cudnn, batch, time, type));
    }

    public int Inputs { get; }

    public int HiddenUnits { get; }

    /// <summary>Bytes of the weights in cuDNN's layout, and of their gradients.</summary>
    public long WeightSpaceBytes { get; private set; }

    /// <summary>Bytes of scratch memory.</summary>
    public long WorkspaceBytes { get; private set; }

    /// <summary>Bytes that the forward pass leaves for the backward pass.</summary>
    public long ReserveBytes { get; private set; }

    /// <summary>Where in the weight space a gate's numbers begin, in bytes.</summary>
    /// <param name="gate">0 to 3: i, f, g, o.</param>
    public long OffsetOf(int gate, LstmWeights what) => _offsets[(gate * 3) + (int)what];

    /// <param name="x">[batch, time, inputs].</param>
    /// <param name="y">[batch, time, hidden], overwritten.</param>
    public void Forward(nint x, nint y, nint weightSpace, nint workspace, nint reserve)
    {
        Context.Use();
        _cudnn.Queued(
            CudnnApi.cudnnRNNForward(
                _cudnn.Handle, _rnn, CudnnApi.ForwardTraining, _lengths, _x, x, _y, y, _state, 0, 0, _state, 0, 0, (nuint)WeightSpaceBytes,
                weightSpace, (nuint)WorkspaceBytes, workspace,
                (nuint)ReserveBytes, reserve),
            "cudnnRNNForward");
    }

    /// <summary>The gradient of x; must come before <see cref="BackwardWeights"/>.</summary>
    /// <param name="dx">[batch, time, inputs], overwritten.</param>
    public void BackwardData(nint y, nint dy, nint dx, nint weightSpace, nint workspace, nint reserve)
    {
        Context.Use();
        _cudnn.Queued(
            CudnnApi.cudnnRNNBackwardData_v8(
                _cudnn.Handle, _rnn, _lengths, _y, y, dy, _x, dx, _state, 0, 0, 0, _state, 0, 0, 0, (nuint)WeightSpaceBytes, weightSpace,
                (nuint)WorkspaceBytes, workspace, (nuint)ReserveBytes,
                reserve),
            "cudnnRNNBackwardData_v8");
    }

    /// <param name="dWeightSpace">Laid out as the weights; added to.</param>
    public void BackwardWeights(nint x, nint y, nint dWeightSpace, nint workspace, nint reserve)
    {
        Context.Use();
        _cudnn.Queued(
            CudnnApi.cudnnRNNBackwardWeights_v8(
                _cudnn.Handle, _rnn, CudnnApi.WeightGradientAdd, _lengths, _x, x, _state, 0, _y, y, (nuint)WeightSpaceBytes, dWeightSpace,
                (nuint)WorkspaceBytes, workspace, (nuint)ReserveBytes,
                reserve),
            "cudnnRNNBackwardWeights_v8");
    }

    private protected override void Release()
    {
        CudnnHandle.Destroy(_rnn, &CudnnApi.cudnnDestroyRNNDescriptor);
        CudnnHandle.Destroy(_dropout, &CudnnApi.cudnnDestroyDropoutDescriptor);
        CudnnHandle.Destroy(_x, &CudnnApi.cudnnDestroyRNNDataDescriptor);
        CudnnHandle.Destroy(_y, &CudnnApi.cudnnDestroyRNNDataDescriptor);
        CudnnHandle.Destroy(_state, &CudnnApi.cudnnDestroyTensorDescriptor);
        if (_lengths != 0)
        {
            Context.Free(_lengths);
        }
    }

    private void Describe(CudnnHandle cudnn, int batch, int time, CudaType type)
    {
        int data = CudnnHandle.TypeOf(type);
        nint dropout, rnn, x, y, state;
        cudnn.Check(CudnnApi.cudnnCreateDropoutDescriptor(&dropout), "cudnnCreateDropoutDescriptor");
        _dropout = dropout;
        cudnn.Check(CudnnApi.cudnnSetDropoutDescriptor(dropout, cudnn.Handle, 0, 0, 0, 0), "cudnnSetDropoutDescriptor");
        cudnn.Check(CudnnApi.cudnnCreateRNNDescriptor(&rnn), "cudnnCreateRNNDescriptor");
        _rnn = rnn;
        cudnn.Check(
            CudnnApi.cudnnSetRNNDescriptor_v8(
                rnn, CudnnApi.RnnAlgorithmStandard, CudnnApi.RnnLstm, CudnnApi.RnnSingleInputBias, CudnnApi.RnnUnidirectional,
                CudnnApi.RnnLinearInput, data, CudnnApi.DataFloat,
                type == CudaType.Float16 ? CudnnApi.MathTensorOp : CudnnApi.MathFma, Inputs, HiddenUnits, HiddenUnits, 1, dropout,
                CudnnApi.RnnPaddedIo),
            "cudnnSetRNNDescriptor_v8");
        int[] lengths = [.. Enumerable.Repeat(time, batch)];
        fixed (int* start = lengths)
        {
            cudnn.Check(CudnnApi.cudnnCreateRNNDataDescriptor(&x), "cudnnCreateRNNDataDescriptor");
            _x = x;
            cudnn.Check(CudnnApi.cudnnSetRNNDataDescriptor(x, data, CudnnApi.RnnBatchMajorUnpacked, time, batch, Inputs, start, null),
                "cudnnSetRNNDataDescriptor");
            cudnn.Check(CudnnApi.cudnnCreateRNNDataDescriptor(&y), "cudnnCreateRNNDataDescriptor");
            _y = y;
            cudnn.Check(CudnnApi.cudnnSetRNNDataDescriptor(y, data, CudnnApi.RnnBatchMajorUnpacked, time, batch, HiddenUnits, start, null),
                "cudnnSetRNNDataDescriptor");
        }

        // h and c: [layers, batch, hidden].
        cudnn.Check(CudnnApi.cudnnCreateTensorDescriptor(&state), "cudnnCreateTensorDescriptor");
        _state = state;
        int* shape = stackalloc int[] { 1, batch, HiddenUnits };
        int* strides = stackalloc int[] { batch * HiddenUnits, HiddenUnits, 1 };
        cudnn.Check(CudnnApi.cudnnSetTensorNdDescriptor(state, data, 3, shape, strides), "cudnnSetTensorNdDescriptor");

        nuint weights, workspace, reserve;
        cudnn.Check(CudnnApi.cudnnGetRNNWeightSpaceSize(cudnn.Handle, rnn, &weights), "cudnnGetRNNWeightSpaceSize");
        cudnn.Check(CudnnApi.cudnnGetRNNTempSpaceSizes(cudnn.Handle, rnn, CudnnApi.ForwardTraining, x, &workspace, &reserve),
            "cudnnGetRNNTempSpaceSizes");
        (WeightSpaceBytes, WorkspaceBytes, ReserveBytes) = ((long)weights, (long)workspace, (long)reserve);
        CopyToDevice(lengths);
        FindWeights(data);
    }

    private void CopyToDevice(int[] lengths)
    {
        long bytes = sizeof(int) * (long)lengths.Length;
        _lengths = Context.TryAllocate(bytes);
        Context.Check(_lengths == 0 ? DriverApi.ErrorOutOfMemory : DriverApi.Success, "cuMemAlloc");
        using PinnedMemory host = Context.AllocatePinned(bytes);
        lengths.CopyTo(new Span<int>((void*)host.Pointer, lengths.Length));
        _cudnn.Stream.CopyToDevice(host.Pointer, _lengths, bytes);
        _cudnn.Stream.Synchronize();
    }

    /// <summary>
    /// Asks cuDNN where each gate's numbers lie. It wants a weight space for that, which it does not read: any address on the device will
    /// do.
    /// </summary>
    private void FindWeights(int data)
    {
        nint matrix = 0, bias = 0, space = Context.TryAllocate(WeightSpaceBytes);
        Context.Check(space == 0 ? DriverApi.ErrorOutOfMemory : DriverApi.Success, "cuMemAlloc");
        try
        {
            _cudnn.Check(CudnnApi.cudnnCreateTensorDescriptor(&matrix), "cudnnCreateTensorDescriptor");
            _cudnn.Check(CudnnApi.cudnnCreateTensorDescriptor(&bias), "cudnnCreateTensorDescriptor");
            FindWeights(data, space, matrix, bias);
        }
        finally
        {
            Context.Free(space);
            CudnnHandle.Destroy(matrix, &CudnnApi.cudnnDestroyTensorDescriptor);
            CudnnHandle.Destroy(bias, &CudnnApi.cudnnDestroyTensorDescriptor);
        }
    }

    private void FindWeights(int data, nint space, nint matrix, nint bias)
    {
        // Linear layers 0 to 3 multiply the input and carry the only bias, 4 to 7 multiply the state.
        for (int layer = 0; layer < 2 * Gates; layer++)
        {
            nint matrixAddress, biasAddress;
            _cudnn.Check(
                CudnnApi.cudnnGetRNNWeightParams(_cudnn.Handle, _rnn, 0, (nuint)WeightSpaceBytes, space, layer, matrix, &matrixAddress,
                    bias, &biasAddress), "cudnnGetRNNWeightParams");
            RequireMatrix(matrix, data, layer < Gates ? Inputs : HiddenUnits);
            _offsets[(layer % Gates * 3) + (int)(layer < Gates ? LstmWeights.Input : LstmWeights.Hidden)] = matrixAddress - space;
            if (layer < Gates)
            {
                _offsets[(layer * 3) + (int)LstmWeights.Bias] = biasAddress - space;
            }
        }
    }

    /// <summary>
    /// We copy matrices as contiguous [hidden, columns], which cuDNN describes as 1×hidden×columns; should a version lay them out
    /// otherwise, it must not pass unnoticed.
    /// </summary>
    private void RequireMatrix(nint descriptor, int data, int columns)
    {
        int type, dimensions;
        int* lengths = stackalloc int[3];
        int* strides = stackalloc int[3];
        _cudnn.Check(CudnnApi.cudnnGetTensorNdDescriptor(descriptor, 3, &type, &dimensions, lengths, strides),
            "cudnnGetTensorNdDescriptor");
        if (type != data || dimensions != 3 || lengths[0] != 1 || lengths[1] != HiddenUnits || lengths[2] != columns)
        {
            throw new CudaException(
                "cudnnGetRNNWeightParams", 0, "cuDNN",
                $"a weight matrix of {lengths[0]}×{lengths[1]}×{lengths[2]} elements where {HiddenUnits}×{columns} were expected",
                Context.Ordinal, kernel: null,
                isSticky: false);
        }
    }
}
