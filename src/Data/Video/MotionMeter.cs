using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using CudaTrainer.Kernels.Cpu;

namespace CudaTrainer.Data.Video;

/// <summary>Watches one video after another as native code decodes them: from frames with time stamps to pairs with numbers.</summary>
/// <remarks>Memory is kept from video to video. One reading at a time; what is measured may be taken on another thread after it.</remarks>
internal sealed unsafe class MotionMeter : IDisposable
{
    private const double PairsASecond = 15;

    /// <summary>Pairs; the memory of a longer video is not kept for the next.</summary>
    private const int MostKept = 4096;

    private GCHandle _self;
    private (int Width, int Height) _size;
    private MotionDescriptor? _descriptor;
    private byte[] _picture = [];
    private byte[] _before = [];
    private double[] _starts = [];
    private double[] _ends = [];
    private float[] _features = [];
    private PictureStatistics[] _looks = [];
    private long _frames;
    private long _pictures;
    private double _clock;
    private double _taken;
    private volatile bool _hasRested;

    public MotionMeter() => _self = GCHandle.Alloc(this);

    /// <summary>For native code; valid until this meter is disposed of.</summary>
    public NativeVideo.Watcher Watcher => new() { State = GCHandle.ToIntPtr(_self), Wants = &Wants, Take = &Take };

    /// <summary>What went wrong while native code called; it then ended the reading.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>Pairs that motion was measured between and nobody has taken.</summary>
    public int Pairs { get; private set; }

    /// <summary>Before another video.</summary>
    public void Reset()
    {
        (_frames, _pictures, _taken, Pairs) = (0, 0, 0, 0);
        Failure = null;
        if (_starts.Length > MostKept)
        {
            (_starts, _ends, _features, _looks) = ([], [], [], []);
        }
    }

    /// <summary>The whole video in equal intervals of time: [intervals, <see cref="MotionFeatures.PerStep"/>].</summary>
    public void Steps(Span<float> steps) =>
        MotionFeatures.Steps(_starts.AsSpan(0, Pairs), _ends.AsSpan(0, Pairs), _features.AsSpan(0, Pairs * MotionFeatures.PerPair), 0,
            _taken, steps);

    /// <summary>What the pictures of the pairs look like; null without a pair.</summary>
    public PictureStatistics? Pictures => Pairs == 0 ? null : PictureStatistics.Mean(_looks.AsSpan(0, Pairs));

    /// <summary>The pair that the latest frame completes, if any. With every frame it is taken, so that memory does not grow.</summary>
    public MotionPair? TakePair()
    {
        if (Pairs == 0)
        {
            return null;
        }

        Pairs = 0;
        return new MotionPair(_starts[0], _ends[0], _features[..MotionFeatures.PerPair], _looks[0]);
    }

    /// <summary>Frames are left out from here on: motion goes on from the next one, not across what was left out.</summary>
    public void Rest() => _hasRested = true;

    public void Dispose() => _self.Free();

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Wants(nint state, NativeVideo.Glimpse* glimpse)
    {
        MotionMeter meter = (MotionMeter)GCHandle.FromIntPtr(state).Target!;

        // An exception must not cross native code.
        try
        {
            return meter.Wants(glimpse) ? 1 : 0;
        }
        catch (Exception exception)
        {
            meter.Failure = exception;
            return -1;
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Take(nint state)
    {
        MotionMeter meter = (MotionMeter)GCHandle.FromIntPtr(state).Target!;
        try
        {
            meter.Take();
            return 0;
        }
        catch (Exception exception)
        {
            meter.Failure = exception;
            return -1;
        }
    }

    private bool Wants(NativeVideo.Glimpse* glimpse)
    {
        bool isFirst = _frames++ == 0;
        _clock = glimpse->Seconds;
        if (_hasRested)
        {
            _hasRested = false;
            _pictures = 0;
        }

        // The nearest to the wished for distance: every round(rate / 15)-th frame of a constant rate.
        if (_pictures > 0 && _clock - _taken + (0.5 * glimpse->Step) < 1 / PairsASecond)
        {
            return false;
        }

        if (isFirst && (_descriptor is null || _size != (glimpse->Width, glimpse->Height)))
        {
            // The first frame decides: the size may change within a stream.
            _size = (glimpse->Width, glimpse->Height);
            _descriptor = MotionDescriptor.Create(glimpse->Width, glimpse->Height);
            _before = new byte[_descriptor.Columns * MotionDescriptor.Rows];
            _picture = GC.AllocateUninitializedArray<byte>(_before.Length, pinned: true);
        }

        (glimpse->Columns, glimpse->Rows) = (_descriptor!.Columns, MotionDescriptor.Rows);
        glimpse->Pixels = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_picture));
        return true;
    }

    private void Take()
    {
        double before = _taken;
        _taken = _clock;
        if (_pictures++ == 0)
        {
            _descriptor!.Begin(_picture);
            _picture.CopyTo(_before, 0);
            return;
        }

        if (Pairs == _starts.Length)
        {
            int capacity = Math.Max(128, 2 * Pairs);
            Array.Resize(ref _starts, capacity);
            Array.Resize(ref _ends, capacity);
            Array.Resize(ref _features, checked(capacity * MotionFeatures.PerPair));
            Array.Resize(ref _looks, capacity);
        }

        Span<float> features = _features.AsSpan(Pairs * MotionFeatures.PerPair, MotionFeatures.PerPair);
        PicturePair pair = _descriptor!.Next(_picture, _clock - before, features);
        _looks[Pairs] = pair == PicturePair.Cut ? default : PictureStatistics.Of(_picture, _before, _descriptor.Columns);
        _picture.CopyTo(_before, 0);
        if (pair == PicturePair.Cut)
        {
            return;
        }

        (_starts[Pairs], _ends[Pairs]) = (before, _clock);
        Pairs++;
    }
}
