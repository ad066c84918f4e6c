using BenchmarkDotNet.Running;
using Kernels.Perf.Support;

namespace Kernels.Perf;

internal static class Program
{
    private static void Main(string[] args)
    {
        if (args is ["pairs", ..])
        {
            Pairs.Run(args.AsSpan(1));
            return;
        }

        if (args is ["report", ..])
        {
            Report.Run(args.AsSpan(1));
            return;
        }

        string[] arguments = args.Length == 0 ? ["--filter", "*"] : args;
        BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(arguments, new PerfConfig());
    }
}
