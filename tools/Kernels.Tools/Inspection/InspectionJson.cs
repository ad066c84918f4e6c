using System.Text.Json;

namespace Kernels.Tools.Inspection;

/// <summary>Inspections as JSON.</summary>
internal static class InspectionJson
{
    internal static string Write(Inspector inspector, IEnumerable<KernelInspection> inspections, bool withSource) =>
        JsonText.Write(indented: true, json =>
        {
            json.WriteStartObject();
            json.WriteString("target", inspector.Target.ToString().ToLowerInvariant());
            json.WriteString(
                "architecture", inspector.Target == InspectionTarget.OpenCl ? null : inspector.Architecture.Name);
            json.WriteBoolean("assembled", inspector.HasAssembler);
            json.WriteStartArray("instances");
            foreach (KernelInspection inspection in inspections)
            {
                Write(json, inspection, withSource);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        });

    private static void Write(Utf8JsonWriter json, KernelInspection inspection, bool withSource)
    {
        CodeFacts facts = inspection.Kernel.Facts;
        json.WriteStartObject();
        json.WriteString("id", inspection.Kernel.Instance.Id);
        json.WriteString("types", inspection.Kernel.Instance.Types);
        json.WriteNumber("code", facts.Total);
        json.WriteStartObject("instructions");
        foreach (InstructionClass kind in Enum.GetValues<InstructionClass>())
        {
            json.WriteNumber(NameOf(kind.ToString()), facts.Instructions.GetValueOrDefault(kind));
        }

        json.WriteEndObject();
        json.WriteStartArray("accesses");
        foreach (MemoryAccess access in facts.Accesses)
        {
            json.WriteStartObject();
            json.WriteString("space", NameOf(access.Space.ToString()));
            json.WriteString("kind", NameOf(access.Kind.ToString()));
            json.WriteString("type", access.Type);
            json.WriteNumber("bits", access.Bits);
            json.WriteNumber("count", access.Count);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNumber("sharedBytes", facts.SharedBytes);
        json.WriteBoolean("sharedIsOpen", facts.IsSharedOpen);
        json.WriteNumber("localBytes", facts.LocalBytes);
        json.WriteStartArray("marks");
        foreach (CodeMarks mark in Enum.GetValues<CodeMarks>())
        {
            if (mark != CodeMarks.None && facts.Marks.HasFlag(mark))
            {
                json.WriteStringValue(NameOf(mark.ToString()));
            }
        }

        json.WriteEndArray();
        WriteTraffic(json, inspection);
        WriteAssembly(json, inspection);
        if (withSource)
        {
            json.WriteString("source", inspection.Kernel.Source);
        }

        json.WriteEndObject();
    }

    private static void WriteTraffic(Utf8JsonWriter json, KernelInspection inspection)
    {
        CodeFacts facts = inspection.Kernel.Facts;
        json.WriteStartObject("traffic");
        json.WriteNumber("loadedBytesPerItem", facts.GlobalBytes(AccessKind.Load));
        json.WriteNumber("storedBytesPerItem", facts.GlobalBytes(AccessKind.Store));
        json.WriteNumber("atomicBytesPerItem", facts.GlobalBytes(AccessKind.Atomic));
        if (inspection.Contract.UnitsPerItem is { } units)
        {
            json.WriteNumber("unitsPerItem", units);
            json.WriteString("unit", inspection.Contract.Unit);
        }

        json.WriteStartArray("declared");
        foreach ((string of, string text) in inspection.Contract.Traffic)
        {
            json.WriteStartObject();
            json.WriteString("of", of);
            json.WriteString("text", text);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteAssembly(Utf8JsonWriter json, KernelInspection inspection)
    {
        if (inspection.Assembly is not { } report)
        {
            json.WriteNull("ptxas");
            return;
        }

        json.WriteStartObject("ptxas");
        json.WriteString("problem", report.Problem);
        if (inspection.Occupancy is { } occupancy)
        {
            json.WriteNumber("registers", report.Registers);
            json.WriteNumber("spillStoreBytes", report.SpillStoreBytes);
            json.WriteNumber("spillLoadBytes", report.SpillLoadBytes);
            json.WriteNumber("stackBytes", report.StackBytes);
            json.WriteNumber("sharedBytes", report.SharedBytes);
            json.WriteNumber("groupSize", inspection.GroupSize);
            json.WriteNumber("groups", occupancy.Groups);
            json.WriteNumber("warps", occupancy.Warps);
            json.WriteNumber("maxWarps", occupancy.MaxWarps);
            json.WriteNumber("occupancy", occupancy.Fraction);
            json.WriteString("limit", occupancy.Limit);
        }

        json.WriteEndObject();
    }

    private static string NameOf(string name) => JsonNamingPolicy.CamelCase.ConvertName(name);
}
