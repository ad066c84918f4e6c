using System.CommandLine;
using Kernels.DeviceCode.Storage;
using Kernels.Tools.Inspection;

namespace Kernels.Tools.Commands;

/// <summary><c>kernels inspect</c>: the code of a kernel, and what can be counted in it.</summary>
internal static class InspectCommand
{
    private const string Ptx = "ptx";
    private const string OpenCl = "opencl";
    private const string Sass = "sass";

    internal static Command Create(TextWriter output)
    {
        var entry = new Argument<string?>("entry point")
        {
            Description =
                "Its id, such as optimizers/update.packets; 'kernels list' shows all of them. With --all, what the ids "
                + "begin with.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var storage = new Option<string?>("--storage")
        {
            Description =
                "f32, f16 or bf16: what every tensor with a choice is stored as. Without it each takes all storages in "
                + "turn, f32 first.",
            HelpName = "storage",
        };
        storage.AcceptOnlyFromAmong("f32", "f16", "bf16");
        var target = new Option<string>("--target")
        {
            Description =
                "ptx, opencl, or sass: machine code, with NVIDIA's ptxas and nvdisasm (PATH, or PTXAS names the first).",
            HelpName = "target",
            DefaultValueFactory = _ => Ptx,
        };
        target.AcceptOnlyFromAmong(Ptx, OpenCl, Sass);
        var arch = new Option<string>("--arch")
        {
            Description = $"{Messages.Or(Architecture.All.Select(a => a.Name))}.",
            HelpName = "arch",
            DefaultValueFactory = _ => "sm_80",
        };
        var instance = new Option<int?>("--instance")
        {
            Description = "Which choice of type arguments to show, from 1; the list of them follows the table.",
            HelpName = "n",
        };
        var group = new Option<int?>("--group")
        {
            Description = "Items of a group, for the occupancy. Without it as the kernel declares, else 256.",
            HelpName = "items",
        };
        var summary = new Option<bool>("--summary") { Description = "The table without the code." };
        var all = new Option<bool>("--all") { Description = "A line for every instance of every entry point." };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command(
            "inspect",
            "Shows the code of a kernel as generated, and counts in it without running it: instructions by class, the "
            + "width of every access, shared and local memory, bytes moved beside those declared; with NVIDIA's ptxas "
            + "(PTXAS or PATH) registers, spills and occupancy. Needs no device.")
        {
            entry, storage, target, arch, instance, group, summary, all, json,
        };
        command.SetAction(parsed =>
        {
            string? name = parsed.GetValue(entry);
            int? items = parsed.GetValue(group);
            if (items is < 1 or > 1024)
            {
                throw new BadInputException($"--group is from 1 to 1024; it is {items}.");
            }

            Type? stored = StorageOf(parsed.GetValue(storage));
            var inspector = new Inspector(
                TargetOf(parsed.GetRequiredValue(target)), Architecture.Find(parsed.GetRequiredValue(arch)), items);
            int? number = parsed.GetValue(instance);
            bool asJson = parsed.GetValue(json);
            if (parsed.GetValue(all))
            {
                WriteAll(output, inspector, EntriesOf(name, stored), stored, number, asJson);
            }
            else
            {
                WriteOne(output, inspector, InstancesOf(name, stored), number, asJson, parsed.GetValue(summary));
            }

            return CommandLine.Success;
        });
        return command;
    }

    private static void WriteOne(
        TextWriter output, Inspector inspector, IReadOnlyList<KernelInstance> instances, int? number, bool asJson,
        bool isSummary)
    {
        if (number < 1 || number > instances.Count)
        {
            throw new BadInputException(
                $"{instances[0].Id} has instances 1 to {instances.Count} here; --instance is {number}.");
        }

        int shown = (number ?? 1) - 1;
        KernelInspection inspection = inspector.Inspect([instances[shown]])[0];
        if (inspector.Target == InspectionTarget.Sass && inspection.Assembly!.Problem is { } problem)
        {
            throw new BadInputException($"ptxas refuses {instances[shown].Name}: {problem}");
        }

        if (asJson)
        {
            output.WriteLine(InspectionJson.Write(inspector, [inspection], withSource: !isSummary));
            return;
        }

        if (!isSummary)
        {
            output.WriteLine(inspection.Kernel.Source.TrimEnd());
            output.WriteLine();
        }

        InspectionText.Write(output, inspector, inspection);
        if (instances.Count > 1)
        {
            InspectionText.WriteInstances(output, instances, shown);
        }
    }

    private static void WriteAll(
        TextWriter output, Inspector inspector, IReadOnlyList<string> entries, Type? storage, int? number, bool asJson)
    {
        if (number is not null)
        {
            throw new BadInputException("--instance is of one entry point; --all shows every instance.");
        }

        IEnumerable<IReadOnlyList<KernelInspection>> inspected =
            entries.Select(id => inspector.Inspect(DeviceKernels.Instances(id, storage)));
        if (asJson)
        {
            output.WriteLine(InspectionJson.Write(inspector, inspected.SelectMany(i => i), withSource: false));
            return;
        }

        InspectionText.WriteLegend(output);
        foreach (IReadOnlyList<KernelInspection> entry in inspected)
        {
            InspectionText.WriteRows(output, entry);
        }
    }

    private static IReadOnlyList<KernelInstance> InstancesOf(string? name, Type? storage)
    {
        if (name is null)
        {
            throw new BadInputException("Name an entry point ('kernels list' shows them), or all with --all.");
        }

        if (!DeviceKernels.Ids.Contains(name, StringComparer.Ordinal))
        {
            throw Unknown($"There is no entry point '{name}'.", name);
        }

        return IsStored(name, storage)
            ? DeviceKernels.Instances(name, storage)
            : throw new BadInputException($"{name} has no tensor whose storage can be chosen; leave --storage out.");
    }

    private static string[] EntriesOf(string? start, Type? storage)
    {
        string[] named = [.. DeviceKernels.Ids.Where(id => id.StartsWith(start ?? "", StringComparison.Ordinal))];
        if (named.Length == 0)
        {
            throw Unknown($"No entry point begins with '{start}'.", start!);
        }

        string[] entries = [.. named.Where(id => IsStored(id, storage))];
        return entries.Length > 0
            ? entries
            : throw new BadInputException($"None of '{start}' has a tensor whose storage can be chosen.");
    }

    /// <summary>Whether an entry point can store as asked: binary32 every one.</summary>
    private static bool IsStored(string id, Type? storage) =>
        storage is null || storage == typeof(F32) || DeviceKernels.HasStorage(id);

    private static BadInputException Unknown(string message, string name)
    {
        IReadOnlyList<string> near = NearNames.Of(name, DeviceKernels.Ids);
        return new BadInputException(
            near.Count > 0
                ? $"{message} Near it: {string.Join(", ", near)}. 'kernels list' shows all."
                : $"{message} 'kernels list' shows all.");
    }

    private static InspectionTarget TargetOf(string name) => name switch
    {
        OpenCl => InspectionTarget.OpenCl,
        Sass => InspectionTarget.Sass,
        _ => InspectionTarget.Ptx,
    };

    private static Type? StorageOf(string? name) => name switch
    {
        "f32" => typeof(F32),
        "f16" => typeof(F16),
        "bf16" => typeof(BF16),
        _ => null,
    };
}
