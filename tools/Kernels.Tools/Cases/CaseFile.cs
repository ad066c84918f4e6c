using System.Globalization;
using System.Text.Json;
using Kernels.Tools.Operations;

namespace Kernels.Tools.Cases;

/// <summary>A case of <c>kernels run</c>: inputs and options, checked against the operation's description.</summary>
/// <param name="Inputs">The inputs by name.</param>
/// <param name="Options">The options.</param>
/// <param name="Shift">By how many elements each tensor begins past an aligned address.</param>
internal sealed record CaseFile(IReadOnlyDictionary<string, HostTensor> Inputs, OptionValues Options, int Shift)
{
    private const int MaxShift = 63;

    // Where there are no numbers, nothing else keeps a length in bounds.
    private const int MaxEmptyLength = 4096;

    /// <summary>Reads a case.</summary>
    /// <exception cref="BadInputException">The file is not there, or not such a case; the message says what is wrong.</exception>
    internal static CaseFile Read(string path, Operation operation)
    {
        using JsonDocument document = Parse(path);
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        JsonElement root = document.RootElement;
        if (root.ValueKind != JsonValueKind.Object)
        {
            throw new BadInputException("A case is an object with 'inputs' and 'options'.");
        }

        var inputs = new Dictionary<string, HostTensor>(StringComparer.Ordinal);
        var options = new Dictionary<string, object>(StringComparer.Ordinal);
        int shift = 0;
        foreach (JsonProperty property in root.EnumerateObject())
        {
            switch (property.Name)
            {
                case "inputs":
                    ReadInputs(property.Value, operation, folder, inputs);
                    break;
                case "options":
                    ReadOptions(property.Value, operation, options);
                    break;
                case "shift":
                    shift = property.Value.ValueKind == JsonValueKind.Number && property.Value.TryGetInt32(out int places)
                        && places is >= 0 and <= MaxShift
                        ? places
                        : throw new BadInputException(
                            $"'shift' must be a whole number in [0, {MaxShift}], and is {property.Value.GetRawText()}.");
                    break;
                default:
                    throw new BadInputException($"A case has 'inputs', 'options' and 'shift', and no '{property.Name}'.");
            }
        }

        foreach (TensorSpec spec in operation.Inputs)
        {
            if (!spec.IsOptional && !inputs.ContainsKey(spec.Name))
            {
                throw new BadInputException($"The input '{spec.Name}', {spec}, is missing.");
            }
        }

        OperationContext.CheckShapes(operation, inputs, new Dictionary<string, int>(StringComparer.Ordinal));
        return new CaseFile(inputs, new OptionValues(operation.Options, options), shift);
    }

