using System.Text.Json.Nodes;

namespace CudaTrainer.Bench.Gpu;

/// <summary>What was measured, for programs: one JSON object, written anew whenever something is added, so that what a crash interrupts is
/// kept.</summary>
internal sealed class GpuFindings(string? path)
{
    private readonly JsonObject _all = [];

    public void Set(string name, JsonNode? value)
    {
        _all[name] = value;
        Save();
    }

    public void Add(string list, JsonObject row)
    {
        if (_all[list] is not JsonArray rows)
        {
            _all[list] = rows = [];
        }

        rows.Add((JsonNode)row);
        Save();
    }

    private void Save()
    {
        if (path is not null)
        {
            File.WriteAllText(path, _all.ToJsonString());
        }
    }
}
