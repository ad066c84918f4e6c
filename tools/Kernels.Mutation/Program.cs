namespace Kernels.Mutation;

internal static class Program
{
    private static int Main(string[] arguments) => MutationCommand.Run(arguments, Console.Out, Console.Error);
}
