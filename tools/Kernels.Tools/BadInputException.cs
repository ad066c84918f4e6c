namespace Kernels.Tools;

/// <summary>What the user asked for cannot be done as asked; the message says why. Exit code 2.</summary>
internal sealed class BadInputException : Exception
{
    public BadInputException() { }

    public BadInputException(string message)
        : base(message) { }

    public BadInputException(string message, Exception inner)
        : base(message, inner) { }
}
