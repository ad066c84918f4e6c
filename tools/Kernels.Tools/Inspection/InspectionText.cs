namespace Kernels.Tools.Inspection;

/// <summary>Inspections for people: plain text of at most 80 columns.</summary>
internal static class InspectionText
{
    private const int Width = 80;
    private const int TypesWidth = 30;

    /// <summary>The table of one instance.</summary>
    internal static void Write(TextWriter output, Inspector inspector, KernelInspection inspection)
    {
        CodeFacts facts = inspection.Kernel.Facts;
        WriteWrapped(output, "", inspection.Kernel.Instance.Name);
        output.WriteLine(inspector.Target switch
        {
            InspectionTarget.OpenCl => "OpenCL C",
            InspectionTarget.Sass => $"machine code for {inspector.Architecture.Name}",
            _ => $"PTX for {inspector.Architecture.Name}",
        });
        output.WriteLine();
        output.WriteLine($"{"instructions",-36}{facts.Total,8}");
        foreach ((InstructionClass kind, int count) in facts.Instructions)
        {
            output.WriteLine($"  {NameOf(kind),-34}{count,8}");
        }

        output.WriteLine();
        output.WriteLine($"{"memory accesses",-36}{facts.Accesses.Sum(access => access.Count),8}");
        foreach (MemoryAccess access in facts.Accesses)
        {
            string name = $"{access.Space} {access.Kind}".ToLowerInvariant();
            output.WriteLine($"  {name,-20}{access.Type,-14}{access.Count,8} of {access.Bits} bits");
        }

        output.WriteLine();
        output.WriteLine($"{"shared bytes of a group",-36}{facts.SharedBytes,8}{(facts.IsSharedOpen ? " and what the launch adds" : "")}");
        output.WriteLine($"{"local bytes of an item",-36}{facts.LocalBytes,8}");
        if (facts.Marks != CodeMarks.None)
        {
            output.WriteLine($"{"marks",-36}{facts.Marks,8}");
        }

        WriteAssembly(output, inspector, inspection);
        WriteTraffic(output, inspection);
    }

    /// <summary>The instances among which one was shown.</summary>
    internal static void WriteInstances(TextWriter output, IReadOnlyList<KernelInstance> instances, int shown)
    {
        output.WriteLine();
        output.WriteLine($"Instance {shown + 1} of {instances.Count} (--instance n):");
        for (int i = 0; i < instances.Count; i++)
        {
            WriteWrapped(output, $"{i + 1,4}  ", instances[i].Types);
        }
    }

    /// <summary>What the columns of <see cref="WriteRows"/> are.</summary>
    internal static void WriteLegend(TextWriter output) => output.WriteLine(
        """
        code    instructions               shared  bytes of a group, declared
        load    global bytes that an item  local   bytes of an item, declared
        store   loads and stores; an       regs    registers of an item
                access in a loop or in a   spill   bytes stored and loaded again
                branch counts once         occ     occupancy in percent
        """);

    /// <summary>A line for each instance of one entry point.</summary>
    internal static void WriteRows(TextWriter output, IReadOnlyList<KernelInspection> inspections)
    {
        output.WriteLine();
        output.WriteLine(inspections[0].Kernel.Instance.Id);
        output.WriteLine($"{"   n types",-(TypesWidth + 5)}  code load store shared local regs spill occ");
        for (int i = 0; i < inspections.Count; i++)
        {
            KernelInspection inspection = inspections[i];
            CodeFacts facts = inspection.Kernel.Facts;
            AssemblyReport? report = inspection.Assembly;
            bool isKnown = report is { Problem: null };
            string registers = isKnown ? $"{report!.Registers}" : report is null ? "-" : "no";
            string spills = isKnown ? $"{report!.SpillStoreBytes + report.SpillLoadBytes}" : "-";
            string occupancy = inspection.Occupancy is { } o ? $"{100 * o.Fraction:0}" : "-";
            output.WriteLine(
                $"{i + 1,4} {Shortened(inspection.Kernel.Instance.Types),-TypesWidth} {facts.Total,5}"
                + $"{facts.GlobalBytes(AccessKind.Load),5}{facts.GlobalBytes(AccessKind.Store),6}"
                + $"{facts.SharedBytes,7}{facts.LocalBytes,6}{registers,5}{spills,6}{occupancy,4}");
        }
    }

