using System.Text.Json;
using Kernels.Tools.Operations;

namespace Kernels.Tools.Cases;

/// <summary>The result of <c>kernels run</c>.</summary>
internal static class ResultFile
{
    /// <summary>The result as JSON.</summary>
    internal static string Write(Operation operation, OperationContext context, TimeSpan elapsed) =>
        JsonText.Write(indented: false, json =>
        {
            json.WriteStartObject();
            json.WriteString("operation", operation.Name);
            json.WriteString("device", context.Session.Device);
            json.WriteStartObject("outputs");
            foreach ((TensorSpec spec, HostTensor tensor) in context.Outputs)
            {
                json.WriteStartObject(spec.Name);
                json.WriteStartArray("shape");
                foreach (int length in tensor.Shape)
                {
                    json.WriteNumberValue(length);
                }

                json.WriteEndArray();
                WriteData(json, tensor.Data);
                json.WriteEndObject();
            }

            json.WriteEndObject();
            json.WriteNumber("seconds", elapsed.TotalSeconds);
            json.WriteEndObject();
        });

    private static void WriteData(Utf8JsonWriter json, Array data)
    {
        json.WriteStartArray("data");
        if (data is float[] floats)
        {
            foreach (float value in floats)
            {
                JsonText.WriteNumber(json, value);
            }
        }
        else
        {
            foreach (int value in (int[])data)
            {
                json.WriteNumberValue(value);
            }
        }

        json.WriteEndArray();
    }
}
