using System.CommandLine;
using System.Text.Json;
using Kernels.Tools.Operations;

namespace Kernels.Tools.Commands;

/// <summary><c>kernels list</c>: the operations and the device kernels.</summary>
internal static class ListCommand
{
    internal static Command Create(TextWriter output)
    {
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command(
            "list", "Lists the operations of 'kernels run' with inputs, outputs and options, and the device kernels.")
        {
            json,
        };
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(json))
            {
                WriteJson(output);
            }
            else
            {
                WriteText(output);
            }

            return CommandLine.Success;
        });
        return command;
    }

    private static void WriteText(TextWriter output)
    {
        output.WriteLine("Operations, for 'kernels run <operation> --case case.json':");
        foreach (Operation operation in OperationCatalog.All)
        {
            output.WriteLine();
            output.WriteLine(operation.Name);
            output.WriteLine($"    {operation.Summary}");
            WriteTensors(output, "in ", operation.Inputs);
            WriteTensors(output, "out", operation.Outputs);
            foreach (OptionSpec option in operation.Options)
            {
                string type = option.Choices is null ? option.TypeName : string.Join("|", option.Choices);
                string standard = option.Default is null ? "" : $" = {DefaultText(option)}";
                output.WriteLine($"    opt {$"{option.Name}: {type}{standard}",-40} {option.Meaning}");
            }
        }

        output.WriteLine();
        output.WriteLine("Kernels on the device:");
        foreach (KernelEntry kernel in OperationCatalog.Kernels())
        {
            output.WriteLine($"    {kernel.Id,-44} {kernel.Type}.{kernel.Method}");
        }
    }

    private static void WriteTensors(TextWriter output, string direction, IReadOnlyList<TensorSpec> tensors)
    {
        foreach (TensorSpec tensor in tensors)
        {
            string text = $"{tensor.Name}: {tensor}{(tensor.IsOptional ? " (optional)" : "")}";
            output.WriteLine($"    {direction} {text,-40} {tensor.Meaning}");
        }
    }

    private static string DefaultText(OptionSpec option) => option.Default switch
    {
        bool flag => flag ? "true" : "false",
        double number => number.ToString("R"),
        var other => other!.ToString()!,
    };

    private static void WriteJson(TextWriter output) => output.WriteLine(JsonText.Write(indented: true, json =>
    {
        json.WriteStartObject();
        json.WriteStartArray("operations");
        foreach (Operation operation in OperationCatalog.All)
        {
            json.WriteStartObject();
            json.WriteString("name", operation.Name);
            json.WriteString("summary", operation.Summary);
            WriteTensors(json, "inputs", operation.Inputs);
            WriteTensors(json, "outputs", operation.Outputs);
            json.WriteStartArray("options");
            foreach (OptionSpec option in operation.Options)
            {
                WriteOption(json, option);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("kernels");
        foreach (KernelEntry kernel in OperationCatalog.Kernels())
        {
            json.WriteStartObject();
            json.WriteString("id", kernel.Id);
            json.WriteString("class", kernel.Type);
            json.WriteString("method", kernel.Method);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }));

    private static void WriteTensors(Utf8JsonWriter json, string name, IReadOnlyList<TensorSpec> tensors)
    {
        json.WriteStartArray(name);
        foreach (TensorSpec tensor in tensors)
        {
            json.WriteStartObject();
            json.WriteString("name", tensor.Name);
            json.WriteString("type", tensor.TypeName);
            WriteTexts(json, "shape", tensor.Shape);
            json.WriteBoolean("optional", tensor.IsOptional);
            json.WriteString("meaning", tensor.Meaning);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteOption(Utf8JsonWriter json, OptionSpec option)
    {
        json.WriteStartObject();
        json.WriteString("name", option.Name);
        json.WriteString("type", option.TypeName);
        if (option.Choices is { } choices)
        {
            WriteTexts(json, "choices", choices);
        }

        json.WritePropertyName("default");
        switch (option.Default)
        {
            case null:
                json.WriteNullValue();
                break;
            case double number:
                JsonText.WriteNumber(json, number);
                break;
            case bool flag:
                json.WriteBooleanValue(flag);
                break;
            case long whole:
                json.WriteNumberValue(whole);
                break;
            default:
                json.WriteStringValue(option.Default.ToString());
                break;
        }

        json.WriteString("meaning", option.Meaning);
        json.WriteEndObject();
    }

    private static void WriteTexts(Utf8JsonWriter json, string name, IReadOnlyList<string> texts)
    {
        json.WriteStartArray(name);
        foreach (string text in texts)
        {
            json.WriteStringValue(text);
        }

        json.WriteEndArray();
    }
}
