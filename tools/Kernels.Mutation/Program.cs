namespace Kernels.Mutation;

internal static class Program
{
    private static int Main(string[] arguments) => arguments is [Judge.Command, ..]
        ? Judge.Run(arguments)
        : MutationCommand.Run(arguments, Console.Out, Console.Error);
}
