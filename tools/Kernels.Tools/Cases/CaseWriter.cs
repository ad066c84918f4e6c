using System.Text.Json;
using Kernels.References.Fuzzing;

namespace Kernels.Tools.Cases;

/// <summary>Writes a case as <c>kernels run</c> reads it.</summary>
internal static class CaseWriter
{
    /// <summary>The case as JSON; an option that is an empty list is left out, as if it were not given.</summary>
    internal static string Write(FuzzCase given) => JsonText.Write(indented: false, json =>
    {
        json.WriteStartObject();
        json.WriteStartObject("inputs");
        foreach ((string name, FuzzTensor tensor) in given.Inputs)
        {
            json.WriteStartObject(name);
            WriteIntegers(json, "shape", tensor.Shape);
            if (tensor.Data is float[] floats)
            {
                json.WriteStartArray("data");
                Array.ForEach(floats, x => JsonText.WriteNumber(json, x));
                json.WriteEndArray();
            }
            else
            {
                WriteIntegers(json, "data", tensor.Integers);
            }

            json.WriteEndObject();
        }

        json.WriteEndObject();
        json.WriteStartObject("options");
        foreach ((string name, object value) in given.Options)
        {
            WriteOption(json, name, value);
        }

        json.WriteEndObject();
        if (given.Shift != 0)
        {
            json.WriteNumber("shift", given.Shift);
        }

        json.WriteEndObject();
    });

    private static void WriteOption(Utf8JsonWriter json, string name, object value)
    {
        switch (value)
        {
            case double number:
                json.WritePropertyName(name);
                JsonText.WriteNumber(json, number);
                break;
            case long whole:
                json.WriteNumber(name, whole);
                break;
            case bool yes:
                json.WriteBoolean(name, yes);
                break;
            case string word:
                json.WriteString(name, word);
                break;
            case int[] { Length: > 0 } integers:
                WriteIntegers(json, name, integers);
                break;
            default:
                break;
        }
    }

    private static void WriteIntegers(Utf8JsonWriter json, string name, IEnumerable<int> integers)
    {
        json.WriteStartArray(name);
        foreach (int integer in integers)
        {
            json.WriteNumberValue(integer);
        }

        json.WriteEndArray();
    }
}
