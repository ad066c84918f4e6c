namespace Kernels.Tools;

internal static class Program
{
    private static void Main() { }
}
