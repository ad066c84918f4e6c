using System.CommandLine;
using ILGPU;
using Kernels.Devices;
using Spectre.Console;

namespace Kernels.Tools.Commands;

/// <summary><c>kernels devices</c>: what is here, what it can do, and which would be chosen.</summary>
internal static class DevicesCommand
{
    internal static Command Create(TextWriter output)
    {
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command(
            "devices", "Lists the devices of this machine, the best first, what each can do, and which would be chosen.")
        {
            json,
        };
        command.SetAction(parsed => Run(parsed.GetValue(json), output));
        return command;
    }

    private static int Run(bool asJson, TextWriter output)
    {
        IReadOnlyList<DeviceDescription> devices = DeviceList.All();
        (DeviceDescription? chosen, string? problem) = Choose();
        if (asJson)
        {
            WriteJson(devices, chosen, output);
        }
        else
        {
            WriteTable(devices, chosen, output);
        }

        return problem is null ? CommandLine.Success : throw new BadInputException(problem);
    }

    private static (DeviceDescription? Chosen, string? Problem) Choose()
    {
        using Context context = DeviceList.CreateContext();
        try
        {
            return (DeviceList.Choose(context, wish: null).Description, null);
        }
        catch (ArgumentException e)
        {
            return (null, $"{DeviceList.Variable}: {Messages.Of(e)}");
        }
        catch (InvalidOperationException e)
        {
            return (null, $"{DeviceList.Variable}: {e.Message}");
        }
    }

    private static string WorkOf(DeviceDescription device) => device switch
    {
        { Kind: DeviceKind.Cpu } => "element-wise work on the host's SIMD units, the rest in few large pieces",
        { IsGpu: false } => "kernels vectorised by the OpenCL compiler",
        _ => "coalesced 128-bit accesses, tiles in shared memory",
    };

    private static void WriteTable(
        IReadOnlyList<DeviceDescription> devices, DeviceDescription? chosen, TextWriter output)
    {
        var table = new Table().Border(TableBorder.Rounded);
        table.AddColumns("device", "name", "kind", "memory", "cores", "warp", "group", "shared", "how it works here");
        foreach (DeviceDescription device in devices)
        {
            string mark = device == chosen ? "* " : "  ";
            table.AddRow(
                Markup.Escape(mark + device.Selector),
                Markup.Escape(device.Name.Trim()),
                device.IsGpu ? "GPU" : "CPU",
                device.MemoryBytes == long.MaxValue ? "host" : Messages.Bytes(device.MemoryBytes),
                $"{device.Cores}",
                device.WarpSize > 0 ? $"{device.WarpSize}" : "-",
                $"{device.MaxGroupSize}",
                device.SharedBytes >= int.MaxValue ? "host" : Messages.Bytes(device.SharedBytes),
                WorkOf(device));
        }

        IAnsiConsole console = Messages.Terminal(output);
        console.Write(table);
        output.WriteLine(
            $"* is taken unless --device or the variable {DeviceList.Variable} names another. Every device keeps");
        output.WriteLine("parameters and gradients as F32, F16 or BF16 and computes in binary32.");
    }

    private static void WriteJson(
        IReadOnlyList<DeviceDescription> devices, DeviceDescription? chosen, TextWriter output) =>
        output.WriteLine(JsonText.Write(indented: true, json =>
        {
            json.WriteStartObject();
            json.WriteString("chosen", chosen?.Selector);
            json.WriteStartArray("devices");
            foreach (DeviceDescription device in devices)
            {
                json.WriteStartObject();
                json.WriteString("device", device.Selector);
                json.WriteString("name", device.Name.Trim());
                json.WriteString("kind", device.IsGpu ? "gpu" : "cpu");
                json.WriteNumber("memoryBytes", device.MemoryBytes);
                json.WriteNumber("cores", device.Cores);
                json.WriteNumber("warpSize", device.WarpSize);
                json.WriteNumber("maxGroupSize", device.MaxGroupSize);
                json.WriteNumber("sharedBytes", device.SharedBytes);
                json.WriteStartArray("storages");
                foreach (string storage in Enum.GetNames<Storage>())
                {
                    json.WriteStringValue(storage);
                }

                json.WriteEndArray();
                json.WriteString("work", WorkOf(device));
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }));
}
