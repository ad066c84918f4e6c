namespace Kernels.References.Fuzzing;

/// <summary>The inputs and options that an operation is run with; a case never changes.</summary>
/// <remarks>The same as a case of <c>kernels run</c>: an option is a double, long, bool, string or int[].</remarks>
/// <param name="inputs">The inputs by name.</param>
/// <param name="options">All options by name, those among them that are the default.</param>
public sealed class FuzzCase(IReadOnlyDictionary<string, FuzzTensor> inputs, IReadOnlyDictionary<string, object> options)
{
    /// <summary>The inputs by name.</summary>
    public IReadOnlyDictionary<string, FuzzTensor> Inputs { get; } = inputs ?? throw new ArgumentNullException(nameof(inputs));

    /// <summary>The options by name.</summary>
    public IReadOnlyDictionary<string, object> Options { get; } = options ?? throw new ArgumentNullException(nameof(options));

    /// <summary>
    /// By how many elements each tensor begins past an aligned address, where an implementation is given memory; others
    /// need not mind.
    /// </summary>
    public int Shift { get; private init; }

    /// <summary>How many elements the inputs have together.</summary>
    public long Elements => Inputs.Values.Sum(tensor => (long)tensor.Data.Length);

    /// <summary>Whether the case has an input; some operations can do without one.</summary>
    /// <param name="input">Its name.</param>
    /// <returns>Whether it is there.</returns>
    public bool Has(string input) => Inputs.ContainsKey(input);

    /// <summary>The numbers of an input, row by row; not to be changed.</summary>
    /// <param name="input">Its name.</param>
    /// <returns>The numbers.</returns>
    public float[] Floats(string input) => Inputs[input].Floats;

    /// <summary>The integers of an input, row by row; not to be changed.</summary>
    /// <param name="input">Its name.</param>
    /// <returns>The integers.</returns>
    public int[] Integers(string input) => Inputs[input].Integers;

    /// <summary>The length of a dimension of an input.</summary>
    /// <param name="input">Its name.</param>
    /// <param name="dimension">The dimension, the first is 0.</param>
    /// <returns>The length.</returns>
    public int Length(string input, int dimension = 0) => Inputs[input].Shape[dimension];

    /// <summary>An option that is a number.</summary>
    /// <param name="option">Its name.</param>
    /// <returns>The number.</returns>
    public double Number(string option) => (double)Options[option];

    /// <summary>An option that is a whole number.</summary>
    /// <param name="option">Its name.</param>
    /// <returns>The number.</returns>
    public int Whole(string option) => checked((int)(long)Options[option]);

    /// <summary>An option that is true or false.</summary>
    /// <param name="option">Its name.</param>
    /// <returns>The option.</returns>
    public bool Boolean(string option) => (bool)Options[option];

    /// <summary>An option that is a word.</summary>
    /// <param name="option">Its name.</param>
    /// <returns>The word.</returns>
    public string Choice(string option) => (string)Options[option];

    /// <summary>The case with another input, or one more.</summary>
    internal FuzzCase With(string input, FuzzTensor tensor) =>
        new(new Dictionary<string, FuzzTensor>(Inputs, StringComparer.Ordinal) { [input] = tensor }, Options) { Shift = Shift };

    /// <summary>The case without an input that an operation can do without.</summary>
    internal FuzzCase Without(string input) => new(
        Inputs.Where(given => !string.Equals(given.Key, input, StringComparison.Ordinal))
            .ToDictionary(given => given.Key, given => given.Value, StringComparer.Ordinal),
        Options)
    {
        Shift = Shift,
    };

    /// <summary>The case with another value of an option.</summary>
    internal FuzzCase WithOption(string option, object value) =>
        new(Inputs, new Dictionary<string, object>(Options, StringComparer.Ordinal) { [option] = value }) { Shift = Shift };

    /// <summary>The case with tensors that begin elsewhere.</summary>
    /// <param name="shift">By how many elements past an aligned address.</param>
    /// <returns>The case.</returns>
    public FuzzCase At(int shift) => shift == Shift ? this : new FuzzCase(Inputs, Options) { Shift = shift };

    /// <summary>Cases without a half, a quarter, ..., one of what lies along dimensions that are equally long.</summary>
    /// <param name="places">The dimensions; those of inputs that the case does not have are left out.</param>
    internal IEnumerable<FuzzCase> Shorter(params (string Input, int Dimension)[] places)
    {
        (string Input, int Dimension)[] found = [.. places.Where(place => Has(place.Input))];
        int length = found.Length == 0 ? 0 : Length(found[0].Input, found[0].Dimension);
        for (int count = (length + 1) / 2; count > 0; count /= 2)
        {
            for (int first = 0; first + count <= length && length > 1; first += count)
            {
                FuzzCase shorter = this;
                foreach ((string input, int dimension) in found)
                {
                    shorter = shorter.With(input, shorter.Inputs[input].Without(dimension, first, count));
                }

                yield return shorter;
            }
        }
    }
}