    private static void WriteAssembly(TextWriter output, Inspector inspector, KernelInspection inspection)
    {
        if (inspection.Assembly is not { } report)
        {
            if (inspector.Target != InspectionTarget.OpenCl)
            {
                output.WriteLine();
                WriteWrapped(
                    output, "",
                    $"Registers, spills and occupancy: with NVIDIA's ptxas in PATH or in {Assembler.Variable}.");
            }

            return;
        }

        output.WriteLine();
        if (inspection.Occupancy is not { } occupancy)
        {
            WriteWrapped(output, "", $"ptxas refuses it: {report.Problem}");
            return;
        }

        output.WriteLine($"{"registers of an item",-36}{report.Registers,8}");
        output.WriteLine($"{"spilled bytes stored, loaded",-36}{report.SpillStoreBytes,8}, {report.SpillLoadBytes}");
        output.WriteLine($"{"occupancy in percent",-36}{100 * occupancy.Fraction,8:0}");
        WriteWrapped(
            output, "  ",
            $"groups of {inspection.GroupSize}: {occupancy.Groups} on a multiprocessor, {occupancy.Warps} of "
            + $"{occupancy.MaxWarps} warps; {occupancy.Limit} limit it");
    }

    private static void WriteTraffic(TextWriter output, KernelInspection inspection)
    {
        CodeFacts facts = inspection.Kernel.Facts;
        int loaded = facts.GlobalBytes(AccessKind.Load);
        int stored = facts.GlobalBytes(AccessKind.Store);
        int atomic = facts.GlobalBytes(AccessKind.Atomic);
        output.WriteLine();
        output.WriteLine($"{"global bytes of an item, counted",-36}{loaded + stored + atomic,8}");
        WriteWrapped(
            output, "  ",
            $"{loaded} loaded, {stored} stored{(atomic > 0 ? $", {atomic} by atomics" : "")}; an access in a loop or in a "
            + "branch counts once");
        if (inspection.Contract.UnitsPerItem is { } units)
        {
            string unit = inspection.Contract.Unit!;
            string title = $"global bytes of {(unit[0] == 'e' ? "an" : "a")} {unit}, counted";
            output.WriteLine($"{title,-36}{(double)(loaded + stored + atomic) / units,8:0.##}");
        }

        output.WriteLine("declared");
        foreach ((string of, string text) in inspection.Contract.Traffic)
        {
            WriteWrapped(output, "  ", $"{of}: {text}");
        }

        if (inspection.Contract.Traffic.Count == 0)
        {
            output.WriteLine("  nothing");
        }
    }

    private static string NameOf(InstructionClass kind) => kind switch
    {
        InstructionClass.F32 => "arithmetic in binary32",
        InstructionClass.F16 => "arithmetic in 16 bits",
        InstructionClass.F64 => "arithmetic in binary64",
        InstructionClass.Fma => "fused multiply-add",
        InstructionClass.Special => "division, roots, functions",
        InstructionClass.Integer => "integers and addresses",
        InstructionClass.Comparison => "comparisons and selections",
        InstructionClass.Conversion => "conversions",
        InstructionClass.Move => "moves",
        InstructionClass.Argument => "loads of arguments",
        InstructionClass.Branch => "branches",
        InstructionClass.Barrier => "barriers",
        _ => "other",
    };

    private static string Shortened(string types) => types.Length == 0 ? "-"
        : types.Length <= TypesWidth ? types : types[..(TypesWidth - 3)] + "...";

    private static void WriteWrapped(TextWriter output, string indent, string text)
    {
        string line = indent;
        bool isEmpty = true;
        foreach (string word in text.Split([' ', '\n', '\r'], StringSplitOptions.RemoveEmptyEntries))
        {
            if (!isEmpty && line.Length + 1 + word.Length > Width)
            {
                output.WriteLine(line);
                line = new string(' ', Math.Max(2, indent.Length + (indent.Trim().Length == 0 ? 2 : 0)));
                isEmpty = true;
            }

            line += isEmpty ? word : " " + word;
            isEmpty = false;
        }

        output.WriteLine(line);
    }
}
