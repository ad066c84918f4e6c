using Kernels.Tools.Benchmarks;

namespace Kernels.Tools.Operations;

/// <summary>An operation of <c>kernels run</c>: its inputs, outputs and options as data, and how it is done.</summary>
internal abstract class Operation
{
    /// <summary>As in <c>optimizers/adam</c>.</summary>
    internal abstract string Name { get; }

    /// <summary>One line for people.</summary>
    internal abstract string Summary { get; }

    /// <summary>What a case gives.</summary>
    internal abstract IReadOnlyList<TensorSpec> Inputs { get; }

    /// <summary>What comes back.</summary>
    internal abstract IReadOnlyList<TensorSpec> Outputs { get; }

    /// <summary>What a case may set.</summary>
    internal abstract IReadOnlyList<OptionSpec> Options { get; }

    /// <summary>Computes the outputs on the context's session.</summary>
    /// <exception cref="ArgumentException">The library refuses an option or a shape.</exception>
    internal abstract void Run(OperationContext context);
}

/// <summary>The inputs and options of one run, and its outputs.</summary>
internal sealed class OperationContext
{
    private readonly Operation _operation;
    private readonly IReadOnlyDictionary<string, HostTensor> _inputs;
    private readonly Dictionary<string, HostTensor> _outputs = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _lengths = new(StringComparer.Ordinal);

    internal OperationContext(
        Session session, Operation operation, IReadOnlyDictionary<string, HostTensor> inputs, OptionValues options, int shift)
    {
        Shift = shift;
        Session = session;
        _operation = operation;
        _inputs = inputs;
        Options = options;
        CheckShapes(operation, inputs, _lengths);
    }

    internal Session Session { get; }

    internal OptionValues Options { get; }

    /// <summary>By how many elements each tensor begins past an aligned address.</summary>
    internal int Shift { get; }

    /// <summary>Measures calls, where that is asked for.</summary>
    internal Meter? Meter { get; init; }

    /// <summary>Puts a call of the operation on the stream: once, or again and again where it is measured.</summary>
    /// <param name="cost">What it must do at least.</param>
    /// <param name="launch">The call; must give the same work when repeated.</param>
    /// <param name="part">Which call it is, where there are several.</param>
    internal void Launch(Cost cost, Action launch, string part = "")
    {
        if (Meter is null)
        {
            launch();
        }
        else
        {
            Meter.Measure(part, cost, launch);
        }
    }

    /// <summary>The outputs so far, in the operation's order.</summary>
    internal IEnumerable<(TensorSpec Spec, HostTensor Tensor)> Outputs =>
        _operation.Outputs.Where(s => _outputs.ContainsKey(s.Name)).Select(s => (s, _outputs[s.Name]));

    /// <summary>The length that a symbol of the shapes stands for.</summary>
    internal int Length(string symbol) => _lengths[symbol];

    internal bool Has(string input) => _inputs.ContainsKey(input);

    internal int[] ShapeOf(string input) => _inputs[input].Shape;

    internal float[] Floats(string input) => (float[])_inputs[input].Data;

    internal int[] Integers(string input) => (int[])_inputs[input].Data;

    /// <summary>Gives an output whose shape follows from the symbols, or is given.</summary>
    internal void Output(string name, Array data, params int[] shape)
    {
        TensorSpec spec = _operation.Outputs.Single(s => string.Equals(s.Name, name, StringComparison.Ordinal));
        if (shape.Length == 0)
        {
            shape = [.. spec.Shape.Select(s => int.TryParse(s, out int fixedLength) ? fixedLength : _lengths[s])];
        }

        _outputs.Add(name, new HostTensor(shape, data));
    }

    /// <summary>Every input has the shape of its description, with one length for each symbol.</summary>
    internal static void CheckShapes(
        Operation operation, IReadOnlyDictionary<string, HostTensor> inputs, Dictionary<string, int> lengths)
    {
        foreach (TensorSpec spec in operation.Inputs)
        {
            if (!inputs.TryGetValue(spec.Name, out HostTensor? tensor))
            {
                continue;
            }

            string shape = $"[{string.Join(", ", tensor.Shape)}]";
            if (tensor.Shape.Length != spec.Shape.Count)
            {
                throw new BadInputException(
                    $"The input '{spec.Name}' must have the shape [{string.Join(", ", spec.Shape)}], and has {shape}.");
            }

            for (int i = 0; i < tensor.Shape.Length; i++)
            {
                string symbol = spec.Shape[i];
                int length = tensor.Shape[i];
                int wanted = int.TryParse(symbol, out int number) ? number : lengths.GetValueOrDefault(symbol, length);
                if (length != wanted)
                {
                    throw new BadInputException(
                        $"The input '{spec.Name}' must have the shape [{string.Join(", ", spec.Shape)}] with "
                        + $"{symbol} = {wanted}, and has {shape}.");
                }

                lengths[symbol] = length;
            }
        }
    }
}
