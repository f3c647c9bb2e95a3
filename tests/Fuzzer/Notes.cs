using System.IO.MemoryMappedFiles;

namespace CudaTrainer.Fuzzer;

/// <summary>
/// What a worker leaves in a file that outlives it, whatever ends it: how far it came, and the input that it is at. Writing there takes
/// no call of the system.
/// </summary>
internal sealed class Notes : IDisposable
{
    private const int Executions = 0, NewInputs = 8, Findings = 16, Branches = 24, Length = 32, Input = 40;
    private const int Capacity = 1 << 22;

    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;

    public Notes(string path)
    {
        _file = MemoryMappedFile.CreateFromFile(path, FileMode.OpenOrCreate, null, Capacity);
        _view = _file.CreateViewAccessor();
    }

    public (long Executions, long NewInputs, long Findings, long Branches) Counts =>
        (_view.ReadInt64(Executions), _view.ReadInt64(NewInputs), _view.ReadInt64(Findings), _view.ReadInt64(Branches));

    public byte[] Current
    {
        get
        {
            byte[] input = new byte[Math.Clamp(_view.ReadInt64(Length), 0, Capacity - Input)];
            _view.ReadArray(Input, input, 0, input.Length);
            return input;
        }
    }

    public void Begin(byte[] input)
    {
        int length = Math.Min(input.Length, Capacity - Input);
        _view.Write(Length, (long)length);
        _view.WriteArray(Input, input, 0, length);
    }

    public void Count(long executions, long newInputs, long findings, long branches)
    {
        _view.Write(Executions, executions);
        _view.Write(NewInputs, newInputs);
        _view.Write(Findings, findings);
        _view.Write(Branches, branches);
    }

    public void Dispose()
    {
        _view.Dispose();
        _file.Dispose();
    }
}