    private static JsonDocument Parse(string path)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            return JsonDocument.Parse(stream, new JsonDocumentOptions { AllowDuplicateProperties = false });
        }
        catch (JsonException e)
        {
            throw new BadInputException($"'{path}' is no valid JSON: {e.Message}", e);
        }
        catch (Exception e) when (IsFileProblem(e))
        {
            throw new BadInputException($"The case '{path}' cannot be read: {e.Message}", e);
        }
    }

    private static bool IsFileProblem(Exception e) =>
        e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException;

    private static void ReadInputs(
        JsonElement element, Operation operation, string folder, Dictionary<string, HostTensor> inputs)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw new BadInputException("'inputs' must be an object.");
        }

        foreach (JsonProperty property in element.EnumerateObject())
        {
            TensorSpec spec = operation.Inputs.FirstOrDefault(
                s => string.Equals(s.Name, property.Name, StringComparison.Ordinal))
                ?? throw new BadInputException(
                    $"{operation.Name} has no input '{property.Name}'. It has: "
                    + $"{string.Join("; ", operation.Inputs.Select(s => $"{s.Name}, {s}"))}.");
            inputs.Add(spec.Name, ReadTensor(property.Value, spec, folder));
        }
    }

    internal static HostTensor ReadTensor(JsonElement element, TensorSpec spec, string folder)
    {
        JsonElement? shape = null;
        JsonElement? data = null;
        JsonElement? npy = null;
        if (element.ValueKind == JsonValueKind.Object)
        {
            foreach (JsonProperty property in element.EnumerateObject())
            {
                switch (property.Name)
                {
                    case "shape":
                        shape = property.Value;
                        break;
                    case "data":
                        data = property.Value;
                        break;
                    case "npy":
                        npy = property.Value;
                        break;
                    default:
                        throw new BadInputException($"The input '{spec.Name}' has the unknown entry '{property.Name}'.");
                }
            }
        }

        return (shape, data, npy) switch
        {
            ({ } s, { } d, null) => InBounds(ReadData(s, d, spec), spec),
            (null, null, { } n) => InBounds(ReadNpy(n, spec, folder), spec),
            _ => throw new BadInputException(
                $"The input '{spec.Name}' must be {{\"shape\": [...], \"data\": [...]}} or {{\"npy\": \"file.npy\"}}."),
        };
    }

    private static HostTensor InBounds(HostTensor tensor, TensorSpec spec) =>
        tensor.Data.Length == 0 && Array.Find(tensor.Shape, length => length > MaxEmptyLength) is > 0 and int most
            ? throw new BadInputException(
                $"The input '{spec.Name}' is empty; its other lengths may be up to {MaxEmptyLength}, and one is {most}.")
            : tensor;

    private static HostTensor ReadData(JsonElement shapeElement, JsonElement dataElement, TensorSpec spec)
    {
        int[] shape = ReadIntegers(shapeElement, $"The shape of the input '{spec.Name}'");
        long length = 1;
        foreach (int dimension in shape)
        {
            if (dimension < 0)
            {
                throw new BadInputException($"The shape of the input '{spec.Name}' has the negative length {dimension}.");
            }

            length = Math.Min(length, int.MaxValue) * dimension;
        }

        if (dataElement.ValueKind != JsonValueKind.Array)
        {
            throw new BadInputException($"The data of the input '{spec.Name}' must be a list of numbers, row by row.");
        }

        if (dataElement.GetArrayLength() != length)
        {
            throw new BadInputException(
                $"The input '{spec.Name}' has the shape [{string.Join(", ", shape)}] and {dataElement.GetArrayLength()} "
                + "numbers.");
        }

        if (spec.Type == ElementType.Int32)
        {
            return new HostTensor(shape, ReadIntegers(dataElement, $"The data of the input '{spec.Name}'"));
        }

        var data = new float[length];
        int i = 0;
        foreach (JsonElement element in dataElement.EnumerateArray())
        {
            data[i] = ReadFloat(element, spec, i);
            i++;
        }

        return new HostTensor(shape, data);
    }

    private static float ReadFloat(JsonElement element, TensorSpec spec, int i)
    {
        if (element.ValueKind == JsonValueKind.Number)
        {
            float value = element.GetSingle();
            return float.IsFinite(value)
                ? value
                : throw new BadInputException(
                    $"Element {i} of the input '{spec.Name}', {element.GetRawText()}, does not fit float32.");
        }

        double? named = element.ValueKind == JsonValueKind.String ? JsonText.NonFinite(element.GetString()) : null;
        return named is { } nonFinite
            ? (float)nonFinite
            : throw new BadInputException(
                $"Element {i} of the input '{spec.Name}' must be a number, \"NaN\", \"Infinity\" or \"-Infinity\", and "
                + $"is {element.GetRawText()}.");
    }

    private static HostTensor ReadNpy(JsonElement element, TensorSpec spec, string folder)
    {
        if (element.ValueKind != JsonValueKind.String)
        {
            throw new BadInputException($"The npy of the input '{spec.Name}' must be the name of a file.");
        }

        string path = Path.Combine(folder, element.GetString()!);
        NpyFile file;
        try
        {
            using FileStream stream = File.OpenRead(path);
            file = NpyFile.Read(stream);
        }
        catch (Exception e) when (e is InvalidDataException || IsFileProblem(e))
        {
            throw new BadInputException($"The input '{spec.Name}', '{path}': {e.Message}", e);
        }

        Array data = (spec.Type, file.Data) switch
        {
            (ElementType.Float32, float[] floats) => floats,
            (ElementType.Float32, double[] doubles) => Array.ConvertAll(doubles, d => Narrow(d, spec)),
            (ElementType.Int32, int[] integers) => integers,
            (ElementType.Int32, long[] longs) => Array.ConvertAll(longs, l => Narrow(l, spec)),
            (ElementType.Int32, byte[] bytes) => Array.ConvertAll(bytes, b => (int)b),
            _ => throw new BadInputException(
                $"The input '{spec.Name}' must be {spec.TypeName}, and '{path}' holds {file.Type}."),
        };
        return new HostTensor(file.Shape, data);
    }

    private static float Narrow(double value, TensorSpec spec) =>
        float.IsInfinity((float)value) && double.IsFinite(value)
            ? throw new BadInputException($"{value} of the input '{spec.Name}' does not fit float32.")
            : (float)value;

    private static int Narrow(long value, TensorSpec spec) => value is >= int.MinValue and <= int.MaxValue
        ? (int)value
        : throw new BadInputException($"{value} of the input '{spec.Name}' does not fit int32.");

    private static void ReadOptions(JsonElement element, Operation operation, Dictionary<string, object> options)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw new BadInputException("'options' must be an object.");
        }

        foreach (JsonProperty property in element.EnumerateObject())
        {
            OptionSpec spec = operation.Options.FirstOrDefault(
                s => string.Equals(s.Name, property.Name, StringComparison.Ordinal))
                ?? throw new BadInputException(
                    $"{operation.Name} has no option '{property.Name}'. It has: "
                    + $"{string.Join(", ", operation.Options.Select(s => s.Name))}.");
            options.Add(spec.Name, ReadOption(property.Value, spec));
        }
    }

    private static object ReadOption(JsonElement element, OptionSpec spec)
    {
        string name = $"The option '{spec.Name}'";
        switch (spec.Type)
        {
            case OptionType.Number when element.ValueKind == JsonValueKind.Number:
                return element.GetDouble();
            case OptionType.Number when element.ValueKind == JsonValueKind.String
                && JsonText.NonFinite(element.GetString()) is { } number:
                return number;
            case OptionType.Integer when element.ValueKind == JsonValueKind.Number && element.TryGetInt64(out long whole):
                return whole;
            case OptionType.Boolean when element.ValueKind is JsonValueKind.True or JsonValueKind.False:
                return element.GetBoolean();
            case OptionType.Choice when element.ValueKind == JsonValueKind.String
                && spec.Choices!.Contains(element.GetString(), StringComparer.Ordinal):
                return element.GetString()!;
            case OptionType.Integers:
                return ReadIntegers(element, name);
            default:
                string wanted = spec.Type switch
                {
                    OptionType.Number => "a number",
                    OptionType.Integer => "a whole number",
                    OptionType.Boolean => "true or false",
                    _ => Messages.Or(spec.Choices!.Select(c => $"\"{c}\"")),
                };
                throw new BadInputException($"{name} must be {wanted}, and is {element.GetRawText()}.");
        }
    }

    private static int[] ReadIntegers(JsonElement element, string name)
    {
        if (element.ValueKind != JsonValueKind.Array)
        {
            throw new BadInputException($"{name} must be a list of whole numbers.");
        }

        var integers = new int[element.GetArrayLength()];
        int i = 0;
        foreach (JsonElement item in element.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt32(out integers[i]))
            {
                throw new BadInputException(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{name} must hold whole numbers of 32 bits; element {i} is {item.GetRawText()}."));
            }

            i++;
        }

        return integers;
    }
}
