// Namespaces that bench/ still names; nothing is in them any more. Directory.Build.props says when this file goes.
#pragma warning disable IDE0161
namespace CudaTrainer.Engine.Backends
{
    internal static class Former;
}

namespace CudaTrainer.Engine.Backends.Cpu
{
    internal static class Former;
}

namespace CudaTrainer.Engine.Backends.Cuda
{
    internal static class Former;
}

namespace CudaTrainer.Engine.Backends.Reference
{
    internal static class Former;
}
